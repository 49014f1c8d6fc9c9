//! A policy is told what it declared to need and no more, and what it answers arrives.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may fail by panicking")]

use mcsdns_policy_sdk::{
    Target, keys,
    prelude::*,
    testing::{Member, Scene, configured, logged},
};
use serde::Deserialize;

/// Says what it sees.
struct Witness {
    needs: Needs,
    refuse: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    #[serde(default)]
    labels: Vec<String>,
    #[serde(default)]
    everything: bool,
    #[serde(default)]
    refuse: bool,
}

impl Policy for Witness {
    type Config = Config;
    const ABOUT: About = About::new("witness", "1.0.0").config_schema("{}");

    fn new(config: Config) -> Result<Self, ConfigError> {
        if config.labels.iter().any(String::is_empty) {
            return Err(ConfigError::new("labels", "a key is empty"));
        }
        let mut needs = Needs::NONE.cluster_labels(keys(config.labels));
        if config.everything {
            needs = needs.addresses().cluster_names().annotations(&["a"]).fqdns().ready_endpoints().state_age();
        }
        Ok(Self { needs, refuse: config.refuse })
    }

    fn needs(&self) -> Needs {
        self.needs
    }
}

impl Selection for Witness {
    fn select(&self, ask: &Ask<'_>) -> Result<Vec<Decision>, Refusal> {
        if self.refuse {
            return Err(Refusal::new("subject.service", "not today"));
        }
        log::info("asked");
        ask.each(|name| {
            let seen: Vec<String> = ask
                .clusters_in(name.place)
                .map(|cluster| {
                    format!(
                        "{}|{:?}|{}|{:?}|{}|{}|{:?}|{:?}|{:?}",
                        cluster.name(),
                        cluster.addresses(),
                        cluster.address_count(),
                        cluster.labels().collect::<Vec<_>>(),
                        cluster.ready_endpoints(),
                        cluster.state_age(),
                        ask.subject.annotation("a"),
                        ask.subject.annotation("b"),
                        name.fqdn
                    )
                })
                .collect();
            Ok(Decision::otherwise().because(seen.join(" ")).recheck_after(7))
        })
    }
}

fn scene() -> Scene {
    Scene::new("shop", "prod").annotation("a", "1").annotation("b", "2").cluster(
        Member::new("c1")
            .at("eu", "eu1")
            .address("192.0.2.1")
            .address("2001:db8::1")
            .label("tier", "gold")
            .label("other", "x")
            .ready_endpoints(4)
            .since(30),
    )
}

fn witness(config: &str) -> String {
    scene().select(&configured::<Witness>(config).unwrap()).unwrap().remove(0)
}

#[test]
fn without_needs_there_is_the_minimum() {
    assert_eq!(witness(""), "everywhere: otherwise (|[]|2|[]|0|0|None|None|None)");
}

#[test]
fn what_is_needed_is_there_and_nothing_beside_it() {
    assert_eq!(
        witness(r#"{"everything": true, "labels": ["missing", "tier"]}"#),
        "everywhere: otherwise (c1|[192.0.2.1, 2001:db8::1]|2|[(\"tier\", \"gold\")]|4|30|Some(\"1\")|None|\
         Some(\"shop.prod.galactic.svc.example.com\"))"
    );
}

#[test]
fn rechecks_refusals_and_lines_arrive() {
    let _ = logged();
    let policy = configured::<Witness>("").unwrap();
    assert_eq!(scene().rechecks(&policy).unwrap(), [Some(7); 3]);
    assert_eq!(logged(), [(log::Level::Info, "asked".to_owned())]);
    let refusing = configured::<Witness>(r#"{"refuse": true}"#).unwrap();
    assert_eq!(scene().select(&refusing).unwrap_err().to_string(), "subject.service: not today");
}

#[test]
fn configurations_are_refused_by_the_policy_and_before() {
    let refused = |config| configured::<Witness>(config).err().unwrap().to_string();
    assert_eq!(refused(r#"{"labels": [""]}"#), "labels: a key is empty");
    assert_eq!(refused(r#"{"label": []}"#), "unknown field `label`, expected one of `labels`, `everything`, `refuse`");
}

/// Answers in every way there is.
struct AllAnswers;

impl Policy for AllAnswers {
    type Config = NoConfig;
    const ABOUT: About = About::new("all-answers", "1.0.0").needs(Needs::NONE.cluster_names());

    fn new(_: NoConfig) -> Result<Self, ConfigError> {
        Ok(Self)
    }
}

impl Selection for AllAnswers {
    fn select(&self, ask: &Ask<'_>) -> Result<Vec<Decision>, Refusal> {
        let c1 = ask.fleet.named("c1").unwrap();
        ask.each(|name| {
            Ok(match name.place {
                Place::Everywhere => Decision::new(Answer::Targets(vec![Target { cluster: c1.id(), address: 1 }])),
                Place::Region(_) => {
                    let set = WeightedSet::of_clusters("all", ask.clusters_in(name.place)).property("p", "v");
                    Decision::new(Answer::Sets(vec![set]))
                }
                Place::Zone(_) => Decision::keep(),
            })
        })
    }
}

#[test]
fn every_answer_arrives() {
    assert_eq!(
        scene().dns_prefix("www").select(&AllAnswers).unwrap(),
        [
            "everywhere: 2001:db8::1",
            "region eu: set all 192.0.2.1 2001:db8::1 p=v",
            "zone eu1 of eu: keep",
            "everywhere: otherwise (always an alias)",
        ]
    );
}
