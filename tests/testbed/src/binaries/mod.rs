//! Where the servers come from.
//!
//! Each is looked for in an environment variable, on PATH, in the project's cache and in
//! `KUBEBUILDER_ASSETS`; what is nowhere is built from the Go modules beside this crate, whose `go.mod` and
//! `go.sum` pin it, into the cache. BIND and dig are the system's own.

mod build;

use std::collections::BTreeMap;
use std::env;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{LazyLock, Mutex, PoisonError};

use anyhow::{Context, Result};

pub(crate) use build::{cache_folder, go, module_folder};

/// The version of etcd in `go/etcd`.
const ETCD: &str = "3.6.8";
/// The version of Kubernetes in `go/kubernetes`.
const KUBERNETES: &str = "1.36.3";
/// The version of ExternalDNS in `go/externaldns-0.21`.
const EXTERNAL_DNS_0_21: &str = "v0.21.0";
/// The version of ExternalDNS in `go/externaldns-0.20`, the last with a DNSEndpoint group of one's choice.
const EXTERNAL_DNS_0_20: &str = "v0.20.0";

/// A program that tests run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Tool {
    /// The store of all API servers.
    Etcd,
    /// The API server of one cluster.
    KubeApiserver,
    /// What operators apply manifests with.
    Kubectl,
    /// ExternalDNS v0.21.
    ExternalDns021,
    /// The garbage collector of one cluster.
    KubeControllerManager,
    /// ExternalDNS v0.20.
    ExternalDns020,
    /// BIND's server.
    Named,
    /// BIND's resolver tool.
    Dig,
}

/// Why a program is not there.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Missing {
    /// A variable names a file that does not exist.
    #[error("{variable} names {}, which is not a file", path.display())]
    Variable {
        /// The environment variable.
        variable: &'static str,
        /// What it names.
        path: PathBuf,
    },
    /// BIND is not installed.
    #[error(
        "`{program}` is not installed: install BIND 9.18 or newer (Debian and Ubuntu: apt install bind9 bind9-dnsutils)"
    )]
    Bind {
        /// The program that was looked for.
        program: &'static str,
    },
    /// There is nothing to build with.
    #[error(
        "{tool} is not installed and `go`, which would build it, is not either: install Go 1.26 or newer (https://go.dev/dl) or name the program in {variable}"
    )]
    Go {
        /// The program that was looked for.
        tool: Tool,
        /// The environment variable that would name it.
        variable: &'static str,
    },
}

/// Where a program was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// Named by its environment variable.
    Variable,
    /// On PATH.
    Path,
    /// In the cache, from an earlier build.
    Cache,
    /// In the folder that `KUBEBUILDER_ASSETS` names.
    KubebuilderAssets,
    /// Built just now.
    Built,
}

/// A program on this machine.
#[derive(Debug, Clone)]
pub struct Found {
    /// The executable.
    pub path: PathBuf,
    /// Which of the places it was in.
    pub origin: Origin,
}

impl Tool {
    /// All of them; those that are built in the order to build them.
    pub const ALL: [Self; 8] = [
        Self::Etcd,
        Self::KubeApiserver,
        Self::Kubectl,
        Self::ExternalDns021,
        Self::KubeControllerManager,
        Self::ExternalDns020,
        Self::Named,
        Self::Dig,
    ];

    /// The name of the executable.
    #[must_use]
    pub fn program(self) -> &'static str {
        match self {
            Self::Etcd => "etcd",
            Self::KubeApiserver => "kube-apiserver",
            Self::Kubectl => "kubectl",
            Self::KubeControllerManager => "kube-controller-manager",
            Self::ExternalDns021 | Self::ExternalDns020 => "external-dns",
            Self::Named => "named",
            Self::Dig => "dig",
        }
    }

    /// The version that is built, nothing where it is the system's own.
    #[must_use]
    pub fn version(self) -> Option<&'static str> {
        match self {
            Self::Etcd => Some(ETCD),
            Self::KubeApiserver | Self::Kubectl | Self::KubeControllerManager => Some(KUBERNETES),
            Self::ExternalDns021 => Some(EXTERNAL_DNS_0_21),
            Self::ExternalDns020 => Some(EXTERNAL_DNS_0_20),
            Self::Named | Self::Dig => None,
        }
    }

    /// The environment variable that names the executable and overrules everything else.
    #[must_use]
    pub fn variable(self) -> &'static str {
        match self {
            Self::Etcd => "MCSDNS_ETCD",
            Self::KubeApiserver => "MCSDNS_KUBE_APISERVER",
            Self::Kubectl => "MCSDNS_KUBECTL",
            Self::KubeControllerManager => "MCSDNS_KUBE_CONTROLLER_MANAGER",
            Self::ExternalDns021 => "MCSDNS_EXTERNAL_DNS_0_21",
            Self::ExternalDns020 => "MCSDNS_EXTERNAL_DNS_0_20",
            Self::Named => "MCSDNS_NAMED",
            Self::Dig => "MCSDNS_DIG",
        }
    }

    /// The executable; it is built when it is nowhere, which takes minutes and says so.
    ///
    /// Looked for once in the life of this process.
    pub async fn path(self) -> Result<PathBuf> {
        tokio::task::spawn_blocking(move || self.find_or_build())
            .await
            .context("the search for a program was cut off")?
            .map(|found| found.path)
    }

    /// As [`Tool::path`], blocking, and with where it was found.
    pub fn find_or_build(self) -> Result<Found> {
        static KNOWN: LazyLock<Mutex<BTreeMap<Tool, Found>>> = LazyLock::new(Mutex::default);
        let known = || KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = known().get(&self) {
            return Ok(found.clone());
        }
        let found = match self.find()? {
            Some(found) => found,
            None => Found { path: build::build(self)?, origin: Origin::Built },
        };
        known().insert(self, found.clone());
        Ok(found)
    }

    /// Looks for it without building anything.
    pub fn find(self) -> Result<Option<Found>, Missing> {
        if let Some(path) = env::var_os(self.variable()).map(PathBuf::from) {
            // Somebody said which one: its version is their business.
            if path.is_file() {
                return Ok(Some(Found { path, origin: Origin::Variable }));
            }
            return Err(Missing::Variable { variable: self.variable(), path });
        }
        let found = on_path(self.program())
            .filter(|path| self.accepts(path))
            .map(|path| Found { path, origin: Origin::Path })
            .or_else(|| {
                let path = build::cached(self).ok()??;
                path.is_file().then_some(Found { path, origin: Origin::Cache })
            })
            .or_else(|| {
                let path = Path::new(&env::var_os("KUBEBUILDER_ASSETS")?).join(self.program());
                let good = path.is_file() && self.accepts(&path);
                good.then_some(Found { path, origin: Origin::KubebuilderAssets })
            });
        match (found, self.version()) {
            (None, None) => Err(Missing::Bind { program: self.program() }),
            (found, _) => Ok(found),
        }
    }

    /// Whether an executable that was found by its name alone is one to test with: the same minor version,
    /// and for etcd one of the two that Kubernetes uses.
    fn accepts(self, path: &Path) -> bool {
        let args: &[&str] = match self {
            Self::Kubectl => &["version", "--client"],
            Self::Named | Self::Dig => return true,
            _ => &["--version"],
        };
        let output = Command::new(path).args(args).stdin(Stdio::null()).output();
        let Ok(output) = output else { return false };
        let text = String::from_utf8_lossy(&output.stdout);
        let wanted: &[(u32, u32)] = match self {
            Self::Etcd => &[(3, 5), (3, 6)],
            Self::ExternalDns021 => &[(0, 21)],
            Self::ExternalDns020 => &[(0, 20)],
            _ => &[(1, 36)],
        };
        minor_version(&text).is_some_and(|found| wanted.contains(&found))
    }
}

impl fmt::Display for Tool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.version() {
            Some(version) => write!(f, "{} {version}", self.program()),
            None => f.write_str(self.program()),
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Variable => "environment variable",
            Self::Path => "PATH",
            Self::Cache => "cache",
            Self::KubebuilderAssets => "KUBEBUILDER_ASSETS",
            Self::Built => "built now",
        })
    }
}

/// Finds a program on PATH, and in the folders of system programs that PATH of a plain user may lack.
pub(crate) fn on_path(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .chain(["/usr/sbin", "/usr/local/sbin", "/sbin"].map(PathBuf::from))
        .map(|folder| folder.join(program))
        .find(|file| file.is_file())
}

/// The first `major.minor.patch` in a text, its first two parts.
fn minor_version(text: &str) -> Option<(u32, u32)> {
    text.split_whitespace().find_map(|word| {
        let mut parts = word.trim_start_matches('v').split('.');
        let major = parts.next()?.parse().ok()?;
        let minor = parts.next()?.parse().ok()?;
        parts.next()?.starts_with(|c: char| c.is_ascii_digit()).then_some((major, minor))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_as_the_programs_print_them() {
        assert_eq!(minor_version("etcd Version: 3.6.8\nGit SHA: Not provided"), Some((3, 6)));
        assert_eq!(minor_version("Kubernetes v1.36.3"), Some((1, 36)));
        assert_eq!(minor_version("Client Version: v1.32.4-dispatcher\nKustomize Version: v5.5.0"), Some((1, 32)));
        assert_eq!(minor_version("v0.21.0"), Some((0, 21)));
        assert_eq!(minor_version("Kubernetes v0.0.0-master+$Format:%H$"), Some((0, 0)));
        assert_eq!(minor_version("unknown"), None);
    }

    #[test]
    fn the_versions_here_are_those_of_the_go_modules() {
        for tool in Tool::ALL {
            let Some(version) = tool.version() else {
                continue;
            };
            let go_mod = module_folder(tool).unwrap().join("go.mod");
            let text = std::fs::read_to_string(&go_mod).unwrap();
            let wanted = format!("v{}", version.trim_start_matches('v'));
            let module = match tool {
                Tool::Etcd => "go.etcd.io/etcd/server/v3",
                Tool::ExternalDns020 | Tool::ExternalDns021 => "sigs.k8s.io/external-dns",
                _ => "k8s.io/kubernetes",
            };
            let pinned = text.lines().any(|line| line.contains(&format!("{module} {wanted}")));
            assert!(pinned, "{} does not pin {module} {wanted}", go_mod.display());
        }
    }

    #[test]
    fn what_is_missing_is_one_sentence() {
        let go = Missing::Go { tool: Tool::Etcd, variable: Tool::Etcd.variable() }.to_string();
        assert_eq!(
            go,
            "etcd 3.6.8 is not installed and `go`, which would build it, is not either: \
             install Go 1.26 or newer (https://go.dev/dl) or name the program in MCSDNS_ETCD"
        );
        let bind = Missing::Bind { program: "named" }.to_string();
        assert!(bind.contains("apt install bind9 bind9-dnsutils"), "{bind}");
    }
}
