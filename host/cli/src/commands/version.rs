//! `mcsdns version`.

use clap::Args;
use mcsdns_policy::SUPPORTED_VERSIONS;
use serde::Serialize;

use super::folder;
use crate::{
    args::{Output, PolicyArgs},
    exit::Verdict,
    print::{Out, Table},
};

/// Prints what this program is made of. The digest tells whether two programs have the same policy in the box.
#[derive(Args, Debug)]
pub(crate) struct VersionArgs {
    /// Form of the output
    #[arg(short, long, value_enum, default_value = "table")]
    output: Output,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Versions {
    version: &'static str,
    policy: Policy,
    policy_interfaces: Vec<String>,
}

#[derive(Serialize)]
struct Policy {
    name: String,
    version: String,
    digest: String,
    bytes: usize,
}

/// Prints it.
pub(crate) fn run(args: &VersionArgs, out: &mut Out) -> anyhow::Result<Verdict> {
    let policy = folder::policy(&PolicyArgs::default())?;
    let [policy, ..] = &policy.policies;
    let description = policy.description();
    let versions = Versions {
        version: env!("CARGO_PKG_VERSION"),
        policy: Policy {
            name: description.name.clone(),
            version: description.version.clone(),
            digest: policy.digest().to_string(),
            bytes: mcsdns_policy::default_policy_bytes().len(),
        },
        policy_interfaces: vec![SUPPORTED_VERSIONS.to_owned()],
    };
    if !out.data(args.output, &versions)? {
        let mut table = Table::default();
        let mut row = |what: &str, value: String| table.row([(None, what.to_owned()), (None, value)]);
        row("mcsdns", versions.version.to_owned());
        row("policy in the box", format!("{} {}", versions.policy.name, versions.policy.version));
        row("  digest", versions.policy.digest);
        row("  size", format!("{} bytes", versions.policy.bytes));
        row("policy interfaces", versions.policy_interfaces.join(", "));
        out.text(&table.render(out.paint, 0))?;
    }
    Ok(Verdict::Good)
}
