//! A folder of manifests:
//!
//! ```text
//! DIR/host/*.yaml             Domain, ServiceDNSRecord, MemberCluster ...
//! DIR/clusters/NAME/*.yaml    Node, Service, EndpointSlice of the member cluster NAME
//! DIR/clusters/NAME/unreachable   while this file is there, the cluster cannot be reached
//! ```
//!
//! Reading is bounded ([`crate::limits::Limits`]) and never fails as a whole: whatever is wrong is a
//! [`crate::problem::Problem`].

mod document;
mod file;
mod folder;
mod layered;
mod locate;
mod object;
mod source;

use mcsdns_core::ids::ClusterName;

pub(crate) use self::{
    document::parse_one,
    file::{read_file, read_text},
    folder::{ClusterFiles, Listing, Stamp, list, stamp},
    layered::Layered,
    object::{Content, Identity, title},
};
pub use self::{
    object::{Object, Told},
    source::Source,
};

/// Which cluster a file belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// The host cluster.
    Host,
    /// A member cluster.
    Cluster(ClusterName),
}
