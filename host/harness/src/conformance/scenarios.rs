//! The questions of the suite. Each is one that a host may ask.

use std::sync::Arc;

use mcsdns_core::decision::{Cluster, ClusterState, DecisionInput, Needs, Places, ZonePlace};

use crate::fleets::{annotations, fleet, ipv4, ipv6, mixed_fleet, set_state};

/// One question.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// Stable.
    pub name: &'static str,
    /// What it shows, for people.
    pub description: &'static str,
    /// The question.
    pub input: DecisionInput,
    /// Nothing in it is odd or too long, so every name should be publishable.
    pub ordinary: bool,
}

/// Clusters of the scenarios that are not about size.
const SIZE: u32 = 8;

/// Texts that an annotation may hold, and that an author may not have thought of.
const ODD_TEXT: &str = "\u{1F30D} ä\u{0301} \"quoted\" 'single' \\ ${HOME} %s {{x}} <b>\r\n\t\u{0}\u{202E}end";

/// All scenarios, with what a policy with these needs is told.
#[must_use]
pub fn scenarios(needs: &Needs) -> Vec<Scenario> {
    let mut all = Vec::new();
    sizes(&mut all, needs);
    states(&mut all, needs);
    addresses(&mut all, needs);
    words(&mut all, needs);
    all
}

fn sizes(all: &mut Vec<Scenario>, needs: &Needs) {
    let mut add = |name, description, input| all.push(Scenario { name, description, input, ordinary: true });
    add("ordinary", "eight clusters in eight regions, all of them serve", fleet(SIZE, needs));
    add("no-clusters", "a record and no cluster at all", {
        let mut input = fleet(0, needs);
        input.places = Arc::new(Places::default());
        input
    });
    add("no-clusters-left", "places that are known and no cluster in them", fleet(0, needs));
    add("one-cluster", "one cluster", fleet(1, needs));
    add(
        "hundred-clusters",
        "100 clusters in 10 regions and 30 zones, a tenth of them without endpoints",
        mixed_fleet(100, needs),
    );
    add(
        "thousand-clusters",
        "1000 clusters in 10 regions and 30 zones, a tenth of them without endpoints",
        mixed_fleet(1000, needs),
    );
    add("one-region", "eight clusters in one zone of one region", {
        let mut input = fleet(SIZE, needs);
        input.places = Arc::new(Places {
            regions: vec![Arc::from("eu")],
            zones: vec![ZonePlace { name: Arc::from("eu1"), region: 0 }],
        });
        each(&mut input, |_, cluster| (cluster.region, cluster.zones) = (Some(0), [0].into()));
        input
    });
    add("stretched-clusters", "clusters with nodes in all zones of their region", {
        let mut input = fleet(SIZE, needs);
        each(&mut input, |_, cluster| {
            let region = cluster.region.unwrap_or(0);
            cluster.zones = (region * 3..region * 3 + 3).collect();
        });
        input
    });
    add("unknown-region", "clusters whose region is not known", {
        let mut input = fleet(SIZE, needs);
        each(&mut input, |i, cluster| {
            if i % 2 == 0 {
                (cluster.region, cluster.zones) = (None, Arc::new([]));
            }
        });
        input
    });
}

fn states(all: &mut Vec<Scenario>, needs: &Needs) {
    let mut add = |name, description, change: &dyn Fn(u32, &mut Cluster)| {
        let mut input = fleet(SIZE, needs);
        each(&mut input, change);
        all.push(Scenario { name, description, input, ordinary: true });
    };
    add("half-without-endpoints", "every second cluster has no ready endpoints", &|i, cluster| {
        if i % 2 == 0 {
            set_state(cluster, ClusterState::NoReadyEndpoints);
        }
    });
    add("nothing-serves", "no cluster has ready endpoints", &|_, cluster| {
        set_state(cluster, ClusterState::NoReadyEndpoints);
    });
    add("no-service-anywhere", "the Service is in no cluster", &|_, cluster| {
        set_state(cluster, ClusterState::NoService);
    });
    add("every-state", "clusters in every state there is", &|i, cluster| {
        match i % 5 {
            0 => {}
            1 => set_state(cluster, ClusterState::NoReadyEndpoints),
            2 => set_state(cluster, ClusterState::NoAddress),
            3 => set_state(cluster, ClusterState::NoService),
            _ => cluster.state = ClusterState::Unreachable,
        };
    });
    add("unreachable-with-addresses", "no cluster can be reached; what they last offered is known", &|_, cluster| {
        cluster.state = ClusterState::Unreachable;
    });
    add("unreachable-without-addresses", "no cluster can be reached and nothing is known of them", &|_, cluster| {
        set_state(cluster, ClusterState::Unreachable);
    });
    add("ages", "states that began just now and states as old as can be told", &|i, cluster| {
        cluster.state_for_seconds = needs.state_age.then_some(if i % 2 == 0 { 0 } else { u32::MAX });
    });
}

fn addresses(all: &mut Vec<Scenario>, needs: &Needs) {
    let mut add = |name, description, change: &dyn Fn(u32, &mut Cluster)| {
        let mut input = fleet(SIZE, needs);
        each(&mut input, change);
        all.push(Scenario { name, description, input, ordinary: true });
    };
    add("ipv6-only", "IPv6 addresses and no other", &|i, cluster| cluster.addresses = [ipv6(i)].into());
    add("both-families", "an IPv4 and an IPv6 address at every cluster", &|i, cluster| {
        cluster.addresses = [ipv4(i), ipv6(i)].into();
    });
    add("mixed-families", "clusters with IPv4 only beside clusters with IPv6 only", &|i, cluster| {
        cluster.addresses = [if i % 2 == 0 { ipv4(i) } else { ipv6(i) }].into();
    });
    add("shared-address", "clusters behind one address", &|_, cluster| cluster.addresses = [ipv4(1)].into());
    add("many-addresses", "a hundred addresses at every cluster", &|i, cluster| {
        cluster.addresses = (0..100).map(|n| ipv4(i * 256 + n)).collect();
    });
}

fn words(all: &mut Vec<Scenario>, needs: &Needs) {
    let mut add = |name, description, ordinary, input| all.push(Scenario { name, description, input, ordinary });
    let label = "a".repeat(63);
    add("very-long-names", "service, namespace, federation and places of 63 characters, a domain of 250", false, {
        let mut input = fleet(SIZE, needs);
        let text: Arc<str> = Arc::from(label.as_str());
        let subject = &mut input.subject;
        (subject.service, subject.namespace, subject.federation) = (text.clone(), text.clone(), text);
        subject.domain = Arc::from(format!("{}example.com", format!("{}.", "d".repeat(58)).repeat(4)));
        let mut places = Places::clone(&input.places);
        let long = |i: usize| Arc::from(format!("{}{i:02}", "p".repeat(61)));
        (0..).zip(&mut places.regions).for_each(|(i, region)| *region = long(i));
        (0..).zip(&mut places.zones).for_each(|(i, zone)| zone.name = long(i));
        input.places = Arc::new(places);
        input.subject.annotations = annotations(needs, &"v".repeat(4096));
        each(&mut input, |i, cluster| cluster.name = Arc::from(format!("{}{i:03}", "c".repeat(250))));
        label_all(&mut input, needs, &label);
        input
    });
    add("very-short-names", "names of one character", false, {
        let mut input = fleet(SIZE, needs);
        let text: Arc<str> = Arc::from("a");
        let subject = &mut input.subject;
        (subject.service, subject.namespace, subject.federation) = (text.clone(), text.clone(), text);
        subject.domain = Arc::from("d");
        subject.annotations = annotations(needs, "1");
        label_all(&mut input, needs, "1");
        input
    });
    // The host lowers `externalName` and `dnsPrefix` and leaves everything else in them to the policy and the guard rails.
    for (name, description, word) in [
        ("odd-words", "externalName, dnsPrefix and annotations with characters that are none of a DNS name", ODD_TEXT),
        ("dotted-words", "externalName, dnsPrefix and annotations with dots at every place", ".a..b."),
        ("wildcard-words", "externalName, dnsPrefix and annotations that are `*`", "*"),
        ("long-words", "externalName, dnsPrefix and annotations of 10,000 characters", ""),
    ] {
        let word = if word.is_empty() { "w".repeat(10_000) } else { word.to_lowercase() };
        let mut input = fleet(SIZE, needs);
        input.subject.external_name = Some(Arc::from(word.as_str()));
        input.subject.dns_prefix = Some(Arc::from(word.as_str()));
        input.subject.annotations = annotations(needs, &word);
        // Values of labels are checked by Kubernetes: 63 characters of a small set, or none at all.
        label_all(&mut input, needs, "A_b.c-9");
        add(name, description, false, input);
    }
    add("numbers-as-names", "names that are numbers, as Kubernetes allows", true, {
        let mut input = fleet(SIZE, needs);
        input.subject.service = Arc::from("1");
        input.subject.namespace = Arc::from("2");
        input.subject.annotations = annotations(needs, "-1");
        label_all(&mut input, needs, "0");
        input
    });
    add("domain-of-two-letters", "a zone that occurs within the names of the record", true, {
        let mut input = fleet(SIZE, needs);
        input.subject.domain = Arc::from("galactic.svc");
        input.subject.service = Arc::from("svc");
        input.subject.namespace = Arc::from("galactic");
        input
    });
    add("largest-ttl", "the longest TTL that a record may ask for", true, {
        let mut input = fleet(SIZE, needs);
        input.subject.record_ttl = Some(mcsdns_core::guard::MAX_TTL);
        input
    });
    add("no-ttl", "a record that asks for no TTL", true, {
        let mut input = fleet(SIZE, needs);
        input.subject.record_ttl = None;
        input
    });
}

fn each(input: &mut DecisionInput, change: impl Fn(u32, &mut Cluster)) {
    (0..).zip(&mut input.clusters).for_each(|(i, cluster)| change(i, cluster));
}

/// Every second cluster has all labels that are needed.
fn label_all(input: &mut DecisionInput, needs: &Needs, value: &str) {
    let labels: Vec<(u32, Arc<str>)> =
        (0..).zip(&needs.cluster_labels).map(|(key, _)| (key, Arc::from(value))).collect();
    each(input, |i, cluster| {
        if i % 2 == 0 {
            cluster.labels.clone_from(&labels);
        }
    });
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn questions_are_such_as_a_host_asks() {
        let needs = Needs {
            addresses: true,
            cluster_names: true,
            cluster_labels: vec!["tier".into()],
            annotations: vec!["example.com/a".into()],
            ready_endpoints: true,
            state_age: true,
        };
        let all = scenarios(&needs);
        let names: BTreeSet<_> = all.iter().map(|scenario| scenario.name).collect();
        assert_eq!(names.len(), all.len(), "names are unique");
        for Scenario { name, input, .. } in &all {
            assert_eq!(input.check(), Ok(()), "{name}");
            assert!(input.clusters.is_sorted_by(|a, b| a.name < b.name), "{name}: clusters are sorted");
            assert!(input.places.regions.is_sorted(), "{name}: places are sorted");
            assert!(input.subject.domain.len() <= 253, "{name}");
            for cluster in &input.clusters {
                assert!(cluster.addresses.is_sorted(), "{name}: addresses are sorted");
                let offers = matches!(cluster.state, ClusterState::Serving | ClusterState::Unreachable);
                assert!(offers || cluster.addresses.is_empty(), "{name}: {:?} offers nothing", cluster.state);
            }
        }
    }
}
