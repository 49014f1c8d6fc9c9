//! The loop that drives the Index: facts in, effects out, decisions on worker threads.
//!
//! Both modes share it. The controller and the local mode differ in two places only: where facts come from (they send
//! batches into a [`FactSender`]) and where effects go (they implement [`Sink`]). Everything in between is here:
//!
//! - [`Runtime::run`] owns the one writer of the Index, tells it the time, and hands its effects out;
//! - decisions run on threads of their own, never under the lock of the Index ([`Decider`]);
//! - host names of load balancers are resolved again and again in the background ([`Resolve`]);
//! - [`settle`] does the same once and synchronously, for `render`, for cases and for `explain`.

mod breaker;
mod clock;
mod decider;
mod observe;
pub mod resolve;
mod run;
mod sandbox;
mod settle;
mod workers;

pub use breaker::BreakerLimits;
pub use clock::{Clock, FixedClock, ManualClock, SystemClock};
pub use decider::Decider;
pub use observe::Observer;
pub use resolve::{HickoryResolver, HostTable, HostTableError, Resolve, ResolveError, Resolved};
pub use run::{Channel, FactReceiver, FactSender, Runtime, RuntimeHandle, RuntimeOptions, Sink, channel};
pub use sandbox::{CostObserver, Health, HealthObserver, SandboxDecider, Substitute};
pub use settle::{SettleError, settle};
pub use workers::caught;
