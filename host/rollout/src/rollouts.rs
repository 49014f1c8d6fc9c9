//! All Domains and all ConfigMaps: which Domain is touched by what.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use jiff::Timestamp;
use mcsdns_core::{
    facts::{Domain, OnFailure, PolicyNames},
    rehearsal::Rehearsed,
};

use crate::{
    domain::{DomainRollout, Failing, MapState, PerAspect, Step, Version, Wanted},
    report::Report,
    shelf::Refusal,
};

/// One thing to do.
#[derive(Clone, Debug)]
pub enum Action<P> {
    /// Try these policies on the records of the Domain and come back with [`Rollouts::tried`].
    Try {
        /// The Domain.
        domain: Arc<str>,
        /// Identifies the policies.
        rollout: Arc<str>,
        /// The policies.
        policies: PerAspect<P>,
    },
    /// Tell the Index.
    Tell(Arc<str>, Report<P>),
}

/// The policies of all Domains.
#[derive(Clone, Debug)]
pub struct Rollouts<P> {
    in_the_box: PerAspect<P>,
    /// Where the Domains are.
    namespace: Arc<str>,
    /// Decide where a Domain names nothing.
    defaults: PolicyNames,
    maps: BTreeMap<Arc<str>, Result<P, Refusal>>,
    /// Those that are to be loaded, in place of what is in `maps` if anything.
    loading: BTreeSet<Arc<str>>,
    /// The ConfigMaps have been listed.
    synced: bool,
    /// Why they cannot be.
    trouble: Option<String>,
    domains: BTreeMap<Arc<str>, DomainRollout<P>>,
    /// When to look at a Domain again without any news.
    wakes: BTreeMap<Arc<str>, Timestamp>,
}

impl<P: Version> Rollouts<P> {
    /// Nothing is known yet. Where a Domain names no ConfigMap, `defaults` do, and then the policy in the box. `namespace` is
    /// where the Domains are.
    #[must_use]
    pub const fn new(in_the_box: PerAspect<P>, defaults: PolicyNames, namespace: Arc<str>) -> Self {
        Self {
            in_the_box,
            namespace,
            defaults,
            maps: BTreeMap::new(),
            loading: BTreeSet::new(),
            synced: false,
            trouble: None,
            domains: BTreeMap::new(),
            wakes: BTreeMap::new(),
        }
    }

    /// A ConfigMap is about to be loaded.
    pub fn loading(&mut self, name: &Arc<str>) {
        self.loading.insert(Arc::clone(name));
    }

    /// A ConfigMap was loaded.
    pub fn loaded(&mut self, name: &Arc<str>, outcome: Result<P, Refusal>) {
        self.loading.remove(name);
        self.maps.insert(Arc::clone(name), outcome);
    }

    /// A ConfigMap is gone. Policies of it that decide go on doing so.
    pub fn removed(&mut self, name: &str) {
        self.loading.remove(name);
        self.maps.remove(name);
    }

    /// Names of the ConfigMaps that are known.
    pub fn maps(&self) -> impl Iterator<Item = &Arc<str>> {
        self.maps.keys()
    }

    /// The ConfigMaps that hold no policy that may decide, and why.
    pub fn refusals(&self) -> impl Iterator<Item = (&Arc<str>, &Refusal)> {
        self.maps.iter().filter_map(|(name, outcome)| Some((name, outcome.as_ref().err()?)))
    }

    /// All ConfigMaps there are have been loaded, or are about to be.
    pub fn synced(&mut self) {
        self.synced = true;
        self.trouble = None;
    }

    /// ConfigMaps cannot be read, or can be again.
    pub fn trouble(&mut self, trouble: Option<String>) {
        self.trouble = trouble;
    }

    /// A Domain was applied.
    pub fn domain(&mut self, name: &Arc<str>, domain: &Domain) {
        let status = domain.status.as_deref();
        let wanted = domain.spec.as_ref().map(|spec| Wanted::new(spec, &self.defaults));
        match (self.domains.get_mut(name), wanted) {
            (Some(known), Ok(wanted)) => known.change(wanted, status),
            // What cannot be read leaves what was wanted.
            (Some(known), Err(_)) => known.change(known.wanted.clone(), status),
            (None, wanted) => {
                let namespace = Arc::clone(&self.namespace);
                let rollout = DomainRollout::new(Arc::clone(name), namespace, wanted.unwrap_or_default(), status);
                self.domains.insert(Arc::clone(name), rollout);
            }
        }
    }

    /// A Domain is gone.
    pub fn domain_removed(&mut self, name: &str) {
        self.domains.remove(name);
        self.wakes.remove(name);
    }

    /// Names of the Domains that are known.
    pub fn domains(&self) -> impl Iterator<Item = &Arc<str>> {
        self.domains.keys()
    }

    /// Names of the Domains that name this ConfigMap, or whose status does.
    #[must_use]
    pub fn naming(&self, map: &str) -> Vec<Arc<str>> {
        self.domains.iter().filter(|(_, domain)| domain.names(map)).map(|(name, _)| Arc::clone(name)).collect()
    }

    /// What decides for a Domain, and who answers when it fails.
    #[must_use]
    pub fn active(&self, domain: &str) -> Option<(PerAspect<P>, OnFailure)> {
        let domain = self.domains.get(domain)?;
        Some((domain.active()?.map(Clone::clone), domain.wanted.on_failure))
    }

    /// The policies that decide for a Domain keep failing, or do so no more.
    pub fn health(&mut self, domain: &str, failing: Option<Failing>) {
        if let Some(domain) = self.domains.get_mut(domain) {
            domain.note_health(failing);
        }
    }

    /// Policies were tried; `None`: that is not possible yet.
    pub fn tried(&mut self, domain: &str, rollout: &Arc<str>, result: Option<Rehearsed>, now: Timestamp) {
        let Some(known) = self.domains.get_mut(domain) else { return };
        match result {
            Some(result) => known.tried(rollout, result, now),
            None => known.postponed(),
        }
    }

    /// Looks at one Domain: what is to be done for it.
    pub fn step(&mut self, name: &str, now: Timestamp) -> Vec<Action<P>> {
        let Some((name, domain)) =
            self.domains.get_key_value(name).map(|(name, _)| Arc::clone(name)).and_then(|name| {
                let domain = self.domains.get_mut(&name)?;
                Some((name, domain))
            })
        else {
            return Vec::new();
        };
        let (maps, loading, synced, trouble) = (&self.maps, &self.loading, self.synced, &self.trouble);
        let find = |name: &str| match (maps.get(name), trouble) {
            _ if loading.contains(name) => MapState::Reading,
            (Some(Ok(version)), _) => MapState::Good(version.clone()),
            (Some(Err(refusal)), _) => MapState::Refused(refusal.clone()),
            (None, Some(why)) => MapState::Unreadable(why.clone()),
            (None, None) if synced => MapState::Missing,
            (None, None) => MapState::Reading,
        };
        let mut actions = Vec::new();
        let wake = match domain.step(find, &self.in_the_box, now) {
            Step::Rest(wake) => wake,
            Step::Try { rollout, policies } => {
                actions.push(Action::Try { domain: Arc::clone(&name), rollout, policies });
                None
            }
        };
        if let Some(report) = domain.report(&self.in_the_box, now) {
            actions.push(Action::Tell(Arc::clone(&name), report));
        }
        match wake {
            Some(at) => drop(self.wakes.insert(name, at)),
            None => drop(self.wakes.remove(&name)),
        }
        actions
    }

    /// See [`DomainRollout::is_plain`].
    #[must_use]
    pub fn is_plain(&self, name: &str) -> bool {
        self.domains.get(name).is_some_and(DomainRollout::is_plain)
    }

    /// What is to be told of a Domain now.
    pub fn report(&mut self, name: &str, now: Timestamp) -> Option<Report<P>> {
        self.domains.get_mut(name)?.report(&self.in_the_box, now)
    }

    /// The Domains that are to be looked at again by now.
    #[must_use]
    pub fn due(&self, now: Timestamp) -> Vec<Arc<str>> {
        self.wakes.iter().filter(|(_, at)| **at <= now).map(|(name, _)| Arc::clone(name)).collect()
    }

    /// When to look again.
    #[must_use]
    pub fn wake(&self) -> Option<Timestamp> {
        self.wakes.values().min().copied()
    }
}
