//! What is answered to a question (RFC 1034 4.3.2, RFC 2308 for what does not exist, RFC 4592 for wildcards).

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    ops::Bound,
    sync::Arc,
};

use hickory_proto::{
    op::ResponseCode,
    rr::{
        DNSClass, Name, RData, Record, RecordType as WireType,
        rdata::{A, AAAA, CNAME, NS, SOA},
    },
};
use mcsdns_core::plan::{Endpoint, RecordType, Targets};

/// How long a resolver may remember that a name does not exist: short, since this is for looking at changes.
const NEGATIVE_TTL: u32 = 5;
/// Longest chain of aliases that is followed.
const MAX_CHAIN: usize = 16;

/// What stands at a name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Node {
    /// By type: TTL and data. A name has either one CNAME or other types.
    sets: BTreeMap<RecordType, (u32, Vec<RData>)>,
}

/// Everything that is answered.
#[derive(Clone, Debug, Default)]
pub struct Zones {
    /// The zones, each with its serial number.
    origins: BTreeMap<Name, u32>,
    /// All names of all zones, in canonical order, so that what is below a name follows it.
    names: BTreeMap<Name, Node>,
}

/// The answer to a question.
#[derive(Clone, Debug, PartialEq)]
pub struct Reply {
    /// How it went.
    pub code: ResponseCode,
    /// Whether we speak for the zone.
    pub authoritative: bool,
    /// Records of the answer, aliases in the order in which they are followed.
    pub answers: Vec<Record>,
    /// The SOA of the zone, where something does not exist.
    pub soa: Option<Record>,
}

impl Reply {
    const fn refused() -> Self {
        Self { code: ResponseCode::Refused, authoritative: false, answers: Vec::new(), soa: None }
    }
}

impl Zones {
    /// The zones `origins` with everything in `endpoints`; names outside the zones are left out. `serial` numbers the
    /// state.
    pub fn new<'a>(
        origins: impl IntoIterator<Item = &'a str>,
        endpoints: impl IntoIterator<Item = &'a Endpoint>,
        serial: u32,
    ) -> Self {
        let origins: BTreeMap<Name, u32> =
            origins.into_iter().filter_map(absolute).map(|origin| (origin, serial)).collect();
        let mut zones = Self { origins, names: BTreeMap::new() };
        for endpoint in endpoints {
            zones.add(endpoint);
        }
        zones
    }

    fn add(&mut self, endpoint: &Endpoint) {
        let Some(name) = absolute(&endpoint.dns_name).filter(|name| self.zone_of(name).is_some()) else {
            return;
        };
        let data: Vec<RData> = match &endpoint.targets {
            Targets::Addresses(addresses) => addresses.iter().copied().map(address).collect(),
            Targets::Name(target) => absolute(target).map(|target| RData::CNAME(CNAME(target))).into_iter().collect(),
            Targets::Other(_) => return,
        };
        if data.is_empty() {
            return;
        }
        let node = self.names.entry(name).or_default();
        let (ttl, all) = node.sets.entry(endpoint.record_type).or_insert((endpoint.record_ttl, Vec::new()));
        *ttl = (*ttl).min(endpoint.record_ttl);
        for data in data {
            if !all.contains(&data) {
                all.push(data);
            }
        }
    }

    /// Names of the zones, without final dot.
    #[must_use]
    pub fn origins(&self) -> BTreeSet<Arc<str>> {
        self.origins.keys().map(|origin| origin.to_ascii().trim_end_matches('.').into()).collect()
    }

    /// The innermost zone that a name lies in.
    fn zone_of(&self, name: &Name) -> Option<&Name> {
        let mut at = name.clone();
        loop {
            if let Some((origin, _)) = self.origins.get_key_value(&at) {
                return Some(origin);
            }
            if at.is_root() {
                return None;
            }
            at = at.base_name();
        }
    }

    /// Answers a question.
    #[must_use]
    pub fn answer(&self, name: &Name, record_type: WireType) -> Reply {
        let Some(mut zone) = self.zone_of(name) else {
            return Reply::refused();
        };
        let mut reply = Reply { code: ResponseCode::NoError, authoritative: true, answers: Vec::new(), soa: None };
        let mut at = name.clone();
        for _ in 0..MAX_CHAIN {
            if at == *zone && matches!(record_type, WireType::SOA | WireType::NS | WireType::ANY) {
                reply.answers.extend(self.apex(zone, record_type));
                return reply;
            }
            let Some(node) = self.node(&at, zone) else {
                // RFC 2308 2.1: a name below which there are others exists, without any records.
                if !self.exists(&at, zone) {
                    reply.code = ResponseCode::NXDomain;
                }
                reply.soa = self.soa(zone);
                return reply;
            };
            let found = node.records(&at, record_type);
            if !found.is_empty() {
                reply.answers.extend(found);
                return reply;
            }
            let Some((ttl, target)) = node.alias() else {
                reply.soa = self.soa(zone);
                return reply;
            };
            reply.answers.push(Record::from_rdata(at, ttl, RData::CNAME(CNAME(target.clone()))));
            // What lies elsewhere is for the resolver to ask there.
            let Some(next) = self.zone_of(&target) else {
                return reply;
            };
            zone = next;
            at = target;
        }
        Reply { code: ResponseCode::ServFail, answers: Vec::new(), ..reply }
    }

    /// What stands at a name, or the wildcard that stands for it.
    fn node(&self, name: &Name, zone: &Name) -> Option<&Node> {
        if let Some(node) = self.names.get(name) {
            return Some(node);
        }
        // RFC 4592 3.3.1: only the wildcard directly below the closest name that exists.
        let mut encloser = name.clone();
        while !self.exists(&encloser, zone) {
            encloser = encloser.base_name();
        }
        if encloser == *name {
            return None;
        }
        let wildcard = Name::from_ascii("*").ok()?.append_domain(&encloser).ok()?;
        self.names.get(&wildcard)
    }

    /// Whether a name exists: it is the zone itself, it has records, or something below it has.
    fn exists(&self, name: &Name, zone: &Name) -> bool {
        if name == zone || !zone.zone_of(name) {
            return true;
        }
        let from = (Bound::Included(name), Bound::Unbounded);
        self.names.range::<Name, _>(from).next().is_some_and(|(next, _)| name.zone_of(next))
    }

    fn apex(&self, zone: &Name, record_type: WireType) -> Vec<Record> {
        let soa = self.soa(zone).filter(|_| record_type != WireType::NS);
        let ns = (record_type != WireType::SOA)
            .then(|| Record::from_rdata(zone.clone(), NEGATIVE_TTL, RData::NS(NS(server_name()))));
        soa.into_iter().chain(ns).collect()
    }

    fn soa(&self, zone: &Name) -> Option<Record> {
        let serial = *self.origins.get(zone)?;
        let contact = Name::from_ascii("mcsdns.localhost.").unwrap_or_else(|_| Name::root());
        let soa = SOA::new(server_name(), contact, serial, 3600, 600, 86_400, NEGATIVE_TTL);
        Some(Record::from_rdata(zone.clone(), NEGATIVE_TTL, RData::SOA(soa)))
    }
}

impl Node {
    /// The records of a type, under the name that was asked for.
    fn records(&self, name: &Name, wanted: WireType) -> Vec<Record> {
        self.sets
            .iter()
            .filter(|(record_type, _)| wanted == WireType::ANY || wanted == wire(**record_type))
            .flat_map(|(_, (ttl, data))| data.iter().map(|data| (*ttl, data)))
            .map(|(ttl, data)| {
                let mut record = Record::from_rdata(name.clone(), ttl, data.clone());
                record.dns_class = DNSClass::IN;
                record
            })
            .collect()
    }

    fn alias(&self) -> Option<(u32, Name)> {
        let (ttl, data) = self.sets.get(&RecordType::Cname)?;
        match data.first()? {
            RData::CNAME(CNAME(target)) => Some((*ttl, target.clone())),
            _ => None,
        }
    }
}

const fn wire(record_type: RecordType) -> WireType {
    match record_type {
        RecordType::A => WireType::A,
        RecordType::Aaaa => WireType::AAAA,
        RecordType::Cname => WireType::CNAME,
    }
}

const fn address(address: IpAddr) -> RData {
    match address {
        IpAddr::V4(address) => RData::A(A(address)),
        IpAddr::V6(address) => RData::AAAA(AAAA(address)),
    }
}

fn server_name() -> Name {
    Name::from_ascii("localhost.").unwrap_or_else(|_| Name::root())
}

fn absolute(name: &str) -> Option<Name> {
    let mut name = Name::from_ascii(name).ok()?;
    name.set_fqdn(true);
    Some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(line: &str) -> Endpoint {
        let mut words = line.split(' ');
        let (name, kind) = (words.next().unwrap(), words.next().unwrap());
        let rest: Vec<&str> = words.collect();
        let (record_type, targets) = match kind {
            "CNAME" => (RecordType::Cname, Targets::Name(rest[0].into())),
            "AAAA" => (RecordType::Aaaa, Targets::Addresses(rest.iter().map(|a| a.parse().unwrap()).collect())),
            _ => (RecordType::A, Targets::Addresses(rest.iter().map(|a| a.parse().unwrap()).collect())),
        };
        Endpoint {
            dns_name: name.into(),
            record_type,
            set_identifier: None,
            targets,
            record_ttl: 30,
            provider_specific: Vec::new(),
        }
    }

    fn zones() -> Zones {
        let endpoints: Vec<Endpoint> = [
            "g.svc.example.com A 10.0.0.1 10.0.0.2",
            "g.svc.example.com AAAA 2001:db8::1",
            "us.svc.example.com CNAME g.svc.example.com",
            "us1.us.svc.example.com CNAME us.svc.example.com",
            "*.example.com CNAME g.svc.example.com",
            "*.w.example.com A 10.9.9.9",
            "loop1.example.com CNAME loop2.example.com",
            "loop2.example.com CNAME loop1.example.com",
            "away.example.com CNAME elsewhere.test",
            "across.example.com CNAME x.other.test",
            "x.other.test A 10.1.1.1",
            "outside.invalid A 10.1.1.1",
        ]
        .iter()
        .map(|line| endpoint(line))
        .collect();
        Zones::new(["example.com", "other.test"], &endpoints, 7)
    }

    /// Code, answers and whether there is a SOA, as text.
    fn ask(name: &str, record_type: WireType) -> (String, Vec<String>, bool) {
        let reply = zones().answer(&Name::from_ascii(name).unwrap(), record_type);
        let answers =
            reply.answers.iter().map(|r| format!("{} {} {} {}", r.name, r.ttl, r.record_type(), r.data)).collect();
        (format!("{:?}", reply.code), answers, reply.soa.is_some())
    }

    fn good(answers: &[&str]) -> (String, Vec<String>, bool) {
        ("NoError".into(), answers.iter().map(ToString::to_string).collect(), false)
    }

    const NODATA: (&str, bool) = ("NoError", true);

    fn nothing((code, soa): (&str, bool)) -> (String, Vec<String>, bool) {
        (code.into(), Vec::new(), soa)
    }

    #[test]
    fn addresses_by_type() {
        let expected = good(&["g.svc.example.com. 30 A 10.0.0.1", "g.svc.example.com. 30 A 10.0.0.2"]);
        assert_eq!(ask("g.svc.example.com.", WireType::A), expected);
        assert_eq!(ask("g.svc.example.com.", WireType::AAAA), good(&["g.svc.example.com. 30 AAAA 2001:db8::1"]));
        assert_eq!(ask("g.svc.example.com.", WireType::TXT), nothing(NODATA));
        assert_eq!(ask("g.svc.example.com.", WireType::ANY).1.len(), 3);
        // What was asked comes back as it was written.
        assert_eq!(ask("X.oTHER.test.", WireType::A), good(&["X.oTHER.test. 30 A 10.1.1.1"]));
    }

    #[test]
    fn aliases_are_followed() {
        let expected = good(&[
            "us1.us.svc.example.com. 30 CNAME us.svc.example.com.",
            "us.svc.example.com. 30 CNAME g.svc.example.com.",
            "g.svc.example.com. 30 AAAA 2001:db8::1",
        ]);
        assert_eq!(ask("us1.us.svc.example.com.", WireType::AAAA), expected);
        let expected = good(&["us.svc.example.com. 30 CNAME g.svc.example.com."]);
        assert_eq!(ask("us.svc.example.com.", WireType::CNAME), expected);
        let (code, answers, soa) = ask("us.svc.example.com.", WireType::MX);
        assert_eq!((code.as_str(), answers.len(), soa), ("NoError", 1, true));
        assert_eq!(ask("away.example.com.", WireType::A), good(&["away.example.com. 30 CNAME elsewhere.test."]));
        assert_eq!(ask("across.example.com.", WireType::A).1.len(), 2);
        assert_eq!(ask("loop1.example.com.", WireType::A).0, "ServFail");
    }

    #[test]
    fn what_does_not_exist() {
        assert_eq!(ask("nobody.svc.example.com.", WireType::A), nothing(("NXDomain", true)));
        assert_eq!(ask("nobody.g.svc.example.com.", WireType::A), nothing(("NXDomain", true)));
        // There are names below it.
        assert_eq!(ask("svc.example.com.", WireType::A), nothing(NODATA));
        assert_eq!(ask("w.example.com.", WireType::A), nothing(NODATA));
        assert_eq!(ask("nobody.other.test.", WireType::A), nothing(("NXDomain", true)));
        assert_eq!(ask("other.test.", WireType::A), nothing(NODATA));
    }

    #[test]
    fn wildcards_stand_for_what_does_not_exist() {
        assert_eq!(ask("a.w.example.com.", WireType::A), good(&["a.w.example.com. 30 A 10.9.9.9"]));
        assert_eq!(ask("a.b.w.example.com.", WireType::A), good(&["a.b.w.example.com. 30 A 10.9.9.9"]));
        assert_eq!(ask("a.w.example.com.", WireType::AAAA), nothing(NODATA));
        let (code, answers, _) = ask("new.example.com.", WireType::A);
        assert_eq!((code.as_str(), answers.len()), ("NoError", 3));
        assert_eq!(answers[0], "new.example.com. 30 CNAME g.svc.example.com.");
        assert_eq!(ask("*.w.example.com.", WireType::A), good(&["*.w.example.com. 30 A 10.9.9.9"]));
    }

    #[test]
    fn zones_and_others() {
        assert_eq!(ask("example.com.", WireType::SOA).1.len(), 1);
        assert!(ask("example.com.", WireType::SOA).1[0].contains(" 7 "));
        assert_eq!(ask("example.com.", WireType::NS), good(&["example.com. 5 NS localhost."]));
        assert_eq!(ask("outside.invalid.", WireType::A), nothing(("Refused", false)));
        assert_eq!(ask("com.", WireType::A), nothing(("Refused", false)));
        assert_eq!(ask(".", WireType::NS), nothing(("Refused", false)));
        assert_eq!(ask("badexample.com.", WireType::A), nothing(("Refused", false)));
    }

    #[test]
    fn sets_of_one_name_are_answered_together() {
        let mut one = endpoint("a.example.com A 10.0.0.1");
        one.set_identifier = Some("one".into());
        let mut two = endpoint("a.example.com A 10.0.0.2");
        (two.set_identifier, two.record_ttl) = (Some("two".into()), 10);
        let zones = Zones::new(["example.com"], [&one, &two], 1);
        let reply = zones.answer(&Name::from_ascii("a.example.com.").unwrap(), WireType::A);
        assert_eq!(reply.answers.len(), 2);
        assert!(reply.answers.iter().all(|record| record.ttl == 10));
    }
}
