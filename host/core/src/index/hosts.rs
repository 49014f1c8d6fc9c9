//! Host names of load balancers and what the resolver said of them.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    sync::Arc,
};

use crate::{effect::Effect, facts::HostAnswer, ids::ObjectKey};

#[derive(Debug, Default)]
pub(super) struct Host {
    /// The last good answer.
    pub(super) addresses: Option<Arc<[IpAddr]>>,
    /// Why the last lookup failed.
    pub(super) failing: Option<String>,
    users: BTreeSet<ObjectKey>,
}

#[derive(Debug, Default)]
pub(super) struct Hosts {
    by_name: BTreeMap<Arc<str>, Host>,
}

impl Hosts {
    pub(super) fn get(&self, name: &str) -> Option<&Host> {
        self.by_name.get(name)
    }

    /// `record` needs exactly these names now; `remembered` are answers from its status, for names not yet looked up.
    pub(super) fn set_users(
        &mut self,
        record: &ObjectKey,
        old: &BTreeSet<Arc<str>>,
        new: &BTreeSet<Arc<str>>,
        out: &mut Vec<Effect>,
    ) {
        for name in new.difference(old) {
            let host = self.by_name.entry(Arc::clone(name)).or_default();
            if host.users.is_empty() {
                out.push(Effect::Resolve(Arc::clone(name)));
            }
            host.users.insert(record.clone());
        }
        for name in old.difference(new) {
            let Some(host) = self.by_name.get_mut(name) else {
                continue;
            };
            host.users.remove(record);
            if host.users.is_empty() {
                self.by_name.remove(name);
                out.push(Effect::Forget(Arc::clone(name)));
            }
        }
    }

    /// Takes an answer; the records it changes something for.
    pub(super) fn answered(&mut self, name: &str, answer: HostAnswer) -> Vec<ObjectKey> {
        let Some(host) = self.by_name.get_mut(name) else {
            return Vec::new();
        };
        let changed = match answer {
            HostAnswer::Addresses(addresses) if !addresses.is_empty() => {
                let was_failing = host.failing.take().is_some();
                let changed = host.addresses.as_ref() != Some(&addresses);
                host.addresses = Some(addresses);
                changed || was_failing
            }
            HostAnswer::Addresses(_) => host.failing.replace("the answer is empty".to_owned()).is_none(),
            // The words of a failure may differ each time; only that it fails is news.
            HostAnswer::Failed(message) => host.failing.replace(message).is_none(),
        };
        if changed { host.users.iter().cloned().collect() } else { Vec::new() }
    }
}
