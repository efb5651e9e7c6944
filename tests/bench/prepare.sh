# shellcheck shell=bash
# What the benches beside it begin with: they source it.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
[ "$(id -u)" = 0 ] || { echo "needs root" >&2; exit 1; }
target=${CARGO_TARGET_DIR:-$PWD/target}
export FLEETSCOPE_EBPF_OBJECT=${FLEETSCOPE_EBPF_OBJECT:-$target/ebpf/fleetscope.bpf.o}
# Followed by the name of a bench, and by `--no-run` or by `--` and its words.
# shellcheck disable=SC2034 # for the one that sources this
bench=(cargo bench --quiet --locked --profile "${BENCH_PROFILE:-dev}" -p fleetscope-tests --bench)

# The node agent that FLEETSCOPE_NODE_AGENT names; without it the program that is shipped, which is built (release).
node_agent() {
  if [ -z "${FLEETSCOPE_NODE_AGENT:-}" ]; then
    scripts/images.sh --binaries
    FLEETSCOPE_NODE_AGENT=$target/$(uname -m)-unknown-linux-gnu/release/fleetscope-node-agent
  fi
  export FLEETSCOPE_NODE_AGENT
}
