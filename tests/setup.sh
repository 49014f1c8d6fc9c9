#!/usr/bin/env bash
# Makes sure that everything the build and the tests need is there. Says what it does; does nothing when all is there.
set -euo pipefail
cd "$(dirname "$0")/.."

say() { printf 'setup: %s\n' "$*"; }
have() { command -v "$1" >/dev/null 2>&1 || [ -x "/usr/sbin/$1" ]; }
fail() { printf 'setup: %s\n' "$*" >&2; exit 1; }

# Debian packages, by the commands that tell whether they are missing.
packages=()
have cc || packages+=(gcc libc6-dev)
have named || packages+=(bind9)
have dig || packages+=(bind9-dnsutils)

have cargo || fail "cargo is missing; install Rust 1.95 (https://rustup.rs)"
have go || fail "go is missing; install Go 1.26 or later (https://go.dev/dl)"

wasm_target() {
    [ -n "${MCSDNS_DEFAULT_POLICY:-}" ] && return 0
    [ -d "$(rustc --print sysroot)/lib/rustlib/wasm32-unknown-unknown" ] && return 0
    [ -x /usr/bin/rustc ] && [ -e /usr/lib/rustlib/src/rust/library/std/Cargo.toml -o -e /usr/src/rustc-"$(/usr/bin/rustc --version | cut -d' ' -f2)"/library/std/Cargo.toml ]
}
if ! wasm_target; then
    say "the target wasm32-unknown-unknown is missing; trying rustup"
    if have rustup && rustup target add wasm32-unknown-unknown 2>/dev/null; then
        say "rustup installed it"
    else
        say "rustup cannot; Debian's rustc-web will build it from source"
        packages+=(rustc-web rust-web-src)
    fi
fi

if [ "${#packages[@]}" -gt 0 ]; then
    [ "$(id -u)" = 0 ] && have apt-get || fail "please install these packages first: ${packages[*]} (on Debian and Ubuntu: sudo apt-get install ${packages[*]})"
    say "installing ${packages[*]}"
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${packages[@]}" >/dev/null
fi

# The whole workspace at once: built package by package, shared dependencies would be compiled again for each set of
# features.
say "building the workspace"
cargo build --locked --workspace --bins

# API servers, etcd and ExternalDNS: found, or built once from Go modules into a cache outside this tree.
"${CARGO_TARGET_DIR:-target}/debug/testbed" build
