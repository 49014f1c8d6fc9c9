//! What commands that read from a cluster share.

use std::path::PathBuf;

use clap::Args;
use jiff::Timestamp;
use mcsdns_api::endpoint::EndpointGroup;
use mcsdns_controller::{
    Options,
    live::{Live, LiveError},
};
use mcsdns_harness::known;
use mcsdns_local::fleet::Fleet;
use mcsdns_runtime::HostTable;

use super::{block_on, controller};
use crate::{exit::wrong, logging};

/// Which cluster to read from.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Cluster")]
pub(crate) struct LiveArgs {
    /// Kubeconfig of the host cluster [default: the service account of the pod]
    #[arg(long, value_name = "FILE", env = "KUBECONFIG")]
    pub(crate) kubeconfig: Option<PathBuf>,
    /// Context of the kubeconfig [default: its current one]
    #[arg(long, value_name = "NAME")]
    pub(crate) context: Option<String>,
    /// Namespace of Domains and MemberClusters
    #[arg(long, value_name = "NAME", default_value = mcsdns_controller::options::NAMESPACE, env = "MCSDNS_NAMESPACE")]
    pub(crate) namespace: String,
}

impl LiveArgs {
    /// For connecting.
    pub(crate) fn options(&self, group: EndpointGroup) -> Options {
        Options {
            namespace: self.namespace.clone(),
            kubeconfig: self.kubeconfig.clone().filter(|path| !path.as_os_str().is_empty()),
            context: self.context.clone(),
            endpoint_group: group,
            ..Options::default()
        }
    }
}

/// What a cluster knows of all its records. Nothing is changed.
pub(crate) fn fleet(args: &LiveArgs, group: EndpointGroup, now: Timestamp) -> anyhow::Result<(Fleet, HostTable)> {
    logging::quiet();
    let options = args.options(group);
    let all = block_on(async move {
        let live = Live::connect(&options).await.map_err(classify)?;
        live.read_all().await.map_err(classify)
    })?;
    Ok(known::fleet(all.records, all.domains, all.members, all.published, now))
}

/// A record or kubeconfig that is not there is a wrong call; a cluster that does not answer is not.
pub(crate) fn classify(error: LiveError) -> anyhow::Error {
    match error {
        LiveError::NoSuchRecord(_) => wrong(error),
        LiveError::Connect(error) => controller::classify(error),
        _ => error.into(),
    }
}
