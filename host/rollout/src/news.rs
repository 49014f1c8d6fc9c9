//! What a [`crate::Pilot`] hears, and who hears of it.

use std::sync::Arc;

use mcsdns_api::convert::PolicyMap;
use mcsdns_core::{
    decision::PolicyFailure,
    facts::{Change, Domain, PolicyNames, Rollout},
    index::Settings,
};

use crate::shelf::Shelved;

/// Something that happened.
#[derive(Clone, Debug)]
pub enum News {
    /// ConfigMaps with the label of policies.
    Maps(Change<Arc<str>, PolicyMap>),
    /// They cannot be read, or can be again.
    MapsTrouble(Option<String>),
    /// Domains. Tell the Index first: what comes back is about Domains that it knows.
    Domains(Change<Arc<str>, Domain>),
    /// Policies in force keep failing, or do so no more; by [`mcsdns_core::decision::PolicyRef::id`].
    Health(Arc<str>, Option<PolicyFailure>),
}

/// Hears what is worth counting.
pub trait PilotObserver: Send + Sync {
    /// A ConfigMap was loaded, or refused.
    fn loaded(&self, map: &str, shelved: &Shelved) {
        let _ = (map, shelved);
    }
    /// Policies were tried on the records of a Domain.
    fn tried(&self, domain: &str, records: usize, passed: bool, micros: u64) {
        let _ = (domain, records, passed, micros);
    }
    /// What is told of a Domain has changed.
    fn told(&self, domain: &str, rollout: &Rollout) {
        let _ = (domain, rollout);
    }
    /// A Domain is gone.
    fn forgotten(&self, domain: &str) {
        let _ = domain;
    }
}

impl PilotObserver for () {}

/// How a pilot is set up.
#[derive(Clone)]
pub struct PilotOptions {
    /// Where the Domains are, for commands in messages: the namespace of the controller.
    pub namespace: Arc<str>,
    /// ConfigMaps that decide where a Domain names none.
    pub defaults: PolicyNames,
    /// What answers are held to.
    pub settings: Settings,
    /// Hears what is worth counting.
    pub observer: Arc<dyn PilotObserver>,
}
