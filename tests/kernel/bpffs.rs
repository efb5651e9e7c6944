//! A file system for pins.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

/// A bpffs of the test's own; unmounted at the end, also when the test fails.
#[derive(Debug)]
pub(crate) struct Bpffs(PathBuf);

impl Bpffs {
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("fleetscope-bpffs-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let mounted = Command::new("mount").args(["-t", "bpf", "bpf"]).arg(&folder).status().unwrap();
        assert!(mounted.success(), "a bpffs can be mounted: run as root");
        Self(folder)
    }

    /// The folder for pins, which is not there yet.
    pub(crate) fn folder(&self) -> PathBuf {
        self.0.join("pins")
    }

    /// Where it is mounted.
    pub(crate) fn root(&self) -> &Path {
        &self.0
    }

    /// How many pins there are.
    pub(crate) fn pins(&self) -> usize {
        std::fs::read_dir(self.folder()).map_or(0, Iterator::count)
    }
}

impl Drop for Bpffs {
    fn drop(&mut self) {
        // Detached at once, also if something still holds it.
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
        let _ = std::fs::remove_dir(&self.0);
    }
}
