//! Processes of the container runtime that pass through a container's cgroup before the container's own program runs there.
//!
//! runc starts itself again as `runc init` from a sealed copy of its own program (`libcontainer/nsenter/cloned_binary.c`, and
//! `libcontainer/dmz`), and may be in the container's group by then. It is no task, and what it executes at last is another process'
//! record. So is the sandbox's `pause`, which no pod status lists (see `containers.rs`).

use crate::records::{Argv, Exec};

/// What runc's helpers call themselves (libcontainer/nsenter/nsexec.c) until they execute the container's program.
const HELPER: &[u8] = b"runc:[";

/// Whether a command name is that of a helper.
pub(super) fn is_helper(comm: &[u8]) -> bool {
    comm.starts_with(HELPER)
}

/// Whether an exec is that of `runc init`: by somebody outside of the container, of an open file instead of a path, with `init`
/// as its one argument. An agent that calls itself so inside of its container is not mistaken: its parent is inside, too.
pub(super) fn is_init(exec: &Exec<'_>) -> bool {
    let of_open_file = |path: &[u8]| path.starts_with(b"/dev/fd/") || path.starts_with(b"/proc/self/");
    let Argv::Whole(argv) = exec.argv else { return false };
    let mut arguments = argv.strip_suffix(b"\0").unwrap_or(argv).split(|byte| *byte == 0).skip(1);
    !exec.parent_tracked
        && exec.path.is_some_and(of_open_file)
        && arguments.next() == Some(b"init".as_slice())
        && arguments.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exec<'a>(path: &'a [u8], argv: &'a [u8]) -> Exec<'a> {
        Exec { path: Some(path), argv: Argv::Whole(argv), ..Exec::default() }
    }

    #[test]
    fn runc_init_is_told_by_its_open_file_its_argument_and_its_parent() {
        assert!(is_init(&exec(b"/dev/fd/6", b"runc\0init\0")));
        assert!(is_init(&exec(b"/proc/self/exe", b"/usr/sbin/runc\0init\0")));
        assert!(is_init(&exec(b"/proc/self/fd/7", b"docker-runc\0init")));
        assert!(!is_init(&Exec { parent_tracked: true, ..exec(b"/dev/fd/6", b"runc\0init\0") }));
        assert!(!is_init(&exec(b"/usr/bin/agent", b"agent\0init\0")));
        assert!(!is_init(&exec(b"/dev/fd/6", b"agent\0init\0now\0")));
        assert!(!is_init(&exec(b"/dev/fd/6", b"agent\0")));
        assert!(!is_init(&Exec { argv: Argv::Cut(b"runc\0init"), ..exec(b"/dev/fd/6", b"") }));
        assert!(!is_init(&Exec { path: None, ..exec(b"", b"runc\0init\0") }));
    }
}
