use mcsdns_policy_sdk::{
    State,
    testing::{Member, Scene, configured},
};

use super::*;

fn scene() -> Scene {
    Scene::new("shop", "prod")
        .cluster(Member::new("c1").at("eu", "eu1").address("192.0.2.1").label("example.org/tier", "gold"))
        .cluster(Member::new("c2").at("us", "us1").address("192.0.2.2").since(30).ready_endpoints(5))
}

fn cel(config: &str) -> Cel {
    configured(config).unwrap()
}

fn names(config: &str) -> Vec<String> {
    scene().names(&cel(config)).unwrap()
}

fn everywhere(filters: &[&str]) -> String {
    let rules: Vec<_> = filters.iter().map(|filter| format!(r#"{{"filter": "{filter}"}}"#)).collect();
    scene().select(&cel(&format!(r#"{{"selection": {{"rules": [{}]}}}}"#, rules.join(", ")))).unwrap().remove(0)
}

fn refused(config: &str) -> String {
    configured::<Cel>(config).unwrap_err().to_string()
}

#[test]
fn without_expressions_everything_is_as_in_the_box() {
    let cel = cel("");
    assert_eq!(scene().names(&cel).unwrap()[0], "shop.prod.galactic.svc.example.com everywhere");
    assert_eq!(scene().select(&cel).unwrap()[0], "everywhere: c1 c2 (2 of 2 clusters serve)");
    assert_eq!(scene().ttls(&cel, &[Outcome::new(Place::Everywhere, AnswerKind::Alias)]).unwrap().seconds, [180]);
    assert_eq!(cel.needs(), Needs::NONE);
}

#[test]
fn names_are_made_for_every_place() {
    let config = r#"{"names": [
        {"name": "zone + '.' + record.service + '.' + record.domain", "place": "zone"},
        {"name": "region + '.' + record.service + '.' + record.domain", "place": "region"},
        {"name": "['%s.%s'.format([record.service, record.domain]), record.service + '-' + record.namespace + '.' + record.domain]"}]}"#;
    assert_eq!(
        names(config),
        [
            "shop.example.com everywhere",
            "shop-prod.example.com everywhere",
            "eu.shop.example.com region eu or shop.example.com",
            "us.shop.example.com region us or shop.example.com",
            "eu1.shop.example.com zone eu1 of eu or eu.shop.example.com",
            "us1.shop.example.com zone us1 of us or us.shop.example.com",
        ]
    );
}

#[test]
fn a_name_may_depend_on_anything_about_the_record() {
    let config = r#"{"names": [
        {"name": "record.service + '.' + record.domain", "when": "record.namespace == 'prod'"},
        {"name": "record.service + '.' + record.namespace + '.' + record.domain", "when": "record.namespace != 'prod'"},
        {"name": "record.annotations['example.org/alias'] == '' ? '' : record.annotations['example.org/alias'] + '.' + record.domain"}]}"#;
    assert_eq!(names(config), ["shop.example.com everywhere"]);
    let other = Scene::new("shop", "test").annotation("example.org/alias", "buy").annotation("other", "x");
    assert_eq!(other.names(&cel(config)).unwrap(), ["shop.test.example.com everywhere", "buy.example.com everywhere"]);
}

#[test]
fn without_a_wider_name_or_when_told_so_a_name_stands_for_itself() {
    let region = |more: &str| {
        names(&format!(r#"{{"names": [{{"name": "region + '.' + record.domain", "place": "region"{more}}}]}}"#))
    };
    assert_eq!(region("")[0], "eu.example.com region eu");
    let config = r#"{"names": [{"name": "record.service + '.' + record.domain"},
        {"name": "region + '.' + record.domain", "place": "region", "otherwise": "nothing"}]}"#;
    assert_eq!(names(config)[1], "eu.example.com region eu");
}

#[test]
fn the_first_filter_that_leaves_clusters_decides() {
    assert_eq!(everywhere(&["cluster.region == 'eu'", "true"]), "everywhere: c1 (rule 1 leaves 1)");
    assert_eq!(
        everywhere(&["cluster.region == 'asia'", "cluster.name.startsWith('c')"]),
        "everywhere: c1 c2 (rule 1 leaves 0; rule 2 leaves 2)"
    );
    assert_eq!(everywhere(&["false"]), "everywhere: otherwise (rule 1 leaves 0)");
}

#[test]
fn filters_see_labels_ages_endpoints_and_zones() {
    assert_eq!(everywhere(&["cluster.labels['example.org/tier'] == 'gold'"]), "everywhere: c1 (rule 1 leaves 1)");
    assert_eq!(everywhere(&["cluster.since >= 60"]), "everywhere: c1 (rule 1 leaves 1)");
    assert_eq!(everywhere(&["cluster.readyEndpoints > 3"]), "everywhere: c2 (rule 1 leaves 1)");
    assert_eq!(everywhere(&["'us1' in cluster.zones"]), "everywhere: c2 (rule 1 leaves 1)");
    assert_eq!(
        everywhere(&["cluster.zones.exists(z, z.endsWith('1')) && cluster.addresses == 1 && cluster.serving"]),
        "everywhere: c1 c2 (rule 1 leaves 2)"
    );
}

#[test]
fn only_clusters_that_offer_addresses_are_looked_at() {
    let scene = scene().cluster(Member::new("c3").address("192.0.2.3").state(State::NoReadyEndpoints));
    let answers = scene.select(&cel(r#"{"selection": {"rules": [{"filter": "true"}]}}"#)).unwrap();
    assert_eq!(answers[0], "everywhere: c1 c2 (rule 1 leaves 2)");
}

#[test]
fn enough_can_be_more_than_one_and_places_can_be_left_out() {
    let config = r#"{"selection": {"places": ["everywhere"], "rules": [
        {"filter": "cluster.region == 'eu'", "atLeast": 2}, {"filter": "cluster.region == 'us'"}]}}"#;
    let answers = scene().select(&cel(config)).unwrap();
    assert_eq!(answers[0], "everywhere: c2 (rule 1 leaves 1; rule 2 leaves 1)");
    assert_eq!(answers[1], "region eu: c1 (1 of 1 cluster in region eu serve)");
}

#[test]
fn ttls_follow_what_came_out() {
    let cel = cel(
        r#"{"ttl": "answer == 'alias' ? 20 : unreachable + notServing > 0 ? 30 : record.ttl > 0 ? record.ttl : 300"}"#,
    );
    let well = Outcome::new(Place::Everywhere, AnswerKind::Targets);
    let mut ill = Outcome::new(Place::Region(1), AnswerKind::Targets);
    ill.unreachable = 1;
    let outcomes = [well, ill, Outcome::new(Place::Zone(3), AnswerKind::Alias), well];
    let ttls = scene().ttls(&cel, &outcomes).unwrap();
    assert_eq!((ttls.seconds, ttls.recheck_after_seconds), (vec![300, 30, 20, 300], None));
    assert_eq!(scene().record_ttl(77).ttls(&cel, &[well]).unwrap().seconds, [77]);
    assert!(!cel.needs().state_age);
}

#[test]
fn expressions_about_ages_are_looked_at_again() {
    let cel = cel(r#"{"ttl": "stableFor < 100 ? 10 : 300", "recheck": {"every": 5, "until": 200},
        "selection": {"rules": [{"filter": "cluster.since >= 10"}]}}"#);
    assert!(cel.needs().state_age);
    let name = |age| {
        let mut name = Outcome::new(Place::Everywhere, AnswerKind::Targets);
        name.stable_for_seconds = Some(age);
        name
    };
    let ttls = |age| scene().ttls(&cel, &[name(age)]).unwrap();
    assert_eq!((ttls(99).seconds, ttls(99).recheck_after_seconds), (vec![10], Some(5)));
    assert_eq!((ttls(199).seconds, ttls(199).recheck_after_seconds), (vec![300], Some(5)));
    assert_eq!(ttls(200).recheck_after_seconds, None);
    assert_eq!(scene().rechecks(&cel).unwrap()[0], Some(5));
}

#[test]
fn it_needs_what_its_expressions_use() {
    let needs = cel(r#"{"names": [{"name": "record.annotations['b'] + record.annotations.a + record.service + '.' + record.domain"}],
        "selection": {"rules": [{"filter": "cluster.labels.tier == 'gold' || cluster.name == 'x'"}]}}"#).needs();
    assert_eq!(needs, Needs::NONE.cluster_names().cluster_labels(&["tier"]).annotations(&["a", "b"]));
}

#[test]
fn mistakes_are_told_with_line_and_column() {
    let name = |text: &str| refused(&format!(r#"{{"names": [{{"name": "{text}"}}]}}"#));
    assert!(name("record.service +").starts_with("names[0].name: line 1, column 17: "), "{}", name("record.service +"));
    assert!(name("record.service +\\n  ) + record.domain").starts_with("names[0].name: line 2, column 3: "));
    assert_eq!(
        name("record.service + '.' +\\n  domian"),
        "names[0].name: line 2, column 3: there is no `domian` here; there are record, region, zone"
    );
    assert_eq!(name("1 + 2"), "names[0].name: this gives a int, but a text or a list of texts is needed");
    assert_eq!(name("record.service + 1"), "names[0].name: line 1, column 16: `+` does not work on (string, int)");
    assert_eq!(
        name("record.service.upper() + record.domain"),
        "names[0].name: line 1, column 21: there is no function `upper`"
    );
    assert_eq!(
        name("record.service + '.example.org'"),
        "names[0].name: in the domain `example.com` this gives `web.example.org`: a name must end in '.' + record.domain"
    );
    let filter = |text: &str| refused(&format!(r#"{{"selection": {{"rules": [{{"filter": "{text}"}}]}}}}"#));
    assert_eq!(
        filter("cluster.regoin == 'eu'"),
        "selection.rules[0].filter: line 1, column 8: `cluster` has no `regoin`; it has name, region, zones, labels, \
         serving, unreachable, addresses, readyEndpoints, since"
    );
    assert!(filter("has(cluster.labels.tier)").contains("compare 'tier' with '' instead"));
    assert!(filter("'tier' in cluster.labels").contains("compare 'tier' with '' instead"));
    assert!(filter("cluster.labels[record.service] == ''").contains("the key must be written out"));
    assert!(filter("cluster.labels == {}").contains("labels are asked for by key"));
    assert!(filter("cluster == cluster").contains("`cluster` is asked for by field"));
    assert!(refused(r#"{"ttl": "'long'"}"#).starts_with("ttl: this gives a string"));
}

#[test]
fn expressions_are_nested_only_so_deep() {
    let nested = |depth: usize| format!(r#"{{"ttl": "{}1{}"}}"#, "-(1 + ".repeat(depth), ")".repeat(depth));
    assert!(configured::<Cel>(&nested(20)).is_ok());
    assert!(refused(&nested(200)).starts_with("ttl: line 1, column 1: expression recursion limit exceeded"));
    let sum = |parts: usize| format!(r#"{{"ttl": "{}"}}"#, vec!["1"; parts].join(" + "));
    assert!(configured::<Cel>(&sum(100)).is_ok());
    assert_eq!(refused(&sum(300)), "ttl: it is 300 parts deep or long, 250 are allowed; make it a list, or several");
}

#[test]
fn what_fails_only_for_some_records_refuses_only_those() {
    let cel =
        cel(r#"{"names": [{"name": "record.service + '.' + record.namespace.split('-')[1] + '.' + record.domain"}]}"#);
    assert_eq!(Scene::new("shop", "a-b").names(&cel).unwrap(), ["shop.b.example.com everywhere"]);
    let refusal = Scene::new("shop", "prod").names(&cel).unwrap_err();
    assert_eq!(refusal.field, "names[0].name");
    assert!(refusal.message.contains("Index out of bounds"), "{}", refusal.message);
}
