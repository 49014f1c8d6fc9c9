//! Building a server from its pinned Go module into the cache, once for all projects and processes.

use std::env;
use std::fs::{self, File, TryLockError};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, anyhow, bail};

use super::{EXTERNAL_DNS_0_20, EXTERNAL_DNS_0_21, KUBERNETES, Missing, Tool, on_path};

/// The cache of the project, outside the source tree.
pub(crate) fn cache_folder() -> Result<PathBuf> {
    let named = |variable: &str| env::var_os(variable).filter(|value| !value.is_empty()).map(PathBuf::from);
    named("MCSDNS_CACHE")
        .or_else(|| Some(named("XDG_CACHE_HOME")?.join("mcsdns")))
        .or_else(|| Some(named("HOME")?.join(".cache/mcsdns")))
        .ok_or_else(|| anyhow!("neither MCSDNS_CACHE, XDG_CACHE_HOME nor HOME says where the cache is"))
}

/// Where the executable of a tool is in the cache, whether it is there or not.
pub(super) fn cached(tool: Tool) -> Result<Option<PathBuf>> {
    let Some(version) = tool.version() else {
        return Ok(None);
    };
    Ok(Some(cache_folder()?.join("bin").join(format!("{}-{version}", tool.program()))))
}

/// The folder of the Go module that a tool is built from.
pub(crate) fn module_folder(tool: Tool) -> Result<PathBuf> {
    let name = match tool {
        Tool::Etcd => "etcd",
        Tool::KubeApiserver | Tool::KubeControllerManager | Tool::Kubectl => "kubernetes",
        Tool::ExternalDns021 => "externaldns-0.21",
        Tool::ExternalDns020 => "externaldns-0.20",
        Tool::Named | Tool::Dig => bail!("{tool} is not built from a Go module"),
    };
    let modules = env::var_os("MCSDNS_TESTBED_GO")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("go"), PathBuf::from);
    let folder = modules.join(name);
    if !folder.join("go.mod").is_file() {
        bail!(
            "there is no go.mod in {}: MCSDNS_TESTBED_GO must name tests/testbed/go of the sources",
            folder.display()
        );
    }
    Ok(folder)
}

/// The `go` command, or the sentence that says what to install.
pub(crate) fn go(tool: Tool) -> Result<PathBuf, Missing> {
    on_path("go")
        .or_else(|| Some(PathBuf::from("/usr/local/go/bin/go")).filter(|path| path.is_file()))
        .ok_or_else(|| Missing::Go { tool, variable: tool.variable() })
}

/// Builds a tool and answers where it is.
pub(super) fn build(tool: Tool) -> Result<PathBuf> {
    let target = cached(tool)?.ok_or_else(|| Missing::Bind { program: tool.program() })?;
    let go = go(tool)?;
    let module = module_folder(tool)?;
    let folder = target.parent().context("the cache has no folder")?;
    fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;

    let _lock = lock(tool, folder)?;
    if target.is_file() {
        return Ok(target);
    }
    say(&format!("building {tool} from {} (once; minutes on a small machine) …", module.display()));
    let started = Instant::now();
    // A half-written executable must never have the final name.
    let half =
        folder.join(format!(".{}-{}.{}", tool.program(), tool.version().unwrap_or_default(), std::process::id()));
    let output = Command::new(&go)
        .current_dir(&module)
        .env("CGO_ENABLED", "0")
        .args(["build", "-mod=readonly", "-trimpath", "-ldflags", &linker_flags(tool), "-o"])
        .arg(&half)
        .arg(package(tool)?)
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot run {}", go.display()))?;
    if !output.status.success() {
        let _ = fs::remove_file(&half);
        let errors = String::from_utf8_lossy(&output.stderr);
        let last: Vec<&str> = errors.lines().rev().take(15).collect();
        let last: Vec<&str> = last.into_iter().rev().collect();
        bail!("building {tool} in {} failed ({}):\n{}", module.display(), output.status, last.join("\n"));
    }
    fs::rename(&half, &target).with_context(|| format!("cannot move {} into place", target.display()))?;
    say(&format!("built {tool} in {:.0} s: {}", started.elapsed().as_secs_f32(), target.display()));
    Ok(target)
}

fn package(tool: Tool) -> Result<&'static str> {
    Ok(match tool {
        Tool::Etcd => "go.etcd.io/etcd/server/v3",
        Tool::KubeApiserver => "k8s.io/kubernetes/cmd/kube-apiserver",
        Tool::KubeControllerManager => "k8s.io/kubernetes/cmd/kube-controller-manager",
        Tool::Kubectl => "k8s.io/kubernetes/cmd/kubectl",
        Tool::ExternalDns021 | Tool::ExternalDns020 => "sigs.k8s.io/external-dns",
        Tool::Named | Tool::Dig => bail!("{tool} is not built from a Go module"),
    })
}

/// Without these a build from a module does not know its own version and reports v0.0.0.
fn linker_flags(tool: Tool) -> String {
    let external_dns = |version| format!("-X sigs.k8s.io/external-dns/pkg/apis/externaldns.Version={version}");
    let version = match tool {
        Tool::KubeApiserver | Tool::KubeControllerManager | Tool::Kubectl => {
            let (major, rest) = KUBERNETES.split_once('.').unwrap_or_default();
            let (minor, _) = rest.split_once('.').unwrap_or_default();
            let package = "k8s.io/component-base/version";
            format!(
                "-X {package}.gitVersion=v{KUBERNETES} -X {package}.gitMajor={major} -X {package}.gitMinor={minor} \
                 -X k8s.io/client-go/pkg/version.gitVersion=v{KUBERNETES}"
            )
        }
        Tool::ExternalDns021 => external_dns(EXTERNAL_DNS_0_21),
        Tool::ExternalDns020 => external_dns(EXTERNAL_DNS_0_20),
        Tool::Etcd | Tool::Named | Tool::Dig => String::new(),
    };
    format!("-s -w {version}").trim_end().to_owned()
}

/// Holds the others off while one builds; released when the file is dropped.
fn lock(tool: Tool, folder: &Path) -> Result<File> {
    let path = folder.join(format!(".{}-{}.lock", tool.program(), tool.version().unwrap_or_default()));
    let file = File::options().create(true).truncate(false).write(true).open(&path);
    let file = file.with_context(|| format!("cannot open {}", path.display()))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            say(&format!("another process is building {tool}; waiting for it …"));
            file.lock().with_context(|| format!("cannot lock {}", path.display()))?;
        }
        Err(TryLockError::Error(error)) => {
            return Err(error).with_context(|| format!("cannot lock {}", path.display()));
        }
    }
    Ok(file)
}

/// Speaks past the test harness, which would keep back what is printed until the test is over.
fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "testbed: {line}");
}
