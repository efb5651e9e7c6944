//! Cgroups of the test's own, below the root of the cgroup2 hierarchy: pure or hybrid, wherever it is mounted.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// What the groups of all runs begin with; the number behind it is the run's process id.
const PREFIX: &str = "fleetscope-test-";

/// A group. Dropping it kills what is left in it and removes it with its descendants, also when the test fails.
#[derive(Debug)]
pub(crate) struct Group {
    folder: PathBuf,
}

impl Group {
    /// A new group below the root.
    pub(crate) fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let root = root();
        remove_left_over(&root);
        let name = format!("{PREFIX}{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let folder = root.join(name);
        fs::create_dir(&folder).expect("a cgroup can be made: run as root");
        Self { folder }
    }

    /// A new group below this one; it goes with it.
    pub(crate) fn child(&self, name: &str) -> Self {
        let folder = self.folder.join(name);
        fs::create_dir(&folder).expect("a cgroup can be made below one's own");
        Self { folder }
    }

    /// What the kernel calls it: the inode number of its folder.
    pub(crate) fn id(&self) -> u64 {
        fs::metadata(&self.folder).expect("the group is there").ino()
    }

    /// Its folder.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Its path from the root of the hierarchy, as the kernel writes it.
    pub(crate) fn path(&self) -> String {
        format!("/{}", self.folder.strip_prefix(root()).expect("it is below the root").display())
    }

    /// Removes it now; it has to be empty.
    pub(crate) fn remove(self) {
        fs::remove_dir(&self.folder).expect("an empty group can be removed");
    }

    /// A process of `kernel-process` that lives in this group and does what the verb says.
    pub(crate) fn process(&self, verb: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kernel-process"));
        command.arg(&self.folder).args(verb);
        command
    }

    /// Runs [`Self::process`] to its end and returns what it printed.
    pub(crate) fn run(&self, verb: &[&str]) -> String {
        let output = self.process(verb).output().expect("kernel-process runs");
        assert!(
            output.status.code().is_some(),
            "{verb:?}: {}: {}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).expect("it prints text")
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        remove(&self.folder);
    }
}

/// Where cgroup2 is mounted.
pub(crate) fn root() -> PathBuf {
    let mounts = fs::read_to_string("/proc/mounts").expect("/proc is mounted");
    let line = mounts.lines().find(|line| line.split(' ').nth(2) == Some("cgroup2")).expect("cgroup2 is mounted");
    PathBuf::from(line.split(' ').nth(1).expect("a mount has a folder"))
}

/// Kills what is inside and removes the group with all below it.
pub(crate) fn remove(folder: &Path) {
    if !folder.is_dir() {
        return;
    }
    // Kernel 5.14; before, each process is killed by itself.
    if fs::write(folder.join("cgroup.kill"), "1").is_err() {
        let processes = fs::read_to_string(folder.join("cgroup.procs")).unwrap_or_default();
        for process in processes.lines().filter_map(|line| line.parse().ok()).filter_map(rustix::process::Pid::from_raw)
        {
            let _ = rustix::process::kill_process(process, rustix::process::Signal::KILL);
        }
    }
    for below in fs::read_dir(folder).into_iter().flatten().flatten().filter(|entry| entry.path().is_dir()) {
        remove(&below.path());
    }
    // What was killed leaves the group when it gets the processor; a group of the living cannot be removed.
    let start = Instant::now();
    while fs::remove_dir(folder).is_err() && folder.is_dir() && start.elapsed() < Duration::from_secs(5) {
        std::thread::yield_now();
    }
}

/// Removes groups of runs whose process is gone.
fn remove_left_over(root: &Path) {
    for entry in fs::read_dir(root).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let process =
            name.strip_prefix(PREFIX).and_then(|rest| rest.split_once('-')).map(|(process, _)| process.to_owned());
        if process.is_some_and(|process| !Path::new("/proc").join(process).exists()) {
            remove(&entry.path());
        }
    }
}
