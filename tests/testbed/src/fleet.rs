//! Several clusters at once.

use anyhow::{Context, Result};
use futures::future::try_join_all;

use crate::cluster::ControlPlane;
use crate::etcd::Etcd;

/// Clusters on one etcd. More can be started with [`ControlPlane::start`] on [`Fleet::etcd`].
#[derive(Debug)]
pub struct Fleet {
    clusters: Vec<ControlPlane>,
    etcd: Etcd,
}

impl Fleet {
    /// Starts an etcd and then one API server for each name, all at once.
    pub async fn start(names: &[&str]) -> Result<Self> {
        let etcd = Etcd::start().await?;
        let clusters = try_join_all(names.iter().map(|name| ControlPlane::start(&etcd, name))).await?;
        Ok(Self { clusters, etcd })
    }

    /// The cluster of that name.
    pub fn cluster(&self, name: &str) -> Result<&ControlPlane> {
        let found = self.clusters.iter().find(|cluster| cluster.name() == name);
        found.with_context(|| format!("the fleet has no cluster {name}"))
    }

    /// All clusters, in the order of their names at the start.
    #[must_use]
    pub fn clusters(&self) -> &[ControlPlane] {
        &self.clusters
    }

    /// The etcd under all of them.
    #[must_use]
    pub fn etcd(&self) -> &Etcd {
        &self.etcd
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        // Each takes a second to end; so they do it together, and are waited for one by one.
        for cluster in &self.clusters {
            cluster.ask_to_end();
        }
    }
}
