//! What one record asks for, and where clusters are.

use std::fmt;

/// What one record asks for. Names are lower case, without a final dot.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Subject<'a> {
    /// Name of the Service.
    pub service: &'a str,
    /// Its namespace.
    pub namespace: &'a str,
    /// Name of the Domain object.
    pub federation: &'a str,
    /// DNS zone of the federation, for example `example.com`.
    pub domain: &'a str,
    /// `spec.externalName`: wants to be called so instead of by the name of the Service.
    pub external_name: Option<&'a str>,
    /// `spec.dnsPrefix`: wants one more name directly below the domain.
    pub dns_prefix: Option<&'a str>,
    /// `spec.recordTTL` in seconds.
    pub record_ttl: Option<u32>,
    pub(crate) annotations: &'a [(String, String)],
}

impl<'a> Subject<'a> {
    /// What the record wants to be called: its external name, or else the name of the Service.
    #[must_use]
    pub fn name(&self) -> &'a str {
        self.external_name.unwrap_or(self.service)
    }

    /// An annotation of the record that [`Needs::annotations`](crate::Needs::annotations) asked for.
    #[must_use]
    pub fn annotation(&self, key: &str) -> Option<&'a str> {
        self.annotations.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_str())
    }
}

/// The level a name stands for; numbers are indexes into [`Places`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Place {
    /// All clusters.
    Everywhere,
    /// The clusters of a region.
    Region(u32),
    /// The clusters of a zone.
    Zone(u32),
}

/// A zone of a region.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Zone<'a> {
    /// Its name: one DNS label.
    pub name: &'a str,
    /// Index of its region.
    pub region: u32,
}

/// Every place of the fleet, once.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Places<'a> {
    /// Names of the regions, sorted: one DNS label each.
    pub regions: Vec<&'a str>,
    /// The zones, sorted by region, then name.
    pub zones: Vec<Zone<'a>>,
}

impl<'a> Places<'a> {
    /// The regions with their indexes.
    pub fn regions(&self) -> impl Iterator<Item = (u32, &'a str)> + '_ {
        (0..).zip(self.regions.iter().copied())
    }

    /// The zones with their indexes.
    pub fn zones(&self) -> impl Iterator<Item = (u32, Zone<'a>)> + '_ {
        (0..).zip(self.zones.iter().copied())
    }

    /// The name of a region; empty for one that is not there.
    #[must_use]
    pub fn region(&self, index: u32) -> &'a str {
        at(&self.regions, index).copied().unwrap_or_default()
    }

    /// A zone.
    #[must_use]
    pub fn zone(&self, index: u32) -> Option<Zone<'a>> {
        at(&self.zones, index).copied()
    }

    /// The index of a region by its name.
    #[must_use]
    pub fn region_named(&self, name: &str) -> Option<u32> {
        let index = self.regions.iter().position(|region| *region == name)?;
        u32::try_from(index).ok()
    }

    /// The region a place lies in; `None` for everywhere.
    #[must_use]
    pub fn region_of(&self, place: Place) -> Option<u32> {
        match place {
            Place::Everywhere => None,
            Place::Region(index) => Some(index),
            Place::Zone(index) => self.zone(index).map(|zone| zone.region),
        }
    }

    /// A place in words: `everywhere`, `region eu`, `zone eu1 of eu`.
    #[must_use]
    pub fn name(&self, place: Place) -> PlaceName<'a> {
        match place {
            Place::Everywhere => PlaceName::Everywhere,
            Place::Region(index) => PlaceName::Region(self.region(index)),
            Place::Zone(index) => {
                let zone = self.zone(index);
                let region = zone.map_or("", |zone| self.region(zone.region));
                PlaceName::Zone(zone.map_or("", |zone| zone.name), region)
            }
        }
    }
}

/// A place in words, made by [`Places::name`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlaceName<'a> {
    /// All clusters.
    Everywhere,
    /// A region.
    Region(&'a str),
    /// A zone and its region.
    Zone(&'a str, &'a str),
}

impl fmt::Display for PlaceName<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = match self {
            Self::Everywhere => ["everywhere", "", "", ""],
            Self::Region(region) => ["region ", region, "", ""],
            Self::Zone(zone, region) => ["zone ", zone, " of ", region],
        };
        parts.into_iter().try_for_each(|part| f.write_str(part))
    }
}

/// The item a 32-bit index points at.
pub(crate) fn at<T>(items: &[T], index: u32) -> Option<&T> {
    items.get(usize::try_from(index).ok()?)
}

/// A length as the interface counts. Lists come out of a 32-bit memory, so none is longer.
pub(crate) fn count(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}
