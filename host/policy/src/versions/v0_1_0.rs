//! `mcsdns:policy@0.1.0`.

mod convert;

use mcsdns_core::decision::{Decision, DecisionInput, Name, Outcome};
use wasmtime::{
    Store, StoreContextMut,
    component::{Instance, InstancePre, Linker, WasmStr},
};

use super::{Answered, View, World};
use crate::{
    error::{Aspect, LoadError},
    policy::Description,
    state::{LogLevel, State},
};

/// Generated from `wit/v0.1.0`.
#[allow(missing_docs, unreachable_pub, clippy::all, reason = "generated code")]
mod bindings {
    wasmtime::component::bindgen!({
        world: "policy",
        path: "../../wit/v0.1.0",
        ownership: Borrowing { duplicate_if_necessary: true },
    });
}

use bindings::{
    exports::mcsdns::policy::{lifecycle, naming, selection, ttl},
    mcsdns::policy::log::Level,
};

/// Interface, function, and how `wit/v0.1.0` declares it.
pub(super) const FUNCTIONS: [(&str, &str, &str); 5] = [
    ("lifecycle", "describe", "describe: func() -> description"),
    ("lifecycle", "configure", "configure: func(config: string) -> result<_, string>"),
    ("naming", "names", "names: func(subject: subject, places: places) -> result<list<name>, refusal>"),
    (
        "selection",
        "select",
        "select: func(subject: subject, places: places, fleet: fleet, questions: list<question>, fqdns: list<string>) -> \
         result<list<decision>, refusal>",
    ),
    ("ttl", "ttls", "ttls: func(subject: subject, outcomes: list<outcome>) -> result<ttl-answer, refusal>"),
];

/// Both functions of the interface `lifecycle`.
const LIFECYCLE: &str = "describe: func() -> description; configure: func(config: string) -> result<_, string>";

/// Fuel that a line of log costs, beside one for each of its bytes. Instructions of the host are not counted, so a
/// policy that only logs would otherwise run for ever on little fuel.
const LOG_LINE_FUEL: u64 = 2_000;

/// Puts what policies of this version may import into the linker.
pub(super) fn link(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    // It has types only, but has to be there.
    linker.instance("mcsdns:policy/types@0.1.0")?;
    linker.instance("mcsdns:policy/log@0.1.0")?.func_wrap(
        "log",
        |mut store: StoreContextMut<'_, State>, (level, message): (Level, WasmStr)| {
            let mut fuel = LOG_LINE_FUEL;
            // A line that nobody will read is not even looked at.
            if let Some(room) = store.data_mut().log.room() {
                let text = message.to_str(&store)?.into_owned();
                fuel = fuel.saturating_add(u64::try_from(text.len()).unwrap_or(u64::MAX));
                let level = match level {
                    Level::Debug => LogLevel::Debug,
                    Level::Info => LogLevel::Info,
                    Level::Warn => LogLevel::Warn,
                };
                store.data_mut().log.keep(level, &text, room);
            }
            let left = store.get_fuel()?.saturating_sub(fuel);
            store.set_fuel(left)?;
            Ok(())
        },
    )
}

/// The exports of one component.
pub(super) struct Bound {
    exported: Vec<Aspect>,
    lifecycle: lifecycle::GuestIndices,
    naming: Option<naming::GuestIndices>,
    selection: Option<selection::GuestIndices>,
    ttl: Option<ttl::GuestIndices>,
}

impl Bound {
    /// Finds the exports.
    pub(super) fn new(pre: &InstancePre<State>) -> Result<Self, LoadError> {
        let component = pre.component();
        let has = |aspect: Aspect| component.get_export_index(None, format!("mcsdns:policy/{aspect}@0.1.0")).is_some();
        let exported: Vec<_> = Aspect::ALL.into_iter().filter(|aspect| has(*aspect)).collect();
        let found = |error: wasmtime::Error| LoadError::Compile(format!("{error:#}"));
        let wanted = |aspect: Aspect| exported.contains(&aspect);
        Ok(Self {
            lifecycle: lifecycle::GuestIndices::new(pre).map_err(found)?,
            naming: wanted(Aspect::Naming).then(|| naming::GuestIndices::new(pre)).transpose().map_err(found)?,
            selection: wanted(Aspect::Selection)
                .then(|| selection::GuestIndices::new(pre))
                .transpose()
                .map_err(found)?,
            ttl: wanted(Aspect::Ttl).then(|| ttl::GuestIndices::new(pre)).transpose().map_err(found)?,
            exported,
        })
    }
}

/// What a policy is asked without exporting it. The host never does, because it looks at [`World::exported`] first.
fn not_exported(aspect: Aspect) -> wasmtime::Error {
    wasmtime::format_err!("{aspect} is not exported")
}

impl World for Bound {
    fn exported(&self) -> &[Aspect] {
        &self.exported
    }

    fn typecheck(&self, store: &mut Store<State>, instance: &Instance) -> Result<(), LoadError> {
        let mut checked = vec![("lifecycle", self.lifecycle.load(&mut *store, instance).err())];
        if let Some(naming) = &self.naming {
            checked.push(("naming", naming.load(&mut *store, instance).err()));
        }
        if let Some(selection) = &self.selection {
            checked.push(("selection", selection.load(&mut *store, instance).err()));
        }
        if let Some(ttl) = &self.ttl {
            checked.push(("ttl", ttl.load(&mut *store, instance).err()));
        }
        for (interface, error) in checked {
            if let Some(error) = error {
                let expected = match interface {
                    // The only one with two functions.
                    "lifecycle" => LIFECYCLE,
                    _ => FUNCTIONS.iter().find(|(name, ..)| *name == interface).map_or("", |(.., expected)| expected),
                };
                return Err(LoadError::WrongType {
                    what: format!("interface {interface}"),
                    problem: format!("{error:#}"),
                    expected,
                });
            }
        }
        Ok(())
    }

    fn describe(&self, store: &mut Store<State>, instance: &Instance) -> wasmtime::Result<Description> {
        let guest = self.lifecycle.load(&mut *store, instance)?;
        Ok(convert::description(guest.call_describe(store)?))
    }

    fn configure(
        &self,
        store: &mut Store<State>,
        instance: &Instance,
        config: &str,
    ) -> wasmtime::Result<Result<(), String>> {
        self.lifecycle.load(&mut *store, instance)?.call_configure(store, config)
    }

    fn names(
        &self,
        store: &mut Store<State>,
        instance: &Instance,
        view: &View,
        input: &DecisionInput,
    ) -> Answered<Vec<Name>> {
        let indices = self.naming.as_ref().ok_or_else(|| not_exported(Aspect::Naming))?;
        let guest = indices.load(&mut *store, instance)?;
        let annotations = convert::annotations(&input.subject, view);
        let places = convert::Lines::new(&input.places);
        let answer = guest.call_names(store, convert::subject(&input.subject, &annotations), places.places())?;
        Ok(answer.map(|names| names.into_iter().map(convert::name).collect()).map_err(convert::refusal))
    }

    fn select(
        &self,
        store: &mut Store<State>,
        instance: &Instance,
        view: &View,
        input: &DecisionInput,
        names: &[Name],
    ) -> Answered<Vec<Decision>> {
        let indices = self.selection.as_ref().ok_or_else(|| not_exported(Aspect::Selection))?;
        let guest = indices.load(&mut *store, instance)?;
        let annotations = convert::annotations(&input.subject, view);
        let places = convert::Lines::new(&input.places);
        let columns = convert::Columns::new(&input.clusters, view);
        let questions: Vec<_> = names.iter().map(convert::question).collect();
        let fqdns: Vec<_> = names.iter().filter(|_| view.fqdns).map(|name| name.fqdn.as_str()).collect();
        let answer = guest.call_select(
            store,
            convert::subject(&input.subject, &annotations),
            places.places(),
            columns.fleet(),
            &questions,
            &fqdns,
        )?;
        Ok(answer.map(|decisions| decisions.into_iter().map(convert::decision).collect()).map_err(convert::refusal))
    }

    fn ttls(
        &self,
        store: &mut Store<State>,
        instance: &Instance,
        view: &View,
        input: &DecisionInput,
        outcomes: &[Outcome],
    ) -> Answered<(Vec<u32>, Option<u32>)> {
        let indices = self.ttl.as_ref().ok_or_else(|| not_exported(Aspect::Ttl))?;
        let guest = indices.load(&mut *store, instance)?;
        let annotations = convert::annotations(&input.subject, view);
        let outcomes: Vec<_> = outcomes.iter().map(|outcome| convert::outcome(outcome, view)).collect();
        let answer = guest.call_ttls(store, convert::subject(&input.subject, &annotations), &outcomes)?;
        Ok(answer.map(|answer| (answer.ttls, answer.recheck_after_seconds)).map_err(convert::refusal))
    }
}
