//! Stable reasons: one vocabulary for conditions, events, metrics and `explain`.

/// Why something is as it is. The text of [`Reason::as_str`] never changes once released.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Reason {
    /// The object was understood and is acted on.
    Accepted,
    /// The Domain that a record names does not exist; what is published stays.
    DomainNotFound,
    /// The Domain that a record names is not usable; what is published stays.
    DomainInvalid,
    /// A field of the specification breaks a rule; the message names it.
    InvalidSpec,
    /// The object could not be read at all.
    Malformed,
    /// Another record, or another name of the same record, has the name.
    NameConflict,
    /// A name or a label of it exceeds what DNS and the ownership records allow.
    NameTooLong,
    /// The names fit as addresses but not as the CNAME they would need in an outage.
    LabelTooLongForFallback,
    /// A name breaks the syntax of DNS.
    NameInvalid,
    /// A name does not lie within the Domain.
    NameOutsideDomain,
    /// The DNSEndpoint says what is wanted.
    Programmed,
    /// The DNSEndpoint is about to be written.
    Pending,
    /// There is nothing to publish and nothing published.
    NothingToPublish,
    /// Everything was withdrawn, rightly.
    Withdrawn,
    /// What was last published stays, because nothing better is known.
    Kept,
    /// Every cluster is unreachable; nothing is changed.
    Frozen,
    /// A DNSEndpoint of the name exists and is somebody else's.
    ForeignObject,
    /// The API server refuses a write; it is retried.
    WriteFailed,
    /// Nothing is wrong.
    AsExpected,
    /// A member cluster cannot be reached.
    ClusterUnreachable,
    /// A member cluster has not been read yet; its last known state counts.
    ClusterNotSynced,
    /// A member cluster refuses a list or watch.
    ClusterForbidden,
    /// A host name of a load balancer could not be resolved.
    HostNameUnresolved,
    /// A cluster has the Service but no ready endpoints.
    NoReadyEndpoints,
    /// A cluster has the Service but no load-balancer address.
    NoAddress,
    /// No cluster has the Service.
    NoService,
    /// The Service of a cluster is not of type LoadBalancer.
    NotLoadBalancer,
    /// A cluster has no region; it counts for the global name only.
    RegionUnknown,
    /// The nodes of a cluster do not agree on a region.
    RegionsMixed,
    /// The nodes of a cluster name more zones than get names.
    TooManyZones,
    /// A region or zone is not a DNS label; it gets no names.
    PlaceInvalid,
    /// Region and zones are known.
    PlacesKnown,
    /// The policy has not answered yet.
    PolicyPending,
    /// The policy gave no answer; what is published stays.
    PolicyFailed,
    /// The policy's answer breaks a rule; what is published stays.
    PolicyViolation,
    /// No policy of the Domain can decide; what is published stays.
    PolicyUnavailable,
    /// The policies that are wanted decide.
    PoliciesActive,
    /// The policies that are wanted are being read or tried.
    PolicyChecking,
    /// A policy that is wanted was refused; what decided before still does.
    CandidateRefused,
    /// Policies that are wanted would remove more names than the Domain allows.
    ApprovalNeeded,
    /// The ConfigMap of a policy does not exist; what decided before still does.
    PolicyMissing,
    /// The policies that decide keep failing.
    PolicyFailing,
    /// A policy has begun to decide.
    PolicyActivated,
    /// A CNAME was left out because its target is not published.
    AliasNotPublished,
    /// A name cannot have a CNAME beside addresses.
    TypeConflict,
    /// More addresses than a name may have.
    TooManyTargets,
    /// The member cluster answers and its objects are known.
    Connected,
    /// The member cluster does not answer.
    Unreachable,
    /// The member cluster is being read for the first time.
    Syncing,
    /// The kubeconfig of a member cannot be used.
    KubeconfigInvalid,
    /// The Secret with the kubeconfig of a member does not exist.
    SecretNotFound,
    /// The member cluster does not accept the credentials.
    Unauthorized,
    /// An object of a member cluster could not be read; its last good content counts.
    ObjectMalformed,
    /// A load balancer reports something that is neither an address nor a host name.
    AddressRefused,
}

impl Reason {
    /// CamelCase, as in conditions and events.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "Accepted",
            Self::DomainNotFound => "DomainNotFound",
            Self::DomainInvalid => "DomainInvalid",
            Self::InvalidSpec => "InvalidSpec",
            Self::Malformed => "Malformed",
            Self::NameConflict => "NameConflict",
            Self::NameTooLong => "NameTooLong",
            Self::LabelTooLongForFallback => "LabelTooLongForFallback",
            Self::NameInvalid => "NameInvalid",
            Self::NameOutsideDomain => "NameOutsideDomain",
            Self::Programmed => "Programmed",
            Self::Pending => "Pending",
            Self::NothingToPublish => "NothingToPublish",
            Self::Withdrawn => "Withdrawn",
            Self::Kept => "Kept",
            Self::Frozen => "Frozen",
            Self::ForeignObject => "ForeignObject",
            Self::WriteFailed => "WriteFailed",
            Self::AsExpected => "AsExpected",
            Self::ClusterUnreachable => "ClusterUnreachable",
            Self::ClusterNotSynced => "ClusterNotSynced",
            Self::ClusterForbidden => "ClusterForbidden",
            Self::HostNameUnresolved => "HostNameUnresolved",
            Self::NoReadyEndpoints => "NoReadyEndpoints",
            Self::NoAddress => "NoAddress",
            Self::NoService => "NoService",
            Self::NotLoadBalancer => "NotLoadBalancer",
            Self::RegionUnknown => "RegionUnknown",
            Self::RegionsMixed => "RegionsMixed",
            Self::TooManyZones => "TooManyZones",
            Self::PlaceInvalid => "PlaceInvalid",
            Self::PlacesKnown => "PlacesKnown",
            Self::PolicyPending => "PolicyPending",
            Self::PolicyFailed => "PolicyFailed",
            Self::PolicyViolation => "PolicyViolation",
            Self::PolicyUnavailable => "PolicyUnavailable",
            Self::PoliciesActive => "PoliciesActive",
            Self::PolicyChecking => "PolicyChecking",
            Self::CandidateRefused => "CandidateRefused",
            Self::ApprovalNeeded => "ApprovalNeeded",
            Self::PolicyMissing => "PolicyMissing",
            Self::PolicyFailing => "PolicyFailing",
            Self::PolicyActivated => "PolicyActivated",
            Self::AliasNotPublished => "AliasNotPublished",
            Self::TypeConflict => "TypeConflict",
            Self::TooManyTargets => "TooManyTargets",
            Self::Connected => "Connected",
            Self::Unreachable => "Unreachable",
            Self::Syncing => "Syncing",
            Self::KubeconfigInvalid => "KubeconfigInvalid",
            Self::SecretNotFound => "SecretNotFound",
            Self::Unauthorized => "Unauthorized",
            Self::ObjectMalformed => "ObjectMalformed",
            Self::AddressRefused => "AddressRefused",
        }
    }
}

impl std::fmt::Display for Reason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}
