//! What is to be published for one record.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// Type of a DNS record (RFC 1035, RFC 3596).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum RecordType {
    /// IPv4 addresses.
    A,
    /// IPv6 addresses.
    #[serde(rename = "AAAA")]
    Aaaa,
    /// Alias.
    #[serde(rename = "CNAME")]
    Cname,
}

impl RecordType {
    /// As written in a DNSEndpoint.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::A => "A",
            Self::Aaaa => "AAAA",
            Self::Cname => "CNAME",
        }
    }
}

/// One entry of `DNSEndpoint.spec.endpoints`. Sorted by name, type, set identifier.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Endpoint {
    /// Lower case, no final dot.
    pub dns_name: Arc<str>,
    /// Type.
    pub record_type: RecordType,
    /// Tells apart several answers of one name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub set_identifier: Option<Arc<str>>,
    /// Addresses in address order, or the one name of a CNAME. Never empty.
    pub targets: Targets,
    /// Seconds, above 0.
    #[serde(rename = "recordTTL")]
    pub record_ttl: u32,
    /// Properties for the DNS provider, sorted by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub provider_specific: Vec<(Arc<str>, Arc<str>)>,
}

/// What stands behind an endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Targets {
    /// Addresses of one family, sorted.
    Addresses(Arc<[std::net::IpAddr]>),
    /// The target of a CNAME.
    Name(Arc<str>),
    /// Text that is not ours to understand (observed only, never planned).
    Other(Arc<[String]>),
}

impl Targets {
    /// As written in a DNSEndpoint.
    #[must_use]
    pub fn to_strings(&self) -> Vec<String> {
        match self {
            Self::Addresses(addresses) => addresses.iter().map(ToString::to_string).collect(),
            Self::Name(name) => vec![name.to_string()],
            Self::Other(texts) => texts.to_vec(),
        }
    }

    /// The addresses, none for an alias.
    #[must_use]
    pub fn addresses(&self) -> &[std::net::IpAddr] {
        match self {
            Self::Addresses(addresses) => addresses,
            Self::Name(_) | Self::Other(_) => &[],
        }
    }
}
