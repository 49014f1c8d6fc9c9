//! Host names from a file, in the manner of hosts(5): `ADDRESS NAME [NAME ...]`, `#` begins a comment.

use std::{collections::BTreeMap, net::IpAddr, str::FromStr, time::Duration};

use futures::future::BoxFuture;
use mcsdns_core::{facts::HostAnswer, name};

use super::{Resolve, ResolveError, Resolved};

/// A line of a hosts file that cannot be understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HostTableError {
    /// The first word is not an address.
    #[error("line {line}: `{text}` is not an IP address; each line is `ADDRESS NAME [NAME ...]`")]
    Address {
        /// Line number, from 1.
        line: usize,
        /// The word.
        text: String,
    },
    /// A word that is not a host name.
    #[error("line {line}: `{text}` is not a host name: {error}")]
    Name {
        /// Line number, from 1.
        line: usize,
        /// The word.
        text: String,
        /// The rule it breaks.
        error: name::NameError,
    },
    /// An address without a name.
    #[error("line {line}: no host name after the address")]
    NoName {
        /// Line number, from 1.
        line: usize,
    },
}

impl HostTableError {
    /// Stable, CamelCase.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Address { .. } => "InvalidAddress",
            Self::Name { .. } => "InvalidHostName",
            Self::NoName { .. } => "MissingHostName",
        }
    }
}

/// Host names and their addresses. Names that are not in it do not exist.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostTable(BTreeMap<String, Vec<IpAddr>>);

impl HostTable {
    /// The addresses of a name, sorted.
    #[must_use]
    pub fn get(&self, host: &str) -> &[IpAddr] {
        self.0.get(&name::normalise(host)).map_or(&[], Vec::as_slice)
    }

    /// What the Index is told about a name.
    #[must_use]
    pub fn answer(&self, host: &str) -> HostAnswer {
        match self.get(host) {
            [] => HostAnswer::Failed("it is not in the table of hosts (--hosts FILE)".to_owned()),
            addresses => HostAnswer::Addresses(addresses.into()),
        }
    }

    /// Adds an address.
    pub fn insert(&mut self, host: &str, address: IpAddr) {
        let addresses = self.0.entry(name::normalise(host)).or_default();
        if let Err(place) = addresses.binary_search(&address) {
            addresses.insert(place, address);
        }
    }
}

impl FromStr for HostTable {
    type Err = HostTableError;

    fn from_str(text: &str) -> Result<Self, HostTableError> {
        let mut table = Self::default();
        for (line, text) in text.lines().enumerate().map(|(i, text)| (i + 1, text)) {
            let content = text.split('#').next().unwrap_or_default();
            let mut words = content.split_whitespace();
            let Some(first) = words.next() else { continue };
            let address = first.parse().map_err(|_| HostTableError::Address { line, text: first.to_owned() })?;
            let mut named = false;
            for host in words {
                name::check_name(&name::normalise(host)).map_err(|error| HostTableError::Name {
                    line,
                    text: host.to_owned(),
                    error,
                })?;
                table.insert(host, address);
                named = true;
            }
            if !named {
                return Err(HostTableError::NoName { line });
            }
        }
        Ok(table)
    }
}

impl Resolve for HostTable {
    fn lookup<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Resolved> {
        let addresses = self.get(name);
        let answer = if addresses.is_empty() {
            Resolved::failed(ResolveError::NoSuchName)
        } else {
            Resolved::addresses(addresses.iter().copied(), Duration::MAX)
        };
        Box::pin(std::future::ready(answer))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_hosts() {
        let table: HostTable = "# comment\n10.0.0.10 LB.example.test. other.example.test # both\n\n10.0.0.2\tlb.example.test\n2001:db8::1 lb.example.test\n10.0.0.2 lb.example.test"
            .parse()
            .unwrap();
        let expected: Vec<IpAddr> =
            ["10.0.0.2", "10.0.0.10", "2001:db8::1"].iter().map(|a| a.parse().unwrap()).collect();
        assert_eq!(table.get("lb.example.TEST"), expected);
        assert_eq!(table.get("other.example.test").len(), 1);
        assert!(table.get("nobody.example.test").is_empty());
    }

    #[test]
    fn names_the_line_that_is_wrong() {
        let error = |text: &str| text.parse::<HostTable>().unwrap_err();
        assert_eq!(error("\nlb 10.0.0.1"), HostTableError::Address { line: 2, text: "lb".into() });
        assert_eq!(error("10.0.0.1 # lb"), HostTableError::NoName { line: 1 });
        assert_eq!(error("10.0.0.1 a..b").reason(), "InvalidHostName");
    }
}
