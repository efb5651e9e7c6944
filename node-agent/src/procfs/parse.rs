//! Parsers of `/proc` and cgroup files: bytes in, values out. The files are hostile: a command name holds any bytes, a
//! file may be cut anywhere, and what does not parse is `None`, never a guess.

/// The process forked and did not exec since (include/linux/sched.h).
const PF_FORKNOEXEC: u32 = 0x40;

/// What of `/proc/PID/stat` is used (`proc_pid_stat(5)`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stat {
    /// Command name, any bytes, at most 15 of them for user processes.
    pub comm: Vec<u8>,
    /// One letter: R, S, D, T, Z, X, ...
    pub state: u8,
    /// The parent's process id.
    pub parent: u32,
    /// `task_struct.flags` of the leader.
    pub flags: u32,
    /// Threads, the leader included even when it has ended before the others.
    pub threads: u64,
    /// When it was forked, in clock ticks of 10 ms since boot, rounded down (`nsec_to_clock_t`, fs/proc/array.c).
    pub start_ticks: u64,
    /// CPU time in user and kernel mode, in clock ticks.
    pub cpu_ticks: u64,
    /// Resident memory in pages.
    pub resident_pages: u64,
}

impl Stat {
    /// Parses one file's content.
    pub fn parse(content: &[u8]) -> Option<Self> {
        // The name is in parentheses and may hold any, newlines and ") R 1 " included: the last one ends it.
        let open = content.iter().position(|&byte| byte == b'(')?;
        let close = content.iter().rposition(|&byte| byte == b')')?;
        let comm = content.get(open + 1..close)?.to_vec();
        // Field 3 (state) is fields[0].
        let rest = str::from_utf8(content.get(close + 1..)?).ok()?;
        let fields: Vec<&str> = rest.split_ascii_whitespace().take(23).collect();
        // One more than what is used: so a number that the file's end cut short is not taken for whole.
        fields.get(22)?;
        let number = |field: usize| fields.get(field - 3)?.parse::<u64>().ok();
        let &[state] = fields.first()?.as_bytes() else { return None };
        Some(Self {
            comm,
            state,
            parent: u32::try_from(number(4)?).ok()?,
            flags: u32::try_from(number(9)?).ok()?,
            cpu_ticks: number(14)?.checked_add(number(15)?)?,
            threads: number(20)?,
            start_ticks: number(22)?,
            resident_pages: number(24)?,
        })
    }

    /// Has it exec'd, itself or an ancestor of it that is the same process?
    pub fn has_execd(&self) -> bool {
        self.flags & PF_FORKNOEXEC == 0
    }

    /// Is it gone but for its entry? A leader that ended before its threads is a zombie of a living process: it counts
    /// itself among the threads.
    pub fn is_dead(&self) -> bool {
        matches!(self.state, b'Z' | b'X' | b'x') && self.threads <= 1
    }
}

/// The cgroup2 path of a `/proc/PID/cgroup` file: the line `0::PATH`. `None` if there is none, it is not UTF-8, or the
/// group was removed (` (deleted)`).
pub fn unified_path(content: &[u8]) -> Option<String> {
    let line = content.split(|&byte| byte == b'\n').find_map(|line| line.strip_prefix(b"0::"))?;
    let path = str::from_utf8(line).ok()?;
    (path.starts_with('/') && !path.ends_with(" (deleted)")).then(|| path.to_owned())
}

/// The paths of all hierarchies in a `/proc/PID/cgroup` file, in its order.
pub fn all_paths(content: &[u8]) -> Vec<String> {
    let lines = content.split(|&byte| byte == b'\n').filter_map(|line| str::from_utf8(line).ok());
    lines
        .filter_map(|line| line.splitn(3, ':').nth(2))
        .filter(|path| path.starts_with('/'))
        .map(str::to_owned)
        .collect()
}

/// The absolute path of a group that a reader in the cgroup namespace with the root `namespace` is shown as `shown`:
/// groups outside of it begin with `/..` (kernel/cgroup/cgroup.c, `cgroup_path_ns_locked`). `None` if it leads above the root.
pub fn resolve(namespace: &str, shown: &str) -> Option<String> {
    let mut parts: Vec<&str> = namespace.split('/').filter(|part| !part.is_empty()).collect();
    for part in shown.split('/').filter(|part| !part.is_empty()) {
        if part == ".." {
            parts.pop()?;
        } else {
            parts.push(part);
        }
    }
    Some(format!("/{}", parts.join("/")))
}

/// The number of a file that holds one, such as `memory.current`. `max` and anything else is `None`.
pub fn number(content: &[u8]) -> Option<u64> {
    str::from_utf8(content).ok()?.trim_end().parse().ok()
}

/// The number after `key` in a file of `key number` lines, such as `memory.stat` and `cpu.stat`.
pub fn keyed(content: &[u8], key: &str) -> Option<u64> {
    let value =
        content.split(|&byte| byte == b'\n').find_map(|line| line.strip_prefix(key.as_bytes())?.strip_prefix(b" "))?;
    number(value)
}

/// Is this line of `/proc/net/tcp` or `tcp6` a listening socket? `None` if it is not a line of a socket, as the headline.
///
/// The state is the fourth field, `0A` is `TCP_LISTEN` (`get_tcp4_sock` in `net/ipv4/tcp_ipv4.c`).
pub fn is_listener(line: &[u8]) -> Option<bool> {
    let mut fields = line.split(u8::is_ascii_whitespace).filter(|field| !field.is_empty());
    fields.next()?.strip_suffix(b":")?;
    let state = fields.nth(2)?;
    (state.len() == 2 && state.iter().all(u8::is_ascii_hexdigit)).then_some(state == b"0A")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BASH: &str =
        "4242 (bash) S 17 4242 4242 0 -1 4194304 2000 0 0 0 12 8 0 0 20 0 1 0 123456 7000000 900 184467440737";

    #[test]
    fn stat_of_a_shell_is_read() {
        assert_eq!(
            Stat::parse(BASH.as_bytes()),
            Some(Stat {
                comm: b"bash".to_vec(),
                state: b'S',
                parent: 17,
                flags: 0x40_0000,
                threads: 1,
                start_ticks: 123_456,
                cpu_ticks: 20,
                resident_pages: 900,
            })
        );
    }

    #[test]
    fn a_name_that_looks_like_fields_does_not_move_them() {
        let stat = Stat::parse(BASH.replace("(bash)", "(a) R 1 (\n)").as_bytes()).expect("a stat file");
        assert_eq!((stat.comm.as_slice(), stat.state, stat.parent), (b"a) R 1 (\n".as_slice(), b'S', 17));
    }

    #[test]
    fn zombies_are_dead_unless_threads_live_on() {
        let with = |state: &str, threads: &str| {
            Stat::parse(BASH.replace(" S ", state).replace(" 20 0 1 0 ", threads).as_bytes()).expect("a stat file")
        };
        assert!(with(" Z ", " 20 0 1 0 ").is_dead());
        assert!(!with(" Z ", " 20 0 2 0 ").is_dead());
        assert!(!with(" S ", " 20 0 1 0 ").is_dead());
    }

    #[test]
    fn a_fork_without_exec_is_told() {
        assert!(Stat::parse(BASH.as_bytes()).expect("a stat file").has_execd());
        let fork = BASH.replace("4194304", "4194368");
        assert!(!Stat::parse(fork.as_bytes()).expect("a stat file").has_execd());
    }

    #[test]
    fn the_unified_path_is_the_line_of_hierarchy_0() {
        assert_eq!(unified_path(b"9:memory:/a\n0::/kubepods/pod1\n"), Some("/kubepods/pod1".to_owned()));
        assert_eq!(unified_path(b"0::/kubepods/pod1 (deleted)\n"), None);
        assert_eq!(unified_path(b"9:memory:/a\n"), None);
        assert_eq!(unified_path(b"0::/\xff\n"), None);
        assert_eq!(all_paths(b"4:memory:/a\n1:name=systemd:/b:c\n0::/d\nbroken\n"), ["/a", "/b:c", "/d"]);
    }

    #[test]
    fn paths_outside_of_the_namespace_are_resolved() {
        assert_eq!(resolve("/", "/kubepods/x"), Some("/kubepods/x".to_owned()));
        assert_eq!(resolve("/kubepods/a/b", "/../../c/d"), Some("/kubepods/c/d".to_owned()));
        assert_eq!(resolve("/kubepods/a", "/"), Some("/kubepods/a".to_owned()));
        assert_eq!(resolve("/", "/"), Some("/".to_owned()));
        assert_eq!(resolve("/a", "/../../b"), None);
    }

    #[test]
    fn numbers_are_exact_or_nothing() {
        assert_eq!(number(b"1234\n"), Some(1234));
        assert_eq!(number(b"max\n"), None);
        assert_eq!(number(b"12 34\n"), None);
        assert_eq!(keyed(b"inactive_anon 1\ninactive_file 7\ntotal_inactive_file 9\n", "inactive_file"), Some(7));
        assert_eq!(keyed(b"inactive_anon 1\ninactive_file 7\ntotal_inactive_file 9\n", "total_inactive_file"), Some(9));
        assert_eq!(keyed(b"inactive_file", "inactive_file"), None);
    }

    #[test]
    fn listeners_are_told_from_connections_and_the_headline() {
        let listener = b"   0: 0100007F:2AE4 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1 1 x 100 0 0 10 0";
        let connection = b"   1: 0100007F:2AE4 0100007F:C0DE 01 00000000:00000000 00:00000000 00000000     0        0 2 1 x 20 4 30 10 -1";
        assert_eq!(is_listener(listener), Some(true));
        assert_eq!(is_listener(connection), Some(false));
        assert_eq!(is_listener(b"  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt"), None);
        assert_eq!(is_listener(b""), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_parsed_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
            Stat::parse(&bytes);
            unified_path(&bytes);
            all_paths(&bytes);
            number(&bytes);
            keyed(&bytes, "inactive_file");
            is_listener(&bytes);
        }

        #[test]
        fn a_stat_file_cut_anywhere_is_whole_or_nothing(cut in 0..BASH.len()) {
            let whole = Stat::parse(BASH.as_bytes());
            let parsed = Stat::parse(&BASH.as_bytes()[..cut]);
            prop_assert!(parsed.is_none() || parsed == whole, "{:?}", parsed);
        }

        #[test]
        fn any_name_keeps_the_other_fields(comm in proptest::collection::vec(any::<u8>(), 0..64)) {
            let mut content = b"1 (".to_vec();
            content.extend(&comm);
            content.extend(&BASH.as_bytes()[BASH.find(')').expect("name")..]);
            let stat = Stat::parse(&content).expect("a stat file");
            prop_assert_eq!((stat.comm, stat.start_ticks), (comm, 123_456));
        }

        #[test]
        fn resolving_never_yields_dots(namespace in "(/[a-z]{1,3}){0,4}", shown in "(/([.][.]|[a-z]{1,3})){0,8}") {
            if let Some(path) = resolve(&namespace, &shown) {
                prop_assert!(path.starts_with('/') && !path.contains(".."), "{}", path);
            }
        }
    }
}
