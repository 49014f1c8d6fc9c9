//! Sets with weights for DNS providers that know them. See README.md.

use std::collections::BTreeMap;

use mcsdns_policy_sdk::prelude::*;
use serde::Deserialize;

/// Label of a MemberCluster that gives its weight.
pub const LABEL: &str = "weighted.mcsdns.io/weight";

/// The property that carries a weight to Route 53.
const AWS_WEIGHT: &str = "aws/weight";

/// The highest weight of Route 53.
const HIGHEST: u32 = 255;

/// The longest identifier of a set; names of clusters can be longer.
const IDENTIFIER_BYTES: usize = 128;

/// What its users write.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    provider: Provider,
    #[serde(default)]
    clusters: BTreeMap<String, u32>,
    #[serde(default)]
    regions: BTreeMap<String, u32>,
    #[serde(default = "hundred")]
    default: u32,
    #[serde(default = "all_levels")]
    places: Vec<Level>,
    #[serde(default)]
    properties: BTreeMap<String, String>,
}

/// Who serves the zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Provider {
    Aws,
    None,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Level {
    Everywhere,
    Regions,
    Zones,
}

const fn hundred() -> u32 {
    100
}

fn all_levels() -> Vec<Level> {
    vec![Level::Everywhere, Level::Regions, Level::Zones]
}

/// Weights by cluster and region.
#[derive(Debug)]
pub struct Weighted {
    config: Config,
}

impl Policy for Weighted {
    type Config = Config;
    const ABOUT: About = About::new("weighted", env!("CARGO_PKG_VERSION"))
        .needs(Needs::NONE.cluster_names().cluster_labels(&[LABEL]))
        .config_schema(include_str!("../config.schema.json"));

    fn new(config: Config) -> Result<Self, ConfigError> {
        let tables = [("clusters", &config.clusters), ("regions", &config.regions)];
        for (field, table) in tables {
            if let Some((name, weight)) = table.iter().find(|(_, weight)| **weight > HIGHEST) {
                return Err(ConfigError::new(format!("{field}.{name}"), format!("{weight} is more than {HIGHEST}")));
            }
        }
        if config.default > HIGHEST {
            return Err(ConfigError::new("default", format!("{} is more than {HIGHEST}", config.default)));
        }
        if config.provider == Provider::None && !config.properties.is_empty() {
            return Err(ConfigError::new("properties", "there are no sets to put them on with `provider: none`"));
        }
        if config.properties.contains_key(AWS_WEIGHT) {
            return Err(ConfigError::new("properties", format!("{AWS_WEIGHT} comes from the weights")));
        }
        Ok(Self { config })
    }
}

impl Selection for Weighted {
    fn select(&self, ask: &Ask<'_>) -> Result<Vec<Decision>, Refusal> {
        let weights: Vec<u32> = ask.fleet.iter().map(|cluster| self.weight(ask, cluster)).collect();
        let weight_of = |cluster: &Cluster<'_>| weights.get(cluster.id().index()).copied().unwrap_or_default();
        ask.each(|name| {
            let level = match name.place {
                Place::Everywhere => Level::Everywhere,
                Place::Region(_) => Level::Regions,
                Place::Zone(_) => Level::Zones,
            };
            if !self.config.places.contains(&level) {
                return Ok(standard::decision(ask, name));
            }
            let serving: Vec<_> = ask.clusters_in(name.place).filter(Cluster::offers).collect();
            if serving.is_empty() {
                return Ok(standard::decision(ask, name));
            }
            let weighted: Vec<_> = serving.iter().copied().filter(|cluster| weight_of(cluster) > 0).collect();
            // Weights are a wish; that the name is answered is more important.
            let drained = weighted.is_empty();
            let clusters = if drained { serving } else { weighted };
            let weight_of = |cluster: &Cluster<'_>| if drained { 1 } else { weight_of(cluster) };
            let because = because(&clusters, weight_of, drained);
            Ok(match self.config.provider {
                Provider::None => Decision::clusters(clusters),
                Provider::Aws => Decision::new(Answer::Sets(
                    clusters.into_iter().map(|cluster| self.set(cluster, weight_of(&cluster))).collect(),
                )),
            }
            .because(because))
        })
    }
}

impl Weighted {
    /// By name, else by label, else by region, else the default.
    fn weight(&self, ask: &Ask<'_>, cluster: Cluster<'_>) -> u32 {
        if let Some(weight) = self.config.clusters.get(cluster.name()) {
            return *weight;
        }
        if let Some(label) = cluster.label(LABEL) {
            match label.parse() {
                Ok(weight @ 0..=HIGHEST) => return weight,
                Ok(_) | Err(_) => log::warn(&format!(
                    "label {LABEL} of cluster {} is `{label}`: a number from 0 to {HIGHEST} is needed",
                    cluster.name()
                )),
            }
        }
        self.config.regions.get(ask.region_of(cluster)).copied().unwrap_or(self.config.default)
    }

    fn set(&self, cluster: Cluster<'_>, weight: u32) -> WeightedSet {
        let mut digits = String::new();
        standard::push_number(&mut digits, weight);
        let identifier = label::shortened(cluster.name(), IDENTIFIER_BYTES);
        let set = WeightedSet::of_clusters(identifier, [cluster]).property(AWS_WEIGHT, digits);
        self.config.properties.iter().fold(set, |set, (name, value)| set.property(name, value))
    }
}

/// The weights of the first few clusters: texts are bounded.
fn because(clusters: &[Cluster<'_>], weight_of: impl Fn(&Cluster<'_>) -> u32, drained: bool) -> String {
    let mut text = String::with_capacity(96);
    text.push_str(if drained { "every weight is 0, all count alike: " } else { "weights " });
    for (index, cluster) in clusters.iter().enumerate() {
        if index > 0 {
            text.push_str(", ");
        }
        if index == 8 {
            text.push_str("...");
            break;
        }
        text.push_str(cluster.name());
        text.push(' ');
        standard::push_number(&mut text, weight_of(cluster));
    }
    text
}

mcsdns_policy_sdk::export!(Weighted: Selection);

#[cfg(test)]
mod tests {
    use mcsdns_policy_sdk::{
        State,
        testing::{Member, Scene, configured, logged},
    };

    use super::*;

    fn scene() -> Scene {
        Scene::new("shop", "prod")
            .cluster(Member::new("a").at("eu", "eu1").address("192.0.2.1").address("2001:db8::1"))
            .cluster(Member::new("b").at("us", "us1").address("192.0.2.2").label(LABEL, "30"))
            .cluster(Member::new("c").at("us", "us1").address("192.0.2.3").state(State::NoReadyEndpoints))
    }

    fn everywhere(scene: &Scene, config: &str) -> String {
        scene.select(&configured::<Weighted>(config).unwrap()).unwrap().remove(0)
    }

    #[test]
    fn every_cluster_that_serves_is_a_set_with_its_weight() {
        assert_eq!(
            everywhere(&scene(), r#"{"provider": "aws", "clusters": {"a": 70}}"#),
            "everywhere: set a 192.0.2.1 2001:db8::1 aws/weight=70, set b 192.0.2.2 aws/weight=30 (weights a 70, b 30)"
        );
    }

    #[test]
    fn a_weight_comes_from_the_name_the_label_the_region_or_the_default() {
        let weights = |config| everywhere(&scene(), config).split_once('(').unwrap().1.to_owned();
        assert_eq!(weights(r#"{"provider": "aws"}"#), "weights a 100, b 30)");
        assert_eq!(weights(r#"{"provider": "aws", "regions": {"eu": 5, "us": 6}}"#), "weights a 5, b 30)");
        assert_eq!(weights(r#"{"provider": "aws", "clusters": {"b": 1}, "default": 2}"#), "weights a 2, b 1)");
    }

    #[test]
    fn a_weight_of_nothing_takes_a_cluster_out_unless_all_have_it() {
        let config = r#"{"provider": "none", "clusters": {"a": 0}}"#;
        assert_eq!(everywhere(&scene(), config), "everywhere: b (weights b 30)");
        let config = r#"{"provider": "aws", "clusters": {"a": 0, "b": 0}}"#;
        assert_eq!(
            everywhere(&scene(), config),
            "everywhere: set a 192.0.2.1 2001:db8::1 aws/weight=1, set b 192.0.2.2 aws/weight=1 \
             (every weight is 0, all count alike: a 1, b 1)"
        );
    }

    #[test]
    fn a_place_that_nobody_serves_follows_its_fallback() {
        let scene = Scene::new("shop", "prod").cluster(Member::new("a").at("eu", "eu1").state(State::NoAddress));
        assert_eq!(everywhere(&scene, r#"{"provider": "aws"}"#), "everywhere: otherwise (0 of 1 cluster serve)");
    }

    #[test]
    fn places_and_properties_are_as_configured() {
        let config =
            r#"{"provider": "aws", "places": ["regions"], "properties": {"aws/evaluate-target-health": "true"}}"#;
        let answers = scene().select(&configured::<Weighted>(config).unwrap()).unwrap();
        assert_eq!(answers[0], "everywhere: a b (2 of 3 clusters serve)");
        assert_eq!(
            answers[2],
            "region us: set b 192.0.2.2 aws/weight=30 aws/evaluate-target-health=true (weights b 30)"
        );
    }

    #[test]
    fn a_very_long_name_of_a_cluster_still_makes_an_identifier() {
        let scene = Scene::new("shop", "prod").cluster(Member::new(&"c".repeat(253)).address("192.0.2.1"));
        let answer = everywhere(&scene, r#"{"provider": "aws"}"#);
        let identifier = answer.split(' ').nth(2).unwrap();
        assert_eq!(identifier.len(), 128);
    }

    #[test]
    fn a_label_that_is_no_weight_is_logged_and_passed_over() {
        let _ = logged();
        let scene = Scene::new("shop", "prod").cluster(Member::new("a").address("192.0.2.1").label(LABEL, "heavy"));
        assert!(everywhere(&scene, r#"{"provider": "aws"}"#).ends_with("(weights a 100)"));
        assert!(logged()[0].1.contains("`heavy`"));
    }

    #[test]
    fn configurations_that_cannot_work_are_refused() {
        let refused = |config| configured::<Weighted>(config).unwrap_err().to_string();
        assert_eq!(refused(r#"{"provider": "aws", "clusters": {"a": 256}}"#), "clusters.a: 256 is more than 255");
        assert!(refused(r#"{"provider": "azure"}"#).starts_with("unknown variant `azure`"));
        assert!(refused(r#"{"provider": "none", "properties": {"a": "b"}}"#).starts_with("properties: "));
        assert!(refused(r#"{"provider": "aws", "properties": {"aws/weight": "1"}}"#).starts_with("properties: "));
    }
}
