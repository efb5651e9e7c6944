//! Figures of containers that are read instead of traced: CPU, memory, threads, processes, descriptors, listeners, uptime.
//!
//! In: the containers of fleets and the mounts of the host's cgroups and `/proc`. Out: one [`Sample`] each. A figure that
//! cannot be read is left out, so that its series keeps no wrong value. Reading blocks; it belongs off the async threads.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use fleetscope_core::series::Identity;

use crate::cgroups::{Hierarchies, folder, walk};
use crate::procfs::{Procfs, TICK_NS, parse, read};

/// Most bytes of a cgroup's file that are read; `memory.stat` has 4 KiB.
const FILE_MAX: u64 = 64 << 10;
/// Most groups of one container that are counted; below it systemd makes some 60.
const GROUPS_MAX: usize = 1_024;
/// Most bytes of a socket table that are read; a line has 150. Listeners come first.
const SOCKETS_MAX: u64 = 8 << 20;

/// A container that is to be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Absolute path of its group in the host's cgroup2 tree.
    pub path: String,
    /// Whose figures they are.
    pub identity: Arc<Identity>,
}

/// Figures of one container.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sample {
    /// Whose.
    pub identity: Arc<Identity>,
    /// CPU time in seconds.
    pub cpu_seconds: Option<f64>,
    /// Memory in bytes without inactive file cache, as the kubelet's working set.
    pub memory_bytes: Option<u64>,
    /// Threads, those of nested groups included.
    pub threads: Option<u64>,
    /// Processes, those of nested groups included.
    pub processes: Option<u64>,
    /// Open descriptors of its processes.
    pub open_fds: Option<u64>,
    /// Listening TCP sockets in its network namespace, IPv4 and IPv6.
    pub listening_sockets: Option<u64>,
    /// Nanoseconds since its oldest process started.
    pub uptime_ns: Option<u64>,
}

/// What is known of a container's processes.
#[derive(Clone, Debug, Default)]
struct Processes {
    any: Option<u32>,
    open_fds: Option<u64>,
    oldest_ticks: Option<u64>,
}

/// Reads the figures of all `targets` at `now`, nanoseconds of `CLOCK_BOOTTIME`.
pub fn sample(hierarchies: &Hierarchies, procfs: &Procfs, targets: &[Target], now: u64) -> Vec<Sample> {
    let mut processes = processes(procfs, targets);
    targets
        .iter()
        .map(|target| {
            let own = processes.remove(target.path.as_str()).unwrap_or_default();
            Sample {
                identity: Arc::clone(&target.identity),
                cpu_seconds: cpu_seconds(hierarchies, &target.path),
                memory_bytes: memory_bytes(hierarchies, &target.path),
                threads: threads(hierarchies, &target.path),
                processes: lines_below(&hierarchies.unified, &target.path, "cgroup.procs"),
                open_fds: own.open_fds,
                listening_sockets: own.any.and_then(|pid| listeners(procfs, pid)),
                uptime_ns: own.oldest_ticks.map(|ticks| now.saturating_sub(ticks.saturating_mul(TICK_NS))),
            }
        })
        .collect()
}

/// One pass over `/proc` for all containers: `cgroup.procs` shows process ids of other pid namespaces as 0, so the way
/// goes from the process to its group.
fn processes<'a>(procfs: &Procfs, targets: &'a [Target]) -> HashMap<&'a str, Processes> {
    let paths: HashMap<&str, &'a str> =
        targets.iter().map(|target| (target.path.as_str(), target.path.as_str())).collect();
    let mut found: HashMap<&'a str, Processes> = HashMap::with_capacity(paths.len());
    if paths.is_empty() {
        return found;
    }
    let counts_fds = fds(Path::new("/proc/self/fd")).is_some_and(|open| open > 0);
    for pid in procfs.pids().unwrap_or_default() {
        let Some(cgroup) = procfs.cgroup(pid) else { continue };
        let Some(target) = ancestors(&cgroup).find_map(|path| paths.get(path).copied()) else { continue };
        let own = found.entry(target).or_default();
        let Some(stat) = procfs.stat(pid).filter(|stat| !stat.is_dead()) else { continue };
        own.any.get_or_insert(pid);
        own.oldest_ticks = Some(own.oldest_ticks.map_or(stat.start_ticks, |oldest| oldest.min(stat.start_ticks)));
        if counts_fds && let Some(open) = fds(&procfs.path(pid, "fd")) {
            own.open_fds = Some(own.open_fds.unwrap_or(0) + open);
        }
    }
    found
}

/// The path itself and those above it, nearest first.
fn ancestors(path: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(Some(path), |path| path.rfind('/').filter(|&at| at > 0).map(|at| &path[..at]))
}

/// Number of open descriptors: the size of the `fd` folder since kernel 6.2, 0 before (fs/proc/fd.c, `proc_fd_getattr`).
fn fds(folder: &Path) -> Option<u64> {
    fs::metadata(folder).ok().map(|meta| meta.len())
}

/// `cpu.stat` exists in every group of version 2, also when the controller is still version 1 (kernel/cgroup/rstat.c).
fn cpu_seconds(hierarchies: &Hierarchies, path: &str) -> Option<f64> {
    let file = |root: &Path, name: &str| read(&folder(root, path).join(name), FILE_MAX);
    let ns = match file(&hierarchies.unified, "cpu.stat").and_then(|content| parse::keyed(&content, "usage_usec")) {
        Some(micros) => micros.saturating_mul(1_000),
        None => parse::number(&file(hierarchies.cpuacct.as_ref()?, "cpuacct.usage")?)?,
    };
    Some(std::time::Duration::from_nanos(ns).as_secs_f64())
}

fn memory_bytes(hierarchies: &Hierarchies, path: &str) -> Option<u64> {
    let figures = |root: &PathBuf, usage: &str, inactive: &str| {
        let here = folder(root, path);
        let usage = parse::number(&read(&here.join(usage), FILE_MAX)?)?;
        let inactive = parse::keyed(&read(&here.join("memory.stat"), FILE_MAX)?, inactive)?;
        Some(usage.saturating_sub(inactive))
    };
    figures(&hierarchies.unified, "memory.current", "inactive_file")
        .or_else(|| figures(hierarchies.memory.as_ref()?, "memory.usage_in_bytes", "total_inactive_file"))
}

/// The pids controller counts threads, nested groups included; without it they are counted one by one.
fn threads(hierarchies: &Hierarchies, path: &str) -> Option<u64> {
    let current = |root: &PathBuf| parse::number(&read(&folder(root, path).join("pids.current"), FILE_MAX)?);
    current(&hierarchies.unified)
        .or_else(|| current(hierarchies.pids.as_ref()?))
        .or_else(|| lines_below(&hierarchies.unified, path, "cgroup.threads"))
}

/// Lines of a file of the group and all below it; `None` if the group is gone or has too many groups below it. Processes of
/// other pid namespaces read as 0, each on a line of its own (kernel/cgroup/cgroup.c, `cgroup_procs_show`).
fn lines_below(unified: &Path, path: &str, name: &str) -> Option<u64> {
    let mut lines = 0;
    let whole = walk(unified, path, GROUPS_MAX, |group| {
        // A group whose threads are distributed over its children has processes of its own all the same; those below it
        // cannot be read (EOPNOTSUPP), and their processes are listed above.
        lines += count_lines(&folder(unified, &group.path).join(name)).unwrap_or(0);
    });
    whole.is_ok_and(|whole| whole).then_some(lines)
}

fn count_lines(path: &Path) -> Option<u64> {
    let mut file = File::open(path).ok()?;
    let (mut lines, mut buffer) = (0, [0; 8192]);
    loop {
        match file.read(&mut buffer).ok()? {
            0 => return Some(lines),
            length => lines += buffer[..length].iter().map(|&byte| u64::from(byte == b'\n')).sum::<u64>(),
        }
    }
}

fn listeners(procfs: &Procfs, pid: u32) -> Option<u64> {
    let count = |name| {
        let file = File::open(procfs.path(pid, name)).ok()?;
        count_listeners(BufReader::new(file.take(SOCKETS_MAX)))
    };
    match (count("net/tcp"), count("net/tcp6")) {
        (None, None) => None,
        (v4, v6) => Some(v4.unwrap_or(0) + v6.unwrap_or(0)),
    }
}

/// Counts the listeners of a socket table. The kernel lists them before the connections (`tcp_seq_start` in
/// `net/ipv4/tcp_ipv4.c`: `TCP_SEQ_STATE_LISTENING` comes first), so a busy server's table is not read to its end.
fn count_listeners(table: impl BufRead) -> Option<u64> {
    let mut listeners = 0;
    for line in table.split(b'\n') {
        match parse::is_listener(&line.ok()?) {
            Some(true) => listeners += 1,
            Some(false) => break,
            None => {}
        }
    }
    Some(listeners)
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;
    use crate::fixture::Folder;

    fn hierarchies(root: &Folder) -> Hierarchies {
        Hierarchies::find(root.path()).expect("a fixture with cgroup2")
    }

    #[test]
    fn version_2_files_are_read() {
        let root = Folder::new();
        root.file("cgroup.controllers", "cpu memory pids");
        root.file("c/cpu.stat", "usage_usec 2500000\nuser_usec 1\n");
        root.file("c/memory.current", "1000\n");
        root.file("c/memory.stat", "anon 1\ninactive_file 300\n");
        root.file("c/pids.current", "5\n");
        root.file("c/cgroup.procs", "0\n0\n");
        root.file("c/nested/cgroup.procs", "0\n");
        let h = hierarchies(&root);
        assert_eq!(
            (
                cpu_seconds(&h, "/c"),
                memory_bytes(&h, "/c"),
                threads(&h, "/c"),
                lines_below(&h.unified, "/c", "cgroup.procs")
            ),
            (Some(2.5), Some(700), Some(5), Some(3))
        );
    }

    #[test]
    fn version_1_files_are_read_where_version_2_has_none() {
        let root = Folder::new();
        root.file("unified/cgroup.controllers", "");
        root.file("unified/c/cgroup.threads", "1\n2\n3\n");
        for controller in ["memory", "cpuacct"] {
            root.file(&format!("{controller}/cgroup.procs"), "");
        }
        root.file("memory/c/memory.usage_in_bytes", "1000\n");
        root.file("memory/c/memory.stat", "inactive_file 1\ntotal_inactive_file 400\n");
        root.file("cpuacct/c/cpuacct.usage", "1500000000\n");
        let h = hierarchies(&root);
        assert_eq!((cpu_seconds(&h, "/c"), memory_bytes(&h, "/c"), threads(&h, "/c")), (Some(1.5), Some(600), Some(3)));
    }

    #[test]
    fn a_group_that_is_gone_has_no_figures() {
        let root = Folder::new();
        root.file("cgroup.controllers", "");
        let targets = [Target { path: "/gone".to_owned(), identity: Arc::default() }];
        let procfs = Procfs::new(root.path().to_owned(), "/".to_owned());
        assert_eq!(sample(&hierarchies(&root), &procfs, &targets, 1), [Sample::default()]);
    }

    #[test]
    fn a_process_counts_for_the_nearest_container_above_its_group() {
        let root = Folder::new();
        let stat =
            |ticks: &str| format!("7 (a) S 1 7 7 0 -1 0 0 0 0 0 1 2 0 0 20 0 1 0 {ticks} 7000000 900 184467440737\n");
        root.file("7/stat", &stat("500"));
        root.file("7/cgroup", "0::/pod/container\n");
        root.file("8/stat", &stat("400"));
        root.file("8/cgroup", "0::/pod/container/init.scope\n");
        root.file("9/stat", &stat("1"));
        root.file("9/cgroup", "0::/pod/containers\n");
        let targets = [Target { path: "/pod/container".to_owned(), identity: Arc::default() }];
        let found = processes(&Procfs::new(root.path().to_owned(), "/".to_owned()), &targets);
        assert_eq!(found.len(), 1);
        assert_eq!(found["/pod/container"].oldest_ticks, Some(400));
    }

    #[test]
    fn listeners_of_this_process_are_counted() {
        let procfs = Procfs::new(PathBuf::from("/proc"), "/".to_owned());
        let table = |name| {
            let content = fs::read(procfs.path(std::process::id(), name)).unwrap_or_default();
            content.split(|&byte| byte == b'\n').filter(|line| parse::is_listener(line) == Some(true)).count() as u64
        };
        let _listener = TcpListener::bind("127.0.0.1:0").expect("loopback");
        let counted = listeners(&procfs, std::process::id()).expect("own table");
        assert!(counted >= 1);
        // Other tests open and close listeners at the same time: the two readings may differ, but not by their kind.
        assert!(table("net/tcp") + table("net/tcp6") >= 1);
    }

    #[test]
    fn reading_stops_at_the_first_connection() {
        let table = b"  sl  local\n 0: a:1 b:0 0A x\n 1: a:2 b:0 0A x\n 2: a:3 b:4 01 x\n 3: a:5 b:0 0A x\n";
        assert_eq!(count_listeners(&table[..]), Some(2));
    }
}
