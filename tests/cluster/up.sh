#!/usr/bin/env bash
# Starts a Kubernetes cluster on this machine: etcd, API server, controller manager, scheduler; per node containerd with
# runc, kubelet and kube-proxy; CoreDNS. Nothing to do when it is up already.
#   [FLEETSCOPE_CLUSTER=dev] [NODES=1] [AUDIT=1] tests/cluster/up.sh
# NODES: 0 (etcd, API server and controller manager only) to 4. AUDIT=1: every request as one JSON line in log/audit.log.
#
# Each node is a network namespace plus a mount namespace, and all of it one cgroup. So the machine's own firewall, /run and
# /var/lib stay as they are, no packet can leave the machine (the namespaces have no default route), and down.sh can
# end all of it. From the machine, the API, pods and services are reached through a veth pair. The control plane runs in node 1.
set -euo pipefail
NODES=${NODES:-1}
. "$(dirname "${BASH_SOURCE[0]}")/settings.sh"
. "$HERE/pki.sh"
. "$HERE/nodes.sh"

if [ -n "${FLEETSCOPE_KUBECONFIG:-}" ]; then
  kc get --raw /readyz >/dev/null || fail "the cluster of FLEETSCOPE_KUBECONFIG=$FLEETSCOPE_KUBECONFIG does not answer"
  say "using the cluster of FLEETSCOPE_KUBECONFIG, nothing was started"
  exit 0
fi
[[ $NODES =~ ^[0-4]$ ]] || fail "NODES is 0 to 4, not '$NODES'"
[[ $CLUSTER =~ ^[a-z0-9-]{1,40}$ ]] || fail "FLEETSCOPE_CLUSTER is lower case letters, digits and dashes, not '$CLUSTER'"
[ "$(id -u)" = 0 ] || fail "the test cluster needs root (namespaces, cgroups, a container runtime)"
[ "$(stat -fc %T "$CG")" = cgroup2fs ] || fail "no cgroup2 tree at $CG: mount -t cgroup2 none /sys/fs/cgroup/unified"
[ "$NODES" = 0 ] || for c in containerd ctr runc nft iptables conntrack; do
  command -v $c >/dev/null || fail "$c is missing: make setup"
done
for c in "$BIN/hyperkube" "$BIN/kubectl" openssl nsenter unshare ip; do command -v "$c" >/dev/null || fail "$c is missing: make setup"; done
# The nodes have their own /run, /var/lib and /var/log: what they must see cannot lie there.
for d in "$STATE" "$BIN"; do case $d in /run/* | /var/run/* | /var/lib/* | /var/log/*)
  fail "$d lies in a folder that nodes have their own of: set FLEETSCOPE_CACHE to another place" ;; esac; done

mkdir -p "$STATE"
STATE=$(cd "$STATE" && pwd)
exec 9<"$STATE"
flock -w 300 9 || fail "another process has been starting or stopping cluster $CLUSTER for five minutes"
if is_up; then
  [ "$(node_count)" -ge "$NODES" ] || fail "cluster $CLUSTER is up with $(node_count) node(s), not $NODES: make cluster-down first"
  say "cluster $CLUSTER is up already ($(node_count) nodes)"
  exit 0
fi
if [ -d "$STATE/pid" ] || own_index >/dev/null; then # of one that crashed, or did not come up whole
  say "removing what is left of an earlier cluster $CLUSTER"
  FLEETSCOPE_LOCKED=1 FLEETSCOPE_STATE=$STATE "$HERE/down.sh"
fi

# ---- a free index, preferably the last one; under one lock for the whole machine
free_index() {
  local n r
  for n in "$TAKEN"/*; do # clusters whose folder somebody deleted
    [ -e "$n" ] && [ ! -d "$(cat "$n")" ] && sweep "fs${n##*/}" && rm -f "$n"
  done
  for n in $(cat "$STATE/index" 2>/dev/null) $(seq 250); do
    if [ -e "$TAKEN/$n" ] || [ -e "$CG/fs$n" ] || [ -e "/sys/class/net/fs$n" ]; then continue; fi
    for r in 254 244 96; do [ -z "$(ip -o route show root "10.$r.$n.0/24")" ] || continue 2; done
    echo "$n"
    return
  done
  return 1
}
exec 8</run
flock 8
N=$(free_index) || fail "all 250 indices are taken: see $TAKEN"
mkdir -p "$TAKEN"
echo "$STATE" >"$TAKEN/$N"
echo "$N" >"$STATE/index"
exec 8<&-
use_index "$N"

cd "$STATE"
rm -rf pid log etcd
mkdir -p pid log etcd conf
chmod 700 etcd
echo "$NODES" >nodes
pki
cgroups
namespaces=$((NODES > 0 ? NODES : 1))
for k in $(seq $namespaces); do
  node_namespaces "$k"
  node_mounts "$k"
done
for k in $(seq "$NODES"); do node_configuration "$k"; done

# ---- control plane
audit=()
if [ "${AUDIT:-0}" = 1 ]; then
  install -m 644 "$HERE/manifests/audit.yaml" conf/audit.yaml
  audit=(--audit-policy-file=conf/audit.yaml --audit-log-path=log/audit.log --audit-log-maxsize=512 --audit-log-maxbackup=1)
fi
run 1 etcd "$BIN/etcd" --data-dir etcd --listen-client-urls http://127.0.0.1:2379 --advertise-client-urls http://127.0.0.1:2379 \
  --listen-peer-urls http://127.0.0.1:2380 --unsafe-no-fsync --log-level warn
run 1 apiserver "$BIN/kube-apiserver" --etcd-servers=http://127.0.0.1:2379 --bind-address=0.0.0.0 --advertise-address="$(node_ip 1)" --secure-port=6443 \
  --tls-cert-file=pki/apiserver.crt --tls-private-key-file=pki/apiserver.key --client-ca-file=pki/ca.crt \
  --service-account-key-file=pki/sa.pub --service-account-signing-key-file=pki/sa.key --service-account-issuer=https://kubernetes.default.svc.cluster.local \
  --service-cluster-ip-range="$SVC_CIDR" --authorization-mode=Node,RBAC --allow-privileged=true --enable-admission-plugins=NodeRestriction \
  --kubelet-client-certificate=pki/apiserver-kubelet.crt --kubelet-client-key=pki/apiserver-kubelet.key --kubelet-certificate-authority=pki/ca.crt \
  --kubelet-preferred-address-types=InternalIP --requestheader-client-ca-file=pki/ca.crt --requestheader-allowed-names=front-proxy \
  --requestheader-username-headers=X-Remote-User --requestheader-group-headers=X-Remote-Group --requestheader-extra-headers-prefix=X-Remote-Extra- \
  --proxy-client-cert-file=pki/front-proxy.crt --proxy-client-key-file=pki/front-proxy.key --profiling=false "${audit[@]}"

# ---- container runtimes, and the images that the cluster itself needs, while the API server starts
for k in $(seq "$NODES"); do run "$k" "containerd-$k" containerd --config "node-$k/conf/containerd.toml"; done
for k in $(seq "$NODES"); do
  until_true 300 in_node "$k" ctr version || fail "containerd does not answer" "log/containerd-$k.log"
done
if [ "$NODES" != 0 ]; then
  have_image "localhost/pause:$PAUSE" || "$HERE/image.sh" "localhost/pause:$PAUSE" '["/pause"]' "$BIN/pause:/pause" >/dev/null
  have_image "localhost/coredns:$COREDNS" || "$HERE/image.sh" "localhost/coredns:$COREDNS" '["/coredns"]' "$BIN/coredns:/coredns" >/dev/null
  say "container runtime ready"
fi

apiserver_answers() { kc get --raw /readyz || ! alive apiserver; }
until_true 1200 apiserver_answers || true
kc get --raw /readyz >/dev/null 2>&1 || fail "the API server is not ready" log/etcd.log log/apiserver.log
say "API server ready"
# 300 requests a second: the default of 20 makes a thousand pods take a minute.
run 1 controller-manager "$BIN/kube-controller-manager" --kubeconfig=pki/controller-manager.conf --service-account-private-key-file=pki/sa.key --root-ca-file=pki/ca.crt \
  --cluster-signing-cert-file=pki/ca.crt --cluster-signing-key-file=pki/ca.key --use-service-account-credentials --leader-elect=false \
  --bind-address=127.0.0.1 --kube-api-qps=300 --kube-api-burst=600 --cluster-cidr="$POD_CIDR" --service-cluster-ip-range="$SVC_CIDR"
if [ "$NODES" != 0 ]; then
  run 1 scheduler "$BIN/kube-scheduler" --kubeconfig=pki/scheduler.conf --leader-elect=false --bind-address=127.0.0.1 --kube-api-qps=300 --kube-api-burst=600
  for k in $(seq "$NODES"); do
    run "$k" "kubelet-$k" "$BIN/kubelet" --config="node-$k/conf/kubelet.yaml" --kubeconfig="pki/kubelet-$k.conf" --hostname-override="node-$k" --node-ip="$(node_ip "$k")"
    run "$k" "proxy-$k" "$BIN/kube-proxy" --config="node-$k/conf/proxy.yaml"
  done
  sed -e "s/@DNS_IP@/$DNS_IP/" -e "s/@COREDNS@/$COREDNS/" "$HERE/manifests/coredns.yaml" | kc apply -f - >/dev/null
  node_ready() { kc get node "node-$1" | grep -qw Ready; }
  for k in $(seq "$NODES"); do
    until_true 600 node_ready "$k" || fail "node-$k is not Ready" "log/containerd-$k.log" "log/kubelet-$k.log"
  done
  say "$NODES node(s) Ready"
fi
until_true 300 kc -n default get serviceaccount default || fail "no service account in namespace default" log/controller-manager.log
if [ "$NODES" != 0 ]; then
  kc -n kube-system rollout status deployment/coredns --timeout=90s >/dev/null || fail "no cluster DNS" log/kubelet-1.log
  say "cluster DNS ready"
fi
touch pid/complete
echo "export KUBECONFIG=$STATE/kubeconfig"
