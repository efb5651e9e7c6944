//! Cgroup paths (`fleetscope_core::cgroup`), which whoever may make a cgroup chooses: what is read of one is short and of harmless characters, as
//! it becomes part of keys and labels, and the two ways to read one agree.

use fleetscope_core::cgroup::{parse_below, parse_path, pod_root, standalone_name};

/// Most bytes of a pod's uid and of a name; most of a container's id.
const SHORT: usize = 63;
const ID: usize = 128;

/// The target.
pub fn fuzz(data: &[u8]) {
    let Ok(path) = str::from_utf8(data) else { return };
    let name = standalone_name(path);
    assert!(!name.is_empty() && name.len() <= SHORT);
    let root = pod_root(path);
    if let Some(root) = root {
        assert!(path.strip_prefix(root).is_some_and(|below| below.is_empty() || below.starts_with('/')));
        assert_eq!(pod_root(root), Some(root));
    }
    let found = parse_path(path);
    if let Some(below) = root.and_then(|root| parse_below(root, path)) {
        assert_eq!(found, Some(below), "the innermost root comes first");
    }
    let Some(found) = found else { return };
    let uid = &found.pod_uid;
    assert!(!uid.is_empty() && uid.len() <= SHORT && uid.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-'));
    let id = found.container_id.as_deref();
    assert!(id.is_none_or(|id| id.len() <= ID && id.bytes().all(|b| b.is_ascii_hexdigit())));
    assert!(id.is_some() || !found.nested);
}
