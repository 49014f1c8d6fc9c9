//! How expected answers are written down.

use std::{collections::BTreeMap, fmt::Write as _};

use mcsdns_api::endpoint::DnsEndpoint;
use serde::{Deserialize, Serialize};

/// `expected.yaml`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Expected {
    /// Every DNSEndpoint, by namespace and name, one line per endpoint: `NAME TTL TYPE TARGET ...`.
    #[serde(default)]
    pub endpoints: BTreeMap<String, Vec<String>>,
    /// Conditions, by record and type: `STATUS REASON`. Those that are not named are not compared.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub conditions: BTreeMap<String, BTreeMap<String, String>>,
    /// Names that are withheld, by record: `NAME REASON`. Compared when the record is named.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub withheld: BTreeMap<String, Vec<String>>,
    /// Words that must occur in the messages of the conditions of a record.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub messages: BTreeMap<String, Vec<String>>,
    /// Words that must occur in the problems with the manifests, one problem each. Compared when given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problems: Option<Vec<String>>,
}

/// `case.yaml`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct CaseFile {
    /// What the case shows, for people.
    pub description: String,
    /// The time at which it begins, RFC 3339.
    pub now: Option<String>,
    /// Seconds for which an unreachable cluster keeps its last known addresses; `infinite` for ever.
    pub unreachable_grace: Option<Grace>,
    /// Bytes that `--txt-prefix` and `--txt-suffix` of ExternalDNS take from the first label.
    pub txt_affix_length: Option<usize>,
}

/// A grace period.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum Grace {
    /// Seconds.
    Seconds(u32),
    /// `infinite`.
    Word(String),
}

/// `step.yaml`: what happens beside the manifests of the step taking the place of earlier ones.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct StepFile {
    /// What the step shows, for people.
    pub description: String,
    /// Seconds that pass before.
    pub after: u32,
    /// Files and folders that are removed, relative to the case, for example `clusters/c2`.
    pub delete: Vec<String>,
    /// Whether the process is started anew before.
    pub restart: bool,
}

/// One line per endpoint of a DNSEndpoint.
#[must_use]
pub fn lines(object: &DnsEndpoint) -> Vec<String> {
    object
        .spec
        .endpoints
        .iter()
        .map(|endpoint| {
            let mut line = format!("{} {} {}", endpoint.dns_name, endpoint.record_ttl, endpoint.record_type);
            // Writing into a String cannot fail.
            if let Some(set) = &endpoint.set_identifier {
                let _ = write!(line, " [{set}]");
            }
            for target in &endpoint.targets {
                let _ = write!(line, " {target}");
            }
            for property in &endpoint.provider_specific {
                let _ = write!(line, " {}={}", property.name, property.value);
            }
            line
        })
        .collect()
}

impl Expected {
    /// As it stands in a file.
    #[must_use]
    pub fn to_yaml(&self) -> String {
        let mut text = String::new();
        section(&mut text, "endpoints", &self.endpoints, |text, lines| list(text, lines));
        if !self.conditions.is_empty() {
            section(&mut text, "conditions", &self.conditions, |text, conditions| {
                text.push('\n');
                for (kind, value) in conditions {
                    let _ = writeln!(text, "    {}: {}", quoted(kind), quoted(value));
                }
            });
        }
        if !self.withheld.is_empty() {
            section(&mut text, "withheld", &self.withheld, |text, lines| list(text, lines));
        }
        if !self.messages.is_empty() {
            section(&mut text, "messages", &self.messages, |text, lines| list(text, lines));
        }
        if let Some(problems) = &self.problems {
            text.push_str(if problems.is_empty() { "problems: []\n" } else { "problems:\n" });
            for problem in problems {
                let _ = writeln!(text, "  - {}", quoted(problem));
            }
        }
        text
    }
}

fn section<T>(text: &mut String, title: &str, all: &BTreeMap<String, T>, write: impl Fn(&mut String, &T)) {
    if all.is_empty() {
        let _ = writeln!(text, "{title}: {{}}");
        return;
    }
    let _ = writeln!(text, "{title}:");
    for (key, value) in all {
        let _ = write!(text, "  {}:", quoted(key));
        write(text, value);
    }
}

fn list(text: &mut String, lines: &[String]) {
    text.push_str(if lines.is_empty() { " []\n" } else { "\n" });
    for line in lines {
        let _ = writeln!(text, "    - {}", quoted(line));
    }
}

/// A text as YAML, quoted only where it has to be.
fn quoted(text: &str) -> String {
    let plain = text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || " ./-_:*=%".contains(c))
        && !text.contains(": ")
        && !text.ends_with([' ', ':'])
        && !["true", "false", "null", "yes", "no"].contains(&text.to_ascii_lowercase().as_str());
    if plain { text.to_owned() } else { serde_json::Value::from(text).to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_reads_back() {
        let mut expected = Expected { problems: Some(vec!["a: \"b\" # c".into()]), ..Expected::default() };
        expected.endpoints.insert(
            "test/service-nginx".into(),
            vec!["*.example.com 180 CNAME g.example.com".into(), "g.example.com 1 AAAA ::1 2001:db8::".into()],
        );
        expected.endpoints.insert("a/b".into(), vec![]);
        expected.conditions.insert("test/nginx".into(), [("Accepted".to_owned(), "True Accepted".to_owned())].into());
        expected.messages.insert("test/nginx".into(), vec!["`x` - y, z".into(), "true".into()]);
        let text = expected.to_yaml();
        let read: Expected = serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
        assert_eq!(read, expected, "{text}");
        let text = Expected::default().to_yaml();
        assert_eq!(serde_saphyr::from_str::<Expected>(&text).unwrap(), Expected::default());
    }
}
