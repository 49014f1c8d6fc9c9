//! Runs a policy natively, for tests: the same conversions as in the sandbox, without the sandbox.
//!
//! ```
//! use mcsdns_policy_sdk::testing::{Member, Scene};
//!
//! let scene = Scene::new("shop", "prod")
//!     .domain("shops", "example.org")
//!     .annotation("example.org/team", "blue")
//!     .cluster(Member::new("c1").at("eu", "eu1").address("192.0.2.1").address("2001:db8::1"))
//!     .cluster(Member::new("c2").at("us", "us1").state(mcsdns_policy_sdk::State::NoReadyEndpoints));
//! ```
//!
//! A scene tells a policy what it declared to need and no more, as the host does. What it leaves out is the host's own
//! checks of names, addresses and TTLs: those are what `mcsdns policy test` adds.

use std::{
    cell::RefCell,
    net::{IpAddr, Ipv6Addr},
};

use crate::{
    ConfigError, Naming, Outcome, Places, Policy, Refusal, Selection, State, Subject, Ttl, Ttls,
    bindings::mcsdns::policy::types, fleet::NO_REGION, guest, log::Level, policy::read, subject::count,
};

thread_local! {
    static LINES: RefCell<Vec<(Level, String)>> = const { RefCell::new(Vec::new()) };
}

pub(crate) fn keep_line(level: Level, message: &str) {
    LINES.with_borrow_mut(|lines| lines.push((level, message.to_owned())));
}

/// What this thread logged since it was last asked.
#[must_use]
pub fn logged() -> Vec<(Level, String)> {
    LINES.take()
}

/// The policy as a configuration in JSON makes it; an empty text is an empty configuration.
///
/// # Errors
/// When the configuration will not do.
pub fn configured<P: Policy>(json: &str) -> Result<P, ConfigError> {
    read(if json.trim().is_empty() { "{}" } else { json })
}

/// A cluster of a scene: it serves, without addresses, in no place, until told otherwise.
#[derive(Clone, Debug)]
pub struct Member {
    name: String,
    region: Option<String>,
    zones: Vec<String>,
    labels: Vec<(String, String)>,
    state: State,
    age: u32,
    ready_endpoints: u32,
    addresses: Vec<IpAddr>,
}

impl Member {
    /// A cluster by that name.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            region: None,
            zones: Vec::new(),
            labels: Vec::new(),
            state: State::Serving,
            age: 3600,
            ready_endpoints: 1,
            addresses: Vec::new(),
        }
    }

    /// In that region, with nodes in that zone; called again, in one more zone.
    #[must_use]
    pub fn at(mut self, region: &str, zone: &str) -> Self {
        self.region = Some(region.to_owned());
        self.zones.push(zone.to_owned());
        self
    }

    /// In that region, in zones that are not known.
    #[must_use]
    pub fn in_region(mut self, region: &str) -> Self {
        self.region = Some(region.to_owned());
        self
    }

    /// With one more address. A text that is no address becomes `::`, which no test expects.
    #[must_use]
    pub fn address(mut self, address: &str) -> Self {
        self.addresses.push(address.parse().unwrap_or(IpAddr::V6(Ipv6Addr::UNSPECIFIED)));
        self
    }

    /// In that state. Only serving and unreachable clusters offer their addresses.
    #[must_use]
    pub const fn state(mut self, state: State) -> Self {
        self.state = state;
        self
    }

    /// For so many seconds in its state; an hour unless told otherwise.
    #[must_use]
    pub const fn since(mut self, seconds: u32) -> Self {
        self.age = seconds;
        self
    }

    /// With that label.
    #[must_use]
    pub fn label(mut self, key: &str, value: &str) -> Self {
        self.labels.push((key.to_owned(), value.to_owned()));
        self
    }

    /// With so many ready endpoints; one unless told otherwise.
    #[must_use]
    pub const fn ready_endpoints(mut self, number: u32) -> Self {
        self.ready_endpoints = number;
        self
    }
}

/// A record and the clusters it lives in. The Domain is `example.com` by the name of `galactic` until told otherwise.
#[derive(Clone, Debug)]
pub struct Scene {
    subject: types::Subject,
    members: Vec<Member>,
}

impl Scene {
    /// A record for that Service.
    #[must_use]
    pub fn new(service: &str, namespace: &str) -> Self {
        Self {
            subject: types::Subject {
                service: service.to_owned(),
                namespace: namespace.to_owned(),
                federation: "galactic".to_owned(),
                domain: "example.com".to_owned(),
                external_name: None,
                dns_prefix: None,
                record_ttl: None,
                annotations: Vec::new(),
            },
            members: Vec::new(),
        }
    }

    /// In that Domain.
    #[must_use]
    pub fn domain(mut self, name: &str, zone: &str) -> Self {
        name.clone_into(&mut self.subject.federation);
        zone.clone_into(&mut self.subject.domain);
        self
    }

    /// With `spec.externalName`.
    #[must_use]
    pub fn external_name(mut self, name: &str) -> Self {
        self.subject.external_name = Some(name.to_owned());
        self
    }

    /// With `spec.dnsPrefix`.
    #[must_use]
    pub fn dns_prefix(mut self, prefix: &str) -> Self {
        self.subject.dns_prefix = Some(prefix.to_owned());
        self
    }

    /// With `spec.recordTTL`.
    #[must_use]
    pub const fn record_ttl(mut self, seconds: u32) -> Self {
        self.subject.record_ttl = Some(seconds);
        self
    }

    /// With that annotation.
    #[must_use]
    pub fn annotation(mut self, key: &str, value: &str) -> Self {
        self.subject.annotations.push((key.to_owned(), value.to_owned()));
        self
    }

    /// With one more cluster.
    #[must_use]
    pub fn cluster(mut self, member: Member) -> Self {
        self.members.push(member);
        self.members.sort_by(|a, b| a.name.cmp(&b.name));
        self
    }

    /// The names the policy gives, in its order, one text each: `FQDN PLACE [or FQDN | alias of FQDN]`.
    ///
    /// # Errors
    /// What the policy refuses.
    pub fn names<P: Naming>(&self, policy: &P) -> Result<Vec<String>, Refusal> {
        let subject = self.subject_for(policy);
        let places = self.places();
        let names = policy.names(&view(&subject), &places.view())?;
        let fqdn = |id| names.get(id).map_or("(a name that is not there)", |name| name.fqdn.as_str());
        Ok(names
            .iter()
            .map(|name| {
                let place = places.view().name(name.place);
                let fallback = match name.fallback {
                    crate::Fallback::Nothing => String::new(),
                    crate::Fallback::AliasOf(id) => format!(" or {}", fqdn(id)),
                    crate::Fallback::AlwaysAliasOf(id) => format!(" alias of {}", fqdn(id)),
                };
                format!("{} {place}{fallback}", name.fqdn)
            })
            .collect())
    }

    /// What the policy answers for everywhere, every region and every zone, one text each: `PLACE: ANSWER (BECAUSE)`,
    /// where the answer is names of clusters, `set IDENTIFIER ADDRESS ... NAME=VALUE` for each set, `otherwise` or
    /// `keep`. The names in question are those of the policy in the box.
    ///
    /// # Errors
    /// What the policy refuses.
    pub fn select<P: Selection>(&self, policy: &P) -> Result<Vec<String>, Refusal> {
        Ok(self.decide(policy)?.into_iter().map(|(place, text, _)| format!("{place}: {text}")).collect())
    }

    /// When the policy wants to be asked again, name by name, in the order of [`select`](Self::select).
    ///
    /// # Errors
    /// What the policy refuses.
    pub fn rechecks<P: Selection>(&self, policy: &P) -> Result<Vec<Option<u32>>, Refusal> {
        Ok(self.decide(policy)?.into_iter().map(|(.., recheck)| recheck).collect())
    }

    fn decide<P: Selection>(&self, policy: &P) -> Result<Vec<(String, String, Option<u32>)>, Refusal> {
        let subject = self.subject_for(policy);
        let places = self.places();
        let (questions, fqdns) = self.questions(&places);
        let fqdns = if policy.needs().fqdns { fqdns } else { Vec::new() };
        let given = guest::select_with(policy, &subject, &places.wit, self.fleet(policy, &places), &questions, &fqdns)?;
        let view = places.view();
        let place = |question: &types::Question| view.name(guest::place(question.place)).to_string();
        let text = |decision: &types::Decision| {
            let answer = self.answer(&decision.answer);
            if decision.because.is_empty() { answer } else { format!("{answer} ({})", decision.because) }
        };
        let one = |(question, decision): (&types::Question, types::Decision)| {
            (place(question), text(&decision), decision.recheck_after_seconds)
        };
        Ok(questions.iter().zip(given).map(one).collect())
    }

    /// The TTLs the policy gives.
    ///
    /// # Errors
    /// What the policy refuses.
    pub fn ttls<P: Ttl>(&self, policy: &P, outcomes: &[Outcome]) -> Result<Ttls, Refusal> {
        policy.ttls(&view(&self.subject_for(policy)), outcomes)
    }

    /// The record, with the annotations that the policy needs.
    fn subject_for<P: Policy>(&self, policy: &P) -> types::Subject {
        let mut subject = self.subject.clone();
        subject.annotations.retain(|(key, _)| policy.needs().annotations.contains(&key.as_str()));
        subject.annotations.sort();
        subject
    }

    fn places(&self) -> OwnPlaces {
        let mut regions: Vec<&str> = self.members.iter().filter_map(|member| member.region.as_deref()).collect();
        regions.sort_unstable();
        regions.dedup();
        let region_of = |name: &str| regions.iter().position(|region| *region == name).unwrap_or_default();
        let mut zones: Vec<(usize, &str)> = Vec::new();
        for member in &self.members {
            let region = region_of(member.region.as_deref().unwrap_or_default());
            zones.extend(member.zones.iter().map(|zone| (region, zone.as_str())));
        }
        zones.sort_unstable();
        zones.dedup();
        OwnPlaces {
            wit: types::Places {
                regions: regions.join("\n"),
                zones: zones.iter().map(|(_, zone)| *zone).collect::<Vec<_>>().join("\n"),
                zone_regions: zones.iter().map(|(region, _)| count(*region)).collect(),
            },
        }
    }

    fn questions(&self, places: &OwnPlaces) -> (Vec<types::Question>, Vec<String>) {
        let mut names = crate::Names::new();
        crate::standard::names(&view(&self.subject), &places.view(), &mut names);
        let names = guest::names_of(names);
        let fqdns = names.iter().map(|name| name.fqdn.clone()).collect();
        (names.into_iter().map(|name| types::Question { place: name.place, fallback: name.fallback }).collect(), fqdns)
    }

    /// The columns, as far as the policy needs them.
    fn fleet<P: Policy>(&self, policy: &P, places: &OwnPlaces) -> types::Fleet {
        let needs = policy.needs();
        let view = places.view();
        let mut fleet = types::Fleet {
            states: Vec::new(),
            regions: Vec::new(),
            zone_counts: Vec::new(),
            zones: Vec::new(),
            address_counts: Vec::new(),
            addresses: Vec::new(),
            ready_endpoints: Vec::new(),
            state_for_seconds: Vec::new(),
            names: Vec::new(),
            labels: Vec::new(),
        };
        for (index, member) in (0..).zip(&self.members) {
            let region = member.region.as_deref().and_then(|region| view.region_named(region));
            let zones = view
                .zones()
                .filter(|(_, zone)| Some(zone.region) == region && member.zones.iter().any(|name| name == zone.name));
            let zones: Vec<u32> = zones.map(|(zone, _)| zone).collect();
            let offered = match member.state {
                State::Serving | State::Unreachable => member.addresses.as_slice(),
                State::NoReadyEndpoints | State::NoAddress | State::NoService => &[],
            };
            fleet.states.push(match member.state {
                State::Serving => types::ClusterState::Serving,
                State::NoReadyEndpoints => types::ClusterState::NoReadyEndpoints,
                State::NoAddress => types::ClusterState::NoAddress,
                State::NoService => types::ClusterState::NoService,
                State::Unreachable => types::ClusterState::Unreachable,
            });
            fleet.regions.push(region.unwrap_or(NO_REGION));
            fleet.zone_counts.push(count(zones.len()));
            fleet.zones.extend(zones);
            fleet.address_counts.push(count(offered.len()));
            if needs.addresses {
                fleet.addresses.extend(offered.iter().map(|address| match address {
                    IpAddr::V4(address) => types::Address::Ipv4(address.octets().into()),
                    IpAddr::V6(address) => types::Address::Ipv6(address.segments().into()),
                }));
            }
            if needs.ready_endpoints {
                fleet.ready_endpoints.push(member.ready_endpoints);
            }
            if needs.state_age {
                fleet.state_for_seconds.push(member.age);
            }
            if needs.cluster_names {
                fleet.names.push(member.name.clone());
            }
            for (key, name) in (0..).zip(needs.cluster_labels) {
                let value = member.labels.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone());
                fleet.labels.extend(value.map(|value| types::ClusterLabel { cluster: index, key, value }));
            }
        }
        fleet
    }

    fn answer(&self, answer: &types::Answer) -> String {
        let member = |index: &u32| crate::subject::at(&self.members, *index);
        let address = |target: &types::Target| {
            let address = member(&target.cluster).and_then(|it| crate::subject::at(&it.addresses, target.address));
            address.map_or_else(|| "(an address that is not there)".to_owned(), ToString::to_string)
        };
        match answer {
            types::Answer::Clusters(clusters) => {
                let name = |index| member(index).map_or("(a cluster that is not there)", |it| it.name.as_str());
                clusters.iter().map(name).collect::<Vec<_>>().join(" ")
            }
            types::Answer::Targets(targets) => targets.iter().map(address).collect::<Vec<_>>().join(" "),
            types::Answer::Sets(sets) => {
                let set = |set: &types::WeightedSet| {
                    let mut words = vec!["set".to_owned(), set.set_identifier.clone()];
                    words.extend(set.targets.iter().map(address));
                    words.extend(set.provider_specific.iter().map(|(name, value)| format!("{name}={value}")));
                    words.join(" ")
                };
                sets.iter().map(set).collect::<Vec<_>>().join(", ")
            }
            types::Answer::Otherwise => "otherwise".to_owned(),
            types::Answer::Keep => "keep".to_owned(),
        }
    }
}

/// Places with their own memory.
struct OwnPlaces {
    wit: types::Places,
}

impl OwnPlaces {
    fn view(&self) -> Places<'_> {
        guest::places(&self.wit)
    }
}

fn view(subject: &types::Subject) -> Subject<'_> {
    guest::subject(subject)
}
