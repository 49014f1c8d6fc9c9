//! Kinds of the host that are not there, and those that only seem so.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use anyhow::{Result, ensure};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::{
    Api, Client,
    api::{DeleteParams, DynamicObject, Patch, PatchParams},
};
use mcsdns_api::{convert::DnsEndpointObject, endpoint::EndpointGroup};
use mcsdns_core::facts::{Change, Fact};
use mcsdns_testbed::{ExternalDnsVersion, Fleet, external_dns, wait_for_crd, wait_until};
use serde_json::json;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::{Facts, SOON, admin, behind, impatient};
use crate::{
    endpoints_api::Definition,
    host::{HostState, PublishedFeed},
    metrics::{Metrics, Side},
    options::WriterOptions,
    pump::{Links, Source, pump},
    tasks::Tasks,
    writer::Writer,
};

const GROUP: EndpointGroup = EndpointGroup::ExternalDns;

/// The watch of DNSEndpoints.
struct Watching {
    facts: Facts,
    state: Arc<HostState>,
    _restart: watch::Sender<u64>,
    _tasks: Tasks,
}

impl Watching {
    fn start(client: &Client) -> Self {
        let (facts, receiver) = mpsc::channel(1024);
        let metrics = Arc::new(Metrics::new("test", "test"));
        let state = Arc::new(HostState::default());
        let (writer, _) = Writer::new(WriterOptions::default(), watch::channel(None).1, Arc::clone(&metrics));
        let requests = impatient();
        let definition = Definition { client: client.clone(), group: GROUP, limit: requests.request_timeout };
        let source =
            Source::<DnsEndpointObject>::new("dnsendpoints", Side::Host, Api::all_with(client.clone(), &GROUP));
        let (restart, restarts) = watch::channel(0);
        let links = Links { facts, cancel: CancellationToken::new(), restart: restarts, written: None, metrics };
        let mut tasks = Tasks::default();
        tasks.spawn(
            "dnsendpoints",
            pump(source, PublishedFeed::new(Arc::clone(&state), writer, definition), requests, links),
        );
        Self { facts: Facts::new(receiver), state, _restart: restart, _tasks: tasks }
    }

    /// Waits until what is missing is explained with these words; empty: nothing is.
    async fn says(&self, words: &str) -> Result<()> {
        wait_until(SOON, &format!("{words:?}"), async || {
            let missing = self.state.missing();
            let found = missing.iter().find(|what| what.starts_with("dnsendpoints")).cloned().unwrap_or_default();
            ensure!(found.contains(words) && found.is_empty() == words.is_empty(), "{found}");
            Ok(())
        })
        .await
    }

    /// How many DNSEndpoints the next list has.
    async fn list(&mut self) -> Result<usize> {
        self.facts
            .next("a list of DNSEndpoints", |fact| match fact {
                Fact::Published(Change::Reset(all)) => Some(all.len()),
                _ => None,
            })
            .await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_is_answered_with_404_is_no_empty_list() -> Result<()> {
    let fleet = Fleet::start(&["host"]).await?;
    let host = fleet.cluster("host")?;
    external_dns::install_crd(host, ExternalDnsVersion::V0_21).await?;
    wait_for_crd(host, external_dns::CRD).await?;
    let objects: Api<DynamicObject> =
        Api::namespaced_with(host.client_admin().await?, "default", &GROUP.api_resource());
    let object = json!({
        "apiVersion": GROUP.api_version(), "kind": "DNSEndpoint", "metadata": {"name": "service-a"},
        "spec": {"endpoints": []},
    });
    objects.patch("service-a", &PatchParams::apply("test"), &Patch::Apply(&object)).await?;

    // What is between knows nothing at all, then answers all but the list, then ends.
    let hidden = Arc::new(watch::channel("/").0);
    let asked = Arc::new(AtomicUsize::new(0));
    let (hides, counts) = (Arc::clone(&hidden), Arc::clone(&asked));
    let client = behind(admin(host).await?, move |request| {
        let path = request.uri().path();
        counts.fetch_add(usize::from(path.ends_with("/dnsendpoints")), Ordering::Relaxed);
        (!hides.borrow().is_empty() && (*hides.borrow() == "/" || path.ends_with(*hides.borrow()))).then_some(404)
    });
    let mut watching = Watching::start(&client);
    for what in ["/", "/dnsendpoints"] {
        hidden.send_replace(what);
        watching.says("answered with 404").await?;
        let before = asked.load(Ordering::Relaxed);
        wait_until(SOON, "more attempts", async || {
            ensure!(asked.load(Ordering::Relaxed) >= before + 3, "{asked:?}");
            Ok(())
        })
        .await?;
    }
    hidden.send_replace("");
    assert_eq!(watching.list().await?, 1, "the first thing that is told of them");
    watching.says("").await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kind_that_the_server_does_not_know_is_said_and_waited_for() -> Result<()> {
    let fleet = Fleet::start(&["host"]).await?;
    let host = fleet.cluster("host")?;
    let lists = Arc::new(AtomicUsize::new(0));
    let counts = Arc::clone(&lists);
    let client = behind(admin(host).await?, move |request| {
        let is_list = !request.uri().query().unwrap_or_default().contains("watch=");
        counts.fetch_add(usize::from(is_list && request.uri().path().ends_with("/dnsendpoints")), Ordering::Relaxed);
        None
    });
    let mut watching = Watching::start(&client);
    assert_eq!(watching.list().await?, 0);
    assert_eq!(watching.state.missing().len(), 4, "nothing has been read");
    watching.says("install ExternalDNS's CustomResourceDefinition").await?;
    external_dns::install_crd(host, ExternalDnsVersion::V0_21).await?;
    watching.says("").await?;
    assert_eq!(watching.list().await?, 0);

    // It may also go, and come back with other objects.
    let definitions: Api<CustomResourceDefinition> = Api::all(host.client_admin().await?);
    definitions.delete(external_dns::CRD, &DeleteParams::default()).await?;
    assert_eq!(watching.list().await?, 0, "told because the server says so");
    let before = lists.load(Ordering::Relaxed);
    wait_until(SOON, "it to be asked for from the start", async || {
        ensure!(lists.load(Ordering::Relaxed) >= before + 2, "{lists:?}");
        Ok(())
    })
    .await?;
    wait_until(SOON, "the definition to go", async || {
        ensure!(definitions.get_opt(external_dns::CRD).await?.is_none(), "still there");
        Ok(())
    })
    .await?;
    external_dns::install_crd(host, ExternalDnsVersion::V0_21).await?;
    assert_eq!(watching.list().await?, 0, "read");
    Ok(())
}
