use mcsdns_policy_sdk::{
    State,
    testing::{Member, Scene, configured, logged},
};

use super::*;

const TWO_TIERS: &str = r#"{"tiers": [{"clusters": ["a", "b"], "minimum": 2}, {"regions": ["us"]}]}"#;

/// Clusters a and b in eu, c and d in us, e in asia; those named serve.
fn scene(serving: &str) -> Scene {
    ["a", "b", "c", "d", "e"].into_iter().fold(Scene::new("shop", "prod"), |scene, name| {
        let member = match name {
            "a" | "b" => Member::new(name).at("eu", "eu1"),
            "c" | "d" => Member::new(name).at("us", "us1"),
            _ => Member::new(name).at("asia", "asia1"),
        };
        let state = if serving.contains(name) { State::Serving } else { State::NoReadyEndpoints };
        scene.cluster(member.address("192.0.2.1").state(state))
    })
}

fn everywhere(config: &str, serving: &str) -> String {
    scene(serving).select(&configured::<Failover>(config).unwrap()).unwrap().remove(0)
}

fn refused(config: &str) -> String {
    configured::<Failover>(config).unwrap_err().to_string()
}

#[test]
fn the_first_tier_with_enough_answers_alone() {
    assert_eq!(everywhere(TWO_TIERS, "abcde"), "everywhere: a b (tier 1: 2 of 2 serve)");
    assert_eq!(everywhere(TWO_TIERS, "cd"), "everywhere: c d (tier 1: 0 of 2 serve, 2 needed; tier 2: 2 of 2 serve)");
}

#[test]
fn a_tier_with_too_few_is_joined_or_replaced_by_the_next() {
    let because = "(tier 1: 1 of 2 serve, 2 needed; tier 2: 1 of 2 serve)";
    assert_eq!(everywhere(TWO_TIERS, "bc"), format!("everywhere: b c {because}"));
    let replace = TWO_TIERS.replacen('{', r#"{"spill": "replace", "#, 1);
    assert_eq!(everywhere(&replace, "bc"), format!("everywhere: c {because}"));
}

#[test]
fn without_enough_anywhere_whoever_is_left_answers() {
    let replace = TWO_TIERS.replacen('{', r#"{"spill": "replace", "#, 1);
    for config in [TWO_TIERS, &replace] {
        assert_eq!(
            everywhere(config, "b"),
            "everywhere: b (tier 1: 1 of 2 serve, 2 needed; tier 2: 0 of 2 serve, 1 needed)"
        );
    }
}

#[test]
fn clusters_in_no_tier_are_the_last_resort_or_none() {
    assert_eq!(
        everywhere(TWO_TIERS, "e"),
        "everywhere: e (tier 1: 0 of 2 serve, 2 needed; tier 2: 0 of 2 serve, 1 needed; clusters in no tier)"
    );
    let never = TWO_TIERS.replacen('{', r#"{"rest": "never", "#, 1);
    assert!(everywhere(&never, "e").starts_with("everywhere: otherwise"));
    assert!(everywhere(&never.replace("never", "keep"), "e").starts_with("everywhere: keep"));
}

#[test]
fn an_unreachable_cluster_within_its_grace_period_counts() {
    let scene = Scene::new("shop", "prod")
        .cluster(Member::new("a").address("192.0.2.1").state(State::Unreachable))
        .cluster(Member::new("b").address("192.0.2.2"));
    let answers = scene.select(&configured::<Failover>(TWO_TIERS).unwrap()).unwrap();
    assert_eq!(answers, ["everywhere: a b (tier 1: 2 of 2 serve)"]);
}

#[test]
fn regions_and_zones_follow_the_tiers_only_when_asked() {
    let answers = scene("abcde").select(&configured::<Failover>(TWO_TIERS).unwrap()).unwrap();
    assert_eq!(answers[1], "region asia: e (1 of 1 cluster in region asia serve)");
    let all = r#"{"tiers": [{"clusters": ["a", "c"], "minimum": 2}], "places": ["everywhere", "regions", "zones"]}"#;
    let answers = scene("abcde").select(&configured::<Failover>(all).unwrap()).unwrap();
    // One cluster of the tier is in eu, so one is enough there.
    assert_eq!(answers[2], "region eu: a (tier 1: 1 of 1 serve)");
    assert_eq!(answers[1], "region asia: e (clusters in no tier)");
    assert_eq!(answers[5], "zone eu1 of eu: a (tier 1: 1 of 1 serve)");
}

#[test]
fn a_cluster_is_in_the_tier_that_names_it_rather_than_its_region() {
    let config = r#"{"tiers": [{"regions": ["eu"]}, {"clusters": ["a"]}]}"#;
    assert_eq!(everywhere(config, "ab"), "everywhere: b (tier 1: 1 of 1 serve)");
}

#[test]
fn a_cluster_that_is_not_there_is_logged() {
    let _ = logged();
    everywhere(r#"{"tiers": [{"clusters": ["a", "nowhere"]}]}"#, "a");
    assert_eq!(logged().len(), 1);
}

#[test]
fn configurations_that_cannot_work_are_refused() {
    assert_eq!(refused(r#"{"tiers": [{"minimum": 1}]}"#), "tiers[0]: name `clusters`, `regions` or both");
    assert_eq!(
        refused(r#"{"tiers": [{"clusters": ["a"], "minimum": 2}]}"#),
        "tiers[0].minimum: 2 can never be reached with 1 clusters"
    );
    assert_eq!(
        refused(r#"{"tiers": [{"clusters": ["a"]}, {"clusters": ["b", "a"]}]}"#),
        "tiers[1].clusters: `a` is in tiers[0] already"
    );
    assert_eq!(
        refused(r#"{"tiers": [{"regions": ["EU"]}]}"#),
        "tiers[0].regions: `EU` is not a region: regions are lower-case DNS labels"
    );
    assert_eq!(refused("{}"), "missing field `tiers`");
}
