//! One cluster: a real API server with RBAC, audit log and tokens, and nothing behind it.
//!
//! There are no kubelets and no controllers (but see [`crate::ControllerManager`]): tests write what those
//! would, see [`crate::fixtures`].

mod access;
mod audit;
mod pki;

use std::ffi::OsString;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};
use k8s_openapi::api::core::v1::Namespace;
use kube::Api;

pub use access::service_account_user;
pub use audit::{AuditEntry, AuditMark};

use crate::binaries::Tool;
use crate::etcd::Etcd;
use crate::folder::{self, Folder, write};
use crate::ports::{Port, retry_when_taken};
use crate::process::{Process, Spec};
use pki::Pki;

/// Kube-apiserver is ready in two seconds on a quiet machine; a busy one may take long.
const START_LIMIT: Duration = Duration::from_secs(120);

/// What may differ between API servers.
#[derive(Debug, Clone)]
pub struct ControlPlaneOptions {
    /// Write the audit log, which [`ControlPlane::writes_since`] reads. On by default.
    pub audit: bool,
    /// More flags for kube-apiserver.
    pub args: Vec<String>,
}

impl Default for ControlPlaneOptions {
    fn default() -> Self {
        Self { audit: true, args: Vec::new() }
    }
}

/// The API server of one cluster.
///
/// All methods take `&self`, so a test can stop and start it while others use it.
#[derive(Debug)]
pub struct ControlPlane {
    // The order of the fields is the order of their end: the process, then its files and port, then etcd.
    process: Mutex<Option<Process>>,
    name: String,
    program: PathBuf,
    args: Vec<OsString>,
    ca: String,
    admin_token: String,
    port: Port,
    folder: Folder,
    _etcd: Etcd,
}

impl ControlPlane {
    /// Starts the API server of the cluster `name` and waits until it is ready.
    ///
    /// The name separates clusters within one etcd.
    pub async fn start(etcd: &Etcd, name: &str) -> Result<Self> {
        Self::start_with(etcd, name, &ControlPlaneOptions::default()).await
    }

    /// As [`ControlPlane::start`], with options.
    pub async fn start_with(etcd: &Etcd, name: &str, options: &ControlPlaneOptions) -> Result<Self> {
        let fits = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        ensure!(fits, "{name:?} is no name for a cluster: letters, digits and dashes");
        let program = Tool::KubeApiserver.path().await?;
        retry_when_taken(async || {
            let cluster = Self::prepare(etcd, name, &program, options)?;
            cluster.start_again().await?;
            Ok(cluster)
        })
        .await
    }

    fn prepare(etcd: &Etcd, name: &str, program: &Path, options: &ControlPlaneOptions) -> Result<Self> {
        let folder = Folder::create(name)?;
        let port = Port::take()?;
        let pki = Pki::create(folder.path(), name)?;
        let admin_token = hex(&folder::secret()?)?;
        let tokens = write(folder.path(), "tokens.csv", format!("{admin_token},admin,admin,system:masters\n"))?;

        let mut args: Vec<OsString> = Vec::new();
        let mut flag = |name: &str, value: OsString| args.extend([OsString::from(name), value]);
        flag("--etcd-servers", etcd.url().into());
        flag("--etcd-prefix", format!("/{name}").into());
        flag("--secure-port", port.number().to_string().into());
        flag("--bind-address", "127.0.0.1".into());
        // Without an address of its own it would look for one on a network that a test machine may not have.
        flag("--advertise-address", "127.0.0.1".into());
        flag("--endpoint-reconciler-type", "none".into());
        flag("--cert-dir", folder.path().join("certificates").into());
        flag("--tls-cert-file", pki.certificate.into());
        flag("--tls-private-key-file", pki.key.into());
        flag("--service-account-key-file", pki.account_public_key.into());
        flag("--service-account-signing-key-file", pki.account_key.into());
        flag("--service-account-issuer", "https://kubernetes.default.svc".into());
        flag("--token-auth-file", tokens.into());
        flag("--authorization-mode", "RBAC".into());
        flag("--service-cluster-ip-range", "10.96.0.0/16".into());
        flag("--disable-admission-plugins", "ServiceAccount".into());
        if options.audit {
            let policy = write(folder.path(), "audit-policy.yaml", audit::POLICY)?;
            flag("--audit-policy-file", policy.into());
            flag("--audit-log-path", folder.path().join(audit::FILE).into());
            // One file however long the test: marks are positions in it.
            flag("--audit-log-maxsize", "0".into());
        }
        args.extend(options.args.iter().map(OsString::from));

        let cluster = Self {
            process: Mutex::new(None),
            name: name.to_owned(),
            program: program.to_owned(),
            args,
            ca: pki.ca,
            admin_token,
            port,
            folder,
            _etcd: etcd.clone(),
        };
        write(cluster.folder.path(), "admin.kubeconfig", cluster.kubeconfig(&cluster.admin_token))?;
        Ok(cluster)
    }

    /// Starts the API server again, on the same port and with the same data, and waits until it is ready.
    /// Does nothing while it runs.
    pub async fn start_again(&self) -> Result<()> {
        if self.is_running() {
            return Ok(());
        }
        let name = format!("kube-apiserver of {}", self.name);
        let log = self.folder.path().join("kube-apiserver.log");
        // It keeps nothing that a kill could spoil, and with open watches it would take a minute to end.
        let spec = Spec::new(&name, &self.program, log).args(&self.args).grace(Duration::from_secs(2));
        let mut process = Process::start(&spec)?;
        let client = self.client_admin().await?;
        let namespaces: Api<Namespace> = Api::all(client.clone());
        process
            .ready(START_LIMIT, "to be ready", async || {
                let request = http::Request::get("/readyz").body(Vec::new()).context("cannot ask for /readyz")?;
                client.request_text(request).await.context("/readyz")?;
                // It makes its namespaces just after it calls itself ready.
                namespaces.get("default").await.context("the namespace default")?;
                Ok(())
            })
            .await?;
        *self.process() = Some(process);
        Ok(())
    }

    /// Stops the API server; callers are refused. See [`ControlPlane::start_again`].
    pub fn stop(&self) -> Result<()> {
        self.process().take().map_or(Ok(()), |mut process| process.stop())
    }

    /// Kills the API server as `kill -9` does.
    pub fn kill(&self) -> Result<()> {
        self.process().take().map_or(Ok(()), |mut process| process.kill())
    }

    /// Freezes the API server: it accepts connections and does not answer.
    pub fn pause(&self) -> Result<()> {
        self.running(Process::pause)
    }

    /// Lets a frozen API server go on.
    pub fn resume(&self) -> Result<()> {
        self.running(Process::resume)
    }

    /// Whether its process runs, frozen or not.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.process().as_mut().is_some_and(|process| matches!(process.ended(), Ok(None)))
    }

    /// The process id of the API server, nothing while it is stopped.
    #[must_use]
    pub fn id(&self) -> Option<u32> {
        self.process().as_ref().map(Process::id)
    }

    /// The name of the cluster.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where the API server listens; the same for the whole life of the cluster.
    #[must_use]
    pub fn url(&self) -> String {
        format!("https://{}", self.port.address())
    }

    /// The folder of the cluster, for files of the test that should go away with it.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// What the API server has printed.
    pub fn log(&self) -> Result<String> {
        let path = self.folder.path().join("kube-apiserver.log");
        fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
    }

    /// Lets the API server begin to end, before it is dropped.
    pub(crate) fn ask_to_end(&self) {
        if let Some(process) = self.process().as_mut() {
            // What fails here is done again, and fails again, when it is dropped.
            let _ = process.ask_to_end();
        }
    }

    fn running(&self, act: impl FnOnce(&mut Process) -> Result<()>) -> Result<()> {
        let mut process = self.process();
        let process = process.as_mut().ok_or_else(|| anyhow!("the API server of {} is stopped", self.name))?;
        act(process)
    }

    fn process(&self) -> MutexGuard<'_, Option<Process>> {
        // A panic elsewhere does not make the process less ours to stop.
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn hex(bytes: &[u8]) -> Result<String> {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        write!(text, "{byte:02x}").context("cannot write a token")?;
    }
    Ok(text)
}
