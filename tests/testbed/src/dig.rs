//! What a DNS server answers, asked with BIND's `dig`.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::binaries::Tool;
use crate::command::run;

/// One record of an answer.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Record {
    /// Whose record, with the dot at its end.
    pub name: String,
    /// Its time to live in seconds.
    pub ttl: u32,
    /// `A`, `AAAA`, `CNAME`, `TXT`, …
    pub kind: String,
    /// The rest of the line.
    pub data: String,
}

/// The short answers for a name and type, sorted: addresses, and for an alias its target too. A name that
/// does not exist has none; a server that does not answer is an error.
pub async fn dig(server: SocketAddr, name: &str, kind: &str) -> Result<Vec<String>> {
    let mut lines: Vec<String> = ask(server, name, kind, &["+short"]).await?;
    lines.sort();
    Ok(lines)
}

/// The records of the answer section, sorted.
pub async fn dig_records(server: SocketAddr, name: &str, kind: &str) -> Result<Vec<Record>> {
    let mut records = Vec::new();
    for line in ask(server, name, kind, &["+noall", "+answer"]).await? {
        records.push(parse(&line).with_context(|| format!("dig printed {line:?}"))?);
    }
    records.sort();
    Ok(records)
}

async fn ask(server: SocketAddr, name: &str, kind: &str, options: &[&str]) -> Result<Vec<String>> {
    let program = Tool::Dig.path().await?;
    let (at, port) = (format!("@{}", server.ip()), server.port().to_string());
    let mut args = vec!["-r", &at, "-p", &port, "+tries=2", "+time=2"];
    args.extend(options);
    args.extend(["-q", name, "-t", kind]);
    let text = run(&program, &args, &[], None, Duration::from_secs(10)).await?;
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with(';'));
    Ok(lines.map(str::to_owned).collect())
}

fn parse(line: &str) -> Option<Record> {
    let mut parts = line.split_whitespace();
    let name = parts.next()?.to_owned();
    let ttl = parts.next()?.parse().ok()?;
    let _class = parts.next()?;
    let kind = parts.next()?.to_owned();
    let data = parts.collect::<Vec<_>>().join(" ");
    Some(Record { name, ttl, kind, data })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_dig_is_read() {
        let record = parse("echo.example.com.\t300\tIN\tA\t192.0.2.1").unwrap();
        assert_eq!((record.ttl, record.kind.as_str(), record.data.as_str()), (300, "A", "192.0.2.1"));
        assert_eq!(parse("nonsense"), None);
    }
}
