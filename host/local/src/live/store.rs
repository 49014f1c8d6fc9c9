//! What is written: statuses and DNSEndpoints, as files of ordinary manifests.
//!
//! ```text
//! OUT/dnsendpoints/NAMESPACE/service-NAME.yaml
//! OUT/status/servicednsrecords/NAMESPACE/NAME.yaml
//! OUT/status/domains/NAME.yaml
//! OUT/status/memberclusters/NAME.yaml
//! OUT/lock
//! ```
//!
//! They are read at the start: the statuses are the memory of clusters that cannot be reached. Every file is replaced as
//! a whole, so that nobody ever reads half of one.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
    sync::Arc,
};

use mcsdns_api::{
    convert::{LocalObject, Watched, local_object},
    endpoint::{EndpointGroup, dns_endpoint},
    status,
};
use mcsdns_core::{
    effect::endpoint_name,
    facts::Published,
    ids::{ClusterName, ObjectKey},
    plan::Endpoint,
    status::{DomainStatus, MemberStatus, RecordStatus},
};
use serde::Serialize;
use serde_json::Value;

use crate::{
    limits::Limits,
    problem::Problem,
    read::{Stamp, parse_one, read_text, stamp},
};

/// What is written cannot be kept.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// A file or folder cannot be made or read.
    #[error("{}: {error}", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// Somebody else writes here.
    #[error("{} is in use by another mcsdns; give each its own folder (--out)", .0.display())]
    InUse(PathBuf),
    /// An object cannot be written as YAML.
    #[error("{}: {message}", path.display())]
    Serialise {
        /// Which.
        path: PathBuf,
        /// Why.
        message: String,
    },
}

impl StoreError {
    /// Stable, CamelCase.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Io { .. } => "Unwritable",
            Self::InUse(_) => "OutputInUse",
            Self::Serialise { .. } => "Unserialisable",
        }
    }
}

/// What was found, or written, at some time.
#[derive(Debug)]
pub(crate) struct Store {
    out: PathBuf,
    group: EndpointGroup,
    /// Namespace of Domains and MemberClusters.
    namespace: String,
    /// Held as long as we write.
    _lock: File,
    /// The DNSEndpoint files as we left them.
    endpoints: BTreeMap<PathBuf, Stamp>,
}

/// Everything that was found at the start.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) published: BTreeMap<ObjectKey, Published>,
    pub(crate) records: BTreeMap<ObjectKey, Arc<RecordStatus>>,
    pub(crate) domains: BTreeMap<Arc<str>, Arc<DomainStatus>>,
    pub(crate) members: BTreeMap<ClusterName, Arc<MemberStatus>>,
    pub(crate) problems: Vec<Problem>,
}

impl Store {
    /// Takes the folder, making it if need be.
    pub(crate) fn open(out: &Path, group: EndpointGroup, namespace: &str) -> Result<Self, StoreError> {
        let io = |path: &Path| {
            let path = path.to_owned();
            move |error| StoreError::Io { path, error }
        };
        fs::create_dir_all(out).map_err(io(out))?;
        let lock_path = out.join("lock");
        let lock = File::options().create(true).truncate(false).write(true).open(&lock_path).map_err(io(&lock_path))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(fs::TryLockError::WouldBlock) => return Err(StoreError::InUse(out.to_owned())),
            Err(fs::TryLockError::Error(error)) => return Err(io(&lock_path)(error)),
        }
        Ok(Self {
            out: out.to_owned(),
            group,
            namespace: namespace.to_owned(),
            _lock: lock,
            endpoints: BTreeMap::new(),
        })
    }

    /// Reads everything that was written before.
    pub(crate) fn read(&mut self, limits: &Limits) -> Found {
        let mut found = Found::default();
        for path in yaml_files(&self.out.join("dnsendpoints"), 2, limits.files) {
            if let Some((key, published)) = self.read_endpoints(&path, limits, &mut found.problems) {
                found.published.insert(key, published);
            }
        }
        for path in yaml_files(&self.out.join("status"), 3, limits.files.saturating_mul(2)) {
            match read_one(&path, limits) {
                Ok(LocalObject::Record(object)) => {
                    if let Some(status) = object.fact().and_then(|record| record.status) {
                        found.records.insert(object.key(), status);
                    }
                }
                Ok(LocalObject::Domain(object)) => {
                    if let Some(status) = object.fact().and_then(|domain| domain.status) {
                        found.domains.insert(object.key(), status);
                    }
                }
                Ok(LocalObject::Member(object)) => {
                    if let Some(status) = object.fact().and_then(|member| member.status) {
                        found.members.insert(object.key(), status);
                    }
                }
                Ok(_) => {}
                Err(problem) => found.problems.push(*problem),
            }
        }
        found
    }

    fn read_endpoints(
        &mut self,
        path: &Path,
        limits: &Limits,
        problems: &mut Vec<Problem>,
    ) -> Option<(ObjectKey, Published)> {
        let before = fs::metadata(path).map(|metadata| stamp(&metadata)).ok()?;
        match read_one(path, limits) {
            Ok(LocalObject::DnsEndpoint(_, object)) => {
                self.endpoints.insert(path.to_owned(), before);
                Some((object.key(), object.fact()?))
            }
            Ok(_) => None,
            Err(problem) => {
                problems.push(*problem);
                None
            }
        }
    }

    /// DNSEndpoints that somebody else changed (`Some`) or deleted (`None`) since we wrote them.
    pub(crate) fn meddled(&mut self, limits: &Limits) -> Vec<(ObjectKey, Option<Published>)> {
        let changed: Vec<(PathBuf, bool)> = self
            .endpoints
            .iter()
            .filter_map(|(path, known)| match fs::metadata(path) {
                Ok(metadata) if stamp(&metadata) == *known => None,
                Ok(_) => Some((path.clone(), true)),
                Err(error) if error.kind() == io::ErrorKind::NotFound => Some((path.clone(), false)),
                // Not knowing is no news.
                Err(_) => None,
            })
            .collect();
        let mut news = Vec::new();
        for (path, is_there) in changed {
            self.endpoints.remove(&path);
            let Some(key) = key_of(&path) else { continue };
            // What cannot be read is written anew as if it were gone.
            let published =
                if is_there { self.read_endpoints(&path, limits, &mut Vec::new()).map(|(_, p)| p) } else { None };
            news.push((key, published));
        }
        news
    }

    fn endpoints_path(&self, object: &ObjectKey) -> PathBuf {
        self.out.join("dnsendpoints").join(&*object.namespace).join(format!("{}.yaml", object.name))
    }

    /// Writes the DNSEndpoint of a record, and how it will be read.
    pub(crate) fn write_endpoints(
        &mut self,
        record: &ObjectKey,
        uid: &str,
        endpoints: &[Endpoint],
    ) -> Result<(ObjectKey, Option<Published>), StoreError> {
        let key = ObjectKey::new(Arc::clone(&record.namespace), endpoint_name(&record.name));
        let path = self.endpoints_path(&key);
        let object = dns_endpoint(record, uid, endpoints, self.group);
        write(&path, &object)?;
        let state = fs::metadata(&path).map_err(|error| StoreError::Io { path: path.clone(), error })?;
        self.endpoints.insert(path, stamp(&state));
        let read = serde_json::to_value(&object).ok().and_then(|value| match local_object(&value) {
            Ok(LocalObject::DnsEndpoint(_, object)) => object.fact(),
            Ok(_) | Err(_) => None,
        });
        Ok((key, read))
    }

    /// Deletes a DNSEndpoint.
    pub(crate) fn delete_endpoints(&mut self, object: &ObjectKey) -> Result<(), StoreError> {
        let path = self.endpoints_path(object);
        self.endpoints.remove(&path);
        remove(&path)
    }

    /// Writes the status of a record, and how it will be read.
    pub(crate) fn write_record(
        &self,
        record: &ObjectKey,
        status: &Arc<RecordStatus>,
    ) -> Result<Arc<RecordStatus>, StoreError> {
        let patch = status::record(record, status);
        write(&self.record_path(record), &patch)?;
        let read = serde_json::to_value(&patch).ok().and_then(|value| match local_object(&value) {
            Ok(LocalObject::Record(object)) => object.fact()?.status,
            Ok(_) | Err(_) => None,
        });
        Ok(read.unwrap_or_else(|| Arc::clone(status)))
    }

    /// Forgets the status of a record that is gone.
    pub(crate) fn delete_record(&self, record: &ObjectKey) -> Result<(), StoreError> {
        remove(&self.record_path(record))
    }

    fn record_path(&self, record: &ObjectKey) -> PathBuf {
        let folder = self.out.join("status/servicednsrecords").join(&*record.namespace);
        folder.join(format!("{}.yaml", record.name))
    }

    /// Writes the status of a Domain.
    pub(crate) fn write_domain(&self, name: &str, status: &DomainStatus) -> Result<(), StoreError> {
        let path = self.out.join("status/domains").join(format!("{name}.yaml"));
        write(&path, &status::domain(&self.namespace, name, status))
    }

    /// Writes the status of a member cluster.
    pub(crate) fn write_member(&self, name: &ClusterName, status: &MemberStatus) -> Result<(), StoreError> {
        let path = self.out.join("status/memberclusters").join(format!("{name}.yaml"));
        write(&path, &status::member(&self.namespace, name, status))
    }
}

/// The object whose DNSEndpoint stands in a file.
fn key_of(path: &Path) -> Option<ObjectKey> {
    let name = path.file_stem()?.to_str()?;
    let namespace = path.parent()?.file_name()?.to_str()?;
    Some(ObjectKey::new(namespace, name))
}

fn read_one(path: &Path, limits: &Limits) -> Result<LocalObject, Box<Problem>> {
    let text = read_text(path, limits.file_bytes)?;
    let value: Value = parse_one(&text, limits).map_err(|message| Problem::error(path, "InvalidYaml", message))?;
    let object = local_object(&value).map_err(|problem| Problem::error(path, "Malformed", problem.message))?;
    Ok(object)
}

/// The files `*.yaml` at exactly `depth` levels below a folder, sorted.
fn yaml_files(dir: &Path, depth: usize, limit: usize) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![(dir.to_owned(), depth)];
    while let Some((folder, depth)) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                if depth > 1 {
                    folders.push((path, depth - 1));
                }
            } else if path.extension().is_some_and(|extension| extension == "yaml") && found.len() < limit {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// Replaces a file as a whole, unless it says the same already.
fn write(path: &Path, object: &impl Serialize) -> Result<(), StoreError> {
    let text = serde_saphyr::to_string(object)
        .map_err(|error| StoreError::Serialise { path: path.to_owned(), message: error.to_string() })?;
    if fs::read_to_string(path).is_ok_and(|known| known == text) {
        return Ok(());
    }
    let io = |error| StoreError::Io { path: path.to_owned(), error };
    let folder = path.parent().unwrap_or_else(|| Path::new("."));
    fs::create_dir_all(folder).map_err(io)?;
    let file_name = path.file_name().unwrap_or_default().to_string_lossy();
    let temporary = folder.join(format!(".{file_name}.{}", std::process::id()));
    let written = File::create(&temporary)
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .and_then(|()| fs::rename(&temporary, path));
    if written.is_err() {
        // Nobody can do more about a temporary file that cannot be removed either.
        let _ = fs::remove_file(&temporary);
    }
    written.map_err(io)
}

fn remove(path: &Path) -> Result<(), StoreError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(StoreError::Io { path: path.to_owned(), error }),
        _ => Ok(()),
    }
}
