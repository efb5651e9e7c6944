//! Bad input: paths, arguments and names with any bytes, of any length.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::Command;

use fleetscope_core::records::Argv;
use fleetscope_ebpf::{ARGV_MAX, PATH_MAX};

use crate::group::Group;
use crate::session::{Seen, Session};

/// A folder for programs of the test's own; removed at its end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("fleetscope-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    /// A small executable under any name.
    fn program(&self, name: &[u8]) -> PathBuf {
        let path = self.0.join(OsStr::from_bytes(name));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::copy("/bin/true", &path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Runs a program with these arguments in a tracked group.
fn run(command: impl FnOnce(&Group) -> Command) -> Seen {
    let (mut session, group) = (Session::new(), Group::new());
    session.track(&group);
    assert!(command(&group).status().unwrap().success());
    session.take()
}

#[test]
#[ignore = "needs CAP_BPF: make test-kernel"]
fn arguments_may_be_any_bytes() {
    let odd = OsStr::from_bytes(b"\xff\xfe not utf-8 \x01\x1b[31m\r\n\t\"'\\");
    let seen = run(|group| {
        let mut command = group.process(&["exec", "/bin/true"]);
        // kernel-process hands arguments on as text, so the shell writes these bytes itself.
        command.args(["", "x"]);
        command
    });
    assert_eq!(seen.execs()[0].argv, Argv::Whole(b"/bin/true\0\0x\0"), "empty arguments stay");
    let seen = run(|group| {
        let mut command = Command::new("/bin/sh");
        let folder = group.folder().to_str().unwrap();
        command.args(["-c", &format!("echo $$ > {folder}/cgroup.procs; exec /bin/true \"$1\""), "sh"]).arg(odd);
        command
    });
    let expected = [b"/bin/true\0", odd.as_bytes(), b"\0"].concat();
    assert_eq!(seen.execs()[0].argv, Argv::Whole(&expected));
}

#[test]
#[ignore = "needs CAP_BPF: make test-kernel"]
fn arguments_of_two_mebibytes_are_cut() {
    let seen = run(|group| group.process(&["exec-long", "/bin/true", "2000000"]));
    let [exec] = seen.execs()[..] else { panic!("{}", seen.story()) };
    let Argv::Cut(bytes) = exec.argv else { panic!("{exec:?}") };
    assert_eq!(bytes, [b"/bin/true\0".to_vec(), vec![b'x'; ARGV_MAX - 10]].concat());
}

#[test]
#[ignore = "needs CAP_BPF: make test-kernel"]
fn arguments_of_exactly_the_limit_are_whole_and_one_more_byte_is_cut() {
    for (extra, whole) in [(0, true), (1, false)] {
        let argument = "y".repeat(ARGV_MAX - b"/bin/true\0\0".len() + extra);
        let seen = run(|group| group.process(&["exec", "/bin/true", &argument]));
        let [exec] = seen.execs()[..] else { panic!("{}", seen.story()) };
        let (len, is_whole) = match exec.argv {
            Argv::Whole(bytes) => (bytes.len(), true),
            Argv::Cut(bytes) => (bytes.len(), false),
            Argv::Unknown => panic!("they can be read"),
        };
        assert_eq!((len, is_whole), (ARGV_MAX, whole));
    }
}

#[test]
#[ignore = "needs CAP_BPF: make test-kernel"]
fn no_arguments_at_all_are_no_error() {
    let seen = run(|group| group.process(&["exec-empty", "/bin/true"]));
    let [exec] = seen.execs()[..] else { panic!("{}", seen.story()) };
    // Kernels since 5.18 put an empty argv[0] there.
    assert!([Argv::Whole(b""), Argv::Whole(b"\0")].contains(&exec.argv), "{:?}", exec.argv);
    assert_eq!(exec.path, Some(&b"/bin/true"[..]));
}

#[test]
#[ignore = "needs CAP_BPF: make test-kernel"]
fn names_may_have_quotes_and_newlines() {
    let folder = Folder::new("names");
    let name = b"a\"b\nc'd\\e\x01{}=~ and more";
    let program = folder.program(name);
    let seen = run(|group| group.process(&["exec", program.to_str().unwrap()]));
    let ([exec], [exit]) = (&seen.execs()[..], &seen.exits()[..]) else { panic!("{}", seen.story()) };
    assert_eq!(exec.path, Some(program.as_os_str().as_bytes()));
    assert_eq!((exec.process.comm(), exit.process.comm()), (&name[..15], &name[..15]));
}

#[test]
#[ignore = "needs CAP_BPF: make test-kernel"]
fn a_path_of_exactly_the_limit_is_whole_and_one_more_byte_is_cut() {
    let folder = Folder::new("paths");
    for (len, whole) in [(PATH_MAX - 2, true), (PATH_MAX - 1, true), (PATH_MAX, false), (PATH_MAX + 100, false)] {
        // Two levels, as a name may have 255 bytes.
        let base = folder.0.as_os_str().len() + 1;
        let name = format!("{}/{}", "d".repeat(100), "p".repeat(len - base - 101));
        let program = folder.program(name.as_bytes());
        assert_eq!(program.as_os_str().len(), len);
        let seen = run(|group| group.process(&["exec", program.to_str().unwrap()]));
        let [exec] = seen.execs()[..] else { panic!("{}", seen.story()) };
        assert_eq!(exec.path, whole.then_some(program.as_os_str().as_bytes()), "{len} bytes");
        let argv = [program.as_os_str().as_bytes(), b"\0"].concat();
        assert_eq!(exec.argv, Argv::Whole(&argv), "the arguments begin where the cut path ends");
    }
}

#[test]
#[ignore = "needs CAP_BPF: make test-kernel"]
fn a_script_is_named_by_its_own_path() {
    let folder = Folder::new("script");
    let script = folder.0.join("job.sh");
    fs::write(&script, "#!/bin/sh\nexit 0\n").unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    let seen = run(|group| group.process(&["exec", script.to_str().unwrap(), "a"]));
    let [exec] = seen.execs()[..] else { panic!("{}", seen.story()) };
    assert_eq!(exec.path, Some(script.as_os_str().as_bytes()));
    assert_eq!(exec.process.comm(), b"job.sh");
    let argv = [b"/bin/sh\0", script.as_os_str().as_bytes(), b"\0a\0"].concat();
    assert_eq!(exec.argv, Argv::Whole(&argv));
}
