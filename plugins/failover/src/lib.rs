//! Ordered tiers of clusters or regions. See README.md.

mod tiers;

use mcsdns_policy_sdk::prelude::*;
use serde::Deserialize;

use crate::tiers::{Ranks, Tier};

/// What its users write.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    tiers: Vec<TierConfig>,
    #[serde(default)]
    spill: Spill,
    #[serde(default)]
    rest: Rest,
    #[serde(default = "everywhere")]
    places: Vec<Level>,
}

/// One tier, as its users write it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TierConfig {
    #[serde(default)]
    pub(crate) clusters: Vec<String>,
    #[serde(default)]
    pub(crate) regions: Vec<String>,
    #[serde(default = "one")]
    pub(crate) minimum: u32,
}

/// What becomes of the healthy clusters of a tier that has too few.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Spill {
    #[default]
    Add,
    Replace,
}

/// What answers when no tier has a healthy cluster.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Rest {
    #[default]
    Last,
    Never,
    Keep,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Level {
    Everywhere,
    Regions,
    Zones,
}

fn everywhere() -> Vec<Level> {
    vec![Level::Everywhere]
}

const fn one() -> u32 {
    1
}

/// Tiers, ready to look clusters up in.
#[derive(Debug)]
pub struct Failover {
    tiers: Vec<Tier>,
    ranks: Ranks,
    spill: Spill,
    rest: Rest,
    places: Vec<Level>,
}

impl Policy for Failover {
    type Config = Config;
    const ABOUT: About = About::new("failover", env!("CARGO_PKG_VERSION"))
        .needs(Needs::NONE.cluster_names())
        .config_schema(include_str!("../config.schema.json"));

    fn new(config: Config) -> Result<Self, ConfigError> {
        let (tiers, ranks) = tiers::read(config.tiers)?;
        Ok(Self { tiers, ranks, spill: config.spill, rest: config.rest, places: config.places })
    }
}

impl Selection for Failover {
    fn select(&self, ask: &Ask<'_>) -> Result<Vec<Decision>, Refusal> {
        // Which tier each cluster belongs to is found once, not for every name.
        let regions: Vec<_> = ask.places.regions.iter().map(|region| self.ranks.of_region(region)).collect();
        let tier_of: Vec<_> = ask
            .fleet
            .iter()
            .map(|cluster| {
                let region = cluster.region().and_then(|region| usize::try_from(region).ok());
                let by_region = || region.and_then(|region| regions.get(region).copied().flatten());
                self.ranks.of_cluster(cluster.name()).or_else(by_region)
            })
            .collect();
        for name in self.ranks.clusters().filter(|name| ask.fleet.named(name).is_none()) {
            log::warn(&format!("cluster {name} of the tiers is not in the fleet"));
        }
        ask.each(|name| {
            let level = match name.place {
                Place::Everywhere => Level::Everywhere,
                Place::Region(_) => Level::Regions,
                Place::Zone(_) => Level::Zones,
            };
            Ok(if self.places.contains(&level) {
                self.decide(ask, name.place, &tier_of)
            } else {
                standard::decision(ask, name)
            })
        })
    }
}

/// The clusters of one tier at one place.
#[derive(Clone, Debug, Default)]
struct Standing<'a> {
    all: u32,
    healthy: Vec<Cluster<'a>>,
}

impl Failover {
    fn decide(&self, ask: &Ask<'_>, place: Place, tier_of: &[Option<usize>]) -> Decision {
        let mut standings = vec![Standing::default(); self.tiers.len()];
        let mut rest = Standing::default();
        for cluster in ask.clusters_in(place) {
            let tier = tier_of.get(cluster.id().index()).copied().flatten();
            let standing = tier.and_then(|tier| standings.get_mut(tier)).unwrap_or(&mut rest);
            standing.all += 1;
            if cluster.offers() {
                standing.healthy.push(cluster);
            }
        }
        let mut because = String::with_capacity(96);
        let mut chosen = Vec::new();
        let mut too_few = Vec::new();
        for (number, (tier, standing)) in (1..).zip(self.tiers.iter().zip(&standings)) {
            // At one region or zone a tier may have few clusters or none; it cannot need more than it has there.
            let needed = if place == Place::Everywhere { tier.minimum } else { tier.minimum.min(standing.all) };
            let healthy = u32::try_from(standing.healthy.len()).unwrap_or(u32::MAX);
            if standing.all == 0 && place != Place::Everywhere {
                continue;
            }
            say(&mut because, number, healthy, standing.all, needed);
            if healthy >= needed {
                if self.spill == Spill::Add {
                    chosen.append(&mut too_few);
                }
                chosen.extend_from_slice(&standing.healthy);
                return Decision::clusters(sorted(chosen)).because(because);
            }
            too_few.extend_from_slice(&standing.healthy);
        }
        if !too_few.is_empty() {
            // No tier has enough: whoever is left.
            return Decision::clusters(sorted(too_few)).because(because);
        }
        if self.rest == Rest::Keep {
            return Decision::keep().because(because);
        }
        if self.rest == Rest::Last && !rest.healthy.is_empty() {
            because.push_str(if because.is_empty() { "clusters in no tier" } else { "; clusters in no tier" });
            return Decision::clusters(rest.healthy).because(because);
        }
        Decision::otherwise().because(because)
    }
}

fn sorted(mut clusters: Vec<Cluster<'_>>) -> Vec<Cluster<'_>> {
    clusters.sort_unstable_by_key(Cluster::id);
    clusters
}

/// For example `tier 1: 1 of 2 serve, 2 needed`.
fn say(text: &mut String, tier: u32, healthy: u32, all: u32, needed: u32) {
    if !text.is_empty() {
        text.push_str("; ");
    }
    text.push_str("tier ");
    standard::push_number(text, tier);
    text.push_str(": ");
    standard::push_number(text, healthy);
    text.push_str(" of ");
    standard::push_number(text, all);
    text.push_str(" serve");
    if healthy < needed {
        text.push_str(", ");
        standard::push_number(text, needed);
        text.push_str(" needed");
    }
}

mcsdns_policy_sdk::export!(Failover: Selection);

#[cfg(test)]
mod tests;
