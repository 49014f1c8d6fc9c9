//! kubectl, as an operator uses it.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::{Api, Client};
use serde_json::Value;

use crate::binaries::Tool;
use crate::cluster::ControlPlane;
use crate::command::run;
use crate::wait::wait_until;

/// Runs kubectl as the administrator of a cluster and answers what it printed.
///
/// `kubectl(&cluster, &["apply", "--server-side", "-f", "-"], Some(manifest))` is what operators run.
pub async fn kubectl(cluster: &ControlPlane, args: &[&str], stdin: Option<&str>) -> Result<String> {
    kubectl_with(&cluster.admin_kubeconfig(), args, stdin).await
}

/// Runs kubectl with a kubeconfig of one's own, see [`ControlPlane::kubeconfig_file`].
pub async fn kubectl_with(kubeconfig: &Path, args: &[&str], stdin: Option<&str>) -> Result<String> {
    let program = Tool::Kubectl.path().await?;
    let folder = kubeconfig.parent().context("the kubeconfig is in no folder")?;
    // A home of its own: kubectl caches what a server knows by the server's address, and the next test may
    // get this one's port.
    let env =
        [("KUBECONFIG", kubeconfig.as_os_str()), ("HOME", folder.as_os_str()), ("KUBECACHEDIR", folder.as_os_str())];
    run(&program, args, &env, stdin, Duration::from_secs(60)).await
}

/// Applies manifests, server-side, as the administrator.
pub async fn apply(cluster: &ControlPlane, manifests: &str) -> Result<String> {
    kubectl(cluster, &["apply", "--server-side", "-f", "-"], Some(manifests)).await
}

/// Waits until a cluster serves the kind that a CustomResourceDefinition defines, e.g.
/// `dnsendpoints.externaldns.k8s.io`, in every version.
///
/// The condition `Established` is not enough: discovery learns of the kind a moment later, and kubectl and
/// ExternalDNS, which ask it, fail until then.
pub async fn wait_for_crd(cluster: &ControlPlane, name: &str) -> Result<()> {
    let client = cluster.client_admin().await?;
    let definitions: Api<CustomResourceDefinition> = Api::all(client.clone());
    wait_until(Duration::from_secs(60), &format!("{name} to be served"), async || {
        let definition = definitions.get(name).await?;
        let conditions = definition.status.and_then(|status| status.conditions).unwrap_or_default();
        let established = conditions.iter().any(|c| c.type_ == "Established" && c.status == "True");
        ensure!(established, "conditions {conditions:?}");
        let groups: Value = discovery(&client).await?;
        for version in definition.spec.versions.iter().filter(|version| version.served) {
            let (group, plural) = (&definition.spec.group, &definition.spec.names.plural);
            let version = &version.name;
            let plain = client.list_api_group_resources(&format!("{group}/{version}")).await?;
            let listed = plain.resources.iter().any(|resource| resource.name == *plural);
            ensure!(listed, "the resources of {group}/{version} are {:?}", plain.resources);
            ensure!(lists(&groups, group, version, plural), "no {plural} of {group}/{version} in discovery");
        }
        Ok(())
    })
    .await
}

/// Discovery in the form that kubectl asks for: all groups in one answer, from a cache of its own.
async fn discovery(client: &Client) -> Result<Value> {
    let request = http::Request::get("/apis")
        .header("accept", "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList")
        .body(Vec::new())
        .context("cannot ask for discovery")?;
    client.request(request).await.context("discovery")
}

fn lists(groups: &Value, group: &str, version: &str, plural: &str) -> bool {
    let has = |value: &Value, key: &str, wanted: &str| value.pointer(key).and_then(Value::as_str) == Some(wanted);
    let list = |value: &Value, key: &str| value.get(key).and_then(Value::as_array).cloned().unwrap_or_default();
    list(groups, "items").iter().filter(|item| has(item, "/metadata/name", group)).any(|item| {
        let versions = list(item, "versions");
        versions
            .iter()
            .filter(|item| has(item, "/version", version))
            .any(|item| list(item, "resources").iter().any(|resource| has(resource, "/resource", plural)))
    })
}
