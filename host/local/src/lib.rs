//! The same loop on a folder of manifests, with a DNS preview server.
//!
//! - [`fleet::Fleet`] reads a folder of ordinary Kubernetes manifests into facts; [`problem::Problem`] is everything
//!   that is wrong with them, each with file, line, object and field.
//! - [`render`] answers what would be published, once and without a network.

pub mod cases;
pub mod dns;
pub mod fleet;
pub mod limits;
pub mod live;
pub mod policy;
pub mod problem;
mod read;
pub mod render;
pub mod world;

pub use read::{Object, Source, Told};
