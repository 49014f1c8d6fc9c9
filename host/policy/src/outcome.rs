//! What the TTL aspect is told: the answers in figures.

use mcsdns_core::decision::{
    Answer, AnswerKind, Cluster, ClusterState, Decision, DecisionInput, Fallback, Name, Outcome, Place,
};

/// The clusters of one place, by what they do.
#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    serving: u32,
    not_serving: u32,
    unreachable: u32,
    stable_for_seconds: Option<u32>,
}

impl Tally {
    fn add(&mut self, cluster: &Cluster) {
        match cluster.state {
            ClusterState::Serving => self.serving += 1,
            ClusterState::Unreachable => self.unreachable += 1,
            ClusterState::NoReadyEndpoints | ClusterState::NoAddress | ClusterState::NoService => self.not_serving += 1,
        }
        if let Some(age) = cluster.state_for_seconds {
            self.stable_for_seconds = Some(self.stable_for_seconds.map_or(age, |stable| stable.min(age)));
        }
    }
}

/// One outcome per name, from the answers of the selection.
///
/// Indexes that point nowhere count as nothing here; the guard rails report them.
#[must_use]
pub fn outcomes(input: &DecisionInput, names: &[Name], decisions: &[Decision]) -> Vec<Outcome> {
    let mut everywhere = Tally::default();
    let mut regions = vec![Tally::default(); input.places.regions.len()];
    let mut zones = vec![Tally::default(); input.places.zones.len()];
    for cluster in &input.clusters {
        everywhere.add(cluster);
        if let Some(tally) = cluster.region.and_then(|region| at_mut(&mut regions, region)) {
            tally.add(cluster);
        }
        for zone in &*cluster.zones {
            if let Some(tally) = at_mut(&mut zones, *zone) {
                tally.add(cluster);
            }
        }
    }
    names
        .iter()
        .zip(decisions)
        .map(|(name, decision)| {
            let tally = match name.place {
                Place::Everywhere => everywhere,
                Place::Region(index) => at(&regions, index).copied().unwrap_or_default(),
                Place::Zone(index) => at(&zones, index).copied().unwrap_or_default(),
            };
            let (kind, targets) = kind_of(input, name, decision);
            Outcome {
                place: name.place,
                kind,
                targets,
                serving: tally.serving,
                not_serving: tally.not_serving,
                unreachable: tally.unreachable,
                stable_for_seconds: tally.stable_for_seconds,
            }
        })
        .collect()
}

fn kind_of(input: &DecisionInput, name: &Name, decision: &Decision) -> (AnswerKind, u32) {
    let fallback = || match name.fallback {
        Fallback::Nothing => (AnswerKind::Nothing, 0),
        Fallback::AliasOf(_) | Fallback::AlwaysAliasOf(_) => (AnswerKind::Alias, 0),
    };
    let some = |kind, targets: usize| match targets {
        0 => fallback(),
        targets => (kind, u32::try_from(targets).unwrap_or(u32::MAX)),
    };
    if let (Fallback::AlwaysAliasOf(_), false) = (name.fallback, matches!(decision.answer, Answer::Keep)) {
        return fallback();
    }
    match &decision.answer {
        Answer::Clusters(clusters) => some(
            AnswerKind::Targets,
            clusters
                .iter()
                .filter_map(|cluster| at(&input.clusters, *cluster))
                .map(|cluster| cluster.addresses.len())
                .sum(),
        ),
        Answer::Targets(targets) => some(AnswerKind::Targets, targets.len()),
        Answer::Sets(sets) => some(AnswerKind::Sets, sets.iter().map(|set| set.targets.len()).sum()),
        Answer::Otherwise => fallback(),
        Answer::Keep => (AnswerKind::Kept, 0),
    }
}

fn at<T>(items: &[T], index: u32) -> Option<&T> {
    items.get(usize::try_from(index).ok()?)
}

fn at_mut<T>(items: &mut [T], index: u32) -> Option<&mut T> {
    items.get_mut(usize::try_from(index).ok()?)
}
