//! Generated rules and scrape configuration in Prometheus' own hands: `promtool` parses them, and evaluates rules over series that are made up;
//! monitors are as prometheus-operator's own definitions have them. No cluster is needed.
#![expect(clippy::unwrap_used, reason = "all of it is tests, the functions that they share included")]

mod any_fleet;
mod catalogue;
mod policies;
mod profiles;
mod receivers;
mod scrape;

use std::path::{Path, PathBuf};

use fleetscope_tests::{command, skip};

/// Whether promtool is there; if not, the test `name` is skipped.
fn has_promtool(name: &str) -> bool {
    let there = command::exists("promtool");
    if !there {
        skip::skip(name, "promtool is not on PATH: make setup, then make test-rules");
    }
    there
}

/// An empty folder of this name, for what promtool reads.
fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("rules").join(name);
    if folder.exists() {
        std::fs::remove_dir_all(&folder).unwrap();
    }
    std::fs::create_dir_all(&folder).unwrap();
    folder
}
