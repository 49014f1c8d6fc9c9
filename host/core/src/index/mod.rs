//! The Index: everything that is known, and what follows from it.

use std::sync::Arc;

use jiff::Timestamp;

use crate::{
    decision::PolicyRef, effect::Effect, explain::Explanation, facts::Fact, ids::ObjectKey, name::TxtAffix,
    plan::Endpoint, status::RecordStatus,
};

/// What the operator set for the whole controller.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// How long an unreachable cluster keeps its last known addresses; `None`: for ever.
    pub grace_seconds: Option<u32>,
    /// Room for ExternalDNS's ownership records.
    pub txt_affix: TxtAffix,
    /// Most names one record may have.
    pub max_names: usize,
    /// Most addresses one name may have.
    pub max_targets: usize,
    /// Bounds of every TTL, in seconds, that a Domain may narrow.
    pub min_ttl: u32,
    /// See `min_ttl`.
    pub max_ttl: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            grace_seconds: Some(300),
            txt_affix: TxtAffix::default(),
            max_names: 1000,
            max_targets: 1000,
            min_ttl: 1,
            max_ttl: 2_147_483_647,
        }
    }
}

/// Everything that is known, and what follows from it.
#[derive(Debug)]
pub struct Index {
    settings: Settings,
}

impl Index {
    /// An Index that knows nothing yet. `policies` decide for every Domain until [`Fact::Policies`] says otherwise.
    #[must_use]
    pub fn new(settings: Settings, _policies: PolicyRef, _now: Timestamp) -> Self {
        Self { settings }
    }

    /// Learns one fact; what is to be done is appended to `out`.
    pub fn apply(&mut self, _fact: Fact, _out: &mut Vec<Effect>) {
        let _ = &self.settings;
    }

    /// Whether Records, Domains, Members and Published have all been told for the first time. Nothing is decided before.
    #[must_use]
    pub fn host_synced(&self) -> bool {
        false
    }

    /// Names of the records, sorted.
    #[must_use]
    pub fn records(&self) -> Vec<ObjectKey> {
        Vec::new()
    }

    /// What the DNSEndpoint of a record should say now; empty: there should be none.
    #[must_use]
    pub fn endpoints(&self, _record: &ObjectKey) -> Arc<[Endpoint]> {
        Arc::new([])
    }

    /// What the status of a record should say now.
    #[must_use]
    pub fn status(&self, _record: &ObjectKey) -> Option<Arc<RecordStatus>> {
        None
    }

    /// Everything that can be told about a record.
    #[must_use]
    pub fn explain(&self, _record: &ObjectKey) -> Option<Explanation> {
        None
    }
}
