//! ExternalDNS, writing the DNSEndpoints of one cluster into a [`Bind`].

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::binaries::{Tool, cache_folder, go, module_folder};
use crate::bind::{self, Bind};
use crate::cluster::ControlPlane;
use crate::folder::Folder;
use crate::http::{http_get, http_ok};
use crate::kubectl::{apply, wait_for_crd};
use crate::ports::{Port, retry_when_taken};
use crate::process::{Process, Spec};

/// The API group and version of the original project's DNSEndpoint.
pub const LEGACY_API: &str = "multiclusterdns.federation.k8s.io/v1alpha1";
/// The CustomResourceDefinition of ExternalDNS itself.
pub const CRD: &str = "dnsendpoints.externaldns.k8s.io";

/// The versions that tests run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExternalDnsVersion {
    /// v0.21.0: reads `externaldns.k8s.io/v1alpha1`, merges across objects.
    V0_21,
    /// v0.20.0 with the flags of the original guide: reads [`LEGACY_API`].
    V0_20,
}

impl ExternalDnsVersion {
    fn tool(self) -> Tool {
        match self {
            Self::V0_21 => Tool::ExternalDns021,
            Self::V0_20 => Tool::ExternalDns020,
        }
    }
}

/// What may differ between ExternalDNS processes.
#[derive(Debug, Clone, Default)]
pub struct ExternalDnsOptions {
    /// The kubeconfig to use; the administrator's when there is none.
    pub kubeconfig: Option<PathBuf>,
    /// More flags, e.g. `--namespace=dns`.
    pub args: Vec<String>,
}

/// A running ExternalDNS.
#[derive(Debug)]
pub struct ExternalDns {
    // The order of the fields is the order of their end.
    process: Process,
    metrics: Port,
    _folder: Folder,
}

impl ExternalDns {
    /// Starts it and waits until it is healthy. The CustomResourceDefinition it reads must be there, see
    /// [`install_crd`].
    pub async fn start(version: ExternalDnsVersion, cluster: &ControlPlane, bind: &Bind) -> Result<Self> {
        Self::start_with(version, cluster, bind, &ExternalDnsOptions::default()).await
    }

    /// As [`ExternalDns::start`], with options.
    pub async fn start_with(
        version: ExternalDnsVersion,
        cluster: &ControlPlane,
        bind: &Bind,
        options: &ExternalDnsOptions,
    ) -> Result<Self> {
        let tool = version.tool();
        let program = tool.path().await?;
        let kubeconfig = options.kubeconfig.clone().unwrap_or_else(|| cluster.admin_kubeconfig());
        retry_when_taken(async || {
            let folder = Folder::create("external-dns")?;
            let metrics = Port::take()?;
            let dns = bind.address();
            let mut spec = Spec::new(&tool.to_string(), &program, folder.path().join("external-dns.log"))
                .args(["--kubeconfig".as_ref(), kubeconfig.as_os_str()])
                .args(["--source=crd", "--policy=sync", "--txt-owner-id=testbed", "--log-level=debug"])
                .args(["--events", "--interval=1s", "--min-event-sync-interval=1s"])
                .args([format!("--metrics-address={}", metrics.address())])
                .args(["--provider=rfc2136".to_owned(), format!("--rfc2136-host={}", dns.ip())])
                .args([format!("--rfc2136-port={}", dns.port()), "--rfc2136-tsig-axfr".to_owned()])
                .args([format!("--rfc2136-tsig-keyname={}", bind::KEY_NAME)])
                .args([format!("--rfc2136-tsig-secret-alg={}", bind::KEY_ALGORITHM)])
                .args([format!("--rfc2136-tsig-secret={}", bind.secret())])
                .args(
                    bind.zones()
                        .iter()
                        .flat_map(|zone| [format!("--rfc2136-zone={zone}"), format!("--domain-filter={zone}")]),
                );
            if version == ExternalDnsVersion::V0_20 {
                spec = spec.args([format!("--crd-source-apiversion={LEGACY_API}")]).args([
                    "--crd-source-kind=DNSEndpoint",
                    "--registry=txt",
                    "--txt-prefix=cname",
                ]);
            }
            let mut process = Process::start(&spec.args(&options.args))?;
            let address = metrics.address();
            process
                .ready(Duration::from_secs(60), "to be healthy", async || http_ok(address, "/healthz").await)
                .await?;
            Ok(Self { process, metrics, _folder: folder })
        })
        .await
    }

    /// Where it serves `/metrics` and `/healthz`.
    #[must_use]
    pub fn metrics_address(&self) -> SocketAddr {
        self.metrics.address()
    }

    /// Its metrics, in Prometheus' text form.
    pub async fn metrics(&self) -> Result<String> {
        Ok(http_get(self.metrics_address(), "/metrics").await?.body)
    }

    /// What it has printed, at debug level.
    #[must_use]
    pub fn log(&self) -> String {
        self.process.log()
    }

    /// Its process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// Stops it; what it published stays.
    pub fn stop(mut self) -> Result<()> {
        self.process.stop()
    }
}

/// The CustomResourceDefinition of DNSEndpoint as ExternalDNS ships it in its Go module.
///
/// It is copied into the cache the first time; this needs `go`.
pub async fn crd_manifest(version: ExternalDnsVersion) -> Result<String> {
    tokio::task::spawn_blocking(move || read_crd(version.tool()))
        .await
        .context("the search for the DNSEndpoint definition was cut off")?
}

/// The same definition under the original project's group ([`LEGACY_API`]), for v0.20.
pub async fn legacy_crd_manifest() -> Result<String> {
    let text = crd_manifest(ExternalDnsVersion::V0_20).await?;
    let (group, _) = LEGACY_API.split_once('/').context("an API has a group and a version")?;
    // The approval is for names under k8s.io; the API server takes "unapproved" with a reason too.
    let lines = text.lines().map(|line| {
        if line.trim_start().starts_with("api-approved.kubernetes.io:") {
            "    api-approved.kubernetes.io: \"unapproved, a test\"".to_owned()
        } else {
            line.replace("externaldns.k8s.io", group)
        }
    });
    Ok(lines.collect::<Vec<_>>().join("\n") + "\n")
}

/// Installs [`crd_manifest`] in a cluster and waits until it is served.
pub async fn install_crd(cluster: &ControlPlane, version: ExternalDnsVersion) -> Result<()> {
    apply(cluster, &crd_manifest(version).await?).await?;
    wait_for_crd(cluster, CRD).await
}

fn read_crd(tool: Tool) -> Result<String> {
    let version = tool.version().context("ExternalDNS has a version")?;
    let copy = cache_folder()?.join("manifests").join(format!("dnsendpoints-{version}.yaml"));
    if let Ok(text) = fs::read_to_string(&copy) {
        return Ok(text);
    }
    let source = module_source(tool)?.join("config/crd/standard/dnsendpoints.externaldns.k8s.io.yaml");
    let text = fs::read_to_string(&source).with_context(|| format!("cannot read {}", source.display()))?;
    let folder = copy.parent().context("the cache has no folder")?;
    fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
    let half = folder.join(format!(".{version}.{}", std::process::id()));
    fs::write(&half, &text).with_context(|| format!("cannot write {}", half.display()))?;
    fs::rename(&half, &copy).with_context(|| format!("cannot move {} into place", copy.display()))?;
    Ok(text)
}

/// Where Go keeps the sources of ExternalDNS; they are downloaded when they are not there.
fn module_source(tool: Tool) -> Result<PathBuf> {
    const MODULE: &str = "sigs.k8s.io/external-dns";
    let go = go(tool).context("the DNSEndpoint definition comes with ExternalDNS's Go module")?;
    let module = module_folder(tool)?;
    let run = |args: &[&str]| -> Result<String> {
        let output = Command::new(&go)
            .current_dir(&module)
            .args(args)
            .stdin(Stdio::null())
            .output()
            .with_context(|| format!("cannot run {}", go.display()))?;
        if !output.status.success() {
            bail!("`go {}` failed: {}", args.join(" "), String::from_utf8_lossy(&output.stderr).trim());
        }
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let list = ["list", "-mod=readonly", "-m", "-f", "{{.Dir}}", MODULE];
    let mut folder = run(&list)?;
    if folder.is_empty() {
        run(&["mod", "download", MODULE])?;
        folder = run(&list)?;
    }
    if !Path::new(&folder).is_dir() {
        bail!("go says that {MODULE} is in {folder:?}, which is not a folder");
    }
    Ok(PathBuf::from(folder))
}
