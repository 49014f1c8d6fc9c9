//! kubectl, as an operator uses it.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::Api;

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
/// `dnsendpoints.externaldns.k8s.io`.
pub async fn wait_for_crd(cluster: &ControlPlane, name: &str) -> Result<()> {
    let definitions: Api<CustomResourceDefinition> = Api::all(cluster.client_admin().await?);
    wait_until(Duration::from_secs(60), &format!("{name} to be served"), async || {
        let definition = definitions.get(name).await?;
        let conditions = definition.status.and_then(|status| status.conditions).unwrap_or_default();
        let established = conditions.iter().any(|c| c.type_ == "Established" && c.status == "True");
        anyhow::ensure!(established, "conditions {conditions:?}");
        Ok(())
    })
    .await
}
