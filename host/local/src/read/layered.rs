//! Manifests in layers: files of a later folder take the place of earlier ones of the same name.

use std::{collections::BTreeMap, path::Path, sync::Arc};

use jiff::Timestamp;
use mcsdns_core::ids::ClusterName;

use super::{
    Place,
    file::read_file,
    folder::{ClusterFiles, Listing, OUTAGE, list},
};
use crate::{
    fleet::{Fleet, Part, read_outage},
    limits::Limits,
    problem::Problem,
};

/// Files by their name relative to the layer they come from.
#[derive(Clone, Debug, Default)]
pub(crate) struct Layered {
    host: BTreeMap<String, Arc<Path>>,
    clusters: BTreeMap<ClusterName, BTreeMap<String, Arc<Path>>>,
    /// Of all layers.
    listing: Listing,
}

impl Layered {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Lays the folder `dir` over what there is. It may have fewer folders than a whole fleet.
    pub(crate) fn add(&mut self, dir: &Path, limits: &Limits) {
        let listing = list(dir, limits);
        let is_whole = self.host.is_empty() && self.clusters.is_empty();
        let lay = |files: &ClusterFiles, onto: &mut BTreeMap<String, Arc<Path>>| {
            let manifests = files.manifests.keys().cloned();
            let outage = files.outage.iter().map(|(path, _)| Arc::from(path.as_path()));
            for path in manifests.chain(outage) {
                let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
                onto.insert(name, path);
            }
        };
        lay(&listing.host, &mut self.host);
        for (name, files) in &listing.clusters {
            lay(files, self.clusters.entry(name.clone()).or_default());
        }
        if is_whole {
            self.listing = Listing { host: ClusterFiles::default(), clusters: BTreeMap::new(), ..listing };
        } else {
            // That a layer is no whole fleet is no problem of it.
            let of_the_layer = |problem: &Problem| problem.path != dir && problem.path.exists();
            self.listing.problems.extend(listing.problems.into_iter().filter(of_the_layer));
        }
    }

    /// Removes a file or the folder of a cluster; whether it was there.
    pub(crate) fn remove(&mut self, path: &str) -> bool {
        let parts: Vec<&str> = path.trim_end_matches('/').split('/').collect();
        match parts.as_slice() {
            ["host", file] => self.host.remove(*file).is_some(),
            ["clusters", cluster] => self.clusters.remove(&ClusterName::new(*cluster)).is_some(),
            ["clusters", cluster, file] => {
                self.clusters.get_mut(&ClusterName::new(*cluster)).is_some_and(|files| files.remove(*file).is_some())
            }
            _ => false,
        }
    }

    /// Reads everything.
    pub(crate) fn fleet(&self, dir: &Path, limits: &Limits, now: Timestamp) -> Fleet {
        let read = |files: &BTreeMap<String, Arc<Path>>, place: &Place| {
            let mut part = Part::default();
            for (name, path) in files {
                if name == OUTAGE {
                    part.outage = Some(read_outage(path, now, &mut part.problems));
                    continue;
                }
                let content = read_file(path, place, limits);
                part.incomplete |= content.incomplete;
                part.problems.extend(content.problems);
                part.objects.extend(content.objects);
            }
            part
        };
        let host = read(&self.host, &Place::Host);
        let clusters = self
            .clusters
            .iter()
            .map(|(name, files)| (name.clone(), read(files, &Place::Cluster(name.clone()))))
            .collect();
        Fleet::assemble(dir, host, clusters, &self.listing, now)
    }
}
