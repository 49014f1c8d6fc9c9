//! The policies of one Domain: what is wanted, what decides, and what stands between the two.
//!
//! Pure: time is given in, policies are of any kind that is a [`Version`], and trying them is somebody else's work. The rules:
//!
//! 1. What decides stays until something better has been tried on every record of the Domain. All policies that are wanted
//!    and can be loaded take over together or not at all.
//! 2. What the status names as active was good: a process that starts, or a replica that follows, takes it without trying.
//!    Only the leader tries.
//! 3. What was good and is nowhere to be had holds the Domain: nothing is decided, what is published stays. No other policy
//!    takes its place unasked, or names would come as a surprise.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use mcsdns_core::{
    facts::{DomainSpec, OnFailure, PolicyNames},
    rehearsal::Rehearsed,
    status::{ActivePolicy, CandidatePolicy, DomainStatus, PolicyStatus},
};
use mcsdns_policy::Aspect;

use crate::{revision, shelf::Refusal};

/// Share of the published names that a change may remove unless the Domain says otherwise, in percent.
pub const MAX_REMOVED_PERCENT: u32 = 30;

/// When to try again policies that were tried and did not pass: what stood in the way may be gone.
const TRY_AGAIN: SignedDuration = SignedDuration::from_secs(60);

/// A policy as far as these rules must know it.
pub trait Version: Clone {
    /// Component, configuration and budget together.
    fn revision(&self) -> &Arc<str>;
    /// sha256 of the component.
    fn digest(&self) -> &Arc<str>;
    /// Name and version, as the policy says.
    fn title(&self) -> &Arc<str>;
    /// Whether it answers that question.
    fn implements(&self, aspect: Aspect) -> bool;
}

/// One value per aspect, in the order of [`Aspect::ALL`].
pub type PerAspect<T> = [T; 3];

/// What is known of a ConfigMap.
#[derive(Clone, Debug)]
pub enum MapState<P> {
    /// Being read or loaded.
    Reading,
    /// Holds a policy.
    Good(P),
    /// Holds none that may decide.
    Refused(Refusal),
    /// Does not exist, or has not the label of policies.
    Missing,
    /// ConfigMaps cannot be read at all; why.
    Unreadable(String),
}

/// What is wanted for a Domain.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// The ConfigMaps; `None`: the policy in the box.
    pub maps: PerAspect<Option<Arc<str>>>,
    /// Who answers when they do not.
    pub on_failure: OnFailure,
    /// Share of names that may be removed, in percent.
    pub max_removed_percent: u32,
    /// The rollout that may remove more.
    pub allowed: Option<Arc<str>>,
}

impl Wanted {
    /// What a Domain asks for; where it names none, `defaults` do.
    #[must_use]
    pub fn new(spec: &DomainSpec, defaults: &PolicyNames) -> Self {
        let pick = |own: &Option<Arc<str>>, default: &Option<Arc<str>>| own.clone().or_else(|| default.clone());
        let own = &spec.policies;
        Self {
            maps: [
                pick(&own.naming, &defaults.naming),
                pick(&own.selection, &defaults.selection),
                pick(&own.ttl, &defaults.ttl),
            ],
            on_failure: spec.on_failure,
            max_removed_percent: spec
                .max_removed_percent
                .and_then(|percent| u32::try_from(percent).ok())
                .unwrap_or(MAX_REMOVED_PERCENT),
            allowed: spec.allow_removal.clone(),
        }
    }
}

/// A policy in charge of one aspect.
#[derive(Clone, Debug)]
pub struct Seat<P> {
    /// Where it comes from; `None`: the box.
    pub map: Option<Arc<str>>,
    /// The policy.
    pub version: P,
    /// Since when.
    pub since: Timestamp,
}

impl<P: Version> Seat<P> {
    /// The policy in the box counts as one, whatever its version: it comes with the program.
    fn is(&self, other: &Self) -> bool {
        self.map.is_none() && other.map.is_none() || self.version.revision() == other.version.revision()
    }
}

/// Policies that keep failing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failing {
    /// Stable.
    pub reason: Arc<str>,
    /// For people.
    pub message: String,
}

/// What became of trying policies.
#[derive(Clone, Debug)]
enum Trial {
    /// Nothing is tried.
    Idle,
    /// Asked for.
    Asked(Arc<str>),
    /// Tried; to be tried again at that time.
    Done { rollout: Arc<str>, result: Box<Rehearsed>, at: Timestamp, again: Timestamp },
}

/// Why an aspect that is wanted is not there to be tried.
#[derive(Clone, Debug)]
pub(crate) enum Obstacle {
    Reading,
    Missing,
    Unreadable(String),
    Refused(Refusal),
}

/// What is to be done, besides telling [`DomainRollout::report`].
#[derive(Clone, Debug)]
pub enum Step<P> {
    /// Nothing; look again at that time, if any.
    Rest(Option<Timestamp>),
    /// Try these policies together, and come back with [`DomainRollout::tried`].
    Try {
        /// Identifies them.
        rollout: Arc<str>,
        /// The policies.
        policies: PerAspect<P>,
    },
}

/// The policies of one Domain.
#[derive(Clone, Debug)]
pub struct DomainRollout<P> {
    pub(crate) name: Arc<str>,
    pub(crate) namespace: Arc<str>,
    pub(crate) wanted: Wanted,
    /// What the status says; `None`: there is no status yet.
    pub(crate) remembered: Option<Vec<PolicyStatus>>,
    pub(crate) active: Option<PerAspect<Seat<P>>>,
    pub(crate) obstacles: PerAspect<Option<Obstacle>>,
    /// What would decide if it passed; as far as it is there.
    pub(crate) target: PerAspect<Option<Seat<P>>>,
    trial: Trial,
    /// What was good is still being looked for.
    recalling: bool,
    pub(crate) failing: Option<Failing>,
    /// When each obstacle or verdict was first seen.
    pub(crate) seen: PerAspect<Option<(Arc<str>, Timestamp)>>,
}

impl<P: Version> DomainRollout<P> {
    /// A Domain that was just heard of.
    #[must_use]
    pub fn new(name: Arc<str>, namespace: Arc<str>, wanted: Wanted, status: Option<&DomainStatus>) -> Self {
        Self {
            name,
            namespace,
            wanted,
            remembered: status.map(|status| status.policies.clone()),
            active: None,
            obstacles: [None, None, None],
            target: [None, None, None],
            trial: Trial::Idle,
            recalling: false,
            failing: None,
            seen: [None, None, None],
        }
    }

    /// The Domain was changed, or its status was written.
    pub fn change(&mut self, wanted: Wanted, status: Option<&DomainStatus>) {
        self.wanted = wanted;
        self.remembered = status.map(|status| status.policies.clone());
    }

    /// The policies that decide keep failing, or do so no more.
    pub fn note_health(&mut self, failing: Option<Failing>) {
        self.failing = failing;
    }

    /// Neither the Domain nor its status names any policy: the Index knows without being told.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        self.wanted.maps.iter().all(Option::is_none) && self.remembered.as_ref().is_none_or(Vec::is_empty)
    }

    /// What decides.
    #[must_use]
    pub fn active(&self) -> Option<PerAspect<&P>> {
        self.active.as_ref().map(|seats| seats.each_ref().map(|seat| &seat.version))
    }

    /// Whether the Domain or its status names this ConfigMap.
    #[must_use]
    pub fn names(&self, map: &str) -> bool {
        let active = self.remembered.iter().flatten().filter_map(|status| status.active.as_ref()?.config_map.as_ref());
        self.wanted.maps.iter().flatten().chain(active).any(|named| **named == *map)
    }

    /// The policies that were asked to be tried were tried.
    pub fn tried(&mut self, rollout: &Arc<str>, result: Rehearsed, now: Timestamp) {
        // Large Domains are not tried all the time.
        let pause = TRY_AGAIN * i32::try_from(1 + result.records / 1000).unwrap_or(i32::MAX);
        let again = now.checked_add(pause).unwrap_or(now);
        self.trial = Trial::Done { rollout: Arc::clone(rollout), result: Box::new(result), at: now, again };
    }

    /// The trial could not take place yet; it is asked for again when time has passed.
    pub fn postponed(&mut self) {
        self.trial = Trial::Idle;
    }

    /// Looks at everything anew.
    pub fn step(&mut self, map: impl Fn(&str) -> MapState<P>, in_the_box: &PerAspect<P>, now: Timestamp) -> Step<P> {
        if self.active.is_none() {
            self.active = if self.is_plain() {
                // Nobody asked for anything else, ever.
                Some(in_the_box.clone().map(|version| Seat { map: None, version, since: now }))
            } else {
                self.recall(&map, in_the_box, now)
            };
        }
        self.recalling = self.active.is_none() && self.may_be_recalled(&map);
        self.resolve(&map, in_the_box, now);
        let [Some(naming), Some(selection), Some(ttl)] = self.target.clone() else {
            return Step::Rest(None);
        };
        if self.is_reading() {
            // It will be there in a moment, and take over together with the rest.
            return Step::Rest(None);
        }
        let target = [naming, selection, ttl];
        if self.active.as_ref().is_some_and(|active| active.iter().zip(&target).all(|(a, b)| a.is(b))) {
            // Only where it comes from may differ.
            self.take_over(target);
            return Step::Rest(None);
        }
        if self.is_remembered(&target) {
            self.take_over(target);
            return Step::Rest(None);
        }
        let rollout = self.rollout(&target);
        match &self.trial {
            Trial::Asked(asked) if *asked == rollout => Step::Rest(None),
            Trial::Done { rollout: tried, result, again, .. } if *tried == rollout && *again > now => {
                let again = *again;
                if self.passes(result, &rollout) {
                    self.take_over(target);
                    return Step::Rest(None);
                }
                Step::Rest(Some(again))
            }
            Trial::Idle | Trial::Asked(_) | Trial::Done { .. } => {
                self.trial = Trial::Asked(Arc::clone(&rollout));
                Step::Try { rollout, policies: target.map(|seat| seat.version) }
            }
        }
    }

    /// What a trial has to say about the policies that are wanted now; when it was said.
    pub(crate) fn verdict(&self) -> Option<(&Rehearsed, Arc<str>, Timestamp)> {
        let [Some(naming), Some(selection), Some(ttl)] = &self.target else { return None };
        let now = revision::rollout([naming, selection, ttl].map(|seat| &**seat.version.revision()));
        match &self.trial {
            Trial::Done { rollout, result, at, .. } if *rollout == now => Some((result, now, *at)),
            Trial::Done { .. } | Trial::Asked(_) | Trial::Idle => None,
        }
    }

    /// Something that is wanted is still being read or tried.
    pub(crate) fn is_checking(&self) -> bool {
        self.is_reading() || matches!(self.trial, Trial::Asked(_))
    }

    fn is_reading(&self) -> bool {
        self.recalling || self.obstacles.iter().flatten().any(|obstacle| matches!(obstacle, Obstacle::Reading))
    }

    /// What was good may still be there: its ConfigMap has not been read yet.
    fn may_be_recalled(&self, map: &impl Fn(&str) -> MapState<P>) -> bool {
        let active = self.remembered.iter().flatten().filter_map(|status| status.active.as_ref());
        active.filter_map(|active| active.config_map.as_ref()).any(|name| matches!(map(name), MapState::Reading))
    }

    pub(crate) fn passes(&self, result: &Rehearsed, rollout: &Arc<str>) -> bool {
        result.failure.is_none()
            && (result.removed_percent_at_worst() <= self.wanted.max_removed_percent
                || self.wanted.allowed.as_ref() == Some(rollout))
    }

    fn rollout(&self, target: &PerAspect<Seat<P>>) -> Arc<str> {
        revision::rollout(target.each_ref().map(|seat| &**seat.version.revision()))
    }

    /// After a start: what was good, if all of it is still there.
    fn recall(
        &self,
        map: &impl Fn(&str) -> MapState<P>,
        in_the_box: &PerAspect<P>,
        now: Timestamp,
    ) -> Option<PerAspect<Seat<P>>> {
        let remembered = self.remembered.as_ref()?;
        let recall = |aspect: Aspect, in_the_box: &P| {
            let Some(status) = remembered.iter().find(|status| *status.aspect == *aspect.as_str()) else {
                // Nothing is said about the policy in the box.
                return Some(Seat { map: None, version: in_the_box.clone(), since: now });
            };
            let active = status.active.as_ref()?;
            match &active.config_map {
                None => Some(Seat { map: None, version: in_the_box.clone(), since: active.since }),
                Some(name) => match map(name) {
                    MapState::Good(version) if *version.revision() == active.revision && version.implements(aspect) => {
                        Some(Seat { map: Some(Arc::clone(name)), version, since: active.since })
                    }
                    _ => None,
                },
            }
        };
        let [naming, selection, ttl] = in_the_box;
        Some([recall(Aspect::Naming, naming)?, recall(Aspect::Selection, selection)?, recall(Aspect::Ttl, ttl)?])
    }

    /// Finds out what would decide, aspect by aspect, and what stands in the way of what is wanted.
    fn resolve(&mut self, map: &impl Fn(&str) -> MapState<P>, in_the_box: &PerAspect<P>, now: Timestamp) {
        for (i, (aspect, in_the_box)) in Aspect::ALL.into_iter().zip(in_the_box).enumerate() {
            let wanted = self.wanted.maps.get(i).cloned().flatten();
            let active = self.active.as_ref().and_then(|active| active.get(i)).cloned();
            let seat = |map: Option<Arc<str>>, version: P| {
                let since = active.as_ref().filter(|seat| *seat.version.revision() == *version.revision());
                Seat { map, since: since.map_or(now, |seat| seat.since), version }
            };
            let found = match &wanted {
                None => Ok(seat(None, in_the_box.clone())),
                Some(name) => match map(name) {
                    MapState::Good(version) if version.implements(aspect) => Ok(seat(Some(Arc::clone(name)), version)),
                    MapState::Good(version) => Err(Obstacle::Refused(Refusal {
                        reason: "AspectMissing",
                        message: format!("{} does not implement {aspect}", version.title()),
                        digest: Some(Arc::clone(version.digest())),
                        title: Some(Arc::clone(version.title())),
                        revision: Some(Arc::clone(version.revision())),
                    })),
                    MapState::Reading => Err(Obstacle::Reading),
                    MapState::Missing => Err(Obstacle::Missing),
                    MapState::Unreadable(why) => Err(Obstacle::Unreadable(why)),
                    MapState::Refused(refusal) => Err(Obstacle::Refused(refusal)),
                },
            };
            let (target, obstacle) = match found {
                Ok(seat) => (Some(seat), None),
                // What decides now stays in its place.
                Err(obstacle) => (active, Some(obstacle)),
            };
            if let (Some(slot), Some(place)) = (self.target.get_mut(i), self.obstacles.get_mut(i)) {
                *slot = target;
                *place = obstacle;
            }
        }
    }

    /// The status says that these are active: another replica, or an earlier process, has tried them.
    fn is_remembered(&self, target: &PerAspect<Seat<P>>) -> bool {
        let Some(remembered) = &self.remembered else { return false };
        Aspect::ALL.iter().zip(target).all(|(aspect, seat)| {
            let status = remembered.iter().find(|status| *status.aspect == *aspect.as_str());
            match (status, &seat.map) {
                (None, None) => true,
                (None, Some(_)) => false,
                (Some(status), _) => {
                    status.active.as_ref().is_some_and(|active| match (&active.config_map, &seat.map) {
                        (None, None) => true,
                        _ => active.revision == *seat.version.revision(),
                    })
                }
            }
        })
    }

    fn take_over(&mut self, target: PerAspect<Seat<P>>) {
        let same = self.active.as_ref().is_some_and(|active| active.iter().zip(&target).all(|(a, b)| a.is(b)));
        if !same {
            self.failing = None;
        }
        self.active = Some(target);
        self.trial = Trial::Idle;
    }

    /// The time since which something has been so, kept while it stays the same.
    pub(crate) fn since(&mut self, aspect: usize, what: &str, now: Timestamp) -> Timestamp {
        let Some(slot) = self.seen.get_mut(aspect) else { return now };
        match slot {
            Some((known, at)) if **known == *what => *at,
            _ => {
                *slot = Some((what.into(), now));
                now
            }
        }
    }

    /// As it is written into the status.
    pub(crate) fn active_status(seat: &Seat<P>) -> ActivePolicy {
        ActivePolicy {
            config_map: seat.map.clone(),
            policy: Arc::clone(seat.version.title()),
            digest: Arc::clone(seat.version.digest()),
            revision: Arc::clone(seat.version.revision()),
            since: whole(seat.since),
        }
    }

    pub(crate) fn candidate_status(version: &P) -> CandidatePolicy {
        CandidatePolicy {
            policy: Some(Arc::clone(version.title())),
            digest: Some(Arc::clone(version.digest())),
            revision: Some(Arc::clone(version.revision())),
            rollout: None,
            verdict: "".into(),
            message: "".into(),
            since: Timestamp::UNIX_EPOCH,
        }
    }
}

/// Kubernetes keeps whole seconds.
pub(crate) fn whole(time: Timestamp) -> Timestamp {
    Timestamp::from_second(time.as_second()).unwrap_or(time)
}
