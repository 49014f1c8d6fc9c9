//! A host cluster, member clusters and the real `mcsdns` binary, run with the roles that `deploy/` ships.
//!
//! Nothing here runs as administrator but the hand of the operator: the controller has the token of its own service
//! account, and the members are read with the token of the account of `deploy/member`.

mod binary;
mod controller;
mod records;
mod world;

pub use binary::{mcsdns, run, told};
pub use controller::Controller;
pub use records::{endpoint, endpoints, lines, sorted};
pub use world::{Member, NAMESPACE, World, deploy_file};

/// For what takes a second or two on a quiet machine.
pub const SOON: std::time::Duration = std::time::Duration::from_secs(60);
