//! Policies in a cluster: from ConfigMaps to policies that decide, one careful step at a time.
//!
//! - [`package`] reads a ConfigMap into a [`package::Package`] and writes one back.
//!
//! This crate knows neither `kube` nor an async runtime. The controller and the local mode drive it with the same calls.

pub mod package;

pub use package::{Encoding, Package, PackageError};
