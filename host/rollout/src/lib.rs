//! Policies in a cluster: from ConfigMaps to policies that decide, one careful step at a time.
//!
//! ```text
//! ConfigMap --package--> component, configuration, budget, cases
//!           --shelf----> a policy that is loaded and has passed its cases, or a refusal in words
//!           --rollouts-> tried on every record of the Domain, then in force; or what was good stays
//! ```
//!
//! [`package`] and [`domain`] are pure; [`pilot::Pilot`] carries out what they want. This crate knows neither `kube` nor an
//! async runtime: the controller and the local mode drive it with the same calls.

pub mod domain;
mod news;
pub mod package;
pub mod pilot;
pub mod report;
pub mod revision;
pub mod rollouts;
pub mod shelf;

pub use news::{News, PilotObserver, PilotOptions};
pub use package::{Encoding, Package, PackageError};
pub use pilot::Pilot;
pub use shelf::{CaseCheck, CaseFailure, Loaded, Refusal, Shelf, Shelved};
