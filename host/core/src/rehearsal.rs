//! Trying policies on the records of a Domain without anything coming of it.
//!
//! The Index gives out a [`Rehearsal`] under its lock ([`crate::index::Index::rehearsal`]); running it takes time and happens
//! outside. It goes through the same guard rails and the same planner as what is published.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use crate::{
    decision::{DecisionInput, DecisionOutput, PolicyFailure},
    guard::{self, Limits},
    ids::ObjectKey,
    name::TxtAffix,
    plan::Endpoint,
    planner::{self, Context},
    reason::Reason,
};

/// Names that are told as examples.
const EXAMPLES: usize = 5;

/// Why there is no rehearsal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotYet {
    /// Not everything has been read.
    Reading,
    /// Another replica leads: it tries policies, and the others take over what it wrote into the status.
    Following,
}

/// The records of a Domain with everything that decides what is published for them.
#[derive(Clone, Debug)]
pub struct Rehearsal {
    /// The oldest record first.
    pub(crate) parts: Vec<Part>,
    /// Names of records of other Domains.
    pub(crate) taken: HashMap<Arc<str>, ObjectKey>,
    /// The zone is that of each record.
    pub(crate) limits: Limits<'static>,
    pub(crate) ttl_bounds: (u32, u32),
    pub(crate) affix: TxtAffix,
}

/// One record.
#[derive(Clone, Debug)]
pub(crate) struct Part {
    pub(crate) record: ObjectKey,
    /// The question; `None` where nobody is asked now, and what is published stays whatever the answer would be.
    pub(crate) input: Option<DecisionInput>,
    /// Something serves that can be seen right now, so that what is planned is what would be published.
    pub(crate) seen: bool,
    pub(crate) published: Arc<[Endpoint]>,
}

/// How a rehearsal went.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rehearsed {
    /// Records that were tried.
    pub records: usize,
    /// Names that are published now.
    pub names: usize,
    /// Names that would be published in addition.
    pub added: usize,
    /// Names that would not be published any more.
    pub removed: usize,
    /// Names of which it cannot be told: nothing that can be seen serves behind them.
    pub unjudged: usize,
    /// One of the records with such names.
    pub unjudged_record: Option<ObjectKey>,
    /// Names behind which something else would stand, or with another TTL.
    pub changed: usize,
    /// Names that are wanted and would be withheld by a rule, such as one that two records want.
    pub withheld: usize,
    /// Records that the policies will not answer, and that have no names now.
    pub refused: usize,
    /// Some of the names that would be removed.
    pub examples: Vec<Arc<str>>,
    /// What ended the rehearsal early: such policies must not decide.
    pub failure: Option<Failure>,
}

/// Why policies must not decide.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("record {record}: {message}")]
pub struct Failure {
    /// At which record.
    pub record: ObjectKey,
    /// Stable: that of the failure, or `PolicyViolation`.
    pub reason: Arc<str>,
    /// For people.
    pub message: String,
}

impl Rehearsed {
    /// Share of the names that would be removed, in percent, rounded up.
    #[must_use]
    pub fn removed_percent(&self) -> u32 {
        self.percent(self.removed)
    }

    /// As [`Self::removed_percent`], as if all names that cannot be judged were removed, too.
    #[must_use]
    pub fn removed_percent_at_worst(&self) -> u32 {
        self.percent(self.removed + self.unjudged)
    }

    fn percent(&self, names: usize) -> u32 {
        if self.names == 0 {
            return 0;
        }
        u32::try_from((names * 100).div_ceil(self.names)).unwrap_or(100)
    }

    fn leave_open(&mut self, record: &ObjectKey) {
        self.unjudged += 1;
        self.unjudged_record.get_or_insert_with(|| record.clone());
    }

    /// In words: what would become of the names.
    #[must_use]
    pub fn summary(&self) -> String {
        let mut words = format!(
            "{} records tried: {} names added, {} removed, {} changed, of {} published",
            self.records, self.added, self.removed, self.changed, self.names
        );
        if self.unjudged > 0 {
            words.push_str(&format!("; {} names not judged, as nothing that can be seen serves", self.unjudged));
        }
        if self.withheld > 0 {
            words.push_str(&format!("; {} names withheld by a rule", self.withheld));
        }
        if self.refused > 0 {
            words.push_str(&format!("; {} records not answered", self.refused));
        }
        words
    }
}

impl Rehearsal {
    /// How many records there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.parts.len()
    }

    /// Whether there is no record.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// Asks `decide` about every record. Ends at the first failure, so that policies that run into their limits do not do so
    /// ten thousand times.
    pub fn run(&self, mut decide: impl FnMut(&DecisionInput) -> Result<DecisionOutput, PolicyFailure>) -> Rehearsed {
        let asked = self.parts.iter().filter(|part| part.input.is_some()).count();
        let mut rehearsed = Rehearsed { records: asked, ..Rehearsed::default() };
        // Counted first, so that an early end does not change it.
        rehearsed.names = self.parts.iter().map(|part| names(&part.published).count()).sum();
        let mut claimed: HashMap<Arc<str>, ObjectKey> = HashMap::new();
        for part in &self.parts {
            // What goes wrong here would cost one decision if it happened to a worker.
            let tried =
                catch_unwind(AssertUnwindSafe(|| self.try_one(part, &mut decide, &mut claimed, &mut rehearsed)));
            if let Err((reason, message)) = tried.unwrap_or_else(|panic| Err(("HostPanic", host_panic(&*panic)))) {
                rehearsed.failure = Some(Failure { record: part.record.clone(), reason: reason.into(), message });
                break;
            }
        }
        rehearsed
    }

    fn try_one(
        &self,
        part: &Part,
        decide: &mut impl FnMut(&DecisionInput) -> Result<DecisionOutput, PolicyFailure>,
        claimed: &mut HashMap<Arc<str>, ObjectKey>,
        rehearsed: &mut Rehearsed,
    ) -> Result<(), (&'static str, String)> {
        let Some(input) = &part.input else {
            for name in names(&part.published) {
                rehearsed.leave_open(&part.record);
                claimed.entry(name.into()).or_insert_with(|| part.record.clone());
            }
            return Ok(());
        };
        let output = match decide(input) {
            Ok(output) => output,
            // A policy may refuse a record, but not one that has names: it would keep them for ever.
            Err(failure) if failure.reason == "PolicyRefused" && part.published.is_empty() => {
                rehearsed.refused += 1;
                return Ok(());
            }
            Err(failure) => return Err((failure.reason, failure.to_string())),
        };
        let limits = Limits { zone: &input.subject.domain, ..self.limits.clone() };
        let mut checked = guard::check(input, &output, &limits).map_err(|violation| {
            let message = format!("the answer breaks the rule {}: {violation}", violation.rule);
            (Reason::PolicyViolation.as_str(), message)
        })?;
        checked.clamp(self.ttl_bounds.0, self.ttl_bounds.1);
        let taken_by = |name: &str| self.taken.get(name).or_else(|| claimed.get(name)).cloned();
        let context = Context {
            published: &part.published,
            affix: self.affix,
            taken_by: &taken_by,
            accounted: None,
            unplaced: false,
            unseen: false,
        };
        let plan = planner::plan(&checked, &context);
        let before: BTreeMap<&str, Vec<&Endpoint>> = grouped(&part.published);
        let planned: BTreeMap<&str, Vec<&Endpoint>> = grouped(&plan.endpoints);
        let withheld: HashSet<&str> = plan.withheld.iter().map(|withheld| &*withheld.name).collect();
        let wanted: HashSet<&str> = checked.names.iter().map(|name| &*name.fqdn).collect();
        for name in before.keys() {
            let planned = planned.contains_key(name);
            if planned && part.seen {
                continue;
            }
            // Where nothing serves, hardly anything is planned whatever the policies, and an outage is no removal. But that a
            // name is wanted does not mean that something will stand behind it.
            if planned || (!part.seen && wanted.contains(name) && !withheld.contains(name)) {
                rehearsed.leave_open(&part.record);
                continue;
            }
            rehearsed.removed += 1;
            if rehearsed.examples.len() < EXAMPLES {
                rehearsed.examples.push((*name).into());
            }
        }
        rehearsed.added += planned.keys().filter(|name| !before.contains_key(*name)).count();
        rehearsed.changed +=
            planned.iter().filter(|(name, now)| before.get(*name).is_some_and(|before| before != *now)).count();
        rehearsed.withheld += withheld.len();
        for name in checked.names.iter().filter(|name| name.refused.is_none()) {
            claimed.entry(Arc::clone(&name.fqdn)).or_insert_with(|| part.record.clone());
        }
        Ok(())
    }
}

fn host_panic(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    format!("the host failed while trying the policies: {}; please report this", text.unwrap_or("no message"))
}

fn grouped(endpoints: &[Endpoint]) -> BTreeMap<&str, Vec<&Endpoint>> {
    let mut grouped: BTreeMap<&str, Vec<&Endpoint>> = BTreeMap::new();
    for endpoint in endpoints {
        grouped.entry(&endpoint.dns_name).or_default().push(endpoint);
    }
    grouped
}

fn names(endpoints: &[Endpoint]) -> impl Iterator<Item = &str> {
    grouped(endpoints).into_keys()
}
