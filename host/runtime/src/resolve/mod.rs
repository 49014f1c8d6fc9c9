//! Host names of load balancers.
//!
//! Whether a name is answered never holds up anything else: each needed name has a task of its own that looks it up
//! again and again, and a bounded number of them ask at the same time.

mod hickory;
mod names;
mod table;

use std::{net::IpAddr, time::Duration};

use futures::future::BoxFuture;
pub use hickory::{HickoryResolver, ResolverConfigError};
pub(crate) use names::HostNames;
pub use names::ResolveLimits;
pub use table::{HostTable, HostTableError};

/// Answers host names.
pub trait Resolve: Send + Sync + 'static {
    /// Asks for all addresses of `name` (lower case, no final dot), both families.
    fn lookup<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Resolved>;
}

/// What came back for one host name, by family: a family that could not be asked must not be taken for one that has no
/// addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolved {
    /// Addresses of type A; empty when there are none.
    pub v4: Result<Vec<IpAddr>, ResolveError>,
    /// Addresses of type AAAA; empty when there are none.
    pub v6: Result<Vec<IpAddr>, ResolveError>,
    /// How long the answer may be used, the shortest of all records on the way.
    pub ttl: Duration,
}

impl Resolved {
    /// The same failure for both families.
    #[must_use]
    pub fn failed(error: ResolveError) -> Self {
        Self { v4: Err(error.clone()), v6: Err(error), ttl: Duration::ZERO }
    }

    /// Splits addresses by family.
    #[must_use]
    pub fn addresses(addresses: impl IntoIterator<Item = IpAddr>, ttl: Duration) -> Self {
        let (v4, v6) = addresses.into_iter().partition(IpAddr::is_ipv4);
        Self { v4: Ok(v4), v6: Ok(v6), ttl }
    }
}

/// Why a host name could not be asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ResolveError {
    /// The name does not exist (NXDOMAIN). The owner of the load balancer removed it, or it is not there yet.
    #[error("there is no such name")]
    NoSuchName,
    /// No name server answered in time.
    #[error("no answer from the name server within {0:?}")]
    Timeout(Duration),
    /// A name server answered with an error, or could not be reached.
    #[error("{0}")]
    Server(String),
    /// The text is not a host name.
    #[error("not a host name: {0}")]
    Invalid(String),
}

impl ResolveError {
    /// Stable, CamelCase.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::NoSuchName => "NoSuchName",
            Self::Timeout(_) => "Timeout",
            Self::Server(_) => "ServerFailure",
            Self::Invalid(_) => "InvalidHostName",
        }
    }
}
