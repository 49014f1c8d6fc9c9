//! The controller: watches and writers on real API servers.
//!
//! Everything that decides is elsewhere: the Index in `mcsdns-core`, the loop around it in `mcsdns-runtime`. Here is what
//! the world looks like to them:
//!
//! - [`pump`](crate) by pump, watches of the host and of every member become facts, in tasks that share nothing, so that
//!   one bad cluster stays one bad cluster;
//! - effects become writes, the latest per object, by workers in parallel, only while this process holds the Lease;
//! - `/livez`, `/readyz` and `/metrics` tell how it goes.
//!
//! [`run`] is all of it. [`live`] reads a record and what belongs to it, for `mcsdns explain` against a cluster.

mod backoff;
mod connect;
mod endpoints_api;
mod freshness;
mod health;
mod host;
mod inbox;
mod lease;
pub mod live;
mod members;
mod metrics;
pub mod options;
mod policies;
mod pump;
mod run;
#[cfg(test)]
mod servers;
mod tally;
mod tasks;
mod trouble;
mod writer;

pub use connect::ConnectError;
pub use options::Options;
pub use policies::{ClusterPolicies, PolicyListener};
pub use run::{ControllerError, Parts, host_config, run, terminated};

/// What libraries log that says nothing beyond our own lines, or would show what must not be seen: kube prints answers it
/// cannot read, which may be Secrets. Put in front of the filter of the operator.
pub const LOG_FILTER: &str = "kube_client=off,kube_runtime=off";
