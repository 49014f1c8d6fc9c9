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
    facts::{Change, Domain, Fact, InForce, OnFailure, Rollout},
    guard::Limits,
    index::DomainPolicies,
    rehearsal::{NotYet, Rehearsal},
};
use mcsdns_policy::{Digest, LoadError, PolicySet};
use mcsdns_runtime::{SandboxDecider, Substitute};

use crate::{
    domain::{Failing, PerAspect},
    news::{News, PilotOptions},
    report::{Force, Report},
    revision,
    rollouts::{Action, Rollouts},
    shelf::{Loaded, Refusal, Shelf},
};

/// When to ask again for what cannot be tried yet.
const NOT_YET: SignedDuration = SignedDuration::from_secs(1);
/// What cannot be tried for so long is worth a word. A start takes less: until then what an earlier process wrote still holds.
const PATIENCE: SignedDuration = SignedDuration::from_secs(20);
/// How often to see whether those for whom policies failed still ask.
const LOOK_AFTER: SignedDuration = SignedDuration::from_secs(60);

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
    /// Domains of which the Index may not know any more what was told.
    stale: BTreeSet<Arc<str>>,
    /// Tells a Domain from one of the same name that was made before.
    uids: BTreeMap<Arc<str>, Arc<str>>,
    /// Contents of ConfigMaps that are to be loaded.
    to_load: BTreeMap<Arc<str>, PolicyMap>,
    /// When to see whether policies that failed still do.
    look_after: Option<Timestamp>,
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
            stale: BTreeSet::new(),
            uids: BTreeMap::new(),
            to_load: BTreeMap::new(),
            look_after: None,
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
        rehearse: impl Fn(&str, &Needs) -> Result<Rehearsal, NotYet>,
    ) -> Vec<Fact> {
        let mut facts = Vec::new();
        self.hear_and_tell(news, now, rehearse, |fact| facts.push(fact));
        facts
    }

    /// As [`Self::hear`], and tells each fact as soon as it is known: compiling and trying the policies of one Domain must not
    /// hold up the others. What needs neither goes first.
    pub fn hear_and_tell(
        &mut self,
        news: impl IntoIterator<Item = News>,
        now: Timestamp,
        rehearse: impl Fn(&str, &Needs) -> Result<Rehearsal, NotYet>,
        mut tell: impl FnMut(Fact),
    ) {
        let mut touched: BTreeSet<Arc<str>> = self.due(now);
        for news in news {
            self.take_in(news, now, &mut touched);
        }
        self.look_after(now);
        let mut trials = Trials::new();
        for domain in touched {
            self.step(&domain, now, &mut trials, &mut tell);
        }
        while let Some((name, map)) = self.to_load.pop_first() {
            self.load(&name, &map);
            for domain in self.rollouts.naming(&name) {
                self.step(&domain, now, &mut trials, &mut tell);
            }
        }
        for (domain, trial) in trials {
            self.carry_out(&domain, trial, now, &rehearse, &mut tell);
        }
    }

    /// When to be asked again although nothing happened.
    #[must_use]
    pub fn wake(&self) -> Option<Timestamp> {
        let not_yet = self.not_yet.values().map(|(_, next)| *next);
        not_yet.chain(self.rollouts.wake()).chain(self.look_after).min()
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

    /// Where policies fail and nobody asks them any more, nothing else would end it.
    fn look_after(&mut self, now: Timestamp) {
        if self.look_after.is_some_and(|at| at <= now) {
            self.decider.forget_unheard();
            let mut in_force = self.in_force.values().filter_map(|[current, _]| current.as_ref());
            let failing = in_force.any(|id| self.decider.failing(id).is_some());
            self.look_after = failing.then(|| later(now, LOOK_AFTER));
        }
    }

    fn take_in(&mut self, news: News, now: Timestamp, touched: &mut BTreeSet<Arc<str>>) {
        match news {
            News::Maps(change) => {
                match change {
                    Change::Apply(name, map) => self.queue(name, map),
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
                            self.queue(name, map);
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
            News::Domains(Change::Apply(name, domain)) => self.learn_domain(name, &domain, touched),
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
                    self.learn_domain(name, &domain, touched);
                }
            }
            News::Health(id, failure) => {
                if failure.is_some() {
                    self.look_after.get_or_insert_with(|| later(now, LOOK_AFTER));
                }
                let concerned = self.in_force.iter().filter(|(_, [now, _])| now.as_ref() == Some(&id));
                for (domain, _) in concerned {
                    self.rollouts.health(domain, failure.as_ref().map(failing));
                    touched.insert(Arc::clone(domain));
                }
            }
        }
    }

    /// A Domain was applied. One that was deleted and made again is another one, also when its end was not heard of.
    fn learn_domain(&mut self, name: Arc<str>, domain: &Domain, touched: &mut BTreeSet<Arc<str>>) {
        let before = self.uids.insert(Arc::clone(&name), Arc::clone(&domain.meta.uid));
        if before.is_some_and(|before| before != domain.meta.uid) {
            let was_told = self.told.contains_key(&name) || self.stale.contains(&name);
            self.forget_domain(&name);
            self.uids.insert(Arc::clone(&name), Arc::clone(&domain.meta.uid));
            if was_told {
                self.stale.insert(Arc::clone(&name));
            }
        }
        self.rollouts.domain(&name, domain);
        touched.insert(name);
    }

    /// Remembers what is to be loaded, unless it was loaded already.
    fn queue(&mut self, name: Arc<str>, map: PolicyMap) {
        let fingerprint = revision::fingerprint(&map);
        if self.fingerprints.insert(Arc::clone(&name), fingerprint) == Some(fingerprint) {
            return;
        }
        self.rollouts.loading(&name);
        self.to_load.insert(name, map);
    }

    fn load(&mut self, name: &Arc<str>, map: &PolicyMap) {
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
        self.to_load.remove(name);
        self.notes.remove(name);
        self.rollouts.removed(name);
    }

    fn forget_domain(&mut self, name: &Arc<str>) {
        self.rollouts.domain_removed(name);
        self.options.observer.forgotten(name);
        self.told.remove(name);
        self.stale.remove(name);
        self.uids.remove(name);
        self.not_yet.remove(name);
        if self.in_force.remove(name).is_some() {
            self.tidy();
        }
    }

    /// Looks at a Domain, tells of it and notes what is to be tried for it.
    fn step(&mut self, domain: &Arc<str>, now: Timestamp, trials: &mut Trials, tell: &mut impl FnMut(Fact)) {
        let mut trial = None;
        for action in self.rollouts.step(domain, now) {
            match action {
                Action::Try { rollout, policies, .. } => trial = Some(Trial { rollout, policies }),
                Action::Tell(domain, report) => self.tell(&domain, report, now).into_iter().for_each(&mut *tell),
            }
        }
        // Whatever was due has been looked at; what still cannot be tried is put off again.
        if trial.is_none() && self.not_yet.get(domain).is_some_and(|(_, next)| *next <= now) {
            self.not_yet.remove(domain);
        }
        if let Some(trial) = trial {
            trials.insert(Arc::clone(domain), trial);
        }
    }

    /// Tries policies and tells what came of it.
    fn carry_out(
        &mut self,
        domain: &Arc<str>,
        trial: Trial,
        now: Timestamp,
        rehearse: &impl Fn(&str, &Needs) -> Result<Rehearsal, NotYet>,
        tell: &mut impl FnMut(Fact),
    ) {
        let mut next = Some(trial);
        // Each trial leads to a verdict, and a verdict to nothing more to try.
        for _ in 0..4 {
            let Some(trial) = next else { return };
            if let Err(not_yet) = self.try_out(domain, &trial, now, rehearse) {
                self.rollouts.tried(domain, &trial.rollout, None, now);
                let fact = match not_yet {
                    NotYet::Reading => self.postpone(domain, now),
                    NotYet::Following => self.follow(domain, now),
                };
                return fact.into_iter().for_each(tell);
            }
            let mut trials = Trials::new();
            self.step(domain, now, &mut trials, tell);
            next = trials.remove(domain);
        }
    }

    /// Policies cannot be tried yet: the records have not been read, or a cluster is just being read.
    fn postpone(&mut self, domain: &Arc<str>, now: Timestamp) -> Option<Fact> {
        let (since, next) = self.not_yet.entry(Arc::clone(domain)).or_insert((now, now));
        *next = later(now, NOT_YET);
        if now.duration_since(*since) < PATIENCE {
            return None;
        }
        let report = self.rollouts.report(domain, now)?;
        self.tell(domain, report, now)
    }

    /// Another replica leads and tries them. Until then what decides is told without a word about what is wanted: what the
    /// leader wrote holds, also in the moment in which we take over from it.
    fn follow(&mut self, domain: &Arc<str>, now: Timestamp) -> Option<Fact> {
        // Patience begins when there is something to wait for.
        self.not_yet.insert(Arc::clone(domain), (now, later(now, NOT_YET)));
        let (policies, on_failure) = self.rollouts.active(domain)?;
        let reference = self.put(&policies, on_failure).ok()?;
        let changed = self.note_in_force(domain, Some(&reference.id));
        // What is told without words leaves the told words without meaning.
        let is_first = self.stale.insert(Arc::clone(domain));
        (changed || is_first).then(|| Fact::Policies(Some(Arc::clone(domain)), reference))
    }

    /// Tries policies on the records of a Domain.
    fn try_out(
        &mut self,
        domain: &Arc<str>,
        Trial { rollout, policies }: &Trial,
        now: Timestamp,
        rehearse: &impl Fn(&str, &Needs) -> Result<Rehearsal, NotYet>,
    ) -> Result<(), NotYet> {
        // That each implements its aspect was seen to before.
        let set = set(policies).map_err(|_| NotYet::Reading)?;
        let rehearsal = rehearse(domain, &set.policy_ref().needs)?;
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
        Ok(())
    }

    fn tell(&mut self, domain: &Arc<str>, mut report: Report<Loaded>, now: Timestamp) -> Option<Fact> {
        let is_first = !self.told.contains_key(domain) && !self.stale.contains(domain);
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
            InForce::Policies(reference) => Some(&reference.id),
            InForce::Held(_) => None,
        };
        if self.note_in_force(domain, id) {
            // They may decide for others already, and fail.
            let why = id.and_then(|id| self.decider.failing(id));
            self.rollouts.health(domain, why.as_ref().map(failing));
            report = self.rollouts.report(domain, now).unwrap_or(report);
        }
        let rollout = Arc::new(Rollout { in_force, policies: report.policies, ready: report.ready });
        if !self.stale.remove(domain) && self.told.get(domain) == Some(&rollout) {
            return None;
        }
        self.options.observer.told(domain, &rollout);
        self.told.insert(Arc::clone(domain), Arc::clone(&rollout));
        Some(Fact::Rollout(Arc::clone(domain), rollout))
    }

    /// What decides for a Domain now; whether that is something else than before.
    fn note_in_force(&mut self, domain: &Arc<str>, id: Option<&Arc<str>>) -> bool {
        let [current, before] = self.in_force.entry(Arc::clone(domain)).or_default();
        if current.as_ref() == id {
            return false;
        }
        *before = std::mem::replace(current, id.cloned());
        self.tidy();
        true
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

    /// Drops the policies that nobody needs any more; those that only answer what is under way are nobody's concern.
    fn tidy(&self) {
        let decide = |id: &str| {
            let mut current = self.in_force.values().filter_map(|[current, _]| current.as_ref());
            self.kept.contains(id) || current.any(|current| **current == *id)
        };
        self.decider.stand_down(decide);
        let wanted: BTreeSet<&Arc<str>> = self.in_force.values().flatten().flatten().chain(&self.kept).collect();
        self.decider.retain(|id| wanted.iter().any(|wanted| ***wanted == *id));
    }
}

/// Policies that are to be tried for a Domain.
struct Trial {
    rollout: Arc<str>,
    policies: PerAspect<Loaded>,
}

/// By Domain.
type Trials = BTreeMap<Arc<str>, Trial>;

fn failing(failure: &PolicyFailure) -> Failing {
    Failing { reason: failure.reason.into(), message: format!("policy {}: {}", failure.policy, failure.message) }
}

fn later(now: Timestamp, by: SignedDuration) -> Timestamp {
    now.checked_add(by).unwrap_or(now)
}

fn set(policies: &PerAspect<Loaded>) -> Result<PolicySet, LoadError> {
    let [naming, selection, ttl] = policies.each_ref().map(|loaded| Arc::clone(&loaded.policy));
    PolicySet::new(naming, selection, ttl)
}
