//! Who has which name. One owner per name across all records: the oldest that wants it.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use jiff::Timestamp;

use crate::ids::ObjectKey;

/// Older first; equal ages by namespace and name, so that every replica and every order of events agrees.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Rank {
    pub(super) created: Option<Timestamp>,
    pub(super) record: ObjectKey,
}

/// Nearly every name is wanted by one record only.
#[derive(Debug)]
enum Claimants {
    One(Arc<Rank>),
    /// Apart, so that the many names of one record only take less room.
    Many(Box<Several>),
}

#[derive(Debug)]
struct Several(BTreeSet<Arc<Rank>>);

impl Claimants {
    fn oldest(&self) -> Option<&Arc<Rank>> {
        match self {
            Self::One(rank) => Some(rank),
            Self::Many(ranks) => ranks.0.first(),
        }
    }
}

#[derive(Debug, Default)]
pub(super) struct Claims {
    by_name: HashMap<Arc<str>, Claimants>,
    /// How many of its names a record shares with others; most share none.
    shared: HashMap<ObjectKey, usize>,
}

impl Claims {
    /// The oldest record that wants a name.
    pub(super) fn owner(&self, name: &str) -> Option<&ObjectKey> {
        self.by_name.get(name).and_then(Claimants::oldest).map(|rank| &rank.record)
    }

    /// Whether some name of the record is wanted by another one, too.
    pub(super) fn shares(&self, record: &ObjectKey) -> bool {
        self.shared.contains_key(record)
    }

    fn share(&mut self, record: &ObjectKey) {
        *self.shared.entry(record.clone()).or_default() += 1;
    }

    fn unshare(&mut self, record: &ObjectKey) {
        if let Some(count) = self.shared.get_mut(record) {
            *count -= 1;
            if *count == 0 {
                self.shared.remove(record);
            }
        }
    }

    /// Adds a claim; the other records that want the name go to `affected`.
    pub(super) fn add(&mut self, name: &Arc<str>, rank: &Arc<Rank>, affected: &mut BTreeSet<ObjectKey>) {
        match self.by_name.get_mut(name) {
            None => {
                self.by_name.insert(Arc::clone(name), Claimants::One(Arc::clone(rank)));
            }
            Some(Claimants::One(other)) => {
                if other == rank {
                    return;
                }
                affected.insert(other.record.clone());
                let other = Arc::clone(other);
                self.share(&other.record);
                self.share(&rank.record);
                let many = Box::new(Several(BTreeSet::from([other, Arc::clone(rank)])));
                self.by_name.insert(Arc::clone(name), Claimants::Many(many));
            }
            Some(Claimants::Many(ranks)) => {
                if ranks.0.insert(Arc::clone(rank)) {
                    affected.extend(ranks.0.iter().filter(|other| *other != rank).map(|other| other.record.clone()));
                    self.share(&rank.record);
                }
            }
        }
    }

    /// Removes a claim; the other records that want the name go to `affected`.
    pub(super) fn remove(&mut self, name: &Arc<str>, rank: &Arc<Rank>, affected: &mut BTreeSet<ObjectKey>) {
        match self.by_name.get_mut(name) {
            None => {}
            Some(Claimants::One(other)) if other == rank => {
                self.by_name.remove(name);
            }
            Some(Claimants::One(_)) => {}
            Some(Claimants::Many(ranks)) => {
                if !ranks.0.remove(rank) {
                    return;
                }
                affected.extend(ranks.0.iter().map(|other| other.record.clone()));
                let last = if ranks.0.len() < 2 { ranks.0.pop_first() } else { None };
                self.unshare(&rank.record);
                if let Some(last) = last {
                    self.unshare(&last.record);
                    self.by_name.insert(Arc::clone(name), Claimants::One(last));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rank(seconds: i64, name: &str) -> Arc<Rank> {
        Arc::new(Rank { created: Timestamp::from_second(seconds).ok(), record: ObjectKey::new("ns", name) })
    }

    #[test]
    fn the_older_record_keeps_the_name_whatever_the_order() {
        let name: Arc<str> = "a.example.com".into();
        let (old, young) = (rank(1, "z"), rank(2, "a"));
        for order in [[&old, &young], [&young, &old]] {
            let (mut claims, mut affected) = (Claims::default(), BTreeSet::new());
            for rank in order {
                claims.add(&name, rank, &mut affected);
            }
            assert_eq!(claims.owner(&name), Some(&old.record));
            assert_eq!(affected.len(), 1);
            assert!(claims.shares(&old.record) && claims.shares(&young.record));
            claims.remove(&name, &old, &mut affected);
            assert_eq!(claims.owner(&name), Some(&young.record));
            assert!(!claims.shares(&old.record) && !claims.shares(&young.record));
            claims.remove(&name, &young, &mut affected);
            assert_eq!(claims.owner(&name), None);
        }
    }
}
