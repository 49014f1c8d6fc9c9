//! What kubelets, clouds and controllers would write: Nodes, load balancers' addresses, endpoints.
//!
//! All of it is server-side apply by one field manager, so each function may be called again to change
//! what it wrote.

use std::fmt::Debug;
use std::net::IpAddr;

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::core::v1::{Namespace, Node, Service, ServiceAccount};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::api::{DeleteParams, Patch, PatchParams};
use kube::{Api, Client, Resource};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// The field manager of everything written here.
pub const MANAGER: &str = "testbed";

/// A namespace.
pub async fn namespace(client: &Client, name: &str) -> Result<()> {
    let object = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
    apply(&Api::<Namespace>::all(client.clone()), name, &object).await
}

/// A service account, for [`crate::ControlPlane::token_for`].
pub async fn service_account(client: &Client, namespace: &str, name: &str) -> Result<()> {
    let object = json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name}});
    apply(&Api::<ServiceAccount>::namespaced(client.clone(), namespace), name, &object).await
}

/// A ready node of a region and zone, with the labels that clouds give it.
pub async fn node(client: &Client, name: &str, region: &str, zone: &str) -> Result<()> {
    let labels = json!({
        "kubernetes.io/hostname": name,
        "topology.kubernetes.io/region": region,
        "topology.kubernetes.io/zone": zone,
    });
    let object = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": labels}});
    let nodes: Api<Node> = Api::all(client.clone());
    apply(&nodes, name, &object).await?;
    let ready = json!({"type": "Ready", "status": "True", "reason": "Testbed", "message": "always"});
    status(&nodes, name, &json!({"conditions": [ready]})).await
}

/// A Service of type LoadBalancer with one port, and what its load balancer offers: IP addresses and host
/// names as they come; none is a load balancer that is not there yet.
pub async fn load_balancer(client: &Client, namespace: &str, name: &str, ingress: &[&str]) -> Result<()> {
    let object = json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name},
        "spec": {"type": "LoadBalancer", "selector": {"app": name}, "ports": [{"name": "http", "port": 80}]},
    });
    apply(&Api::<Service>::namespaced(client.clone(), namespace), name, &object).await?;
    ingress_of(client, namespace, name, ingress).await
}

/// What the load balancer of an existing Service offers from now on.
pub async fn ingress_of(client: &Client, namespace: &str, name: &str, ingress: &[&str]) -> Result<()> {
    let entries: Vec<Value> = ingress
        .iter()
        .map(|text| match text.parse::<IpAddr>() {
            Ok(address) => json!({"ip": address.to_string(), "ipMode": "VIP"}),
            Err(_) => json!({"hostname": text}),
        })
        .collect();
    let services: Api<Service> = Api::namespaced(client.clone(), namespace);
    status(&services, name, &json!({"loadBalancer": {"ingress": entries}})).await
}

/// The EndpointSlice of a Service: `ready` endpoints that are ready and `unready` that are not.
pub async fn endpoints(client: &Client, namespace: &str, service: &str, ready: usize, unready: usize) -> Result<()> {
    slice(client, namespace, service, &format!("{service}-1"), ready, unready).await
}

/// One of several EndpointSlices of a Service.
pub async fn slice(
    client: &Client,
    namespace: &str,
    service: &str,
    name: &str,
    ready: usize,
    unready: usize,
) -> Result<()> {
    ensure!(ready + unready <= 1000, "an EndpointSlice holds at most 1000 endpoints, not {}", ready + unready);
    let endpoints: Vec<Value> = (0..ready + unready)
        .map(|n| {
            let address = format!("10.1.{}.{}", n / 250, n % 250 + 1);
            let good = n < ready;
            json!({"addresses": [address], "conditions": {"ready": good, "serving": good, "terminating": false}})
        })
        .collect();
    let labels = json!({
        "kubernetes.io/service-name": service,
        "endpointslice.kubernetes.io/managed-by": "testbed.mcsdns.io",
    });
    let object = json!({
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"name": name, "labels": labels},
        "addressType": "IPv4",
        "endpoints": endpoints,
        "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}],
    });
    apply(&Api::<EndpointSlice>::namespaced(client.clone(), namespace), name, &object).await
}

/// All that a served Service has: its namespace, a load balancer with these addresses, ready endpoints.
pub async fn served(client: &Client, namespace: &str, service: &str, ingress: &[&str], ready: usize) -> Result<()> {
    self::namespace(client, namespace).await?;
    load_balancer(client, namespace, service, ingress).await?;
    endpoints(client, namespace, service, ready, 0).await
}

/// Deletes a Service and its first EndpointSlice, as their controllers would together.
pub async fn unserved(client: &Client, namespace: &str, service: &str) -> Result<()> {
    let services: Api<Service> = Api::namespaced(client.clone(), namespace);
    let deleting = || format!("cannot delete {namespace}/{service}");
    services.delete(service, &DeleteParams::default()).await.with_context(deleting)?;
    let slices: Api<EndpointSlice> = Api::namespaced(client.clone(), namespace);
    slices.delete(&format!("{service}-1"), &DeleteParams::default()).await.with_context(deleting)?;
    Ok(())
}

async fn apply<K>(api: &Api<K>, name: &str, object: &Value) -> Result<()>
where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug,
{
    let params = PatchParams::apply(MANAGER).force();
    api.patch(name, &params, &Patch::Apply(object))
        .await
        .with_context(|| format!("cannot write the {} {name}", K::kind(&())))?;
    Ok(())
}

/// A merge patch, as cloud controllers send it: it replaces the lists that it names.
async fn status<K>(api: &Api<K>, name: &str, status: &Value) -> Result<()>
where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug,
{
    let params = PatchParams { field_manager: Some(MANAGER.to_owned()), ..PatchParams::default() };
    api.patch_status(name, &params, &Patch::Merge(&json!({"status": status})))
        .await
        .with_context(|| format!("cannot write the status of the {} {name}", K::kind(&())))?;
    Ok(())
}
