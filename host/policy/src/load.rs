//! From bytes to a policy.

use std::{sync::Arc, time::Instant};

use crate::{
    budget::Budget,
    compiled::{Compiled, Digest},
    config::{self, Schema},
    engine::{Engine, Inner},
    error::{Aspect, LoadError, RunError},
    policy::{Configured, Description, Policy},
    session::Session,
    snapshot,
    state::LogLine,
};

/// Longest name and version of a policy.
const WORD_BYTES: usize = 64;
/// Most keys of annotations, or of labels, that a policy may ask for.
const KEYS: usize = 64;
/// Longest of these keys: a prefix of 253, a slash and a name of 63.
const KEY_BYTES: usize = 317;

/// What is to become a policy.
#[derive(Clone, Copy, Debug)]
pub struct LoadRequest<'a> {
    /// What to call it in errors and metrics: the name of the object it comes from.
    pub name: &'a str,
    /// The component.
    pub bytes: &'a [u8],
    /// Its sha256 in hexadecimal digits, when it was declared.
    pub sha256: Option<&'a str>,
    /// Its configuration, in YAML or JSON.
    pub config: Option<&'a str>,
    /// What it may use.
    pub budget: Budget,
}

impl<'a> LoadRequest<'a> {
    /// A component without configuration, with the usual budget.
    #[must_use]
    pub fn new(name: &'a str, bytes: &'a [u8]) -> Self {
        Self { name, bytes, sha256: None, config: None, budget: Budget::default() }
    }
}

impl Engine {
    /// Checks, compiles and configures a component.
    ///
    /// Takes some ten milliseconds for a small component and a second for a large one; not for a thread that others
    /// wait for. One component is compiled at a time. What is in use already is not compiled again.
    ///
    /// # Errors
    ///
    /// Says in plain words why the component cannot be a policy.
    pub fn load(&self, request: &LoadRequest<'_>) -> Result<Arc<Policy>, LoadError> {
        let begin = Instant::now();
        let engine = &**self.inner();
        let budget = request.budget;
        if let Some((limit, asked, allowed)) = budget.above(&self.limits().ceiling) {
            return Err(LoadError::BudgetTooHigh { limit, asked, allowed });
        }
        let digest = check_bytes(request)?;
        let config = request.config.map(|text| config::parse(text, budget.config_bytes)).transpose()?;

        let base = Compiled::new(engine, digest, request.bytes)?;
        let mut log = Vec::new();
        let description = describe(engine, &base, &budget, &mut log)?;
        let schema = description.config_schema.as_deref().map(Schema::new).transpose()?;
        let config = match (&schema, config) {
            (None, None | Some(serde_json::Value::Null)) => None,
            (None, Some(_)) => {
                return Err(LoadError::ConfigInvalid {
                    place: String::new(),
                    problem: "this policy takes none".to_owned(),
                });
            }
            // Without a configuration a policy gets an empty one, and its schema says whether that will do.
            (Some(schema), config) => {
                let empty = || serde_json::Value::Object(serde_json::Map::new());
                let config = config.filter(|config| !config.is_null()).unwrap_or_else(empty);
                schema.check(&config)?;
                Some(config.to_string())
            }
        };
        let (compiled, configured, description) = match &config {
            None => (Arc::clone(&base), Configured::Not, description),
            Some(config) => {
                let (compiled, configured) =
                    configure(engine, digest, request.bytes, &base, config, &budget, &mut log)?;
                let needs = needs_of(engine, &compiled, &configured, config, &budget)?;
                (compiled, configured, Description { needs: needs.needs, fqdns: needs.fqdns, ..description })
            }
        };
        Ok(Arc::new(Policy {
            engine: self.clone(),
            anatomy: base.anatomy,
            compile_micros: base.compile_micros,
            compiled,
            name: Arc::from(request.name),
            digest,
            config,
            configured,
            description,
            budget,
            load_micros: u64::try_from(begin.elapsed().as_micros()).unwrap_or(u64::MAX),
            log,
        }))
    }
}

/// Size and digest; the digest before anything looks into the bytes.
fn check_bytes(request: &LoadRequest<'_>) -> Result<Digest, LoadError> {
    let limit = usize::try_from(request.budget.component_bytes).unwrap_or(usize::MAX);
    if request.bytes.len() > limit {
        return Err(LoadError::TooLarge { bytes: request.bytes.len(), limit });
    }
    let digest = Digest::of(request.bytes);
    match request.sha256.map(str::trim) {
        Some(expected) if !expected.eq_ignore_ascii_case(&digest.to_string()) => {
            Err(LoadError::DigestMismatch { expected: expected.to_owned(), actual: digest.to_string() })
        }
        _ => Ok(digest),
    }
}

/// Compares the types of the exports with the interface, then asks the policy about itself.
fn describe(
    engine: &Inner,
    compiled: &Compiled,
    budget: &Budget,
    log: &mut Vec<LogLine>,
) -> Result<Description, LoadError> {
    let failed = |error: RunError| LoadError::Run { step: "describe", error };
    let _permit = engine.permits.acquire(1);
    let mut session =
        Session::start(engine, compiled, budget).map_err(|error| LoadError::Run { step: "start", error })?;
    session.typecheck()?;
    let description = session.describe();
    log.append(&mut session.store.data_mut().log.lines);
    let description = description.map_err(failed)?;
    check_description(&description, compiled.world.exported())?;
    Ok(description)
}

/// What a policy needs as it is configured: which labels, for example, may be up to its configuration. Everything else
/// it said of itself before stays.
fn needs_of(
    engine: &Inner,
    compiled: &Compiled,
    configured: &Configured,
    config: &str,
    budget: &Budget,
) -> Result<Description, LoadError> {
    let failed = |error: RunError| LoadError::Run { step: "describe", error };
    let _permit = engine.permits.acquire(1);
    let mut session = Session::start(engine, compiled, &snapshot::for_configure(budget)).map_err(failed)?;
    if let Configured::EveryTime { .. } = configured {
        session.configure(config).map_err(failed)?.map_err(LoadError::ConfigRefused)?;
    }
    let description = session.describe().map_err(failed)?;
    check_description(&description, compiled.world.exported())?;
    Ok(description)
}

fn check_description(description: &Description, exported: &[Aspect]) -> Result<(), LoadError> {
    let bad = |field, problem: String| Err(LoadError::BadDescription { field, problem });
    for (field, word) in [("name", &description.name), ("version", &description.version)] {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.+".contains(&byte);
        if word.is_empty() || word.len() > WORD_BYTES || !word.bytes().all(plain) {
            return bad(field, format!("must be 1 to {WORD_BYTES} letters, digits, `-`, `_`, `.` or `+`"));
        }
    }
    let mut declared = description.aspects.clone();
    declared.sort_unstable();
    declared.dedup();
    if declared.len() != description.aspects.len() {
        return bad("aspects", "one is named twice".to_owned());
    }
    if declared != exported {
        let list = |aspects: &[Aspect]| aspects.iter().map(|it| it.as_str()).collect::<Vec<_>>().join(", ");
        return bad("aspects", format!("declared are {}; exported are {}", list(&declared), list(exported)));
    }
    for (field, keys) in [
        ("needs.cluster-labels", &description.needs.cluster_labels),
        ("needs.annotations", &description.needs.annotations),
    ] {
        if keys.len() > KEYS {
            return bad(field, format!("{} keys, the limit is {KEYS}", keys.len()));
        }
        if let Some(key) = keys.iter().find(|key| key.is_empty() || key.len() > KEY_BYTES) {
            return bad(field, format!("a key has {} bytes; 1 to {KEY_BYTES} are allowed", key.len()));
        }
    }
    Ok(())
}

/// Configures once if the component allows it.
fn configure(
    engine: &Inner,
    digest: Digest,
    bytes: &[u8],
    base: &Arc<Compiled>,
    config: &str,
    budget: &Budget,
    log: &mut Vec<LogLine>,
) -> Result<(Arc<Compiled>, Configured), LoadError> {
    let configured_digest = digest.with_config(config);
    if let Some(compiled) = engine.cached(&configured_digest) {
        return Ok((compiled, Configured::Once));
    }
    let because = match snapshot::configure(engine, digest, bytes, config, budget, log)? {
        snapshot::Outcome::Snapshot(bytes) => match Compiled::new(engine, configured_digest, &bytes) {
            Ok(compiled) => return Ok((compiled, Configured::Once)),
            Err(error) => error.to_string(),
        },
        snapshot::Outcome::Impossible(because) => because,
    };
    // The configuration is tried here all the same, so that a refusal is heard now and not at the first decision.
    let failed = |error: RunError| LoadError::Run { step: "configure", error };
    let _permit = engine.permits.acquire(1);
    let mut session = Session::start(engine, base, budget).map_err(failed)?;
    let answer = session.configure(config);
    log.append(&mut session.store.data_mut().log.lines);
    answer.map_err(failed)?.map_err(LoadError::ConfigRefused)?;
    Ok((Arc::clone(base), Configured::EveryTime { because }))
}
