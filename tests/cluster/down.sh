#!/usr/bin/env bash
# Ends the cluster that up.sh started, also after a crash, and removes its processes, namespaces, mounts, links, routes and cgroups.
# Certificates, logs and imported images stay in the state folder for the next start; --purge removes that folder too.
set -uo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/settings.sh"
[ -z "${FLEETSCOPE_KUBECONFIG:-}" ] || { say "the cluster of FLEETSCOPE_KUBECONFIG is not ours, nothing was stopped"; exit 0; }
[ -d "$STATE" ] || { say "cluster $CLUSTER is not there"; exit 0; }
[ "$(id -u)" = 0 ] || fail "the test cluster needs root"
STATE=$(cd "$STATE" && pwd)
if [ "${FLEETSCOPE_LOCKED:-0}" != 1 ]; then
  exec 9<"$STATE"
  flock -w 300 9 || fail "another process has been starting or stopping cluster $CLUSTER for five minutes"
fi

# A clean end of the container runtime, so that the kept image store has no leftovers of containers.
end_node() {
  local k=$1 t
  alive "containerd-$k" >/dev/null || return 0
  in_node "$k" timeout 20 ctr -n k8s.io tasks ls -q 2>/dev/null |
    while read -r t; do in_node "$k" timeout 20 ctr -n k8s.io tasks rm --force "$t" >/dev/null 2>&1 </dev/null; done
  in_node "$k" timeout 20 ctr -n k8s.io containers ls -q 2>/dev/null |
    while read -r t; do in_node "$k" timeout 20 ctr -n k8s.io containers rm "$t" >/dev/null 2>&1 </dev/null; done
  kill -TERM "$(alive "containerd-$k")" 2>/dev/null
  ended() { ! alive "containerd-$k"; }
  until_true 50 ended
}

if n=$(own_index); then
  use_index "$n"
  for f in "$STATE"/pid/kubelet-* "$STATE"/pid/proxy-* "$STATE"/pid/kwok "$STATE"/pid/scheduler "$STATE"/pid/controller-manager "$STATE"/pid/apiserver; do
    p=$(alive "${f##*/}") && kill -KILL "$p" 2>/dev/null # KILL: the API server would drain for a minute
  done
  for k in $(seq "$(node_count)"); do end_node "$k" & done
  wait
  sweep "$NAME" || fail "processes or cgroups of $NAME are still there: see $CG/$NAME"
  rm -f "$TAKEN/$n"
  rmdir "$TAKEN" 2>/dev/null
fi
rm -rf "$STATE/pid" "$STATE/etcd" "$STATE"/node-*/run "$STATE"/node-*/var/lib/kubelet "$STATE"/node-*/var/lib/cni "$STATE"/node-*/var/log
[ "${1:-}" != --purge ] || rm -rf "$STATE"
say "cluster $CLUSTER is down"
