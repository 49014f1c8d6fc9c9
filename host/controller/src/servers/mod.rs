//! Single parts of the controller against real API servers. What they do together is tested end to end, elsewhere.

mod absences;
mod elections;
mod faults;
mod probes;
mod pumps;
mod writes;

use std::time::Duration;

use anyhow::{Context, Result};
use http::{Request, Response};
use kube::{
    Client, Config,
    client::Body,
    config::{KubeConfigOptions, Kubeconfig},
};
use mcsdns_core::facts::Fact;
use mcsdns_testbed::ControlPlane;
use serde_json::json;
use tokio::{sync::mpsc, time::timeout};

use crate::{connect::connect, options::RequestOptions};

/// Longer than anything takes on a busy machine.
const SOON: Duration = Duration::from_secs(60);

/// Requests that do not wait for long, so that failures are seen soon.
fn impatient() -> RequestOptions {
    RequestOptions {
        connect_timeout: Duration::from_secs(2),
        request_timeout: Duration::from_secs(3),
        list_timeout: Duration::from_secs(10),
        watch_timeout: Duration::from_secs(30),
        retry_first: Duration::from_millis(50),
        retry_longest: Duration::from_secs(1),
        ..RequestOptions::default()
    }
}

/// A client of ours for whoever holds `token`.
async fn client(cluster: &ControlPlane, token: &str) -> Result<Client> {
    let kubeconfig = Kubeconfig::from_yaml(&cluster.kubeconfig(token))?;
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
    Ok(connect(config, &impatient())?)
}

async fn admin(cluster: &ControlPlane) -> Result<Client> {
    client(cluster, cluster.admin_token()).await
}

/// A client for which something stands in front of the server that answers what `answer` says with a code.
fn behind(client: Client, answer: impl Fn(&Request<Body>) -> Option<u16> + Send + 'static) -> Client {
    let service = tower::service_fn(move |request: Request<Body>| {
        let (client, code) = (client.clone(), answer(&request));
        async move {
            let Some(code) = code else { return Ok(client.send(request).await?) };
            let status = json!({
                "kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code,
                "message": "said by the test", "details": {"retryAfterSeconds": 600},
            });
            let body = Body::from(serde_json::to_vec(&status)?);
            Ok::<_, tower::BoxError>(Response::builder().status(code).body(body)?)
        }
    });
    Client::new(service, "default")
}

/// What the parts under test tell. What comes while something else is waited for is kept for later.
struct Facts {
    receiver: mpsc::Receiver<Vec<Fact>>,
    earlier: Vec<Fact>,
}

impl Facts {
    const fn new(receiver: mpsc::Receiver<Vec<Fact>>) -> Self {
        Self { receiver, earlier: Vec::new() }
    }

    /// The next fact that `is` recognises.
    async fn next<T>(&mut self, what: &str, is: impl Fn(&Fact) -> Option<T>) -> Result<T> {
        let wait = async {
            loop {
                let mut facts = self.earlier.iter().enumerate();
                if let Some((at, found)) = facts.find_map(|(at, fact)| Some((at, is(fact)?))) {
                    self.earlier.remove(at);
                    return Ok(found);
                }
                let batch = self.receiver.recv().await.context("nobody sends facts any more")?;
                self.earlier.extend(batch);
            }
        };
        timeout(SOON, wait).await.with_context(|| format!("waited {SOON:?} for {what}"))?
    }
}
