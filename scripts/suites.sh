#!/usr/bin/env bash
# Runs test suites one after another and sums up what their runners printed: scripts/suites.sh all | SUITE...
# Suites: lint unit chart rules kernel operator e2e. A suite that this machine cannot run is skipped, with the reason. Of cargo's runners the
# lines `test result: ...` count, of all others the last line `N passed, N failed, N skipped`. A test that cannot run
# writes `name<tab>reason` to $FLEETSCOPE_SKIP_LOG and counts as skipped, not as passed. Logs: TARGET/test-logs.
# KEEP=1 leaves the cluster of e2e up; TEST is a filter that goes to cargo's runners.
set -uo pipefail
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$ROOT" || exit 1
. versions.env
export FLEETSCOPE_CACHE=${FLEETSCOPE_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/fleetscope}
BIN=$FLEETSCOPE_CACHE/bin
TARGET=${CARGO_TARGET_DIR:-$ROOT/target}
LOGS=$TARGET/test-logs
mkdir -p "$LOGS"
export PATH=$BIN:$PATH FLEETSCOPE_EBPF_OBJECT=${FLEETSCOPE_EBPF_OBJECT:-$TARGET/ebpf/fleetscope.bpf.o}
ARCH=$(uname -m | sed 's/x86_64/amd64/;s/aarch64/arm64/')
TRIPLE=$(uname -m)-unknown-linux-gnu
unset KUBECONFIG # only a cluster that is named on purpose is used

suites=("$@")
[ "${1:-all}" != all ] || suites=(lint unit chart rules kernel operator e2e)

# ---- what a suite needs: prints the reason why it cannot run here
lacks_capability() { (((0x$(sed -n 's/^CapEff:\t//p' /proc/self/status) >> $1 & 1) == 0)); }
reason() {
  case $1 in
  chart) command -v helm >/dev/null || echo "helm is not installed (make setup)" ;;
  rules) command -v promtool >/dev/null || echo "promtool is not installed (make setup)" ;;
  kernel)
    if [ ! -r /sys/kernel/btf/vmlinux ]; then echo "the kernel has no type information (/sys/kernel/btf/vmlinux)"; elif
      lacks_capability 39 || lacks_capability 38; then echo "needs the capabilities BPF and PERFMON (root)"; elif
      [ ! -s "$FLEETSCOPE_EBPF_OBJECT" ]; then echo "there is no eBPF object (make ebpf)"; fi
    ;;
  operator | e2e)
    if [ "$1" = e2e ] && [ -n "${FLEETSCOPE_KUBECONFIG:-}" ]; then return; fi
    if [ "$(id -u)" != 0 ]; then echo "the test cluster needs root, or name a cluster with FLEETSCOPE_KUBECONFIG"; elif
      [ ! -x "$BIN/hyperkube" ]; then echo "the cluster's programs are not built (make setup)"; elif
      [ "$1" = e2e ] && [ ! -s "$FLEETSCOPE_EBPF_OBJECT" ]; then echo "there is no eBPF object (make ebpf)"; elif
      [ "$1" = e2e ] && ! command -v containerd >/dev/null; then echo "containerd is not installed (make setup)"; fi
    ;;
  esac
}

# ---- the suites
# Always of the whole workspace: with fewer members their dependencies have other features, and all is compiled again.
cargo_test() { timeout -k 30 "${SUITE_LIMIT:-2400}" cargo test --locked --no-fail-fast --workspace "$@"; }
ignored_too=(-- --include-ignored --test-threads=1)
lint() { scripts/lint.sh; }
unit() { # all but the suites below, which are the tests crate's; and the fuzz targets' inputs, which are no member's
  local rc=0 tests
  tests=$(cargo metadata --locked --no-deps --format-version 1 | grep -o '"kind":\["test"\][^}]*"src_path":"[^"]*"' |
    grep -vF "\"src_path\":\"$ROOT/tests/" | sed 's/.*"name":"\([^"]*\)".*/--test=\1/')
  [ -n "$tests" ] || { echo "cargo metadata names no integration tests"; return 1; }
  # shellcheck disable=SC2086 # one word each
  cargo_test --lib --bins $tests ${TEST:+"$TEST"} || rc=1
  cargo_test --doc ${TEST:+"$TEST"} || rc=1
  if command -v c++ >/dev/null; then
    timeout -k 30 "${SUITE_LIMIT:-2400}" cargo test --locked --manifest-path fuzz/Cargo.toml --test corpus ${TEST:+"$TEST"} || rc=1
  else
    printf 'inputs of the fuzz targets\tlibFuzzer needs a C++ compiler (make setup)\n' >>"$FLEETSCOPE_SKIP_REASONS"
    echo "0 passed, 0 failed, 1 skipped"
  fi
  return $rc
}
chart() { cargo_test --test chart ${TEST:+"$TEST"} -- --include-ignored; }
rules() { cargo_test --test rules ${TEST:+"$TEST"} -- --include-ignored; }
kernel() { # the programs by themselves, of which each test loads its own, then the whole agent without Kubernetes
  local rc=0
  cargo_test --test kernel ${TEST:+"$TEST"} -- --include-ignored --test-threads=2 || rc=1
  cargo_test --test standalone ${TEST:+"$TEST"} "${ignored_too[@]}" || rc=1
  return $rc
}
cluster() { # NAME NODES: up, and its environment
  export FLEETSCOPE_CLUSTER=$1
  NODES=$2 AUDIT=1 tests/cluster/up.sh && eval "$(tests/cluster/env.sh)"
}
cluster_end() { [ "${KEEP:-0}" = 1 ] || tests/cluster/down.sh; }
operator() { # each test has an API server of its own, and mostly waits
  cargo_test --test apiserver ${TEST:+"$TEST"} -- --include-ignored --test-threads=3
}
e2e() {
  scripts/images.sh && tests/peers/build.sh go && cargo_test --test e2e --no-run || return 1
  trap cluster_end EXIT
  cluster e2e 2 && tests/cluster/import.sh "$TARGET"/images/{operator,node-agent}-"$ARCH".tar && tests/cluster/monitoring.sh || return 1
  export FLEETSCOPE_BIN=$TARGET/$TRIPLE/release
  local rc=0 # first what mostly waits, then what needs the cluster to itself; what looks back at all of it comes last
  cargo_test --test e2e ${TEST:+"$TEST"} -- --include-ignored --test-threads=3 --skip alone:: --skip zz_verbs:: || rc=1
  cargo_test --test e2e ${TEST:+"$TEST"} "${ignored_too[@]}" --skip beside:: || rc=1
  return $rc
}

# Sums a log: passed, failed, skipped. Ignored tests of `apiserver` and `standalone` are left out in the unit suite: the operator
# and kernel suites run them.
counts() { # LOG SUITE
  awk -v suite="$2" '
    /^ *Running / { elsewhere = suite == "unit" && /tests\/(apiserver|standalone)/ }
    /^ *Doc-tests / { elsewhere = 0 }
    /^test result: / {
      for (i = 1; i <= NF; i++) {
        if ($i ~ /^passed/) p += $(i - 1)
        if ($i ~ /^failed/) f += $(i - 1)
        if ($i ~ /^ignored/ && !elsewhere) s += $(i - 1)
      }
    }
    /^[0-9]+ passed, [0-9]+ failed, [0-9]+ skipped$/ { p += $1; f += $3; s += $5 }
    END { print p + 0, f + 0, s + 0 }' "$1"
}

# The release build for e2e goes on beside lint and unit tests, which leave much of a second processor idle, and is over before anything
# that minds. Whether it works is for e2e to tell, which builds what is not there.
ahead=
if [[ " ${suites[*]} " =~ \ (lint|unit)\ .*e2e\  ]] && [ -z "$(reason e2e)" ]; then
  nice scripts/images.sh --binaries >"$LOGS/build-ahead.log" 2>&1 &
  ahead=$!
  trap '[ -z "$ahead" ] || kill "$ahead" 2>/dev/null' EXIT
fi

rows=() reasons=() total_p=0 total_f=0 total_s=0
for suite in "${suites[@]}"; do
  if [ -n "$ahead" ] && [[ $suite != lint && $suite != unit ]]; then
    wait "$ahead"
    ahead=
  fi
  declare -F "$suite" >/dev/null || { echo "no suite '$suite': lint unit chart rules kernel operator e2e" >&2; exit 2; }
  log=$LOGS/$suite.log
  why=$(reason "$suite")
  if [ -n "$why" ]; then
    echo "=== $suite: SKIPPED, $why"
    rows+=("$suite|skipped|0|0|1|-") reasons+=("suite $suite: $why") total_s=$((total_s + 1))
    continue
  fi
  echo "=== $suite"
  export FLEETSCOPE_SKIP_LOG=$LOGS/$suite.skipped FLEETSCOPE_SKIP_REASONS=$LOGS/$suite.reasons
  : >"$FLEETSCOPE_SKIP_LOG"
  : >"$FLEETSCOPE_SKIP_REASONS"
  t0=$(date +%s)
  ("$suite") 2>&1 | tee "$log"
  rc=${PIPESTATUS[0]}
  read -r p f s <<<"$(counts "$log" "$suite")"
  said=$(wc -l <"$FLEETSCOPE_SKIP_LOG")
  p=$((p - said)) s=$((s + said))
  # Not built, not started, or killed by its limit: that is one failure, even where no runner could print a line.
  if [ "$rc" != 0 ] && [ "$f" = 0 ]; then f=1; fi
  # A suite that ran nothing proves nothing.
  if [ "$rc" = 0 ] && [ $((p + s)) = 0 ]; then f=1 reasons+=("suite $suite: no test ran, which counts as a failure"); fi
  while IFS= read -r line; do reasons+=("$suite: ${line/$'\t'/: }"); done < <(cat "$FLEETSCOPE_SKIP_LOG" "$FLEETSCOPE_SKIP_REASONS")
  rows+=("$suite|$([ "$f" = 0 ] && echo ran || echo FAILED)|$p|$f|$s|$(($(date +%s) - t0)) s")
  total_p=$((total_p + p)) total_f=$((total_f + f)) total_s=$((total_s + s))
done

echo
echo "=== summary"
printf '%s\n' "suite|state|passed|failed|skipped|time" "${rows[@]}" | awk -F'|' -f scripts/table.awk
if [ ${#reasons[@]} -gt 0 ]; then printf 'SKIPPED  %s\n' "${reasons[@]}"; fi
[ "$total_f" = 0 ] || echo "logs of what failed: $LOGS"
echo "$total_p passed, $total_f failed, $total_s skipped"
[ "$total_f" = 0 ]
