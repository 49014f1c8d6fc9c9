//! Which clusters answer a name.

use crate::{Fallback, Place, Places, at, count};

/// Stands for "not known" in [`Fleet::regions`].
pub const NO_REGION: u32 = u32::MAX;

/// The clusters, column by column: the first items belong to the first cluster, and so on.
#[derive(Clone, Copy, Debug)]
pub struct Fleet<'a> {
    /// Index into [`Places::regions`], or [`NO_REGION`].
    pub regions: &'a [u32],
    /// Whether the cluster cannot be reached.
    pub unreachable: &'a [bool],
    /// How many of [`Self::zones`] belong to the cluster.
    pub zone_counts: &'a [u32],
    /// Indexes into [`Places::zones`], cluster after cluster.
    pub zones: &'a [u32],
    /// How many addresses the cluster offers. The host counts only those of clusters that serve, and the last known
    /// ones of clusters it lost sight of a short while ago.
    pub address_counts: &'a [u32],
}

/// What stands behind a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// All addresses of these clusters.
    Clusters(Vec<u32>),
    /// What the fallback of the name says.
    Otherwise,
}

/// Answer and reason for one name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// What stands behind the name.
    pub answer: Answer,
    /// Why, for people.
    pub because: String,
}

/// The clusters of one place.
#[derive(Clone, Debug, Default)]
struct Tally {
    /// How many there are.
    all: u32,
    /// How many offer addresses although they cannot be reached.
    remembered: u32,
    /// Those that offer addresses.
    members: Vec<u32>,
}

impl Tally {
    fn add(&mut self, cluster: u32, offers: bool, unreachable: bool) {
        self.all += 1;
        if offers {
            self.remembered += u32::from(unreachable);
            self.members.push(cluster);
        }
    }
}

/// The clusters of every place, found in one pass.
struct Tallies {
    everywhere: Tally,
    regions: Vec<Tally>,
    zones: Vec<Tally>,
}

impl Tallies {
    fn new(places: &Places<'_>, fleet: &Fleet<'_>) -> Self {
        let mut tallies = Self {
            everywhere: Tally { members: Vec::with_capacity(fleet.regions.len()), ..Tally::default() },
            regions: vec![Tally::default(); places.regions.len()],
            zones: vec![Tally::default(); places.zones.len()],
        };
        let mut zones = fleet.zones.iter();
        let columns = fleet.regions.iter().zip(fleet.address_counts).zip(fleet.unreachable).zip(fleet.zone_counts);
        for (cluster, (((region, addresses), unreachable), zone_count)) in (0..).zip(columns) {
            let offers = *addresses > 0;
            tallies.everywhere.add(cluster, offers, *unreachable);
            if let Some(tally) = at_mut(&mut tallies.regions, *region) {
                tally.add(cluster, offers, *unreachable);
            }
            for zone in zones.by_ref().take(usize::try_from(*zone_count).unwrap_or_default()) {
                if let Some(tally) = at_mut(&mut tallies.zones, *zone) {
                    tally.add(cluster, offers, *unreachable);
                }
            }
        }
        tallies
    }

    fn of(&self, place: Place) -> Option<&Tally> {
        match place {
            Place::Everywhere => Some(&self.everywhere),
            Place::Region(index) => at(&self.regions, index),
            Place::Zone(index) => at(&self.zones, index),
        }
    }
}

/// One decision per name: the addresses of every cluster that offers some in the place of the name, or else the
/// fallback of the name.
#[must_use]
pub fn select(
    places: &Places<'_>,
    fleet: &Fleet<'_>,
    names: impl ExactSizeIterator<Item = (Place, Fallback)>,
) -> Vec<Decision> {
    let tallies = Tallies::new(places, fleet);
    let nobody = Tally::default();
    let mut decisions = Vec::with_capacity(names.len());
    decisions.extend(names.map(|(place, fallback)| {
        if let Fallback::AlwaysAliasOf(_) = fallback {
            return Decision { answer: Answer::Otherwise, because: "always an alias".to_owned() };
        }
        let tally = tallies.of(place).unwrap_or(&nobody);
        let answer = if tally.members.is_empty() {
            Answer::Otherwise
        } else {
            Answer::Clusters(tally.members.as_slice().to_vec())
        };
        Decision { answer, because: because(tally, place, places) }
    }));
    decisions
}

/// For example `2 of 3 clusters in region us serve`.
///
/// Written by hand: this is made for every name of every decision, and formatting would cost more than deciding.
fn because(tally: &Tally, place: Place, places: &Places<'_>) -> String {
    let mut text = String::with_capacity(96);
    if tally.all == 0 {
        text.push_str("no clusters");
        push_place(&mut text, place, places);
        return text;
    }
    push_number(&mut text, count(tally.members.len()));
    text.push_str(" of ");
    push_number(&mut text, tally.all);
    text.push_str(if tally.all == 1 { " cluster" } else { " clusters" });
    push_place(&mut text, place, places);
    text.push_str(" serve");
    if tally.remembered > 0 {
        text.push_str(", ");
        push_number(&mut text, tally.remembered);
        text.push_str(" of them out of reach");
    }
    text
}

fn push_place(text: &mut String, place: Place, places: &Places<'_>) {
    match place {
        Place::Everywhere => {}
        Place::Region(index) => {
            text.push_str(" in region ");
            text.push_str(places.region(index));
        }
        Place::Zone(index) => {
            text.push_str(" in zone ");
            if let Some(zone) = at(places.zones, index) {
                text.push_str(zone.name);
                text.push_str(" of ");
                text.push_str(places.region(zone.region));
            }
        }
    }
}

fn push_number(text: &mut String, number: u32) {
    if number >= 10 {
        push_number(text, number / 10);
    }
    text.push(char::from_digit(number % 10, 10).unwrap_or('?'));
}

/// The item a 32-bit index points at.
fn at_mut<T>(items: &mut [T], index: u32) -> Option<&mut T> {
    items.get_mut(usize::try_from(index).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Zone;

    const ZONES: [Zone<'_>; 2] = [Zone { name: "eu1", region: 0 }, Zone { name: "us1", region: 1 }];
    const PLACES: Places<'_> = Places { regions: &["eu", "us"], zones: &ZONES };
    const NAMES: [(Place, Fallback); 6] = [
        (Place::Everywhere, Fallback::Nothing),
        (Place::Region(0), Fallback::AliasOf(0)),
        (Place::Region(1), Fallback::AliasOf(0)),
        (Place::Zone(0), Fallback::AliasOf(1)),
        (Place::Zone(1), Fallback::AliasOf(2)),
        (Place::Everywhere, Fallback::AlwaysAliasOf(0)),
    ];

    fn select_in(fleet: &Fleet<'_>) -> Vec<(Answer, String)> {
        select(&PLACES, fleet, NAMES.into_iter()).into_iter().map(|it| (it.answer, it.because)).collect()
    }

    #[test]
    fn a_place_is_answered_by_its_clusters_that_have_addresses() {
        let fleet = Fleet {
            regions: &[1, 0, NO_REGION],
            unreachable: &[false, false, true],
            zone_counts: &[1, 1, 0],
            zones: &[1, 0],
            address_counts: &[2, 0, 1],
        };
        let clusters = |list: &[u32]| Answer::Clusters(list.to_vec());
        assert_eq!(
            select_in(&fleet),
            [
                (clusters(&[0, 2]), "2 of 3 clusters serve, 1 of them out of reach".to_owned()),
                (Answer::Otherwise, "0 of 1 cluster in region eu serve".to_owned()),
                (clusters(&[0]), "1 of 1 cluster in region us serve".to_owned()),
                (Answer::Otherwise, "0 of 1 cluster in zone eu1 of eu serve".to_owned()),
                (clusters(&[0]), "1 of 1 cluster in zone us1 of us serve".to_owned()),
                (Answer::Otherwise, "always an alias".to_owned()),
            ]
        );
    }

    #[test]
    fn without_clusters_every_name_follows_its_fallback() {
        let fleet = Fleet { regions: &[], unreachable: &[], zone_counts: &[], zones: &[], address_counts: &[] };
        let decisions = select_in(&fleet);
        assert!(decisions.iter().all(|(answer, _)| *answer == Answer::Otherwise));
        assert_eq!(decisions[1].1, "no clusters in region eu");
    }

    #[test]
    fn numbers_are_written_in_full() {
        let mut text = String::new();
        for number in [0, 9, 10, 4_294_967_295] {
            push_number(&mut text, number);
            text.push(' ');
        }
        assert_eq!(text, "0 9 10 4294967295 ");
    }
}
