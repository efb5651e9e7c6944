#!/usr/bin/env bash
# What seeing gRPC calls costs, as markdown. As root: tests/bench/grpc.sh [SECTION...] (kernel, application, loss, connections, decode)
# FLEETSCOPE_NODE_AGENT names a node agent; without it one is built. What is built is not in the time that is printed.
. "$(dirname "$0")/prepare.sh"
asked() { [ ${#sections[@]} = 0 ] || [[ " ${sections[*]} " = *" $1 "* ]]; }
sections=("$@")

if asked application || asked loss || asked connections; then node_agent; fi
"${bench[@]}" grpc --no-run
if asked decode; then cargo bench --quiet --locked -p fleetscope-core --bench hpack --bench rpc --no-run; fi

# However it ends: no programs that go on, no groups, no files.
scratch=$(mktemp -d)
limit=
end() {
  local group pid
  if [ -n "$limit" ]; then
    # timeout's group of processes: cargo, the bench and what it has started.
    kill "$limit" 2>/dev/null || true
    for _ in $(seq 50); do
      kill -0 -- "-$limit" 2>/dev/null || break
      sleep 0.1
    done
    kill -KILL -- "-$limit" 2>/dev/null || true
    wait "$limit" 2>/dev/null || true
  fi
  for group in "$(awk '$3 == "cgroup2" {print $2; exit}' /proc/mounts)"/fleetscope-test-*-*/; do
    pid=${group%/} pid=${pid##*/fleetscope-test-} pid=${pid%%-*}
    # Of runs that are over; another one's is let be.
    if [ ! -d "$group" ] || [ -d "/proc/$pid" ]; then continue; fi
    echo 1 >"$group/cgroup.kill" || true
    for _ in $(seq 50); do
      find "$group" -depth -type d -exec rmdir {} + 2>/dev/null && break
      sleep 0.1
    done
  done
  rm -rf "$scratch"
}
trap end EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
export TMPDIR=$scratch CRITERION_HOME=$scratch/criterion
ulimit -n 65536 2>/dev/null || true # 10,000 connections; where it cannot be raised, fewer are opened

t0=$SECONDS
run() { # run SECONDS COMMAND...: in the background, so that a signal ends it at once
  timeout --kill-after=10 "$@" &
  limit=$!
  wait "$limit" || { local status=$?; [ $status != 124 ] || echo "grpc: not done after $1 s" >&2; return $status; }
  limit=
}
if asked decode; then
  run 150 cargo bench --quiet --locked -p fleetscope-core --bench hpack --bench rpc -- --warm-up-time 1 --measurement-time 2 --noplot >"$scratch/criterion.log" 2>&1 ||
    { tail -n 30 "$scratch/criterion.log" >&2; exit 1; }
  echo "grpc: criterion's benches after $((SECONDS - t0)) s" >&2
fi
run $((900 - SECONDS + t0)) "${bench[@]}" grpc -- "${sections[@]}"
echo "grpc: all after $((SECONDS - t0)) s" >&2
