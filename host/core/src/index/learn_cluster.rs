//! Facts of member clusters coming in.

use std::{collections::HashSet, sync::Arc};

use super::{Depth, Index, fleet::Cluster};
use crate::{
    facts::{Change, ClusterFact, Malformed, Node, Service, Slice},
    ids::{ClusterName, ObjectKey},
};

impl Index {
    pub(super) fn learn_cluster(&mut self, name: &ClusterName, fact: ClusterFact) {
        let Some(cluster) = self.clusters.get_mut(name) else {
            return;
        };
        let was_synced = cluster.synced();
        match fact {
            ClusterFact::Reach(reach) => {
                if cluster.set_reach(reach) {
                    self.touch_all(&Depth::Observe);
                }
            }
            ClusterFact::Node(change) => {
                learn_nodes(cluster, change);
                self.relocate();
            }
            // Until it has been read as a whole, single objects of a cluster do not count.
            ClusterFact::Service(mut change) => {
                change.each_mut(|key, service| {
                    self.words.key(key);
                    if let Ok(service) = service {
                        self.words.word(&mut service.kind);
                    }
                });
                let whole = matches!(change, Change::Reset(_));
                let touched = learn_services(cluster, change);
                if cluster.note_read(whole, false) {
                    self.touch_all(&Depth::Observe);
                }
                self.touch_if(was_synced, name, &touched);
            }
            ClusterFact::Slice(mut change) => {
                // Slices have names of their own in every cluster.
                change.each_mut(|key, slice| {
                    self.words.word(&mut key.namespace);
                    if let Ok(slice) = slice {
                        self.words.word(&mut slice.service);
                    }
                });
                let whole = matches!(change, Change::Reset(_));
                let touched = learn_slices(cluster, change);
                if cluster.note_read(false, whole) {
                    self.touch_all(&Depth::Observe);
                }
                self.touch_if(was_synced, name, &touched);
            }
            ClusterFact::WatchFailed { resource, message } => {
                let changed = match message {
                    Some(message) => {
                        cluster.watch_failures.insert(resource, message.clone()).as_ref() != Some(&message)
                    }
                    None => cluster.watch_failures.remove(resource).is_some(),
                };
                if changed {
                    self.touch_all(&Depth::Observe);
                }
            }
        }
        if self.clusters.get(name).is_some_and(Cluster::synced) && !was_synced {
            self.touch_all(&Depth::Observe);
        }
        self.unreported.insert(name.clone());
    }

    fn touch_if(&mut self, synced: bool, cluster: &ClusterName, records: &[ObjectKey]) {
        if synced {
            for record in records {
                self.touch(record, Depth::ObserveOne(cluster.clone()));
            }
        }
    }
}

fn learn_nodes(cluster: &mut Cluster, change: Change<Arc<str>, Node>) {
    match change {
        Change::Apply(name, node) => {
            cluster.nodes.get_or_insert_default().insert(name, node);
        }
        Change::Delete(name) => {
            cluster.nodes.get_or_insert_default().remove(&name);
        }
        Change::Reset(all) => cluster.nodes = Some(all.into_iter().collect()),
    }
}

fn learn_services(cluster: &mut Cluster, change: Change<ObjectKey, Result<Service, Malformed>>) -> Vec<ObjectKey> {
    let mut touched = Vec::new();
    match change {
        Change::Apply(key, service) => {
            let malformed = cluster.note_malformed("Service", &key, service.as_ref().err());
            // What cannot be read leaves the last good content in force.
            let changed = service.is_ok_and(|service| cluster.set_service(&key, Some(service)));
            if malformed || changed {
                touched.push(key);
            }
        }
        Change::Delete(key) => {
            cluster.note_malformed("Service", &key, None);
            if cluster.set_service(&key, None) {
                touched.push(key);
            }
        }
        Change::Reset(all) => {
            let before = cluster.services.take().unwrap_or_default();
            let mut now = std::collections::HashMap::with_capacity(all.len());
            for (key, service) in all {
                let news = cluster.note_malformed("Service", &key, service.as_ref().err());
                let old = before.get(&key);
                match (service, old) {
                    (Ok(service), old) => {
                        if news || old != Some(&service) {
                            touched.push(key.clone());
                        }
                        now.insert(key, service);
                    }
                    // Its last good content stays in force.
                    (Err(_), Some(old)) => {
                        now.insert(key.clone(), old.clone());
                        touched.push(key);
                    }
                    (Err(_), None) => touched.push(key),
                }
            }
            touched.extend(before.into_keys().filter(|key| !now.contains_key(key)));
            let count = now.values().filter(|service| service.load_balancer).count();
            cluster.load_balancers = u32::try_from(count).unwrap_or(u32::MAX);
            cluster.services = Some(now);
        }
    }
    touched
}

fn learn_slices(cluster: &mut Cluster, change: Change<ObjectKey, Result<Slice, Malformed>>) -> Vec<ObjectKey> {
    match change {
        Change::Apply(key, slice) => {
            cluster.note_malformed("EndpointSlice", &key, slice.as_ref().err());
            match slice {
                // A first list must have been read before single events count.
                Ok(slice) if cluster.slices.is_some() => cluster.set_slice(key, Some(slice)),
                Ok(_) | Err(_) => Vec::new(),
            }
        }
        Change::Delete(key) => {
            cluster.note_malformed("EndpointSlice", &key, None);
            if cluster.slices.is_some() { cluster.set_slice(key, None) } else { Vec::new() }
        }
        Change::Reset(all) => {
            let present: HashSet<ObjectKey> = all.iter().map(|(key, _)| key.clone()).collect();
            let gone: Vec<_> = cluster
                .slices
                .iter()
                .flat_map(|slices| slices.keys())
                .filter(|key| !present.contains(*key))
                .cloned()
                .collect();
            let mut touched = Vec::new();
            for key in gone {
                cluster.note_malformed("EndpointSlice", &key, None);
                touched.extend(cluster.set_slice(key, None));
            }
            for (key, slice) in all {
                cluster.note_malformed("EndpointSlice", &key, slice.as_ref().err());
                if let Ok(slice) = slice {
                    touched.extend(cluster.set_slice(key, Some(slice)));
                }
            }
            cluster.slices.get_or_insert_default();
            touched
        }
    }
}
