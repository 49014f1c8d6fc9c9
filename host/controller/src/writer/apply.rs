//! One write.
//!
//! Server-side apply with one field manager per role. Nothing is taken from others by force: a conflict is looked into, and
//! only on a DNSEndpoint that is ours, or that its owner gave away by annotation, the fields are taken back.

use std::sync::Arc;

use kube::{
    Api, Client,
    api::{DeleteParams, Patch, PatchParams, Preconditions},
};
use mcsdns_api::{
    convert::{DnsEndpointObject, DomainObject, MemberObject, RecordObject, Watched},
    endpoint::{EndpointGroup, dns_endpoint},
    metadata::{MANAGER_RECORDS, MANAGER_STATUS},
    status,
};
use mcsdns_core::{facts::Owner, ids::ObjectKey, plan::Endpoint};
use serde::Serialize;
use tokio::sync::mpsc;

use super::{Job, Target};
use crate::{
    endpoints_api::{Answer, beside},
    trouble::{Kind, Trouble},
};

/// How a write ended well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Done {
    /// As wanted.
    Written,
    /// The object is not there any more, so nothing is wanted of it.
    Gone,
    /// The object is somebody else's; the watch tells the Index about it.
    Foreign,
}

/// Where answers to writes go, so that the Index need not wait for the watch. Full means that the watch is as fast.
pub(crate) struct Feedback {
    pub(crate) endpoints: mpsc::Sender<DnsEndpointObject>,
    pub(crate) records: mpsc::Sender<RecordObject>,
    pub(crate) domains: mpsc::Sender<DomainObject>,
    pub(crate) members: mpsc::Sender<MemberObject>,
}

/// Writes to the host cluster.
pub(crate) struct Applier {
    pub(crate) client: Client,
    pub(crate) namespace: String,
    pub(crate) group: EndpointGroup,
    pub(crate) feedback: Feedback,
}

impl Applier {
    /// Carries out one write. Has no time limit of its own.
    pub(crate) async fn apply(&self, target: &Target, job: &Job) -> Result<Done, Trouble> {
        match (target, job) {
            (Target::Endpoints(object), Job::Apply { record, uid, endpoints }) => {
                self.endpoints(object, record, uid, endpoints).await
            }
            (Target::Endpoints(object), Job::Delete { uid }) => self.delete(object, uid).await,
            (Target::RecordStatus(record), Job::RecordStatus(wanted)) => {
                let api = Api::namespaced(self.client.clone(), &record.namespace);
                status_of(&api, &record.name, &status::record(record, wanted), &self.feedback.records).await
            }
            (Target::DomainStatus(name), Job::DomainStatus(wanted)) => {
                let api = Api::namespaced(self.client.clone(), &self.namespace);
                let patch = status::domain(&self.namespace, name, wanted);
                status_of(&api, name, &patch, &self.feedback.domains).await
            }
            (Target::MemberStatus(name), Job::MemberStatus(wanted)) => {
                let api = Api::namespaced(self.client.clone(), &self.namespace);
                let patch = status::member(&self.namespace, name, wanted);
                status_of(&api, name.as_str(), &patch, &self.feedback.members).await
            }
            // The sink pairs them; there is no other place that could.
            (_, _) => Ok(Done::Gone),
        }
    }

    fn api(&self, object: &ObjectKey) -> Api<Answer> {
        beside(&self.client, object, self.group)
    }

    async fn endpoints(
        &self,
        object: &ObjectKey,
        record: &ObjectKey,
        uid: &Arc<str>,
        endpoints: &[Endpoint],
    ) -> Result<Done, Trouble> {
        let api = self.api(object);
        let wanted = Patch::Apply(dns_endpoint(record, uid, endpoints, self.group));
        let params = PatchParams::apply(MANAGER_RECORDS);
        let written = match api.patch(&object.name, &params, &wanted).await {
            Ok(written) => written,
            Err(error) => {
                let trouble = Trouble::from(&error);
                if trouble.kind != Kind::Conflict {
                    return Err(trouble);
                }
                let Some(Answer(found)) = api.get_opt(&object.name).await? else {
                    return Err(trouble);
                };
                if matches!(found.fact().map(|fact| fact.owner), Some(Owner::Foreign(_)) | None) {
                    let _ = self.feedback.endpoints.try_send(found);
                    return Ok(Done::Foreign);
                }
                api.patch(&object.name, &params.force(), &wanted).await?
            }
        };
        let _ = self.feedback.endpoints.try_send(written.0);
        Ok(Done::Written)
    }

    async fn delete(&self, object: &ObjectKey, uid: &Arc<str>) -> Result<Done, Trouble> {
        let params = DeleteParams {
            preconditions: Some(Preconditions { uid: Some(uid.to_string()), resource_version: None }),
            ..DeleteParams::background()
        };
        match self.api(object).delete(&object.name, &params).await {
            Ok(_) => Ok(Done::Written),
            Err(error) => match Trouble::from(&error) {
                // Another object of the same name is not what was to be deleted.
                trouble if matches!(trouble.kind, Kind::NotFound | Kind::Conflict) => Ok(Done::Gone),
                trouble => Err(trouble),
            },
        }
    }
}

async fn status_of<K: Watched, S: Serialize + std::fmt::Debug>(
    api: &Api<K>,
    name: &str,
    patch: &status::StatusPatch<S>,
    feedback: &mpsc::Sender<K>,
) -> Result<Done, Trouble> {
    // Statuses are ours alone.
    let params = PatchParams::apply(MANAGER_STATUS).force();
    match api.patch_status(name, &params, &Patch::Apply(patch)).await {
        Ok(written) => {
            let _ = feedback.try_send(written);
            Ok(Done::Written)
        }
        Err(error) => match Trouble::from(&error) {
            trouble if trouble.kind == Kind::NotFound => Ok(Done::Gone),
            trouble => Err(trouble),
        },
    }
}
