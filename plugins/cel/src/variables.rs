//! What expressions are told. Each is made only when an expression uses it.

use std::collections::HashMap;

use cel::{Context, Value};
use mcsdns_policy_sdk::{AnswerKind, Ask, Cluster, Outcome, Place, State, Subject};

use crate::{
    Environment, Level,
    expression::{Scope, Uses},
};

const NO_FIELDS: &[&str] = &[];

/// What a record asks for.
const RECORD: &[&str] = &["name", "service", "namespace", "federation", "domain", "prefix", "ttl", "annotations"];

/// Names: the record, and the region and zone of the name (empty where it has none).
pub(crate) const NAMING: Scope = Scope { variables: &[("record", RECORD), ("region", NO_FIELDS), ("zone", NO_FIELDS)] };

/// Filters: the record and one cluster.
pub(crate) const FILTER: Scope = Scope {
    variables: &[
        ("record", RECORD),
        (
            "cluster",
            &["name", "region", "zones", "labels", "serving", "unreachable", "addresses", "readyEndpoints", "since"],
        ),
    ],
};

/// TTLs: the record and what came out for a name.
pub(crate) const TTL: Scope = Scope {
    variables: &[
        ("record", RECORD),
        ("place", NO_FIELDS),
        ("answer", NO_FIELDS),
        ("targets", NO_FIELDS),
        ("serving", NO_FIELDS),
        ("notServing", NO_FIELDS),
        ("unreachable", NO_FIELDS),
        ("stableFor", NO_FIELDS),
    ],
};

/// The variable `record`.
pub(crate) fn record(context: &mut Context<'_, '_>, subject: &Subject<'_>, uses: &Uses) {
    let texts = [
        ("name", "record.name", subject.name()),
        ("service", "record.service", subject.service),
        ("namespace", "record.namespace", subject.namespace),
        ("federation", "record.federation", subject.federation),
        ("domain", "record.domain", subject.domain),
        ("prefix", "record.prefix", subject.dns_prefix.unwrap_or_default()),
    ];
    let texts = texts.into_iter().filter(|(_, full, _)| uses.uses(full));
    let mut fields: HashMap<&str, Value> = texts.map(|(field, _, text)| (field, Value::from(text))).collect();
    if uses.uses("record.ttl") {
        fields.insert("ttl", Value::Int(subject.record_ttl.unwrap_or_default().into()));
    }
    if uses.uses("record.annotations") {
        let value = |key: &String| (key.clone(), Value::from(subject.annotation(key).unwrap_or_default()));
        fields.insert("annotations", uses.annotations.iter().map(value).collect::<HashMap<_, _>>().into());
    }
    if !fields.is_empty() {
        context.add_variable_from_value("record", fields);
    }
}

/// Variables of the place of a name.
pub(crate) fn place(context: &mut Context<'_, '_>, region: &str, zone: &str) {
    context.add_variable_from_value("region", region);
    context.add_variable_from_value("zone", zone);
}

/// The variable `cluster`.
pub(crate) fn cluster(context: &mut Context<'_, '_>, ask: &Ask<'_>, cluster: Cluster<'_>, uses: &Uses) {
    let mut fields: HashMap<&str, Value> = HashMap::new();
    let mut put = |field: &'static str, full: &str, value: &dyn Fn() -> Value| {
        if uses.uses(full) {
            fields.insert(field, value());
        }
    };
    put("name", "cluster.name", &|| Value::from(cluster.name()));
    put("region", "cluster.region", &|| Value::from(ask.region_of(cluster)));
    put("zones", "cluster.zones", &|| {
        let zone = |index: &u32| ask.places.zone(*index).map_or("", |zone| zone.name);
        Value::from(cluster.zones().iter().map(zone).collect::<Vec<_>>())
    });
    put("labels", "cluster.labels", &|| {
        let value = |key: &String| (key.clone(), Value::from(cluster.label(key).unwrap_or_default()));
        Value::from(uses.labels.iter().map(value).collect::<HashMap<_, _>>())
    });
    put("serving", "cluster.serving", &|| Value::Bool(cluster.is_serving()));
    put("unreachable", "cluster.unreachable", &|| Value::Bool(cluster.state() == State::Unreachable));
    put("addresses", "cluster.addresses", &|| Value::Int(cluster.address_count().into()));
    put("readyEndpoints", "cluster.readyEndpoints", &|| Value::Int(cluster.ready_endpoints().into()));
    put("since", "cluster.since", &|| Value::Int(cluster.state_age().into()));
    if !fields.is_empty() {
        context.add_variable_from_value("cluster", fields);
    }
}

/// Variables of an outcome.
pub(crate) fn outcome(context: &mut Context<'_, '_>, outcome: &Outcome, uses: &Uses) {
    if uses.uses("place") {
        let place = match outcome.place {
            Place::Everywhere => "everywhere",
            Place::Region(_) => "region",
            Place::Zone(_) => "zone",
        };
        context.add_variable_from_value("place", place);
    }
    if uses.uses("answer") {
        let answer = match outcome.kind {
            AnswerKind::Targets => "addresses",
            AnswerKind::Sets => "sets",
            AnswerKind::Alias => "alias",
            AnswerKind::Kept => "kept",
            AnswerKind::Nothing => "nothing",
        };
        context.add_variable_from_value("answer", answer);
    }
    let numbers = [
        ("targets", outcome.targets),
        ("serving", outcome.serving),
        ("notServing", outcome.not_serving),
        ("unreachable", outcome.unreachable),
        // A place without clusters has never changed.
        ("stableFor", outcome.stable_for_seconds.unwrap_or(u32::MAX)),
    ];
    for (name, number) in numbers.into_iter().filter(|(name, _)| uses.uses(name)) {
        context.add_variable_from_value(name, i64::from(number));
    }
}

/// Variables of some record. What is asked for by key is empty.
fn sample<'v>(env: &Environment, uses: &Uses) -> Context<'v, 'v> {
    let mut context = env.context();
    let annotations: HashMap<_, _> = uses.annotations.iter().map(|key| (key.clone(), Value::from(""))).collect();
    let fields: HashMap<&str, Value> = HashMap::from([
        ("name", Value::from("web")),
        ("service", Value::from("web")),
        ("namespace", Value::from("prod")),
        ("federation", Value::from("galactic")),
        ("domain", Value::from("example.com")),
        ("prefix", Value::from("www")),
        ("ttl", Value::Int(300)),
        ("annotations", Value::from(annotations)),
    ]);
    context.add_variable_from_value("record", fields);
    context
}

/// Some record and place.
pub(crate) fn sample_naming<'v>(env: &Environment, level: Level, uses: &Uses) -> Context<'v, 'v> {
    let mut context = sample(env, uses);
    match level {
        Level::Everywhere => place(&mut context, "", ""),
        Level::Region => place(&mut context, "us-west1", ""),
        Level::Zone => place(&mut context, "us-west1", "us-west1-b"),
    }
    context
}

/// Some record and cluster.
pub(crate) fn sample_filter<'v>(env: &Environment, uses: &Uses) -> Context<'v, 'v> {
    let mut context = sample(env, uses);
    let labels: HashMap<_, _> = uses.labels.iter().map(|key| (key.clone(), Value::from(""))).collect();
    let fields: HashMap<&str, Value> = HashMap::from([
        ("name", Value::from("c1")),
        ("region", Value::from("us-west1")),
        ("zones", Value::from(vec!["us-west1-b"])),
        ("labels", Value::from(labels)),
        ("serving", Value::Bool(true)),
        ("unreachable", Value::Bool(false)),
        ("addresses", Value::Int(1)),
        ("readyEndpoints", Value::Int(1)),
        ("since", Value::Int(3600)),
    ]);
    context.add_variable_from_value("cluster", fields);
    context
}

/// Some record and outcome.
pub(crate) fn sample_ttl<'v>(env: &Environment, uses: &Uses) -> Context<'v, 'v> {
    let mut context = sample(env, uses);
    context.add_variable_from_value("place", "everywhere");
    context.add_variable_from_value("answer", "addresses");
    for name in ["targets", "serving", "notServing", "unreachable", "stableFor"] {
        context.add_variable_from_value(name, 1_i64);
    }
    context
}
