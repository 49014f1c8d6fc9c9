//! The policy in the box: `service.namespace.federation.svc[.zone.region].domain`, addresses of the clusters that serve
//! there, and one TTL.
//!
//! Pure functions over borrowed data, one module per aspect. They know neither WebAssembly nor the host's types:
//! `component` wraps them for the sandbox, and the tests call them natively and compare.

pub mod naming;
pub mod selection;
pub mod ttl;

/// What one record asks for, as far as this policy looks at it. Names are lower case, without a final dot.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// Name of the Service.
    pub service: &'a str,
    /// Its namespace.
    pub namespace: &'a str,
    /// Name of the Domain object.
    pub federation: &'a str,
    /// DNS zone of the federation.
    pub domain: &'a str,
    /// Takes the place of the Service's name.
    pub external_name: Option<&'a str>,
    /// Asks for one more name directly below the domain.
    pub dns_prefix: Option<&'a str>,
    /// Seconds.
    pub record_ttl: Option<u32>,
}

/// A zone of a region.
#[derive(Clone, Copy, Debug)]
pub struct Zone<'a> {
    /// Name of the zone.
    pub name: &'a str,
    /// Index into [`Places::regions`].
    pub region: u32,
}

/// Every place of the fleet, once.
#[derive(Clone, Copy, Debug)]
pub struct Places<'a> {
    /// Names of the regions.
    pub regions: &'a [&'a str],
    /// The zones.
    pub zones: &'a [Zone<'a>],
}

impl<'a> Places<'a> {
    /// The name of a region; empty for one that is not there.
    fn region(&self, index: u32) -> &'a str {
        at(self.regions, index).copied().unwrap_or_default()
    }
}

/// The level a name stands for; numbers are indexes into [`Places`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// All clusters.
    Everywhere,
    /// The clusters of a region.
    Region(u32),
    /// The clusters of a zone.
    Zone(u32),
}

/// What stands in for a name that nothing answers; numbers are indexes into the list of names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fallback {
    /// Not published.
    Nothing,
    /// CNAME when nothing serves.
    AliasOf(u32),
    /// CNAME always.
    AlwaysAliasOf(u32),
}

/// The item a 32-bit index points at.
fn at<T>(items: &[T], index: u32) -> Option<&T> {
    items.get(usize::try_from(index).ok()?)
}

/// A length as the interface counts. Lists come out of a 32-bit memory, so none is longer.
fn count(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}
