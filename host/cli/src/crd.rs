//! `mcsdns crd`.

use anyhow::Context;

use crate::exit::{self, Outcome};

/// Arguments of `crd`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Also print the DNSEndpoint of the original guide's group, which ExternalDNS up to v0.20 can be told to read.
    #[arg(long)]
    with_guide_dnsendpoint: bool,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<Outcome> {
    let yaml = mcsdns_api::crd::crds_yaml(args.with_guide_dnsendpoint).context("the definitions cannot be written")?;
    exit::print(yaml.as_bytes())
}
