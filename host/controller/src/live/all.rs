//! Everything a cluster knows of its records, read once and changed by nothing: for `mcsdns policy diff` against a cluster.

use std::{collections::BTreeMap, sync::Arc};

use kube::{Api, Resource, api::ListParams};
use mcsdns_api::convert::{DomainObject, MemberObject, RecordObject, Watched};
use mcsdns_core::{
    facts::{Domain, Member, Published, Record},
    ids::{ClusterName, ObjectKey},
};
use serde::de::DeserializeOwned;

use super::{Live, LiveError};
use crate::{endpoints_api::Answer, trouble::Trouble};

/// Objects per page of a list.
const PAGE: u32 = 500;

/// What a host cluster holds for this project.
#[derive(Clone, Debug, Default)]
pub struct Holdings {
    /// ServiceDNSRecords of all namespaces, with their statuses.
    pub records: BTreeMap<ObjectKey, Record>,
    /// Domains.
    pub domains: BTreeMap<Arc<str>, Domain>,
    /// MemberClusters.
    pub members: BTreeMap<ClusterName, Member>,
    /// DNSEndpoints of all namespaces.
    pub published: BTreeMap<ObjectKey, Published>,
}

impl Live {
    /// Reads all records, Domains, MemberClusters and DNSEndpoints. Needs the right to list them.
    ///
    /// # Errors
    /// [`LiveError::Unreadable`] for the first of them that cannot be listed: with a part missing, what would change
    /// could not be told.
    pub async fn read_all(&self) -> Result<Holdings, LiveError> {
        let records: Api<RecordObject> = Api::all(self.client.clone());
        let domains: Api<DomainObject> = Api::namespaced(self.client.clone(), &self.namespace);
        let members: Api<MemberObject> = Api::namespaced(self.client.clone(), &self.namespace);
        let published: Api<Answer> = Api::all_with(self.client.clone(), &self.group);
        let (records, domains, members, published) = tokio::try_join!(
            list("ServiceDNSRecords of all namespaces", &records),
            list("Domains", &domains),
            list("MemberClusters", &members),
            list("DNSEndpoints of all namespaces", &published),
        )?;
        Ok(Holdings {
            records: facts(&records),
            domains: facts(&domains),
            members: facts(&members),
            published: published.iter().filter_map(|Answer(it)| Some((Watched::key(it), it.fact()?))).collect(),
        })
    }
}

fn facts<T: Watched>(objects: &[T]) -> BTreeMap<T::Key, T::Fact> {
    objects.iter().filter_map(|object| Some((object.key(), object.fact()?))).collect()
}

/// All objects of a kind, page by page.
async fn list<T>(what: &'static str, api: &Api<T>) -> Result<Vec<T>, LiveError>
where
    T: Resource + Clone + DeserializeOwned + std::fmt::Debug,
{
    let mut all = Vec::new();
    let mut page = ListParams::default().limit(PAGE);
    loop {
        let mut list = api
            .list(&page)
            .await
            .map_err(|error| LiveError::Unreadable { what: what.to_owned(), why: Trouble::from(&error).said })?;
        all.append(&mut list.items);
        match list.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => page.continue_token = Some(token),
            None => return Ok(all),
        }
    }
}
