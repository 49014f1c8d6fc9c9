//! A neighbour region answers before everywhere does. See README.md.

use std::collections::BTreeMap;

use mcsdns_policy_sdk::prelude::*;
use serde::Deserialize;

/// What its users write.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    neighbours: BTreeMap<String, Vec<String>>,
    #[serde(default)]
    zones: Zones,
}

/// What stands in for a zone that nobody serves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Zones {
    #[default]
    Fallback,
    Nearest,
}

/// Who is near whom.
#[derive(Debug)]
pub struct NearestRegion {
    neighbours: BTreeMap<String, Vec<String>>,
    zones: Zones,
}

impl Policy for NearestRegion {
    type Config = Config;
    const ABOUT: About =
        About::new("nearest-region", env!("CARGO_PKG_VERSION")).config_schema(include_str!("../config.schema.json"));

    fn new(config: Config) -> Result<Self, ConfigError> {
        for (region, neighbours) in &config.neighbours {
            let field = format!("neighbours.{region}");
            for (index, neighbour) in neighbours.iter().enumerate() {
                if let Some(bad) = [region, neighbour].into_iter().find(|name| !label::is_label(name)) {
                    let message = format!("`{bad}` is not a region: regions are lower-case DNS labels");
                    return Err(ConfigError::new(field, message));
                }
                if neighbour == region {
                    return Err(ConfigError::new(field, "a region is not its own neighbour"));
                }
                if neighbours.iter().take(index).any(|earlier| earlier == neighbour) {
                    return Err(ConfigError::new(field, format!("`{neighbour}` is there twice")));
                }
            }
        }
        Ok(Self { neighbours: config.neighbours, zones: config.zones })
    }
}

impl Selection for NearestRegion {
    fn select(&self, ask: &Ask<'_>) -> Result<Vec<Decision>, Refusal> {
        ask.each(|name| {
            let own = standard::decision(ask, name);
            let region = match (name.place, self.zones) {
                (Place::Everywhere, _) | (Place::Zone(_), Zones::Fallback) => None,
                (place @ (Place::Region(_) | Place::Zone(_)), _) => ask.places.region_of(place),
            };
            match (own.answer == Answer::Otherwise, region) {
                (true, Some(region)) => Ok(self.nearest(ask, name.place, region).unwrap_or(own)),
                _ => Ok(own),
            }
        })
    }
}

impl NearestRegion {
    /// The answer of the nearest region with a cluster that serves.
    fn nearest(&self, ask: &Ask<'_>, place: Place, region: u32) -> Option<Decision> {
        let own = ask.places.region(region);
        // A zone asks its own region first; for a region itself that would be asking twice.
        let itself = matches!(place, Place::Zone(_)).then_some(own);
        let neighbours = self.neighbours.get(own).into_iter().flatten().map(String::as_str);
        for near in itself.into_iter().chain(neighbours) {
            // A neighbour without any cluster is no place of the fleet.
            let Some(index) = ask.places.region_named(near) else { continue };
            let mut serving = ask.clusters_in(Place::Region(index)).filter(Cluster::offers).peekable();
            if serving.peek().is_some() {
                let mut because = String::with_capacity(80);
                because.push_str("nobody serves in ");
                because.push_str(&ask.places.name(place).to_string());
                because.push_str("; nearest is region ");
                because.push_str(near);
                return Some(Decision::clusters(serving).because(because));
            }
        }
        None
    }
}

mcsdns_policy_sdk::export!(NearestRegion: Selection);

#[cfg(test)]
mod tests {
    use mcsdns_policy_sdk::{
        State,
        testing::{Member, Scene, configured},
    };

    use super::*;

    const TABLE: &str = r#"{"neighbours": {"eu": ["africa", "us", "asia"], "us": ["eu"]}}"#;

    fn answers(config: &str, serving: &str) -> Vec<String> {
        let scene = ["asia", "eu", "us"].into_iter().fold(Scene::new("shop", "prod"), |scene, region| {
            let state = if serving.contains(region) { State::Serving } else { State::NoAddress };
            scene.cluster(Member::new(&format!("in-{region}")).at(region, "z").address("192.0.2.1").state(state))
        });
        scene.select(&configured::<NearestRegion>(config).unwrap()).unwrap()
    }

    #[test]
    fn a_region_answers_for_itself_while_it_can() {
        let answers = answers(TABLE, "asia eu us");
        assert_eq!(answers[0], "everywhere: in-asia in-eu in-us (3 of 3 clusters serve)");
        assert_eq!(answers[2], "region eu: in-eu (1 of 1 cluster in region eu serve)");
    }

    #[test]
    fn neighbours_are_asked_in_their_order_and_missing_ones_passed_over() {
        assert_eq!(answers(TABLE, "us asia")[2], "region eu: in-us (nobody serves in region eu; nearest is region us)");
        assert_eq!(
            answers(TABLE, "asia")[2],
            "region eu: in-asia (nobody serves in region eu; nearest is region asia)"
        );
    }

    #[test]
    fn without_a_neighbour_that_serves_the_name_follows_its_fallback() {
        assert_eq!(answers(TABLE, "asia")[3], "region us: otherwise (0 of 1 cluster in region us serve)");
        assert_eq!(answers(TABLE, "eu us")[1], "region asia: otherwise (0 of 1 cluster in region asia serve)");
    }

    #[test]
    fn zones_follow_their_fallback_or_are_answered_by_the_nearest() {
        assert!(answers(TABLE, "us")[5].starts_with("zone z of eu: otherwise"));
        let nearest = TABLE.replacen('{', r#"{"zones": "nearest", "#, 1);
        let all = answers(&nearest, "us");
        assert_eq!(all[5], "zone z of eu: in-us (nobody serves in zone z of eu; nearest is region us)");
        assert_eq!(all[6], "zone z of us: in-us (1 of 1 cluster in zone z of us serve)");
    }

    #[test]
    fn a_zone_asks_its_own_region_first() {
        let scene = Scene::new("shop", "prod")
            .cluster(Member::new("a").at("eu", "eu1").state(State::NoService))
            .cluster(Member::new("b").at("eu", "eu2").address("192.0.2.1"))
            .cluster(Member::new("c").at("us", "us1").address("192.0.2.2"));
        let config = r#"{"neighbours": {"eu": ["us"]}, "zones": "nearest"}"#;
        let answers = scene.select(&configured::<NearestRegion>(config).unwrap()).unwrap();
        assert_eq!(answers[3], "zone eu1 of eu: b (nobody serves in zone eu1 of eu; nearest is region eu)");
    }

    #[test]
    fn tables_that_cannot_work_are_refused() {
        let refused = |config| configured::<NearestRegion>(config).unwrap_err().to_string();
        assert_eq!(refused(r#"{"neighbours": {"eu": ["eu"]}}"#), "neighbours.eu: a region is not its own neighbour");
        assert_eq!(refused(r#"{"neighbours": {"eu": ["us", "us"]}}"#), "neighbours.eu: `us` is there twice");
        assert_eq!(
            refused(r#"{"neighbours": {"eu": ["US"]}}"#),
            "neighbours.eu: `US` is not a region: regions are lower-case DNS labels"
        );
    }
}
