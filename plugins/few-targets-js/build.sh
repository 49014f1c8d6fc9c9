#!/bin/sh
# Builds plugins/target/policies/few-targets-js.wasm with componentize-qjs, which brings QuickJS. Needs Node.js and npm.
# No part of CI: what the tool downloads is several times the size of everything else here.
set -eu
cd "$(dirname "$0")"
tool=../target/componentize-qjs
if [ ! -x "$tool/node_modules/.bin/componentize-qjs" ]; then
    mkdir -p "$tool"
    npm install --silent --no-audit --no-fund --prefix "$tool" componentize-qjs@0.4.5
fi
mkdir -p ../target/policies
# Not the asynchronous ABI, and no WASI: a policy gets neither.
"$tool/node_modules/.bin/componentize-qjs" --wit ../sdk/wit/v0.1.0 --world selection-policy --js policy.js \
    --sync --stub-wasi --opt-size --minify -o ../target/policies/few-targets-js.wasm
