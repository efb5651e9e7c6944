#!/usr/bin/env bash
# Every check of `make lint`; goes on after a failed one, so that one run shows all. Last line: N passed, N failed, N skipped.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1
. versions.env
CACHE=${FLEETSCOPE_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/fleetscope}
PATH=$CACHE/bin:$CACHE/cargo-deny-$CARGO_DENY/bin:$PATH
passed=0 failed=0 skipped=0

check() { # WHAT COMMAND...
  local what=$1 t0 out
  shift
  t0=$(date +%s)
  if out=$("$@" 2>&1); then
    passed=$((passed + 1))
    echo "ok    $what ($(($(date +%s) - t0)) s)"
  else
    failed=$((failed + 1))
    printf '%s\nFAIL  %s: %s\n' "$out" "$what" "$*"
  fi
}
skip() { # WHAT REASON
  skipped=$((skipped + 1))
  echo "SKIP  $1: $2"
  [ -z "${FLEETSCOPE_SKIP_REASONS:-}" ] || echo "$1: $2" >>"$FLEETSCOPE_SKIP_REASONS"
}

members=$(sed -n '/^members/s/[^"]*"\([^"]*\)"[^"]*/\1 /gp' Cargo.toml)
members_lints() {
  local m rc=0
  for m in $members; do
    grep -A1 -Fx '[lints]' "$m/Cargo.toml" | grep -qx 'workspace = true' || { echo "$m/Cargo.toml lacks [lints] workspace = true" && rc=1; }
  done
  return $rc
}
tracked() { git ls-files --cached --others --exclude-standard -- "$@" | while read -r f; do [ ! -f "$f" ] || echo "$f"; done; }
scripts() { { tracked '*.sh'; tracked | xargs -r grep -lIE -m1 '^#!.*\b(ba)?sh$' -- 2>/dev/null; } | sort -u; }
file_sizes() {
  local f n rc=0
  for f in $(tracked '*.rs' '*.sh'); do
    n=$(wc -l <"$f")
    [ "$n" -le 500 ] || { echo "$f has $n lines, the limit is 500" && rc=1; }
  done
  return $rc
}
left_overs() { ! tracked '*.rs' '*.sh' '*.yaml' '*.tpl' '*.md' Makefile Dockerfile | grep -v '^scripts/lint.sh$' | xargs grep -nE '\b(TODO|FIXME|XXX)\b|\bdbg!\(|^(<{7}|>{7}) ' --; }

# Paths that the pages name, {a,b} expanded, and the tests that development.md names, by name or by number.
# shellcheck disable=SC2016 # the marks around code
documented() {
  local path name rc=0
  for path in $(tracked '*.md' | xargs grep -ohE '`(cli|core|crds|charts|docs|ebpf|examples|fuzz|node-agent|operator|scripts|serve|setup|tests)/[A-Za-z0-9_./{},-]+`' -- | tr -d '`' | sort -u); do
    for name in $(eval "printf '%s ' $path"); do [ -e "$name" ] || { echo "the pages name $name, which is not there" && rc=1; }; done
  done
  for name in $(grep -oE '`[a-z0-9]+(_[a-z0-9]+){3,}`' docs/development.md | tr -d '`'); do
    tracked '*.rs' | xargs grep -qE "fn $name\b" -- || { echo "docs/development.md names the test $name, which is not there" && rc=1; }
  done
  while read -r name; do
    tracked '*.rs' | xargs grep -qE "fn check_${name}_" -- || { echo "no test is named after promise $name of docs/development.md" && rc=1; }
  done < <(sed -n 's/^| \([0-9][0-9]\) | .*/\1/p' docs/development.md)
  return $rc
}

check "cargo fmt" cargo fmt --all --check
check "clippy, all targets, warnings are errors" cargo clippy --workspace --all-targets --locked -- -D warnings
check "fuzz/, which is no member: cargo fmt" cargo fmt --check --manifest-path fuzz/Cargo.toml
check "fuzz/: clippy, warnings are errors" cargo clippy --manifest-path fuzz/Cargo.toml --lib --tests --locked -- -D warnings
check "rustdoc, warnings are errors" env RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --locked
for m in $members; do
  check "crate $m alone" cargo check --locked -p "$(sed -n 's/^name = "\(fleetscope-.*\)"/\1/p' "$m/Cargo.toml" | head -n 1)"
done
check "generated files are what the sources say (else: make generate)" scripts/generate.sh --check
check "every member has the workspace's lints" members_lints
check "no file over 500 lines" file_sizes
check "nothing left to do in the sources" left_overs
check "what the pages name is there" documented

if ! command -v shellcheck >/dev/null; then skip shellcheck "not installed: setup/setup.sh --only lint"; else
  # shellcheck disable=SC2046 # file names without blanks
  check "shellcheck" shellcheck $(scripts)
fi
if ! command -v helm >/dev/null; then skip "helm lint" "not installed: setup/setup.sh --only lint"; else
  check "helm lint --strict" helm lint --strict charts/fleetscope
fi
if ! command -v cargo-deny >/dev/null; then skip cargo-deny "not installed: setup/setup.sh --only lint"; else
  check "cargo-deny: licences, bans, sources" cargo deny --all-features check licenses bans sources
  if timeout 120 cargo deny fetch db >/dev/null 2>&1; then
    check "cargo-deny: advisories" cargo deny --all-features check advisories
  else
    skip "cargo-deny: advisories" "the advisory database (github.com/RustSec/advisory-db) cannot be reached from this machine"
  fi
fi
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" = 0 ]
