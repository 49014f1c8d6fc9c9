//! What a policy is known by through restarts.

use std::{fmt::Write as _, sync::Arc};

use mcsdns_policy::{Digest, Policy};
use sha2::{Digest as _, Sha256};

/// Hexadecimal digits of a revision: 128 bits, so that nobody meets the same one twice.
const DIGITS: usize = 32;
/// Hexadecimal digits of the name of a rollout, which people copy into an annotation.
const ROLLOUT_DIGITS: usize = 16;

/// Component, configuration and budget together: policies of the same revision answer alike.
#[must_use]
pub fn revision(policy: &Policy) -> Arc<str> {
    // The budget by its numbers, whatever order and format they were written in.
    let budget = serde_json::to_string(policy.budget()).unwrap_or_default();
    short(&[policy.digest().to_string().as_str(), policy.config().unwrap_or_default(), &budget], DIGITS)
}

/// All policies that would take over together: the value of the annotation that allows it.
#[must_use]
pub fn rollout(revisions: [&str; 3]) -> Arc<str> {
    short(&revisions, ROLLOUT_DIGITS)
}

/// Tells apart contents of a ConfigMap.
#[must_use]
pub(crate) fn fingerprint(map: &mcsdns_api::convert::PolicyMap) -> Digest {
    let mut hash = Sha256::new();
    let mut add = |part: &[u8]| {
        hash.update(part.len().to_le_bytes());
        hash.update(part);
    };
    for (key, value) in &map.data {
        add(key.as_bytes());
        add(value.as_bytes());
    }
    add(b"binary");
    for (key, value) in &map.binary {
        add(key.as_bytes());
        add(value);
    }
    add(map.malformed.as_ref().map_or("", |malformed| &malformed.message).as_bytes());
    Digest::of(&hash.finalize())
}

fn short(parts: &[&str], digits: usize) -> Arc<str> {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part.len().to_le_bytes());
        hash.update(part);
    }
    let mut text = String::new();
    for byte in hash.finalize().iter().take(digits / 2) {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text.into()
}
