//! From a watch to facts: one pump for every kind of object, of the host and of members.
//!
//! A pump owns one list and watch. It turns what arrives into [`Change`]s, at the edge, and keeps no objects: a relist
//! becomes one [`Change::Reset`], so that what vanished meanwhile is known. Failures are retried for ever with growing
//! pauses and said once, in words that name what to do; nothing here stops any other pump.

use std::{collections::BTreeMap, fmt::Debug, sync::Arc, time::Duration};

use futures::{FutureExt, StreamExt, stream::BoxStream};
use kube::{
    Api, Resource,
    runtime::{watcher, watcher::Event},
};
use mcsdns_core::facts::{Change, Fact};
use mcsdns_runtime::FactSender;
use serde::de::DeserializeOwned;
use tokio::{
    sync::{mpsc, watch},
    time::{Instant, sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use crate::{
    backoff::Backoff,
    freshness::Freshness,
    metrics::{Metrics, Side},
    options::RequestOptions,
    trouble::{Kind, Trouble},
};

/// What a pump does with the objects of one kind.
pub(crate) trait Feed: Send + 'static {
    /// What is watched.
    type Object: Resource + Send + 'static;
    /// Its identity.
    type Key: Ord + Clone + Send + 'static;
    /// What is told of it.
    type Value: Send + 'static;

    /// The identity of an object.
    fn key(&self, object: &Self::Object) -> Self::Key;
    /// The object as a domain value; `None`: it is nothing of ours, which amounts to its being gone.
    fn convert(&self, object: &Self::Object) -> Option<Self::Value>;
    /// The change as a fact for the Index, if it is one.
    fn fact(&mut self, change: Change<Self::Key, Self::Value>) -> Option<Fact>;
    /// The facts so far have been handed over: what depends on the Index knowing them may go on.
    fn told(&mut self) {}
    /// The watch does not work (told once for each kind of trouble), or works again.
    fn standing(&mut self, trouble: Option<&Trouble>) -> Vec<Fact>;
    /// Lists have been answered with 404 for longer than a moment; asked at every attempt, before the trouble is told.
    fn missing(&mut self) -> impl Future<Output = Vec<Fact>> + Send {
        std::future::ready(Vec::new())
    }
}

type Events<K> = BoxStream<'static, watcher::Result<Event<K>>>;

/// Where the objects come from.
pub(crate) struct Source<K> {
    /// Plural name of the kind, for people and metrics.
    resource: &'static str,
    /// Host or member, for metrics.
    side: Side,
    open: Box<dyn Fn(watcher::Config) -> Events<K> + Send + Sync>,
    /// What to ask for; the next is tried when the server does not understand the one before.
    queries: Vec<watcher::Config>,
}

impl<K: Resource + Clone + Debug + DeserializeOwned + Send + 'static> Source<K> {
    /// All objects that `api` sees.
    pub(crate) fn new(resource: &'static str, side: Side, api: Api<K>) -> Self {
        let open = move |query| watcher(api.clone(), query).boxed();
        Self { resource, side, open: Box::new(open), queries: vec![watcher::Config::default()] }
    }

    /// Narrows what is asked for; each query is the fallback of the one before it.
    pub(crate) fn queries(mut self, queries: impl IntoIterator<Item = watcher::Config>) -> Self {
        self.queries = queries.into_iter().collect();
        self
    }
}

/// How a pump is connected with the rest.
pub(crate) struct Links<K> {
    /// Where the facts go.
    pub(crate) facts: FactSender,
    /// Ends the pump.
    pub(crate) cancel: CancellationToken,
    /// Begins anew with a list at every change: the server is back after an absence, and connections from before may be
    /// dead without knowing it.
    pub(crate) restart: watch::Receiver<u64>,
    /// Objects as they came back from our own writes.
    pub(crate) written: Option<mpsc::Receiver<K>>,
    /// Counters.
    pub(crate) metrics: Arc<Metrics>,
}

/// Events that are applied together.
const BATCH: usize = 512;
/// How long passing trouble may last before it is worth a word.
const PATIENCE: Duration = Duration::from_secs(10);
/// The same for a kind that is not there, which servers that have just started say, too.
const MOMENT: Duration = Duration::from_secs(1);
/// A kind that is not served yet is asked for at least this often: it is about to be installed.
const ASK_AGAIN: Duration = Duration::from_secs(5);

/// Runs until cancelled, or until nobody takes the facts any more.
pub(crate) async fn pump<F: Feed>(
    source: Source<F::Object>,
    feed: F,
    options: RequestOptions,
    links: Links<F::Object>,
) {
    let cancel = links.cancel.clone();
    let mut pump = Pump::new(source, feed, options, links);
    cancel.run_until_cancelled(pump.run()).await;
}

/// What a relist brought: values with the version of their objects.
type Listed<F> = BTreeMap<<F as Feed>::Key, (<F as Feed>::Value, Option<String>)>;

struct Pump<F: Feed> {
    source: Source<F::Object>,
    feed: F,
    options: RequestOptions,
    links: Links<F::Object>,
    query: usize,
    /// The relist that is being received.
    list: Option<Listed<F>>,
    fresh: Freshness<F::Key>,
    backoff: Backoff,
    /// The last watch was refused although its list had been answered: another list alone says nothing of whether it works.
    refused: bool,
    /// Since when it does not work, and the kind that was told.
    since: Option<Instant>,
    told: Option<Kind>,
    batch: Vec<Fact>,
}

/// Nobody takes facts any more.
struct Closed;

impl<F: Feed> Pump<F> {
    fn new(source: Source<F::Object>, feed: F, options: RequestOptions, links: Links<F::Object>) -> Self {
        let backoff = Backoff::new(options.retry_first, options.retry_longest);
        let fresh = Freshness::new(links.written.is_some());
        Self {
            source,
            feed,
            options,
            links,
            query: 0,
            list: None,
            fresh,
            backoff,
            refused: false,
            since: None,
            told: None,
            batch: Vec::new(),
        }
    }

    fn open(&mut self) -> Events<F::Object> {
        self.links.metrics.watch_started(self.source.side, self.source.resource);
        self.list = None;
        let query = self.source.queries.get(self.query).cloned().unwrap_or_default();
        let seconds = u32::try_from(self.options.watch_timeout.as_secs()).unwrap_or(u32::MAX);
        (self.source.open)(query.timeout(seconds).page_size(self.options.page_size))
    }

    async fn run(&mut self) {
        let mut stream = self.open();
        while let Ok(again) = self.turn(&mut stream).await {
            match again {
                Again::Same => {}
                Again::Pause(pause) => {
                    if self.back_within(pause).await {
                        stream = self.open();
                    }
                }
                Again::Anew(pause) => {
                    self.back_within(pause).await;
                    stream = self.open();
                }
            }
        }
    }

    /// Waits, but not when the server is back: it is asked at once.
    async fn back_within(&mut self, pause: Duration) -> bool {
        tokio::select! {
            () = sleep(pause) => false,
            Ok(()) = self.links.restart.changed() => {
                self.backoff.reset();
                true
            }
        }
    }

    /// Takes what comes next and what is ready behind it.
    async fn turn(&mut self, stream: &mut Events<F::Object>) -> Result<Again, Closed> {
        // A list must go on; a watch may be silent. After a failure, silence for longer than a refusal could take means
        // that the watch has begun.
        let patience = if self.list.is_some() {
            Some(self.options.list_timeout)
        } else {
            self.since.map(|_| self.options.request_timeout + Duration::from_secs(1))
        };
        let next = tokio::select! {
            Ok(()) = self.links.restart.changed() => {
                self.backoff.reset();
                return Ok(Again::Anew(Duration::ZERO));
            }
            Some(object) = recv(&mut self.links.written) => {
                self.written(&object);
                self.flush().await?;
                return Ok(Again::Same);
            }
            next = within(patience, stream.next()) => next,
        };
        let mut next = match next {
            Some(next) => next,
            None if self.list.is_some() => {
                let trouble = Trouble::timeout(self.options.list_timeout);
                let pause = self.trouble(&trouble);
                self.flush().await?;
                return Ok(Again::Anew(pause));
            }
            None => {
                self.works();
                self.flush().await?;
                return Ok(Again::Same);
            }
        };
        for _ in 0..BATCH {
            match next {
                // The streams of kube never end; if one does, there is another.
                None => {
                    let pause = self.backoff.failed();
                    return self.finish(Again::Anew(pause)).await;
                }
                Some(Ok(event)) => {
                    if let Err(trouble) = self.event(event) {
                        let again = Again::Anew(self.trouble(&trouble));
                        return self.finish(again).await;
                    }
                }
                Some(Err(error)) => {
                    let again = self.failed(&error).await;
                    return self.finish(again).await;
                }
            }
            match stream.next().now_or_never() {
                Some(ready) => next = ready,
                None => break,
            }
        }
        self.finish(Again::Same).await
    }

    async fn finish(&mut self, again: Again) -> Result<Again, Closed> {
        self.flush().await?;
        Ok(again)
    }

    async fn flush(&mut self) -> Result<(), Closed> {
        if !self.batch.is_empty() {
            self.links.facts.send(std::mem::take(&mut self.batch)).await.map_err(|_| Closed)?;
        }
        self.feed.told();
        Ok(())
    }

    fn event(&mut self, event: Event<F::Object>) -> Result<(), Trouble> {
        match event {
            Event::Init => self.list = Some(BTreeMap::new()),
            Event::InitApply(object) => {
                if let Some(list) = &mut self.list {
                    let version = object.meta().resource_version.clone();
                    if let Some(value) = self.feed.convert(&object) {
                        list.insert(self.feed.key(&object), (value, version));
                    }
                    if list.len() > self.options.max_objects {
                        let said = format!("the list has more than {} objects", self.options.max_objects);
                        return Err(Trouble::new(Kind::Garbage, &said));
                    }
                }
            }
            Event::InitDone => {
                let list = self.list.take().unwrap_or_default();
                self.fresh.reset(list.iter().map(|(key, (_, version))| (key, version.as_deref())));
                let list = list.into_iter().map(|(key, (value, _))| (key, value)).collect();
                self.tell(Change::Reset(list));
                if !self.refused {
                    self.works();
                }
            }
            Event::Apply(object) => {
                self.works();
                let key = self.feed.key(&object);
                if self.fresh.seen(&key, object.meta().resource_version.as_deref()) {
                    self.apply(key, &object);
                }
            }
            Event::Delete(object) => {
                self.works();
                let key = self.feed.key(&object);
                if self.fresh.gone(&key, object.meta().resource_version.as_deref()) {
                    self.tell(Change::Delete(key));
                }
            }
        }
        Ok(())
    }

    fn apply(&mut self, key: F::Key, object: &F::Object) {
        let change = match self.feed.convert(object) {
            Some(value) => Change::Apply(key, value),
            None => Change::Delete(key),
        };
        self.tell(change);
    }

    /// The answer to one of our own writes, ahead of the watch.
    fn written(&mut self, object: &F::Object) {
        let key = self.feed.key(object);
        if self.list.is_none() && self.fresh.written(&key, object.meta().resource_version.as_deref()) {
            self.apply(key, object);
        }
    }

    fn tell(&mut self, change: Change<F::Key, F::Value>) {
        self.batch.extend(self.feed.fact(change));
    }

    fn works(&mut self) {
        self.refused = false;
        if self.since.take().is_some() && self.told.take().is_some() {
            self.batch.extend(self.feed.standing(None));
        }
    }

    /// Counts it, says it when it is worth a word, and answers how long to wait.
    fn trouble(&mut self, trouble: &Trouble) -> Duration {
        self.links.metrics.watch_failed(self.source.side, self.source.resource, trouble.kind);
        let now = Instant::now();
        let since = *self.since.get_or_insert(now);
        let patience = match trouble.kind {
            Kind::NotFound => MOMENT,
            kind if kind.is_passing() || self.refused => PATIENCE,
            _ => Duration::ZERO,
        };
        let worth_a_word = now.duration_since(since) >= patience;
        if worth_a_word && self.told != Some(trouble.kind) {
            self.told = Some(trouble.kind);
            self.batch.extend(self.feed.standing(Some(trouble)));
        }
        tracing::debug!(
            resource = self.source.resource,
            reason = trouble.kind.as_str(),
            "watch failed: {}",
            trouble.said
        );
        let pause = self.backoff.failed();
        let pause = if trouble.kind == Kind::NotFound { pause.min(ASK_AGAIN) } else { pause };
        trouble.retry_after.map_or(pause, |asked| pause.max(asked.min(self.options.retry_longest)))
    }

    async fn failed(&mut self, error: &watcher::Error) -> Again {
        let trouble = Trouble::from(error);
        // A watch that broke is begun again where it was, and one that is too old with a list: nothing is lost, and the
        // attempt that follows says whether there is trouble.
        let broke = match error {
            watcher::Error::WatchFailed(_) => true,
            watcher::Error::WatchError(status) => status.code == 410,
            watcher::Error::InitialListFailed(_)
            | watcher::Error::WatchStartFailed(_)
            | watcher::Error::NoResourceVersion => false,
        };
        if trouble.kind == Kind::Garbage {
            // What could not be read is lost to the watch; only a list tells it again.
            return Again::Anew(self.trouble(&trouble));
        }
        if broke {
            tracing::debug!(resource = self.source.resource, "watch broke: {}", trouble.said);
            self.links.metrics.watch_failed(self.source.side, self.source.resource, trouble.kind);
            return Again::Pause(self.backoff.failed());
        }
        // A watch that may not begin where it was to begin. kube would name the same place for ever.
        let may_not_begin = matches!(error, watcher::Error::WatchStartFailed(_));
        if may_not_begin && matches!(trouble.kind, Kind::Gone | Kind::Invalid) {
            self.refused = true;
            return Again::Anew(self.trouble(&trouble));
        }
        if trouble.kind == Kind::Invalid && self.query + 1 < self.source.queries.len() {
            tracing::info!(
                resource = self.source.resource,
                "the server does not understand the selector, so all are watched: {}",
                trouble.said
            );
            self.query += 1;
            return Again::Anew(Duration::ZERO);
        }
        if trouble.kind == Kind::NotFound && self.since.is_some_and(|since| since.elapsed() >= MOMENT) {
            let facts = self.feed.missing().await;
            self.batch.extend(facts);
        }
        let pause = self.trouble(&trouble);
        // A kind that comes back is not the one that was listed.
        if may_not_begin && trouble.kind == Kind::NotFound { Again::Anew(pause) } else { Again::Pause(pause) }
    }
}

/// How to go on.
enum Again {
    /// With the same stream.
    Same,
    /// With the same stream, later.
    Pause(Duration),
    /// With a new one, later.
    Anew(Duration),
}

async fn recv<T>(receiver: &mut Option<mpsc::Receiver<T>>) -> Option<T> {
    match receiver {
        Some(receiver) => receiver.recv().await,
        None => std::future::pending().await,
    }
}

/// `None` when it takes longer.
async fn within<T>(limit: Option<Duration>, future: impl Future<Output = T>) -> Option<T> {
    match limit {
        Some(limit) => timeout(limit, future).await.ok(),
        None => Some(future.await),
    }
}
