//! The groups below one, parents first.

use std::collections::VecDeque;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use super::{CgroupError, folder};

/// Deepest nesting that is looked at. Pods are at depth 3 to 5; systemd in a container adds some 6.
const DEPTH_MAX: usize = 32;

/// A group of the cgroup2 tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// Inode number of its folder, as in the kernel's records.
    pub id: u64,
    /// That of the group above.
    pub parent: u64,
    /// Absolute path in the tree, `/` for its root.
    pub path: String,
}

/// Calls `visit` with `from` and every group below it, at most `most` of them, and gives back whether that was all.
///
/// A group is visited *before* its folder is read: what `visit` does to the kernel's map of groups holds for every group
/// that is made afterwards, and what was made before is read. So none slips through in between. Groups that vanish
/// while they are read are left out; those with a name that is not UTF-8 are taken with U+FFFD in its place.
pub fn walk(unified: &Path, from: &str, most: usize, mut visit: impl FnMut(&Group)) -> Result<bool, CgroupError> {
    let read_error = |path: &Path, source: io::Error| CgroupError::Read { path: path.to_owned(), source };
    let start = folder(unified, from);
    let id = fs::metadata(&start).map_err(|source| read_error(&start, source))?.ino();
    let parent = if from == "/" {
        0
    } else {
        start.parent().and_then(|above| fs::metadata(above).ok()).map_or(0, |above| above.ino())
    };
    let mut waiting = VecDeque::from([(start, 0, Group { id, parent, path: from.to_owned() })]);
    let (mut seen, mut whole) = (1, true);
    while let Some((here, depth, group)) = waiting.pop_front() {
        visit(&group);
        if depth == DEPTH_MAX {
            whole = false;
            continue;
        }
        let entries = match fs::read_dir(&here) {
            Ok(entries) => entries,
            Err(error) if depth > 0 && error.kind() == io::ErrorKind::NotFound => continue,
            Err(source) => return Err(read_error(&here, source)),
        };
        for entry in entries.filter_map(Result::ok) {
            let (Ok(kind), Ok(meta)) = (entry.file_type(), entry.metadata()) else { continue };
            if !kind.is_dir() {
                continue;
            }
            if seen == most {
                whole = false;
                break;
            }
            seen += 1;
            let path = format!("{}/{}", group.path.trim_end_matches('/'), entry.file_name().to_string_lossy());
            waiting.push_back((entry.path(), depth + 1, Group { id: meta.ino(), parent: group.id, path }));
        }
    }
    Ok(whole)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::Folder;

    fn paths(root: &Folder, from: &str, most: usize) -> (Vec<String>, bool) {
        let mut all = Vec::new();
        let whole = walk(root.path(), from, most, |group| all.push(group.path.clone())).expect("readable");
        all.sort();
        (all, whole)
    }

    #[test]
    fn every_group_below_is_visited_with_its_parents_id() {
        let root = Folder::new();
        root.file("kubepods/besteffort/pod1/a/cgroup.procs", "");
        root.file("system.slice/cgroup.procs", "");
        let mut groups: Vec<Group> = Vec::new();
        assert!(walk(root.path(), "/kubepods", 100, |group| groups.push(group.clone())).expect("readable"));
        let paths: Vec<&str> = groups.iter().map(|group| group.path.as_str()).collect();
        assert_eq!(
            paths,
            ["/kubepods", "/kubepods/besteffort", "/kubepods/besteffort/pod1", "/kubepods/besteffort/pod1/a"]
        );
        assert_eq!(groups[0].parent, fs::metadata(root.path()).expect("root").ino());
        assert!(groups.windows(2).all(|pair| pair[1].parent == pair[0].id), "{groups:?}");
    }

    #[test]
    fn groups_that_are_made_during_a_visit_are_found() {
        let root = Folder::new();
        root.file("kubepods/cgroup.procs", "");
        let mut seen = Vec::new();
        walk(root.path(), "/kubepods", 100, |group| {
            if group.path == "/kubepods" {
                root.file("kubepods/pod1/cgroup.procs", "");
            }
            seen.push(group.path.clone());
        })
        .expect("readable");
        assert_eq!(seen, ["/kubepods", "/kubepods/pod1"]);
    }

    #[test]
    fn the_root_is_slash_and_children_have_one_slash() {
        let root = Folder::new();
        root.file("a/cgroup.procs", "");
        assert_eq!(paths(&root, "/", 10), (vec!["/".to_owned(), "/a".to_owned()], true));
    }

    #[test]
    fn a_bound_that_is_reached_is_told() {
        let root = Folder::new();
        for name in ["a", "b", "c"] {
            root.file(&format!("{name}/cgroup.procs"), "");
        }
        let (seen, whole) = paths(&root, "/", 3);
        assert_eq!((seen.len(), whole), (3, false));
        let deep = (0..40).map(|_| "d").collect::<Vec<_>>().join("/");
        let root = Folder::new();
        root.file(&format!("{deep}/cgroup.procs"), "");
        let (seen, whole) = paths(&root, "/", 1000);
        assert_eq!((seen.len(), whole), (33, false));
    }

    #[test]
    fn a_root_that_is_not_there_is_an_error() {
        let root = Folder::new();
        assert!(matches!(walk(root.path(), "/gone", 10, |_| ()), Err(CgroupError::Read { .. })));
    }
}
