#!/usr/bin/env bash
# What measuring a task costs: a markdown table. As root: tests/bench/tasks.sh [RATE] [SECONDS]
# FLEETSCOPE_NODE_AGENT names a node agent; without it one is built.
. "$(dirname "$0")/prepare.sh"
node_agent
"${bench[@]}" tasks --no-run
# bpftrace reads tracefs, which is not mounted everywhere: in a mount namespace of its own nothing stays behind.
exec unshare --mount sh -ec 'mount -t tracefs tracefs /sys/kernel/tracing 2>/dev/null || true; mount -t debugfs debugfs /sys/kernel/debug 2>/dev/null || true
  exec "$@"' sh "${bench[@]}" tasks -- "$@"
