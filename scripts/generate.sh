#!/usr/bin/env bash
# Writes the files that come out of the sources: the CRDs, the chart's copy of them, the tables of metrics and of alerts, the runbooks, the dashboards.
#   scripts/generate.sh [--check]       --check writes nothing and fails where a file differs
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
cargo run --quiet --locked -p fleetscope-operator -- crds --out-dir "$out/crds"
cargo run --quiet --locked -p fleetscope-core --example metrics >"$out/metrics.md"
cargo run --quiet --locked -p fleetscope-core --example alerts >"$out/alerts.md"
mkdir "$out/runbooks"
cargo run --quiet --locked -p fleetscope-core --example alerts -- "$out/runbooks"
cargo run --quiet --locked -p fleetscope-core --example dashboards "$out/dashboards"
if [ "${1:-}" = --check ]; then
  rc=0
  diff -r "$out/crds" crds || rc=1
  diff -r "$out/crds" charts/fleetscope/files/crds || rc=1
  diff "$out/metrics.md" docs/metrics.md || rc=1
  diff "$out/alerts.md" docs/alerts.md || rc=1
  diff -r "$out/runbooks" docs/runbooks || rc=1
  diff -r "$out/dashboards" charts/fleetscope/files/dashboards || rc=1
  [ $rc = 0 ] || echo "generate: the files above are not what the sources say; to repair: make generate" >&2
  exit $rc
fi
mkdir -p crds charts/fleetscope/files/crds
for d in crds charts/fleetscope/files/crds; do
  rm -f "$d"/*.yaml
  cp "$out"/crds/*.yaml "$d/"
done
cp "$out/metrics.md" "$out/alerts.md" docs/
mkdir -p docs/runbooks
rm -f docs/runbooks/*.md
cp "$out"/runbooks/*.md docs/runbooks/
rm -rf charts/fleetscope/files/dashboards
cp -r "$out/dashboards" charts/fleetscope/files/dashboards
