//! A policy that misbehaves on request: its configuration, a string, says how. With `"behave"` it is a small policy
//! like any other, and every bad deed begins from there.
//!
//! The tests of the sandbox run it, and it is a short list of what a host must survive.

#[cfg(not(feature = "ttl-only"))]
mod answers;
#[cfg_attr(feature = "ttl-only", allow(dead_code, reason = "most deeds need more than one question"))]
mod deeds;

/// Generated from `wit/v0.1.0`.
#[allow(missing_docs, clippy::all, reason = "generated code")]
mod bindings {
    #[cfg(not(feature = "ttl-only"))]
    wit_bindgen::generate!({
        world: "policy",
        path: "../../wit/v0.1.0",
        generate_all,
    });
    #[cfg(feature = "ttl-only")]
    wit_bindgen::generate!({
        world: "ttl-policy",
        path: "../../wit/v0.1.0",
        generate_all,
    });
}

use std::sync::OnceLock;

use bindings::{
    exports::mcsdns::policy::{lifecycle, ttl},
    mcsdns::policy::types::{Aspect, Description, Needs, Outcome, Refusal, Subject, TtlAnswer},
};

/// The deed that was asked for.
static DEED: OnceLock<String> = OnceLock::new();

/// Implements the world.
struct Component;

bindings::export!(Component with_types_in bindings);

/// What is to be done wrong.
fn deed() -> &'static str {
    DEED.get().map_or("", String::as_str)
}

impl lifecycle::Guest for Component {
    fn describe() -> Description {
        Description {
            name: "misbehaving".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            aspects: if cfg!(feature = "ttl-only") {
                vec![Aspect::Ttl]
            } else {
                vec![Aspect::Naming, Aspect::Selection, Aspect::Ttl]
            },
            needs: Needs {
                addresses: true,
                annotations: vec!["misbehaving/annotation".to_owned()],
                cluster_labels: match deed() {
                    "need-one-label" => vec!["by/configuration".to_owned()],
                    _ => vec!["misbehaving/label".to_owned(), "other/label".to_owned()],
                },
                cluster_names: true,
                fqdns: true,
                ready_endpoints: true,
                state_age: true,
            },
            config_schema: Some(r#"{"type": "string"}"#.to_owned()),
        }
    }

    fn configure(config: String) -> Result<(), String> {
        match config.trim_matches('"') {
            "loop-in-configure" => deeds::run_for_ever(),
            "grow-in-configure" => deeds::grow(),
            "panic-in-configure" => panic!("asked to"),
            "refuse-in-configure" => return Err("asked to".to_owned()),
            "log-in-configure" => deeds::log("configured"),
            _ => {}
        }
        DEED.set(config.trim_matches('"').to_owned()).map_err(|_| "configured twice".to_owned())
    }
}

impl ttl::Guest for Component {
    fn ttls(_subject: Subject, outcomes: Vec<Outcome>) -> Result<TtlAnswer, Refusal> {
        let ttls = match deed() {
            "loop-in-ttls" => deeds::run_for_ever(),
            "panic-in-ttls" => panic!("asked to"),
            "ttl-zero" => vec![0; outcomes.len()],
            "ttl-huge" => vec![u32::MAX; outcomes.len()],
            "too-few-ttls" => Vec::new(),
            _ => vec![60; outcomes.len()],
        };
        Ok(TtlAnswer { ttls, recheck_after_seconds: None })
    }
}
