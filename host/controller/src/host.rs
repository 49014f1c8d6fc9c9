//! What is watched in the host cluster.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use mcsdns_api::convert::{Connection, DnsEndpointObject, DomainObject, MemberObject, RecordObject, Watched};
use mcsdns_core::{
    facts::{Change, Domain, Fact, Malformed, Member, Published},
    ids::{ClusterName, ObjectKey},
};
use tokio::sync::watch;

use crate::{
    inbox::Inbox,
    pump::Feed,
    trouble::{Kind, Trouble},
    writer::Writer,
};

/// The kinds that must have been read before anything is decided, with what makes them readable.
pub(crate) const KINDS: [(&str, &str); 4] = [
    ("domains", "install the CustomResourceDefinitions (mcsdns crd | kubectl apply --server-side -f -)"),
    ("memberclusters", "install the CustomResourceDefinitions (mcsdns crd | kubectl apply --server-side -f -)"),
    ("servicednsrecords", "install the CustomResourceDefinitions (mcsdns crd | kubectl apply --server-side -f -)"),
    ("dnsendpoints", "install ExternalDNS's CustomResourceDefinition DNSEndpoint"),
];

/// How far the kinds of the host have been read.
#[derive(Debug, Default)]
pub(crate) struct HostState(Mutex<BTreeMap<&'static str, Standing>>);

#[derive(Clone, Debug, Default)]
struct Standing {
    synced: bool,
    trouble: Option<String>,
}

impl HostState {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<&'static str, Standing>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn synced(&self, resource: &'static str) {
        self.lock().entry(resource).or_default().synced = true;
    }

    fn trouble(&self, resource: &'static str, trouble: Option<String>) {
        self.lock().entry(resource).or_default().trouble = trouble;
    }

    /// What has not been read yet and why; empty when all has.
    pub(crate) fn missing(&self) -> Vec<String> {
        let known = self.lock();
        KINDS
            .iter()
            .filter_map(|(resource, _)| {
                let standing = known.get(resource).cloned().unwrap_or_default();
                let why = standing.trouble.unwrap_or_else(|| "not read yet".to_owned());
                (!standing.synced).then(|| format!("{resource}: {why}"))
            })
            .collect()
    }
}

/// Words for a host watch that does not work.
pub(crate) fn words(resource: &'static str, trouble: &Trouble) -> String {
    let hint = KINDS.iter().find(|(kind, _)| *kind == resource).map_or("", |(_, hint)| hint);
    match trouble.kind {
        Kind::NotFound => format!("the host cluster does not know the kind: {hint}"),
        Kind::Forbidden => format!(
            "{}; apply the roles of deploy/ so that the controller may get, list and watch {resource}",
            trouble.said
        ),
        Kind::Unauthorized => format!("the host cluster does not accept the credentials: {}", trouble.said),
        _ => trouble.said.clone(),
    }
}

/// Says it, once, and keeps it for `/readyz`.
fn say(state: &HostState, resource: &'static str, trouble: Option<&Trouble>) {
    match trouble {
        Some(trouble) => {
            let words = words(resource, trouble);
            tracing::warn!(
                resource,
                reason = trouble.kind.as_str(),
                "cannot watch {resource} of the host cluster: {words}"
            );
            state.trouble(resource, Some(words));
        }
        None => {
            tracing::info!(resource, "watching {resource} of the host cluster again");
            state.trouble(resource, None);
        }
    }
}

/// Domains.
pub(crate) struct DomainFeed {
    pub(crate) state: Arc<HostState>,
    /// Where policies of their own are looked after, if they are.
    pub(crate) inbox: Option<Arc<Inbox>>,
    /// What is to be told there, once the Index knows.
    pub(crate) next: Vec<Change<Arc<str>, Domain>>,
}

impl Feed for DomainFeed {
    type Object = DomainObject;
    type Key = <DomainObject as Watched>::Key;
    type Value = <DomainObject as Watched>::Fact;

    fn key(&self, object: &DomainObject) -> Self::Key {
        Watched::key(object)
    }
    fn convert(&self, object: &DomainObject) -> Option<Self::Value> {
        object.fact()
    }
    fn fact(&mut self, change: Change<Self::Key, Self::Value>) -> Option<Fact> {
        if matches!(change, Change::Reset(_)) {
            self.state.synced("domains");
        }
        if self.inbox.is_some() {
            self.next.push(change.clone());
        }
        Some(Fact::Domain(change))
    }
    fn told(&mut self) {
        if let (Some(inbox), false) = (&self.inbox, self.next.is_empty()) {
            inbox.domains(self.next.drain(..));
        }
    }
    fn standing(&mut self, trouble: Option<&Trouble>) -> Vec<Fact> {
        say(&self.state, "domains", trouble);
        Vec::new()
    }
}

/// ServiceDNSRecords. A record that is gone needs nothing written any more.
pub(crate) struct RecordFeed {
    pub(crate) state: Arc<HostState>,
    pub(crate) writer: Arc<Writer>,
}

impl Feed for RecordFeed {
    type Object = RecordObject;
    type Key = <RecordObject as Watched>::Key;
    type Value = <RecordObject as Watched>::Fact;

    fn key(&self, object: &RecordObject) -> Self::Key {
        Watched::key(object)
    }
    fn convert(&self, object: &RecordObject) -> Option<Self::Value> {
        object.fact()
    }
    fn fact(&mut self, change: Change<Self::Key, Self::Value>) -> Option<Fact> {
        match &change {
            Change::Delete(record) => self.writer.forget(record),
            Change::Reset(_) => self.state.synced("servicednsrecords"),
            Change::Apply(..) => {}
        }
        Some(Fact::Record(change))
    }
    fn standing(&mut self, trouble: Option<&Trouble>) -> Vec<Fact> {
        say(&self.state, "servicednsrecords", trouble);
        Vec::new()
    }
}

/// DNSEndpoints. The kind is ExternalDNS's: while it is not installed there are none, and none can be written.
pub(crate) struct PublishedFeed {
    pub(crate) state: Arc<HostState>,
    pub(crate) writer: Arc<Writer>,
}

impl Feed for PublishedFeed {
    type Object = DnsEndpointObject;
    type Key = ObjectKey;
    type Value = Published;

    fn key(&self, object: &DnsEndpointObject) -> ObjectKey {
        Watched::key(object)
    }
    fn convert(&self, object: &DnsEndpointObject) -> Option<Published> {
        // Others have DNSEndpoints too; only ours, and those in the way of ours, have such names.
        let prefix = mcsdns_core::effect::endpoint_name("");
        if object.head().name().starts_with(&prefix) { object.fact() } else { None }
    }
    fn fact(&mut self, change: Change<ObjectKey, Published>) -> Option<Fact> {
        if matches!(change, Change::Reset(_)) {
            self.state.synced("dnsendpoints");
            self.writer.endpoints_served(None);
        }
        Some(Fact::Published(change))
    }
    fn standing(&mut self, trouble: Option<&Trouble>) -> Vec<Fact> {
        say(&self.state, "dnsendpoints", trouble);
        match trouble {
            Some(trouble) if trouble.kind == Kind::NotFound => {
                self.writer.endpoints_served(Some(words("dnsendpoints", trouble)));
                vec![Fact::Published(Change::Reset(Vec::new()))]
            }
            Some(_) | None => Vec::new(),
        }
    }
}

/// A member cluster as the fleet needs to know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// Another object of the same name is another member.
    pub(crate) uid: Arc<str>,
    /// How it is reached.
    pub(crate) connection: Result<Connection, Malformed>,
}

/// All of them.
pub(crate) type Fleet = BTreeMap<ClusterName, Wanted>;

/// MemberClusters. The fleet hears of them after the Index, which would not know what to do with facts about a stranger.
pub(crate) struct MemberFeed {
    pub(crate) state: Arc<HostState>,
    pub(crate) fleet: watch::Sender<Fleet>,
    pub(crate) next: Fleet,
}

impl MemberFeed {
    /// What cannot be understood does not end a connection that works.
    fn want(&mut self, name: ClusterName, wanted: Wanted) {
        let works = |known: &Wanted| known.uid == wanted.uid && known.connection.is_ok();
        if wanted.connection.is_ok() || !self.next.get(&name).is_some_and(works) {
            self.next.insert(name, wanted);
        }
    }
}

impl Feed for MemberFeed {
    type Object = MemberObject;
    type Key = ClusterName;
    type Value = (Member, Wanted);

    fn key(&self, object: &MemberObject) -> ClusterName {
        Watched::key(object)
    }
    fn convert(&self, object: &MemberObject) -> Option<Self::Value> {
        let member = object.fact()?;
        let wanted = Wanted { uid: Arc::clone(&member.meta.uid), connection: object.connection() };
        Some((member, wanted))
    }
    fn fact(&mut self, change: Change<ClusterName, Self::Value>) -> Option<Fact> {
        Some(Fact::Member(match change {
            Change::Apply(name, (member, wanted)) => {
                self.want(name.clone(), wanted);
                Change::Apply(name, member)
            }
            Change::Delete(name) => {
                self.next.remove(&name);
                Change::Delete(name)
            }
            Change::Reset(all) => {
                self.state.synced("memberclusters");
                self.next.retain(|name, _| all.iter().any(|(other, _)| other == name));
                let members = all.into_iter().map(|(name, (member, wanted))| {
                    self.want(name.clone(), wanted);
                    (name, member)
                });
                Change::Reset(members.collect())
            }
        }))
    }
    fn told(&mut self) {
        self.fleet.send_if_modified(|fleet| {
            let changed = *fleet != self.next;
            if changed {
                fleet.clone_from(&self.next);
            }
            changed
        });
    }
    fn standing(&mut self, trouble: Option<&Trouble>) -> Vec<Fact> {
        say(&self.state, "memberclusters", trouble);
        Vec::new()
    }
}
