#!/usr/bin/env bash
# Builds the static release binaries and the images of the Dockerfile, and writes each as an archive.
#   [ARCH=amd64|arm64] [PUSH=1] scripts/images.sh [--binaries [PACKAGE...]]
# FLEETSCOPE_IMAGE_PREFIX (localhost/fleetscope) and FLEETSCOPE_IMAGE_TAG (dev) name the images; PUSH=1 pushes them there.
# --binaries builds no image, and only these packages where some are named. Archives: TARGET/images/{operator,node-agent}-ARCH.tar (docker-archive).
# The same sources give the same bytes: no time stamps, no paths of this machine.
set -euo pipefail
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$ROOT"
target=${CARGO_TARGET_DIR:-$ROOT/target}
prefix=${FLEETSCOPE_IMAGE_PREFIX:-localhost/fleetscope} tag=${FLEETSCOPE_IMAGE_TAG:-dev}
arch=${ARCH:-$(uname -m | sed 's/x86_64/amd64/;s/aarch64/arm64/')}
say() { echo "images: $*" >&2; }
fail() {
  echo "images: $*" >&2
  exit 1
}
case $arch in
amd64) triple=x86_64-unknown-linux-gnu gcc=x86_64-linux-gnu-gcc ;;
arm64) triple=aarch64-unknown-linux-gnu gcc=aarch64-linux-gnu-gcc ;;
*) fail "ARCH is amd64 or arm64, not '$arch'" ;;
esac

# ---- binaries
ls "$(rustc --print sysroot)/lib/rustlib/$triple/lib/"libstd-*.rlib >/dev/null 2>&1 || fail "Rust has no standard library for $triple here: rustup target add $triple"
linker=()
if [ "$triple" != "$(rustc -vV | sed -n 's/^host: //p')" ]; then
  command -v $gcc >/dev/null || fail "no C compiler for $triple: apt-get install gcc-${triple%-unknown*}-linux-gnu libc6-dev-$arch-cross"
  linker=("CARGO_TARGET_$(tr a-z- A-Z_ <<<$triple)_LINKER=$gcc" "CC_${triple//-/_}=$gcc")
fi
packages=(fleetscope-operator fleetscope-node-agent fleetscope-cli)
[ $# -le 1 ] || packages=("${@:2}")
[[ " ${packages[*]} " != *" fleetscope-node-agent "* ]] || [ -s "${FLEETSCOPE_EBPF_OBJECT:-$target/ebpf/fleetscope.bpf.o}" ] || fail "no eBPF object: make ebpf"
t0=$(date +%s)
env "${linker[@]}" "CARGO_TARGET_$(tr a-z- A-Z_ <<<$triple)_RUSTFLAGS=-C target-feature=+crt-static --remap-path-prefix=${CARGO_HOME:-$HOME/.cargo}=/cargo" \
  cargo build --release --locked --target $triple "${packages[@]/#/--package=}"
built=$target/$triple/release
say "binaries after $(($(date +%s) - t0)) s: $(cd "$built" && du -h --apparent-size "${packages[@]/%fleetscope-cli/fleetscope}" | tr '\n' ' ')"
[ "${1:-}" != --binaries ] || exit 0

# ---- images: a context of the two binaries alone
context=$(mktemp -d)
trap 'rm -rf "$context"' EXIT
mkdir -p "$context/files" "$target/images"
install -m 755 "$built/fleetscope-operator" "$built/fleetscope-node-agent" "$context/files/"
touch -d @0 "$context"/files/*
if command -v buildah >/dev/null; then
  # vfs and chroot: neither overlay mounts nor a container are needed for files copied into nothing.
  b() { buildah --root "$context/store" --runroot "$context/run" --storage-driver vfs "$@"; }
  build() { b build --quiet --isolation chroot --timestamp 0 --platform "linux/$arch" --target "$1" -t "$2" -f Dockerfile "$context/files" >/dev/null; }
  save() { b push --quiet "$1" "docker-archive:$2:$1" && { [ "${PUSH:-0}" != 1 ] || b push "$1" "docker://$1"; }; }
else
  b=
  for x in podman docker; do if $x info >/dev/null 2>&1; then b=$x; break; fi; done
  [ -n "$b" ] || fail "neither buildah nor a running podman or docker is here: setup/setup.sh --only images"
  build() { $b build -q --platform "linux/$arch" --target "$1" -t "$2" -f Dockerfile "$context/files" >/dev/null; }
  save() { $b save -o "$2" "$1" && { [ "${PUSH:-0}" != 1 ] || $b push "$1"; }; }
fi
for image in operator node-agent; do
  file=$target/images/$image-$arch.tar
  build $image "$prefix/$image:$tag"
  rm -f "$file" # an archive is not written over
  save "$prefix/$image:$tag" "$file"
  say "$prefix/$image:$tag ($arch): $(($(stat -c %s "$file") / 1024)) KiB, $file"
done
