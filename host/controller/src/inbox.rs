//! What the thread of the policies is to hear: the latest of each object, so that nothing piles up while a policy is compiled.

use std::{
    collections::BTreeMap,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use mcsdns_api::convert::PolicyMap;
use mcsdns_core::{
    decision::PolicyFailure,
    facts::{Change, Domain},
};
use mcsdns_rollout::News;

/// Changes of one kind, the latest per object.
#[derive(Debug)]
struct Pending<V> {
    /// Everything was listed anew; `items` is the whole list.
    reset: bool,
    items: BTreeMap<Arc<str>, Option<V>>,
}

impl<V> Default for Pending<V> {
    fn default() -> Self {
        Self { reset: false, items: BTreeMap::new() }
    }
}

impl<V> Pending<V> {
    fn put(&mut self, change: Change<Arc<str>, V>) {
        match change {
            Change::Apply(name, value) => drop(self.items.insert(name, Some(value))),
            Change::Delete(name) => drop(self.items.insert(name, None)),
            Change::Reset(all) => {
                self.reset = true;
                self.items = all.into_iter().map(|(name, value)| (name, Some(value))).collect();
            }
        }
    }

    fn take(&mut self) -> Vec<Change<Arc<str>, V>> {
        let items = std::mem::take(&mut self.items).into_iter();
        if std::mem::take(&mut self.reset) {
            return vec![Change::Reset(items.filter_map(|(name, value)| Some((name, value?))).collect())];
        }
        items.map(|(name, value)| value.map_or(Change::Delete(Arc::clone(&name)), |v| Change::Apply(name, v))).collect()
    }
}

#[derive(Debug, Default)]
struct State {
    maps: Pending<PolicyMap>,
    trouble: Option<Option<String>>,
    domains: Pending<Domain>,
    health: BTreeMap<Arc<str>, Option<PolicyFailure>>,
    news: bool,
    closed: bool,
}

/// A mailbox for one thread.
#[derive(Debug, Default)]
pub(crate) struct Inbox {
    state: Mutex<State>,
    more: Condvar,
}

impl Inbox {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn put(&self, put: impl FnOnce(&mut State)) {
        let mut state = self.lock();
        put(&mut state);
        state.news = true;
        drop(state);
        self.more.notify_one();
    }

    /// ConfigMaps with the label of policies.
    pub(crate) fn maps(&self, change: Change<Arc<str>, PolicyMap>) {
        self.put(|state| state.maps.put(change));
    }

    /// They cannot be read, or can be again.
    pub(crate) fn trouble(&self, trouble: Option<String>) {
        self.put(|state| state.trouble = Some(trouble));
    }

    /// Domains, after the Index was told.
    pub(crate) fn domains(&self, changes: impl IntoIterator<Item = Change<Arc<str>, Domain>>) {
        self.put(|state| changes.into_iter().for_each(|change| state.domains.put(change)));
    }

    /// Policies in force keep failing, or do so no more.
    pub(crate) fn health(&self, id: &Arc<str>, failing: Option<PolicyFailure>) {
        self.put(|state| drop(state.health.insert(Arc::clone(id), failing)));
    }

    /// Nothing more is to be done.
    pub(crate) fn close(&self) {
        self.put(|state| state.closed = true);
    }

    /// Waits for news, but no longer than `patience`; `None` when nothing more is to be done.
    pub(crate) fn take(&self, patience: Duration) -> Option<Vec<News>> {
        let state = self.lock();
        let waited = self.more.wait_timeout_while(state, patience, |state| !state.news);
        let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        if state.closed {
            return None;
        }
        state.news = false;
        // Policies before the Domains that name them, so that what is there is not missed.
        let mut news: Vec<News> = state.maps.take().into_iter().map(News::Maps).collect();
        news.extend(state.trouble.take().map(News::MapsTrouble));
        news.extend(state.domains.take().into_iter().map(News::Domains));
        news.extend(std::mem::take(&mut state.health).into_iter().map(|(id, failing)| News::Health(id, failing)));
        Some(news)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(name: &str) -> (Arc<str>, PolicyMap) {
        (name.into(), PolicyMap { name: name.into(), ..PolicyMap::default() })
    }

    fn names(news: &[News]) -> Vec<String> {
        news.iter()
            .map(|news| match news {
                News::Maps(Change::Apply(name, _)) => format!("+{name}"),
                News::Maps(Change::Delete(name)) => format!("-{name}"),
                News::Maps(Change::Reset(all)) => {
                    format!("={}", all.iter().map(|(name, _)| &**name).collect::<Vec<_>>().join(","))
                }
                other => format!("{other:?}"),
            })
            .collect()
    }

    #[test]
    fn the_latest_of_each_counts() {
        let inbox = Inbox::default();
        let (a, b) = (map("a"), map("b"));
        inbox.maps(Change::Apply(a.0.clone(), a.1.clone()));
        inbox.maps(Change::Delete(a.0.clone()));
        inbox.maps(Change::Apply(b.0.clone(), b.1.clone()));
        assert_eq!(names(&inbox.take(Duration::ZERO).unwrap()), ["-a", "+b"]);
        // A list is the whole truth, and what comes after it changes it.
        inbox.maps(Change::Apply(a.0.clone(), a.1.clone()));
        inbox.maps(Change::Reset(vec![b.clone()]));
        inbox.maps(Change::Delete(b.0));
        inbox.maps(Change::Apply(a.0, a.1));
        assert_eq!(names(&inbox.take(Duration::ZERO).unwrap()), ["=a"]);
        assert!(inbox.take(Duration::ZERO).unwrap().is_empty());
        inbox.close();
        assert!(inbox.take(Duration::from_secs(60)).is_none());
    }
}
