//! What the Index wants done outside. Effects are idempotent and the latest one per key wins.

use std::sync::Arc;

use jiff::Timestamp;

use crate::{
    decision::{DecisionInput, InputHash, PolicyRef},
    ids::{ClusterName, ObjectKey},
    plan::Endpoint,
    status::{DomainStatus, MemberStatus, RecordStatus},
};

/// One thing to do outside.
#[derive(Clone, Debug)]
pub enum Effect {
    /// Ask the policies and come back with [`crate::facts::Fact::Decided`].
    Decide {
        /// For which record.
        record: ObjectKey,
        /// Goes back with the answer.
        hash: InputHash,
        /// Which policies.
        policies: PolicyRef,
        /// Which Domain, to find the policies.
        domain: Arc<str>,
        /// The question.
        input: Arc<DecisionInput>,
    },
    /// Server-side apply of the DNSEndpoint of a record. Its name is [`endpoint_name`].
    ApplyEndpoints {
        /// The record.
        record: ObjectKey,
        /// uid of the record, for the owner reference.
        uid: Arc<str>,
        /// The whole list; never empty.
        endpoints: Arc<[Endpoint]>,
    },
    /// Delete a DNSEndpoint of ours.
    DeleteEndpoints {
        /// Namespace and name of the DNSEndpoint itself.
        object: ObjectKey,
        /// Its uid, as a precondition.
        uid: Arc<str>,
    },
    /// Write `ServiceDNSRecord.status`.
    RecordStatus {
        /// The record.
        record: ObjectKey,
        /// The whole status.
        status: Arc<RecordStatus>,
    },
    /// Write `Domain.status`.
    DomainStatus {
        /// Name of the Domain.
        domain: Arc<str>,
        /// The whole status.
        status: Arc<DomainStatus>,
    },
    /// Write `MemberCluster.status`.
    MemberStatus {
        /// The member.
        member: ClusterName,
        /// The whole status.
        status: Arc<MemberStatus>,
    },
    /// Keep resolving this host name and report with [`crate::facts::Fact::HostName`].
    Resolve(Arc<str>),
    /// Nobody needs this host name any more.
    Forget(Arc<str>),
    /// Send a [`crate::facts::Fact::Tick`] at this time. The latest replaces earlier ones.
    WakeAt(Timestamp),
    /// Tell people about a transition (a Kubernetes Event).
    Notice {
        /// About what.
        about: About,
        /// A warning, or just news.
        warning: bool,
        /// CamelCase, stable.
        reason: Arc<str>,
        /// For people.
        note: String,
    },
}

/// What a notice is about.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum About {
    /// A record.
    Record(ObjectKey, Arc<str>),
    /// A Domain and its uid.
    Domain(Arc<str>, Arc<str>),
    /// A member cluster and its uid.
    Member(ClusterName, Arc<str>),
}

/// Name of the DNSEndpoint of a record, as the original had it.
#[must_use]
pub fn endpoint_name(record: &str) -> String {
    format!("service-{record}")
}

/// Annotation on a DNSEndpoint that hands it over to us.
pub const ADOPT_ANNOTATION: &str = "multiclusterdns.federation.k8s.io/adopt";

/// Annotation on a Domain that lets policies take over although they remove more names than the Domain allows. Its value
/// is that of [`crate::status::CandidatePolicy::rollout`], so that it holds for these policies and no others.
pub const ALLOW_REMOVAL_ANNOTATION: &str = "multiclusterdns.federation.k8s.io/allow-removal";
