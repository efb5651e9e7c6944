//! The host's cgroups: where the hierarchies are, which group is above this node's pods, and what is below it.
//!
//! A group's id in the kernel's records is the inode number of its folder in the cgroup2 tree. On a hybrid machine that
//! tree is in `unified` below the version 1 controllers; runc puts containers into it even when every controller is
//! still version 1 (runc, `libcontainer/cgroups/fs/fs.go`), so attribution is the same on both.

use std::io;
use std::path::{Path, PathBuf};

pub use pod_root::{Own, PodRoot, find as find_pod_root};
pub use walk::{Group, walk};

mod pod_root;
mod walk;

/// Why the cgroups of this machine cannot be used; each message ends with what to do.
#[derive(Debug, thiserror::Error)]
pub enum CgroupError {
    /// There is no cgroup2 tree.
    #[error(
        "failed to find a cgroup2 tree in {root}: mount the host's /sys/fs/cgroup there or name it with --cgroup-root; \
        a machine with version 1 only needs systemd.unified_cgroup_hierarchy=1 on its kernel command line"
    )]
    NoUnified {
        /// Where it was looked for.
        root: PathBuf,
    },
    /// The group of `--pod-root` does not exist.
    #[error("failed to find cgroup {path} of --pod-root in {root}: name a folder below it, such as /kubepods.slice")]
    NotAGroup {
        /// As given.
        path: String,
        /// The cgroup2 tree.
        root: PathBuf,
    },
    /// No group looks like the one above the pods.
    #[error(
        "failed to find this node's pods in {root}: no kubepods group is above the agent's own cgroup; run it as a pod with \
        POD_UID from metadata.uid, or name the group with --pod-root"
    )]
    NoPodRoot {
        /// The cgroup2 tree.
        root: PathBuf,
    },
    /// More than one could be.
    #[error("failed to tell which of {} is this node's: name it with --pod-root", .candidates.join(", "))]
    SeveralPodRoots {
        /// All that were found, at most 8.
        candidates: Vec<String>,
    },
    /// A folder could not be read.
    #[error("failed to read cgroup folder {path}: mount the host's /sys/fs/cgroup readable")]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// Which versions of cgroups the machine has mounted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Version 2 only.
    Unified,
    /// Version 1 controllers, and a cgroup2 tree beside them.
    Hybrid,
}

impl Mode {
    /// `unified` or `hybrid`, as /info shows it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Unified => "unified",
            Self::Hybrid => "hybrid",
        }
    }
}

/// Where the hierarchies of this machine are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hierarchies {
    /// Which versions there are.
    pub mode: Mode,
    /// The cgroup2 tree.
    pub unified: PathBuf,
    /// The version 1 memory controller.
    pub memory: Option<PathBuf>,
    /// The version 1 cpuacct controller.
    pub cpuacct: Option<PathBuf>,
    /// The version 1 pids controller.
    pub pids: Option<PathBuf>,
}

impl Hierarchies {
    /// Looks at `root`: a cgroup2 mount, or a folder that holds `unified` and version 1 controllers.
    pub fn find(root: &Path) -> Result<Self, CgroupError> {
        // `cgroup.controllers` exists in every group of version 2 and in none of version 1.
        let is_unified = |path: &Path| path.join("cgroup.controllers").is_file();
        let controller = |name: &str| Some(root.join(name)).filter(|path| path.join("cgroup.procs").is_file());
        if is_unified(root) {
            return Ok(Self { mode: Mode::Unified, unified: root.to_owned(), memory: None, cpuacct: None, pids: None });
        }
        let unified = root.join("unified");
        if !is_unified(&unified) {
            return Err(CgroupError::NoUnified { root: root.to_owned() });
        }
        Ok(Self {
            mode: Mode::Hybrid,
            unified,
            memory: controller("memory"),
            cpuacct: controller("cpuacct"),
            pids: controller("pids"),
        })
    }
}

/// The folder that `path`, an absolute path of a group, has in the hierarchy that is mounted at `root`.
pub fn folder(root: &Path, path: &str) -> PathBuf {
    root.join(path.trim_start_matches('/'))
}

/// What `given` says, else `host` if that folder exists, else `own`: in a pod the host's tree is mounted below /host.
pub fn root_or_default(given: Option<PathBuf>, host: &str, own: &str) -> PathBuf {
    given.unwrap_or_else(|| {
        let host = PathBuf::from(host);
        if host.is_dir() { host } else { PathBuf::from(own) }
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::fixture::Folder;

    #[test]
    fn version_2_only_is_the_root_itself() {
        let root = Folder::new();
        root.file("cgroup.controllers", "cpu memory pids\n");
        assert_eq!(
            Hierarchies::find(root.path()).expect("a cgroup2 mount"),
            Hierarchies {
                mode: Mode::Unified,
                unified: root.path().to_owned(),
                memory: None,
                cpuacct: None,
                pids: None
            }
        );
    }

    #[test]
    fn hybrid_takes_the_controllers_that_are_there() {
        let root = Folder::new();
        root.file("unified/cgroup.controllers", "");
        root.file("memory/cgroup.procs", "");
        root.file("cpuacct/cgroup.procs", "");
        fs::create_dir(root.path().join("pids")).expect("empty folder");
        assert_eq!(
            Hierarchies::find(root.path()).expect("a hybrid folder"),
            Hierarchies {
                mode: Mode::Hybrid,
                unified: root.path().join("unified"),
                memory: Some(root.path().join("memory")),
                cpuacct: Some(root.path().join("cpuacct")),
                pids: None
            }
        );
    }

    #[test]
    fn version_1_only_says_what_to_do() {
        let root = Folder::new();
        root.file("memory/cgroup.procs", "");
        let error = Hierarchies::find(root.path()).expect_err("no cgroup2").to_string();
        assert!(error.contains("systemd.unified_cgroup_hierarchy=1"), "{error}");
    }
}
