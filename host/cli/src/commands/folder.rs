//! What commands on a folder of manifests share.

use std::{
    net::{IpAddr, SocketAddr},
    path::Path,
    sync::Arc,
};

use anyhow::Context as _;
use jiff::Timestamp;
use mcsdns_core::index::Settings;
use mcsdns_local::{
    fleet::Fleet,
    limits::Limits,
    policy::{LoadedPolicy, load, load_with},
    problem::{Level, Problem},
    render::{Rendered, render_with},
    world::WorldOptions,
};
use mcsdns_rollout::PilotOptions;
use mcsdns_runtime::{HostTable, SandboxDecider};

use crate::{
    args::{Colour, FolderArgs, PolicyArgs},
    exit::wrong,
    print::{Paint, Style, plain},
};

/// An address with or without a port; 53 is that of DNS.
pub(crate) fn name_server(text: &str) -> Result<SocketAddr, String> {
    let with_port = || text.parse::<SocketAddr>().ok();
    let without = || text.parse::<IpAddr>().ok().map(|address| SocketAddr::new(address, 53));
    with_port()
        .or_else(without)
        .ok_or_else(|| format!("`{text}` is not an address such as 10.0.0.53, 127.0.0.1:5353 or [::1]:53"))
}

/// Loads the policy that the flags ask for.
pub(crate) fn policy(args: &PolicyArgs) -> anyhow::Result<LoadedPolicy> {
    load(args.policy.as_deref(), config(args)?.as_deref()).map_err(wrong)
}

/// As [`policy`], into a decider that is set up already.
pub(crate) fn policy_with(args: &PolicyArgs, decider: SandboxDecider) -> anyhow::Result<LoadedPolicy> {
    load_with(args.policy.as_deref(), config(args)?.as_deref(), decider).map_err(wrong)
}

fn config(args: &PolicyArgs) -> anyhow::Result<Option<String>> {
    let Some(path) = &args.policy_config else { return Ok(None) };
    std::fs::read_to_string(path).with_context(|| path.display().to_string()).map(Some).map_err(wrong)
}

/// Reads a file of host names.
pub(crate) fn hosts(path: Option<&Path>) -> anyhow::Result<HostTable> {
    let Some(path) = path else { return Ok(HostTable::default()) };
    let text = std::fs::read_to_string(path).with_context(|| path.display().to_string()).map_err(wrong)?;
    text.parse().with_context(|| path.display().to_string()).map_err(wrong)
}

/// For the policies of a folder, whose Domains are where a controller would look for them unless told otherwise.
pub(crate) fn pilot_options(settings: &Settings) -> PilotOptions {
    PilotOptions {
        namespace: mcsdns_controller::options::NAMESPACE.into(),
        defaults: Default::default(),
        settings: settings.clone(),
        observer: Arc::new(()),
    }
}

/// Renders a folder, and says what is wrong with its manifests on standard error.
pub(crate) fn rendered(dir: &Path, args: &FolderArgs, colour: Colour) -> anyhow::Result<Rendered> {
    if !dir.is_dir() {
        return Err(wrong(anyhow::anyhow!("{}: there is no such folder", dir.display())));
    }
    let policy = policy(&args.policy)?;
    let hosts = hosts(args.hosts.as_deref())?;
    let now = args.now.unwrap_or_else(Timestamp::now);
    let fleet = Fleet::read(dir, &Limits::default(), now);
    complain(&fleet.problems, colour);
    let options = WorldOptions { now, settings: args.publish.settings(), hosts, group: args.publish.group() };
    let pilot = policy.pilot(pilot_options(&options.settings)).map_err(wrong)?;
    let known = fleet.problems.len();
    let rendered = render_with(fleet, policy.reference, &*policy.decider, options, Some(pilot))?;
    // Those of the manifests were told before anything was compiled.
    complain(rendered.problems.get(known..).unwrap_or_default(), colour);
    Ok(rendered)
}

/// Says what is wrong with manifests.
pub(crate) fn complain(problems: &[Problem], colour: Colour) {
    let paint = Paint::stderr(colour);
    for problem in problems {
        let (style, word) = match problem.level {
            Level::Error => (Style::Bad, "error:"),
            Level::Note => (Style::Dim, "note:"),
        };
        eprintln!("{} {}", paint.style(style, word), plain(&problem.to_string()));
    }
}

/// Whether any of the problems may have changed the result.
pub(crate) fn any_errors(problems: &[Problem]) -> bool {
    problems.iter().any(|problem| problem.level == Level::Error)
}
