//! The DNS preview: what is published, answered over real DNS.
//!
//! It stands in for the DNS provider behind ExternalDNS and answers as one would: with authority for the zones of the
//! Domains and for nothing else.

mod server;
mod zone;

pub(crate) use self::server::Current;
pub use self::{
    server::{DnsServer, DnsServerError},
    zone::{Reply, Zones},
};
