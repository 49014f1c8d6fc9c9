# The two commands of the README, and what they are made of. Everything that is missing is built or installed on the
# way, and says so.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

.PHONY: help
help: ## Show what can be done
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

.PHONY: demo
demo: setup ## Walk through the guide on real API servers, ExternalDNS and BIND
	@target/debug/guide

.PHONY: test
test: setup ## Run every test there is
	cargo test --locked --workspace --no-fail-fast
	cargo build --locked --workspace --bins
	plugins/test.sh

.PHONY: test-fast
test-fast: ## Run the tests that need no servers
	cargo test --locked --workspace --exclude mcsdns-e2e --exclude mcsdns-testbed --exclude mcsdns-controller

.PHONY: lint
lint: setup ## Formatting, clippy, docs, crates alone, licences
	@tests/lint.sh

.PHONY: bench
bench: setup ## Benchmarks; figures go to docs/performance.md by hand
	plugins/build.sh
	cargo bench --locked -p mcsdns-bench
	cargo build --locked --release --bin mcsdns
	cargo bench --locked -p mcsdns-e2e

.PHONY: build
build: setup ## Build the release binary target/release/mcsdns
	cargo build --locked --release -p mcsdns-cli

.PHONY: setup
setup: ## Install or build what the tests need (compiler, wasm toolchain, BIND, API servers, ExternalDNS)
	@tests/setup.sh

.PHONY: generate
generate: ## Write the generated files again (CRDs)
	cargo run --quiet --locked -p mcsdns-cli -- crd > deploy/crds.yaml
