//! The Secret with the kubeconfig of a member.
//!
//! Only the one that the MemberCluster names is watched. What counts is its content: a Secret that is written again with
//! the same bytes does not disturb the connection. While the host cluster cannot be read, the last content stays in force;
//! what becomes of a connection whose Secret is spoiled or deleted is decided by who follows it.

use std::{collections::BTreeMap, sync::Arc};

use k8s_openapi::{ByteString, api::core::v1::Secret};
use kube::{Api, Config, ResourceExt, config::KubeConfigOptions, runtime::watcher};
use mcsdns_api::kubeconfig::{check, pick};
use mcsdns_core::facts::{Change, Fact};
use sha2::{Digest, Sha256};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::Surroundings;
use crate::{
    connect::connect,
    metrics::Side,
    options::RequestOptions,
    pump::{Feed, Links, Source, pump},
    trouble::{Kind, Trouble},
};

/// How a member is reached, as far as is known.
#[derive(Clone)]
pub(crate) enum Credentials {
    /// The Secret has not been read yet.
    Unread,
    /// They cannot be used.
    Refused(Refusal),
    /// They can.
    Usable {
        /// Of the content.
        digest: [u8; 32],
        /// For the client.
        config: Box<Config>,
        /// Its address, for messages.
        server: String,
    },
}

/// Why credentials cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// Stable, CamelCase.
    pub(crate) reason: &'static str,
    /// For people; names the Secret and what to do.
    pub(crate) message: String,
}

impl Credentials {
    /// Whether a connection made with these is as good as one made with `other`.
    fn same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Unread, Self::Unread) => true,
            (Self::Refused(a), Self::Refused(b)) => a == b,
            (Self::Usable { digest: a, .. }, Self::Usable { digest: b, .. }) => a == b,
            (Self::Unread | Self::Refused(_) | Self::Usable { .. }, _) => false,
        }
    }
}

/// Follows the Secret until cancelled.
pub(crate) async fn read(
    name: Arc<str>,
    key: Option<Arc<str>>,
    allow_insecure: bool,
    credentials: watch::Sender<Credentials>,
    around: &Surroundings,
    cancel: &CancellationToken,
) {
    let (contents, mut content) = watch::channel(None);
    let api: Api<Secret> = Api::namespaced(around.client.clone(), &around.namespace);
    let only = watcher::Config::default().fields(&format!("metadata.name={name}"));
    let source = Source::new("secrets", Side::Host, api).queries([only]);
    let feed = SecretFeed { name: Arc::clone(&name), namespace: around.namespace.clone(), contents };
    let links = Links {
        facts: around.facts.clone(),
        cancel: cancel.clone(),
        restart: around.restarts.clone(),
        written: None,
        metrics: Arc::clone(&around.metrics),
    };
    let place = format!("Secret {}/{name}", around.namespace);
    let judging = async {
        while content.changed().await.is_ok() {
            let now = content.borrow_and_update().clone();
            let judged = match now {
                None => continue,
                Some(Content::Is(data)) => judge(&place, &data, key.as_deref(), allow_insecure, &around.requests).await,
                Some(Content::Gone) => Credentials::Refused(Refusal {
                    reason: "SecretNotFound",
                    message: format!("{place} does not exist; create it with the kubeconfig of the cluster"),
                }),
                Some(Content::Unreadable(why)) => Credentials::Refused(Refusal {
                    reason: "SecretUnreadable",
                    message: format!("{place} cannot be read: {why}"),
                }),
            };
            credentials.send_if_modified(|known| {
                let news = !known.same(&judged);
                if news {
                    *known = judged;
                }
                news
            });
        }
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = pump(source, feed, around.requests.clone(), links) => {}
        () = judging => {}
    }
}

type Data = BTreeMap<String, ByteString>;

#[derive(Clone)]
enum Content {
    Is(Arc<Data>),
    Gone,
    Unreadable(String),
}

struct SecretFeed {
    name: Arc<str>,
    namespace: String,
    contents: watch::Sender<Option<Content>>,
}

impl Feed for SecretFeed {
    type Object = Secret;
    type Key = String;
    type Value = Arc<Data>;

    fn key(&self, object: &Secret) -> String {
        object.name_any()
    }
    fn convert(&self, object: &Secret) -> Option<Arc<Data>> {
        // A server that ignored the selector must not make us use another Secret.
        (object.name_any() == *self.name).then(|| Arc::new(object.data.clone().unwrap_or_default()))
    }
    fn fact(&mut self, change: Change<String, Arc<Data>>) -> Option<Fact> {
        let content = match change {
            Change::Apply(_, data) => Content::Is(data),
            Change::Delete(name) if name == *self.name => Content::Gone,
            Change::Delete(_) => return None,
            Change::Reset(mut all) => all.pop().map_or(Content::Gone, |(_, data)| Content::Is(data)),
        };
        self.contents.send_replace(Some(content));
        None
    }
    fn standing(&mut self, trouble: Option<&Trouble>) -> Vec<Fact> {
        // What was read stays in force, whatever happens to the host.
        let (Some(trouble), Some(Content::Unreadable(_)) | None) = (trouble, &*self.contents.borrow()) else {
            return Vec::new();
        };
        let why = match trouble.kind {
            Kind::Forbidden => format!(
                "{}; apply the roles of deploy/ so that the controller may get, list and watch secrets in {}",
                trouble.said, self.namespace
            ),
            _ => trouble.said.clone(),
        };
        self.contents.send_replace(Some(Content::Unreadable(why)));
        Vec::new()
    }
}

async fn judge(
    place: &str,
    data: &Data,
    key: Option<&str>,
    allow_insecure: bool,
    requests: &RequestOptions,
) -> Credentials {
    let refused = |reason, error: &dyn std::fmt::Display| {
        Credentials::Refused(Refusal { reason, message: format!("{place}: {error}") })
    };
    let (bytes, kubeconfig) = match pick(data, key).and_then(|bytes| Ok((bytes, check(bytes, allow_insecure)?))) {
        Ok(usable) => usable,
        Err(error) => return refused(error.reason(), &error),
    };
    let mut hash = Sha256::new();
    hash.update(bytes);
    hash.update([u8::from(allow_insecure)]);
    let config = match Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await {
        Ok(config) => config,
        Err(error) => return refused("KubeconfigInvalid", &crate::trouble::chain(&error)),
    };
    // A certificate that is none is found out only here, and must be before the connection that works is given up.
    if let Err(error) = connect(config.clone(), requests) {
        return refused("KubeconfigInvalid", &error);
    }
    Credentials::Usable {
        digest: hash.finalize().into(),
        server: config.cluster_url.to_string(),
        config: Box::new(config),
    }
}
