//! Cgroup paths of container runtimes: which pod, which container.
//!
//! Paths are read component by component from the pod root (`kubepods`, `kubepods.slice`, or a slice that ends in
//! `-kubepods.slice` where the kubelet has a cgroup root of its own, as in kind) downwards:
//!
//! ```text
//! cgroupfs  kubepods[/burstable|/besteffort]/pod<uid>/<id>                     containerd, cri-dockerd
//!           kubepods[/...]/pod<uid>/crio-<id>                                  CRI-O
//! systemd   kubepods.slice[/kubepods-<qos>.slice]/kubepods[-<qos>]-pod<uid with _ for ->.slice/<runtime>-<id>.scope
//!           where <runtime> is cri-containerd, crio, docker; crio-conmon-<id>.scope is the monitor, not a container
//! ```
//! Sources: kubelet `pkg/kubelet/cm/cgroup_manager_linux.go`, containerd `internal/cri/server/container_create.go`, CRI-O
//! `internal/config/cgmgr`. Guaranteed pods have no class folder; a static pod's uid is a hash without dashes. Whatever is
//! below a container belongs to it.

use std::borrow::Cow;

/// Most characters of a pod's uid, so that a hostile path cannot make a large key.
const UID_MAX: usize = 63;
/// Most bytes of the name of a group where there is no Kubernetes.
const NAME_MAX: usize = 63;
/// Fewest and most characters of a container's id: Docker's short form, and twice what runtimes use.
const ID_LEN: std::ops::RangeInclusive<usize> = 12..=128;

/// Quality-of-service class of a pod, as its cgroup says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Qos {
    /// No class folder.
    Guaranteed,
    /// `burstable`
    Burstable,
    /// `besteffort`
    BestEffort,
}

/// What the path of a group at or below a pod says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContainerPath {
    /// The pod's uid, with dashes; of a static pod, the hash of its configuration.
    pub pod_uid: String,
    /// The container's id without the runtime's scheme; `None` for the pod's own group and for a runtime's helpers.
    pub container_id: Option<String>,
    /// The pod's class.
    pub qos: Qos,
    /// The group is below the container's own.
    pub nested: bool,
}

/// Reads the path of a group below any pod root; where several are nested (a cluster inside a container), below the innermost.
/// `None` if it is not at or below a pod.
///
/// An agent knows its own pod root and uses [`parse_below`]: seen from an outer node, an inner cluster's pods belong to the
/// container that they run in.
pub fn parse_path(path: &str) -> Option<ContainerPath> {
    let mut end = path.len();
    while let Some(root) = pod_root(&path[..end]) {
        if let Some(found) = parse_below(root, path) {
            return Some(found);
        }
        end = root.rfind('/').unwrap_or(0);
    }
    None
}

/// Reads the path of a group below the pod root `root`. `None` if it is not below it, or not at or below a pod.
pub fn parse_below(root: &str, path: &str) -> Option<ContainerPath> {
    let below = path.strip_prefix(root.trim_end_matches('/'))?;
    let mut parts = below.strip_prefix('/')?.split('/').filter(|part| !part.is_empty());
    let mut part = parts.next()?;
    let mut qos = Qos::Guaranteed;
    if let Some(class) = class(part) {
        qos = class;
        part = parts.next()?;
    }
    let pod_uid = pod_uid(part)?.into_owned();
    let container_id = parts.next().and_then(container_id);
    let nested = container_id.is_some() && parts.next().is_some();
    Some(ContainerPath { pod_uid, container_id: container_id.map(str::to_owned), qos, nested })
}

/// The pod root above a group: the innermost `kubepods`, `kubepods.slice` or `..-kubepods.slice` on its path, itself included.
pub fn pod_root(path: &str) -> Option<&str> {
    let mut end = path.len();
    loop {
        let start = path[..end].rfind('/').map_or(0, |slash| slash + 1);
        if is_root(&path[start..end]) {
            return Some(&path[..end]);
        }
        end = start.checked_sub(1)?;
    }
}

fn is_root(part: &str) -> bool {
    part == "kubepods"
        || part.strip_suffix("kubepods.slice").is_some_and(|before| before.is_empty() || before.ends_with('-'))
}

fn class(part: &str) -> Option<Qos> {
    let name = part
        .strip_suffix(".slice")
        .map_or(part, |slice| slice.rsplit_once("kubepods-").map_or(slice, |(_, name)| name));
    match name {
        "burstable" => Some(Qos::Burstable),
        "besteffort" => Some(Qos::BestEffort),
        "guaranteed" => Some(Qos::Guaranteed),
        _ => None,
    }
}

fn pod_uid(part: &str) -> Option<Cow<'_, str>> {
    let uid = if let Some(slice) = part.strip_suffix(".slice") {
        // systemd reads `-` in a slice's name as a level, so the kubelet writes the uid with `_`.
        Cow::Owned(slice.rsplit_once("-pod")?.1.replace('_', "-"))
    } else {
        Cow::Borrowed(part.strip_prefix("pod")?)
    };
    let fits = !uid.is_empty() && uid.len() <= UID_MAX;
    (fits && uid.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')).then_some(uid)
}

fn container_id(part: &str) -> Option<&str> {
    let (runtime, id) = part.strip_suffix(".scope").unwrap_or(part).rsplit_once('-').unwrap_or(("", part));
    let is_id = ID_LEN.contains(&id.len()) && id.bytes().all(|b| b.is_ascii_hexdigit());
    (is_id && !runtime.ends_with("conmon")).then_some(id)
}

/// What a group is called where there is no Kubernetes: a container of Docker, Podman or containerd by the first 12 characters of its
/// id (`docker-0123456789ab`), else the systemd unit (`nginx.service`), else its path. Whatever is below a container or a unit belongs to
/// it, by whatever name. What a user's own manager runs has its name before it (`user@1000.service/x.scope`), as each user may have
/// units of any name. At most 63 bytes; what is longer keeps its end, which tells more.
pub fn standalone_name(path: &str) -> String {
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    let id = |part: &&str| container_id(part).is_some_and(|id| id.len() >= 32);
    let at = parts.iter().position(id);
    let mut units = parts[..at.unwrap_or(parts.len())].iter().copied().filter(|part| is_unit(part)).peekable();
    let manager = units.next_if(|unit| is_manager(unit));
    let unit = units.next();
    let container = at.map(|at| container_name(at.checked_sub(1).map(|above| parts[above]), parts[at]));
    match (manager, container.as_deref().or(unit)) {
        (Some(manager), Some(name)) => format!("{manager}/{}", end(name, NAME_MAX - manager.len() - 1)),
        (Some(name), None) | (None, Some(name)) => end(name, NAME_MAX).to_owned(),
        (None, None) if parts.is_empty() => "/".to_owned(),
        (None, None) => end(&parts.join("/"), NAME_MAX).to_owned(),
    }
}

/// What a container's group is called, by its own name and that of the group above.
fn container_name(above: Option<&str>, part: &str) -> String {
    let runtime = part.strip_suffix(".scope").and_then(|scope| scope.rsplit_once('-')).map(|(runtime, _)| runtime);
    let id = container_id(part).unwrap_or(part);
    format!("{}-{}", runtime.or(above).unwrap_or("container"), &id[..id.floor_char_boundary(12)])
}

fn is_unit(part: &str) -> bool {
    matches!(part.rsplit_once('.'), Some((_, "service" | "scope")))
}

/// Whether a unit is the service manager of a user, by number (`user@1000.service`).
fn is_manager(unit: &str) -> bool {
    let uid = unit.strip_prefix("user@").and_then(|unit| unit.strip_suffix(".service"));
    uid.is_some_and(|uid| uid.parse::<u32>().is_ok())
}

/// The last bytes, at most so many, at a character's boundary.
fn end(name: &str, most: usize) -> &str {
    &name[name.ceil_char_boundary(name.len().saturating_sub(most))..]
}

#[cfg(test)]
mod tests;
