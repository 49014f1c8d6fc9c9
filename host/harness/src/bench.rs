//! How long a policy takes to decide, beside the policy in the box.

use std::time::{Duration, Instant};

use mcsdns_policy::{DecideError, PolicySet};
use serde::Serialize;

use crate::{fleets::mixed_fleet, spending::answer_bytes};

/// Sizes of fleets that are asked about by default: numbers of clusters.
pub const SIZES: [u32; 4] = [3, 10, 100, 1000];

/// Fewest decisions that are measured, however long they take.
const FEWEST: usize = 20;
/// Most decisions that are measured.
const MOST: usize = 5_000;
/// Decisions before the measurement.
const WARM_UP: usize = 5;

/// One policy at one size.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Measured {
    /// Clusters of the fleet.
    pub clusters: u32,
    /// Decisions that were measured.
    pub decisions: usize,
    /// Half of the decisions took at most so long, in microseconds; with a fresh instance, as always.
    pub median_micros: u32,
    /// 99 of 100 decisions took at most so long.
    pub p99_micros: u32,
    /// Part of the median for waiting and making instances.
    pub start_micros: u32,
    /// Fuel; the same every time.
    pub fuel: u64,
    /// Linear memory in bytes; the same every time.
    pub memory_bytes: u64,
    /// Names of the answer.
    pub names: usize,
    /// Size of the answer in bytes.
    pub answer_bytes: u64,
}

/// Measures one policy with a fleet of so many clusters for about so long.
///
/// # Errors
/// When the policy does not decide.
pub fn measure(policies: &PolicySet, clusters: u32, time: Duration) -> Result<Measured, Box<DecideError>> {
    let input = mixed_fleet(clusters, &policies.policy_ref().needs);
    for _ in 0..WARM_UP {
        policies.decide(&input)?;
    }
    let begin = Instant::now();
    let mut first = None;
    let mut micros = Vec::new();
    let mut starts = Vec::new();
    while micros.len() < FEWEST || (begin.elapsed() < time && micros.len() < MOST) {
        let decided = policies.decide(&input)?;
        micros.push(decided.cost.total_micros);
        starts.push(decided.cost.start_micros);
        first.get_or_insert(decided);
    }
    micros.sort_unstable();
    starts.sort_unstable();
    let at = |sorted: &[u32], percent: usize| sorted.get(sorted.len() * percent / 100).copied().unwrap_or_default();
    let (cost, output) = first.map(|decided| (decided.cost, decided.output)).unwrap_or_default();
    Ok(Measured {
        clusters,
        decisions: micros.len(),
        median_micros: at(&micros, 50),
        p99_micros: at(&micros, 99),
        start_micros: at(&starts, 50),
        fuel: cost.fuel,
        memory_bytes: cost.memory_bytes,
        names: output.names.len(),
        answer_bytes: answer_bytes(&output),
    })
}
