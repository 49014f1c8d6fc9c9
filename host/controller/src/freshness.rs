//! Which of two versions of an object is the newer.
//!
//! A watch and the answers to our own writes tell of the same objects. Each may be ahead of the other, and the Index must
//! never be told an older state after a newer one. Versions are compared as numbers, which Kubernetes allows since 1.35 and
//! etcd has always given; where a server has other versions, only the watch is believed.

use std::collections::BTreeMap;

/// The newest version told of each object.
#[derive(Debug)]
pub(crate) struct Freshness<K> {
    /// `None`: nobody but the watch tells of these objects, so it is always right.
    seen: Option<BTreeMap<K, u128>>,
}

impl<K: Ord + Clone> Freshness<K> {
    pub(crate) fn new(wanted: bool) -> Self {
        Self { seen: wanted.then(BTreeMap::new) }
    }

    /// A list has arrived.
    pub(crate) fn reset<'a>(&mut self, list: impl Iterator<Item = (&'a K, Option<&'a str>)>)
    where
        K: 'a,
    {
        if let Some(seen) = &mut self.seen {
            seen.clear();
            seen.extend(list.filter_map(|(key, version)| Some((key.clone(), number(version)?))));
        }
    }

    /// The watch tells of a version: whether to believe it.
    pub(crate) fn seen(&mut self, key: &K, version: Option<&str>) -> bool {
        let (Some(seen), Some(version)) = (&mut self.seen, number(version)) else {
            return true;
        };
        match seen.get_mut(key) {
            Some(known) if *known >= version => false,
            Some(known) => {
                *known = version;
                true
            }
            None => {
                seen.insert(key.clone(), version);
                true
            }
        }
    }

    /// The watch tells of a deletion: whether to believe it.
    pub(crate) fn gone(&mut self, key: &K, version: Option<&str>) -> bool {
        let Some(seen) = &mut self.seen else {
            return true;
        };
        let newer = match (seen.get(key), number(version)) {
            (Some(known), Some(version)) => version >= *known,
            _ => true,
        };
        if newer {
            seen.remove(key);
        }
        newer
    }

    /// The answer to a write: whether it is news. Of an object that the watch has not told of, or has told the end of, only
    /// the watch is believed: an answer may arrive after the deletion that followed it.
    pub(crate) fn written(&mut self, key: &K, version: Option<&str>) -> bool {
        let (Some(seen), Some(version)) = (&mut self.seen, number(version)) else {
            return false;
        };
        match seen.get_mut(key) {
            Some(known) if *known < version => {
                *known = version;
                true
            }
            _ => false,
        }
    }
}

fn number(version: Option<&str>) -> Option<u128> {
    version?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn knowing(key: &'static str, version: &str) -> Freshness<&'static str> {
        let mut fresh = Freshness::new(true);
        fresh.reset([(&key, Some(version))].into_iter());
        fresh
    }

    #[test]
    fn an_answer_ahead_of_the_watch_is_news_once() {
        let mut fresh = knowing("a", "5");
        assert!(fresh.written(&"a", Some("7")));
        assert!(!fresh.written(&"a", Some("7")));
        assert!(!fresh.seen(&"a", Some("6")), "an older event is dropped");
        assert!(!fresh.seen(&"a", Some("7")), "the echo is dropped");
        assert!(fresh.seen(&"a", Some("10")), "versions are numbers, not text");
    }

    #[test]
    fn an_answer_behind_the_watch_is_dropped() {
        let mut fresh = knowing("a", "5");
        assert!(fresh.seen(&"a", Some("9")));
        assert!(!fresh.written(&"a", Some("7")));
    }

    #[test]
    fn an_answer_does_not_raise_the_dead() {
        let mut fresh = knowing("a", "5");
        assert!(fresh.gone(&"a", Some("8")));
        assert!(!fresh.written(&"a", Some("7")));
        assert!(fresh.seen(&"a", Some("9")), "created again");
    }

    #[test]
    fn an_old_deletion_does_not_kill_a_successor() {
        let mut fresh = knowing("a", "5");
        assert!(fresh.written(&"a", Some("9")), "created again by our own write");
        assert!(!fresh.gone(&"a", Some("8")));
        assert!(fresh.gone(&"a", Some("12")));
    }

    #[test]
    fn without_numbers_only_the_watch_is_believed() {
        let mut fresh = knowing("a", "five");
        assert!(!fresh.written(&"a", Some("six")));
        assert!(fresh.seen(&"a", Some("six")));
        assert!(fresh.gone(&"a", None));
        let mut alone: Freshness<&str> = Freshness::new(false);
        assert!(alone.seen(&"a", Some("2")) && alone.seen(&"a", Some("1")));
        assert!(!alone.written(&"a", Some("3")));
    }
}
