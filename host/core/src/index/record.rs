//! What is kept for one record.

use std::{collections::BTreeSet, sync::Arc};

use jiff::Timestamp;

use super::{claims::Rank, observe::Observation};
use crate::{
    decision::{DecisionInput, InputHash, PolicyFailure, PolicyRef},
    effect::endpoint_name,
    facts::{Domain, DomainSpec, Malformed, Record, RecordSpec, WhenEmpty},
    guard::{Checked, MAX_TTL, Violation},
    ids::ObjectKey,
    name,
    plan::Endpoint,
    planner::Plan,
    reason::Reason,
    status::{ClusterDns, RecordStatus},
};

/// A question that was put to the policies.
#[derive(Clone, Debug)]
pub(super) struct Question {
    pub(super) hash: InputHash,
    /// Without ages: they change by themselves and are no reason to ask again.
    pub(super) input: Arc<DecisionInput>,
    pub(super) policies: PolicyRef,
}

/// What the policies said.
#[derive(Clone, Debug)]
pub(super) enum Verdict {
    /// Checked against the input of the question.
    Answer(Arc<Checked>),
    /// There was none.
    Failed(PolicyFailure),
    /// There was one that broke a rule.
    Violated(Violation),
}

/// How it was decided what should be published.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) enum Standing {
    /// The policies have not answered yet; what is published stays.
    #[default]
    Pending,
    /// Something stands in the way; what is published stays.
    Held(Reason, String),
    /// As planned.
    Planned,
    /// Nothing serves, and what was published stays.
    Kept(String),
    /// Everything was withdrawn, rightly.
    Withdrawn(String),
}

/// What is published and what was answered.
pub(super) type ClaimedFor = (Arc<[Endpoint]>, Option<Arc<Checked>>);

#[derive(Debug)]
pub(super) struct Entry {
    pub(super) record: Record,
    /// Last specification that could be understood.
    pub(super) spec: Option<RecordSpec>,
    /// Last observation of every cluster; starts from the record's status.
    pub(super) memory: Arc<[ClusterDns]>,
    pub(super) observations: Vec<Observation>,
    /// Asked and not answered yet.
    pub(super) asked: Option<Question>,
    /// The last question that was answered, and the answer.
    pub(super) answered: Option<(Question, Verdict)>,
    /// The record was edited since: what it wants now is not known before the policies answer again.
    pub(super) edited: bool,
    /// Failures in a row.
    pub(super) failures: u32,
    pub(super) standing: Standing,
    pub(super) plan: Plan,
    /// What the DNSEndpoint should say; `None` while that is whatever it says.
    pub(super) desired: Option<Arc<[Endpoint]>>,
    /// Sent to the writer and not observed yet.
    pub(super) sent: Option<Arc<[Endpoint]>>,
    pub(super) status: Option<Arc<RecordStatus>>,
    pub(super) status_sent: Option<Arc<RecordStatus>>,
    /// Waits for older records to be heard.
    pub(super) waiting: bool,
    /// Whose names are claimed; see [`Entry::claims`].
    pub(super) claimed_for: Option<ClaimedFor>,
    pub(super) rank: Arc<Rank>,
    pub(super) hosts: BTreeSet<Arc<str>>,
    pub(super) write_failed: Option<String>,
    /// When to look again without any news.
    pub(super) wake: Option<Timestamp>,
    /// Ask the policies again at that time, even if nothing changed.
    pub(super) ask_again: Option<Timestamp>,
}

impl Entry {
    pub(super) fn new(key: &ObjectKey, record: Record) -> Self {
        let memory = record.status.as_ref().map_or_else(|| Arc::new([]) as Arc<[_]>, |status| Arc::clone(&status.dns));
        Self {
            spec: record.spec.as_ref().ok().cloned(),
            memory,
            observations: Vec::new(),
            asked: None,
            answered: None,
            edited: false,
            failures: 0,
            standing: Standing::Pending,
            plan: Plan::default(),
            desired: None,
            sent: None,
            status: None,
            status_sent: None,
            waiting: false,
            claimed_for: None,
            rank: Arc::new(Rank { created: record.meta.created, record: key.clone() }),
            hosts: BTreeSet::new(),
            write_failed: None,
            wake: None,
            ask_again: None,
            record,
        }
    }
}

/// The names that are published and those that are wanted, sorted.
pub(super) fn names_of((published, answer): &ClaimedFor) -> Vec<Arc<str>> {
    let mut names: Vec<Arc<str>> = published.iter().map(|endpoint| Arc::clone(&endpoint.dns_name)).collect();
    if let Some(checked) = answer {
        names.extend(checked.names.iter().filter(|name| name.refused.is_none()).map(|name| Arc::clone(&name.fqdn)));
    }
    names.sort_unstable();
    names.dedup();
    names
}

impl Entry {
    /// Claimed names, sorted.
    pub(super) fn claims(&self) -> Vec<Arc<str>> {
        self.claimed_for.as_ref().map(names_of).unwrap_or_default()
    }

    /// Whether the claimed names are those of this plan and this answer.
    pub(super) fn is_claimed_for(&self, endpoints: &Arc<[Endpoint]>, answer: Option<&Arc<Checked>>) -> bool {
        let Some((known, known_answer)) = &self.claimed_for else { return false };
        let same_answer = match (known_answer, answer) {
            (Some(known), Some(answer)) => Arc::ptr_eq(known, answer),
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        };
        same_answer && Arc::ptr_eq(known, endpoints)
    }
}

/// Key of the DNSEndpoint of a record.
pub(super) fn object_key(record: &ObjectKey) -> ObjectKey {
    ObjectKey { namespace: Arc::clone(&record.namespace), name: endpoint_name(&record.name).into() }
}

/// A Domain in usable form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct DomainView {
    pub(super) zone: Arc<str>,
    pub(super) when_empty: WhenEmpty,
    /// `Some(None)`: for ever.
    pub(super) grace_seconds: Option<Option<u32>>,
    pub(super) min_ttl: Option<u32>,
    pub(super) max_ttl: Option<u32>,
}

impl DomainView {
    /// Least and greatest TTL in seconds.
    pub(super) fn ttl_bounds(&self) -> (u32, u32) {
        (self.min_ttl.unwrap_or(0), self.max_ttl.unwrap_or(u32::MAX))
    }
}

#[derive(Debug)]
pub(super) struct DomainEntry {
    pub(super) domain: Domain,
    /// The last usable content.
    pub(super) view: Option<DomainView>,
    pub(super) problem: Option<(Reason, String)>,
    /// It names policies of its own, or did when its status was written.
    pub(super) own_policies: bool,
    pub(super) status_sent: Option<Arc<crate::status::DomainStatus>>,
}

impl DomainEntry {
    pub(super) fn new(name: &str, domain: Domain, before: Option<Self>) -> Self {
        let (view, problem) = match &domain.spec {
            Err(Malformed { message }) => (None, Some((Reason::Malformed, format!("Domain {name}: {message}")))),
            Ok(spec) => match check_domain(spec) {
                Ok(view) => (Some(view), None),
                Err(message) => (None, Some((Reason::DomainInvalid, format!("Domain {name}: {message}")))),
            },
        };
        let named = match &domain.spec {
            Ok(spec) => !spec.policies.is_empty(),
            Err(_) => before.as_ref().is_some_and(|before| before.own_policies),
        };
        let own_policies = named || domain.status.as_ref().is_some_and(|status| !status.policies.is_empty());
        let (old_view, status_sent) = before.map_or((None, None), |before| (before.view, before.status_sent));
        // A Domain that was usable and is edited into nonsense keeps working as before.
        Self { view: view.or(old_view), domain, problem, own_policies, status_sent }
    }
}

fn check_domain(spec: &DomainSpec) -> Result<DomainView, String> {
    let zone = name::normalise(&spec.domain);
    name::check_name(&zone).map_err(|error| format!("domain `{}`: {error}", spec.domain))?;
    let ttl = |field: &str, value: Option<i64>| match value {
        None => Ok(None),
        Some(value) => u32::try_from(value)
            .ok()
            .filter(|ttl| (1..=MAX_TTL).contains(ttl))
            .map(Some)
            .ok_or_else(|| format!("{field} is {value}; a TTL is 1 to {MAX_TTL} seconds")),
    };
    let (min_ttl, max_ttl) = (ttl("minTTL", spec.min_ttl)?, ttl("maxTTL", spec.max_ttl)?);
    if let (Some(min), Some(max)) = (min_ttl, max_ttl)
        && min > max
    {
        return Err(format!("minTTL {min} is greater than maxTTL {max}"));
    }
    let grace_seconds = match spec.unreachable_grace_seconds {
        None => None,
        Some(seconds) if seconds < 0 => Some(None),
        Some(seconds) => Some(Some(u32::try_from(seconds).unwrap_or(u32::MAX))),
    };
    Ok(DomainView { zone: zone.into(), when_empty: spec.when_empty, grace_seconds, min_ttl, max_ttl })
}

/// What no schema has checked where there is no API server.
pub(super) fn check_spec(spec: &RecordSpec) -> Result<(), String> {
    if spec.domain_ref.is_empty() {
        return Err("spec.domainRef is empty; name a Domain".to_owned());
    }
    if let Some(ttl) = spec.record_ttl
        && !(0..=i64::from(MAX_TTL)).contains(&ttl)
    {
        return Err(format!("spec.recordTTL is {ttl}; it must be 0 (default) to {MAX_TTL} seconds"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::Meta;

    fn spec(domain: &str) -> DomainSpec {
        DomainSpec { domain: domain.into(), ..DomainSpec::default() }
    }

    #[test]
    fn claims_are_those_of_one_plan_and_one_answer() {
        let record =
            Record { meta: Meta::default(), annotations: Vec::new(), spec: Ok(RecordSpec::default()), status: None };
        let mut entry = Entry::new(&ObjectKey::new("test", "nginx"), record);
        let plan = || Arc::new([]) as Arc<[Endpoint]>;
        let (endpoints, answer) = (plan(), Arc::new(Checked { names: Vec::new() }));
        assert!(!entry.is_claimed_for(&endpoints, Some(&answer)), "nothing is claimed yet");
        entry.claimed_for = Some((Arc::clone(&endpoints), Some(Arc::clone(&answer))));
        assert!(entry.is_claimed_for(&endpoints, Some(&answer)));
        // What is kept for the sake of a blind cluster changes without a new answer, and names go with it.
        assert!(!entry.is_claimed_for(&plan(), Some(&answer)));
        assert!(!entry.is_claimed_for(&endpoints, None));
        assert!(!entry.is_claimed_for(&endpoints, Some(&Arc::new(Checked { names: Vec::new() }))));
    }

    #[test]
    fn domains_are_normalised() {
        assert_eq!(&*check_domain(&spec("Example.COM.")).unwrap().zone, "example.com");
        for bad in ["", ".", "a..b", "-a.com", "a b.com"] {
            assert!(check_domain(&spec(bad)).is_err(), "{bad}");
        }
    }

    #[test]
    fn bounds_of_a_domain() {
        let domain = DomainSpec { min_ttl: Some(60), max_ttl: Some(30), ..spec("a.com") };
        assert!(check_domain(&domain).unwrap_err().contains("minTTL 60"));
        let domain = DomainSpec { min_ttl: Some(0), ..spec("a.com") };
        assert!(check_domain(&domain).unwrap_err().contains("minTTL is 0"));
        let domain = DomainSpec { unreachable_grace_seconds: Some(-1), ..spec("a.com") };
        assert_eq!(check_domain(&domain).unwrap().grace_seconds, Some(None));
    }

    #[test]
    fn a_negative_ttl_is_refused_where_no_crd_checks() {
        let spec = RecordSpec { domain_ref: "d".into(), record_ttl: Some(-5), ..RecordSpec::default() };
        assert!(check_spec(&spec).unwrap_err().contains("recordTTL is -5"));
        assert!(check_spec(&RecordSpec { record_ttl: Some(0), ..spec }).is_ok());
    }
}
