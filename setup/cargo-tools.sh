# shellcheck shell=bash
# Programs from crates.io, each in a folder of the cache named by its version. Sourced by setup.sh.

# tool NAME VERSION [cargo arguments...]
cargo_tool() {
  local name=$1 version=$2 root=$CACHE/$1-$2
  shift 2
  [ -x "$root/bin/$name" ] && return 0
  # The proof that it is whole is the binary, which cargo moves into place at the end. Not in the caller's target folder.
  step "$name $version (cargo install)" env -u RUSTFLAGS -u CARGO_ENCODED_RUSTFLAGS CARGO_TARGET_DIR="$CACHE/.build/$name" \
    cargo install --locked "$name" --version "$version" --root "$root" "$@"
  rm -rf "$CACHE/.build/$name"
}

bpf_linker() {
  # llvm-sys names this variable by the LLVM that it is for: 22.1 is 221.
  export "LLVM_SYS_${LLVM}1_PREFIX=/usr/lib/llvm-$LLVM"
  PATH=/usr/lib/llvm-$LLVM/bin:$PATH cargo_tool bpf-linker "$BPF_LINKER_VERSION" --no-default-features --features "llvm-$LLVM"
}

cargo_deny() { cargo_tool cargo-deny "$CARGO_DENY"; }

cargo_fuzz() { cargo_tool cargo-fuzz "$CARGO_FUZZ"; }
