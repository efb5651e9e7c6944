#!/usr/bin/env bash
# Adds fake nodes, kept by kwok, to the cluster: kwok.sh [COUNT=100]. Their pods become Running at once, and no process runs.
# Each is tainted kwok.x-k8s.io/node=fake:NoSchedule. Needs `setup/setup.sh --only kwok`.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/settings.sh"
. "$HERE/nodes.sh"
[ -z "${FLEETSCOPE_KUBECONFIG:-}" ] || fail "fake nodes are only for the test cluster"
[ -x "$BIN/kwok" ] || fail "kwok is missing: setup/setup.sh --only kwok"
need_up
count=${1:-100}
if ! alive kwok >/dev/null; then
  stages=()
  for f in "$BIN"/kwok-stages/*.yaml; do stages+=("--config=$f"); done
  run 1 kwok "$BIN/kwok" --kubeconfig="$STATE/kubeconfig" --manage-all-nodes=false --manage-nodes-with-annotation-selector=kwok.x-k8s.io/node=fake \
    --node-ip="$(node_ip 1)" --cidr=10.253.0.0/16 --node-lease-duration-seconds=40 "${stages[@]}"
fi
for i in $(seq 0 $((count - 1))); do
  cat <<Y
---
apiVersion: v1
kind: Node
metadata:
  name: fake-$i
  annotations: {kwok.x-k8s.io/node: fake, node.alpha.kubernetes.io/ttl: "0"}
  labels: {type: kwok, kubernetes.io/arch: amd64, kubernetes.io/os: linux, kubernetes.io/hostname: fake-$i}
spec: {taints: [{key: kwok.x-k8s.io/node, value: fake, effect: NoSchedule}]}
status: {allocatable: {cpu: "32", memory: 256Gi, pods: "110"}, capacity: {cpu: "32", memory: 256Gi, pods: "110"}}
Y
done | kc apply -f - >/dev/null
ready() { [ "$(kc get nodes -l type=kwok --no-headers | grep -cw Ready)" -ge "$count" ]; }
until_true 1200 ready || fail "not all fake nodes are Ready" "$STATE/log/kwok.log"
say "$count fake nodes Ready"
