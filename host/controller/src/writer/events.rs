//! Kubernetes Events: what people see in `kubectl describe`.
//!
//! Written here and not with kube's Recorder, which would repeat the first note of a reason whatever came later. The same
//! words about the same object become one Event with a count. A burst is bounded for all objects together and for each;
//! what is beyond that is dropped and counted, because statuses say everything that counts.

use std::{collections::HashMap, sync::Arc, time::Duration};

use jiff::Timestamp;
use k8s_openapi::{
    api::{
        core::v1::ObjectReference,
        events::v1::{Event, EventSeries},
    },
    apimachinery::pkg::apis::meta::v1::MicroTime,
};
use kube::{
    Api, Client,
    api::{ObjectMeta, Patch, PatchParams, PostParams},
};
use mcsdns_core::effect::About;
use serde_json::json;
use sha2::{Digest, Sha256};
use tokio::{
    sync::{mpsc, watch},
    time::{Instant, timeout},
};

use super::Notice;
use crate::{
    lease::Term,
    metrics::Metrics,
    options::WriterOptions,
    trouble::{Kind, Trouble},
};

/// `reportingController` of our Events.
const CONTROLLER: &str = "mcsdns.io/controller";
/// How long equal words are counted instead of being said again.
const SAME: Duration = Duration::from_secs(600);
/// What one object may say at once, and how often afterwards.
const PER_OBJECT: Bucket = Bucket { size: 10.0, per_second: 1.0 / 60.0 };
/// Longest note, a limit of the API.
const LONGEST_NOTE: usize = 1000;
/// Objects that are remembered at a time.
const MEMORY: usize = 10_000;

#[derive(Clone, Copy)]
struct Bucket {
    size: f64,
    per_second: f64,
}

/// What is left of a bucket.
struct Tokens {
    left: f64,
    at: Instant,
}

impl Tokens {
    fn full(bucket: Bucket, now: Instant) -> Self {
        Self { left: bucket.size, at: now }
    }

    fn take(&mut self, bucket: Bucket, now: Instant) -> bool {
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        self.left = (self.left + passed * bucket.per_second).min(bucket.size);
        self.at = now;
        let enough = self.left >= 1.0;
        if enough {
            self.left -= 1.0;
        }
        enough
    }

    fn is_full(&self, bucket: Bucket, now: Instant) -> bool {
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        self.left + passed * bucket.per_second >= bucket.size
    }
}

/// Which notices are said. Pure.
struct Limits {
    all: Bucket,
    tokens: Tokens,
    objects: HashMap<About, Tokens>,
}

impl Limits {
    fn new(options: &WriterOptions, now: Instant) -> Self {
        let all = Bucket { size: f64::from(options.events_burst), per_second: options.events_per_second };
        Self { all, tokens: Tokens::full(all, now), objects: HashMap::new() }
    }

    fn allow(&mut self, about: &About, now: Instant) -> bool {
        if self.objects.len() >= MEMORY {
            self.objects.retain(|_, tokens| !tokens.is_full(PER_OBJECT, now));
        }
        if self.objects.len() >= MEMORY {
            return false;
        }
        let tokens = self.objects.entry(about.clone()).or_insert_with(|| Tokens::full(PER_OBJECT, now));
        tokens.take(PER_OBJECT, now) && self.tokens.take(self.all, now)
    }
}

/// Sends notices as Events.
pub(crate) struct Announcer {
    client: Client,
    namespace: String,
    instance: String,
    term: watch::Receiver<Option<Term>>,
    limit: Duration,
    limits: Limits,
    /// Event by what it says: its namespace and name, its count, and when it was last said.
    said: HashMap<[u8; 32], (String, String, i32, Instant)>,
    metrics: Arc<Metrics>,
}

impl Announcer {
    pub(crate) fn new(
        client: Client,
        namespace: &str,
        term: watch::Receiver<Option<Term>>,
        options: &WriterOptions,
        metrics: Arc<Metrics>,
    ) -> Self {
        let instance = std::env::var("POD_NAME").or_else(|_| std::env::var("HOSTNAME"));
        Self {
            client,
            namespace: namespace.to_owned(),
            instance: instance.unwrap_or_else(|_| "mcsdns".to_owned()),
            term,
            limit: options.timeout,
            limits: Limits::new(options, Instant::now()),
            said: HashMap::new(),
            metrics,
        }
    }

    /// Runs until nobody sends notices any more. An Event that cannot be written is dropped: its time has passed.
    pub(crate) async fn run(mut self, mut notices: mpsc::Receiver<Notice>) {
        while let Some(notice) = notices.recv().await {
            let result = self.announce(&notice).await;
            self.metrics.event(result);
        }
    }

    async fn announce(&mut self, notice: &Notice) -> &'static str {
        let allowed = self.term.borrow().as_ref().and_then(|term| term.allows(self.limit));
        let Some(limit) = allowed else {
            return "not-leading";
        };
        let now = Instant::now();
        if !self.limits.allow(&notice.about, now) {
            return "rate-limited";
        }
        if self.said.len() >= MEMORY {
            self.said.retain(|_, (.., at)| now.duration_since(*at) < SAME);
        }
        match timeout(limit, self.write(notice, now)).await {
            Ok(Ok(())) => "ok",
            Ok(Err(trouble)) => {
                tracing::debug!(reason = trouble.kind.as_str(), "event not written: {}", trouble.said);
                trouble.kind.as_str()
            }
            Err(_) => Kind::Timeout.as_str(),
        }
    }

    async fn write(&mut self, notice: &Notice, now: Instant) -> Result<(), Trouble> {
        let key = fingerprint(notice);
        let time = MicroTime(Timestamp::now());
        if let Some((namespace, name, count, at)) = self.said.get_mut(&key)
            && now.duration_since(*at) < SAME
        {
            let series = EventSeries { count: *count + 1, last_observed_time: time.clone() };
            let api: Api<Event> = Api::namespaced(self.client.clone(), namespace);
            match api.patch(name, &PatchParams::default(), &Patch::Merge(json!({"series": series}))).await {
                Ok(_) => {
                    (*count, *at) = (*count + 1, now);
                    return Ok(());
                }
                // It expired meanwhile.
                Err(error) if Trouble::from(&error).kind == Kind::NotFound => {}
                Err(error) => return Err(error.into()),
            }
        }
        let event = self.event(notice, time);
        let namespace = event.metadata.namespace.clone().unwrap_or_default();
        let name = event.metadata.name.clone().unwrap_or_default();
        let api: Api<Event> = Api::namespaced(self.client.clone(), &namespace);
        api.create(&PostParams::default(), &event).await?;
        if self.said.len() < MEMORY {
            self.said.insert(key, (namespace, name, 1, now));
        }
        Ok(())
    }

    fn event(&self, notice: &Notice, time: MicroTime) -> Event {
        let regarding = self.reference(&notice.about);
        let unique = format!("{:x}{:04x}", time.0.as_nanosecond(), fastrand::u16(..));
        // A name of 253 bytes must have room for what makes it unique.
        let mut name = regarding.name.clone().unwrap_or_default();
        name.truncate(220);
        let mut note = notice.note.clone();
        if note.len() > LONGEST_NOTE {
            let cut = (0..=LONGEST_NOTE).rev().find(|at| note.is_char_boundary(*at)).unwrap_or(0);
            note.truncate(cut);
            note.push('…');
        }
        Event {
            metadata: ObjectMeta {
                name: Some(format!("{}.{unique}", name.trim_end_matches(['.', '-']))),
                namespace: regarding.namespace.clone(),
                ..ObjectMeta::default()
            },
            action: Some("Reconcile".to_owned()),
            reason: Some(notice.reason.to_string()),
            note: Some(note),
            type_: Some(if notice.warning { "Warning" } else { "Normal" }.to_owned()),
            event_time: Some(time),
            reporting_controller: Some(CONTROLLER.to_owned()),
            reporting_instance: Some(self.instance.clone()),
            regarding: Some(regarding),
            ..Event::default()
        }
    }

    fn reference(&self, about: &About) -> ObjectReference {
        let (kind, namespace, name, uid) = match about {
            About::Record(record, uid) => {
                ("ServiceDNSRecord", record.namespace.to_string(), record.name.to_string(), uid)
            }
            About::Domain(name, uid) => ("Domain", self.namespace.clone(), name.to_string(), uid),
            About::Member(name, uid) => ("MemberCluster", self.namespace.clone(), name.to_string(), uid),
        };
        ObjectReference {
            api_version: Some(mcsdns_api::API_VERSION.to_owned()),
            kind: Some(kind.to_owned()),
            namespace: Some(namespace),
            name: Some(name),
            uid: (!uid.is_empty()).then(|| uid.to_string()),
            ..ObjectReference::default()
        }
    }
}

fn fingerprint(notice: &Notice) -> [u8; 32] {
    let text = format!("{:?}\n{}\n{}", notice.about, notice.reason, notice.note);
    Sha256::digest(text.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use mcsdns_core::ids::ObjectKey;

    use super::*;

    fn about(name: &str) -> About {
        About::Record(ObjectKey::new("test", name), "uid".into())
    }

    #[test]
    fn one_object_cannot_use_up_what_all_have() {
        let now = Instant::now();
        let mut limits = Limits::new(&WriterOptions::default(), now);
        let loud = (0..100).filter(|_| limits.allow(&about("loud"), now)).count();
        assert_eq!(loud, 10);
        assert!(limits.allow(&about("quiet"), now));
        assert!(limits.allow(&about("loud"), now + Duration::from_secs(61)));
    }

    #[test]
    fn all_together_are_bounded() {
        let now = Instant::now();
        let mut limits = Limits::new(&WriterOptions::default(), now);
        let said = (0..1000).filter(|i| limits.allow(&about(&i.to_string()), now)).count();
        assert_eq!(said, 50);
        let later = now + Duration::from_secs(1);
        assert_eq!((0..100).filter(|i| limits.allow(&about(&format!("b{i}")), later)).count(), 5);
    }
}
