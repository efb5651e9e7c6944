# shellcheck shell=bash
# shellcheck disable=SC2034 # the scripts that source this file use them
# Settings that all scripts of this folder share. FLEETSCOPE_CACHE, FLEETSCOPE_CLUSTER, FLEETSCOPE_STATE and
# FLEETSCOPE_KUBECONFIG can be set in the environment (docs/development.md); a plain KUBECONFIG is never read.
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
ROOT=$(cd "$HERE/../.." && pwd)
. "$ROOT/versions.env"

CACHE=${FLEETSCOPE_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/fleetscope}
BIN=$CACHE/bin
CLUSTER=${FLEETSCOPE_CLUSTER:-dev}
# The checkout is part of the default folder's name, so that two checkouts have two clusters.
STATE=${FLEETSCOPE_STATE:-$CACHE/clusters/$CLUSTER-$(printf %s "$ROOT" | sha256sum | cut -c1-6)}
# What is taken on this machine: file N holds the state folder of the cluster with the index N.
TAKEN=/run/fleetscope
# The cgroup2 tree: mounted beside the version 1 controllers, or alone.
CG=/sys/fs/cgroup/unified
[ -d "$CG" ] || CG=/sys/fs/cgroup

T0=$(date +%s%N)
say() { # progress, with the seconds since the start
  local d=$((($(date +%s%N) - T0) / 100000000))
  printf '%3d.%d s  %s\n' $((d / 10)) $((d % 10)) "$*" >&2
}
fail() { # message [log file...]: the message and the last lines of the logs
  echo "$(basename "$0"): $1" >&2
  shift
  [ $# = 0 ] || tail -n 20 "$@" >&2 || true
  exit 1
}
# A condition that comes true by itself: polled up to a limit. until_true TENTHS_OF_A_SECOND COMMAND...
until_true() {
  local limit=$1 i
  shift
  for ((i = 0; i < limit; i++)); do
    "$@" >/dev/null 2>&1 && return 0
    sleep 0.1
  done
  return 1
}

# The index decides on the addresses and on every name that is visible on the machine (link, cgroup).
use_index() {
  N=$1 NAME=fs$1
  HOST_IP=10.254.$N.1 POD_CIDR=10.244.$N.0/24 SVC_CIDR=10.96.$N.0/24 API_IP=10.96.$N.1 DNS_IP=10.96.$N.10
}
node_ip() { echo "10.254.$N.$((4 * $1 - 2))"; } # node 1 has a veth pair to the machine, the others have one to node 1
node_gw() { echo "10.254.$N.$((4 * $1 - 3))"; }
node_pods() { echo "10.244.$N.$((64 * $1 - 64))/26"; }
own_index() { # the index that this state folder holds, if it holds one
  local n
  n=$(cat "$STATE/index" 2>/dev/null) && [ "$(cat "$TAKEN/$n" 2>/dev/null)" = "$STATE" ] && echo "$n"
}
node_count() { cat "$STATE/nodes" 2>/dev/null || echo 1; }

kc() { "$BIN/kubectl" --kubeconfig "${FLEETSCOPE_KUBECONFIG:-$STATE/kubeconfig}" "$@"; }
# The process in pid/NAME, if it runs and is ours. A number alone proves nothing: it may have been given away since.
alive() {
  local p
  p=$(cat "$STATE/pid/$1" 2>/dev/null) && grep -q "^0::/$NAME/" "/proc/$p/cgroup" 2>/dev/null &&
    ! grep -q '^State:.*Z' "/proc/$p/status" 2>/dev/null && echo "$p"
}
in_node() { # a command in node K's mount and network namespaces
  local k=$1
  shift
  nsenter -t "$(cat "$STATE/pid/node-$k")" -m -n -- "$@"
}
have_image() { # whether every node has the image
  local k
  for k in $(seq "$(node_count)"); do in_node "$k" ctr -n k8s.io images ls -q | grep -qx "$1" || return 1; done
}
is_up() {
  local n
  n=$(own_index) || return 1
  use_index "$n"
  [ -e "$STATE/pid/complete" ] && alive apiserver >/dev/null && kc get --raw /readyz >/dev/null 2>&1
}
need_up() { is_up || fail "cluster $CLUSTER is not up: make cluster-up (or tests/cluster/up.sh)"; }

# Ends every process in the cluster's own cgroup and nothing else, then removes link and cgroups. The namespaces and all
# mounts and rules in them go with their last process.
sweep() {
  local name=$1 g=$CG/$1 h p
  sweep_killed() {
    grep -q 'populated 1' "$g/cgroup.events" || return 0
    if [ -e "$g/cgroup.kill" ]; then echo 1 >"$g/cgroup.kill"; else
      find "$g" -name cgroup.procs -exec cat {} + | while read -r p; do kill -KILL "$p" 2>/dev/null; done
    fi
    return 1
  }
  sweep_removed() {
    local left=0
    for h in "$CG" /sys/fs/cgroup/*; do
      [ ! -d "$h/$name" ] || find "$h/$name" -depth -type d -exec rmdir {} + 2>/dev/null || left=1
    done
    return "$left"
  }
  [ ! -d "$g" ] || until_true 150 sweep_killed || return 1
  ip link del "$name" 2>/dev/null || true
  until_true 50 sweep_removed
}
