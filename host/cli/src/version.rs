//! `mcsdns version`.

use clap::ValueEnum;
use mcsdns_policy::{Aspect, SUPPORTED_VERSIONS};
use serde_json::json;

use crate::{
    exit::{self, Outcome},
    policies,
};

/// Form of the output.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum Output {
    /// For people.
    #[default]
    Text,
    /// For programs.
    Json,
}

/// Arguments of `version`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Form of the output.
    #[arg(short, long, value_enum, default_value = "text")]
    output: Output,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<Outcome> {
    let policies = policies::in_the_box()?;
    let policy = policies.policy(Aspect::Naming);
    let versions: Vec<String> = SUPPORTED_VERSIONS.iter().map(ToString::to_string).collect();
    let text = match args.output {
        Output::Text => format!(
            "mcsdns {}\npolicy in the box: {} (sha256 {})\npolicy interface: mcsdns:policy@{}\n",
            env!("CARGO_PKG_VERSION"),
            policy.title(),
            policy.digest(),
            versions.join(", "),
        ),
        Output::Json => format!(
            "{}\n",
            json!({
                "version": env!("CARGO_PKG_VERSION"),
                "policy": {"title": policy.title(), "sha256": policy.digest().to_string()},
                "policyInterface": versions,
            })
        ),
    };
    exit::print(text.as_bytes())
}
