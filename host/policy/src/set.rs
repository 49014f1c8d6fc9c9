//! The policies that decide for a Domain, and one decision.

use std::{sync::Arc, time::Instant};

use mcsdns_core::decision::{Answer, DecisionInput, DecisionOutput, Needs, PolicyRef};
use serde::Serialize;

use crate::{
    error::{Aspect, DecideError, LoadError, RunError},
    outcome::outcomes,
    policy::{Configured, Policy},
    session::{Session, micros_since},
    state::LogLine,
    versions::View,
};

/// The policies for the three questions; the same one may answer several.
#[derive(Clone, Debug)]
pub struct PolicySet {
    /// In the order of [`Aspect::ALL`].
    seats: [Seat; 3],
    reference: PolicyRef,
}

/// A policy in charge of one question.
#[derive(Clone, Debug)]
struct Seat {
    policy: Arc<Policy>,
    view: Arc<View>,
    /// Which of the instances of a decision it is: policies in charge of several questions have one.
    instance: usize,
}

/// What a decision cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Cost {
    /// The whole, in microseconds, waiting for a free instance included.
    pub total_micros: u32,
    /// Waiting for a free instance and making instances, in microseconds.
    pub start_micros: u32,
    /// The call of each aspect, in microseconds.
    pub naming_micros: u32,
    /// The call of each aspect, in microseconds.
    pub selection_micros: u32,
    /// The call of each aspect, in microseconds.
    pub ttl_micros: u32,
    /// Fuel of all instances.
    pub fuel: u64,
    /// Linear memory of all instances at their largest, in bytes.
    pub memory_bytes: u64,
    /// Lines of log that were not kept.
    pub log_lines_dropped: u64,
}

/// A decision and what it cost.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Decided {
    /// The answers of the policies, unchecked.
    pub output: DecisionOutput,
    /// What they cost.
    pub cost: Cost,
    /// What the policies said.
    pub log: Vec<LogLine>,
}

impl PolicySet {
    /// Puts policies in charge. All must come from the same engine.
    ///
    /// # Errors
    ///
    /// When one of them does not answer the question it is put in charge of.
    pub fn new(naming: Arc<Policy>, selection: Arc<Policy>, ttl: Arc<Policy>) -> Result<Self, LoadError> {
        let policies = [naming, selection, ttl];
        for (policy, aspect) in policies.iter().zip(Aspect::ALL) {
            if !policy.implements(aspect) {
                let implemented: Vec<_> = policy.aspects().iter().map(|aspect| aspect.as_str()).collect();
                return Err(LoadError::AspectMissing { aspect, implemented: implemented.join(", ") });
            }
        }
        let needs = policies.iter().fold(Needs::default(), |union, policy| joined(union, policy.needs()));
        let reference =
            PolicyRef { id: Arc::from(identity(&policies)), title: Arc::from(title(&policies)), needs: needs.clone() };
        let mut distinct: Vec<Arc<Policy>> = Vec::new();
        let seats = policies.map(|policy| {
            let instance = distinct.iter().position(|other| Arc::ptr_eq(other, &policy)).unwrap_or_else(|| {
                distinct.push(Arc::clone(&policy));
                distinct.len() - 1
            });
            let own = policy.needs();
            let label_keys = needs
                .cluster_labels
                .iter()
                .map(|key| own.cluster_labels.iter().position(|it| it == key).and_then(|at| u32::try_from(at).ok()));
            let view = Arc::new(View {
                needs: own.clone(),
                fqdns: policy.description.fqdns,
                label_keys: label_keys.collect(),
            });
            Seat { policy, view, instance }
        });
        Ok(Self { seats, reference })
    }

    /// One policy in charge of everything.
    ///
    /// # Errors
    ///
    /// When it does not answer all three questions.
    pub fn all(policy: &Arc<Policy>) -> Result<Self, LoadError> {
        Self::new(Arc::clone(policy), Arc::clone(policy), Arc::clone(policy))
    }

    /// The policies as far as the Index must know them.
    #[must_use]
    pub fn policy_ref(&self) -> PolicyRef {
        self.reference.clone()
    }

    /// The policy in charge of that question.
    #[must_use]
    pub fn policy(&self, aspect: Aspect) -> &Arc<Policy> {
        let [naming, selection, ttl] = &self.seats;
        match aspect {
            Aspect::Naming => &naming.policy,
            Aspect::Selection => &selection.policy,
            Aspect::Ttl => &ttl.policy,
        }
    }

    /// Asks the policies about one record.
    ///
    /// Synchronous; any number of threads may call it at once. When more decide than there are instances, they wait.
    ///
    /// # Errors
    ///
    /// When a policy fails, refuses, or answers another number of items than it was asked for. What it answers is not
    /// looked at otherwise; that is for the guard rails.
    pub fn decide(&self, input: &DecisionInput) -> Result<Decided, DecideError> {
        let begin = Instant::now();
        let [naming, selection, ttl] = &self.seats;
        let instances = 1 + self.seats.iter().map(|seat| seat.instance).max().unwrap_or_default();
        let engine = naming.policy.engine.inner();
        let _permit = engine.permits.acquire(u32::try_from(instances).unwrap_or(1));
        let mut sessions = Sessions { open: [None, None, None] };
        let mut cost = Cost { start_micros: micros_since(begin), ..Cost::default() };

        let names = sessions.ask(naming, Aspect::Naming, &mut cost, |session, view| {
            let names = session.names(view, input)?;
            bounded("names", names.len(), naming.policy.budget.names)?;
            Ok(names)
        })?;
        let decisions = sessions.ask(selection, Aspect::Selection, &mut cost, |session, view| {
            let decisions = session.select(view, input, &names)?;
            same_count("decisions", names.len(), decisions.len())?;
            let targets = decisions.iter().map(|decision| targets(&decision.answer)).sum();
            bounded("targets", targets, selection.policy.budget.targets)?;
            Ok(decisions)
        })?;
        let (ttls, ttl_recheck) = sessions.ask(ttl, Aspect::Ttl, &mut cost, |session, view| {
            let (ttls, recheck) = session.ttls(view, input, &outcomes(input, &names, &decisions))?;
            same_count("TTLs", names.len(), ttls.len())?;
            Ok((ttls, recheck))
        })?;

        let recheck_after_seconds =
            decisions.iter().filter_map(|decision| decision.recheck_after_seconds).chain(ttl_recheck).min();
        let log = sessions.close(&mut cost);
        cost.total_micros = micros_since(begin);
        Ok(Decided { output: DecisionOutput { names, decisions, ttls, recheck_after_seconds }, cost, log })
    }
}

/// The instances of one decision, made when they are first asked.
struct Sessions<'a> {
    open: [Option<Session<'a>>; 3],
}

impl<'a> Sessions<'a> {
    /// Asks the policy in a seat.
    fn ask<T>(
        &mut self,
        seat: &'a Seat,
        aspect: Aspect,
        cost: &mut Cost,
        call: impl FnOnce(&mut Session<'a>, &View) -> Result<T, RunError>,
    ) -> Result<T, DecideError> {
        let answer = self.try_ask(seat, aspect, cost, call);
        answer.map_err(|error| DecideError {
            policy: Arc::clone(&seat.policy.name),
            aspect,
            error,
            log: self.close(cost),
        })
    }

    fn try_ask<T>(
        &mut self,
        seat: &'a Seat,
        aspect: Aspect,
        cost: &mut Cost,
        call: impl FnOnce(&mut Session<'a>, &View) -> Result<T, RunError>,
    ) -> Result<T, RunError> {
        let begin = Instant::now();
        let policy = &*seat.policy;
        let slot = self
            .open
            .get_mut(seat.instance)
            .ok_or_else(|| RunError::Sandbox("more policies than questions".to_owned()))?;
        let session = match slot {
            Some(session) => session,
            None => {
                let mut session = Session::start(policy.engine.inner(), &policy.compiled, &policy.budget)?;
                if let (Configured::EveryTime { .. }, Some(config)) = (&policy.configured, &policy.config) {
                    session
                        .configure(config)?
                        .map_err(|message| RunError::Refused { field: "configuration".to_owned(), message })?;
                }
                slot.insert(session)
            }
        };
        let started = micros_since(begin);
        cost.start_micros = cost.start_micros.saturating_add(started);
        session.store.data_mut().log.aspect = Some(aspect);
        let answer = call(session, &seat.view);
        let micros = micros_since(begin).saturating_sub(started);
        match aspect {
            Aspect::Naming => cost.naming_micros = micros,
            Aspect::Selection => cost.selection_micros = micros,
            Aspect::Ttl => cost.ttl_micros = micros,
        }
        answer
    }

    /// Ends all instances; what they said.
    fn close(&mut self, cost: &mut Cost) -> Vec<LogLine> {
        let mut lines = Vec::new();
        for mut session in self.open.iter_mut().filter_map(Option::take) {
            cost.fuel += session.fuel_used();
            let state = session.store.data_mut();
            cost.memory_bytes += state.limiter.memory;
            cost.log_lines_dropped += state.log.dropped;
            lines.append(&mut state.log.lines);
        }
        lines
    }
}

/// How many clusters and addresses an answer names.
fn targets(answer: &Answer) -> usize {
    match answer {
        Answer::Clusters(clusters) => clusters.len(),
        Answer::Targets(targets) => targets.len(),
        Answer::Sets(sets) => sets.iter().map(|set| set.targets.len()).sum(),
        Answer::Otherwise | Answer::Keep => 0,
    }
}

fn bounded(what: &'static str, found: usize, limit: u32) -> Result<(), RunError> {
    let (found, limit) = (u64::try_from(found).unwrap_or(u64::MAX), u64::from(limit));
    if found > limit { Err(RunError::TooMany { what, found, limit }) } else { Ok(()) }
}

fn same_count(what: &'static str, expected: usize, found: usize) -> Result<(), RunError> {
    if found == expected { Ok(()) } else { Err(RunError::WrongCount { what, expected, found }) }
}

/// Everything that either needs.
fn joined(mut union: Needs, other: &Needs) -> Needs {
    let add = |to: &mut Vec<String>, from: &[String]| {
        for key in from {
            if !to.contains(key) {
                to.push(key.clone());
            }
        }
    };
    add(&mut union.cluster_labels, &other.cluster_labels);
    add(&mut union.annotations, &other.annotations);
    Needs {
        addresses: union.addresses || other.addresses,
        cluster_names: union.cluster_names || other.cluster_names,
        ready_endpoints: union.ready_endpoints || other.ready_endpoints,
        state_age: union.state_age || other.state_age,
        ..union
    }
}

/// Names every policy with its version, once, and what it is in charge of unless it is everything.
fn title(policies: &[Arc<Policy>; 3]) -> String {
    grouped(policies, |policy| policy.title(), ": ", ", ")
}

/// Tells apart sets that may answer differently.
fn identity(policies: &[Arc<Policy>; 3]) -> String {
    grouped(policies, |policy| policy.identity(), "=", ";")
}

fn grouped(policies: &[Arc<Policy>; 3], what: impl Fn(&Policy) -> String, of: &str, then: &str) -> String {
    let mut groups: Vec<(String, Vec<&str>)> = Vec::new();
    for (policy, aspect) in policies.iter().zip(Aspect::ALL) {
        let what = what(policy);
        match groups.iter_mut().find(|(other, _)| *other == what) {
            Some((_, aspects)) => aspects.push(aspect.as_str()),
            None => groups.push((what, vec![aspect.as_str()])),
        }
    }
    match groups.as_slice() {
        [(only, _)] => only.clone(),
        _ => groups
            .iter()
            .map(|(what, aspects)| format!("{}{of}{what}", aspects.join("+")))
            .collect::<Vec<_>>()
            .join(then),
    }
}
