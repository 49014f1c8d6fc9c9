//! Which names a record gets.

use crate::{Fallback, Place, Places, Subject, count};

/// A name to publish.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name {
    /// The name, without a final dot.
    pub fqdn: String,
    /// The level it stands for.
    pub place: Place,
    /// What stands in for it.
    pub fallback: Fallback,
}

/// Index of the name that stands for every cluster; the others fall back on it.
const EVERYWHERE: u32 = 0;

/// The names of a record, in the order everywhere, regions, zones, prefix.
///
/// A region without servers is an alias of everywhere and a zone one of its region, so that a name is answered by the
/// nearest clusters that can.
#[must_use]
pub fn names(subject: &Subject<'_>, places: &Places<'_>) -> Vec<Name> {
    let first = subject.external_name.unwrap_or(subject.service);
    // Every name but the prefix begins so; only what stands between it and the domain differs.
    let stem = joined(&[first, subject.namespace, subject.federation, "svc"]);
    let name = |labels: &[&str], place, fallback| Name { fqdn: joined(labels), place, fallback };

    let mut names = Vec::with_capacity(2 + places.regions.len() + places.zones.len());
    names.push(name(&[&stem, subject.domain], Place::Everywhere, Fallback::Nothing));
    names.extend((0..).zip(places.regions).map(|(index, region)| {
        name(&[&stem, region, subject.domain], Place::Region(index), Fallback::AliasOf(EVERYWHERE))
    }));
    names.extend((0..).zip(places.zones).map(|(index, zone)| {
        let region = places.region(zone.region);
        let fallback = if zone.region < count(places.regions.len()) { 1 + zone.region } else { EVERYWHERE };
        name(&[&stem, zone.name, region, subject.domain], Place::Zone(index), Fallback::AliasOf(fallback))
    }));
    if let Some(prefix) = subject.dns_prefix {
        names.push(name(&[prefix, subject.domain], Place::Everywhere, Fallback::AlwaysAliasOf(EVERYWHERE)));
    }
    names
}

/// The parts with dots between them.
fn joined(parts: &[&str]) -> String {
    let mut name = String::with_capacity(parts.iter().map(|part| part.len() + 1).sum());
    for (index, part) in parts.iter().enumerate() {
        if index > 0 {
            name.push('.');
        }
        name.push_str(part);
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Zone;

    const SUBJECT: Subject<'_> = Subject {
        service: "nginx",
        namespace: "test",
        federation: "galactic",
        domain: "example.com",
        external_name: None,
        dns_prefix: None,
        record_ttl: None,
    };

    fn fqdns(subject: &Subject<'_>, places: &Places<'_>) -> Vec<(String, Fallback)> {
        names(subject, places).into_iter().map(|name| (name.fqdn, name.fallback)).collect()
    }

    #[test]
    fn names_go_from_everywhere_to_zones() {
        let zones = [Zone { name: "eu1", region: 0 }, Zone { name: "us1", region: 1 }, Zone { name: "us2", region: 1 }];
        let places = Places { regions: &["eu", "us"], zones: &zones };
        let expected = [
            ("nginx.test.galactic.svc.example.com", Fallback::Nothing),
            ("nginx.test.galactic.svc.eu.example.com", Fallback::AliasOf(0)),
            ("nginx.test.galactic.svc.us.example.com", Fallback::AliasOf(0)),
            ("nginx.test.galactic.svc.eu1.eu.example.com", Fallback::AliasOf(1)),
            ("nginx.test.galactic.svc.us1.us.example.com", Fallback::AliasOf(2)),
            ("nginx.test.galactic.svc.us2.us.example.com", Fallback::AliasOf(2)),
        ];
        assert_eq!(fqdns(&SUBJECT, &places), expected.map(|(fqdn, fallback)| (fqdn.to_owned(), fallback)));
    }

    #[test]
    fn a_prefix_is_always_an_alias_and_comes_last() {
        let subject = Subject { dns_prefix: Some("foo"), external_name: Some("bar"), ..SUBJECT };
        assert_eq!(
            fqdns(&subject, &Places { regions: &[], zones: &[] }),
            [
                ("bar.test.galactic.svc.example.com".to_owned(), Fallback::Nothing),
                ("foo.example.com".to_owned(), Fallback::AlwaysAliasOf(0)),
            ]
        );
    }
}
