# shellcheck shell=bash
# A node: a network and a mount namespace, held open by one sleeping process in the cluster's cgroup.

# node name command...: a daemon in a node's namespaces and in the cluster's cgroup; pid/NAME, log/NAME.log.
# File descriptor 9 is the lock of up.sh, which a daemon must not keep.
run() {
  local k=$1 n=$2
  shift 2
  (
    echo 0 >"$CG/$NAME/system/cgroup.procs"
    exec 9<&-
    # shellcheck disable=SC2016 # expanded by the inner shell
    exec setsid nsenter -t "$(cat "$STATE/pid/node-$k")" -m -n -- bash -c 'cd "$0" && exec "$@"' "$STATE" "$@"
  ) >"$STATE/log/$n.log" 2>&1 </dev/null &
  echo $! >"$STATE/pid/$n"
  disown
}

# Daemons in NAME/system, node k's pods in NAME/node-k/kubepods, in every version 1 hierarchy and in the cgroup2 one.
cgroups() {
  local h g f k
  for h in "$CG" /sys/fs/cgroup/*; do
    [ -e "$h/cgroup.procs" ] || continue
    for k in $(seq "$NODES"); do
      mkdir -p "$h/$NAME/node-$k"
      [ "$h" = "$CG" ] || for f in cpuset.cpus cpuset.mems; do # version 1 cpusets start empty
        for g in "$h/$NAME" "$h/$NAME/node-$k"; do
          if [ -e "$g/$f" ] && [ -z "$(cat "$g/$f")" ]; then cat "$h/$f" >"$g/$f"; fi
        done
      done
    done
  done
  mkdir -p "$CG/$NAME/system"
}

# The namespaces of node K, its link, addresses and routes.
# Not `ip netns add`: its names and their mounts would outlive a crash, and every other cluster's nodes would hold them.
node_namespaces() {
  local k=$1 ip gw dev r holder
  local up=() # the other end of the link: the machine, or node 1
  ip=$(node_ip "$k") gw=$(node_gw "$k") dev=$NAME
  (
    echo 0 >"$CG/$NAME/system/cgroup.procs"
    exec 9<&-
    exec setsid unshare --net --mount --propagation private bash -c "exec -a $NAME-node-$k sleep infinity"
  ) >"$STATE/log/node-$k.log" 2>&1 </dev/null &
  holder=$!
  disown
  echo $holder >"$STATE/pid/node-$k"
  until_true 100 grep -qx sleep "/proc/$holder/comm" || fail "the namespaces of node-$k cannot be made" "$STATE/log/node-$k.log"
  if [ "$k" != 1 ]; then up=(in_node 1) dev=node-$k; fi
  "${up[@]}" ip link add "$dev" type veth peer name eth0 netns "$holder"
  "${up[@]}" ip addr add "$gw/30" dev "$dev"
  "${up[@]}" ip link set "$dev" up
  in_node "$k" ip link set lo up
  in_node "$k" ip addr add "$ip/30" dev eth0
  in_node "$k" ip link set eth0 up
  in_node "$k" ip route add "$SVC_CIDR" dev eth0 src "$ip" # so that node-local clients get as far as kube-proxy's DNAT
  in_node "$k" sysctl -qw net.ipv4.ip_forward=1 net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.eth0.rp_filter=0
  in_node "$k" sysctl -qw net.bridge.bridge-nf-call-iptables=1 2>/dev/null || true # only there with br_netfilter
  if [ "$k" = 1 ]; then
    for r in "$POD_CIDR" "$SVC_CIDR" "10.254.$N.0/24"; do ip route replace "$r" via "$ip" dev "$dev"; done
  else
    in_node 1 ip route add "$(node_pods "$k")" via "$ip" dev "$dev"
    for r in "$POD_CIDR" "10.254.$N.0/24"; do in_node "$k" ip route add "$r" via "$gw"; done
  fi
}

# Own /run, /var/lib and /var/log, so that the standard paths hold inside and nothing is left outside, and an own bpffs, as each node has
# its own pins. Shared again at the end, or pods with mountPropagation would fail.
node_mounts() {
  local k=$1 d=$STATE/node-$1
  rm -rf "$d/run" "$d/var/log" "$d/var/lib/kubelet" "$d/var/lib/cni"
  mkdir -p "$d"/{run/netns,run/lock,cni,conf,var/lib/kubelet,var/lib/containerd,var/lib/cni,var/log/pods,var/log/containers}
  in_node "$k" bash -e -c "
    for x in run var/lib var/log; do mount --bind '$d'/\$x /\$x; done
    mount -t bpf bpf /sys/fs/bpf
    mountpoint -q /sys/kernel/tracing || mount -t tracefs tracefs /sys/kernel/tracing
    mountpoint -q /sys/kernel/debug || mount -t debugfs debugfs /sys/kernel/debug
    mount --make-rshared /"
}

node_configuration() {
  local k=$1 d=$STATE/node-$1
  cat >"$d/conf/containerd.toml" <<T2
version = 2
root = "/var/lib/containerd"
state = "/run/containerd"
disabled_plugins = ["io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.zfs", "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.aufs"]
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "localhost/pause:$PAUSE"
  restrict_oom_score_adj = true # for a root without CAP_SYS_RESOURCE, which cannot lower oom_score_adj
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "$BIN"
    conf_dir = "$d/cni"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
T2
  cat >"$d/cni/10-pods.conflist" <<T2
{"cniVersion":"1.0.0","name":"pods","plugins":[
 {"type":"bridge","bridge":"cni0","isDefaultGateway":true,"hairpinMode":true,"ipMasq":false,"ipam":{"type":"host-local","ranges":[[{"subnet":"$(node_pods "$k")"}]]}},
 {"type":"portmap","capabilities":{"portMappings":true}}]}
T2
  : >"$d/conf/resolv.conf"
  # failCgroupV1: version 1 machines are what many still have. localStorageCapacityIsolation stays on: without it
  # cadvisor has no disk figures and the eviction manager fails every 10 s. imageGC at 100: local images come from
  # nowhere else. syncFrequency: how soon a changed Secret or ConfigMap reaches running pods (default 1 m).
  cat >"$d/conf/kubelet.yaml" <<T2
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
authentication: {anonymous: {enabled: false}, webhook: {enabled: true}, x509: {clientCAFile: $STATE/pki/ca.crt}}
authorization: {mode: Webhook}
tlsCertFile: $STATE/pki/kubelet-$k.crt
tlsPrivateKeyFile: $STATE/pki/kubelet-$k.key
address: $(node_ip "$k")
healthzBindAddress: 127.0.0.1
containerRuntimeEndpoint: unix:///run/containerd/containerd.sock
cgroupDriver: cgroupfs
cgroupRoot: /$NAME/node-$k
failCgroupV1: false
failSwapOn: false
oomScoreAdj: 0
clusterDNS: ["$DNS_IP"]
clusterDomain: cluster.local
resolvConf: $d/conf/resolv.conf
evictionHard: {memory.available: 100Mi, nodefs.available: 1%, nodefs.inodesFree: 1%, imagefs.available: 1%}
imageGCHighThresholdPercent: 100
maxPods: 60
syncFrequency: 5s
nodeStatusUpdateFrequency: 5s
T2
  # conntrack: its sysctls cannot be written in a network namespace.
  cat >"$d/conf/proxy.yaml" <<T2
apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
clientConnection: {kubeconfig: $STATE/pki/proxy.conf}
mode: nftables
clusterCIDR: $POD_CIDR
hostnameOverride: node-$k
bindAddress: $(node_ip "$k")
healthzBindAddress: 127.0.0.1:10256
metricsBindAddress: 127.0.0.1:10249
oomScoreAdj: 0
conntrack: {maxPerCore: 0, min: 0, tcpEstablishedTimeout: 0s, tcpCloseWaitTimeout: 0s}
T2
}
