//! Embeds the eBPF object that `FLEETSCOPE_EBPF_OBJECT` names; without it, an empty one, and the agent says so when it starts.

use std::path::{Path, PathBuf};
use std::{env, fs};

fn main() {
    println!("cargo:rerun-if-env-changed=FLEETSCOPE_EBPF_OBJECT");
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it")).join("fleetscope.bpf.o");
    let object = env::var_os("FLEETSCOPE_EBPF_OBJECT").map(PathBuf::from).unwrap_or_default();
    // A missing file would count as changed in every build; its folder changes when the file appears.
    let folder = object.parent().filter(|folder| !object.is_file() && fs::create_dir_all(folder).is_ok());
    let watched = if object.is_file() { &object } else { folder.unwrap_or(Path::new("build.rs")) };
    println!("cargo:rerun-if-changed={}", watched.display());
    let bytes = if object.is_file() { fs::read(&object).expect("the eBPF object is readable") } else { Vec::new() };
    fs::write(out, bytes).expect("OUT_DIR is writable");
}
