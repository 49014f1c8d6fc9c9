//! The policies a command runs with: the one in the box, or a file.

use std::path::Path;

use anyhow::Context;
use mcsdns_policy::{Engine, EngineLimits, LoadRequest, PolicySet};

/// Loads the policy in the box.
pub(crate) fn in_the_box() -> anyhow::Result<PolicySet> {
    load("default", mcsdns_policy::default_policy_bytes())
}

/// Loads a policy from a file; what it does not implement comes from the one in the box.
#[allow(dead_code, reason = "for subcommands that take --policy")]
pub(crate) fn from_file(path: &Path) -> anyhow::Result<PolicySet> {
    let bytes = std::fs::read(path).with_context(|| format!("cannot read the policy {}", path.display()))?;
    let engine = engine()?;
    let name = path.file_stem().map_or_else(|| "policy".into(), |stem| stem.to_string_lossy());
    let own = engine
        .load(&LoadRequest::new(&name, &bytes))
        .with_context(|| format!("{} cannot be a policy", path.display()))?;
    let default = engine.load(&LoadRequest::new("default", mcsdns_policy::default_policy_bytes()))?;
    let pick = |aspect| if own.implements(aspect) { own.clone() } else { default.clone() };
    use mcsdns_policy::Aspect;
    Ok(PolicySet::new(pick(Aspect::Naming), pick(Aspect::Selection), pick(Aspect::Ttl))?)
}

fn engine() -> anyhow::Result<Engine> {
    Engine::new(EngineLimits::default()).context("the sandbox cannot be started")
}

fn load(name: &str, bytes: &[u8]) -> anyhow::Result<PolicySet> {
    let policy = engine()?.load(&LoadRequest::new(name, bytes)).context("the policy in the box cannot be loaded")?;
    Ok(PolicySet::all(&policy)?)
}
