//! One host cluster and its members.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::core::v1::Secret;
use kube::{
    Api, Client,
    api::{ApiResource, DynamicObject, Patch, PatchParams},
};
use mcsdns_testbed::{
    AuditEntry, AuditMark, ControlPlane, ExternalDnsVersion, Fleet, apply, external_dns, fixtures,
    service_account_user, wait_until,
};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::{Controller, SOON, endpoint, lines, run};

/// Namespace of the controller.
pub const NAMESPACE: &str = "federation-system";

/// Worlds at a time in one test program: each is four servers, on machines that may have two cores.
static WORLDS: Semaphore = Semaphore::const_new(2);

/// A member cluster and where its one Node is.
#[derive(Clone, Copy, Debug)]
pub struct Member {
    /// Its name.
    pub name: &'static str,
    /// Region of its Node; empty: no label.
    pub region: &'static str,
    /// Zone of its Node; empty: no label.
    pub zone: &'static str,
}

/// One host cluster and its members, with everything installed but the controller.
#[derive(Debug)]
pub struct World {
    fleet: Fleet,
    folder: TempDir,
    kubeconfig: PathBuf,
    _permit: SemaphorePermit<'static>,
}

/// A manifest of `deploy/`.
///
/// # Errors
/// When it is not there.
pub fn deploy_file(name: &str) -> Result<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy").join(name);
    std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
}

impl World {
    /// Starts a host and members, installs what `deploy/` ships, joins the members.
    ///
    /// # Errors
    /// When any of it fails.
    pub async fn start(members: &[Member]) -> Result<Self> {
        let permit = WORLDS.acquire().await?;
        let names: Vec<&str> = std::iter::once("host").chain(members.iter().map(|member| member.name)).collect();
        let fleet = Fleet::start(&names).await?;
        let host = fleet.cluster("host")?;
        external_dns::install_crd(host, ExternalDnsVersion::V0_21).await?;
        apply(host, &deploy_file("namespace.yaml")?).await?;
        apply(host, &run(&["crd"], None).await?).await?;
        apply(host, &deploy_file("rbac.yaml")?).await?;
        let token = host.token_for(NAMESPACE, "mcsdns").await?;
        let kubeconfig = host.kubeconfig_file("mcsdns", &token)?;
        let world = Self { kubeconfig, folder: TempDir::new()?, fleet, _permit: permit };
        for member in members {
            let admin = world.client(member.name).await?;
            fixtures::node(&admin, "node-1", member.region, member.zone).await?;
            world.join(member.name).await?;
        }
        Ok(world)
    }

    /// A cluster by name; the host is `host`.
    ///
    /// # Errors
    /// When there is none of that name.
    pub fn cluster(&self, name: &str) -> Result<&ControlPlane> {
        self.fleet.cluster(name)
    }

    /// The administrator's client of a cluster.
    ///
    /// # Errors
    /// When there is none of that name.
    pub async fn client(&self, name: &str) -> Result<Client> {
        self.cluster(name)?.client_admin().await
    }

    /// The fleet under it.
    #[must_use]
    pub const fn fleet(&self) -> &Fleet {
        &self.fleet
    }

    /// A folder that goes with it.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The kubeconfig of the controller's service account.
    #[must_use]
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// Joins a member as the install guide says: the role of `deploy/member` there, a Secret and a MemberCluster here.
    ///
    /// # Errors
    /// When any of it is refused.
    pub async fn join(&self, name: &str) -> Result<()> {
        self.join_cluster(self.cluster(name)?).await
    }

    /// Joins a cluster that was started later.
    ///
    /// # Errors
    /// When any of it is refused.
    pub async fn join_cluster(&self, member: &ControlPlane) -> Result<()> {
        apply(member, &deploy_file("member/member.yaml")?).await?;
        let token = member.token_for(NAMESPACE, "mcsdns-member").await?;
        self.join_with(member.name(), &member.kubeconfig(&token)).await
    }

    /// Joins a member with a kubeconfig of one's own.
    ///
    /// # Errors
    /// When the host refuses the objects.
    pub async fn join_with(&self, name: &str, kubeconfig: &str) -> Result<()> {
        let client = self.client("host").await?;
        let secrets: Api<Secret> = Api::namespaced(client, NAMESPACE);
        let secret = json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": {"kubeconfig": kubeconfig},
        });
        secrets.patch(name, &PatchParams::apply("e2e").force(), &Patch::Apply(&secret)).await?;
        self.host_apply(&json!({
            "apiVersion": "multiclusterdns.federation.k8s.io/v1alpha1",
            "kind": "MemberCluster",
            "metadata": {"name": name, "namespace": NAMESPACE},
            "spec": {"kubeconfigSecretRef": {"name": name}},
        }))
        .await
    }

    /// Applies one object to the host, as its operator.
    ///
    /// # Errors
    /// What the API server says.
    pub async fn host_apply(&self, object: &Value) -> Result<()> {
        apply(self.cluster("host")?, &object.to_string()).await.map(drop)
    }

    /// A Domain.
    ///
    /// # Errors
    /// What the API server says.
    pub async fn domain(&self, name: &str, zone: &str, more: Value) -> Result<()> {
        let mut object = json!({
            "apiVersion": "multiclusterdns.federation.k8s.io/v1alpha1",
            "kind": "Domain",
            "metadata": {"name": name, "namespace": NAMESPACE},
            "domain": zone,
        });
        merge(&mut object, more);
        self.host_apply(&object).await
    }

    /// A record in a namespace, which is made if need be.
    ///
    /// # Errors
    /// What the API server says.
    pub async fn record(&self, namespace: &str, name: &str, spec: Value) -> Result<()> {
        fixtures::namespace(&self.client("host").await?, namespace).await?;
        self.host_apply(&json!({
            "apiVersion": "multiclusterdns.federation.k8s.io/v1alpha1",
            "kind": "ServiceDNSRecord",
            "metadata": {"name": name, "namespace": namespace},
            "spec": spec,
        }))
        .await
    }

    /// A kind of ours on the host.
    ///
    /// # Errors
    /// When the host cannot be reached.
    pub async fn ours(&self, kind: &str, namespace: &str) -> Result<Api<DynamicObject>> {
        let plural = format!("{}s", kind.to_lowercase());
        let resource = ApiResource {
            group: "multiclusterdns.federation.k8s.io".to_owned(),
            version: "v1alpha1".to_owned(),
            api_version: "multiclusterdns.federation.k8s.io/v1alpha1".to_owned(),
            kind: kind.to_owned(),
            plural,
        };
        Ok(Api::namespaced_with(self.client("host").await?, namespace, &resource))
    }

    /// Starts the controller with the shipped role.
    ///
    /// # Errors
    /// When it does not become ready.
    pub async fn controller(&self, name: &str, flags: &[&str]) -> Result<Controller> {
        Controller::start(&self.kubeconfig, self.folder(), name, flags).await
    }

    /// Waits until the DNSEndpoint of a record says exactly this.
    ///
    /// # Errors
    /// What it said last.
    pub async fn published(&self, namespace: &str, record: &str, expected: &[String]) -> Result<()> {
        let client = self.client("host").await?;
        let expected = crate::sorted(expected.iter().cloned());
        wait_until(SOON, &format!("the DNSEndpoint of {namespace}/{record}"), async || {
            let object = endpoint(&client, namespace, record).await?;
            ensure!(lines(&object) == expected, "it says {:#?}, expected {expected:#?}", lines(&object));
            Ok(())
        })
        .await
    }

    /// Fails when the DNSEndpoint of a record does not say exactly this now.
    ///
    /// # Errors
    /// What it says instead.
    pub async fn says(&self, client: &Client, namespace: &str, record: &str, expected: &[String]) -> Result<()> {
        let object = endpoint(client, namespace, record).await?;
        let expected = crate::sorted(expected.iter().cloned());
        ensure!(lines(&object) == expected, "it says {:#?}, expected {expected:#?}", lines(&object));
        Ok(())
    }

    /// Waits until a condition of an object has a status and reason; answers its message.
    ///
    /// # Errors
    /// What it was last.
    pub async fn condition(
        &self,
        (kind, namespace, name): (&str, &str, &str),
        condition: &str,
        expected: &str,
    ) -> Result<String> {
        let api = self.ours(kind, namespace).await?;
        wait_until(SOON, &format!("{condition} of {kind} {namespace}/{name} to be {expected}"), async || {
            let object = api.get(name).await?;
            let conditions = object.data.pointer("/status/conditions").and_then(Value::as_array).cloned();
            let conditions = conditions.with_context(|| format!("no conditions in {}", object.data))?;
            let found = conditions.iter().find(|c| c.get("type").and_then(Value::as_str) == Some(condition));
            let found = found.with_context(|| format!("{condition} is not among {conditions:?}"))?;
            let text = |key: &str| found.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
            let is = format!("{}/{}", text("status"), text("reason"));
            ensure!(is == expected, "it is {is}: {}", text("message"));
            Ok(text("message"))
        })
        .await
    }

    /// Writes of the controller to the host since a mark; leases, which are renewed all the time, do not count.
    ///
    /// # Errors
    /// When the audit log cannot be read.
    pub async fn writes_since(&self, mark: AuditMark) -> Result<Vec<AuditEntry>> {
        let user = service_account_user(NAMESPACE, "mcsdns");
        let mut writes = self.cluster("host")?.writes_since(mark, &user).await?;
        writes.retain(|write| write.resource != "leases");
        Ok(writes)
    }
}

fn merge(object: &mut Value, more: Value) {
    if let (Value::Object(object), Value::Object(more)) = (object, more) {
        object.extend(more);
    }
}
