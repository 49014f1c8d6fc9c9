//! What a cluster knows of one record, read once and changed by nothing: for `mcsdns explain` against a cluster.
//!
//! No second controller is started for that. The statuses say what the controller saw and why it decided so; the
//! DNSEndpoint says what is published. Reading them takes the rights of whoever asks, not those of the controller.

mod all;

use std::sync::Arc;

use kube::{Api, Client};
use mcsdns_api::{
    convert::{DomainObject, MemberObject, RecordObject, Watched},
    endpoint::EndpointGroup,
};
use mcsdns_core::{
    decision::ClusterState,
    explain::{ExplainedCluster, ExplainedCondition, ExplainedName, Explanation},
    facts::{Domain, Ingress, Member, Owner, Published, Record},
    ids::{ClusterName, ObjectKey},
    status::{ClusterDns, Condition, ConditionStatus, RecordStatus},
};

use crate::{
    Options,
    connect::connect,
    endpoints_api::beside,
    run::{ControllerError, host_config},
    trouble::Trouble,
    writer::object,
};

pub use self::all::Holdings;

/// Why a record cannot be explained.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LiveError {
    /// The cluster cannot be connected to.
    #[error(transparent)]
    Connect(#[from] ControllerError),
    /// There is no such record.
    #[error("there is no ServiceDNSRecord {0}; `kubectl get servicednsrecords --all-namespaces` lists them")]
    NoSuchRecord(ObjectKey),
    /// Something cannot be read.
    #[error("cannot read {what}: {why}")]
    Unreadable {
        /// What.
        what: String,
        /// What the server said.
        why: String,
    },
}

impl LiveError {
    /// Stable, CamelCase.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Connect(error) => error.reason(),
            Self::NoSuchRecord(_) => "NoSuchRecord",
            Self::Unreadable { .. } => "Unreadable",
        }
    }
}

/// A cluster to read from.
pub struct Live {
    client: Client,
    namespace: String,
    group: EndpointGroup,
}

/// A record and what belongs to it.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// Which record.
    pub key: ObjectKey,
    /// The record with its status.
    pub record: Record,
    /// Its Domain; `None`: there is none of that name.
    pub domain: Option<Domain>,
    /// Its DNSEndpoint; `None`: there is none.
    pub published: Option<Published>,
    /// The member clusters, sorted by name.
    pub members: Vec<(ClusterName, Member)>,
    /// What could not be read, in words; the rest is told all the same.
    pub unreadable: Vec<String>,
}

impl Live {
    /// Connects as `options` say; nothing is read yet.
    ///
    /// # Errors
    /// [`LiveError::Connect`].
    pub async fn connect(options: &Options) -> Result<Self, LiveError> {
        let config = host_config(options).await?;
        let client = connect(config, &options.requests).map_err(ControllerError::from)?;
        Ok(Self { client, namespace: options.namespace.clone(), group: options.endpoint_group })
    }

    /// Reads one record and what belongs to it. Only the record itself must be readable.
    ///
    /// # Errors
    /// [`LiveError::NoSuchRecord`] and [`LiveError::Unreadable`].
    pub async fn read(&self, key: &ObjectKey) -> Result<Snapshot, LiveError> {
        let unreadable =
            |what: String, error: &kube::Error| LiveError::Unreadable { what, why: Trouble::from(error).said };
        let records: Api<RecordObject> = Api::namespaced(self.client.clone(), &key.namespace);
        let found = records.get_opt(&key.name).await.map_err(|e| unreadable(format!("ServiceDNSRecord {key}"), &e))?;
        let record = found.and_then(|found| found.fact()).ok_or_else(|| LiveError::NoSuchRecord(key.clone()))?;

        let domains: Api<DomainObject> = Api::namespaced(self.client.clone(), &self.namespace);
        let members: Api<MemberObject> = Api::namespaced(self.client.clone(), &self.namespace);
        let object = object(key);
        let endpoints = beside(&self.client, &object, self.group);
        let domain_ref = record.spec.as_ref().map(|spec| Arc::clone(&spec.domain_ref)).unwrap_or_default();
        let domain = async { if domain_ref.is_empty() { Ok(None) } else { domains.get_opt(&domain_ref).await } };
        let everything = kube::api::ListParams::default();
        let (domain, published, members) =
            tokio::join!(domain, endpoints.get_opt(&object.name), members.list(&everything));

        let mut snapshot = Snapshot {
            key: key.clone(),
            record,
            domain: None,
            published: None,
            members: Vec::new(),
            unreadable: Vec::new(),
        };
        match domain {
            Ok(domain) => snapshot.domain = domain.and_then(|domain| domain.fact()),
            Err(error) => snapshot.miss(&format!("Domain {}/{domain_ref}", self.namespace), &error),
        }
        match published {
            Ok(published) => snapshot.published = published.and_then(|published| published.0.fact()),
            Err(error) => snapshot.miss(&format!("DNSEndpoint {object}"), &error),
        }
        match members {
            Ok(list) => {
                let facts = list.items.iter().filter_map(|member| Some((Watched::key(member), member.fact()?)));
                snapshot.members = facts.collect();
                snapshot.members.sort_by(|(a, _), (b, _)| a.cmp(b));
            }
            Err(error) => snapshot.miss(&format!("MemberClusters of {}", self.namespace), &error),
        }
        Ok(snapshot)
    }
}

impl Snapshot {
    fn miss(&mut self, what: &str, error: &kube::Error) {
        self.unreadable.push(format!("{what} cannot be read: {}", Trouble::from(error).said));
    }

    /// The snapshot in the form that `explain` prints, as far as statuses tell.
    #[must_use]
    pub fn explain(&self) -> Explanation {
        let status = self.record.status.as_deref().cloned().unwrap_or_default();
        let endpoints = match &self.published {
            Some(published) if !matches!(published.owner, Owner::Foreign(_)) => published.endpoints.to_vec(),
            _ => Vec::new(),
        };
        Explanation {
            record: self.key.to_string(),
            domain_ref: self.record.spec.as_ref().ok().map(|spec| Arc::clone(&spec.domain_ref)),
            domain: status.domain.clone(),
            policy: status.published.policy.clone(),
            conditions: status.conditions.iter().map(explained).collect(),
            clusters: status.dns.iter().map(|dns| self.cluster(dns)).collect(),
            names: names(&status, &endpoints),
            advice: self.advice(&status),
            endpoints,
        }
    }

    fn cluster(&self, dns: &ClusterDns) -> ExplainedCluster {
        let mut addresses: Vec<std::net::IpAddr> = dns
            .ingress
            .iter()
            .filter_map(|ingress| match ingress {
                Ingress::Ip(address) => Some(*address),
                Ingress::HostName(_) => None,
            })
            .chain(dns.resolved.iter().flat_map(|host| host.addresses.iter().copied()))
            .collect();
        addresses.sort_unstable();
        addresses.dedup();
        let state = dns.state.unwrap_or(ClusterState::Unreachable);
        let member = self.members.iter().find(|(name, _)| *name == dns.cluster).map(|(_, member)| member);
        let ready = member
            .and_then(|member| member.status.as_ref())
            .and_then(|status| status.conditions.iter().find(|condition| &*condition.kind == "Ready"));
        let because = match (state, member, ready) {
            (_, None, _) => format!("there is no MemberCluster {} any more", dns.cluster),
            (_, _, Some(ready)) if ready.status != ConditionStatus::True => {
                format!("MemberCluster {}: {}: {}", dns.cluster, ready.reason, ready.message)
            }
            (ClusterState::Serving, ..) => "serves".to_owned(),
            (ClusterState::NoReadyEndpoints, ..) => format!("Service {} has no ready endpoints there", self.key),
            (ClusterState::NoAddress, ..) => format!("Service {} has no usable load-balancer address there", self.key),
            (ClusterState::NoService, ..) => format!("no Service {} of type LoadBalancer there", self.key),
            (ClusterState::Unreachable, ..) => "could not be reached when this was written".to_owned(),
        };
        ExplainedCluster {
            name: Arc::clone(&dns.cluster.0),
            region: dns.region.clone(),
            zones: dns.zones.to_vec(),
            state,
            since: dns.since.map(|since| since.to_string()),
            source: "as the controller wrote it",
            addresses,
            because,
        }
    }

    /// What to do, most important first.
    fn advice(&self, status: &RecordStatus) -> Vec<String> {
        let mut advice = Vec::new();
        if let (Ok(spec), None) = (&self.record.spec, &self.domain)
            && !self.unreadable.iter().any(|what| what.starts_with("Domain"))
        {
            advice.push(format!("create the Domain {} in the namespace of the controller", spec.domain_ref));
        }
        if let Some(Published { owner: Owner::Foreign(who), .. }) = &self.published {
            advice.push(format!(
                "DNSEndpoint {} belongs to {who}; delete it, or give it away with the annotation {}: \"true\"",
                object(&self.key),
                mcsdns_api::metadata::ANNOTATION_ADOPT
            ));
        }
        if status.conditions.is_empty() {
            advice.push(
                "the controller has not looked at this record yet; is it running, and does one replica lead?"
                    .to_owned(),
            );
        } else if status.observed_generation < self.record.meta.generation {
            advice.push("the controller has not looked at the latest change of this record yet".to_owned());
        }
        advice.extend(mcsdns_core::explain::advice(&self.key, status));
        advice.extend(self.unreadable.iter().cloned());
        advice
    }
}

fn explained(condition: &Condition) -> ExplainedCondition {
    ExplainedCondition {
        kind: Arc::clone(&condition.kind),
        status: condition.status.as_str(),
        reason: Arc::clone(&condition.reason),
        message: Arc::clone(&condition.message),
    }
}

/// The names that are published, and those that are withheld.
fn names(status: &RecordStatus, endpoints: &[mcsdns_core::plan::Endpoint]) -> Vec<ExplainedName> {
    let mut names: Vec<ExplainedName> = Vec::new();
    for endpoint in endpoints {
        let targets = endpoint.targets.to_strings().join(", ");
        let answer = format!("{} {targets}", endpoint.record_type.as_str());
        match names.last_mut().filter(|last| last.name == endpoint.dns_name) {
            Some(last) => last.answer = format!("{}; {answer}", last.answer),
            None => names.push(ExplainedName {
                name: Arc::clone(&endpoint.dns_name),
                place: String::new(),
                answer,
                ttl: Some(endpoint.record_ttl),
                because: String::new(),
                refused: Vec::new(),
            }),
        }
    }
    for withheld in &status.withheld {
        let refusal = (Arc::clone(&withheld.reason), Arc::clone(&withheld.message));
        match names.iter_mut().find(|name| name.name == withheld.name) {
            Some(name) => name.refused.push(refusal),
            None => names.push(ExplainedName {
                name: Arc::clone(&withheld.name),
                place: String::new(),
                answer: "nothing".to_owned(),
                ttl: None,
                because: String::new(),
                refused: vec![refusal],
            }),
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use mcsdns_core::{
        facts::{Meta, RecordSpec},
        plan::{Endpoint, RecordType, Targets},
        reason::Reason,
        status::Withheld,
    };

    use super::*;

    fn snapshot() -> Snapshot {
        let endpoint = |name: &str, record_type, address: &str| Endpoint {
            dns_name: name.into(),
            record_type,
            set_identifier: None,
            targets: Targets::Addresses([address.parse().unwrap()].into()),
            record_ttl: 180,
            provider_specific: Vec::new(),
        };
        let status = RecordStatus {
            conditions: vec![
                Condition::new("Accepted", ConditionStatus::True, Reason::Accepted, "fine"),
                Condition::new("Degraded", ConditionStatus::True, Reason::ClusterUnreachable, "c2 is away"),
            ],
            withheld: vec![Withheld {
                name: "g.example.com".into(),
                record_type: Some(RecordType::Cname),
                reason: "NameTooLong".into(),
                message: "too long".into(),
            }],
            dns: [ClusterDns {
                cluster: ClusterName::new("c1"),
                region: Some("us".into()),
                zones: ["us1".into()].into(),
                ingress: [Ingress::Ip("10.0.0.1".parse().unwrap())].into(),
                resolved: Vec::new(),
                state: Some(ClusterState::Serving),
                since: None,
            }]
            .into(),
            ..RecordStatus::default()
        };
        Snapshot {
            key: ObjectKey::new("test", "nginx"),
            record: Record {
                meta: Meta::default(),
                annotations: Vec::new(),
                spec: Ok(RecordSpec { domain_ref: "galactic".into(), ..RecordSpec::default() }),
                status: Some(Arc::new(status)),
            },
            domain: None,
            published: Some(Published {
                uid: "u".into(),
                generation: 1,
                owner: Owner::Record { name: "nginx".into(), uid: "r".into() },
                metadata_in_order: true,
                endpoints: [
                    endpoint("g.example.com", RecordType::A, "10.0.0.1"),
                    endpoint("g.example.com", RecordType::Aaaa, "fd00::1"),
                ]
                .into(),
            }),
            members: vec![(ClusterName::new("c1"), Member::default())],
            unreadable: Vec::new(),
        }
    }

    #[test]
    fn a_name_is_told_once_with_all_its_types_and_refusals() {
        let explanation = snapshot().explain();
        let [name] = explanation.names.as_slice() else { panic!("{:?}", explanation.names) };
        assert_eq!(name.answer, "A 10.0.0.1; AAAA fd00::1");
        assert_eq!(name.refused.len(), 1);
        assert_eq!(explanation.clusters[0].because, "serves");
    }

    #[test]
    fn advice_begins_with_what_is_missing() {
        let advice = snapshot().explain().advice;
        assert!(advice[0].contains("create the Domain galactic"), "{advice:?}");
        assert!(advice.contains(&"c2 is away".to_owned()), "{advice:?}");
    }

    #[test]
    fn a_foreign_object_is_not_what_is_published() {
        let mut snapshot = snapshot();
        if let Some(published) = &mut snapshot.published {
            published.owner = Owner::Foreign("helm".into());
        }
        let explanation = snapshot.explain();
        assert!(explanation.endpoints.is_empty());
        assert!(explanation.advice.iter().any(|advice| advice.contains("belongs to helm")));
    }
}
