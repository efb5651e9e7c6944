//! What the agent reads of the host besides the probes: its cgroups, its `/proc`, and the group above the pods.

use std::path::PathBuf;

use crate::cgroups::{CgroupError, Hierarchies, Own, PodRoot, find_pod_root, root_or_default};
use crate::procfs::Procfs;

/// Where to look, as the command line says; `None` is the default of that option.
#[derive(Clone, Debug, Default)]
pub struct Paths {
    /// `--cgroup-root`
    pub cgroup_root: Option<PathBuf>,
    /// `--proc-root`
    pub proc_root: Option<PathBuf>,
    /// `--pod-root`
    pub pod_root: Option<String>,
    /// `--pod-uid`
    pub pod_uid: Option<String>,
    /// `--standalone`: everything is observed, not only what is below the pods' group.
    pub standalone: bool,
}

/// What was found.
#[derive(Debug)]
pub struct Mounts {
    /// The cgroup hierarchies.
    pub hierarchies: Result<Hierarchies, CgroupError>,
    /// The group whose descendants are observed. Not there when the hierarchies are not.
    pub root: Option<Result<PodRoot, CgroupError>>,
    /// The host's processes.
    pub procfs: Procfs,
    paths: Paths,
}

// === impl Mounts ===

impl Mounts {
    /// Looks for everything; what is missing says why where it is used.
    pub fn find(paths: Paths) -> Self {
        let Paths { cgroup_root, proc_root, pod_root, pod_uid, standalone } = paths.clone();
        let hierarchies = Hierarchies::find(&root_or_default(cgroup_root, "/host/sys/fs/cgroup", "/sys/fs/cgroup"));
        let own = Own::read(pod_uid);
        let found = hierarchies.as_ref().ok().map(|hierarchies| {
            let unified = &hierarchies.unified;
            let root = if standalone && pod_root.is_none() {
                Ok(PodRoot { path: "/".to_owned(), found_by: "--standalone" })
            } else {
                find_pod_root(unified, pod_root.as_deref(), &own)
            };
            (root, own.namespace(unified))
        });
        let (root, namespace) = found.unzip();
        // A namespace whose root is not in the host's tree shows paths that cannot be resolved; those inside of it still can.
        let namespace = namespace.flatten().unwrap_or_else(|| "/".to_owned());
        let procfs = Procfs::new(root_or_default(proc_root, "/host/proc", "/proc"), namespace);
        Self { hierarchies, root, procfs, paths }
    }

    /// Looks again: an agent outside of pods may be started before the kubelet makes the group above them.
    pub fn find_again(&mut self) {
        *self = Self::find(std::mem::take(&mut self.paths));
    }

    /// The hierarchies and the observed root, or the sentence that says what is missing.
    pub fn observed(&self) -> Result<(&Hierarchies, &PodRoot), &CgroupError> {
        match (&self.hierarchies, &self.root) {
            (Err(error), _) | (_, Some(Err(error))) => Err(error),
            (Ok(hierarchies), Some(Ok(root))) => Ok((hierarchies, root)),
            (Ok(_), None) => unreachable!("the root is looked for whenever the hierarchies are there"),
        }
    }
}
