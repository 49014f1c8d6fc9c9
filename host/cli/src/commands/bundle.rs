//! `mcsdns explain --bundle`: the decision about a record, written down.

use std::{path::Path, sync::Arc};

use anyhow::Context as _;
use jiff::Timestamp;
use mcsdns_core::{facts::Owner, ids::ObjectKey};
use mcsdns_harness::{
    bundle::{Answerer, Bundle},
    judge::{self, Bounds},
    recorder::Overheard,
};
use mcsdns_local::{
    fleet::Fleet,
    limits::Limits,
    world::{World, WorldOptions},
};
use mcsdns_policy::Aspect;

use super::{
    folder::{self, hosts, pilot_options},
    live::{self, LiveArgs},
};
use crate::{args::FolderArgs, exit::wrong};

/// Works out the decision about a record once more and writes it down. On a folder the policies that Domains name decide;
/// those of a cluster are not there, so that the one in the box or that of --policy does.
pub(crate) fn write(
    record: &ObjectKey,
    dir: Option<&Path>,
    cluster: &LiveArgs,
    args: &FolderArgs,
    file: &Path,
) -> anyhow::Result<()> {
    let now = args.now.unwrap_or_else(Timestamp::now);
    let (fleet, table) = match dir {
        Some(dir) => (Fleet::read(dir, &Limits::default(), now), hosts(args.hosts.as_deref())?),
        None => live::fleet(cluster, args.publish.group(), now)?,
    };
    let policy = folder::policy(&args.policy)?;
    let settings = args.publish.settings();
    let pilot = dir.is_some().then(|| policy.pilot(pilot_options(&settings))).transpose().map_err(wrong)?;
    let bounds = bounds(&fleet, record, &Bounds::from(&settings));
    let observed = dir.is_none().then(|| observed(&fleet, record));

    let overheard = Overheard::new(Arc::clone(&policy.decider));
    let options = WorldOptions { now, settings, hosts: table, group: args.publish.group() };
    let (world, _) = World::with_pilot(fleet, policy.reference.clone(), &overheard, options, pilot)?;
    let heard = overheard.last(&record.to_string());
    let Some((heard, set)) = heard.and_then(|heard| Some((heard.clone(), policy.decider.get(&heard.policies.id)?)))
    else {
        let conditions = world.statuses().get(record).map(|status| status.conditions.clone()).unwrap_or_default();
        let why = conditions.first().map_or_else(String::new, |condition| format!(": {}", condition.message));
        return Err(wrong(anyhow::anyhow!("{record}: no policy is asked about it, so there is no decision{why}")));
    };
    let own = world.endpoints().find(|(key, _)| key == record).map(|(_, endpoints)| judge::lines(endpoints));
    let published = observed.as_ref().map_or_else(|| own.unwrap_or_default(), |observed| observed.published.clone());
    let mut bundle = Bundle::of(&heard, &set, bounds, &now.to_string(), published);
    // Another policy decided in the cluster: what it answered is not known, only what is published.
    let elsewhere = observed.and_then(|observed| observed.policy).filter(|title| *title != *heard.policies.title);
    if let Some(title) = elsewhere {
        eprintln!(
            "the policy in the cluster is {title}: its answer is not known here, only what is published (--policy FILE)"
        );
        bundle.answer = None;
        bundle.policies = Aspect::ALL
            .map(|aspect| Answerer {
                aspect: aspect.to_string(),
                title: title.clone(),
                digest: None,
                config_digest: None,
            })
            .to_vec();
    }
    std::fs::write(file, bundle.to_json()).with_context(|| file.display().to_string())?;
    Ok(())
}

/// What a cluster says of a record.
struct Observed {
    policy: Option<String>,
    published: Vec<String>,
}

fn observed(fleet: &Fleet, record: &ObjectKey) -> Observed {
    let status = fleet.records.get(record).and_then(|record| record.status.as_ref());
    let own = fleet.published.iter().find(|(key, published)| {
        key.namespace == record.namespace
            && matches!(&published.owner, Owner::Record { name, .. } if *name == record.name)
    });
    Observed {
        policy: status.and_then(|status| status.published.policy.as_ref()).map(ToString::to_string),
        published: own.map(|(_, published)| judge::lines(&published.endpoints)).unwrap_or_default(),
    }
}

/// The bounds of TTLs that the Domain of a record adds.
fn bounds(fleet: &Fleet, record: &ObjectKey, bounds: &Bounds) -> Bounds {
    let spec = fleet.records.get(record).and_then(|record| record.spec.as_ref().ok());
    let domain = spec.and_then(|spec| fleet.domains.get(&spec.domain_ref)).and_then(|domain| domain.spec.as_ref().ok());
    let seconds = |ttl: Option<i64>| ttl.and_then(|ttl| u32::try_from(ttl).ok());
    Bounds {
        min_ttl: domain
            .and_then(|domain| seconds(domain.min_ttl))
            .map_or(bounds.min_ttl, |ttl| ttl.max(bounds.min_ttl)),
        max_ttl: domain
            .and_then(|domain| seconds(domain.max_ttl))
            .map_or(bounds.max_ttl, |ttl| ttl.min(bounds.max_ttl)),
        ..bounds.clone()
    }
}
