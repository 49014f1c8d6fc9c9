//! Templates such as `{service}.{domain}`.

use mcsdns_policy_sdk::{ConfigError, Subject};

/// What a template is filled with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Slot {
    /// External name of the record, or else name of the Service.
    Name,
    Service,
    Namespace,
    Federation,
    Domain,
    Region,
    Zone,
}

/// All of them, with how they are written.
const SLOTS: [(&str, Slot); 7] = [
    ("{name}", Slot::Name),
    ("{service}", Slot::Service),
    ("{namespace}", Slot::Namespace),
    ("{federation}", Slot::Federation),
    ("{domain}", Slot::Domain),
    ("{region}", Slot::Region),
    ("{zone}", Slot::Zone),
];

/// What goes into the slots.
pub(crate) struct Values<'a> {
    pub(crate) subject: &'a Subject<'a>,
    pub(crate) region: &'a str,
    pub(crate) zone: &'a str,
}

#[derive(Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    Slot(Slot),
}

/// A template, taken apart.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Template(Vec<Part>);

impl Template {
    /// Takes a template apart. `own` are the slots of a place: they must all be there, and no other slot of a place.
    pub(crate) fn new(field: &str, text: &str, own: &[Slot]) -> Result<Self, ConfigError> {
        let wrong = |message: String| ConfigError::new(field, message);
        let place_of = |rest: &str| text.chars().count() - rest.chars().count() + 1;
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some(first) = rest.chars().next() {
            if first == '{' {
                let Some((slot, after)) = rest.split_once('}').filter(|(slot, _)| !slot[1..].contains('{')) else {
                    return Err(wrong(format!("the {{ at character {} is never closed", place_of(rest))));
                };
                let known = SLOTS.iter().filter(|(_, slot)| !is_place(*slot) || own.contains(slot));
                let Some((_, found)) = known.clone().find(|(name, _)| name[1..name.len() - 1] == slot[1..]) else {
                    let names: Vec<_> = known.map(|(name, _)| *name).collect();
                    return Err(wrong(format!(
                        "{slot}}} at character {} is not known here; there are {}",
                        place_of(rest),
                        names.join(", ")
                    )));
                };
                parts.push(Part::Slot(*found));
                rest = after;
            } else {
                let plain = rest.split('{').next().unwrap_or(rest);
                let fits = |char: char| char.is_ascii_lowercase() || char.is_ascii_digit() || "-.*_".contains(char);
                if let Some(odd) = plain.char_indices().find(|(_, char)| !fits(*char)) {
                    let place = place_of(rest) + plain.chars().take_while(|char| fits(*char)).count();
                    return Err(wrong(format!(
                        "`{}` at character {place} cannot stand in a DNS name: use lower-case letters, digits, `-` \
                         and `.`",
                        odd.1
                    )));
                }
                parts.push(Part::Text(plain.to_owned()));
                rest = rest.strip_prefix(plain).unwrap_or_default();
            }
        }
        let has = |slot| parts.contains(&Part::Slot(slot));
        if parts.last() != Some(&Part::Slot(Slot::Domain)) {
            return Err(wrong(format!("`{text}` must end in {{domain}}: names lie in the zone of the Domain")));
        }
        if let Some((name, _)) = SLOTS.iter().find(|(_, slot)| own.contains(slot) && !has(*slot)) {
            return Err(wrong(format!("`{text}` needs {name}, or every {field} would get the same name")));
        }
        if !has(Slot::Name) && !has(Slot::Service) {
            return Err(wrong(format!(
                "`{text}` needs {{name}} or {{service}}, or every record would get the same name"
            )));
        }
        Ok(Self(parts))
    }

    /// The name.
    pub(crate) fn fill(&self, values: &Values<'_>) -> String {
        let subject = values.subject;
        let mut name = String::with_capacity(64);
        for part in &self.0 {
            name.push_str(match part {
                Part::Text(text) => text,
                Part::Slot(Slot::Name) => subject.name(),
                Part::Slot(Slot::Service) => subject.service,
                Part::Slot(Slot::Namespace) => subject.namespace,
                Part::Slot(Slot::Federation) => subject.federation,
                Part::Slot(Slot::Domain) => subject.domain,
                Part::Slot(Slot::Region) => values.region,
                Part::Slot(Slot::Zone) => values.zone,
            });
        }
        name
    }
}

const fn is_place(slot: Slot) -> bool {
    matches!(slot, Slot::Region | Slot::Zone)
}
