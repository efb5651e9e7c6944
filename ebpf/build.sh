#!/bin/sh
# Builds the eBPF object: target/ebpf/fleetscope.bpf.o, without DWARF, with BTF.
#
# The compiler is Debian's (packages rustc-web, cargo-web, rust-web-src, llvm): eBPF needs core built from source, for which
# rustup's stable toolchain has no door, and Debian's rustc shares its LLVM with bpf-linker. The object is the same, bit for bit,
# from any folder: paths are remapped, the lock file is binding. Cargo decides whether anything is to be done.
#
#   BPF_LINKER        the bpf-linker to use; else the one of the tool cache, else that of PATH
#   FLEETSCOPE_CACHE  the tool cache (default ~/.cache/fleetscope)
#   CARGO_TARGET_DIR  where target/ is
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
target=${CARGO_TARGET_DIR:-$root/target}
cache=${FLEETSCOPE_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/fleetscope}
cargo_home=${CARGO_HOME:-$HOME/.cargo}
. "$root/versions.env"

die() {
    echo "ebpf/build.sh: $*" >&2
    exit 1
}

linker=${BPF_LINKER:-$cache/bpf-linker-$BPF_LINKER_VERSION/bin/bpf-linker}
[ -x "$linker" ] || linker=$(command -v bpf-linker) || die "no bpf-linker $BPF_LINKER_VERSION at $cache/bpf-linker-$BPF_LINKER_VERSION/bin: run 'make setup'"
for tool in /usr/bin/cargo /usr/bin/rustc "/usr/bin/llvm-objcopy-$LLVM"; do
    [ -x "$tool" ] || die "$tool is missing: run 'make setup'"
done

separator=$(printf '\037')
flags="-Cdebuginfo=2"
flags="$flags$separator-Clink-arg=--btf"
flags="$flags$separator--remap-path-prefix=$root=/src"
flags="$flags$separator--remap-path-prefix=$cargo_home=/cargo"
flags="$flags$separator--remap-path-prefix=$target=/target"

# Nothing of an outer cargo or rustup may leak in: no CARGO_*, RUST*, no wrapper, no toolchain choice. `cd` as cargo reads
# .cargo/config.toml from the folder that it runs in.
cd "$root"
env -i HOME="$HOME" PATH="/usr/bin:/bin" LANG=C CARGO_HOME="$cargo_home" \
    ${http_proxy:+http_proxy="$http_proxy"} ${https_proxy:+https_proxy="$https_proxy"} ${HTTPS_PROXY:+HTTPS_PROXY="$HTTPS_PROXY"} \
    ${SSL_CERT_FILE:+SSL_CERT_FILE="$SSL_CERT_FILE"} \
    RUSTC=/usr/bin/rustc RUSTC_BOOTSTRAP=1 CARGO_ENCODED_RUSTFLAGS="$flags" CARGO_TARGET_BPFEL_UNKNOWN_NONE_LINKER="$linker" \
    /usr/bin/cargo build --quiet --locked --profile ebpf --package fleetscope-ebpf --bin fleetscope-ebpf \
    --target bpfel-unknown-none -Zbuild-std=core --target-dir "$target/ebpf-build"

built=$target/ebpf-build/bpfel-unknown-none/ebpf/fleetscope-ebpf
object=$target/ebpf/fleetscope.bpf.o
# An unchanged object keeps its time, so that the node agent is not built again for nothing.
mkdir -p "$target/ebpf"
"/usr/bin/llvm-objcopy-$LLVM" --strip-debug "$built" "$object.new"
if cmp -s "$object.new" "$object"; then
    rm "$object.new"
else
    mv "$object.new" "$object"
fi
