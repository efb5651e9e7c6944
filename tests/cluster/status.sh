#!/usr/bin/env bash
# What runs of the cluster, and which other clusters are on this machine. Exit 0 when it is up.
set -uo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/settings.sh"
if [ -n "${FLEETSCOPE_KUBECONFIG:-}" ]; then
  echo "cluster of FLEETSCOPE_KUBECONFIG=$FLEETSCOPE_KUBECONFIG"
  exec "$BIN/kubectl" --kubeconfig "$FLEETSCOPE_KUBECONFIG" get nodes -o wide
fi
rc=1
if is_up; then
  rc=0
  echo "cluster $CLUSTER is up: export KUBECONFIG=$STATE/kubeconfig"
  echo "addresses: nodes 10.254.$N.0/24, pods $POD_CIDR, services $SVC_CIDR; logs in $STATE/log"
  for f in "$STATE"/pid/*; do
    f=${f##*/}
    [ "$f" != complete ] || continue
    if p=$(alive "$f"); then printf '  %-20s pid %-7s %s MiB\n' "$f" "$p" "$(awk '/^Pss:/ {print int($2 / 1024)}' "/proc/$p/smaps_rollup" 2>/dev/null)"; else
      printf '  %-20s NOT RUNNING, see log/%s.log\n' "$f" "$f"
      rc=1
    fi
  done
  kc get nodes -o wide
  kc get pods -A
elif own_index >/dev/null; then
  echo "cluster $CLUSTER is not whole (make cluster-up cleans up and starts it again); logs in $STATE/log"
else
  echo "cluster $CLUSTER is down"
fi
for f in "$TAKEN"/*; do
  [ -e "$f" ] && [ "$(cat "$f")" != "$STATE" ] && echo "also on this machine: fs${f##*/}, $(cat "$f")$([ -d "$(cat "$f")" ] || echo ' (folder gone: the next up.sh sweeps it)')"
done
exit $rc
