#!/bin/sh
# Tests the example policies: unit tests natively, then every component against its cases and the conformance suite.
# MCSDNS names the binary to test with; without it, the one this repository has built. Components in JavaScript are tested
# where they have been built (few-targets-js/build.sh).
set -eu
cd "$(dirname "$0")"
mcsdns=${MCSDNS:-../target/debug/mcsdns}
if [ ! -x "$mcsdns" ]; then
    echo "there is no $mcsdns: build it (cargo build --workspace --bins), or name one in MCSDNS" >&2
    exit 2
fi
case $mcsdns in
    /*) ;;
    *) mcsdns=$PWD/$mcsdns ;;
esac
cargo test --quiet --locked --workspace
./build.sh
failed=
for component in target/policies/*.wasm; do
    name=$(basename "$component" .wasm)
    [ -d "$name/cases" ] || continue
    echo "== $name"
    policy=$component
    if [ "$name" = few-targets-js ]; then
        # As its README says: an interpreter needs more than the usual fuel for a thousand clusters.
        policy=target/policies/$name.yaml
        "$mcsdns" policy pack "$component" --name "$name" --budget fuel=100000000 --out "$policy"
    fi
    "$mcsdns" policy test "$name/cases" --policy "$policy" || failed="$failed $name"
done
if [ -n "$failed" ]; then
    echo "failed:$failed" >&2
    exit 1
fi
