//! Tiers as they are looked up.

use std::collections::{BTreeMap, btree_map::Entry};

use mcsdns_policy_sdk::{ConfigError, label};

use crate::TierConfig;

/// One tier.
#[derive(Debug)]
pub(crate) struct Tier {
    /// So many healthy clusters are enough.
    pub(crate) minimum: u32,
}

/// Which tier a cluster or region belongs to.
#[derive(Debug, Default)]
pub(crate) struct Ranks {
    clusters: BTreeMap<String, usize>,
    regions: BTreeMap<String, usize>,
}

impl Ranks {
    pub(crate) fn of_cluster(&self, name: &str) -> Option<usize> {
        self.clusters.get(name).copied()
    }

    pub(crate) fn of_region(&self, name: &str) -> Option<usize> {
        self.regions.get(name).copied()
    }

    /// The clusters that are in tiers by their names.
    pub(crate) fn clusters(&self) -> impl Iterator<Item = &str> {
        self.clusters.keys().map(String::as_str)
    }
}

/// Checks the tiers.
pub(crate) fn read(configured: Vec<TierConfig>) -> Result<(Vec<Tier>, Ranks), ConfigError> {
    let mut ranks = Ranks::default();
    let mut tiers = Vec::with_capacity(configured.len());
    for (index, tier) in configured.into_iter().enumerate() {
        let field = |name: &str| format!("tiers[{index}]{name}");
        if tier.clusters.is_empty() && tier.regions.is_empty() {
            return Err(ConfigError::new(field(""), "name `clusters`, `regions` or both"));
        }
        if tier.minimum == 0 {
            return Err(ConfigError::new(field(".minimum"), "at least 1"));
        }
        // With regions nobody knows beforehand how many clusters there are.
        if tier.regions.is_empty() && usize::try_from(tier.minimum).is_ok_and(|minimum| minimum > tier.clusters.len()) {
            let message = format!("{} can never be reached with {} clusters", tier.minimum, tier.clusters.len());
            return Err(ConfigError::new(field(".minimum"), message));
        }
        put(&mut ranks.clusters, tier.clusters, index, &field(".clusters"))?;
        if let Some(region) = tier.regions.iter().find(|region| !label::is_label(region)) {
            let message = format!("`{region}` is not a region: regions are lower-case DNS labels");
            return Err(ConfigError::new(field(".regions"), message));
        }
        put(&mut ranks.regions, tier.regions, index, &field(".regions"))?;
        tiers.push(Tier { minimum: tier.minimum });
    }
    Ok((tiers, ranks))
}

fn put(ranks: &mut BTreeMap<String, usize>, names: Vec<String>, tier: usize, field: &str) -> Result<(), ConfigError> {
    for name in names {
        match ranks.entry(name) {
            Entry::Vacant(free) => {
                free.insert(tier);
            }
            Entry::Occupied(taken) => {
                let message = format!("`{}` is in tiers[{}] already", taken.key(), taken.get());
                return Err(ConfigError::new(field, message));
            }
        }
    }
    Ok(())
}
