//! What a nested cargo must not inherit.

use std::{ffi::OsStr, process::Command};

/// Variables of cargo that say how to reach registries or where things are cached; a nested cargo needs them too.
const KEPT: [&str; 5] = ["CARGO_HOME", "CARGO_HTTP_", "CARGO_NET_", "CARGO_REGISTRIES_", "CARGO_REGISTRY_"];

/// Variables, or beginnings of variables, that carry settings of the outer build into an inner one.
const DROPPED: [&str; 21] = [
    "CARGO",
    "__CARGO",
    "CLIPPY_",
    "DEBUG",
    "DEP_",
    "HOST",
    "MAKEFLAGS",
    "MAKELEVEL",
    "MFLAGS",
    "NUM_JOBS",
    "OPT_LEVEL",
    "OUT_DIR",
    "PROFILE",
    "RUSTC",
    "RUSTDOC",
    "RUSTFLAGS",
    "RUSTC_WRAPPER",
    "RUSTC_WORKSPACE_WRAPPER",
    "RUST_RECURSION_COUNT",
    "SOURCE_DATE_EPOCH",
    "TARGET",
];

/// Names that end a word: `HOST` must not drop `HOSTNAME`, while `RUSTC` is meant to drop `RUSTC_BOOTSTRAP`.
const EXACT: [&str; 8] = ["DEBUG", "HOST", "MAKEFLAGS", "NUM_JOBS", "OUT_DIR", "PROFILE", "TARGET", "MFLAGS"];

/// Whether a nested cargo may see the variable.
fn kept(name: &str) -> bool {
    if KEPT.iter().any(|prefix| name.starts_with(prefix)) {
        return true;
    }
    !DROPPED.iter().any(|dropped| if EXACT.contains(dropped) { name == *dropped } else { name.starts_with(dropped) })
}

/// Removes what belongs to the outer build from the environment of `command`.
pub(crate) fn clean(command: &mut Command) {
    for (name, _) in std::env::vars_os() {
        if !name.to_str().is_none_or(kept) {
            command.env_remove(&name);
        }
    }
}

/// A path as the flags of a compiler take it.
pub(crate) fn lossy(path: &OsStr) -> String {
    path.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::kept;

    #[test]
    fn settings_of_the_outer_build_stay_outside() {
        for name in [
            "CARGO",
            "CARGO_ENCODED_RUSTFLAGS",
            "CARGO_MAKEFLAGS",
            "CARGO_PROFILE_RELEASE_LTO",
            "CARGO_TARGET_DIR",
            "CLIPPY_ARGS",
            "HOST",
            "OUT_DIR",
            "RUSTC",
            "RUSTC_BOOTSTRAP",
            "RUSTC_WORKSPACE_WRAPPER",
            "RUSTFLAGS",
            "TARGET",
        ] {
            assert!(!kept(name), "{name}");
        }
    }

    #[test]
    fn the_way_to_registries_and_tools_stays_open() {
        for name in ["CARGO_HOME", "CARGO_HTTP_CAINFO", "HOME", "HOSTNAME", "PATH", "RUSTUP_HOME", "RUSTUP_TOOLCHAIN"] {
            assert!(kept(name), "{name}");
        }
    }
}
