#!/usr/bin/env bash
# Builds the gRPC peers of the tests: tests/peers/build.sh [go|python|java|node|rust ...], all by default.
# Each becomes the folder ${FLEETSCOPE_CACHE:-~/.cache/fleetscope}/peers/LANG with a program `peer` in it, and is built again when its
# files here have changed, or its tools. What cannot be built on this machine is skipped, with the reason; not zero when a
# build failed. Packages come by name from go, pip, maven, npm and cargo, in the versions of go.mod, requirements.txt,
# pom.xml, package-lock.json and Cargo.lock.
set -euo pipefail
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
CACHE=${FLEETSCOPE_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/fleetscope}
PEERS=$CACHE/peers
mkdir -p "$PEERS" "$CACHE/log"
PEERS=$(cd "$PEERS" && pwd)
exec 8>"$PEERS/.lock"
flock 8

say() { echo "peers: $*" >&2; }
have() { command -v "$1" >/dev/null; }
# minimum WHAT MAJOR VERSION: prints why this machine's version will not do
minimum() { [ "${3:-0}" -ge "$2" ] || echo "$1 is version ${3:-unknown}, needed is $2 or later"; }

# Why a language cannot be built here, if so.
lacks() {
  case $1 in
  go) have go || echo "go is not installed" ;;
  python)
    if ! have python3; then echo "python3 is not installed"; elif
      ! python3 -m pip --version >/dev/null 2>&1; then echo "pip is not installed (python3-pip)"; else
      minimum "python 3" 10 "$(python3 -c 'import sys; print(sys.version_info.minor)')"
    fi
    ;;
  java)
    if ! have javac; then echo "no JDK is installed (default-jdk-headless)"; elif
      ! have mvn; then echo "maven is not installed"; else
      minimum java 17 "$(javac -version 2>&1 | sed 's/^javac \([0-9]*\).*/\1/')"
    fi
    ;;
  node)
    if ! have node; then echo "node is not installed (nodejs)"; elif
      ! have npm; then echo "npm is not installed"; else
      minimum node 18 "$(node -p 'process.versions.node.split(".")[0]')"
    fi
    ;;
  rust) have cargo || echo "cargo is not installed" ;;
  esac
}
# The tool a build depends on when it runs; another one builds it again.
tool() {
  case $1 in
  go) GOTOOLCHAIN=local go env GOVERSION ;;
  python) python3 -c 'import sys; print(sys.executable, sys.version)' ;;
  java) javac -version ;;
  node) node --version ;;
  rust) cargo --version ;;
  esac
}
stamp() { # of all that goes into a build
  { tool "$1" && cat "$HERE/build.sh" && cd "$HERE/$1" && find . -type f -not -path './target/*' -not -path './node_modules/*' -print0 | sort -z | xargs -0 sha256sum; } 2>&1 | sha256sum | cut -c1-16
}
launcher() { # FOLDER COMMAND...: the program `peer` that becomes COMMAND; \$here is its folder
  local folder=$1
  shift
  # shellcheck disable=SC2016 # for the program
  printf '#!/bin/sh\nhere=$(dirname "$0")\nexec %s "$@"\n' "$*" >"$folder/peer"
  chmod +x "$folder/peer"
}

# Each builds into the folder $1 and ends its own failing lines: `set -e` does not hold in a condition.
build_go() { (cd "$HERE/go" && CGO_ENABLED=0 GOTOOLCHAIN=local GOWORK=off go build -mod=readonly -buildvcs=false -trimpath -o "$1/peer" .); }
build_python() {
  python3 -m pip install --quiet --disable-pip-version-check --no-deps --only-binary :all: --target "$1/lib" -r "$HERE/python/requirements.txt" || return 1
  cp "$HERE"/python/*.py "$1/" || return 1
  launcher "$1" "env PYTHONPATH=\"\$here/lib\" PYTHONDONTWRITEBYTECODE=1 '$(python3 -c 'import sys; print(sys.executable)')' \"\$here/peer.py\""
}
build_java() {
  mvn -q -B -f "$HERE/java/pom.xml" dependency:copy-dependencies -DoutputDirectory="$1/lib" || return 1
  javac -Xlint:all,-processing -Werror --release 17 -cp "$1/lib/*" -d "$1/classes" "$HERE"/java/*.java || return 1
  # A JVM that starts quickly and stays small: tests start many.
  launcher "$1" "java -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Xmx512m -cp \"\$here/classes:\$here/lib/*\" Peer"
}
build_node() {
  cp "$HERE"/node/*.js "$HERE"/node/package*.json "$1/" || return 1
  (cd "$1" && npm ci --ignore-scripts --omit=dev --no-audit --no-fund) || return 1
  launcher "$1" "node \"\$here/peer.js\""
}
build_rust() {
  # Not in the caller's target folder. It is kept: a changed line costs seconds, all of it minutes.
  local target=$CACHE/.build/peer-rust
  (cd "$HERE/rust" && env -u RUSTFLAGS -u CARGO_ENCODED_RUSTFLAGS CARGO_TARGET_DIR="$target" cargo build --release --locked) || return 1
  cp "$target/release/peer" "$1/peer"
}

build() {
  local lang=$1 why want new t0 log
  case $lang in go | python | java | node | rust) ;; *) say "unknown language '$lang': go, python, java, node, rust" && exit 2 ;; esac
  why=$(lacks "$lang")
  if [ -n "$why" ]; then
    say "SKIPPED $lang: $why (setup/setup.sh --only peers)"
    return 0
  fi
  want=$(stamp "$lang")
  if [ -x "$PEERS/$lang/peer" ] && [ "$(cat "$PEERS/$lang/.stamp" 2>/dev/null)" = "$want" ]; then return 0; fi
  new=$PEERS/$lang.new t0=$(date +%s) log=$CACHE/log/peer-$lang.log
  say "$lang ..."
  rm -rf "$new" && mkdir -p "$new"
  if ! "build_$lang" "$new" >"$log" 2>&1 </dev/null; then
    tail -n 30 "$log" >&2
    say "$lang: failed; the whole output is in $log"
    return 1
  fi
  echo "$want" >"$new/.stamp"
  rm -rf "${PEERS:?}/$lang" && mv "$new" "$PEERS/$lang"
  say "$lang: done in $(($(date +%s) - t0)) s"
}

[ $# -gt 0 ] || set -- go python java node rust
failed=0
for lang in "$@"; do build "$lang" || failed=1; done
exit $failed
