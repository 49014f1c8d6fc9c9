//! Who wrote what: the audit log of an API server.

use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::ControlPlane;
use crate::wait::wait_until;

/// The log file in the cluster's folder.
pub(super) const FILE: &str = "audit.log";

/// Every request that is over, except those that the API server makes to itself.
pub(super) const POLICY: &str = r#"apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived, ResponseStarted]
rules:
- level: None
  users: ["system:apiserver"]
- level: None
  nonResourceURLs: ["/readyz*", "/livez*", "/healthz*", "/version", "/openapi*", "/api", "/api/*", "/apis", "/apis/*"]
- level: Metadata
"#;

/// The path of the requests by which [`ControlPlane::audit_mark`] finds its place in the log.
const BARRIER: &str = "/apis/authentication.k8s.io/v1/selfsubjectreviews";

/// A place in the audit log: everything that was answered before it was taken lies before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct AuditMark(u64);

impl AuditMark {
    /// The beginning of the log.
    pub const START: Self = Self(0);
}

/// One request, as the API server saw it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEntry {
    /// Who: `admin` or `system:serviceaccount:NAMESPACE:NAME`.
    pub user: String,
    /// With what: the User-Agent header.
    pub user_agent: String,
    /// `create`, `update`, `patch`, `delete`, `get`, `list`, `watch`, …
    pub verb: String,
    /// The API group, empty for the core group.
    pub group: String,
    /// The resource, plural.
    pub resource: String,
    /// The subresource, mostly `status`, or empty.
    pub subresource: String,
    /// The namespace, or empty.
    pub namespace: String,
    /// The name, or empty.
    pub name: String,
    /// The path and the query.
    pub uri: String,
    /// The status code of the answer.
    pub code: u16,
    /// When the request came, RFC 3339 with microseconds.
    pub received: String,
}

impl AuditEntry {
    /// Whether the request changes something: create, update, patch and delete.
    #[must_use]
    pub fn is_write(&self) -> bool {
        matches!(self.verb.as_str(), "create" | "update" | "patch" | "delete" | "deletecollection")
    }

    /// Whether RBAC refused it.
    #[must_use]
    pub fn is_forbidden(&self) -> bool {
        self.code == 403
    }

    /// Whether it is from this user, or from a program whose user agent begins so.
    #[must_use]
    pub fn is_from(&self, user: &str) -> bool {
        self.user == user || self.user_agent.starts_with(user)
    }

    fn parse(line: &str) -> Result<Option<Self>> {
        let event: Value = serde_json::from_str(line).with_context(|| format!("no audit event: {line}"))?;
        if event.get("stage").and_then(Value::as_str) != Some("ResponseComplete") {
            return Ok(None);
        }
        let text = |pointer: &str| event.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
        let code = event.pointer("/responseStatus/code").and_then(Value::as_u64).unwrap_or_default();
        Ok(Some(Self {
            user: text("/user/username"),
            user_agent: text("/userAgent"),
            verb: text("/verb"),
            group: text("/objectRef/apiGroup"),
            resource: text("/objectRef/resource"),
            subresource: text("/objectRef/subresource"),
            namespace: text("/objectRef/namespace"),
            name: text("/objectRef/name"),
            uri: text("/requestURI"),
            code: u16::try_from(code).unwrap_or_default(),
            received: text("/requestReceivedTimestamp"),
        }))
    }
}

impl ControlPlane {
    /// A place in the audit log to count from.
    pub async fn audit_mark(&self) -> Result<AuditMark> {
        // An entry is written just after its answer is sent. So a request of our own goes last: when its
        // entry is there, those of all requests answered before it are.
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let uri = format!("{BARRIER}?fieldManager=testbed-{}-{number}", std::process::id());
        let review = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"});
        let request = http::Request::post(&uri)
            .header("content-type", "application/json")
            .body(serde_json::to_vec(&review).context("cannot write a review")?)
            .context("cannot make a request")?;
        // Only what is written from now on is searched: the log of a long test is long.
        let before = fs::metadata(self.folder().join(FILE)).map_or(0, |file| file.len());
        self.client_admin().await?.request::<Value>(request).await.context("cannot mark the audit log")?;
        wait_until(Duration::from_secs(20), "our mark in the audit log", async || {
            let bytes = self.audit_bytes(before)?;
            let found = bytes.windows(uri.len()).position(|part| part == uri.as_bytes());
            let found = found.with_context(|| format!("no {uri} in the log"))?;
            let line = bytes.iter().skip(found).position(|byte| *byte == b'\n');
            let end = found + line.context("the line with our mark is not finished")? + 1;
            Ok(AuditMark(before + u64::try_from(end)?))
        })
        .await
    }

    /// Every request since the mark, reads and refused ones included.
    pub async fn requests_since(&self, mark: AuditMark) -> Result<Vec<AuditEntry>> {
        let end = self.audit_mark().await?;
        let mut bytes = self.audit_bytes(mark.0)?;
        bytes.truncate(usize::try_from(end.0.saturating_sub(mark.0))?);
        let text = String::from_utf8(bytes).context("the audit log is not text")?;
        let mut entries = Vec::new();
        for line in text.lines() {
            entries.extend(AuditEntry::parse(line)?);
        }
        entries.retain(|entry| !entry.uri.starts_with(BARRIER));
        Ok(entries)
    }

    /// The writes since the mark by `user`: a user name, or the beginning of a user agent.
    ///
    /// Refused and failed ones count too: what was asked of the server is what a steady state must not do.
    pub async fn writes_since(&self, mark: AuditMark, user: &str) -> Result<Vec<AuditEntry>> {
        let mut entries = self.requests_since(mark).await?;
        entries.retain(|entry| entry.is_write() && entry.is_from(user));
        Ok(entries)
    }

    /// What RBAC refused to `user` since the mark.
    pub async fn forbidden_since(&self, mark: AuditMark, user: &str) -> Result<Vec<AuditEntry>> {
        let mut entries = self.requests_since(mark).await?;
        entries.retain(|entry| entry.is_forbidden() && entry.is_from(user));
        Ok(entries)
    }

    fn audit_bytes(&self, from: u64) -> Result<Vec<u8>> {
        let path = self.folder().join(FILE);
        ensure!(path.exists(), "the API server of {} has written no audit log", self.name());
        let mut bytes = Vec::new();
        let mut file = File::open(&path).with_context(|| format!("cannot open {}", path.display()))?;
        file.seek(SeekFrom::Start(from))
            .and_then(|_| file.read_to_end(&mut bytes))
            .with_context(|| format!("cannot read {}", path.display()))?;
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_read() {
        let line = r#"{"kind":"Event","apiVersion":"audit.k8s.io/v1","level":"Metadata","auditID":"x","stage":"ResponseComplete","requestURI":"/apis/apps/v1/namespaces/a/deployments/b/status?fieldManager=m","verb":"patch","user":{"username":"system:serviceaccount:s:t"},"userAgent":"mcsdns/0.1","objectRef":{"resource":"deployments","namespace":"a","name":"b","apiGroup":"apps","apiVersion":"v1","subresource":"status"},"responseStatus":{"metadata":{},"code":403},"requestReceivedTimestamp":"2026-01-01T00:00:00.000000Z"}"#;
        let entry = AuditEntry::parse(line).unwrap().unwrap();
        assert!(entry.is_write() && entry.is_forbidden());
        assert!(entry.is_from("mcsdns/") && entry.is_from(&super::super::service_account_user("s", "t")));
        assert_eq!((entry.group.as_str(), entry.subresource.as_str()), ("apps", "status"));
    }

    #[test]
    fn other_stages_are_not_counted() {
        assert_eq!(AuditEntry::parse(r#"{"stage":"Panic"}"#).unwrap(), None);
    }
}
