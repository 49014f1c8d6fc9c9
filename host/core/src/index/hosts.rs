//! Host names of load balancers and what the resolver said of them.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    sync::Arc,
};

use crate::{
    effect::Effect,
    facts::{self, HostAnswer},
    ids::ObjectKey,
};

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
            HostAnswer::Addresses(all) if !all.is_empty() => {
                let Some(addresses) = usable_of(all) else {
                    let why = "the answer has no address that can be connected to".to_owned();
                    return if host.failing.replace(why).is_none() { host.users() } else { Vec::new() };
                };
                let was_failing = host.failing.take().is_some();
                let changed = host.addresses.as_ref() != Some(&addresses);
                host.addresses = Some(addresses);
                changed || was_failing
            }
            HostAnswer::Addresses(_) => host.failing.replace("the answer is empty".to_owned()).is_none(),
            // The words of a failure may differ each time; only that it fails is news.
            HostAnswer::Failed(message) => host.failing.replace(message).is_none(),
        };
        if changed { host.users() } else { Vec::new() }
    }
}

impl Host {
    fn users(&self) -> Vec<ObjectKey> {
        self.users.iter().cloned().collect()
    }
}

/// What of an answer can be connected to, in the same list if that is all of it.
fn usable_of(all: Arc<[IpAddr]>) -> Option<Arc<[IpAddr]>> {
    if all.iter().all(|address| facts::usable(*address) == Some(*address)) {
        return Some(all);
    }
    let mut some: Vec<IpAddr> = all.iter().copied().filter_map(facts::usable).collect();
    some.sort_unstable();
    some.dedup();
    (!some.is_empty()).then(|| some.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_can_connect_to_is_left_out() {
        let of = |all: &[&str]| usable_of(all.iter().map(|a| a.parse().unwrap()).collect()).map(|l| format!("{l:?}"));
        assert_eq!(of(&["10.0.0.1", "2001:db8::1"]).unwrap(), "[10.0.0.1, 2001:db8::1]");
        assert_eq!(of(&["0.0.0.0", "::ffff:10.0.0.1", "224.0.0.1", "255.255.255.255"]).unwrap(), "[10.0.0.1]");
        assert_eq!(of(&["0.0.0.0", "::"]), None);
    }
}
