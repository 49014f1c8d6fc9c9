//! `mcsdns render`.

use std::path::PathBuf;

use clap::Args;
use mcsdns_core::status::ConditionStatus;
use mcsdns_local::render::Rendered;
use serde_json::json;

use super::folder::{any_errors, rendered};
use crate::{
    args::{Colour, FolderArgs, Output},
    exit::Verdict,
    print::{Out, Style, Table},
};

/// Prints the DNSEndpoints that the controller would write, without touching anything and without a network.
#[derive(Args, Debug)]
pub(crate) struct RenderArgs {
    /// The folder: DIR/host/*.yaml and DIR/clusters/NAME/*.yaml
    #[arg(short = 'f', long = "folder", value_name = "DIR")]
    dir: PathBuf,
    /// Form of the output
    #[arg(short, long, value_enum, default_value = "table")]
    output: Output,
    #[command(flatten)]
    folder: FolderArgs,
}

/// Renders.
pub(crate) fn run(args: &RenderArgs, out: &mut Out, colour: Colour) -> anyhow::Result<Verdict> {
    let rendered = rendered(&args.dir, &args.folder, colour)?;
    match args.output {
        Output::Json => {
            let list = json!({ "apiVersion": "v1", "kind": "List", "metadata": {}, "items": rendered.objects });
            out.line(serde_json::to_string_pretty(&list)?)?;
        }
        Output::Yaml => {
            for object in &rendered.objects {
                out.text(&format!("---\n{}", serde_saphyr::to_string(object)?))?;
            }
        }
        Output::Table => table(&rendered, out)?,
    }
    Ok(Verdict::good_if(!any_errors(&rendered.problems)))
}

fn table(rendered: &Rendered, out: &mut Out) -> anyhow::Result<()> {
    let mut endpoints = Table::new(&["RECORD", "NAME", "TTL", "TYPE", "TARGETS"]);
    for object in &rendered.objects {
        let name = object.metadata.name.as_deref().unwrap_or_default();
        let record = name.strip_prefix("service-").unwrap_or(name);
        let record = format!("{}/{record}", object.metadata.namespace.as_deref().unwrap_or_default());
        for endpoint in &object.spec.endpoints {
            let set = endpoint.set_identifier.as_ref().map_or_else(String::new, |set| format!(" [{set}]"));
            endpoints.row([
                (None, record.clone()),
                (None, endpoint.dns_name.clone()),
                (None, endpoint.record_ttl.to_string()),
                (None, format!("{}{set}", endpoint.record_type)),
                (None, endpoint.targets.join(", ")),
            ]);
        }
    }
    if endpoints.is_empty() {
        out.line("Nothing would be published.")?;
    } else {
        out.text(&endpoints.render(out.paint, 0))?;
    }
    let mut said = Table::new(&["RECORD", "CONDITION", "WHY"]);
    for (record, status) in &rendered.statuses {
        for condition in &status.conditions {
            let wanted = if &*condition.kind == "Degraded" { ConditionStatus::False } else { ConditionStatus::True };
            if condition.status != wanted {
                said.row([
                    (None, record.to_string()),
                    (
                        Some(Style::Warn),
                        format!("{}={} {}", condition.kind, condition.status.as_str(), condition.reason),
                    ),
                    (None, condition.message.to_string()),
                ]);
            }
        }
    }
    if !said.is_empty() {
        out.line("")?;
        out.text(&said.render(out.paint, 0))?;
    }
    Ok(())
}
