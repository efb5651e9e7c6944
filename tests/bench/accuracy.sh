#!/usr/bin/env bash
# What the node agent measures of real gRPC peers beside their own accounts: markdown tables. As root: tests/bench/accuracy.sh [WORD...]
# Words pick: sockets syscalls, pairs extra midlife, go python java node rust. FLEETSCOPE_NODE_AGENT names a node agent; without it
# one is built (release). Not zero when a count differs.
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
# nghttpd is where Debian puts what serves.
export PATH=$PATH:/usr/sbin
exec cargo bench --quiet --locked --profile dev -p fleetscope-tests --bench accuracy -- "$@"
