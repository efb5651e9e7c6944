#!/usr/bin/env bash
# Imports image archives (docker-archive or OCI) into the container runtime of every node: import.sh FILE.tar...
# With FLEETSCOPE_KUBECONFIG there is no way into the nodes: images have to be where that cluster pulls from.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/settings.sh"
if [ -n "${FLEETSCOPE_KUBECONFIG:-}" ]; then
  case ${FLEETSCOPE_IMAGE_PREFIX:-localhost/} in localhost/*)
    fail "a cluster of your own pulls its images: set FLEETSCOPE_IMAGE_PREFIX to a registry path that it can pull from and that you can push to" ;; esac
  for f in "$@"; do buildah push --storage-driver vfs "docker-archive:$f" "docker://$(tar -xOf "$f" manifest.json | jq -r '.[0].RepoTags[0]')"; done
  exit 0
fi
n=$(own_index) || need_up
use_index "$n"
jobs=()
for k in $(seq "$(node_count)"); do
  (for f in "$@"; do in_node "$k" ctr -n k8s.io images import --digests=false "$(realpath "$f")" >/dev/null; done) &
  jobs+=($!)
done
for j in "${jobs[@]}"; do wait "$j" || fail "an image could not be imported"; done
