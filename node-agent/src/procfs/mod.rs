//! The host's `/proc`: which processes are alive when the agent starts, and the agent's own figures.
//!
//! Everything here is read through a read-only mount and needs no capability. Processes come and go while they are read:
//! what is gone is left out.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use parse::Stat;

pub mod parse;

/// Nanoseconds in a tick of `/proc/PID/stat`: the kernel shows times in `USER_HZ`, 100 on every architecture that is built for.
pub const TICK_NS: u64 = 10_000_000;
/// Most processes that one scan looks at: the largest default of `kernel.pid_max` on machines of this size is 32,768 per
/// 1,024 processors (kernel/pid.c); more than this is left out and told.
pub const PROCESSES_MAX: usize = 131_072;
/// Most bytes of a file that are read; a `stat` line has 400, a `cgroup` file with 13 hierarchies of long paths some 8 KiB.
const FILE_MAX: u64 = 64 << 10;
/// Most bytes of a command line that are read, as in an exec record.
const CMDLINE_MAX: u64 = fleetscope_ebpf::ARGV_MAX as u64;

/// A process that was alive when `/proc` was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Living {
    /// Process id in the pid namespace that the mount shows: the host's.
    pub pid: u32,
    /// Its `stat` file.
    pub stat: Stat,
    /// Absolute path of its cgroup in the host's cgroup2 tree.
    pub cgroup: String,
}

/// The mount of the host's `/proc`.
#[derive(Clone, Debug)]
pub struct Procfs {
    root: PathBuf,
    /// Root of the reader's cgroup namespace in the host's tree; paths of groups are shown relative to it.
    namespace: String,
}

/// Why `/proc` could not be read.
#[derive(Debug, thiserror::Error)]
#[error("failed to read {path}: mount the host's /proc there read-only, or name it with --proc-root")]
pub struct ProcfsError {
    /// Which folder.
    pub path: PathBuf,
    /// Why.
    pub source: io::Error,
}

// === impl Procfs ===

impl Procfs {
    /// The mount at `root`, read from the cgroup namespace whose root is `namespace` in the host's tree.
    pub fn new(root: PathBuf, namespace: String) -> Self {
        Self { root, namespace }
    }

    /// Process ids that are there now, at most [`PROCESSES_MAX`].
    pub fn pids(&self) -> Result<Vec<u32>, ProcfsError> {
        let entries = fs::read_dir(&self.root).map_err(|source| ProcfsError { path: self.root.clone(), source })?;
        let names = entries.filter_map(Result::ok).filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        Ok(names.take(PROCESSES_MAX).collect())
    }

    /// The absolute cgroup2 path of a process; `None` if it is gone or its group cannot be told.
    pub fn cgroup(&self, pid: u32) -> Option<String> {
        let shown = parse::unified_path(&self.file(pid, "cgroup", FILE_MAX)?)?;
        parse::resolve(&self.namespace, &shown)
    }

    /// Its `stat` file; `None` if it is gone or the file is not whole.
    pub fn stat(&self, pid: u32) -> Option<Stat> {
        Stat::parse(&self.file(pid, "stat", FILE_MAX)?)
    }

    /// A process with what identifies it; `None` if it is gone, dead, or its files are not whole.
    pub fn living(&self, pid: u32) -> Option<Living> {
        let cgroup = self.cgroup(pid)?;
        let stat = self.stat(pid)?;
        (!stat.is_dead()).then_some(Living { pid, stat, cgroup })
    }

    /// The first [`ARGV_MAX`](fleetscope_ebpf::ARGV_MAX) bytes of its command line, NUL separated; empty if it is gone.
    pub fn cmdline(&self, pid: u32) -> Vec<u8> {
        self.file(pid, "cmdline", CMDLINE_MAX).unwrap_or_default()
    }

    /// Path of one of its files.
    pub fn path(&self, pid: u32, name: &str) -> PathBuf {
        self.root.join(pid.to_string()).join(name)
    }

    fn file(&self, pid: u32, name: &str, most: u64) -> Option<Vec<u8>> {
        read(&self.path(pid, name), most)
    }
}

/// CPU time in seconds and resident memory in bytes of this process; `None` if its own `/proc` is not there.
pub fn own_usage() -> Option<(f64, u64)> {
    let stat = Stat::parse(&read(Path::new("/proc/self/stat"), FILE_MAX)?)?;
    let cpu = std::time::Duration::from_nanos(stat.cpu_ticks.saturating_mul(TICK_NS)).as_secs_f64();
    Some((cpu, stat.resident_pages.saturating_mul(rustix::param::page_size() as u64)))
}

/// At most `most` bytes of a file; `None` if it cannot be read.
pub(crate) fn read(path: &Path, most: u64) -> Option<Vec<u8>> {
    let mut content = Vec::new();
    File::open(path).ok()?.take(most).read_to_end(&mut content).ok()?;
    Some(content)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::Folder;

    const STAT: &str = "7 (git) S 1 7 7 0 -1 0 0 0 0 0 1 2 0 0 20 0 1 0 500 7000000 900 184467440737\n";

    #[test]
    fn this_process_is_found_alive_in_its_own_proc() {
        let procfs = Procfs::new(PathBuf::from("/proc"), "/".to_owned());
        let pid = std::process::id();
        assert!(procfs.pids().expect("readable").contains(&pid));
        let stat = procfs.stat(pid).expect("alive");
        assert!(stat.has_execd() && !stat.is_dead());
        assert!(procfs.cmdline(pid).starts_with(std::env::args().next().expect("argv[0]").as_bytes()));
        let (cpu, memory) = own_usage().expect("own stat");
        assert!(cpu >= 0.0 && memory > 1 << 20, "{cpu} s, {memory} bytes");
    }

    #[test]
    fn processes_with_missing_or_cut_files_are_left_out() {
        let root = Folder::new();
        root.file("7/stat", STAT);
        root.file("7/cgroup", "0::/../b\n");
        root.file("8/stat", STAT);
        root.file("9/stat", "9 (git) S 1");
        root.file("9/cgroup", "0::/a\n");
        root.file("10/stat", &STAT.replace(" S ", " Z "));
        root.file("10/cgroup", "0::/a\n");
        root.file("version", "Linux");
        let procfs = Procfs::new(root.path().to_owned(), "/kubepods/x".to_owned());
        let mut pids = procfs.pids().expect("readable");
        pids.sort_unstable();
        assert_eq!(pids, [7, 8, 9, 10]);
        let living: Vec<Living> = pids.into_iter().filter_map(|pid| procfs.living(pid)).collect();
        assert_eq!(living.iter().map(|l| (l.pid, l.cgroup.as_str())).collect::<Vec<_>>(), [(7, "/kubepods/b")]);
    }

    #[test]
    fn a_proc_that_is_not_mounted_says_what_to_do() {
        let error =
            Procfs::new(PathBuf::from("/nowhere/proc"), "/".to_owned()).pids().expect_err("not there").to_string();
        assert!(error.contains("--proc-root"), "{error}");
    }
}
