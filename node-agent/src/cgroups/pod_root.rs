//! Which group is above this node's pods.
//!
//! Two kubelets can share one kernel, each below a group of its own (`/kt1/node-1/kubepods`, `/kt1/node-2/kubepods`), so the
//! root is the one above the agent's *own* cgroup, and a search of the tree is only the last resort.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use fleetscope_core::cgroup;
use fleetscope_ebpf::CGROUPS_MAX;

use super::{CgroupError, folder, walk};
use crate::procfs::parse;

/// Most groups that a search looks at: four times what the kernel's map holds.
const SEARCH_MAX: usize = 4 * CGROUPS_MAX as usize;
/// Most candidates that an error message names.
const CANDIDATES_MAX: usize = 8;

/// What the agent knows of its own place.
#[derive(Clone, Debug)]
pub struct Own {
    /// Content of `/proc/self/cgroup`.
    pub proc_cgroup: String,
    /// Where the agent's own cgroups are mounted, `/sys/fs/cgroup`.
    pub mount: PathBuf,
    /// UID of the agent's pod, from the downward API.
    pub pod_uid: Option<String>,
}

/// The group above this node's pods.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PodRoot {
    /// Its absolute path in the host's cgroup2 tree.
    pub path: String,
    /// How it was found, for the log and /info.
    pub found_by: &'static str,
}

/// Where the agent is in the host's cgroup2 tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// The root of the agent's cgroup namespace, `/` if that is the host's: paths in /proc/PID/cgroup are relative to it.
    pub(crate) namespace: String,
    /// The agent's own group.
    pub(crate) own: String,
}

// === impl Own ===

impl Own {
    /// Reads the agent's own files. What cannot be read is left empty: the other ways remain.
    pub fn read(pod_uid: Option<String>) -> Self {
        Self {
            proc_cgroup: fs::read_to_string("/proc/self/cgroup").unwrap_or_default(),
            mount: PathBuf::from("/sys/fs/cgroup"),
            pod_uid,
        }
    }

    /// The root of the agent's cgroup namespace as a path of the host's tree; `None` if it cannot be found there.
    pub fn namespace(&self, unified: &Path) -> Option<String> {
        self.place(unified).map(|place| place.namespace)
    }

    /// With the host's cgroup namespace `/proc/self/cgroup` shows the whole path. With a private one (the default on
    /// version 2) it shows `/`, and the inode of the own mount tells which folder of the host's tree that is.
    fn place(&self, unified: &Path) -> Option<Place> {
        let shown = parse::unified_path(self.proc_cgroup.as_bytes())?;
        if shown != "/" && folder(unified, &shown).is_dir() {
            return Some(Place { namespace: "/".to_owned(), own: shown });
        }
        let own_tree = [self.mount.clone(), self.mount.join("unified")]
            .into_iter()
            .find(|path| path.join("cgroup.controllers").is_file())?;
        let id = fs::metadata(own_tree).ok()?.ino();
        let mut namespace = None;
        walk(unified, "/", SEARCH_MAX, |group| {
            if group.id == id && namespace.is_none() {
                namespace = Some(group.path.clone());
            }
        })
        .ok()?;
        let namespace = namespace?;
        let own = parse::resolve(&namespace, &shown)?;
        Some(Place { namespace, own })
    }
}

/// Finds the group above this node's pods in the cgroup2 tree at `unified`: as `given`, else above the agent's own group,
/// else above the pod with the agent's UID, else the only one there is.
pub fn find(unified: &Path, given: Option<&str>, own: &Own) -> Result<PodRoot, CgroupError> {
    if let Some(path) = given {
        let trimmed = path.trim_end_matches('/');
        return if path.starts_with('/') && folder(unified, trimmed).is_dir() {
            Ok(PodRoot {
                path: if trimmed.is_empty() { "/".to_owned() } else { trimmed.to_owned() },
                found_by: "--pod-root",
            })
        } else {
            Err(CgroupError::NotAGroup { path: path.to_owned(), root: unified.to_owned() })
        };
    }
    let above = |path: &str, found_by| {
        let root = cgroup::pod_root(path)?;
        folder(unified, root).is_dir().then(|| PodRoot { path: root.to_owned(), found_by })
    };
    if let Some(found) = own.place(unified).and_then(|place| above(&place.own, "own cgroup")) {
        return Ok(found);
    }
    // Hybrid: a runtime that leaves the cgroup2 tree alone still shows the path in the version 1 hierarchies.
    let shown = parse::all_paths(own.proc_cgroup.as_bytes());
    if let Some(found) = shown.iter().find_map(|path| above(path, "own version 1 cgroup")) {
        return Ok(found);
    }
    let (mut by_uid, mut roots) = (None, Vec::new());
    walk(unified, "/", SEARCH_MAX, |group| {
        if cgroup::pod_root(&group.path) == Some(group.path.as_str()) && roots.len() < CANDIDATES_MAX {
            roots.push(group.path.clone());
        }
        if let (None, Some(uid), Some(pod)) = (&by_uid, &own.pod_uid, cgroup::parse_path(&group.path))
            && pod.pod_uid == *uid
        {
            by_uid = above(&group.path, "POD_UID");
        }
    })?;
    match (by_uid, roots.as_slice()) {
        (Some(found), _) => Ok(found),
        (None, [only]) => Ok(PodRoot { path: only.clone(), found_by: "only kubepods group" }),
        (None, []) => Err(CgroupError::NoPodRoot { root: unified.to_owned() }),
        (None, _) => Err(CgroupError::SeveralPodRoots { candidates: roots }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::Folder;

    const UID: &str = "0c2f7fb1-a8a3-4a5e-9d3b-3a1b6b7a1c11";
    const CONTAINER: &str = "4f1c2a7de0b1b65f6a4a0d3c7d9e3f1f0a2b4c6d8e0f1a3b5c7d9e1f2a4b6c8d";

    fn own(proc_cgroup: &str, mount: &Path, pod_uid: Option<&str>) -> Own {
        Own { proc_cgroup: proc_cgroup.to_owned(), mount: mount.to_owned(), pod_uid: pod_uid.map(str::to_owned) }
    }

    fn two_nodes() -> (Folder, String) {
        let root = Folder::new();
        let pod = format!("kt1/node-2/kubepods/besteffort/pod{UID}/{CONTAINER}");
        root.file(&format!("{pod}/cgroup.controllers"), "");
        root.file("kt1/node-1/kubepods/cgroup.controllers", "");
        root.file("cgroup.controllers", "");
        (root, pod)
    }

    fn found(path: &str, found_by: &'static str) -> PodRoot {
        PodRoot { path: path.to_owned(), found_by }
    }

    #[test]
    fn of_two_nodes_on_one_kernel_the_own_one_is_taken() {
        let (root, pod) = two_nodes();
        let own = own(&format!("4:memory:/x\n0::/{pod}\n"), Path::new("/nowhere"), None);
        assert_eq!(find(root.path(), None, &own).expect("found"), found("/kt1/node-2/kubepods", "own cgroup"));
        assert_eq!(own.namespace(root.path()), Some("/".to_owned()));
    }

    #[test]
    fn with_a_private_cgroup_namespace_the_inode_of_the_own_mount_tells() {
        let (root, pod) = two_nodes();
        let own = own("0::/\n", &root.path().join(&pod), None);
        assert_eq!(find(root.path(), None, &own).expect("found"), found("/kt1/node-2/kubepods", "own cgroup"));
        assert_eq!(own.namespace(root.path()), Some(format!("/{pod}")));
    }

    #[test]
    fn the_pods_uid_is_found_in_the_tree() {
        let (root, _) = two_nodes();
        let own = own("0::/\n", Path::new("/nowhere"), Some(UID));
        assert_eq!(find(root.path(), None, &own).expect("found"), found("/kt1/node-2/kubepods", "POD_UID"));
        assert_eq!(own.namespace(root.path()), None);
    }

    #[test]
    fn two_roots_and_no_hint_are_refused_with_their_names() {
        let (root, _) = two_nodes();
        let error =
            find(root.path(), None, &own("0::/\n", Path::new("/nowhere"), None)).expect_err("ambiguous").to_string();
        assert!(error.contains("/kt1/node-1/kubepods") && error.contains("--pod-root"), "{error}");
    }

    #[test]
    fn the_only_root_is_taken_by_an_agent_outside_of_pods() {
        let root = Folder::new();
        root.file("kubepods.slice/cgroup.controllers", "");
        root.file("system.slice/agent.service/cgroup.controllers", "");
        let own = own("0::/system.slice/agent.service\n", Path::new("/nowhere"), None);
        assert_eq!(find(root.path(), None, &own).expect("found"), found("/kubepods.slice", "only kubepods group"));
    }

    #[test]
    fn a_given_root_must_exist() {
        let (root, _) = two_nodes();
        let own = own("", Path::new("/nowhere"), None);
        assert_eq!(
            find(root.path(), Some("/kt1/node-1/kubepods/"), &own).expect("there"),
            found("/kt1/node-1/kubepods", "--pod-root")
        );
        assert!(matches!(find(root.path(), Some("/kubepods"), &own), Err(CgroupError::NotAGroup { .. })));
    }

    #[test]
    fn nothing_that_looks_like_pods_says_what_to_do() {
        let root = Folder::new();
        root.file("system.slice/cgroup.controllers", "");
        let error = find(root.path(), None, &own("", Path::new("/nowhere"), None)).expect_err("none").to_string();
        assert!(error.contains("--pod-root"), "{error}");
    }
}
