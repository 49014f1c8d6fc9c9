//! Short TTLs while something changes, long ones when all is stable. See README.md.

use mcsdns_policy_sdk::prelude::*;
use serde::Deserialize;

/// What its users write; all in seconds.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    stable: u32,
    changing: u32,
    degraded: u32,
    settle: u32,
    partial: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self { stable: 600, changing: 30, degraded: 60, settle: 900, partial: false }
    }
}

/// Longest TTL and longest time to settle: a week.
const LONGEST: u32 = 604_800;

/// The figures to choose from.
#[derive(Debug)]
pub struct AdaptiveTtl(Config);

impl Policy for AdaptiveTtl {
    type Config = Config;
    const ABOUT: About = About::new("adaptive-ttl", env!("CARGO_PKG_VERSION"))
        .needs(Needs::NONE.state_age())
        .config_schema(include_str!("../config.schema.json"));

    fn new(config: Config) -> Result<Self, ConfigError> {
        let fields = [
            ("stable", config.stable),
            ("changing", config.changing),
            ("degraded", config.degraded),
            ("settle", config.settle),
        ];
        if let Some((field, value)) = fields.into_iter().find(|(_, value)| !(1..=LONGEST).contains(value)) {
            return Err(ConfigError::new(field, format!("{value} is not within 1 and {LONGEST} seconds")));
        }
        for (field, value) in [("changing", config.changing), ("degraded", config.degraded)] {
            if value > config.stable {
                let message = format!("{value} is more than `stable`, {}: it is meant to be shorter", config.stable);
                return Err(ConfigError::new(field, message));
            }
        }
        Ok(Self(config))
    }
}

impl Ttl for AdaptiveTtl {
    fn ttls(&self, subject: &Subject<'_>, outcomes: &[Outcome]) -> Result<Ttls, Refusal> {
        let config = self.0;
        let stable = subject.record_ttl.filter(|ttl| *ttl > 0).unwrap_or(config.stable);
        // The soonest time at which a name that has changed counts as stable.
        let mut settled_in: Option<u32> = None;
        let ttls = Ttls::each(outcomes, |name| {
            let mut ttl = stable;
            if name.unreachable > 0 || (name.not_serving > 0 && !config.partial) {
                ttl = ttl.min(config.degraded);
            }
            let age = name.stable_for_seconds.unwrap_or(u32::MAX);
            if age < config.settle {
                ttl = ttl.min(config.changing);
                let left = config.settle - age;
                settled_in = Some(settled_in.map_or(left, |soonest| soonest.min(left)));
            }
            ttl
        });
        Ok(match settled_in {
            Some(seconds) => ttls.recheck_after(seconds),
            None => ttls,
        })
    }
}

mcsdns_policy_sdk::export!(AdaptiveTtl: Ttl);

#[cfg(test)]
mod tests {
    use mcsdns_policy_sdk::testing::{Scene, configured};

    use super::*;

    /// Serving, not serving and unreachable clusters, and since when nothing has changed.
    fn name(clusters: [u32; 3], age: u32) -> Outcome {
        let mut name = Outcome::new(Place::Everywhere, AnswerKind::Targets);
        [name.serving, name.not_serving, name.unreachable] = clusters;
        name.stable_for_seconds = Some(age);
        name
    }

    fn ttls(config: &str, names: &[Outcome]) -> (Vec<u32>, Option<u32>) {
        let ttls = Scene::new("shop", "prod").ttls(&configured::<AdaptiveTtl>(config).unwrap(), names).unwrap();
        (ttls.seconds, ttls.recheck_after_seconds)
    }

    #[test]
    fn what_is_well_and_old_is_kept_long() {
        assert_eq!(ttls("", &[name([2, 0, 0], 900)]), (vec![600], None));
    }

    #[test]
    fn what_has_changed_is_kept_shortly_until_it_settles() {
        assert_eq!(ttls("", &[name([2, 0, 0], 0), name([2, 0, 0], 899)]), (vec![30, 30], Some(1)));
        assert_eq!(ttls(r#"{"settle": 10, "changing": 5}"#, &[name([2, 0, 0], 4)]), (vec![5], Some(6)));
    }

    #[test]
    fn while_a_cluster_is_degraded_the_ttl_stays_short() {
        let names = [name([1, 1, 0], 10_000), name([1, 0, 1], 10_000)];
        assert_eq!(ttls("", &names), (vec![60, 60], None));
        assert_eq!(ttls(r#"{"partial": true}"#, &names), (vec![600, 60], None));
    }

    #[test]
    fn the_shortest_reason_wins() {
        assert_eq!(ttls("", &[name([1, 1, 0], 10)]), (vec![30], Some(890)));
        assert_eq!(ttls(r#"{"changing": 100}"#, &[name([1, 1, 0], 10)]), (vec![60], Some(890)));
    }

    #[test]
    fn the_ttl_of_the_record_is_the_stable_one() {
        let policy = configured::<AdaptiveTtl>("").unwrap();
        let scene = |ttl| Scene::new("shop", "prod").record_ttl(ttl);
        assert_eq!(scene(120).ttls(&policy, &[name([1, 0, 0], 1000)]).unwrap().seconds, [120]);
        assert_eq!(scene(20).ttls(&policy, &[name([1, 1, 0], 1000)]).unwrap().seconds, [20]);
    }

    #[test]
    fn a_place_without_clusters_is_stable() {
        let nobody = Outcome::new(Place::Region(0), AnswerKind::Alias);
        assert_eq!(ttls("", &[nobody]), (vec![600], None));
    }

    #[test]
    fn figures_that_make_no_sense_are_refused() {
        let refused = |config| configured::<AdaptiveTtl>(config).unwrap_err().to_string();
        assert_eq!(refused(r#"{"settle": 0}"#), "settle: 0 is not within 1 and 604800 seconds");
        assert_eq!(refused(r#"{"stable": 20}"#), "changing: 30 is more than `stable`, 20: it is meant to be shorter");
    }
}
