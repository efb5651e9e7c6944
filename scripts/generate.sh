#!/usr/bin/env bash
# Writes the files that come out of the sources: the CRDs, the chart's copy of them, the pages under docs/, the dashboards.
#   scripts/generate.sh [--check]       --check writes nothing and fails where a file differs
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
pages=(metrics reference profiles alerts)
# Of the whole workspace, as the tests are built: what is compiled here they need not compile again.
cargo build --quiet --locked --workspace --bin fleetscope-operator --examples
built=${CARGO_TARGET_DIR:-target}/debug
"$built/fleetscope-operator" crds --out-dir "$out/crds"
for page in "${pages[@]}"; do "$built/examples/$page" >"$out/$page.md"; done
mkdir "$out/runbooks"
"$built/examples/alerts" "$out/runbooks"
"$built/examples/dashboards" "$out/dashboards"
# Beside the generated runbooks are some that are written by hand: those of what users define themselves.
mkdir "$out/have"
grep -l '^<!-- generated' docs/runbooks/*.md | xargs -r cp -t "$out/have"
if [ "${1:-}" = --check ]; then
  rc=0
  diff -r "$out/crds" crds || rc=1
  diff -r "$out/crds" charts/fleetscope/files/crds || rc=1
  for page in "${pages[@]}"; do diff "$out/$page.md" "docs/$page.md" || rc=1; done
  diff -r "$out/runbooks" "$out/have" || rc=1
  diff -r "$out/dashboards" charts/fleetscope/files/dashboards || rc=1
  [ $rc = 0 ] || echo "generate: the files above are not what the sources say; to repair: make generate" >&2
  exit $rc
fi
mkdir -p crds charts/fleetscope/files/crds
for d in crds charts/fleetscope/files/crds; do
  rm -f "$d"/*.yaml
  cp "$out"/crds/*.yaml "$d/"
done
for page in "${pages[@]}"; do cp "$out/$page.md" docs/; done
for f in "$out"/have/*.md; do rm "docs/runbooks/${f##*/}"; done
cp "$out"/runbooks/*.md docs/runbooks/
rm -rf charts/fleetscope/files/dashboards
cp -r "$out/dashboards" charts/fleetscope/files/dashboards
