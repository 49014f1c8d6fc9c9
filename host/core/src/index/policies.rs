//! Which policies decide for a Domain, and what is said about them.

use std::{collections::HashMap, sync::Arc};

use super::{
    Depth, DomainPolicies, Index,
    claims::Rank,
    flow::add_ages,
    observe::Observation,
    record::{DomainEntry, Entry, Verdict},
};
use crate::{
    decision::{ClusterState, DecisionInput, Needs, PolicyRef},
    effect::{About, Effect},
    facts::{InForce, Rollout},
    guard,
    ids::ObjectKey,
    name,
    reason::Reason,
    rehearsal::{NotYet, Part, Rehearsal},
    status::{ActivePolicy, Condition, PolicyStatus},
};

/// What was told about the policies of a Domain.
#[derive(Debug)]
pub(super) struct Told {
    in_force: InForce,
    /// `None` where only the policies were told.
    rollout: Option<Arc<Rollout>>,
}

impl Told {
    fn is_failing(&self) -> bool {
        let ready = self.rollout.as_ref().and_then(|rollout| rollout.ready.as_ref());
        ready.is_some_and(|ready| ready.reason == Reason::PolicyFailing)
    }
}

impl Index {
    /// The policies that decide for a Domain, or what stands in the way.
    pub(super) fn in_force(&self, domain: &str) -> Result<PolicyRef, (Reason, String)> {
        match self.domain_policies.get(domain).map(|told| &told.in_force) {
            Some(InForce::Policies(policies)) => Ok(policies.clone()),
            Some(InForce::Held(why)) => Err((Reason::PolicyUnavailable, format!("Domain {domain}: {why}"))),
            None if self.awaits_policies(domain) => {
                Err((Reason::PolicyPending, format!("the policies of Domain {domain} have not been read yet")))
            }
            None => Ok(self.default_policies.clone()),
        }
    }

    /// The policies of this Domain are still to be told.
    pub(super) fn awaits_policies(&self, domain: &str) -> bool {
        let own = || self.domains.get(domain).is_some_and(|domain| domain.own_policies);
        !self.domain_policies.contains_key(domain)
            && match self.settings.domain_policies {
                DomainPolicies::Ignored => false,
                DomainPolicies::Honoured => own(),
                DomainPolicies::Everywhere => true,
            }
    }

    pub(super) fn learn_policies(&mut self, domain: Option<Arc<str>>, policies: PolicyRef) {
        match domain {
            // One that is gone would have them when it is made anew.
            Some(domain) if self.domains.contains_key(&domain) => {
                self.touch_domain(&domain);
                self.domain_policies.insert(domain, Told { in_force: InForce::Policies(policies), rollout: None });
            }
            Some(_) => {}
            None => {
                self.default_policies = policies;
                self.touch_all(&Depth::Observe);
            }
        }
    }

    pub(super) fn learn_rollout(&mut self, domain: &Arc<str>, rollout: Arc<Rollout>, out: &mut Vec<Effect>) {
        if !self.domains.contains_key(domain) {
            return;
        }
        let told = Told { in_force: rollout.in_force.clone(), rollout: Some(rollout) };
        let before = self.domain_policies.insert(Arc::clone(domain), told);
        let same =
            |before: &Told| self.domain_policies.get(domain).is_some_and(|told| told.in_force == before.in_force);
        if !before.as_ref().is_some_and(same) {
            self.touch_domain(domain);
        } else if before.as_ref().is_some_and(Told::is_failing)
            && !self.domain_policies.get(domain).is_some_and(Told::is_failing)
        {
            self.ask_failed_again(domain);
        }
        self.report_domain(domain, out);
    }

    /// A Domain was applied. One that had no policies of its own until now keeps the default ones until it is told how far
    /// its own are; whether anything changed for its records.
    pub(super) fn note_wanted_policies(&mut self, domain: &Arc<str>, before: Option<bool>) -> bool {
        let awaits = self.awaits_policies(domain);
        if self.settings.domain_policies == DomainPolicies::Honoured && awaits && before == Some(false) {
            let in_force = InForce::Policies(self.default_policies.clone());
            self.domain_policies.insert(Arc::clone(domain), Told { in_force, rollout: None });
            return false;
        }
        awaits
    }

    /// The policies answer again: whoever got no answer, or one of others in their place, need not wait for the next attempt.
    fn ask_failed_again(&mut self, domain: &str) {
        for key in self.by_domain.get(domain).cloned().unwrap_or_default() {
            if let Some(entry) = self.records.get_mut(&key)
                && (matches!(entry.answered, Some((_, Verdict::Failed(_)))) || entry.ask_again.is_some())
            {
                entry.ask_again = Some(self.now);
                self.touch(&key, Depth::Observe);
            }
        }
    }

    fn touch_domain(&mut self, domain: &str) {
        for record in self.by_domain.get(domain).cloned().unwrap_or_default() {
            self.touch(&record, Depth::Observe);
        }
    }

    /// How far the policies of a Domain are: condition and status, with the times that were observed before.
    pub(super) fn policies_of(&self, domain: &str, entry: &DomainEntry) -> (Option<Condition>, Vec<PolicyStatus>) {
        let Some(rollout) = self.domain_policies.get(domain).and_then(|told| told.rollout.as_ref()) else {
            // Nothing was told: what an earlier process or the leader wrote is not ours to take away.
            let Some(status) = &entry.domain.status else { return (None, Vec::new()) };
            let ready = status.conditions.iter().find(|condition| &*condition.kind == "PoliciesReady");
            return (ready.cloned(), status.policies.clone());
        };
        let condition = rollout
            .ready
            .as_ref()
            .map(|ready| Condition::new("PoliciesReady", ready.status, ready.reason, ready.message.as_str()));
        let known = entry.domain.status.as_ref().map(|status| status.policies.as_slice()).unwrap_or_default();
        let mut policies = rollout.policies.clone();
        for policy in &mut policies {
            let Some(before) = known.iter().find(|before| before.aspect == policy.aspect) else { continue };
            if let (Some(active), Some(before)) = (&mut policy.active, &before.active)
                && active.revision == before.revision
            {
                active.since = before.since;
            }
            if let (Some(candidate), Some(before)) = (&mut policy.candidate, &before.candidate)
                && candidate.revision == before.revision
                && candidate.verdict == before.verdict
            {
                candidate.since = before.since;
            }
        }
        (condition, policies)
    }

    /// Everything that is needed to try policies on the records of a Domain without anything coming of it.
    ///
    /// # Errors
    /// Why that is not possible yet.
    pub fn rehearsal(&self, domain: &str, needs: &Needs) -> Result<Rehearsal, NotYet> {
        if !self.leading {
            return Err(NotYet::Following);
        }
        if !self.host_synced() || self.is_unsettled() {
            return Err(NotYet::Reading);
        }
        let view = self.domains.get(domain).and_then(|domain| domain.view.clone()).ok_or(NotYet::Reading)?;
        let keys = self.by_domain.get(domain);
        let mut parts: Vec<(Arc<Rank>, Part)> = Vec::new();
        for key in keys.into_iter().flatten() {
            let Some(entry) = self.records.get(key) else { continue };
            let (published, input) = (self.base(key, entry), self.rehearsal_question(key, entry, needs));
            // What is published counts also where nobody can be asked about it.
            if input.is_none() && published.is_empty() {
                continue;
            }
            let serves = |o: &Observation| !o.blind && o.state != ClusterState::Unreachable && !o.addresses.is_empty();
            let seen = entry.observations.iter().any(serves);
            parts.push((Arc::clone(&entry.rank), Part { record: key.clone(), input, seen, published }));
        }
        // Names go to the older record, as they will later.
        parts.sort_by(|a, b| a.0.cmp(&b.0));
        let limits = guard::Limits {
            zone: "",
            max_names: self.settings.max_names,
            max_targets: self.settings.max_targets,
            min_ttl: self.settings.min_ttl,
            max_ttl: self.settings.max_ttl,
        };
        Ok(Rehearsal {
            parts: parts.into_iter().map(|(_, part)| part).collect(),
            taken: self.taken_by_others(domain, &view.zone),
            limits,
            ttl_bounds: view.ttl_bounds(),
            affix: self.settings.txt_affix,
        })
    }

    /// What would be asked about a record; `None` where the policies in force are not asked either.
    fn rehearsal_question(&self, key: &ObjectKey, entry: &Entry, needs: &Needs) -> Option<DecisionInput> {
        let (spec, view) = self.usable(entry).ok()?;
        let frozen = entry.observations.iter().all(|observation| observation.state == ClusterState::Unreachable);
        if frozen || entry.observations.len() != self.clusters.len() {
            return None;
        }
        let mut input = self.question(key, entry, spec, &view, &entry.observations, needs);
        if needs.state_age {
            add_ages(&mut input, &entry.observations, self.now);
        }
        Some(input)
    }

    /// Names within a zone that belong to records of other Domains.
    fn taken_by_others(&self, domain: &str, zone: &str) -> HashMap<Arc<str>, ObjectKey> {
        let shares_zone = |entry: &DomainEntry| {
            entry.view.as_ref().is_some_and(|view| {
                name::is_within(&view.zone, zone) || name::is_within(zone, &view.zone) || *view.zone == *zone
            })
        };
        let others = self.domains.iter().filter(|(name, entry)| ***name != *domain && shares_zone(entry));
        let records = others.filter_map(|(name, _)| self.by_domain.get(name)).flatten();
        let claimed = |entry: &Entry| entry.claims();
        records
            .filter_map(|key| Some((key, self.records.get(key)?)))
            .flat_map(|(key, entry)| claimed(entry).into_iter().map(|name| (name, key.clone())))
            .collect()
    }
}

/// Tells of policies that have begun to decide.
pub(super) fn activations(about: &About, before: &[PolicyStatus], after: &[PolicyStatus], out: &mut Vec<Effect>) {
    let title = |active: &ActivePolicy| match &active.config_map {
        Some(map) => format!("{} of ConfigMap {map}", active.policy),
        None => format!("{} (the policy in the box)", active.policy),
    };
    for now in after {
        let Some(active) = &now.active else { continue };
        let known = before.iter().find(|before| before.aspect == now.aspect).and_then(|before| before.active.as_ref());
        if known.is_some_and(|known| known.revision == active.revision) {
            continue;
        }
        // The policy in the box is told only when it takes over from another one.
        if known.is_none() && active.config_map.is_none() {
            continue;
        }
        let after = known.map_or_else(String::new, |known| format!(", in place of {}", title(known)));
        out.push(Effect::Notice {
            about: about.clone(),
            warning: false,
            reason: Reason::PolicyActivated.as_str().into(),
            note: format!("{} is decided by {}{after}", now.aspect, title(active)),
        });
    }
}
