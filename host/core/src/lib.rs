//! The heart of mcsdns: domain types, the Index, the planner and its guard rails.
//!
//! Pure and synchronous: no clock, no I/O, no Kubernetes, no WebAssembly. Facts go in ([`facts::Fact`]), effects come out
//! ([`effect::Effect`]); [`index::Index`] owns everything in between.

pub mod decision;
pub mod effect;
pub mod explain;
pub mod facts;
pub mod guard;
pub mod ids;
pub mod index;
pub mod name;
pub mod plan;
pub mod planner;
pub mod reason;
pub mod rehearsal;
pub mod status;
