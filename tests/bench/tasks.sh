#!/usr/bin/env bash
# What measuring a task costs: a markdown table. As root: tests/bench/tasks.sh [RATE] [SECONDS]
# FLEETSCOPE_NODE_AGENT names a node agent; without it one is built (release).
set -euo pipefail
cd "$(dirname "$0")/../.."
[ "$(id -u)" = 0 ] || { echo "needs root" >&2; exit 1; }
target=${CARGO_TARGET_DIR:-$PWD/target}
triple=$(uname -m)-unknown-linux-gnu
export FLEETSCOPE_EBPF_OBJECT=${FLEETSCOPE_EBPF_OBJECT:-$target/ebpf/fleetscope.bpf.o}
if [ -z "${FLEETSCOPE_NODE_AGENT:-}" ]; then
  scripts/images.sh --binaries # the program that is shipped
  FLEETSCOPE_NODE_AGENT=$target/$triple/release/fleetscope-node-agent
fi
export FLEETSCOPE_NODE_AGENT
cargo bench --quiet --locked --profile dev -p fleetscope-tests --bench tasks --no-run
# bpftrace reads tracefs, which is not mounted everywhere: in a mount namespace of its own nothing stays behind.
exec unshare --mount sh -ec 'mount -t tracefs tracefs /sys/kernel/tracing 2>/dev/null || true; mount -t debugfs debugfs /sys/kernel/debug 2>/dev/null || true
  exec cargo bench --quiet --locked --profile dev -p fleetscope-tests --bench tasks -- "$@"' sh "$@"
