# shellcheck shell=bash
# The cluster's programs, built from Go modules by name (sums checked by Go). Sourced by setup.sh.
# .stamps/NAME holds what a binary was built from; another version in versions.env, or another recipe, builds it again.

export CGO_ENABLED=0 GOTOOLCHAIN=local GOWORK=off
GO_BUILD_FLAGS="-buildvcs=false -trimpath -modcacherw"

# built NAME STAMP FILE...: whether the files are there and were built from this
built() {
  local stamp=$STAMPS/$1 want=$2 f
  shift 2
  [ "$(cat "$stamp" 2>/dev/null)" = "$want" ] || return 1
  for f in "$@"; do [ -e "$BIN/$f" ] || return 1; done
}
module() { # MODULE VERSION: its folder in the module cache
  local i
  for i in 1 2 3; do # a mirror that does not answer once
    GOFLAGS=$GO_BUILD_FLAGS go mod download -json "$1@$2" >"$CACHE/.module.json" && break
    [ "$i" != 3 ] || return 1
  done
  jq -er .Dir "$CACHE/.module.json" 2>/dev/null || sed -n 's/.*"Dir": "\(.*\)",\{0,1\}$/\1/p' "$CACHE/.module.json"
}
# Nobody debugs these: without DWARF from the start the compiler has a twelfth less to do.
compile() { # folder LDFLAGS OUT PACKAGE [go arguments...]
  local d=$1 ld=$2 out=$3 package=$4
  shift 4
  (cd "$d" && GOFLAGS=$GO_BUILD_FLAGS go build -mod=mod -gcflags=all=-dwarf=false -ldflags "-s -w $ld" "$@" -o "$BIN/$out.new" "$package" && mv "$BIN/$out.new" "$BIN/$out")
}

# go_tool NAME MODULE VERSION LDFLAGS TAGS OUT=PACKAGE...: from the module's own go.mod and go.sum, as its authors build it.
# PATCH names a function that changes the copied source first.
go_tool() {
  local name=$1 version=$3 files=()
  local o
  for o in "${@:6}"; do files+=("${o%%=*}"); done
  built "$name" "$version" "${files[@]}" && return 0
  step "$name $version (go build)" go_tool_build "$@"
  echo "$version" >"$STAMPS/$name"
}
go_tool_build() {
  local name=$1 module=$2 version=$3 ld=$4 tags=$5 o dir d r
  shift 5
  d=$CACHE/.build/$name
  dir=$(module "$module" "v$version") || return 1
  rm -rf "$d" && mkdir -p "$d" && cp -r "${dir:?}/." "$d/" && chmod -R u+w "$d" || return 1
  # A module's zip leaves out its nested modules: replaces that point into the tree are dropped, the required versions are published.
  # shellcheck disable=SC2013 # module paths have no blanks
  for r in $(sed -n 's#^[[:space:]]*\(replace \)\{0,1\}\([^ ]*\) .*=> \.\{1,2\}/.*#\2#p' "$d/go.mod"); do
    (cd "$d" && go mod edit -dropreplace="$r") || return 1
  done
  [ -z "${PATCH:-}" ] || (cd "$d" && "$PATCH") || return 1
  for o in "$@"; do compile "$d" "$ld" "${o%%=*}" "${o#*=}" ${tags:+-tags "$tags"} || return 1; done
  rm -rf "$d"
}

# etcd, the control plane, kubelet, kube-proxy and kubectl in one binary: one link step, and a fifth of the disk.
build_kubernetes() {
  local stamp n
  stamp="$KUBERNETES $(sha256sum <"$HERE/hyperkube/main.go" | cut -c1-16)"
  if ! built kube "$stamp" hyperkube; then
    step "kubernetes $KUBERNETES (go build, the longest)" build_hyperkube
    echo "$stamp" >"$STAMPS/kube"
  fi
  for n in etcd kube-apiserver kube-controller-manager kube-scheduler kubelet kube-proxy kubectl; do ln -sfn hyperkube "$BIN/$n"; done
}
build_hyperkube() {
  local d=$CACHE/.build/kube dir x p ld=
  dir=$(module k8s.io/kubernetes "v$KUBERNETES") || return 1
  rm -rf "$d" && mkdir -p "$d" || return 1
  # Upstream's own go.mod, its staging replaces pointed at the published staging modules.
  {
    sed -e 's#^module .*#module hyperkube#' -e "s#=> ./staging/src/\(k8s.io/[a-z-]*\)#=> \1 v0.${KUBERNETES#1.}#" "$dir/go.mod" &&
      printf '\nrequire k8s.io/kubernetes v%s\n' "$KUBERNETES"
  } >"$d/go.mod" || return 1
  install -m 644 "$dir/go.sum" "$d/go.sum" && install -m 644 "$HERE/hyperkube/main.go" "$d/main.go" || return 1
  for x in "gitVersion=v$KUBERNETES" gitMajor=1 "gitMinor=$(cut -d. -f2 <<<"$KUBERNETES")" gitTreeState=clean; do
    for p in k8s.io/component-base/version k8s.io/client-go/pkg/version; do ld+=" -X $p.$x"; done
  done
  compile "$d" "$ld" hyperkube . && rm -rf "$d"
}

build_pause() {
  local stamp
  stamp="$PAUSE $(sha256sum <"$HERE/pause/pause.c" | cut -c1-16)"
  built pause "$stamp" pause && return 0
  step "pause $PAUSE (cc)" gcc -static -Os -s -o "$BIN/pause" "$HERE/pause/pause.c"
  echo "$stamp" >"$STAMPS/pause"
}

build_cni() {
  go_tool cni github.com/containernetworking/plugins "$CNI_PLUGINS" "" "" bridge=./plugins/main/bridge loopback=./plugins/main/loopback \
    host-local=./plugins/ipam/host-local portmap=./plugins/meta/portmap
}

build_helm() {
  local v=helm.sh/helm/v3/internal/version
  go_tool helm helm.sh/helm/v3 "$HELM" "-X $v.version=v$HELM -X $v.gitTreeState=clean" "" helm=./cmd/helm
}

# With the plugins that a cluster needs; all of them would bring a hundred modules of cloud clients.
coredns_plugins() {
  local p
  {
    echo "package plugin"
    echo "import ("
    for p in bind cache debug errors forward health hosts kubernetes log loop metrics ready reload rewrite template whoami; do
      echo "_ \"github.com/coredns/coredns/plugin/$p\""
    done
    echo ")"
  } >core/plugin/zplugin.go
}
build_coredns() { PATCH=coredns_plugins go_tool coredns github.com/coredns/coredns "$COREDNS" "" "" coredns=.; }

build_prometheus_operator() {
  local dir
  if ! built prometheus-operator-crds "$PROMETHEUS_OPERATOR" prometheus-operator-crds; then
    dir=$(module github.com/prometheus-operator/prometheus-operator "v$PROMETHEUS_OPERATOR")
    rm -rf "$BIN/prometheus-operator-crds"
    mkdir -p "$BIN/prometheus-operator-crds"
    install -m 644 "$dir"/example/prometheus-operator-crd/*.yaml "$BIN/prometheus-operator-crds/"
    echo "$PROMETHEUS_OPERATOR" >"$STAMPS/prometheus-operator-crds"
  fi
  go_tool prometheus-operator github.com/prometheus-operator/prometheus-operator "$PROMETHEUS_OPERATOR" "-X github.com/prometheus/common/version.Version=$PROMETHEUS_OPERATOR" "" \
    prometheus-operator=./cmd/operator prometheus-config-reloader=./cmd/prometheus-config-reloader
}

# No program of it: dashboards are made for it, and an API server has to take them.
build_grafana_operator() {
  local dir
  built grafana-operator-crds "$GRAFANA_OPERATOR" grafana-operator-crds && return 0
  dir=$(module github.com/grafana/grafana-operator/v5 "v$GRAFANA_OPERATOR")
  rm -rf "$BIN/grafana-operator-crds"
  mkdir -p "$BIN/grafana-operator-crds"
  install -m 644 "$dir"/config/crd/bases/grafana.integreatly.org_grafanadashboards.yaml "$BIN/grafana-operator-crds/"
  echo "$GRAFANA_OPERATOR" >"$STAMPS/grafana-operator-crds"
}

# Only the service discoveries that prometheus-operator generates. The web page's files are not in the module; the API is.
build_prometheus() {
  go_tool prometheus github.com/prometheus/prometheus "$PROMETHEUS" "-X github.com/prometheus/common/version.Version=3.${PROMETHEUS#0.3}" remove_all_sd,enable_kubernetes_sd \
    prometheus=./cmd/prometheus promtool=./cmd/promtool
}

# The web page's files are in the module.
build_alertmanager() {
  go_tool alertmanager github.com/prometheus/alertmanager "$ALERTMANAGER" "-X github.com/prometheus/common/version.Version=$ALERTMANAGER" "" \
    alertmanager=./cmd/alertmanager amtool=./cmd/amtool
}

build_kwok() {
  local dir
  go_tool kwok sigs.k8s.io/kwok "$KWOK" "-X sigs.k8s.io/kwok/pkg/consts.Version=v$KWOK" "" kwok=./cmd/kwok
  built kwok-stages "$KWOK" kwok-stages && return 0
  dir=$(module sigs.k8s.io/kwok "v$KWOK")
  mkdir -p "$BIN/kwok-stages"
  install -m 644 "$dir"/kustomize/stage/node/fast/node-*.yaml "$dir"/kustomize/stage/node/heartbeat-with-lease/node-*.yaml "$dir"/kustomize/stage/pod/fast/pod-*.yaml "$BIN/kwok-stages/"
  echo "$KWOK" >"$STAMPS/kwok-stages"
}
