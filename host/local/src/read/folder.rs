//! Which files there are.

use std::{
    collections::BTreeMap,
    fs::{self, DirEntry},
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::SystemTime,
};

use mcsdns_core::{ids::ClusterName, name};

use crate::{limits::Limits, problem::Problem};

/// Name of the file by which a cluster is made to look unreachable.
pub(crate) const OUTAGE: &str = "unreachable";

/// What tells one content of a file from another without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    pub(crate) size: u64,
    pub(crate) modified: Option<SystemTime>,
    /// Identity of the file on its file system: an editor that writes anew makes another file.
    pub(crate) identity: u64,
}

/// The manifests of one cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ClusterFiles {
    pub(crate) manifests: BTreeMap<Arc<Path>, Stamp>,
    /// The file that makes it unreachable.
    pub(crate) outage: Option<(PathBuf, Stamp)>,
    /// The folder could not be listed in full.
    pub(crate) incomplete: bool,
}

/// The files of a folder.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Listing {
    pub(crate) host: ClusterFiles,
    pub(crate) clusters: BTreeMap<ClusterName, ClusterFiles>,
    /// The list of clusters could not be read in full.
    pub(crate) incomplete: bool,
    pub(crate) problems: Vec<Problem>,
}

/// Lists what is to be read below `dir`.
pub(crate) fn list(dir: &Path, limits: &Limits) -> Listing {
    let mut listing = Listing::default();
    let (host, clusters) = (dir.join("host"), dir.join("clusters"));
    if !host.is_dir() && !clusters.is_dir() {
        listing.host.incomplete = true;
        listing.incomplete = true;
        listing.problems.push(Problem::error(
            dir,
            "NotAFleet",
            "has neither a folder `host` (Domain, ServiceDNSRecord) nor a folder `clusters` (clusters/NAME/ with Node, Service, EndpointSlice)",
        ));
        return listing;
    }
    let mut budget = Budget { bytes: limits.total_bytes, limits };
    listing.host = folder(&host, &mut budget, &mut listing.problems);
    let entries = match entries(&clusters, limits.clusters, &mut listing.problems) {
        Ok((entries, incomplete)) => {
            listing.incomplete |= incomplete;
            entries
        }
        Err(error) => {
            listing.incomplete = true;
            listing.problems.push(if error.kind() == io::ErrorKind::NotFound {
                Problem::note(&clusters, "NoClusters", "does not exist, so there are no member clusters")
            } else {
                missing(&clusters, &error)
            });
            Vec::new()
        }
    };
    for entry in entries {
        let path = entry.path();
        let file_name = entry.file_name();
        let Some(folder_name) = file_name.to_str().filter(|text| name::check_name(text).is_ok()) else {
            let message = "is not a name for a cluster: it may contain only a-z, 0-9, hyphens and dots";
            listing.problems.push(Problem::error(path, "InvalidClusterName", message));
            continue;
        };
        if !path.is_dir() {
            let message = "is not read: manifests of a cluster are in a folder of its own, clusters/NAME/";
            listing.problems.push(Problem::note(path, "NotUsed", message));
            continue;
        }
        let files = folder(&path, &mut budget, &mut listing.problems);
        listing.clusters.insert(ClusterName::new(folder_name), files);
    }
    listing
}

struct Budget<'a> {
    bytes: u64,
    limits: &'a Limits,
}

fn folder(dir: &Path, budget: &mut Budget<'_>, problems: &mut Vec<Problem>) -> ClusterFiles {
    let mut files = ClusterFiles::default();
    let entries = match entries(dir, budget.limits.files, problems) {
        Ok((entries, incomplete)) => {
            files.incomplete = incomplete;
            entries
        }
        Err(error) => {
            files.incomplete = true;
            problems.push(missing(dir, &error));
            return files;
        }
    };
    for entry in entries {
        let path = entry.path();
        // Follows links: mounted ConfigMaps are made of them.
        let stamp = match fs::metadata(&path) {
            Ok(metadata) if metadata.is_dir() => {
                let message = "is not read: folders within a folder of manifests have no meaning; move the files up";
                problems.push(Problem::note(path, "NotUsed", message));
                continue;
            }
            Ok(metadata) => stamp(&metadata),
            Err(error) => {
                // Gone between listing and looking is gone; anything else is not knowing.
                if error.kind() != io::ErrorKind::NotFound || entry.path().is_symlink() {
                    files.incomplete = true;
                    problems.push(missing(&path, &error));
                }
                continue;
            }
        };
        if path.file_name().is_some_and(|name| name == OUTAGE) {
            files.outage = Some((path, stamp));
            continue;
        }
        let extension = path.extension().and_then(|extension| extension.to_str());
        if !matches!(extension, Some("yaml" | "yml" | "json")) {
            continue;
        }
        // A file that is too large by itself is told so when it is read.
        if stamp.size <= budget.limits.file_bytes {
            if stamp.size > budget.bytes {
                files.incomplete = true;
                let message =
                    format!("is not read: all files together have more than {} bytes", budget.limits.total_bytes);
                problems.push(Problem::error(path, "TooMuchData", message));
                continue;
            }
            budget.bytes -= stamp.size;
        }
        files.manifests.insert(path.into(), stamp);
    }
    files
}

/// The entries of a folder that are not hidden, by name, and whether there were more than the limit.
fn entries(dir: &Path, limit: usize, problems: &mut Vec<Problem>) -> io::Result<(Vec<DirEntry>, bool)> {
    let mut entries = Vec::new();
    let mut incomplete = false;
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_name().as_encoded_bytes().starts_with(b".") {
            continue;
        }
        if entries.len() == limit {
            incomplete = true;
            let message = format!("has more than {limit} entries; the rest is not read");
            problems.push(Problem::error(dir, "TooManyFiles", message));
            break;
        }
        entries.push(entry);
    }
    entries.sort_by_key(DirEntry::file_name);
    Ok((entries, incomplete))
}

fn missing(path: &Path, error: &io::Error) -> Problem {
    Problem::error(path, "Unreadable", format!("cannot be read: {error}"))
}

pub(crate) fn stamp(metadata: &fs::Metadata) -> Stamp {
    #[cfg(unix)]
    let identity = std::os::unix::fs::MetadataExt::ino(metadata);
    #[cfg(not(unix))]
    let identity = 0;
    Stamp { size: metadata.len(), modified: metadata.modified().ok(), identity }
}
