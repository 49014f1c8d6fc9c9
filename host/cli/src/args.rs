//! Flags of all commands.

use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};
use jiff::Timestamp;
use mcsdns_api::endpoint::EndpointGroup;
use mcsdns_core::{index::Settings, name::TxtAffix};

use crate::{
    commands::{completion, controller, crd, demo, explain, local, policy, render, version},
    duration::{Grace, parse_grace},
};

/// DNS names for one Service in several Kubernetes clusters, that follow the healthy clusters.
#[derive(Debug, Parser)]
#[command(
    name = "mcsdns",
    version,
    propagate_version = true,
    disable_help_subcommand = true,
    arg_required_else_help = true,
    max_term_width = 100,
    after_help = "Exit codes: 0 done; 1 the answer is no (something is wrong with what was looked at); 2 the call or its input is wrong; 3 something outside stands in the way."
)]
pub(crate) struct Args {
    /// Colours in the output (NO_COLOR is respected)
    #[arg(
        long = "color",
        global = true,
        value_name = "WHEN",
        value_enum,
        default_value = "auto",
        hide_possible_values = true
    )]
    pub(crate) colour: Colour,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the controller in, or against, the host cluster
    Controller(Box<controller::ControllerArgs>),
    /// Run the same loop on a folder of manifests, with DNS answers
    Local(local::LocalArgs),
    /// Walk through the guide on this machine, without any cluster
    Demo(demo::DemoArgs),
    /// Show the DNSEndpoints that a folder of manifests leads to
    Render(render::RenderArgs),
    /// Tell what stands behind the names of a record, and why
    Explain(explain::ExplainArgs),
    /// Make, test, look at and pack policies
    #[command(subcommand, arg_required_else_help = true)]
    Policy(policy::PolicyCommand),
    /// Print the CustomResourceDefinitions
    Crd(crd::CrdArgs),
    /// Print versions: of this program, of the policy in the box, of the policy interface
    Version(version::VersionArgs),
    /// Print a completion script for a shell
    Completion(completion::CompletionArgs),
}

/// When to use colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Colour {
    /// On a terminal.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// Form of the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// For people.
    Table,
    /// For programs.
    Yaml,
    /// For programs.
    Json,
}

/// Group of the DNSEndpoints.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Group {
    /// externaldns.k8s.io, which every ExternalDNS reads
    Externaldns,
    /// multiclusterdns.federation.k8s.io, as in the original guide, for ExternalDNS up to v0.20
    Guide,
}

impl From<Group> for EndpointGroup {
    fn from(group: Group) -> Self {
        match group {
            Group::Externaldns => Self::ExternalDns,
            Group::Guide => Self::Guide,
        }
    }
}

/// What decides how records are published; the same for the controller and for folders.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(crate) struct PublishArgs {
    /// How long the last known addresses of a cluster stay after it stopped answering, for example 300, 5m, 0 or
    /// `infinite`; a Domain may say otherwise
    #[arg(long, value_name = "TIME", default_value = "300s", value_parser = parse_grace, help_heading = "Publishing")]
    unreachable_grace: Grace,
    /// Bytes that --txt-prefix and --txt-suffix of ExternalDNS add to the first label of a name
    #[arg(long, value_name = "BYTES", default_value_t = 0, value_parser = parse_affix, help_heading = "Publishing")]
    txt_affix_length: usize,
    /// That affix contains %{record_type}, which then is not put in front any more
    #[arg(long, help_heading = "Publishing")]
    txt_affix_replaces_type: bool,
    /// Group in which DNSEndpoints are written
    #[arg(long, value_name = "GROUP", value_enum, default_value = "externaldns", help_heading = "Publishing")]
    dnsendpoint_group: Group,
}

impl PublishArgs {
    /// For the Index.
    pub(crate) fn settings(&self) -> Settings {
        Settings {
            grace_seconds: self.unreachable_grace.0,
            txt_affix: TxtAffix { label: self.txt_affix_length, replaces_type: self.txt_affix_replaces_type },
            ..Settings::default()
        }
    }

    /// Group of the DNSEndpoints.
    pub(crate) fn group(&self) -> EndpointGroup {
        self.dnsendpoint_group.into()
    }
}

fn parse_affix(text: &str) -> Result<usize, String> {
    let length: usize = text.parse().map_err(|_| format!("`{text}` is not a number"))?;
    if length <= 56 { Ok(length) } else { Err("more than 56 bytes leave no room for a name".to_owned()) }
}

/// A folder of manifests and how it is looked at.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct FolderArgs {
    /// Answers for host names of load balancers, in the manner of hosts(5): ADDRESS NAME ...
    #[arg(long, value_name = "FILE")]
    pub(crate) hosts: Option<PathBuf>,
    /// The time to count from, for example 2026-01-02T03:04:05Z [default: now]
    #[arg(long, value_name = "TIME")]
    pub(crate) now: Option<Timestamp>,
    #[command(flatten)]
    pub(crate) policy: PolicyArgs,
    #[command(flatten)]
    pub(crate) publish: PublishArgs,
}

/// Which policy decides.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct PolicyArgs {
    /// A policy to decide instead of the one in the box (a WebAssembly component)
    #[arg(long, value_name = "FILE.wasm", help_heading = "Policy")]
    pub(crate) policy: Option<PathBuf>,
    /// Its configuration, YAML or JSON
    #[arg(long, value_name = "FILE", requires = "policy", help_heading = "Policy")]
    pub(crate) policy_config: Option<PathBuf>,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_flags_make_sense() {
        Args::command().debug_assert();
    }
}
