//! Guard rails: what of a policy's answer may be used at all.
//!
//! Two kinds of findings. A [`Violation`] is the policy's fault: the whole answer is refused and what is published
//! stays. A [`Refusal`] concerns one name, usually because of what the record says (too long, bad prefix, taken): that
//! name is withheld and the others go on.

use std::{
    collections::{HashMap, HashSet},
    net::IpAddr,
    sync::{Arc, LazyLock},
};

use crate::{
    decision::{Answer, DecisionInput, DecisionOutput, Fallback, Place, Target},
    name,
    plan::RecordType,
    reason::Reason,
};

/// Largest TTL (RFC 2181 section 8).
pub const MAX_TTL: u32 = 2_147_483_647;

/// Most sets of one name.
const MAX_SETS: usize = 1000;
/// Most properties of one set.
const MAX_PROPERTIES: usize = 50;
/// Most addresses of all names of a record, as a multiple of those that one name may have. One DNSEndpoint holds them all,
/// and etcd takes 1.5 MiB.
const MAX_TARGETS_IN_ALL: usize = 10;

/// Bounds that a decision is held to.
#[derive(Clone, Debug)]
pub struct Limits<'a> {
    /// Zone of the Domain, normalised.
    pub zone: &'a str,
    /// Most names.
    pub max_names: usize,
    /// Most addresses per name.
    pub max_targets: usize,
    /// TTLs are brought within these bounds, in seconds.
    pub min_ttl: u32,
    /// See `min_ttl`.
    pub max_ttl: u32,
}

/// A rule that a policy broke.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field} = `{value}`: {message}")]
pub struct Violation {
    /// The rule, stable: `wrong-count`, `index-out-of-range`, `name-outside-domain` ...
    pub rule: &'static str,
    /// Which part of the answer, for example `names[3].fqdn`.
    pub field: String,
    /// The offending value, shortened.
    pub value: String,
    /// The rule in words.
    pub message: String,
}

impl Violation {
    fn new(
        rule: &'static str,
        field: impl Into<String>,
        value: &(impl ToString + ?Sized),
        message: impl Into<String>,
    ) -> Self {
        let mut value = value.to_string();
        if value.len() > 100 {
            value = value.chars().take(97).collect::<String>() + "...";
        }
        Self { rule, field: field.into(), value, message: message.into() }
    }
}

/// Why one name is withheld.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Stable.
    pub reason: Reason,
    /// For people.
    pub message: Arc<str>,
}

/// A decision whose indexes, counts and TTLs are in order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Checked {
    /// In the policy's order.
    pub names: Vec<CheckedName>,
}

impl Checked {
    /// Brings TTLs within bounds, in seconds.
    pub fn clamp(&mut self, min: u32, max: u32) {
        for name in &mut self.names {
            name.ttl = name.ttl.max(min).min(max);
        }
    }
}

/// One name with its answer in addresses.
#[derive(Clone, Debug, PartialEq)]
pub struct CheckedName {
    /// The name.
    pub fqdn: Arc<str>,
    /// The level it stands for.
    pub place: Place,
    /// What stands in for it; its index is valid and there are no loops.
    pub fallback: Fallback,
    /// What stands behind it.
    pub answer: CheckedAnswer,
    /// Seconds, within bounds.
    pub ttl: u32,
    /// The policy's words.
    pub because: Arc<str>,
    /// Withheld for a reason that does not depend on other records.
    pub refused: Option<Box<Refusal>>,
}

/// Addresses of both families, sorted, without duplicates.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Addresses {
    /// For type A.
    pub v4: Arc<[IpAddr]>,
    /// For type AAAA.
    pub v6: Arc<[IpAddr]>,
}

impl Addresses {
    /// None at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.v4.is_empty() && self.v6.is_empty()
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.v4.len() + self.v6.len()
    }

    /// Sorts, splits by family and removes duplicates.
    #[must_use]
    pub fn of(mut all: Vec<IpAddr>) -> Self {
        // IPv4 sorts before IPv6.
        all.sort_unstable();
        all.dedup();
        let split = all.partition_point(IpAddr::is_ipv4);
        // Most fleets have one family only, and every name would have an empty list of its own.
        static NONE: LazyLock<Arc<[IpAddr]>> = LazyLock::new(|| Arc::new([]));
        let shared = |list: Vec<IpAddr>| if list.is_empty() { Arc::clone(&NONE) } else { list.into() };
        let v6 = shared(all.split_off(split));
        Self { v4: shared(all), v6 }
    }
}

/// What stands behind a name.
#[derive(Clone, Debug, PartialEq)]
pub enum CheckedAnswer {
    /// Addresses; never empty.
    Addresses(Arc<Addresses>),
    /// Several sets, none of them empty.
    Sets(Vec<CheckedSet>),
    /// What the fallback says.
    Otherwise,
    /// What is published stays.
    Keep,
}

/// One of several answers of a name.
#[derive(Clone, Debug, PartialEq)]
pub struct CheckedSet {
    /// Unique per name.
    pub identifier: Arc<str>,
    /// Its addresses.
    pub addresses: Addresses,
    /// Sorted by name.
    pub provider_specific: Vec<(Arc<str>, Arc<str>)>,
}

/// Checks a whole answer.
///
/// # Errors
/// The first rule that the policy broke; then nothing of the answer may be used.
pub fn check(input: &DecisionInput, output: &DecisionOutput, limits: &Limits<'_>) -> Result<Checked, Violation> {
    let count = output.names.len();
    if count > limits.max_names {
        return Err(Violation::new("too-many-names", "names", &count, format!("at most {} names", limits.max_names)));
    }
    for (field, length) in [("decisions", output.decisions.len()), ("ttls", output.ttls.len())] {
        if length != count {
            return Err(Violation::new("wrong-count", field, &length, format!("there are {count} names")));
        }
    }
    check_aliases(output)?;
    let mut first: HashMap<&str, usize> = HashMap::with_capacity(count);
    let mut memo = Memo::default();
    let mut names = Vec::with_capacity(count);
    for (i, ((wanted, decision), ttl)) in output.names.iter().zip(&output.decisions).zip(&output.ttls).enumerate() {
        check_place(input, i, wanted.place)?;
        let mut refused = check_fqdn(i, &wanted.fqdn, limits.zone)?;
        if let Some(other) = first.get(wanted.fqdn.as_str()) {
            refused = Some(Refusal {
                reason: Reason::NameConflict,
                message: format!(
                    "{} is already a name of this record (number {} of its policy's answer); change dnsPrefix or externalName",
                    wanted.fqdn,
                    other + 1
                )
                .into(),
            });
        } else {
            first.insert(&wanted.fqdn, i);
        }
        if *ttl == 0 || *ttl > MAX_TTL {
            return Err(Violation::new(
                "ttl-out-of-bounds",
                format!("ttls[{i}]"),
                ttl,
                "a TTL is 1 to 2147483647 seconds",
            ));
        }
        names.push(CheckedName {
            fqdn: wanted.fqdn.as_str().into(),
            place: wanted.place,
            fallback: wanted.fallback,
            answer: check_answer(input, i, &decision.answer, limits, &mut memo)?,
            ttl: (*ttl).max(limits.min_ttl).min(limits.max_ttl),
            because: memo.text(&decision.because),
            refused: refused.map(Box::new),
        });
    }
    let in_all: usize = names.iter().map(|name| name.answer.count()).sum();
    if in_all > limits.max_targets.saturating_mul(MAX_TARGETS_IN_ALL) {
        return Err(Violation::new(
            "too-many-targets",
            "decisions",
            &in_all,
            format!(
                "at most {} addresses in all names together",
                limits.max_targets.saturating_mul(MAX_TARGETS_IN_ALL)
            ),
        ));
    }
    Ok(Checked { names })
}

impl CheckedAnswer {
    /// How many addresses.
    fn count(&self) -> usize {
        match self {
            Self::Addresses(addresses) => addresses.len(),
            Self::Sets(sets) => sets.iter().map(|set| set.addresses.len()).sum(),
            Self::Otherwise | Self::Keep => 0,
        }
    }
}

fn check_place(input: &DecisionInput, i: usize, place: Place) -> Result<(), Violation> {
    let (index, length) = match place {
        Place::Everywhere => return Ok(()),
        Place::Region(index) => (index, input.places.regions.len()),
        Place::Zone(index) => (index, input.places.zones.len()),
    };
    if (index as usize) < length {
        return Ok(());
    }
    Err(out_of_range(format!("names[{i}].place"), index, length, "places of that kind"))
}

fn out_of_range(field: String, index: u32, length: usize, what: &str) -> Violation {
    Violation::new("index-out-of-range", field, &index, format!("there are {length} {what}"))
}

fn check_fqdn(i: usize, fqdn: &str, zone: &str) -> Result<Option<Refusal>, Violation> {
    if !name::is_within(fqdn, zone) {
        return Err(Violation::new(
            "name-outside-domain",
            format!("names[{i}].fqdn"),
            fqdn,
            format!("names lie below {zone}, in lower case and without a final dot"),
        ));
    }
    Ok(name::check_name(fqdn).err().map(|error| Refusal {
        reason: if error.is_length() { Reason::NameTooLong } else { Reason::NameInvalid },
        message: format!("{fqdn}: {error}").into(),
    }))
}

/// Every alias points to another name, and following them ends.
fn check_aliases(output: &DecisionOutput) -> Result<(), Violation> {
    let next = |i: usize| {
        output.names.get(i).and_then(|name| match name.fallback {
            Fallback::Nothing => None,
            Fallback::AliasOf(to) | Fallback::AlwaysAliasOf(to) => Some(to as usize),
        })
    };
    let count = output.names.len();
    // Names already known to end somewhere, so that the whole check is linear.
    let mut ends = vec![false; count];
    for start in 0..count {
        let mut path = Vec::new();
        let mut at = start;
        while !ends.get(at).copied().unwrap_or(true) {
            path.push(at);
            let Some(to) = next(at) else { break };
            if to >= count {
                return Err(Violation::new(
                    "index-out-of-range",
                    format!("names[{at}].fallback"),
                    &to,
                    format!("there are {count} names"),
                ));
            }
            if path.contains(&to) {
                return Err(Violation::new(
                    "alias-loop",
                    format!("names[{at}].fallback"),
                    &to,
                    "aliases must end at a name that is no alias",
                ));
            }
            at = to;
        }
        for i in path {
            if let Some(end) = ends.get_mut(i) {
                *end = true;
            }
        }
    }
    Ok(())
}

/// Names often share their answers and reasons (a zone has the clusters of its region): share the memory too.
#[derive(Default)]
struct Memo<'a> {
    answers: Vec<(&'a Answer, CheckedAnswer)>,
    texts: Vec<Arc<str>>,
}

impl Memo<'_> {
    fn text(&mut self, text: &str) -> Arc<str> {
        if let Some(known) = self.texts.iter().find(|known| ***known == *text) {
            return Arc::clone(known);
        }
        let new: Arc<str> = text.chars().take(300).collect::<String>().into();
        if self.texts.len() < 64 {
            self.texts.push(Arc::clone(&new));
        }
        new
    }
}

fn check_answer<'a>(
    input: &DecisionInput,
    i: usize,
    answer: &'a Answer,
    limits: &Limits<'_>,
    memo: &mut Memo<'a>,
) -> Result<CheckedAnswer, Violation> {
    if matches!(answer, Answer::Otherwise) {
        return Ok(CheckedAnswer::Otherwise);
    }
    if matches!(answer, Answer::Keep) {
        return Ok(CheckedAnswer::Keep);
    }
    if let Some((_, known)) = memo.answers.iter().find(|(seen, _)| *seen == answer) {
        return Ok(known.clone());
    }
    let checked = match answer {
        Answer::Otherwise => CheckedAnswer::Otherwise,
        Answer::Keep => CheckedAnswer::Keep,
        Answer::Clusters(clusters) => {
            let mut all = Vec::new();
            for cluster in clusters {
                let known = input.clusters.get(*cluster as usize).ok_or_else(|| {
                    out_of_range(format!("decisions[{i}].clusters"), *cluster, input.clusters.len(), "clusters")
                })?;
                all.extend_from_slice(&known.addresses);
                // Checked on the way, so that a cluster named a million times costs no more than the limit.
                bound(all.len(), i, limits)?;
            }
            addresses(all)
        }
        Answer::Targets(targets) => addresses(resolve(input, i, targets, limits)?),
        Answer::Sets(sets) => {
            if sets.len() > MAX_SETS {
                return Err(Violation::new(
                    "too-many-sets",
                    format!("decisions[{i}].sets"),
                    &sets.len(),
                    format!("at most {MAX_SETS} sets per name"),
                ));
            }
            let mut checked: Vec<CheckedSet> = Vec::with_capacity(sets.len());
            let mut seen = HashSet::with_capacity(sets.len());
            let mut targets = 0;
            for set in sets {
                let identifier = set.set_identifier.as_str();
                if identifier.is_empty() || identifier.len() > 128 || !identifier.bytes().all(|b| b.is_ascii_graphic())
                {
                    return Err(Violation::new(
                        "set-identifier",
                        format!("decisions[{i}].sets.set-identifier"),
                        identifier,
                        "1 to 128 printable ASCII characters",
                    ));
                }
                if !seen.insert(identifier) {
                    return Err(Violation::new(
                        "set-identifier",
                        format!("decisions[{i}].sets.set-identifier"),
                        identifier,
                        "set identifiers are unique per name",
                    ));
                }
                let all = Addresses::of(resolve(input, i, &set.targets, limits)?);
                if all.is_empty() {
                    continue;
                }
                targets += all.len();
                bound(targets, i, limits)?;
                if set.provider_specific.len() > MAX_PROPERTIES {
                    return Err(Violation::new(
                        "provider-specific",
                        format!("decisions[{i}].sets.provider-specific"),
                        &set.provider_specific.len(),
                        format!("at most {MAX_PROPERTIES} properties per set"),
                    ));
                }
                let mut provider_specific: Vec<(Arc<str>, Arc<str>)> = Vec::new();
                for (property, value) in &set.provider_specific {
                    if property.is_empty()
                        || property.len() > 253
                        || value.len() > 1024
                        || property.eq_ignore_ascii_case("alias")
                    {
                        return Err(Violation::new(
                            "provider-specific",
                            format!("decisions[{i}].sets.provider-specific"),
                            property,
                            "names have 1 to 253 characters, values at most 1024, and `alias` is not allowed",
                        ));
                    }
                    provider_specific.push((property.as_str().into(), value.as_str().into()));
                }
                provider_specific.sort();
                provider_specific.dedup_by(|a, b| a.0 == b.0);
                checked.push(CheckedSet { identifier: identifier.into(), addresses: all, provider_specific });
            }
            if checked.is_empty() { CheckedAnswer::Otherwise } else { CheckedAnswer::Sets(checked) }
        }
    };
    if memo.answers.len() < 64 {
        memo.answers.push((answer, checked.clone()));
    }
    Ok(checked)
}

fn addresses(all: Vec<IpAddr>) -> CheckedAnswer {
    let addresses = Addresses::of(all);
    if addresses.is_empty() { CheckedAnswer::Otherwise } else { CheckedAnswer::Addresses(Arc::new(addresses)) }
}

fn bound(count: usize, i: usize, limits: &Limits<'_>) -> Result<(), Violation> {
    if count <= limits.max_targets {
        return Ok(());
    }
    Err(Violation::new(
        "too-many-targets",
        format!("decisions[{i}]"),
        &count,
        format!("at most {} addresses per name", limits.max_targets),
    ))
}

fn resolve(input: &DecisionInput, i: usize, targets: &[Target], limits: &Limits<'_>) -> Result<Vec<IpAddr>, Violation> {
    let mut all = Vec::with_capacity(targets.len().min(limits.max_targets));
    for target in targets {
        let field = || format!("decisions[{i}].targets");
        let cluster = input
            .clusters
            .get(target.cluster as usize)
            .ok_or_else(|| out_of_range(field(), target.cluster, input.clusters.len(), "clusters"))?;
        let address = cluster.addresses.get(target.address as usize).ok_or_else(|| {
            out_of_range(field(), target.address, cluster.addresses.len(), "addresses in that cluster")
        })?;
        all.push(*address);
        bound(all.len(), i, limits)?;
    }
    Ok(all)
}

/// Type of the addresses of a family.
#[must_use]
pub fn family(address: &IpAddr) -> RecordType {
    if address.is_ipv4() { RecordType::A } else { RecordType::Aaaa }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decision::{Cluster, ClusterState, Decision, Name, Places, Subject, WeightedSet};

    fn input() -> DecisionInput {
        let cluster = |name: &str, addresses: &[&str]| Cluster {
            name: name.into(),
            region: None,
            zones: Arc::new([]),
            labels: Vec::new(),
            state: ClusterState::Serving,
            state_for_seconds: None,
            ready_endpoints: 1,
            addresses: addresses.iter().map(|a| a.parse().unwrap()).collect(),
        };
        DecisionInput {
            subject: Subject {
                service: "nginx".into(),
                namespace: "test".into(),
                federation: "galactic".into(),
                domain: "example.com".into(),
                external_name: None,
                dns_prefix: None,
                record_ttl: None,
                annotations: Vec::new(),
            },
            places: Arc::new(Places::default()),
            clusters: vec![cluster("c1", &["10.0.0.10", "10.0.0.2", "2001:db8::1"]), cluster("c2", &["10.0.0.2"])],
        }
    }

    fn limits() -> Limits<'static> {
        Limits { zone: "example.com", max_names: 10, max_targets: 10, min_ttl: 1, max_ttl: MAX_TTL }
    }

    fn output(names: &[(&str, Fallback, Answer)]) -> DecisionOutput {
        DecisionOutput {
            names: names
                .iter()
                .map(|(fqdn, fallback, _)| Name {
                    fqdn: (*fqdn).to_owned(),
                    place: Place::Everywhere,
                    fallback: *fallback,
                })
                .collect(),
            decisions: names
                .iter()
                .map(|(_, _, answer)| Decision {
                    answer: answer.clone(),
                    because: String::new(),
                    recheck_after_seconds: None,
                })
                .collect(),
            ttls: vec![180; names.len()],
            recheck_after_seconds: None,
        }
    }

    fn rule(output: &DecisionOutput) -> &'static str {
        check(&input(), output, &limits()).unwrap_err().rule
    }

    fn one(answer: Answer) -> DecisionOutput {
        output(&[("a.example.com", Fallback::Nothing, answer)])
    }

    #[test]
    fn addresses_are_united_split_and_sorted_as_addresses() {
        let checked = check(&input(), &one(Answer::Clusters(vec![1, 0])), &limits()).unwrap();
        let CheckedAnswer::Addresses(addresses) = &checked.names[0].answer else { panic!() };
        assert_eq!(addresses.v4.iter().map(ToString::to_string).collect::<Vec<_>>(), ["10.0.0.2", "10.0.0.10"]);
        assert_eq!(addresses.v6.len(), 1);
    }

    #[test]
    fn each_rule_has_its_violation() {
        assert_eq!(rule(&one(Answer::Clusters(vec![2]))), "index-out-of-range");
        assert_eq!(rule(&one(Answer::Targets(vec![Target { cluster: 1, address: 1 }]))), "index-out-of-range");
        assert_eq!(rule(&one(Answer::Clusters(vec![0; 1_000_000]))), "too-many-targets");
        assert_eq!(rule(&output(&[("a.example.org", Fallback::Nothing, Answer::Otherwise)])), "name-outside-domain");
        assert_eq!(rule(&output(&[("a.example.com", Fallback::AliasOf(0), Answer::Otherwise)])), "alias-loop");
        assert_eq!(rule(&output(&[("a.example.com", Fallback::AliasOf(7), Answer::Otherwise)])), "index-out-of-range");
        let mut bad = one(Answer::Otherwise);
        bad.ttls = vec![0];
        assert_eq!(rule(&bad), "ttl-out-of-bounds");
        bad.ttls = vec![u32::MAX];
        assert_eq!(rule(&bad), "ttl-out-of-bounds");
        bad.ttls = Vec::new();
        assert_eq!(rule(&bad), "wrong-count");
        let mut place = one(Answer::Otherwise);
        place.names[0].place = Place::Region(0);
        assert_eq!(rule(&place), "index-out-of-range");
        let many: Vec<_> = (0..11).map(|_| ("a.example.com", Fallback::Nothing, Answer::Otherwise)).collect();
        assert_eq!(rule(&output(&many)), "too-many-names");
        let set = |id: &str| WeightedSet {
            set_identifier: id.to_owned(),
            targets: Vec::new(),
            provider_specific: Vec::new(),
        };
        assert_eq!(rule(&one(Answer::Sets(vec![set("")]))), "set-identifier");
        let twice = |id: &str| WeightedSet { targets: vec![Target { cluster: 0, address: 0 }; 6], ..set(id) };
        assert_eq!(rule(&one(Answer::Sets(vec![twice("a"), twice("a")]))), "set-identifier");
        let sets: Vec<_> = (0..=MAX_SETS).map(|i| set(&i.to_string())).collect();
        assert_eq!(rule(&one(Answer::Sets(sets))), "too-many-sets");
        let sets: Vec<_> = (0..11).map(|i| twice(&i.to_string())).collect();
        assert_eq!(rule(&one(Answer::Sets(sets))), "too-many-targets", "of all sets together");
        let mut properties = twice("a");
        properties.provider_specific = vec![("p".to_owned(), "v".to_owned()); 51];
        assert_eq!(rule(&one(Answer::Sets(vec![properties]))), "provider-specific");
    }

    #[test]
    fn a_longer_loop_is_found() {
        let names = [
            ("a.example.com", Fallback::AliasOf(1), Answer::Otherwise),
            ("b.example.com", Fallback::AliasOf(2), Answer::Otherwise),
            ("c.example.com", Fallback::AlwaysAliasOf(1), Answer::Otherwise),
        ];
        assert_eq!(rule(&output(&names)), "alias-loop");
    }

    #[test]
    fn a_bad_name_is_withheld_and_the_others_go_on() {
        let long = format!("{}.example.com", "x".repeat(70));
        let names = [
            ("a.example.com", Fallback::Nothing, Answer::Clusters(vec![0])),
            (long.as_str(), Fallback::Nothing, Answer::Clusters(vec![0])),
            ("a.example.com", Fallback::Nothing, Answer::Clusters(vec![0])),
            ("-.example.com", Fallback::Nothing, Answer::Clusters(vec![0])),
        ];
        let checked = check(&input(), &output(&names), &limits()).unwrap();
        let reasons: Vec<_> = checked.names.iter().map(|n| n.refused.as_ref().map(|r| r.reason)).collect();
        assert_eq!(reasons, [None, Some(Reason::NameTooLong), Some(Reason::NameConflict), Some(Reason::NameInvalid)]);
    }
}
