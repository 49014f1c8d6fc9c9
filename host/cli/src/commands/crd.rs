//! `mcsdns crd`.

use clap::Args;
use serde_json::json;

use crate::{args::Output, exit::Verdict, print::Out};

/// Prints the CustomResourceDefinitions, for `kubectl apply --server-side -f -`.
#[derive(Args, Debug)]
pub(crate) struct CrdArgs {
    /// Also the DNSEndpoint of the original guide's group, for ExternalDNS up to v0.20
    #[arg(long)]
    with_guide_dnsendpoint: bool,
    /// Form of the output
    #[arg(short, long, value_enum, default_value = "yaml")]
    output: CrdOutput,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum CrdOutput {
    /// A stream of documents.
    Yaml,
    /// A List.
    Json,
}

/// Prints them.
pub(crate) fn run(args: &CrdArgs, out: &mut Out) -> anyhow::Result<Verdict> {
    match args.output {
        CrdOutput::Yaml => out.text(&mcsdns_api::crd::crds_yaml(args.with_guide_dnsendpoint)?)?,
        CrdOutput::Json => {
            let items = mcsdns_api::crd::manifests(args.with_guide_dnsendpoint);
            let list = json!({ "apiVersion": "v1", "kind": "List", "metadata": {}, "items": items });
            out.data(Output::Json, &list)?;
        }
    }
    Ok(Verdict::Good)
}
