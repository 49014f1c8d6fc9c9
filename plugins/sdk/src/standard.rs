//! What the policy in the box does, for policies that do something else in some cases only.

use crate::{
    Ask, Decision, Name, NameId, Names, Place, PlaceName, Places, Question, Subject,
    label::join,
    subject::{at, count},
};

/// Seconds for records that do not say.
pub const TTL: u32 = 180;

/// The TTL that the record asks for, or [`TTL`].
#[must_use]
pub fn ttl(subject: &Subject<'_>) -> u32 {
    subject.record_ttl.filter(|ttl| *ttl > 0).unwrap_or(TTL)
}

/// Adds `name.namespace.federation.svc[.zone.region].domain` for everywhere, every region and every zone, each an alias
/// of the next level when nothing serves there, and the name with the record's prefix. Returns the name for everywhere.
pub fn names(subject: &Subject<'_>, places: &Places<'_>, names: &mut Names) -> NameId {
    let stem = join(&[subject.name(), subject.namespace, subject.federation, "svc"]);
    let everywhere = names.push(Name::new(join(&[&stem, subject.domain]), Place::Everywhere));
    let regions: Vec<NameId> = places
        .regions()
        .map(|(index, region)| {
            let fqdn = join(&[&stem, region, subject.domain]);
            names.push(Name::new(fqdn, Place::Region(index)).or_alias_of(everywhere))
        })
        .collect();
    for (index, zone) in places.zones() {
        let fqdn = join(&[&stem, zone.name, places.region(zone.region), subject.domain]);
        let region = at(&regions, zone.region).copied().unwrap_or(everywhere);
        names.push(Name::new(fqdn, Place::Zone(index)).or_alias_of(region));
    }
    prefix(subject, everywhere, names);
    everywhere
}

/// Adds the name with the record's prefix, directly below the domain: always an alias.
pub fn prefix(subject: &Subject<'_>, of: NameId, names: &mut Names) {
    if let Some(prefix) = subject.dns_prefix {
        names.push(Name::new(join(&[prefix, subject.domain]), Place::Everywhere).alias_of(of));
    }
}

/// All addresses of the clusters that offer some in the place of the name, or else its fallback.
#[must_use]
pub fn decision(ask: &Ask<'_>, question: &Question<'_>) -> Decision {
    let clusters = ask.clusters_in(question.place);
    let all = clusters.len();
    let offering: Vec<_> = clusters.filter(|cluster| cluster.offers()).collect();
    let text = because(count(offering.len()), count(all), ask.places.name(question.place));
    Decision::clusters(offering).because(text)
}

/// For example `2 of 3 clusters in region us serve`.
///
/// Written by hand: this is made for every name of every decision, and formatting would cost more than deciding.
#[must_use]
pub fn because(serving: u32, all: u32, place: PlaceName<'_>) -> String {
    let mut text = String::with_capacity(96);
    if all == 0 {
        text.push_str("no clusters");
    } else {
        push_number(&mut text, serving);
        text.push_str(" of ");
        push_number(&mut text, all);
        text.push_str(if all == 1 { " cluster" } else { " clusters" });
    }
    match place {
        PlaceName::Everywhere => {}
        PlaceName::Region(region) => {
            text.push_str(" in region ");
            text.push_str(region);
        }
        PlaceName::Zone(zone, region) => {
            text.push_str(" in zone ");
            text.push_str(zone);
            text.push_str(" of ");
            text.push_str(region);
        }
    }
    if all > 0 {
        text.push_str(" serve");
    }
    text
}

/// A number in digits, at a fraction of what formatting costs.
pub fn push_number(text: &mut String, number: u32) {
    if number >= 10 {
        push_number(text, number / 10);
    }
    text.push(char::from_digit(number % 10, 10).unwrap_or('?'));
}
