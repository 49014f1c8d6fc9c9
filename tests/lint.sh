#!/usr/bin/env bash
# Everything that is checked beside the tests. Stops at the first finding.
set -euo pipefail
cd "$(dirname "$0")/.."
step() { printf 'lint: %s\n' "$*"; }

step "formatting"
cargo fmt --all -- --check

step "clippy, warnings are errors"
cargo clippy --locked --workspace --all-targets --quiet -- -D warnings

step "documentation"
RUSTDOCFLAGS="-D warnings" cargo doc --locked --workspace --no-deps --quiet

# The light ones; the others are compiled together above, and each alone would compile the sandbox once more.
for crate in mcsdns-core mcsdns-default-policy mcsdns-toolchain mcsdns-house; do
    step "$crate compiles by itself"
    cargo check --locked --quiet -p "$crate"
done

step "the same for the policies and their SDK, which are a workspace of their own"
(
    cd plugins
    # Not --all: that goes for the crates of the host, too, which these depend on.
    cargo fmt -- --check
    cargo clippy --locked --workspace --all-targets --quiet -- -D warnings
    RUSTDOCFLAGS="-D warnings" cargo doc --locked --workspace --no-deps --quiet
)

if cargo deny --version >/dev/null 2>&1; then
    step "licences, bans and sources of dependencies"
    cargo deny --locked check --hide-inclusion-graph bans licenses sources
    cargo deny --locked --manifest-path plugins/Cargo.toml check --hide-inclusion-graph bans licenses sources
    if cargo deny fetch db >/dev/null 2>&1; then
        step "security advisories"
        cargo deny --locked check advisories
    else
        step "SKIPPED security advisories: the advisory database cannot be reached from here"
    fi
else
    step "SKIPPED cargo deny: it is not installed here (cargo install --locked cargo-deny)"
fi
