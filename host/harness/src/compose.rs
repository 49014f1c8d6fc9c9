//! Several policies that decide together, one aspect each or more.

use std::sync::Arc;

use mcsdns_policy::{Aspect, LoadError, PolicySet};

use crate::workbench::{Candidate, Workbench};

/// A policy and what it is to decide.
#[derive(Clone, Debug)]
pub struct Part {
    /// The policy.
    pub candidate: Candidate,
    /// What it decides; empty: everything it answers that no other part was given by name.
    pub aspects: Vec<Aspect>,
}

/// Policies that decide together.
#[derive(Clone, Debug)]
pub struct Composed {
    /// Who answers what.
    pub set: Arc<PolicySet>,
    /// The aspects that no part answers, so that the policy in the box does.
    pub borrowed: Vec<Aspect>,
}

/// Policies cannot decide together.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ComposeError {
    /// One of them cannot be loaded.
    #[error("{origin}: refused ({}): {error}; `mcsdns policy inspect` tells more", error.reason())]
    Refused {
        /// Where it comes from.
        origin: String,
        /// Why.
        error: LoadError,
    },
    /// Two of them would decide the same.
    #[error("{first} and {second} both decide {aspect}; say which one does: {aspect}={first}")]
    Twice {
        /// What both decide.
        aspect: Aspect,
        /// Where the one comes from.
        first: String,
        /// Where the other comes from.
        second: String,
    },
}

impl ComposeError {
    /// Stable, CamelCase.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Refused { error, .. } => error.reason(),
            Self::Twice { .. } => "AspectTwice",
        }
    }
}

/// Puts policies in charge; the one in the box answers what they leave open.
///
/// # Errors
/// When one is refused, does not answer what it was given, or two would decide the same.
pub fn compose(workbench: &Workbench, parts: &[Part]) -> Result<Composed, ComposeError> {
    let refused = |part: &Part, error| ComposeError::Refused { origin: part.candidate.origin.clone(), error };
    let load = |part: &Part| workbench.policy(&part.candidate).map_err(|error| refused(part, error));
    let loaded = parts.iter().map(|part| Ok((part, load(part)?))).collect::<Result<Vec<_>, _>>()?;
    let decider = |aspect: Aspect| {
        let mut able: Vec<_> = loaded.iter().filter(|(part, _)| part.aspects.contains(&aspect)).collect();
        if able.is_empty() {
            able = loaded.iter().filter(|(part, own)| part.aspects.is_empty() && own.implements(aspect)).collect();
        }
        match able.as_slice() {
            [] => Ok(None),
            [(_, policy)] if policy.implements(aspect) => Ok(Some(Arc::clone(policy))),
            [(part, policy)] => {
                let implemented: Vec<_> = policy.aspects().iter().map(|aspect| aspect.as_str()).collect();
                Err(refused(part, LoadError::AspectMissing { aspect, implemented: implemented.join(", ") }))
            }
            [(first, _), (second, _), ..] => Err(ComposeError::Twice {
                aspect,
                first: first.candidate.origin.clone(),
                second: second.candidate.origin.clone(),
            }),
        }
    };
    let deciders = [decider(Aspect::Naming)?, decider(Aspect::Selection)?, decider(Aspect::Ttl)?];
    let open = Aspect::ALL.into_iter().zip(&deciders).filter(|(_, decider)| decider.is_none());
    let borrowed: Vec<Aspect> = open.map(|(aspect, _)| aspect).collect();
    let boxed = Part { candidate: Candidate::boxed(), aspects: Vec::new() };
    let in_the_box = load(&boxed)?;
    let [naming, selection, ttl] = deciders.map(|decider| decider.unwrap_or_else(|| Arc::clone(&in_the_box)));
    let set = PolicySet::new(naming, selection, ttl).map_err(|error| refused(&boxed, error))?;
    Ok(Composed { set: Arc::new(set), borrowed })
}
