//! From an answer to what should be published, who has which name, and what is sent.

use std::{
    collections::{BTreeSet, HashSet},
    net::IpAddr,
    sync::Arc,
};

use super::{
    Depth, Index,
    claims::Rank,
    flow::understood,
    observe::Observation,
    record::{Entry, Standing, Verdict, names_of, object_key},
};
use crate::{
    decision::ClusterState,
    effect::Effect,
    facts::{Owner, WhenEmpty},
    ids::ObjectKey,
    plan::{Endpoint, Targets},
    planner::{self, Clamped, Context},
    reason::Reason,
};

impl Index {
    /// Works out what should be published and sends what differs from what is.
    pub(super) fn replan(&mut self, key: &ObjectKey, out: &mut Vec<Effect>) {
        let Some(entry) = self.records.get(key) else {
            return;
        };
        let base = self.base(key, entry);
        let decided = match (&entry.standing, &entry.answered) {
            (Standing::Held(..), _) => None,
            (_, Some((question, Verdict::Answer(checked)))) if entry.asked.is_none() => {
                let rank = &entry.rank;
                let taken_by = |name: &str| self.older_owner(name, rank);
                let accounted = accounted(&entry.observations);
                let mut bounded = Arc::clone(checked);
                let clamped = self.clamp(&mut bounded, &question.input.subject.federation);
                let context = Context {
                    published: &base,
                    affix: self.settings.txt_affix,
                    taken_by: &taken_by,
                    accounted: accounted.as_ref(),
                    unplaced: entry.observations.iter().any(|o| o.blind && o.region.is_none()),
                    // What is remembered of a cluster that is blind may be older than what was published.
                    unseen: entry
                        .observations
                        .iter()
                        .any(|o| o.blind || o.state == ClusterState::Unreachable && !o.gone),
                };
                let mut plan = planner::plan(&bounded, &context);
                if *plan.endpoints == *base {
                    // Equal content is kept once.
                    plan.endpoints = Arc::clone(&base);
                }
                plan.clamped = clamped;
                let standing = self.standing(entry, &plan, &base);
                Some((plan, standing))
            }
            _ => None,
        };
        let Some(entry) = self.records.get_mut(key) else {
            return;
        };
        let entry_rank = Arc::clone(&entry.rank);
        // Policies that have not been read yet may want names.
        let unread = matches!(entry.standing, Standing::Held(Reason::PolicyPending, _));
        let heard = !unread && (entry.asked.is_none() || entry.answered.is_some());
        let decided = decided.filter(|(plan, _)| !self.must_wait(&entry_rank, plan, &base));
        let waiting = self.postponed.contains(&entry_rank);
        self.note_heard(&entry_rank, heard);
        let found = self.published.get(&object_key(key)).filter(|found| matches!(found.owner, Owner::Record { .. }));
        let Some(entry) = self.records.get_mut(key) else { return };
        entry.waiting = waiting;
        if entry.desired.is_none() {
            // What an earlier process published is what we want until we know better; it is repaired like our own.
            entry.desired = found.map(|found| understood(&found.endpoints));
        }
        if let Some((plan, standing)) = decided {
            let stays = matches!(standing, Standing::Kept(_)) || *plan.endpoints == *base;
            entry.desired = Some(if stays { base } else { Arc::clone(&plan.endpoints) });
            entry.plan = plan;
            entry.standing = standing;
        }
        self.give_up_taken(key);
        self.claim(key);
        self.send(key, out);
        self.report(key, out);
        self.schedule(key);
    }

    /// A record may not publish a new name while an older one, that may want it, has not been heard yet. Otherwise a
    /// restart would publish it for a moment, depending on who is answered first.
    fn must_wait(&mut self, rank: &Arc<Rank>, plan: &planner::Plan, base: &[Endpoint]) -> bool {
        self.postponed.remove(rank);
        if self.unheard.first().is_none_or(|oldest| oldest >= rank) {
            return false;
        }
        let known: HashSet<&str> = base.iter().map(|endpoint| &*endpoint.dns_name).collect();
        let wait = plan.endpoints.iter().any(|endpoint| !known.contains(&*endpoint.dns_name));
        if wait {
            self.postponed.insert(Arc::clone(rank));
        }
        wait
    }

    /// Keeps account of who has not been heard; whoever waited for the last of them is looked at again.
    pub(super) fn note_heard(&mut self, rank: &Arc<Rank>, heard: bool) {
        if !heard {
            if !self.unheard.contains(rank) {
                self.unheard.insert(Arc::clone(rank));
            }
            return;
        }
        if !self.unheard.remove(rank) {
            return;
        }
        while let Some(next) = self.postponed.first() {
            if self.unheard.first().is_some_and(|oldest| oldest < next) {
                break;
            }
            if let Some(next) = self.postponed.pop_first() {
                self.touch(&next.record, Depth::Plan);
            }
        }
    }

    /// The older record that has a name, if any.
    fn older_owner(&self, name: &str, rank: &Rank) -> Option<ObjectKey> {
        let owner = self.claims.owner(name)?;
        if *owner == rank.record {
            return None;
        }
        let other = self.records.get(owner)?;
        (*other.rank < *rank).then(|| owner.clone())
    }

    /// Whatever else keeps a name published, an older record that wants it gets it, and the aliases to it go too.
    fn give_up_taken(&mut self, key: &ObjectKey) {
        let Some(entry) = self.records.get(key) else { return };
        let Some(desired) = &entry.desired else { return };
        let answer = match &entry.answered {
            Some((_, Verdict::Answer(checked))) => Some(checked),
            _ => None,
        };
        // Nearly always: the names are claimed already, and nobody else wants any of them.
        if entry.is_claimed_for(desired, answer) && !self.claims.shares(key) {
            return;
        }
        let is_taken = |endpoint: &Endpoint| self.older_owner(&endpoint.dns_name, &entry.rank).is_some();
        if !desired.iter().any(is_taken) {
            return;
        }
        let mut left: Vec<Endpoint> = desired.iter().filter(|endpoint| !is_taken(endpoint)).cloned().collect();
        loop {
            let names: HashSet<Arc<str>> = left.iter().map(|endpoint| Arc::clone(&endpoint.dns_name)).collect();
            let before = left.len();
            left.retain(|endpoint| !matches!(&endpoint.targets, Targets::Name(target) if !names.contains(target)));
            if left.len() == before {
                break;
            }
        }
        if let Some(entry) = self.records.get_mut(key) {
            entry.desired = Some(left.into());
        }
    }

    /// Brings TTLs within the bounds of the Domain; which, if any of them was not.
    fn clamp(&self, checked: &mut Arc<crate::guard::Checked>, domain: &str) -> Option<Clamped> {
        let view = self.domains.get(domain)?.view.as_ref()?;
        let (min, max) = view.ttl_bounds();
        let wanted = checked.names.iter().map(|name| name.ttl).find(|ttl| !(min..=max).contains(ttl))?;
        Arc::make_mut(checked).clamp(min, max);
        Some(Clamped { wanted, published: wanted.max(min).min(max) })
    }

    /// An empty plan needs a reason, or what is published stays.
    fn standing(&self, entry: &Entry, plan: &planner::Plan, base: &[Endpoint]) -> Standing {
        let all = &entry.observations;
        let nothing_serves = all.iter().all(|observation| observation.addresses.is_empty());
        if nothing_serves && !base.is_empty() && all.iter().any(|observation| observation.blind) {
            return Standing::Kept(
                "nothing serves in the clusters that can be seen, and others are unknown".to_owned(),
            );
        }
        if plan.wanted {
            return Standing::Planned;
        }
        match self.standing_of_nothing(entry, plan, base, nothing_serves) {
            // What stays for the sake of clusters that are unknown is not everything.
            Standing::Withdrawn(_) if !plan.endpoints.is_empty() => Standing::Planned,
            standing => standing,
        }
    }

    /// Nothing is planned beyond what stays for the sake of clusters that are unknown.
    fn standing_of_nothing(
        &self,
        entry: &Entry,
        plan: &planner::Plan,
        base: &[Endpoint],
        nothing_serves: bool,
    ) -> Standing {
        let all = &entry.observations;
        if base.is_empty() {
            return withdrawn_before(entry).map_or(Standing::Planned, Standing::Withdrawn);
        }
        let rule = plan.withheld.iter().find(|withheld| &*withheld.reason != Reason::NameConflict.as_str());
        if let Some(withheld) = rule {
            return Standing::Kept(format!("the names that are wanted now are refused: {}", withheld.message));
        }
        // Names with nothing behind them beside those that an older record has: aliases of these.
        let withheld = |name: &planner::PlannedName| matches!(name.outcome, planner::NameOutcome::Withheld(_));
        let idle = |name: &planner::PlannedName| withheld(name) || name.outcome == planner::NameOutcome::Nothing;
        if plan.names.iter().any(withheld) && plan.names.iter().all(idle) {
            return Standing::Withdrawn("an older record has the names".to_owned());
        }
        if !nothing_serves {
            return Standing::Withdrawn("the policy publishes nothing although clusters serve".to_owned());
        }
        if all.iter().any(|observation| observation.blind) {
            return Standing::Kept(
                "nothing serves in the clusters that can be seen, and others are unknown".to_owned(),
            );
        }
        let when_empty = entry
            .spec
            .as_ref()
            .and_then(|spec| self.domains.get(&spec.domain_ref))
            .and_then(|domain| domain.view.as_ref())
            .map(|view| view.when_empty)
            .unwrap_or_default();
        if all.iter().all(|observation| observation.gone) {
            return Standing::Withdrawn("no cluster has the Service any more".to_owned());
        }
        // A cluster that cannot be seen may be the only one that still serves, however long its grace period is over and
        // whatever is to happen when nothing does.
        if let Some(lost) = all.iter().find(|o| o.state == ClusterState::Unreachable && !o.gone) {
            return Standing::Kept(format!("nothing else serves, and cluster {} cannot be seen", lost.cluster));
        }
        if when_empty == WhenEmpty::Withdraw {
            return Standing::Withdrawn("nothing serves anywhere, and the Domain says whenEmpty: withdraw".to_owned());
        }
        Standing::Kept("no cluster has ready endpoints with an address (whenEmpty: keep)".to_owned())
    }

    /// Claims the names that are wanted and those that are published.
    fn claim(&mut self, key: &ObjectKey) {
        let Some(entry) = self.records.get(key) else {
            return;
        };
        let base = self.base(key, entry);
        let answer = match &entry.answered {
            Some((_, Verdict::Answer(checked))) => Some(checked),
            _ => None,
        };
        let same_rank = entry.rank.created == entry.record.meta.created;
        if same_rank && entry.is_claimed_for(&base, answer) {
            return;
        }
        let claimed_for = (base, answer.map(Arc::clone));
        let names = names_of(&claimed_for);
        let old = entry.claims();
        let rank = if same_rank {
            Arc::clone(&entry.rank)
        } else {
            Arc::new(Rank { created: entry.record.meta.created, record: key.clone() })
        };
        let Some(entry) = self.records.get_mut(key) else {
            return;
        };
        entry.claimed_for = Some(claimed_for);
        if names == old && same_rank {
            return;
        }
        let old_rank = std::mem::replace(&mut entry.rank, Arc::clone(&rank));
        for waiting in [&mut self.unheard, &mut self.postponed] {
            if waiting.remove(&old_rank) {
                waiting.insert(Arc::clone(&rank));
            }
        }
        let mut affected = BTreeSet::new();
        for name in old.iter().filter(|name| old_rank != rank || names.binary_search(name).is_err()) {
            self.claims.remove(name, &old_rank, &mut affected);
        }
        for name in names.iter().filter(|name| old_rank != rank || old.binary_search(name).is_err()) {
            self.claims.add(name, &rank, &mut affected);
        }
        for other in affected {
            if other != *key {
                self.touch(&other, Depth::Plan);
            }
        }
    }

    /// Sends what differs from what is observed, once.
    fn send(&mut self, key: &ObjectKey, out: &mut Vec<Effect>) {
        let object = object_key(key);
        let published = self.published.get(&object);
        let Some(entry) = self.records.get_mut(key) else {
            return;
        };
        let Some(desired) = entry.desired.clone() else {
            return;
        };
        if !self.leading {
            return;
        }
        if let Some(published) = published {
            if matches!(published.owner, Owner::Foreign(_)) {
                // Ours was refused. When this one goes, or is handed over, it is sent again.
                entry.sent = None;
                return;
            }
            if desired.is_empty() || entry.record.meta.deleting {
                if matches!(published.owner, Owner::Record { .. }) {
                    let uid = Arc::clone(&published.uid);
                    if self.deleting.insert((object.clone(), Arc::clone(&uid))) {
                        entry.sent = None;
                        out.push(Effect::DeleteEndpoints { object, uid });
                    }
                }
                return;
            }
            let owner_in_order = matches!(&published.owner, Owner::Record { uid, .. } if *uid == entry.record.meta.uid);
            // A deletion that waits in the writer is replaced by writing the same once more.
            let deleting = self.deleting.contains(&(object.clone(), Arc::clone(&published.uid)));
            if published.endpoints == desired && published.metadata_in_order && owner_in_order && !deleting {
                entry.sent = None;
                return;
            }
        } else if desired.is_empty() || entry.record.meta.deleting {
            return;
        }
        if entry.sent.as_ref() == Some(&desired) {
            return;
        }
        entry.sent = Some(Arc::clone(&desired));
        if let Some(published) = published {
            // A deletion that is still under way would take the new object with it.
            self.deleting.remove(&(object, Arc::clone(&published.uid)));
        }
        let uid = Arc::clone(&entry.record.meta.uid);
        out.push(Effect::ApplyEndpoints { record: key.clone(), uid, endpoints: desired });
    }
}

/// Why everything was withdrawn, if that is how the record came to have nothing; the status remembers it.
fn withdrawn_before(entry: &Entry) -> Option<String> {
    if let Standing::Withdrawn(why) = &entry.standing {
        return Some(why.clone());
    }
    let status = entry.record.status.as_ref().filter(|_| entry.standing == Standing::Pending)?;
    let programmed = status.conditions.iter().find(|condition| &*condition.kind == "Programmed")?;
    (*programmed.reason == *Reason::Withdrawn.as_str())
        .then(|| programmed.message.strip_prefix(NOTHING_PUBLISHED).unwrap_or(&programmed.message).to_owned())
}

/// Begins the message of a condition that tells why nothing is published.
pub(super) const NOTHING_PUBLISHED: &str = "nothing is published: ";

/// While a cluster is unknown: every address that the others have or had.
fn accounted(observations: &[Observation]) -> Option<HashSet<IpAddr>> {
    observations
        .iter()
        .any(|observation| observation.blind)
        .then(|| observations.iter().filter(|o| !o.blind).flat_map(|o| o.accounted.iter().copied()).collect())
}
