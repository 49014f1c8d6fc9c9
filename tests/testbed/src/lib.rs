//! Real servers on one machine, for tests, the demo and development.
//!
//! No cluster, container runtime or cloud account: one etcd, a real kube-apiserver for each cluster,
//! kube-controller-manager where garbage collection matters, ExternalDNS, BIND and dig, on loopback only.
//! What is not installed is built once into a cache, see [`Tool`].
//!
//! ```no_run
//! # async fn example() -> anyhow::Result<()> {
//! use mcsdns_testbed::{Fleet, fixtures};
//!
//! let fleet = Fleet::start(&["host", "east"]).await?;
//! let east = fleet.cluster("east")?.client_admin().await?;
//! fixtures::served(&east, "shop", "cart", &["192.0.2.1"], 3).await?;
//! # Ok(()) }
//! ```
//!
//! Every value that stands for a process stops it when dropped, also while a test panics; a frozen or
//! stubborn process is killed. Nothing sleeps for a fixed time: see [`wait_until`] and [`stays`].
//!
//! Variables: `MCSDNS_CACHE` (where builds go), `MCSDNS_TESTBED_GO` (where the Go modules are, when not
//! beside this crate), `MCSDNS_TESTBED_KEEP` (keep the folders of servers, with their logs), and one for
//! each program ([`Tool::variable`]).

pub mod bind;
pub mod external_dns;
pub mod fixtures;

mod binaries;
mod cluster;
mod command;
mod controller_manager;
mod dig;
mod etcd;
mod fleet;
mod folder;
mod http;
mod kubectl;
mod ports;
mod process;
mod wait;

pub use crate::http::{Answer, http_get};
pub use binaries::{Found, Missing, Origin, Tool};
pub use bind::Bind;
pub use cluster::{AuditEntry, AuditMark, ControlPlane, ControlPlaneOptions, service_account_user};
pub use controller_manager::ControllerManager;
pub use dig::{Record, dig, dig_records};
pub use etcd::Etcd;
pub use external_dns::{ExternalDns, ExternalDnsOptions, ExternalDnsVersion};
pub use fleet::Fleet;
pub use kubectl::{apply, kubectl, kubectl_with, wait_for_crd};
pub use ports::Port;
pub use process::{Process, Spec};
pub use wait::{stays, wait_until};
