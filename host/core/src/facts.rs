//! What the Index is told: small domain values, converted at the edge from Kubernetes objects or files.

use std::{net::IpAddr, sync::Arc};

use jiff::Timestamp;

use crate::{
    decision::{DecisionOutput, InputHash, PolicyFailure, PolicyRef},
    ids::{ClusterName, ObjectKey},
    plan::Endpoint,
    reason::Reason,
    status::{ConditionStatus, DomainStatus, MemberStatus, PolicyStatus, RecordStatus},
};

/// One change of a set of objects. A relist arrives as one `Reset`, so that what vanished meanwhile is known.
#[derive(Clone, Debug, PartialEq)]
pub enum Change<K, V> {
    /// Exists, with this content.
    Apply(K, V),
    /// Is gone.
    Delete(K),
    /// Exactly these exist. The first `Reset` of a kind says that its source is synced.
    Reset(Vec<(K, V)>),
}

impl<K, V> Change<K, V> {
    /// Every object that exists after the change, as far as the change tells.
    pub(crate) fn each_mut(&mut self, mut with: impl FnMut(&mut K, &mut V)) {
        match self {
            Self::Apply(key, value) => with(key, value),
            Self::Delete(_) => {}
            Self::Reset(all) => all.iter_mut().for_each(|(key, value)| with(key, value)),
        }
    }
}

/// An object that exists but cannot be understood. Its last good content, if any, stays in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Malformed {
    /// What is wrong, naming the field.
    pub message: String,
}

/// One thing the Index learns.
#[derive(Clone, Debug)]
pub enum Fact {
    /// ServiceDNSRecords of the host cluster.
    Record(Change<ObjectKey, Record>),
    /// Domains of the controller's namespace, by object name.
    Domain(Change<Arc<str>, Domain>),
    /// MemberClusters of the controller's namespace.
    Member(Change<ClusterName, Member>),
    /// DNSEndpoints of the host cluster, by their own namespace and name.
    Published(Change<ObjectKey, Published>),
    /// Something about one member cluster.
    Cluster(ClusterName, ClusterFact),
    /// Answer of the resolver for one host name.
    HostName(Arc<str>, HostAnswer),
    /// Answer of the policies; dropped when `hash` is no longer what the record asks.
    Decided {
        /// For which record.
        record: ObjectKey,
        /// For which input.
        hash: InputHash,
        /// The decision or why there is none.
        result: Result<Arc<DecisionOutput>, PolicyFailure>,
    },
    /// The policies in force for a Domain (`None`: for every Domain without its own).
    Policies(Option<Arc<str>>, PolicyRef),
    /// How far the policies of a Domain are, and which of them decide; dropped when there is no such Domain.
    Rollout(Arc<str>, Arc<Rollout>),
    /// A write of ours could not be carried out (it is being retried), or succeeds again (`None`).
    WriteFailed {
        /// The record whose DNSEndpoint or status was to be written.
        record: ObjectKey,
        /// What the server said, for people; `None` when it works again.
        message: Option<String>,
    },
    /// Whether this process may write. A follower computes and writes nothing.
    Leading(bool),
    /// The time is now this; also carried out before any fact that came with a later time.
    Tick(Timestamp),
}

/// One thing learned about a member cluster.
#[derive(Clone, Debug)]
pub enum ClusterFact {
    /// Whether its API server answers.
    Reach(Reach),
    /// Its Nodes, by name.
    Node(Change<Arc<str>, Node>),
    /// Its Services of type LoadBalancer (others may be told too), by namespace and name.
    Service(Change<ObjectKey, Result<Service, Malformed>>),
    /// Its EndpointSlices, by their own namespace and name.
    Slice(Change<ObjectKey, Result<Slice, Malformed>>),
    /// A list or watch of this cluster does not work, or works again (`None`).
    WatchFailed {
        /// `nodes`, `services` or `endpointslices`.
        resource: &'static str,
        /// What the server said and what to do; `None` when it works again.
        message: Option<String>,
    },
}

/// Whether the API server of a member answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Not probed often enough to tell. Counts as neither; nothing is withdrawn for it.
    Unknown,
    /// Answers.
    Reachable {
        /// Kubernetes version, for example `v1.36.3`.
        version: Option<Arc<str>>,
    },
    /// Does not answer, or cannot even be asked.
    Unreachable {
        /// CamelCase, stable: `Unreachable`, `KubeconfigInvalid`, `SecretNotFound`, `Unauthorized` ...
        reason: &'static str,
        /// For people; names the object and what to do.
        message: String,
        /// Since when, as far as this process knows; an earlier time in a record's status wins.
        since: Timestamp,
    },
}

/// Metadata of an object of ours.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Meta {
    /// `metadata.uid`; empty in local mode.
    pub uid: Arc<str>,
    /// `metadata.generation`, 0 when unknown.
    pub generation: i64,
    /// `metadata.creationTimestamp`.
    pub created: Option<Timestamp>,
    /// `metadata.deletionTimestamp` is set.
    pub deleting: bool,
}

/// A ServiceDNSRecord.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// Its metadata.
    pub meta: Meta,
    /// All annotations, sorted by key.
    pub annotations: Vec<(Arc<str>, Arc<str>)>,
    /// Its specification, or why it cannot be understood.
    pub spec: Result<RecordSpec, Malformed>,
    /// Its status as last observed; the durable memory of the last observations.
    pub status: Option<Arc<RecordStatus>>,
}

/// `ServiceDNSRecord.spec`, not yet checked against any rule.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecordSpec {
    /// Name of the Domain.
    pub domain_ref: Arc<str>,
    /// Seconds; 0 means not set.
    pub record_ttl: Option<i64>,
    /// Prefix directly under the domain.
    pub dns_prefix: Option<Arc<str>>,
    /// First label of the names instead of the record's name.
    pub external_name: Option<Arc<str>>,
    /// Serve without ready endpoints.
    pub allow_service_without_endpoints: bool,
}

/// What happens when nothing serves anywhere.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WhenEmpty {
    /// What was last published stays.
    #[default]
    Keep,
    /// The names are withdrawn.
    Withdraw,
}

/// A Domain.
#[derive(Clone, Debug, PartialEq)]
pub struct Domain {
    /// Its metadata.
    pub meta: Meta,
    /// Its content, or why it cannot be understood.
    pub spec: Result<DomainSpec, Malformed>,
    /// Its status as last observed.
    pub status: Option<Arc<DomainStatus>>,
}

/// The content of a Domain, not yet checked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DomainSpec {
    /// `domain`, as written.
    pub domain: Arc<str>,
    /// `whenEmpty`.
    pub when_empty: WhenEmpty,
    /// `unreachableGraceSeconds`; `None`: the controller's default. Negative: never expires.
    pub unreachable_grace_seconds: Option<i64>,
    /// `minTTL` in seconds.
    pub min_ttl: Option<i64>,
    /// `maxTTL` in seconds.
    pub max_ttl: Option<i64>,
    /// `policies`: the ConfigMaps whose policies are to decide.
    pub policies: PolicyNames,
    /// `policies.onFailure`.
    pub on_failure: OnFailure,
    /// `policies.maxRemovedPercent`.
    pub max_removed_percent: Option<i64>,
    /// Value of the annotation [`crate::effect::ALLOW_REMOVAL_ANNOTATION`].
    pub allow_removal: Option<Arc<str>>,
}

/// An address that a client could connect to, IPv4-mapped ones as IPv4. Those that can never be one (`0.0.0.0`, multicast)
/// are placeholders of load balancers that are not ready, answers of resolvers that block a name, or mistakes.
#[must_use]
pub fn usable(address: std::net::IpAddr) -> Option<std::net::IpAddr> {
    let address = address.to_canonical();
    let broadcast = matches!(address, std::net::IpAddr::V4(address) if address.is_broadcast());
    (!address.is_unspecified() && !address.is_multicast() && !broadcast).then_some(address)
}

/// The ConfigMaps whose policies decide; `None`: the policy in the box.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct PolicyNames {
    /// Which names a record gets.
    pub naming: Option<Arc<str>>,
    /// What stands behind each name.
    pub selection: Option<Arc<str>>,
    /// The TTL of each name.
    pub ttl: Option<Arc<str>>,
}

impl PolicyNames {
    /// Whether the policy in the box decides everything.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.naming.is_none() && self.selection.is_none() && self.ttl.is_none()
    }
}

/// Who answers when the policies of a Domain do not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum OnFailure {
    /// Nobody: what is published stays.
    #[default]
    Keep,
    /// The policy in the box.
    Default,
}

/// How far the policies of a Domain are.
#[derive(Clone, Debug, PartialEq)]
pub struct Rollout {
    /// Who decides.
    pub in_force: InForce,
    /// What goes into the status; empty when the policy in the box decides everything and nothing else is wanted.
    pub policies: Vec<PolicyStatus>,
    /// What goes into the condition `PoliciesReady`; `None`: there is nothing to say.
    pub ready: Option<Ready>,
}

/// Who decides for a Domain.
#[derive(Clone, Debug, PartialEq)]
pub enum InForce {
    /// These policies.
    Policies(PolicyRef),
    /// Nobody for now; what is published stays. Why, for people.
    Held(String),
}

/// The condition `PoliciesReady`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ready {
    /// Whether the policies that are wanted decide, and do so without failing.
    pub status: ConditionStatus,
    /// Stable.
    pub reason: Reason,
    /// For people.
    pub message: String,
}

/// A MemberCluster, as far as decisions depend on it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Member {
    /// Its metadata.
    pub meta: Meta,
    /// Labels, sorted by key; policies may ask for some.
    pub labels: Vec<(Arc<str>, Arc<str>)>,
    /// `spec.region`: overrides what Nodes say.
    pub region: Option<Arc<str>>,
    /// `spec.zones`: overrides what Nodes say.
    pub zones: Option<Vec<Arc<str>>>,
    /// Why it cannot be understood; its last good content stays in force.
    pub malformed: Option<Malformed>,
    /// Its status as last observed: remembers region and zones through restarts.
    pub status: Option<Arc<MemberStatus>>,
}

/// A Node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Node {
    /// `topology.kubernetes.io/region`, else the beta label, as written.
    pub region: Option<Arc<str>>,
    /// `topology.kubernetes.io/zone`, else the beta label, as written.
    pub zone: Option<Arc<str>>,
}

/// One address of a load balancer.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Ingress {
    /// An address.
    Ip(IpAddr),
    /// A host name, lower case without final dot, that must be resolved.
    HostName(Arc<str>),
}

/// A Service of a member cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// `spec.type` is LoadBalancer.
    pub load_balancer: bool,
    /// `spec.type`, for messages.
    pub kind: Arc<str>,
    /// `status.loadBalancer.ingress[]`, sorted, without duplicates; an entry with ip and hostname gives both.
    pub ingress: Arc<[Ingress]>,
    /// Entries that are neither a valid address nor a valid host name, as written.
    pub refused: Vec<String>,
}

/// An EndpointSlice of a member cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slice {
    /// Label `kubernetes.io/service-name`; slices without it are not told.
    pub service: Arc<str>,
    /// Endpoints whose `conditions.ready` is true or absent.
    pub ready: u32,
}

/// A DNSEndpoint as observed.
#[derive(Clone, Debug, PartialEq)]
pub struct Published {
    /// `metadata.uid`.
    pub uid: Arc<str>,
    /// `metadata.generation`; never goes back for one uid.
    pub generation: i64,
    /// Whose it is.
    pub owner: Owner,
    /// Labels, owner reference and endpoint fields beyond ours are as we write them.
    pub metadata_in_order: bool,
    /// Its endpoints in our canonical order.
    pub endpoints: Arc<[Endpoint]>,
}

/// Whose a DNSEndpoint is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Owner {
    /// Ours: carries our label and an owner reference to this ServiceDNSRecord (or none, in local mode).
    Record {
        /// Name of the record, in the same namespace.
        name: Arc<str>,
        /// uid in the owner reference; empty in local mode.
        uid: Arc<str>,
    },
    /// Somebody else's, annotated for adoption.
    Adoptable,
    /// Somebody else's: not touched. Who, for messages (field manager or `unknown`).
    Foreign(Arc<str>),
}

/// Answer of the resolver for one host name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HostAnswer {
    /// All A and AAAA answers, sorted. Never empty.
    Addresses(Arc<[IpAddr]>),
    /// The lookup failed or was empty; the last good answer stays in force.
    Failed(String),
}
