#!/usr/bin/env bash
# Installs what building and testing need beyond Rust, Go, git, make and a C compiler, and says what and how long it took.
#   setup/setup.sh [--only PART[,PART...]]
# Parts: ebpf (compiler of the kernel programs), cluster (Kubernetes on this machine), monitoring (Prometheus, its operator, Alertmanager),
# images (buildah), lint (shellcheck, cargo-deny, helm), grpc (real gRPC servers and clients in Go, Python and Rust); only by name:
# kwok (fake nodes), bench (what is measured beside), fuzz (cargo-fuzz), peers (gRPC in all five languages, and nghttp2).
# What is there already in the version of versions.env is left alone, so a second run takes a second. Debian packages go into
# the system; all else into ${FLEETSCOPE_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/fleetscope} (and Go's and cargo's own download
# caches). Without root, or where apt is not the package manager, it says what is missing and what runs all the same.
set -euo pipefail
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$HERE/../versions.env"
CACHE=${FLEETSCOPE_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/fleetscope}
BIN=$CACHE/bin STAMPS=$CACHE/bin/.stamps
. "$HERE/packages.sh"
. "$HERE/cargo-tools.sh"
. "$HERE/go-binaries.sh"

parts=(ebpf cluster monitoring images lint grpc)
while [ $# -gt 0 ]; do
  case $1 in
  --only) IFS=, read -ra parts <<<"${2:?--only needs a part}"; shift 2 ;;
  -h | --help) sed -n '2,/^set/{/^#/s/^# \{0,1\}//p}' "$0"; exit 0 ;;
  *) echo "setup: unknown argument '$1' (see --help)" >&2; exit 2 ;;
  esac
done

say() { echo "setup: $*" >&2; }
fail() {
  echo "setup: $*" >&2
  exit 1
}
# step WHAT COMMAND...: announces, runs, and tells the time; the output is in a log that is shown when it fails.
# A function that it runs must end its own failing lines (|| return 1): `set -e` does not hold in a condition.
step() {
  local what=$1 t0 log
  shift
  t0=$(date +%s) log=$CACHE/log/$(tr -c 'a-z0-9.\n' - <<<"${what,,}").log
  mkdir -p "$CACHE/log"
  say "$what ..."
  if ! "$@" >"$log" 2>&1 </dev/null; then
    tail -n 30 "$log" >&2
    fail "$what: failed; the whole output is in $log"
  fi
  say "$what: done in $(($(date +%s) - t0)) s"
}
at_least() { [ "$(printf '%s\n%s\n' "$1" "$2" | sort -V | head -n 1)" = "$1" ]; } # at_least MINIMUM VERSION

need_rust() {
  command -v cargo >/dev/null || fail "cargo is missing: install Rust $RUST_MIN or later from https://rustup.rs"
  local v
  v=$(cargo --version | cut -d' ' -f2)
  at_least "$RUST_MIN" "${v%%-*}" || fail "cargo is $v, needed is $RUST_MIN or later: rustup toolchain install $RUST_MIN && rustup default $RUST_MIN"
}
need_go() {
  command -v go >/dev/null || fail "go is missing: unpack go$GO_MIN or later from https://go.dev/dl/ into /usr/local and add /usr/local/go/bin to PATH"
  local v
  v=$(GOTOOLCHAIN=local go env GOVERSION)
  at_least "$GO_MIN" "${v#go}" || fail "go is ${v#go}, needed is $GO_MIN or later: unpack a newer one from https://go.dev/dl/ into /usr/local"
}

mkdir -p "$BIN" "$STAMPS"
BIN=$(cd "$BIN" && pwd)
exec 9>"$CACHE/.setup.lock"
flock -n 9 || { say "another setup is running, waiting for it" && flock -w 5400 9; } || fail "another setup has been running for 90 minutes"

t0=$(date +%s) incomplete=()
need_rust
for part in "${parts[@]}"; do
  case $part in
  ebpf)
    if packages ebpf rustc-web:/usr/bin/rustc cargo-web:/usr/bin/cargo rust-web-src:/usr/lib/rustlib/src/rust "llvm-$LLVM:/usr/bin/llvm-objcopy-$LLVM" \
      "llvm-$LLVM-dev:/usr/lib/llvm-$LLVM/bin/llvm-config" "libclang-$LLVM-dev:/usr/lib/llvm-$LLVM/lib/libclang.so" "lld-$LLVM:/usr/bin/ld.lld-$LLVM" g++:c++; then bpf_linker; fi
    ;;
  cluster)
    need_go
    packages cluster containerd:containerd runc:runc iptables:iptables nftables:nft conntrack:conntrack ethtool:ethtool socat:socat iproute2:ip \
      openssl:openssl procps:sysctl util-linux:nsenter jq:jq curl:curl gcc:gcc libc6-dev:/usr/include/stdlib.h mmdebstrap:mmdebstrap || true
    build_pause
    build_kubernetes
    build_cni
    build_helm
    build_coredns
    ;;
  monitoring)
    need_go
    build_prometheus_operator
    build_grafana_operator
    build_prometheus
    build_alertmanager
    ;;
  images) packages images buildah:buildah jq:jq libc6-dev:/usr/include/stdlib.h || true ;;
  lint)
    need_go
    packages lint shellcheck:shellcheck || true
    build_helm
    cargo_deny
    ;;
  kwok)
    need_go
    build_kwok
    ;;
  fuzz) if packages fuzz g++:c++; then cargo_fuzz; fi ;;
  bench) packages bench bpftrace:bpftrace forkstat:forkstat nghttp2-client:h2load || true ;;
  grpc)
    need_go
    # Three of the five: a JDK with maven, and npm, are hundreds of megabytes of packages. What is built already is left alone.
    packages grpc python3:python3 python3-pip:pip3 || true
    "$HERE/../tests/peers/build.sh" go python rust || incomplete+=("part grpc: a gRPC peer could not be built, see above")
    ;;
  peers)
    need_go
    packages peers python3:python3 python3-pip:pip3 nodejs:node npm:npm default-jdk-headless:javac maven:mvn nghttp2-client:h2load nghttp2-server:nghttpd || true
    # It skips what this machine has no tools for, and says which.
    "$HERE/../tests/peers/build.sh" || incomplete+=("part peers: a gRPC peer could not be built, see above")
    ;;
  *) fail "unknown part '$part': ebpf, cluster, monitoring, images, lint, grpc, kwok, bench, fuzz, peers" ;;
  esac
done
if [ ${#incomplete[@]} -gt 0 ]; then
  printf 'setup: NOT COMPLETE: %s\n' "${incomplete[@]}" >&2
  say "what does not need these parts runs all the same; the tests that need them are skipped, with the reason"
else
  say "complete (${parts[*]}) after $(($(date +%s) - t0)) s, in $CACHE"
fi
