//! One instance, from its beginning to its end.

use std::time::Instant;

use mcsdns_core::decision::{Decision, DecisionInput, Name, Outcome};
use wasmtime::{Store, Trap, WasmBacktrace, component::Instance};

use crate::{
    budget::Budget,
    compiled::Compiled,
    engine::Inner,
    error::{LoadError, RunError},
    policy::Description,
    state::{LimitHit, State},
    versions::{Refusal, View},
};

/// An instance with its store and what is left of its budget. It answers for one record and is then thrown away, so
/// that nothing passes from one decision to the next and a crashed instance is never used again.
pub(crate) struct Session<'a> {
    pub(crate) store: Store<State>,
    pub(crate) instance: Instance,
    engine: &'a Inner,
    compiled: &'a Compiled,
    budget: Budget,
}

impl<'a> Session<'a> {
    /// Makes an instance.
    pub(crate) fn start(engine: &'a Inner, compiled: &'a Compiled, budget: &Budget) -> Result<Self, RunError> {
        let mut store = store(engine, budget).map_err(|error| RunError::Sandbox(format!("{error:#}")))?;
        match compiled.pre.instantiate(&mut store) {
            Ok(instance) => Ok(Self { store, instance, engine, compiled, budget: *budget }),
            Err(error) => Err(explain(&error, budget).unwrap_or_else(|| RunError::Sandbox(format!("{error:#}")))),
        }
    }

    /// Runs one call and says in plain terms how it ended if it failed.
    pub(crate) fn run<T>(
        &mut self,
        call: impl FnOnce(&mut Store<State>, &Instance) -> wasmtime::Result<T>,
    ) -> Result<T, RunError> {
        call(&mut self.store, &self.instance).map_err(|error| self.failed(&error))
    }

    /// Instructions executed so far.
    pub(crate) fn fuel_used(&self) -> u64 {
        self.budget.fuel.saturating_sub(self.store.get_fuel().unwrap_or_default())
    }

    fn failed(&self, error: &wasmtime::Error) -> RunError {
        explain(error, &self.budget).unwrap_or_else(|| {
            // Neither a crash nor a limit of ours: reading the answer failed. Too much of it, or nonsense?
            let text = error.root_cause().to_string();
            if self.text_of_too_much().is_some_and(|too_much| too_much == text) {
                RunError::OutputTooLarge { limit: self.budget.output_bytes }
            } else {
                RunError::Malformed(text)
            }
        })
    }

    /// What the sandbox says when an answer is too long.
    ///
    /// It keeps the type of this error to itself, and comparing with a text copied from its source would break silently
    /// with its next release. So the error is provoked: another instance describes itself to a host that accepts
    /// nothing. This happens once, after the first answer that could not be read.
    fn text_of_too_much(&self) -> Option<&str> {
        let known = &self.engine.text_of_too_much;
        if known.get().is_none() {
            let mut probe = Self::start(self.engine, self.compiled, &self.budget).ok()?;
            probe.store.set_hostcall_fuel(0);
            let error = self.compiled.world.describe(&mut probe.store, &probe.instance).err()?;
            // Instances made for a probe may fail in ways of their own.
            if explain(&error, &self.budget).is_none() {
                known.get_or_init(|| error.root_cause().to_string());
            }
        }
        known.get().map(String::as_str)
    }
}

/// A store with all its limits set.
fn store(engine: &Inner, budget: &Budget) -> wasmtime::Result<Store<State>> {
    let mut store = Store::new(&engine.wasm, State::new(budget));
    store.limiter(|state| &mut state.limiter);
    store.set_fuel(budget.fuel)?;
    store.set_epoch_deadline(Inner::ticks(budget.wall_millis));
    store.set_hostcall_fuel(usize::try_from(budget.output_bytes)?);
    Ok(store)
}

/// The cause of a failure, by its type.
fn explain(error: &wasmtime::Error, budget: &Budget) -> Option<RunError> {
    if let Some(hit) = error.downcast_ref::<LimitHit>() {
        return Some(match *hit {
            LimitHit::Memory { wanted, limit } => RunError::OutOfMemory { wanted, limit },
            LimitHit::Table { wanted, limit } => RunError::TableLimit { wanted, limit },
        });
    }
    Some(match error.downcast_ref::<Trap>()? {
        Trap::Interrupt => RunError::Timeout { millis: budget.wall_millis },
        Trap::OutOfFuel => RunError::OutOfFuel { fuel: budget.fuel },
        Trap::StackOverflow => RunError::StackOverflow,
        trap => {
            let code = trap.to_string();
            let code = code.strip_prefix("wasm trap: ").unwrap_or(&code);
            let hint = match trap {
                // Rust keeps part of its stack in the linear memory, below everything else.
                Trap::MemoryOutOfBounds => " (often a stack overflow)",
                Trap::UnreachableCodeReached => " (in Rust a panic)",
                _ => "",
            };
            RunError::Trap { code: format!("{code}{hint}"), place: place(error) }
        }
    })
}

/// Where a crash happened: the innermost function with a name, or else its number.
fn place(error: &wasmtime::Error) -> String {
    let Some(frames) = error.downcast_ref::<WasmBacktrace>().map(WasmBacktrace::frames) else {
        return String::new();
    };
    match (frames.iter().find_map(|frame| frame.func_name()), frames.first()) {
        (Some(name), _) => format!(" in {name}"),
        (None, Some(frame)) => format!(" in function {}", frame.func_index()),
        (None, None) => String::new(),
    }
}

/// Microseconds since then.
pub(crate) fn micros_since(begin: Instant) -> u32 {
    u32::try_from(begin.elapsed().as_micros()).unwrap_or(u32::MAX)
}

/// The questions.
impl Session<'_> {
    pub(crate) fn typecheck(&mut self) -> Result<(), LoadError> {
        self.compiled.world.typecheck(&mut self.store, &self.instance)
    }

    pub(crate) fn describe(&mut self) -> Result<Description, RunError> {
        let world = &self.compiled.world;
        self.run(|store, instance| world.describe(store, instance))
    }

    pub(crate) fn configure(&mut self, config: &str) -> Result<Result<(), String>, RunError> {
        let world = &self.compiled.world;
        self.run(|store, instance| world.configure(store, instance, config))
    }

    pub(crate) fn names(&mut self, view: &View, input: &DecisionInput) -> Result<Vec<Name>, RunError> {
        let world = &self.compiled.world;
        self.run(|store, instance| world.names(store, instance, view, input))?.map_err(refused)
    }

    pub(crate) fn select(
        &mut self,
        view: &View,
        input: &DecisionInput,
        names: &[Name],
    ) -> Result<Vec<Decision>, RunError> {
        let world = &self.compiled.world;
        self.run(|store, instance| world.select(store, instance, view, input, names))?.map_err(refused)
    }

    pub(crate) fn ttls(
        &mut self,
        view: &View,
        input: &DecisionInput,
        outcomes: &[Outcome],
    ) -> Result<(Vec<u32>, Option<u32>), RunError> {
        let world = &self.compiled.world;
        self.run(|store, instance| world.ttls(store, instance, view, input, outcomes))?.map_err(refused)
    }
}

fn refused(refusal: Refusal) -> RunError {
    RunError::Refused { field: refusal.field, message: refusal.message }
}
