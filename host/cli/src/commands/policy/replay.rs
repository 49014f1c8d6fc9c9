//! `mcsdns policy replay`.

use std::path::PathBuf;

use clap::Args;
use mcsdns_harness::{
    bundle::{Answerer, BUNDLE_BYTES, Bundle, replay},
    workbench::{Candidate, Workbench},
};

use super::{candidate, config, grouped, load, micros};
use crate::{
    args::Output,
    exit::{Verdict, wrong},
    print::{Out, Style, plain},
};

/// Makes a decision again that `mcsdns explain --bundle FILE` wrote down: with the policy that made it, to see whether it
/// still decides so, or with another one, to see what that would have done. The exit code is 1 when it comes out
/// differently.
#[derive(Args, Debug)]
pub(crate) struct ReplayArgs {
    /// The bundle
    #[arg(value_name = "BUNDLE")]
    bundle: PathBuf,
    /// The policy: a component, a ConfigMap manifest with one, or `box` for the policy in the box
    #[arg(long, value_name = "FILE.wasm", default_value = "box")]
    policy: PathBuf,
    /// Its configuration, YAML or JSON
    #[arg(long, alias = "policy-config", value_name = "FILE")]
    config: Option<PathBuf>,
    /// Form of the output
    #[arg(short, long, value_enum, default_value = "table")]
    output: Output,
}

/// Replays.
pub(super) fn run(args: &ReplayArgs, out: &mut Out) -> anyhow::Result<Verdict> {
    let bundle = read(args)?;
    let mut candidate: Candidate = candidate(&args.policy)?;
    if let Some(config) = config(args.config.as_deref())? {
        candidate.config = Some(config);
    }
    let loaded = load(&Workbench::new()?, &candidate)?;
    let replay = replay(&bundle, &loaded.set);
    if !out.data(args.output, &replay)? {
        out.line(format!(
            "{} {} of Domain {}, decided at {}",
            out.paint.style(Style::Title, "ServiceDNSRecord"),
            plain(&bundle.record),
            plain(&bundle.domain),
            plain(&bundle.time)
        ))?;
        out.line(format!("  then  {}", plain(&who(&replay.policies_then))))?;
        let same = if replay.same_policies { " (the same)" } else { "" };
        out.line(format!("  now   {}{same}", plain(&who(&replay.policies_now))))?;
        out.line(format!("  cost  fuel {}, {}", grouped(replay.fuel), micros(replay.micros)))?;
        for missing in &replay.missing {
            let text = format!("the bundle does not know {missing}, which this policy wants to be told");
            out.line(format!("  {}", out.paint.style(Style::Warn, &plain(&text))))?;
        }
        out.line("")?;
        for line in replay.difference().lines() {
            let style = match line.get(..1) {
                Some("+") => Some(Style::Good),
                Some("-") => Some(Style::Bad),
                _ => None,
            };
            let line = plain(line);
            out.line(style.map_or_else(|| line.clone(), |style| out.paint.style(style, &line)))?;
        }
        let (style, text) = match (replay.same, replay.same_policies, replay.same_answer) {
            (true, _, true) => (Style::Good, "The answer is the same."),
            (true, _, false) => (Style::Good, "The same would be published; reasons or order differ."),
            (false, true, _) => {
                (Style::Bad, "The same policy decides differently: it is not deterministic, or mcsdns has changed.")
            }
            (false, false, _) => (Style::Warn, "Something else would be published."),
        };
        out.line(out.paint.style(style, text))?;
    }
    Ok(Verdict::good_if(replay.same))
}

fn read(args: &ReplayArgs) -> anyhow::Result<Bundle> {
    let path = args.bundle.display();
    let io = |error: std::io::Error| wrong(anyhow::anyhow!("{path}: {error}"));
    let size = std::fs::metadata(&args.bundle).map_err(io)?.len();
    if size > BUNDLE_BYTES {
        return Err(wrong(anyhow::anyhow!("{path}: has {size} bytes; a bundle has at most {BUNDLE_BYTES}")));
    }
    let text = std::fs::read_to_string(&args.bundle).map_err(io)?;
    Bundle::read(&text).map_err(|error| wrong(anyhow::anyhow!("{path}: {error}")))
}

/// Who answered, once if it is one for all.
fn who(answerers: &[Answerer]) -> String {
    let one = |answerer: &Answerer| {
        let digest = answerer.digest.as_deref().map_or("not known", |digest| digest.get(..12).unwrap_or(digest));
        let config = answerer.config_digest.as_deref().and_then(|digest| digest.get(..12));
        let config = config.map_or_else(String::new, |digest| format!(", configuration {digest}…"));
        format!("{} (sha256 {digest}…{config})", answerer.title)
    };
    match answerers.split_first() {
        Some((first, rest)) if rest.iter().all(|other| one(other) == one(first)) => one(first),
        _ => answerers
            .iter()
            .map(|answerer| format!("{}: {}", answerer.aspect, one(answerer)))
            .collect::<Vec<_>>()
            .join(", "),
    }
}
