//! From checked answers to the whole desired DNSEndpoint of a record.
//!
//! Pure. What is published goes in, because some of it may have to stay: a policy may say "keep", a cluster may be
//! unknown, or nothing may serve anywhere.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    net::IpAddr,
    sync::Arc,
};

use crate::{
    decision::Fallback,
    guard::{Addresses, Checked, CheckedAnswer, CheckedName, Refusal, family},
    ids::ObjectKey,
    name::TxtAffix,
    plan::{Endpoint, RecordType, Targets},
    reason::Reason,
    status::Withheld,
};

/// What the planner has to know beside the answers.
pub struct Context<'a> {
    /// What the DNSEndpoint of the record says now.
    pub published: &'a [Endpoint],
    /// Room for ownership records.
    pub affix: TxtAffix,
    /// The record that has a name, when it is another one.
    pub taken_by: &'a dyn Fn(&str) -> Option<ObjectKey>,
    /// Set while some cluster is unknown: addresses that clusters we can see have or had. Published addresses beyond
    /// them may be those of the unknown cluster and stay.
    pub accounted: Option<&'a HashSet<IpAddr>>,
    /// Some unknown cluster's region is unknown too, so that names may be missing only because of that.
    pub unplaced: bool,
    /// Something about a cluster is unknown, or it cannot be seen, be its grace period over or not: it may serve all the
    /// same.
    pub unseen: bool,
}

/// The whole desired content for a record.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    /// Sorted by name, type, set identifier.
    pub endpoints: Arc<[Endpoint]>,
    /// In the policy's order.
    pub names: Vec<PlannedName>,
    /// Sorted by name.
    pub withheld: Vec<Withheld>,
    /// Names that would not fit as the CNAME they need in an outage.
    pub tight: Vec<Refusal>,
    /// Published addresses were kept because a cluster is unknown.
    pub preserved: bool,
    /// Some of the endpoints are what the policies want, and not only kept because a cluster is unknown.
    pub wanted: bool,
    /// A TTL was not within the bounds of the Domain.
    pub clamped: Option<Clamped>,
}

/// A TTL that was brought within the bounds of the Domain, in seconds: the first one of the record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clamped {
    /// What the policy said.
    pub wanted: u32,
    /// What is published.
    pub published: u32,
}

/// What became of one name.
#[derive(Clone, Debug, PartialEq)]
pub struct PlannedName {
    /// The name.
    pub fqdn: Arc<str>,
    /// What is published for it.
    pub outcome: NameOutcome,
}

/// What is published for a name.
#[derive(Clone, Debug, PartialEq)]
pub enum NameOutcome {
    /// Addresses or sets of addresses.
    Addresses,
    /// CNAME to this name.
    Alias(Arc<str>),
    /// What was published.
    Kept,
    /// Nothing, as nothing stands behind it.
    Nothing,
    /// Nothing, because of a rule.
    Withheld(Refusal),
}

/// Plans the endpoints of one record.
#[must_use]
pub fn plan(checked: &Checked, context: &Context<'_>) -> Plan {
    let mut published: HashMap<&str, Vec<&Endpoint>> = HashMap::new();
    for endpoint in context.published {
        published.entry(&endpoint.dns_name).or_default().push(endpoint);
    }
    let mut work =
        Work { checked, context, published, outcomes: vec![None; checked.names.len()], plan: Plan::default() };
    for i in 0..checked.names.len() {
        work.settle(i);
    }
    work.finish()
}

/// Most alias steps that are followed; [`crate::guard::check`] has excluded loops already.
const MAX_CHAIN: usize = 1000;

struct Work<'a> {
    checked: &'a Checked,
    context: &'a Context<'a>,
    published: HashMap<&'a str, Vec<&'a Endpoint>>,
    outcomes: Vec<Option<(NameOutcome, Vec<Endpoint>)>>,
    plan: Plan,
}

impl<'a> Work<'a> {
    /// Decides name `i`, the names it is an alias of first.
    fn settle(&mut self, i: usize) {
        let mut chain = vec![i];
        while let Some(&at) = chain.last() {
            let Some(wanted) = self.checked.names.get(at) else {
                break;
            };
            match alias_of(wanted) {
                Some(to) if self.outcomes.get(to).is_some_and(Option::is_none) && chain.len() <= MAX_CHAIN => {
                    chain.push(to);
                }
                _ => {
                    if self.outcomes.get(at).is_some_and(Option::is_none) {
                        let decided = self.decide(wanted);
                        if let Some(slot) = self.outcomes.get_mut(at) {
                            *slot = Some(decided);
                        }
                    }
                    chain.pop();
                }
            }
        }
    }

    fn decide(&mut self, wanted: &'a CheckedName) -> (NameOutcome, Vec<Endpoint>) {
        if let Some(refusal) = &wanted.refused {
            self.withhold(&wanted.fqdn, None, refusal);
            return (NameOutcome::Withheld(Refusal::clone(refusal)), Vec::new());
        }
        if let Some(other) = (self.context.taken_by)(&wanted.fqdn) {
            let refusal = Refusal {
                reason: Reason::NameConflict,
                message: format!(
                    "{} belongs to the older record {other}; change dnsPrefix or externalName, or delete one of the two",
                    wanted.fqdn
                )
                .into(),
            };
            self.withhold(&wanted.fqdn, None, &refusal);
            return (NameOutcome::Withheld(refusal), Vec::new());
        }
        self.warn_of_tight_label(wanted);
        let decided = match (&wanted.answer, alias_of(wanted)) {
            (_, Some(to)) => self.alias(wanted, to),
            (CheckedAnswer::Addresses(addresses), None) => {
                (NameOutcome::Addresses, self.addresses(wanted, addresses, None, &[]))
            }
            (CheckedAnswer::Sets(sets), None) => {
                let mut endpoints = Vec::new();
                for set in sets {
                    endpoints.extend(self.addresses(
                        wanted,
                        &set.addresses,
                        Some(&set.identifier),
                        &set.provider_specific,
                    ));
                }
                (NameOutcome::Addresses, endpoints)
            }
            (CheckedAnswer::Keep, None) => {
                let kept = self.kept(&wanted.fqdn);
                (if kept.is_empty() { NameOutcome::Nothing } else { NameOutcome::Kept }, kept)
            }
            (CheckedAnswer::Otherwise, None) => (NameOutcome::Nothing, Vec::new()),
        };
        self.plan.wanted |= match alias_of(wanted) {
            // An alias says no more than what it leads to, which has been settled before.
            Some(_) => false,
            None => !decided.1.is_empty(),
        };
        let (outcome, endpoints) = self.preserve(wanted, decided);
        if endpoints.is_empty() && outcome == NameOutcome::Addresses {
            // Every type of it exceeded its room.
            let refusal =
                Refusal { reason: Reason::NameTooLong, message: format!("{} is too long", wanted.fqdn).into() };
            return (NameOutcome::Withheld(refusal), endpoints);
        }
        (outcome, endpoints)
    }

    fn alias(&mut self, wanted: &CheckedName, to: usize) -> (NameOutcome, Vec<Endpoint>) {
        let target = match self.outcomes.get(to) {
            Some(Some((_, endpoints))) => endpoints.first().map(|endpoint| Arc::clone(&endpoint.dns_name)),
            _ => None,
        };
        let Some(target) = target else {
            return self.without_alias(&wanted.fqdn, NameOutcome::Nothing);
        };
        if let Err(error) = self.context.affix.check(&wanted.fqdn, RecordType::Cname) {
            let refusal = too_long(&wanted.fqdn, RecordType::Cname, &error);
            self.withhold(&wanted.fqdn, Some(RecordType::Cname), &refusal);
            return self.without_alias(&wanted.fqdn, NameOutcome::Withheld(refusal));
        }
        let endpoint = Endpoint {
            dns_name: Arc::clone(&wanted.fqdn),
            record_type: RecordType::Cname,
            set_identifier: None,
            targets: Targets::Name(Arc::clone(&target)),
            record_ttl: wanted.ttl,
            provider_specific: Vec::new(),
        };
        (NameOutcome::Alias(target), vec![endpoint])
    }

    /// Nothing can stand in for a name. While a cluster cannot be seen, the addresses it had are better than no name.
    fn without_alias(&mut self, fqdn: &str, outcome: NameOutcome) -> (NameOutcome, Vec<Endpoint>) {
        let mut kept = if self.context.unseen { self.kept(fqdn) } else { Vec::new() };
        kept.retain(|endpoint| endpoint.record_type != RecordType::Cname);
        if kept.is_empty() {
            return (outcome, kept);
        }
        self.plan.preserved = true;
        (NameOutcome::Kept, kept)
    }

    fn addresses(
        &mut self,
        wanted: &CheckedName,
        addresses: &Addresses,
        set: Option<&Arc<str>>,
        provider_specific: &[(Arc<str>, Arc<str>)],
    ) -> Vec<Endpoint> {
        let mut endpoints = Vec::with_capacity(2);
        for (record_type, targets) in [(RecordType::A, &addresses.v4), (RecordType::Aaaa, &addresses.v6)] {
            if targets.is_empty() {
                continue;
            }
            if let Err(error) = self.context.affix.check(&wanted.fqdn, record_type) {
                self.withhold(&wanted.fqdn, Some(record_type), &too_long(&wanted.fqdn, record_type, &error));
                continue;
            }
            endpoints.push(Endpoint {
                dns_name: Arc::clone(&wanted.fqdn),
                record_type,
                set_identifier: set.cloned(),
                targets: Targets::Addresses(Arc::clone(targets)),
                record_ttl: wanted.ttl,
                provider_specific: provider_specific.to_vec(),
            });
        }
        endpoints
    }

    fn kept(&self, fqdn: &str) -> Vec<Endpoint> {
        self.published.get(fqdn).map(|all| all.iter().copied().cloned().collect()).unwrap_or_default()
    }

    /// A label that fits as an address but not as a CNAME is heard of now, not in the outage.
    fn warn_of_tight_label(&mut self, wanted: &CheckedName) {
        if let (Fallback::AliasOf(_), Err(error)) =
            (wanted.fallback, self.context.affix.check(&wanted.fqdn, RecordType::Cname))
        {
            self.plan.tight.push(Refusal {
                reason: Reason::LabelTooLongForFallback,
                message: format!("{} cannot become a CNAME when nothing serves there: {error}", wanted.fqdn).into(),
            });
        }
    }

    /// While a cluster is unknown, published addresses that no known cluster accounts for stay beside the new ones.
    fn preserve(
        &mut self,
        wanted: &CheckedName,
        decided: (NameOutcome, Vec<Endpoint>),
    ) -> (NameOutcome, Vec<Endpoint>) {
        let Some(accounted) = self.context.accounted else {
            return decided;
        };
        let unaccounted = unaccounted(self.published.get(&*wanted.fqdn).map_or(&[], Vec::as_slice), accounted);
        if unaccounted.is_empty() || matches!(decided.0, NameOutcome::Kept) {
            return decided;
        }
        // Sets have weights and the like that make sense together only.
        let kept = self.kept(&wanted.fqdn);
        if decided.1.iter().chain(&kept).any(|endpoint| endpoint.set_identifier.is_some()) {
            self.plan.preserved = true;
            return (NameOutcome::Kept, kept);
        }
        let mut all = unaccounted;
        for endpoint in &decided.1 {
            all.extend_from_slice(endpoint.targets.addresses());
        }
        let before = self.plan.withheld.len();
        let endpoints = self.addresses(wanted, &Addresses::of(all), None, &[]);
        self.plan.withheld.truncate(before);
        self.plan.preserved |= endpoints != decided.1;
        let outcome =
            if matches!(decided.0, NameOutcome::Addresses) { NameOutcome::Addresses } else { NameOutcome::Kept };
        (outcome, endpoints)
    }

    fn withhold(&mut self, fqdn: &Arc<str>, record_type: Option<RecordType>, refusal: &Refusal) {
        self.plan.withheld.push(Withheld {
            name: Arc::clone(fqdn),
            record_type,
            reason: refusal.reason.as_str().into(),
            message: Arc::clone(&refusal.message),
        });
    }

    fn finish(mut self) -> Plan {
        let mut endpoints: Vec<Endpoint> = Vec::with_capacity(self.checked.names.len());
        self.plan.names.reserve_exact(self.checked.names.len());
        for (wanted, settled) in self.checked.names.iter().zip(std::mem::take(&mut self.outcomes)) {
            let (outcome, own) = settled.unwrap_or((NameOutcome::Nothing, Vec::new()));
            self.plan.names.push(PlannedName { fqdn: Arc::clone(&wanted.fqdn), outcome });
            endpoints.extend(own);
        }
        self.preserve_unnamed(&mut endpoints);
        endpoints.sort_unstable();
        endpoints.dedup();
        self.plan.endpoints = endpoints.into();
        self.plan.withheld.sort_by(|a, b| (&a.name, a.record_type).cmp(&(&b.name, b.record_type)));
        self.plan
    }

    /// While a cluster is unknown its region may be unknown too: names that nobody asks for any more, or behind which
    /// nothing stands now, stay as far as they may be its own, and aliases among them as long as their target is published.
    fn preserve_unnamed(&mut self, endpoints: &mut Vec<Endpoint>) {
        let Some(accounted) = self.context.accounted else {
            return;
        };
        let settled = self.plan.names.iter().filter(|name| name.outcome != NameOutcome::Nothing);
        let settled: HashSet<&str> = settled.map(|name| &*name.fqdn).collect();
        let mut rest: BTreeMap<&str, Vec<&Endpoint>> = BTreeMap::new();
        for endpoint in self.context.published {
            if !settled.contains(&*endpoint.dns_name) && (self.context.taken_by)(&endpoint.dns_name).is_none() {
                rest.entry(&endpoint.dns_name).or_default().push(endpoint);
            }
        }
        let mut aliases = Vec::new();
        for own in rest.into_values() {
            if unaccounted(&own, accounted).is_empty() {
                aliases.extend(own.into_iter().filter(|endpoint| endpoint.record_type == RecordType::Cname).cloned());
            } else {
                self.plan.preserved = true;
                endpoints.extend(own.into_iter().cloned());
            }
        }
        // An alias may hang on another one; each round settles at least one more.
        loop {
            let names: HashSet<Arc<str>> = endpoints.iter().map(|endpoint| Arc::clone(&endpoint.dns_name)).collect();
            let (hold, wait): (Vec<_>, Vec<_>) = aliases
                .into_iter()
                .partition(|endpoint| matches!(&endpoint.targets, Targets::Name(target) if names.contains(target)));
            if hold.is_empty() {
                break;
            }
            self.plan.preserved = true;
            for name in &mut self.plan.names {
                if hold.iter().any(|alias| alias.dns_name == name.fqdn) {
                    name.outcome = NameOutcome::Kept;
                }
            }
            endpoints.extend(hold);
            aliases = wait;
        }
    }
}

/// The name it is an alias of, if that is what it will be unless its target is missing.
fn alias_of(wanted: &CheckedName) -> Option<usize> {
    match (wanted.fallback, &wanted.answer) {
        (Fallback::AlwaysAliasOf(to), _) | (Fallback::AliasOf(to), CheckedAnswer::Otherwise) => Some(to as usize),
        (Fallback::AliasOf(_) | Fallback::Nothing, _) => None,
    }
}

fn unaccounted(published: &[&Endpoint], accounted: &HashSet<IpAddr>) -> Vec<IpAddr> {
    published
        .iter()
        .flat_map(|endpoint| endpoint.targets.addresses().iter().filter(|a| family(a) == endpoint.record_type))
        .filter(|address| !accounted.contains(address))
        .copied()
        .collect()
}

fn too_long(fqdn: &str, record_type: RecordType, error: &crate::name::NameError) -> Refusal {
    Refusal {
        reason: Reason::NameTooLong,
        message: format!(
            "{fqdn} as {}: {error} (ExternalDNS keeps an ownership record beside it)",
            record_type.as_str()
        )
        .into(),
    }
}
