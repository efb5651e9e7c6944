#!/usr/bin/env bash
# Fuzzes the targets of fuzz/, one after the other, and prints a table of what was done and found.
#   scripts/fuzz.sh [--keep] [TARGET...]     all targets without a name
# Each starts with the committed corpus and runs for FUZZ_SECONDS (60). What it finds new is in TARGET_FOLDER/fuzz/<target>/: corpus/
# and, for a finding, artifacts/. --keep takes into fuzz/corpus/<target>/ what reaches more code (FUZZ_SECONDS=0: of earlier runs).
# FUZZ_SANITIZER=none is twice as fast and sees no misuse of memory, which the code under test, without unsafe, has not.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. versions.env
CACHE=${FLEETSCOPE_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/fleetscope}
PATH=$CACHE/cargo-fuzz-$CARGO_FUZZ/bin:$PATH
SECONDS_EACH=${FUZZ_SECONDS:-60} SANITIZER=${FUZZ_SANITIZER:-address}
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$PWD/target}
# Coverage and sanitizers are options of rustc that a stable one has behind this variable; the eBPF object is built with it too.
export RUSTC_BOOTSTRAP=1
# The leak checker stops the process with ptrace, which containers do not allow; a leak grows past the memory limit.
export ASAN_OPTIONS=detect_leaks=0
HOST=$(rustc -vV | sed -n 's/^host: //p')

keep=
if [ "${1:-}" = --keep ]; then keep=1 && shift; fi
known=$(sed -n 's/^name = "\([a-z]*\)"$/\1/p' fuzz/Cargo.toml)
# shellcheck disable=SC2206 # names without blanks
targets=(${*:-$known})
for target in "${targets[@]}"; do
  grep -qxF "$target" <<<"$known" || { echo "fuzz: no target '$target': ${known//$'\n'/, }" >&2 && exit 2; }
done

# Longest input: room for a hundred steps and more, and short enough for hundreds of inputs per second.
longest() {
  case $1 in
  walker) echo 1024 ;;
  tracker) echo 768 ;;
  *) echo 512 ;;
  esac
}
last() { sed -n "s/.*$1 *\([0-9]*\).*/\1/p" "$log" | tail -n 1; }
row() { printf '%-8s %7s %7s %12s %8s %6s %9s %8s %9s %s\n' "$@"; }

for target in "${targets[@]}"; do cargo fuzz build --fuzz-dir fuzz --sanitizer "$SANITIZER" "$target" >&2; done
rows=() failed=0
for target in "${targets[@]}"; do
  work=$CARGO_TARGET_DIR/fuzz/$target log=$CARGO_TARGET_DIR/fuzz/$target.log
  committed=fuzz/corpus/$target program=$CARGO_TARGET_DIR/$HOST/release/$target
  mkdir -p "$work/corpus" "$work/artifacts" "$committed"
  if [ "$SECONDS_EACH" -gt 0 ]; then
    before=$(find "$work/artifacts" -type f | wc -l)
    TIMEFORMAT='%R %U %S' rc=0
    # A finding ends the run; its input is in artifacts/, and how to repeat it at the end of the log.
    { time "$program" -max_total_time="$SECONDS_EACH" -max_len="$(longest "$target")" -timeout=20 -rss_limit_mb=1024 -print_final_stats=1 \
      -artifact_prefix="$work/artifacts/" "$work/corpus" "$committed" >"$log" 2>&1 || rc=$?; } 2>"$work/time"
    read -r wall user system <"$work/time"
    findings=$(($(find "$work/artifacts" -type f | wc -l) - before))
    cpu=$(awk "BEGIN { printf \"%.0f\", $user + $system }")
    rows+=("$(row "$target" "${wall%.*}" "$cpu" "$(last number_of_executed_units:)" "$(last average_exec_per_sec:)" "$(last 'cov:')" \
      "$(last 'ft:')" "$(last 'corp:')" "$(find "$work/corpus" -type f | wc -l)" "$findings")")
    [ "$rc" = 0 ] || { failed=1 && tail -n 40 "$log" >&2; }
  fi
  if [ -n "$keep" ]; then
    rm -rf "$work/merged" && mkdir "$work/merged"
    # A small set of both that reaches all that they reach.
    "$program" -set_cover_merge=1 -max_len="$(longest "$target")" -timeout=20 -rss_limit_mb=1024 "$work/merged" "$committed" "$work/corpus" >"$log.merge" 2>&1
    rm -rf "${committed:?}" && mv "$work/merged" "$committed"
    rows+=("$target: kept $(find "$committed" -type f | wc -l) inputs of $(cat "$committed"/* | wc -c) bytes in $committed")
  fi
done
[ "$SECONDS_EACH" = 0 ] || row target "wall s" "CPU s" executions exec/s edges features inputs new findings
printf '%s\n' "${rows[@]}"
[ "$failed" = 0 ]
