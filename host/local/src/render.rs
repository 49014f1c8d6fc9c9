//! What would be published, once and without a network.

use std::{collections::BTreeMap, sync::Arc};

use mcsdns_api::endpoint::DnsEndpoint;
use mcsdns_core::{decision::PolicyRef, explain::Explanation, ids::ObjectKey, status::RecordStatus};
use mcsdns_rollout::Pilot;
use mcsdns_runtime::Decider;

use crate::{
    fleet::Fleet,
    problem::Problem,
    world::{World, WorldError, WorldOptions},
};

/// What would be published, and what is to be said about it.
#[derive(Clone, Debug)]
pub struct Rendered {
    /// The DNSEndpoints, sorted by namespace and name.
    pub objects: Vec<DnsEndpoint>,
    /// The status of every record.
    pub statuses: BTreeMap<ObjectKey, Arc<RecordStatus>>,
    /// Everything that can be told, by record.
    pub explanations: Vec<Explanation>,
    /// What is wrong with the manifests.
    pub problems: Vec<Problem>,
}

/// Renders what a folder leads to.
///
/// # Errors
/// When the world does not come to rest.
pub fn render<D: Decider + ?Sized>(
    fleet: Fleet,
    policies: PolicyRef,
    decider: &D,
    options: WorldOptions,
) -> Result<Rendered, WorldError> {
    render_with(fleet, policies, decider, options, None)
}

/// As [`render`], and honours the policies that Domains name.
///
/// # Errors
/// When the world does not come to rest.
pub fn render_with<D: Decider + ?Sized>(
    fleet: Fleet,
    policies: PolicyRef,
    decider: &D,
    options: WorldOptions,
    pilot: Option<Pilot>,
) -> Result<Rendered, WorldError> {
    let mut problems = fleet.problems.clone();
    let (world, _) = World::with_pilot(fleet, policies, decider, options, pilot)?;
    problems.extend(world.policy_problems());
    Ok(Rendered {
        objects: world.objects(),
        statuses: world.statuses().clone(),
        explanations: world.fleet().records.keys().filter_map(|record| world.explain(record)).collect(),
        problems,
    })
}
