#!/usr/bin/env bash
# What the operator does with many fleets on a real API server, as markdown: tests/bench/operator.sh [SECTION...]
# (start, idle, edits, failover, late, faults). As root. FLEETS (5000), FAKE_NODES (50), IDLE_SECONDS (120), KEEP=1 leaves the cluster up.
# FLEETSCOPE_OPERATOR names an operator; without it the program that is shipped is built. What is built is not in the times.
BENCH_PROFILE=release # its watches and its proxy share the machine with what is measured
. "$(dirname "$0")/prepare.sh"
if [ -z "${FLEETSCOPE_OPERATOR:-}" ]; then
  scripts/images.sh --binaries fleetscope-operator
  FLEETSCOPE_OPERATOR=$target/$(uname -m)-unknown-linux-gnu/release/fleetscope-operator
fi
export FLEETSCOPE_OPERATOR
"${bench[@]}" operator --no-run

# A cluster of its own, from nothing: what an earlier run left would be counted.
export FLEETSCOPE_CLUSTER=${FLEETSCOPE_CLUSTER:-bench-operator}
unset FLEETSCOPE_KUBECONFIG
end() { [ "${KEEP:-0}" = 1 ] || tests/cluster/down.sh --purge; }
trap end EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
tests/cluster/down.sh
NODES=0 AUDIT=1 tests/cluster/up.sh >/dev/null
eval "$(tests/cluster/env.sh)"
tests/cluster/kwok.sh "${FAKE_NODES:-50}"
ulimit -n 65536 2>/dev/null || true
# In a cgroup of the cluster, with which ends what is in it: also operators that a bench which was ended has left behind.
group=$(. tests/cluster/settings.sh && use_index "$(own_index)" && echo "$CG/$NAME/bench")
mkdir "$group"
(
  echo "$BASHPID" >"$group/cgroup.procs"
  exec timeout --foreground --kill-after=10 "${BENCH_LIMIT:-7200}" "${bench[@]}" operator -- "$@"
)
