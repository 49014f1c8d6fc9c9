//! Carries out what [`crate::rollouts`] wants: loads, tries, puts into force, tells the Index.
//!
//! Synchronous. The controller has a thread for it, the local mode calls it between two steps.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use jiff::{SignedDuration, Timestamp};
use mcsdns_api::convert::PolicyMap;
use mcsdns_core::{
    decision::{Needs, PolicyFailure, PolicyRef},
    facts::{Change, Domain, Fact, InForce, OnFailure, PolicyNames, Rollout},
    guard::Limits,
    index::{DomainPolicies, Settings},
    rehearsal::Rehearsal,
};
use mcsdns_policy::{Aspect, Digest, LoadError, PolicySet};
use mcsdns_runtime::{SandboxDecider, Substitute};

use crate::{
    domain::{Failing, PerAspect, Version},
    report::{Force, Report},
    revision,
    rollouts::{Action, Rollouts},
    shelf::{Loaded, Refusal, Shelf, Shelved},
};

/// When to ask again for what cannot be tried yet.
const NOT_YET: SignedDuration = SignedDuration::from_secs(1);
/// What cannot be tried for so long is worth a word. A start takes less: until then what an earlier process wrote still holds.
const PATIENCE: SignedDuration = SignedDuration::from_secs(20);

impl Version for Loaded {
    fn revision(&self) -> &Arc<str> {
        &self.revision
    }
    fn digest(&self) -> &Arc<str> {
        &self.digest
    }
    fn title(&self) -> &Arc<str> {
        &self.title
    }
    fn implements(&self, aspect: Aspect) -> bool {
        self.policy.implements(aspect)
    }
}

/// Something that happened.
#[derive(Clone, Debug)]
pub enum News {
    /// ConfigMaps with the label of policies.
    Maps(Change<Arc<str>, PolicyMap>),
    /// They cannot be read, or can be again.
    MapsTrouble(Option<String>),
    /// Domains. Tell the Index first: what comes back is about Domains that it knows.
    Domains(Change<Arc<str>, Domain>),
    /// Policies in force keep failing, or do so no more; by [`PolicyRef::id`].
    Health(Arc<str>, Option<PolicyFailure>),
}

/// Hears what is worth counting.
pub trait PilotObserver: Send + Sync {
    /// A ConfigMap was loaded, or refused.
    fn loaded(&self, map: &str, shelved: &Shelved) {
        let _ = (map, shelved);
    }
    /// Policies were tried on the records of a Domain.
    fn tried(&self, domain: &str, records: usize, passed: bool, micros: u64) {
        let _ = (domain, records, passed, micros);
    }
    /// What is told of a Domain has changed.
    fn told(&self, domain: &str, rollout: &Rollout) {
        let _ = (domain, rollout);
    }
    /// A Domain is gone.
    fn forgotten(&self, domain: &str) {
        let _ = domain;
    }
}

impl PilotObserver for () {}

/// How a pilot is set up.
#[derive(Clone)]
pub struct PilotOptions {
    /// Where the Domains are, for commands in messages: the namespace of the controller.
    pub namespace: Arc<str>,
    /// ConfigMaps that decide where a Domain names none.
    pub defaults: PolicyNames,
    /// What answers are held to.
    pub settings: Settings,
    /// Hears what is worth counting.
    pub observer: Arc<dyn PilotObserver>,
}

/// Loads, tries, puts into force and tells.
pub struct Pilot {
    shelf: Shelf,
    decider: Arc<SandboxDecider>,
    options: PilotOptions,
    rollouts: Rollouts<Loaded>,
    /// Contents of the ConfigMaps that were loaded.
    fingerprints: BTreeMap<Arc<str>, Digest>,
    notes: BTreeMap<Arc<str>, Vec<String>>,
    told: BTreeMap<Arc<str>, Arc<Rollout>>,
    /// Ids of the policies in force by Domain: now, and before, for questions that are still under way.
    in_force: BTreeMap<Arc<str>, [Option<Arc<str>>; 2]>,
    /// Ids that are never dropped.
    kept: BTreeSet<Arc<str>>,
    /// Domains that are to be looked at again although nothing was heard: since when that is so, and when next.
    not_yet: BTreeMap<Arc<str>, (Timestamp, Timestamp)>,
}

impl Pilot {
    /// Nothing is known yet. `default` are the policies that the Index was given; they stay in the decider.
    ///
    /// # Errors
    /// When the policy in the box does not answer all questions.
    pub fn new(shelf: Shelf, decider: Arc<SandboxDecider>, options: PilotOptions) -> Result<Self, LoadError> {
        let in_the_box = shelf.in_the_box().clone();
        let default = decider.put(set(&in_the_box)?);
        Ok(Self {
            rollouts: Rollouts::new(in_the_box, options.defaults.clone(), Arc::clone(&options.namespace)),
            shelf,
            decider,
            options,
            fingerprints: BTreeMap::new(),
            notes: BTreeMap::new(),
            told: BTreeMap::new(),
            in_force: BTreeMap::new(),
            kept: BTreeSet::from([default.id]),
            not_yet: BTreeMap::new(),
        })
    }

    /// Another one that knows nothing yet, as after a restart; it shares the sandbox and the decider.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn anew(&self) -> Result<Self, LoadError> {
        Self::new(self.shelf.clone(), Arc::clone(&self.decider), self.options.clone())
    }

    /// The policies in the box, as the Index is to know them.
    #[must_use]
    pub fn default_policies(&self) -> Option<PolicyRef> {
        set(self.shelf.in_the_box()).ok().map(|set| set.policy_ref())
    }

    /// What the Index must know about Domains and policies.
    #[must_use]
    pub const fn domain_policies(&self) -> DomainPolicies {
        if self.options.defaults.is_empty() { DomainPolicies::Honoured } else { DomainPolicies::Everywhere }
    }

    /// Takes in what happened and answers what the Index is to be told. `rehearse` asks the Index for a rehearsal.
    pub fn hear(
        &mut self,
        news: impl IntoIterator<Item = News>,
        now: Timestamp,
        rehearse: impl Fn(&str, &Needs) -> Option<Rehearsal>,
    ) -> Vec<Fact> {
        let mut touched: BTreeSet<Arc<str>> = self.due(now);
        for news in news {
            self.take_in(news, &mut touched);
        }
        let mut facts = Vec::new();
        for domain in touched {
            self.advance(&domain, now, &rehearse, &mut facts);
        }
        facts
    }

    /// When to be asked again although nothing happened.
    #[must_use]
    pub fn wake(&self) -> Option<Timestamp> {
        self.not_yet.values().map(|(_, next)| *next).chain(self.rollouts.wake()).min()
    }

    /// What has no effect in the ConfigMaps, by name.
    #[must_use]
    pub const fn notes(&self) -> &BTreeMap<Arc<str>, Vec<String>> {
        &self.notes
    }

    /// The ConfigMaps that hold no policy that may decide, and why.
    pub fn refusals(&self) -> impl Iterator<Item = (&Arc<str>, &Refusal)> {
        self.rollouts.refusals()
    }

    /// What was told of each Domain last.
    #[must_use]
    pub const fn told(&self) -> &BTreeMap<Arc<str>, Arc<Rollout>> {
        &self.told
    }

    fn due(&self, now: Timestamp) -> BTreeSet<Arc<str>> {
        let not_yet = self.not_yet.iter().filter(|(_, (_, at))| *at <= now).map(|(domain, _)| Arc::clone(domain));
        not_yet.chain(self.rollouts.due(now)).collect()
    }

    fn take_in(&mut self, news: News, touched: &mut BTreeSet<Arc<str>>) {
        match news {
            News::Maps(change) => {
                match change {
                    Change::Apply(name, map) => self.load(&name, &map),
                    Change::Delete(name) => self.forget(&name),
                    Change::Reset(all) => {
                        let gone: Vec<Arc<str>> = self
                            .fingerprints
                            .keys()
                            .filter(|name| !all.iter().any(|(there, _)| there == *name))
                            .cloned()
                            .collect();
                        for name in gone {
                            self.forget(&name);
                        }
                        for (name, map) in all {
                            self.load(&name, &map);
                        }
                        self.rollouts.synced();
                    }
                }
                touched.extend(self.rollouts.domains().cloned());
            }
            News::MapsTrouble(trouble) => {
                self.rollouts.trouble(trouble);
                touched.extend(self.rollouts.domains().cloned());
            }
            News::Domains(Change::Apply(name, domain)) => {
                self.rollouts.domain(&name, &domain);
                touched.insert(name);
            }
            News::Domains(Change::Delete(name)) => self.forget_domain(&name),
            News::Domains(Change::Reset(all)) => {
                let gone: Vec<Arc<str>> = self
                    .rollouts
                    .domains()
                    .filter(|name| !all.iter().any(|(there, _)| there == *name))
                    .cloned()
                    .collect();
                for name in gone {
                    self.forget_domain(&name);
                }
                for (name, domain) in all {
                    self.rollouts.domain(&name, &domain);
                    touched.insert(name);
                }
            }
            News::Health(id, failure) => {
                let concerned = self.in_force.iter().filter(|(_, [now, _])| now.as_ref() == Some(&id));
                for (domain, _) in concerned {
                    let failing = failure.clone().map(|failure| Failing {
                        reason: failure.reason.into(),
                        message: format!("policy {}: {}", failure.policy, failure.message),
                    });
                    self.rollouts.health(domain, failing);
                    touched.insert(Arc::clone(domain));
                }
            }
        }
    }

    fn load(&mut self, name: &Arc<str>, map: &PolicyMap) {
        let fingerprint = revision::fingerprint(map);
        if self.fingerprints.insert(Arc::clone(name), fingerprint) == Some(fingerprint) {
            return;
        }
        let shelved = self.shelf.load(map);
        match &shelved.outcome {
            Ok(loaded) => tracing::info!(
                config_map = &**name,
                policy = &*loaded.title,
                revision = &*loaded.revision,
                micros = shelved.total_micros,
                compile_micros = shelved.compile_micros,
                cases = shelved.cases,
                "policy loaded"
            ),
            Err(Refusal { reason, message, .. }) => {
                tracing::warn!(config_map = &**name, reason, "policy refused: {message}");
            }
        }
        for note in &shelved.notes {
            tracing::info!(config_map = &**name, "{note}");
        }
        self.options.observer.loaded(name, &shelved);
        self.notes.insert(Arc::clone(name), shelved.notes);
        self.rollouts.loaded(name, shelved.outcome);
    }

    fn forget(&mut self, name: &Arc<str>) {
        self.fingerprints.remove(name);
        self.notes.remove(name);
        self.rollouts.removed(name);
    }

    fn forget_domain(&mut self, name: &Arc<str>) {
        self.rollouts.domain_removed(name);
        self.options.observer.forgotten(name);
        self.told.remove(name);
        self.in_force.remove(name);
        self.not_yet.remove(name);
    }

    fn advance(
        &mut self,
        domain: &Arc<str>,
        now: Timestamp,
        rehearse: &impl Fn(&str, &Needs) -> Option<Rehearsal>,
        facts: &mut Vec<Fact>,
    ) {
        // Each trial leads to a verdict, and a verdict to nothing more to try.
        for _ in 0..4 {
            let mut tried = false;
            for action in self.rollouts.step(domain, now) {
                match action {
                    Action::Try { domain, rollout, policies } => {
                        tried = self.try_out(&domain, &rollout, &policies, now, rehearse);
                        if !tried {
                            facts.extend(self.postpone(&domain, now));
                        }
                    }
                    Action::Tell(domain, report) => facts.extend(self.tell(&domain, report)),
                }
            }
            if !tried {
                break;
            }
        }
        // Whatever was due has been looked at; what still cannot be tried was put off again.
        if self.not_yet.get(domain).is_some_and(|(_, next)| *next <= now) {
            self.not_yet.remove(domain);
        }
    }

    /// Policies cannot be tried yet: the records have not been read, or a cluster is just being read.
    fn postpone(&mut self, domain: &Arc<str>, now: Timestamp) -> Option<Fact> {
        let later = |by| now.checked_add(by).unwrap_or(now);
        let (since, next) = self.not_yet.entry(Arc::clone(domain)).or_insert((now, now));
        *next = later(NOT_YET);
        if now.duration_since(*since) < PATIENCE {
            return None;
        }
        let report = self.rollouts.report(domain, now)?;
        self.tell(domain, report)
    }

    /// Tries policies on the records of a Domain; whether that was possible.
    fn try_out(
        &mut self,
        domain: &Arc<str>,
        rollout: &Arc<str>,
        policies: &PerAspect<Loaded>,
        now: Timestamp,
        rehearse: &impl Fn(&str, &Needs) -> Option<Rehearsal>,
    ) -> bool {
        let Ok(set) = set(policies) else {
            // That each implements its aspect was seen to before.
            self.rollouts.tried(domain, rollout, None, now);
            return false;
        };
        let Some(rehearsal) = rehearse(domain, &set.policy_ref().needs) else {
            self.rollouts.tried(domain, rollout, None, now);
            return false;
        };
        let begun = std::time::Instant::now();
        let result =
            rehearsal.run(|input| set.decide(input).map(|decided| decided.output).map_err(PolicyFailure::from));
        let micros = u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX);
        tracing::info!(
            domain = &**domain,
            policies = &*set.policy_ref().title,
            rollout = &**rollout,
            micros,
            "policies tried: {}{}",
            result.summary(),
            result.failure.as_ref().map_or_else(String::new, |failure| format!("; {failure}"))
        );
        self.options.observer.tried(domain, result.records, result.failure.is_none(), micros);
        self.rollouts.tried(domain, rollout, Some(result), now);
        true
    }

    fn tell(&mut self, domain: &Arc<str>, report: Report<Loaded>) -> Option<Fact> {
        let is_first = !self.told.contains_key(domain);
        if is_first && self.domain_policies() == DomainPolicies::Honoured && self.rollouts.is_plain(domain) {
            return None;
        }
        let in_force = match &report.force {
            Force::Held(why) => InForce::Held(why.clone()),
            Force::Policies(policies) => match self.put(policies, report.on_failure) {
                Ok(reference) => InForce::Policies(reference),
                Err(error) => InForce::Held(error.to_string()),
            },
        };
        let id = match &in_force {
            InForce::Policies(reference) => Some(Arc::clone(&reference.id)),
            InForce::Held(_) => None,
        };
        let [current, before] = self.in_force.entry(Arc::clone(domain)).or_default();
        if *current != id {
            *before = std::mem::replace(current, id);
            self.tidy();
        }
        let rollout = Arc::new(Rollout { in_force, policies: report.policies, ready: report.ready });
        if self.told.get(domain) == Some(&rollout) {
            return None;
        }
        self.options.observer.told(domain, &rollout);
        self.told.insert(Arc::clone(domain), Arc::clone(&rollout));
        Some(Fact::Rollout(Arc::clone(domain), rollout))
    }

    fn put(&self, policies: &PerAspect<Loaded>, on_failure: OnFailure) -> Result<PolicyRef, LoadError> {
        let own = Arc::new(set(policies)?);
        let default = set(self.shelf.in_the_box())?;
        let is_default = own.policy_ref().id == default.policy_ref().id;
        let settings = &self.options.settings;
        let substitute = (on_failure == OnFailure::Default && !is_default).then(|| Substitute {
            policies: Arc::new(default),
            limits: Limits {
                zone: "",
                max_names: settings.max_names,
                max_targets: settings.max_targets,
                min_ttl: settings.min_ttl,
                max_ttl: settings.max_ttl,
            },
        });
        Ok(self.decider.put_with(own, substitute))
    }

    /// Drops the policies that nobody needs any more.
    fn tidy(&self) {
        let wanted: BTreeSet<&Arc<str>> = self.in_force.values().flatten().flatten().chain(&self.kept).collect();
        self.decider.retain(|id| wanted.iter().any(|wanted| ***wanted == *id));
    }
}

fn set(policies: &PerAspect<Loaded>) -> Result<PolicySet, LoadError> {
    let [naming, selection, ttl] = policies.each_ref().map(|loaded| Arc::clone(&loaded.policy));
    PolicySet::new(naming, selection, ttl)
}
