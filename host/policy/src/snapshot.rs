//! Configured once: the state of an instance after `configure`, written into a component that begins there.

use std::{
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    task::{Context, Poll, Waker},
};

use wasmtime::{
    Store,
    component::{Instance, Lift, WasmList},
};
use wasmtime_wizer::{ComponentInstanceState, Wizer};

use crate::{
    budget::Budget,
    compiled::{Compiled, Digest},
    engine::Inner,
    error::{LoadError, RunError},
    session::Session,
    state::{LogLine, State},
};

/// How configuring went.
pub(crate) enum Outcome {
    /// A component that begins configured.
    Snapshot(Vec<u8>),
    /// The state of this component cannot be written down, for that reason.
    Impossible(String),
}

/// Configures a component and writes down its state.
///
/// # Errors
///
/// When it refuses the configuration or fails over it.
pub(crate) fn configure(
    engine: &Inner,
    digest: Digest,
    bytes: &[u8],
    config: &str,
    budget: &Budget,
    log: &mut Vec<LogLine>,
) -> Result<Outcome, LoadError> {
    let wizer = {
        let mut wizer = Wizer::new();
        wizer.keep_init_func(true);
        wizer
    };
    // Wizer expects components it was made for and panics over some others, which must not end the process.
    let instrumented = unpanicked(|| wizer.instrument_component(bytes).map_err(|error| format!("{error:#}")));
    let (context, instrumented) = match instrumented {
        Ok(instrumented) => instrumented,
        Err(problem) => return Ok(Outcome::Impossible(problem)),
    };
    let compiled = Compiled::new(engine, digest.with_config("instrumented"), &instrumented)?;
    let _permit = engine.permits.acquire(1);
    let failed = |error: RunError| LoadError::Run { step: "configure", error };
    let mut session = Session::start(engine, &compiled, &for_configure(budget)).map_err(failed)?;
    let answer = session.configure(config);
    log.append(&mut session.store.data_mut().log.lines);
    answer.map_err(failed)?.map_err(LoadError::ConfigRefused)?;

    // Reading the memories is not an answer of the policy.
    session.store.set_hostcall_fuel(usize::MAX);
    let taken = unpanicked(|| {
        let mut reader = Reader { store: &mut session.store, instance: session.instance };
        at_once(wizer.snapshot_component(&context, &mut reader)).map_err(|error| format!("{error:#}"))
    });
    Ok(match taken {
        Ok(bytes) => Outcome::Snapshot(bytes),
        Err(problem) => Outcome::Impossible(problem),
    })
}

/// The budget of a decision, with the time and fuel of a configuration.
pub(crate) fn for_configure(budget: &Budget) -> Budget {
    Budget { wall_millis: budget.configure_millis, fuel: budget.configure_fuel, ..*budget }
}

/// Turns a panic of a library into an error.
fn unpanicked<T>(work: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        Err(text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("unknown structure").to_owned())
    })
}

/// Ends a future that never waits. Wizer's interface is asynchronous, the sandbox is not.
fn at_once<T>(future: impl Future<Output = wasmtime::Result<T>>) -> wasmtime::Result<T> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(done) => done,
        Poll::Pending => Err(wasmtime::format_err!("the snapshot waited for something")),
    }
}

/// Reads the state of an instance through the functions that instrumenting added to it.
struct Reader<'a> {
    store: &'a mut Store<State>,
    instance: Instance,
}

impl Reader<'_> {
    fn call<R: Lift + Send + Sync + 'static>(&mut self, interface: &str, function: &str) -> wasmtime::Result<R> {
        let missing = || wasmtime::format_err!("{interface}#{function} is missing");
        let interface_index = self.instance.get_export_index(&mut *self.store, None, interface).ok_or_else(missing)?;
        let index =
            self.instance.get_export_index(&mut *self.store, Some(&interface_index), function).ok_or_else(missing)?;
        let function = self.instance.get_typed_func::<(), (R,)>(&mut *self.store, index)?;
        Ok(function.call(&mut *self.store, ())?.0)
    }

    /// A value of the state. The interface of Wizer leaves no room for an error; panicking is its way, and caught.
    fn value<R: Lift + Send + Sync + 'static>(&mut self, interface: &str, function: &str) -> R {
        match self.call(interface, function) {
            Ok(value) => value,
            Err(error) => std::panic::resume_unwind(Box::new(format!("{error:#}"))),
        }
    }
}

impl ComponentInstanceState for Reader<'_> {
    async fn call_func_ret_list_u8(&mut self, instance: &str, func: &str, contents: impl FnOnce(&[u8]) + Send) {
        let list: WasmList<u8> = self.value(instance, func);
        contents(list.as_le_slice(&*self.store));
    }

    async fn call_func_ret_s32(&mut self, instance: &str, func: &str) -> i32 {
        self.value(instance, func)
    }

    async fn call_func_ret_s64(&mut self, instance: &str, func: &str) -> i64 {
        self.value(instance, func)
    }

    async fn call_func_ret_f32(&mut self, instance: &str, func: &str) -> u32 {
        self.value::<f32>(instance, func).to_bits()
    }

    async fn call_func_ret_f64(&mut self, instance: &str, func: &str) -> u64 {
        self.value::<f64>(instance, func).to_bits()
    }
}
