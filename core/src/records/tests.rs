use fleetscope_ebpf::{RecordHead, verdict};
use proptest::prelude::*;

use super::*;

fn head(kind: u16, flags: u16) -> Vec<u8> {
    let mut bytes = Vec::new();
    bytes.extend(kind.to_ne_bytes());
    bytes.extend(flags.to_ne_bytes());
    bytes.extend(3_u32.to_ne_bytes());
    bytes.extend(1_000_u64.to_ne_bytes());
    bytes.extend(42_u64.to_ne_bytes());
    bytes
}

fn with_process(mut bytes: Vec<u8>, process: &Process) -> Vec<u8> {
    bytes.extend(process.start.to_ne_bytes());
    bytes.extend(process.tgid.to_ne_bytes());
    bytes.extend(process.parent.to_ne_bytes());
    bytes.extend(process.comm);
    bytes
}

fn exec_bytes(flags: u16, process: &Process, path: &[u8], argv: &[u8]) -> Vec<u8> {
    let mut bytes = with_process(head(kind::EXEC, flags), process);
    bytes.extend(u32::try_from(path.len()).unwrap().to_ne_bytes());
    bytes.extend(u32::try_from(argv.len()).unwrap().to_ne_bytes());
    bytes.extend(path);
    bytes.extend(argv);
    bytes
}

fn cgroup_bytes(kind: u16, path: &[u8]) -> Vec<u8> {
    let mut bytes = head(kind, 0);
    bytes.extend(7_u64.to_ne_bytes());
    bytes.extend(u32::try_from(path.len()).unwrap().to_ne_bytes());
    bytes.extend(verdict::TASKS.to_ne_bytes());
    bytes.extend(path);
    bytes
}

fn git() -> Process {
    Process { tgid: 7, parent: 6, start: 5, comm: *b"git\0\0\0\0\0\0\0\0\0\0\0\0\0" }
}

#[test]
fn an_exec_keeps_path_arguments_and_flags() {
    let bytes = exec_bytes(flag::PARENT_TRACKED, &git(), b"/usr/bin/git", b"git\0merge\0");
    let expected = Exec {
        time: 1_000,
        cgroup: 42,
        process: git(),
        parent_tracked: true,
        path: Some(b"/usr/bin/git"),
        argv: Argv::Whole(b"git\0merge\0"),
    };
    assert_eq!(parse(&bytes), Ok(Record::Exec(expected)));
    assert_eq!(git().comm(), b"git");
}

#[test]
fn a_cut_path_is_no_path_and_cut_arguments_say_so() {
    let bytes = exec_bytes(flag::PATH_TRUNCATED | flag::ARGV_TRUNCATED, &git(), b"/very/lo", b"git\0mer");
    let Ok(Record::Exec(exec)) = parse(&bytes) else { panic!("an exec") };
    assert_eq!((exec.path, exec.argv), (None, Argv::Cut(b"git\0mer")));
    let bytes = exec_bytes(flag::ARGV_UNREADABLE, &git(), b"/bin/git", b"");
    let Ok(Record::Exec(exec)) = parse(&bytes) else { panic!("an exec") };
    assert_eq!((exec.path, exec.argv), (Some(&b"/bin/git"[..]), Argv::Unknown));
}

#[test]
fn an_exit_keeps_status_and_oom() {
    let mut bytes = with_process(head(kind::EXIT, flag::OOM_VICTIM), &git());
    bytes.extend(9_u32.to_ne_bytes());
    bytes.extend([0; 4]);
    let expected = Exit { time: 1_000, cgroup: 42, process: git(), status: 9, oom: true };
    assert_eq!(parse(&bytes), Ok(Record::Exit(expected)));
}

#[test]
fn a_made_group_has_its_path_unless_it_fills_its_room() {
    let made = |path| CgroupMade { time: 1_000, cgroup: 42, parent: 7, path, verdict: Some(verdict::TASKS) };
    let bytes = cgroup_bytes(kind::CGROUP_MADE, b"/kubepods/pod1");
    assert_eq!(parse(&bytes), Ok(Record::CgroupMade(made(Some(&b"/kubepods/pod1"[..])))));
    let bytes = cgroup_bytes(kind::CGROUP_MADE, &[b'x'; CGROUP_PATH_MAX - 1]);
    assert_eq!(parse(&bytes), Ok(Record::CgroupMade(made(None))));
    let bytes = cgroup_bytes(kind::CGROUP_GONE, b"");
    assert_eq!(parse(&bytes), Ok(Record::CgroupGone(CgroupGone { time: 1_000, cgroup: 42, parent: 7 })));
}

#[test]
fn faults_name_kind_and_lengths() {
    assert_eq!(parse(&[]), Err(RecordError::Truncated { kind: 0, got: 0, needed: 24 }));
    assert_eq!(parse(&head(9, 0)), Err(RecordError::UnknownKind { kind: 9 }));
    assert_eq!(parse(&head(kind::EXIT, 0)), Err(RecordError::Truncated { kind: kind::EXIT, got: 24, needed: 64 }));
    let long = exec_bytes(0, &git(), &[b'a'; PATH_MAX], b"");
    let error = RecordError::TooLong { kind: kind::EXEC, part: "path", len: 256, max: 255 };
    assert_eq!(parse(&long), Err(error));
    assert_eq!(error.to_string(), "failed to read record of kind 1: path has 256 bytes, at most 255 are allowed");
    assert!(RecordError::REASONS.contains(&error.reason()));
    let short = exec_bytes(0, &git(), b"/bin/git", b"git\0");
    assert_eq!(parse(&short[..70]), Err(RecordError::Truncated { kind: kind::EXEC, got: 70, needed: 72 }));
}

#[test]
fn refused_entries_become_the_same_records_without_names() {
    let process = fleetscope_ebpf::Process { start: 5, tgid: 7, parent: 6, comm: git().comm };
    let head = |kind, flags| RecordHead { kind, flags, cpu: 0, time: 1_000, cgroup: 42 };
    let exit = Refused { head: head(kind::EXIT, flag::OOM_VICTIM), process, status_or_parent: 0x100 };
    let expected = Exit { time: 1_000, cgroup: 42, process: git(), status: 0x100, oom: true };
    assert_eq!(from_refused(&exit), Ok(Record::Exit(expected)));
    let exec = Refused { head: head(kind::EXEC, flag::PARENT_TRACKED), process, status_or_parent: 0 };
    let expected = Exec { time: 1_000, cgroup: 42, process: git(), parent_tracked: true, ..Exec::default() };
    assert_eq!(from_refused(&exec), Ok(Record::Exec(expected)));
    let made = Refused { head: head(kind::CGROUP_MADE, 0), status_or_parent: 7, ..Refused::default() };
    let expected = CgroupMade { time: 1_000, cgroup: 42, parent: 7, ..CgroupMade::default() };
    assert_eq!(from_refused(&made), Ok(Record::CgroupMade(expected)));
    assert_eq!(from_refused(&Refused::default()), Err(RecordError::UnknownKind { kind: 0 }));
}

proptest! {
    #[test]
    fn any_bytes_are_a_record_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..900), kind in 0_u16..6, cut in 0_usize..900) {
        let mut bytes = bytes;
        if bytes.len() > 64 {
            bytes[..2].copy_from_slice(&kind.to_ne_bytes());
            // Small lengths, so that many of the cases get past the checks.
            bytes[34..36].fill(0);
            bytes[58..60].fill(0);
            bytes[62..64].fill(0);
        }
        let whole = parse(&bytes);
        if let Err(error) = whole {
            prop_assert!(RecordError::REASONS.contains(&error.reason()));
        }
        let _either = parse(&bytes[..cut.min(bytes.len())]);
    }

    #[test]
    fn what_the_programs_write_is_what_is_read(
        tgid: u32, parent: u32, start: u64, comm: [u8; COMM_LEN], tracked: bool,
        path in proptest::collection::vec(any::<u8>(), 1..PATH_MAX), argv in proptest::collection::vec(any::<u8>(), 0..=ARGV_MAX),
        tail in 0_usize..8,
    ) {
        let process = Process { tgid, parent, start, comm };
        let mut bytes = exec_bytes(u16::from(tracked), &process, &path, &argv);
        bytes.resize(bytes.len() + tail, 0xff);
        let expected = Exec { time: 1_000, cgroup: 42, process, parent_tracked: tracked, path: Some(&path), argv: Argv::Whole(&argv) };
        prop_assert_eq!(parse(&bytes), Ok(Record::Exec(expected)));
    }
}
