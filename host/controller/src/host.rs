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
    endpoints_api::Definition,
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
    say_so(state, resource, trouble.map(|trouble| (trouble.kind, words(resource, trouble))));
}

/// The same in words of one's own.
fn say_so(state: &HostState, resource: &'static str, trouble: Option<(Kind, String)>) {
    match trouble {
        Some((kind, words)) => {
            tracing::warn!(resource, reason = kind.as_str(), "cannot watch {resource} of the host cluster: {words}");
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
            Change::Reset(all) => {
                self.writer.forget_others(&all.iter().map(|(record, _)| record).collect());
                self.state.synced("servicednsrecords");
            }
            Change::Apply(..) => {}
        }
        Some(Fact::Record(change))
    }
    fn standing(&mut self, trouble: Option<&Trouble>) -> Vec<Fact> {
        say(&self.state, "servicednsrecords", trouble);
        Vec::new()
    }
}

/// DNSEndpoints. The kind is ExternalDNS's: while the host cluster says that it does not know it, there are none, and none
/// can be written. Anything else that keeps them from being read says nothing about what is published.
pub(crate) struct PublishedFeed {
    state: Arc<HostState>,
    writer: Arc<Writer>,
    definition: Definition,
    /// The host cluster has said that it does not know the kind.
    absent: bool,
}

impl PublishedFeed {
    pub(crate) const fn new(state: Arc<HostState>, writer: Arc<Writer>, definition: Definition) -> Self {
        Self { state, writer, definition, absent: false }
    }
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
            self.absent = false;
            self.state.synced("dnsendpoints");
            self.writer.endpoints_served(None);
        }
        Some(Fact::Published(change))
    }
    fn standing(&mut self, trouble: Option<&Trouble>) -> Vec<Fact> {
        match trouble {
            Some(trouble) if trouble.kind == Kind::NotFound && !self.absent => {
                let words = format!(
                    "a list is answered with 404 ({}), but the host cluster does not say that it lacks the kind; look at what is between it and the controller",
                    trouble.said
                );
                say_so(&self.state, "dnsendpoints", Some((trouble.kind, words)));
            }
            // Said when it became clear; other trouble may have been said since.
            Some(trouble) if trouble.kind == Kind::NotFound => {
                self.state.trouble("dnsendpoints", Some(words("dnsendpoints", trouble)));
            }
            _ => say(&self.state, "dnsendpoints", trouble),
        }
        Vec::new()
    }
    async fn missing(&mut self) -> Vec<Fact> {
        if self.absent {
            return Vec::new();
        }
        match self.definition.is_absent().await {
            Ok(true) => {}
            Ok(false) => return Vec::new(),
            Err(trouble) => {
                tracing::debug!(reason = trouble.kind.as_str(), "whether there are dnsendpoints: {}", trouble.said);
                return Vec::new();
            }
        }
        self.absent = true;
        let words = words("dnsendpoints", &Trouble::new(Kind::NotFound, ""));
        say_so(&self.state, "dnsendpoints", Some((Kind::NotFound, words.clone())));
        self.writer.endpoints_served(Some(words));
        vec![Fact::Published(Change::Reset(Vec::new()))]
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

#[cfg(test)]
mod tests {
    use mcsdns_core::effect::Effect;
    use mcsdns_runtime::Sink;

    use super::*;
    use crate::{metrics::Metrics, options::WriterOptions, writer::WriterSink};

    #[test]
    fn records_that_a_list_does_not_have_any_more_are_not_written() {
        let metrics = Arc::new(Metrics::new("test", "test"));
        let (writer, _) = Writer::new(WriterOptions::default(), watch::channel(None).1, Arc::clone(&metrics));
        writer.open();
        let sink = WriterSink(Arc::clone(&writer));
        let waiting = |count| metrics.text().contains(&format!("mcsdns_write_queue{{state=\"ready\"}} {count}\n"));
        let record = ObjectKey::new("test", "nginx");
        sink.effect(Effect::ApplyEndpoints { record, uid: "1".into(), endpoints: Arc::new([]) });
        assert!(waiting(1), "{}", metrics.text());
        let mut feed = RecordFeed { state: Arc::default(), writer };
        feed.fact(Change::Reset(Vec::new()));
        assert!(waiting(0), "{}", metrics.text());
    }
}
