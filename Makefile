# The only entry point: everything that is built, tested or started has a target here. `make` lists them.
# Versions are in versions.env. Variables: ARCH=amd64|arm64, NODES=1..4, AUDIT=1, KEEP=1, TEST=<filter>, BENCH=<sections>, FLEETS=<number>, FLEETSCOPE_* (docs/development.md).
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
MAKEFLAGS += --no-print-directory
.DEFAULT_GOAL := help
include versions.env

export FLEETSCOPE_CACHE ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/fleetscope
TARGET := $(or $(CARGO_TARGET_DIR),$(CURDIR)/target)
# One linker and one place of the object for all that is started from here, also when the target folder is not ./target.
export BPF_LINKER ?= $(FLEETSCOPE_CACHE)/bpf-linker-$(BPF_LINKER_VERSION)/bin/bpf-linker
export FLEETSCOPE_EBPF_OBJECT ?= $(TARGET)/ebpf/fleetscope.bpf.o
# A cluster that somebody uses is never touched: only FLEETSCOPE_KUBECONFIG names one on purpose.
unexport KUBECONFIG

SETUP := setup/setup.sh --only

.PHONY: help
help: ## this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  \033[1m%-16s\033[0m %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

.PHONY: setup
setup: ## install what building and testing need (eBPF compiler, test cluster, tools); a second run takes a second
	@setup/setup.sh

# --- build and generate

.PHONY: ebpf
ebpf: ## build the eBPF programs into TARGET/ebpf/fleetscope.bpf.o
	@$(SETUP) ebpf
	ebpf/build.sh

.PHONY: build
build: ebpf ## build all programs for this machine (debug)
	cargo build --workspace --locked

.PHONY: generate
generate: ## write the generated files again: crds/, the chart's copy, pages under docs/, dashboards
	scripts/generate.sh

.PHONY: check-generated
check-generated: ## fail when a generated file is not what `make generate` writes
	scripts/generate.sh --check

.PHONY: images
images: ebpf ## build both container images and write them as archives (ARCH=arm64, PUSH=1, FLEETSCOPE_IMAGE_PREFIX)
	@$(SETUP) images
	scripts/images.sh

# --- check and test

.PHONY: fmt
fmt: ## format the Rust sources
	cargo fmt --all

.PHONY: lint
lint: ebpf ## every static check: format, clippy, docs, each crate alone, shellcheck, helm lint, cargo-deny
	@$(SETUP) lint
	scripts/lint.sh

.PHONY: deny
deny: ## licences, banned crates and sources of all dependencies
	@$(SETUP) lint
	PATH="$(FLEETSCOPE_CACHE)/cargo-deny-$(CARGO_DENY)/bin:$$PATH" cargo deny --all-features check licenses bans sources

.PHONY: test
test: setup try-ebpf ## everything: lint, unit, chart, rules, kernel, operator and e2e suites, with a summary of what ran and what was skipped
	@scripts/suites.sh all

# The object where its compiler is; where it is not, the suites that need it say that they are skipped.
.PHONY: try-ebpf
try-ebpf:
	@if [ -x "$(BPF_LINKER)" ]; then ebpf/build.sh; else echo "SKIPPED  the eBPF object: its compiler is not installed" >&2; fi

.PHONY: test-unit
test-unit: ## unit and property tests (no root, no cluster)
	@scripts/suites.sh unit

.PHONY: test-chart
test-chart: ## the Helm chart's renderings
	@$(SETUP) lint
	@scripts/suites.sh chart

.PHONY: test-rules
test-rules: ## generated rules by promtool: each alert fires in its case, and not in the one that comes close
	@$(SETUP) monitoring
	@scripts/suites.sh rules

.PHONY: test-kernel
test-kernel: ebpf ## the eBPF programs on this machine's kernel, with real gRPC peers too (root)
	@$(SETUP) grpc
	@scripts/suites.sh kernel

.PHONY: test-operator
test-operator: ## the operator against a real API server without nodes (root)
	@$(SETUP) cluster,monitoring
	@scripts/suites.sh operator

.PHONY: e2e
e2e: ebpf ## everything together on a real cluster of two nodes (root; KEEP=1 leaves it up; FLEETSCOPE_KUBECONFIG: your cluster)
	@$(SETUP) cluster,monitoring,images
	@scripts/suites.sh e2e

.PHONY: bench-tasks
bench-tasks: ebpf ## what measuring a task costs, beside bpftrace and forkstat doing the same (root)
	@$(SETUP) bench
	tests/bench/tasks.sh

.PHONY: bench-grpc
bench-grpc: ebpf ## what seeing gRPC calls costs: the kernel, the application, loss, 10,000 connections, decoding (root; 12 minutes)
	@$(SETUP) bench
	@tests/peers/build.sh go rust
	@tests/bench/grpc.sh $(BENCH)

.PHONY: bench-accuracy
bench-accuracy: ebpf ## calls as the node agent measures them beside what real gRPC peers in five languages count themselves (root)
	@$(SETUP) peers
	tests/bench/accuracy.sh

.PHONY: bench-operator
bench-operator: ## the operator with 5,000 fleets on a real API server: start, edits, idle calls, memory, failover, failing requests (FLEETS=n, root)
	@$(SETUP) cluster,monitoring,kwok
	@tests/bench/operator.sh $(BENCH)

.PHONY: bench-core
bench-core: ## throughput of the pure parts: task tracker, records of calls, calls, series, the three formats of /metrics with 100,000 of them, HPACK beside a library
	cargo bench --locked -p fleetscope-core --bench tasks --bench rpc --bench calls --bench series --bench expose --bench hpack

.PHONY: fuzz
fuzz: ## fuzz what reads hostile bytes, a minute per target, as a table (FUZZ=target, FUZZ_SECONDS=60; docs/fuzzing.md)
	@$(SETUP) fuzz
	@scripts/fuzz.sh $(FUZZ)

# --- the test cluster and the demo

.PHONY: cluster-up
cluster-up: ## start a real Kubernetes cluster on this machine (NODES=1, FLEETSCOPE_CLUSTER=dev, root)
	@$(SETUP) cluster
	@tests/cluster/up.sh

.PHONY: cluster-status
cluster-status: ## what of the cluster runs
	@tests/cluster/status.sh

.PHONY: cluster-down
cluster-down: ## stop the cluster and remove what it put on the machine (PURGE=1: its folder too)
	@tests/cluster/down.sh $(if $(PURGE),--purge)

# The first time, Fleetscope's programs are built in what the cluster's own leave idle of a second processor.
.PHONY: demo
demo: export FLEETSCOPE_CLUSTER = demo
demo: ## the sample fleet on a cluster of its own, its tasks measured and scraped, as a table (root)
	@$(SETUP) ebpf
	@{ ebpf/build.sh && nice scripts/images.sh --binaries; } >/dev/null 2>&1 & ahead=$$!; trap 'kill $$ahead 2>/dev/null || :' EXIT; \
	$(SETUP) cluster,monitoring,images; wait $$ahead || : # whether it worked is for the demo to tell, which builds what is not there
	@tests/demo/run.sh

.PHONY: demo-down
demo-down: ## remove the demo's cluster
	@FLEETSCOPE_CLUSTER=demo tests/cluster/down.sh --purge

.PHONY: clean
clean: ## remove ./target and this checkout's clusters; the tool cache stays (rm -r FLEETSCOPE_CACHE removes that)
	@for c in dev demo e2e operator bench-operator; do FLEETSCOPE_CLUSTER=$$c tests/cluster/down.sh --purge; done
	cargo clean
