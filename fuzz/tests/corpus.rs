//! The committed inputs, without libFuzzer: all of `corpus/` and of `regressions/` still passes.

use std::path::{Path, PathBuf};

/// A target's name and function.
type Target = (&'static str, fn(&[u8]));

/// Every target, as in `fuzz_targets/`.
const TARGETS: [Target; 5] = [
    ("walker", fleetscope_fuzz::walker::fuzz),
    ("hpack", fleetscope_fuzz::hpack::fuzz),
    ("tracker", fleetscope_fuzz::tracker::fuzz),
    ("records", fleetscope_fuzz::records::fuzz),
    ("cgroup", fleetscope_fuzz::cgroup::fuzz),
];

/// The inputs of a target in one of the folders, which need not exist.
fn inputs(folder: &str, target: &str) -> Vec<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder).join(target);
    let Ok(entries) = std::fs::read_dir(path) else { return Vec::new() };
    entries.map(|entry| entry.expect("a folder that can be read").path()).collect()
}

#[test]
fn committed_inputs_pass() {
    for (target, fuzz) in TARGETS {
        let corpus = inputs("corpus", target);
        assert!(!corpus.is_empty(), "no corpus of {target}");
        for path in corpus.into_iter().chain(inputs("regressions", target)) {
            let data = std::fs::read(&path).expect("an input that can be read");
            let result = std::panic::catch_unwind(|| fuzz(&data));
            assert!(result.is_ok(), "{} fails", path.display());
        }
    }
}
