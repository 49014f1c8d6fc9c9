#!/bin/sh
# Builds the example policies to plugins/target/policies/NAME.wasm: all of them, or those named.
set -eu
cd "$(dirname "$0")"
exec cargo run --quiet --locked -p mcsdns-build-policies -- "$@"
