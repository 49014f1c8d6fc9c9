//! What is watched in a member cluster: only what names can depend on.

use std::sync::Arc;

use kube::{Api, Client, runtime::watcher};
use mcsdns_api::{
    convert::{NodeObject, ServiceObject, SliceObject, Watched},
    metadata::LABEL_SLICE_SERVICE,
};
use mcsdns_core::{
    facts::{Change, ClusterFact, Fact},
    ids::ClusterName,
};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::Surroundings;
use crate::{
    metrics::Side,
    pump::{Feed, Links, Source, pump},
    tasks::Tasks,
    trouble::{Kind, Trouble},
};

/// What is watched, as the Index calls it.
pub(crate) const RESOURCES: [&str; 3] = ["nodes", "services", "endpointslices"];

/// What the Index knows troubles with the Secret as: they stand beside those of the watches, because they are none of the
/// connection.
pub(crate) const SECRET: &str = "secrets";

/// Starts the watches of one member.
pub(crate) fn start(
    tasks: &mut Tasks,
    name: &ClusterName,
    client: &Client,
    restarts: &watch::Receiver<u64>,
    around: &Surroundings,
    cancel: &CancellationToken,
) {
    let [nodes, services, slices] = RESOURCES;
    let everything = watcher::Config::default;
    // Only these can have addresses. A server that does not know the selector is asked for all of them.
    let balanced = everything().fields("spec.type=LoadBalancer");
    let labelled = everything().labels(LABEL_SLICE_SERVICE);

    let start = Start { name, client, restarts, around, cancel };
    start.one::<NodeObject>(tasks, nodes, vec![everything()], ClusterFact::Node);
    start.one::<ServiceObject>(tasks, services, vec![balanced, everything()], ClusterFact::Service);
    start.one::<SliceObject>(tasks, slices, vec![labelled], ClusterFact::Slice);
}

struct Start<'a> {
    name: &'a ClusterName,
    client: &'a Client,
    restarts: &'a watch::Receiver<u64>,
    around: &'a Surroundings,
    cancel: &'a CancellationToken,
}

impl Start<'_> {
    fn one<O>(
        &self,
        tasks: &mut Tasks,
        resource: &'static str,
        queries: Vec<watcher::Config>,
        wrap: fn(Change<O::Key, O::Fact>) -> ClusterFact,
    ) where
        O: Watched + kube::Resource<DynamicType = ()>,
    {
        let api: Api<O> = Api::all(self.client.clone());
        let source = Source::new(resource, Side::Member, api).queries(queries);
        let feed = MemberWatch { cluster: self.name.clone(), resource, wrap };
        let links = Links {
            facts: self.around.facts.clone(),
            cancel: self.cancel.clone(),
            restart: self.restarts.clone(),
            written: None,
            metrics: Arc::clone(&self.around.metrics),
        };
        tasks.spawn(resource, pump(source, feed, self.around.requests.clone(), links));
    }
}

/// Objects of one kind of one member.
struct MemberWatch<O: Watched> {
    cluster: ClusterName,
    resource: &'static str,
    wrap: fn(Change<O::Key, O::Fact>) -> ClusterFact,
}

impl<O: Watched> Feed for MemberWatch<O> {
    type Object = O;
    type Key = O::Key;
    type Value = O::Fact;

    fn key(&self, object: &O) -> O::Key {
        Watched::key(object)
    }
    fn convert(&self, object: &O) -> Option<O::Fact> {
        object.fact()
    }
    fn fact(&mut self, change: Change<O::Key, O::Fact>) -> Option<Fact> {
        Some(Fact::Cluster(self.cluster.clone(), (self.wrap)(change)))
    }
    fn standing(&mut self, trouble: Option<&Trouble>) -> Vec<Fact> {
        let (cluster, resource) = (&self.cluster, self.resource);
        let message = trouble.map(|trouble| words(resource, trouble));
        match (&message, trouble) {
            (Some(message), Some(trouble)) => {
                tracing::warn!(%cluster, resource, reason = trouble.kind.as_str(), "{message}");
            }
            _ => tracing::info!(%cluster, resource, "{resource} can be watched again"),
        }
        vec![Fact::Cluster(cluster.clone(), ClusterFact::WatchFailed { resource, message })]
    }
}

fn words(resource: &str, trouble: &Trouble) -> String {
    let said = &trouble.said;
    match trouble.kind {
        Kind::Forbidden => format!(
            "{resource} cannot be read: {said}; apply deploy/member/member.yaml to that cluster, or grant list and watch on {resource} to the user of the kubeconfig"
        ),
        Kind::Unauthorized => {
            format!(
                "{resource} cannot be read: the credentials are not accepted; put a valid kubeconfig into the Secret"
            )
        }
        Kind::NotFound => format!("{resource} cannot be read: the server does not know them ({said})"),
        _ => format!("{resource} cannot be read: {said}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_say_what_to_grant() {
        let said = "services is forbidden: User \"a\" cannot list resource \"services\"";
        let words = words("services", &Trouble::new(Kind::Forbidden, said));
        assert!(
            words.contains(said) && words.contains("deploy/member") && words.contains("list and watch on services")
        );
    }
}
