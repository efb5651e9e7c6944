#!/usr/bin/env bash
# Shell lines that point kubectl, helm and the tests at the cluster: eval "$(tests/cluster/env.sh)"
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/settings.sh"
printf 'export %s=%q\n' KUBECONFIG "${FLEETSCOPE_KUBECONFIG:-$STATE/kubeconfig}" FLEETSCOPE_CLUSTER "$CLUSTER" FLEETSCOPE_STATE "$STATE" FLEETSCOPE_CACHE "$CACHE"
# shellcheck disable=SC2016 # the caller's PATH
printf 'export PATH=%q:"$PATH"\n' "$BIN"
