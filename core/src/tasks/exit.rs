//! How a process ended: from its wait status to the label `exit`, and by a rule's `resultByExitCode` to the label `result`.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::api::agent_fleet::ResultName;
use crate::tasks::label;

/// Result of a process that ended well, where its rule does not say otherwise.
pub const SUCCESS: &str = "success";
/// Result of every other process, where its rule does not say otherwise.
pub const FAILED: &str = "failed";

/// Most signal number that a wait status can carry.
const SIGNAL_MAX: usize = 127;
/// Names of signals 1 to 31 (`asm-generic/signal.h`), as keys of `resultByExitCode`; `sig<number>` names every signal.
const SIGNALS: [&str; 31] = [
    "sighup",
    "sigint",
    "sigquit",
    "sigill",
    "sigtrap",
    "sigabrt",
    "sigbus",
    "sigfpe",
    "sigkill",
    "sigusr1",
    "sigsegv",
    "sigusr2",
    "sigpipe",
    "sigalrm",
    "sigterm",
    "sigstkflt",
    "sigchld",
    "sigcont",
    "sigstop",
    "sigtstp",
    "sigttin",
    "sigttou",
    "sigurg",
    "sigxcpu",
    "sigxfsz",
    "sigvtalrm",
    "sigprof",
    "sigwinch",
    "sigio",
    "sigpwr",
    "sigsys",
];

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// By itself, with this exit code.
    Code(u8),
    /// By this signal, 1 to 127.
    Signal(u8),
    /// By the kernel's OOM killer.
    Oom,
}

// === impl End ===

impl End {
    /// Reads a wait status (wait(2)); `oom` says that the OOM killer chose the process. A process that it chose and that yet
    /// ended by itself or by another signal first, ended so.
    pub fn new(status: u32, oom: bool) -> Self {
        let signal = (status & 0x7f) as u8;
        match signal {
            0 => Self::Code((status >> 8 & 0xff) as u8),
            9 if oom => Self::Oom,
            signal => Self::Signal(signal),
        }
    }

    /// Value of the label `exit`: one of [`LABELS`].
    pub fn label(self) -> &'static str {
        match self {
            Self::Code(0) => "0",
            Self::Code(1) => "1",
            Self::Code(2) => "2",
            Self::Code(126) => "126",
            Self::Code(127) => "127",
            Self::Signal(9) => "sigkill",
            Self::Signal(15) => "sigterm",
            Self::Oom => "oom",
            Self::Code(_) | Self::Signal(_) => "other",
        }
    }

    fn at(self) -> usize {
        match self {
            Self::Code(code) => usize::from(code),
            Self::Signal(signal) => 256 + usize::from(signal),
            Self::Oom => 256,
        }
    }
}

/// All values of the label `exit`.
pub const LABELS: [&str; 9] = ["0", "1", "2", "126", "127", "sigkill", "sigterm", "oom", "other"];

/// A rule's `resultByExitCode`, ready to be looked up.
///
/// A key that says how the process ended decides: its exit code, its signal by name (`sigterm`) or number (`sig34`), `oom`; an
/// OOM kill without a key of its own is a `sigkill`. Else `*`. Without `*`, exit code 0 is `success`, all else `failed`.
#[derive(Clone, Debug)]
pub struct Results {
    names: Vec<Arc<str>>,
    /// By exit code, then OOM, then signal 1 to 127: the place in `names`.
    by_end: Box<[u8]>,
}

// === impl Results ===

impl Default for Results {
    fn default() -> Self {
        Self::new(&BTreeMap::new())
    }
}

impl Results {
    /// Compiles a rule's map. Keys that mean nothing are passed over: the API server refuses them.
    pub fn new(by_key: &BTreeMap<String, ResultName>) -> Self {
        let mut names: Vec<Arc<str>> = vec![SUCCESS.into(), FAILED.into()];
        let mut by_end = vec![1_u8; 256 + 1 + SIGNAL_MAX].into_boxed_slice();
        by_end[0] = 0;
        let mut place = |name: &ResultName| {
            let name = label::printable(name.0.as_bytes());
            let known = names.iter().position(|known| **known == *name);
            let at = known.unwrap_or_else(|| {
                names.push(name.into());
                names.len() - 1
            });
            // The API allows 64 keys; a list that is longer for whatever reason keeps its first results.
            u8::try_from(at).unwrap_or(1)
        };
        if let Some(rest) = by_key.get("*") {
            by_end.fill(place(rest));
        }
        let signals = by_key.iter().filter_map(|(key, name)| Some((signal(key)?, name)));
        for (signal, name) in signals {
            by_end[End::Signal(signal).at()] = place(name);
            if signal == 9 {
                by_end[End::Oom.at()] = place(name);
            }
        }
        for (key, name) in by_key {
            if let Ok(code) = key.parse::<u8>() {
                by_end[End::Code(code).at()] = place(name);
            } else if key == "oom" {
                by_end[End::Oom.at()] = place(name);
            }
        }
        Self { names, by_end }
    }

    /// Value of the label `result`.
    pub fn of(&self, end: End) -> &Arc<str> {
        &self.names[usize::from(self.by_end[end.at()])]
    }
}

fn signal(key: &str) -> Option<u8> {
    let number = key.strip_prefix("sig")?.parse::<u8>().ok();
    let named = || SIGNALS.iter().position(|name| *name == key).and_then(|at| u8::try_from(at + 1).ok());
    number.or_else(named).filter(|signal| (1..=127).contains(signal))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn results(pairs: &[(&str, &str)]) -> Results {
        Results::new(&pairs.iter().map(|(key, name)| ((*key).to_owned(), ResultName((*name).to_owned()))).collect())
    }

    #[test]
    fn wait_statuses_read_as_wait_2_says() {
        let cases = [
            (0, false, End::Code(0), "0"),
            (1 << 8, false, End::Code(1), "1"),
            (2 << 8, false, End::Code(2), "2"),
            (126 << 8, false, End::Code(126), "126"),
            (127 << 8, false, End::Code(127), "127"),
            (255 << 8, false, End::Code(255), "other"),
            (9, false, End::Signal(9), "sigkill"),
            (9, true, End::Oom, "oom"),
            (15, false, End::Signal(15), "sigterm"),
            (0x8b, false, End::Signal(11), "other"),
            (0, true, End::Code(0), "0"),
        ];
        for (status, oom, end, label) in cases {
            assert_eq!((End::new(status, oom), end.label()), (end, label), "{status:#x}");
        }
    }

    #[test]
    fn results_default_to_success_and_failed() {
        let results = Results::default();
        let of = |end| &**results.of(end);
        assert_eq!(
            [of(End::Code(0)), of(End::Code(1)), of(End::Signal(15)), of(End::Oom)],
            ["success", "failed", "failed", "failed"]
        );
    }

    #[test]
    fn the_most_exact_key_decides() {
        let results = results(&[
            ("0", "clean"),
            ("1", "conflict"),
            ("sigterm", "stopped"),
            ("sig34", "odd"),
            ("sigkill", "killed"),
            ("*", "broken"),
        ]);
        let ends = [
            End::Code(0),
            End::Code(1),
            End::Code(2),
            End::Signal(15),
            End::Signal(34),
            End::Signal(9),
            End::Oom,
            End::Signal(1),
        ];
        let names: Vec<&str> = ends.into_iter().map(|end| &**results.of(end)).collect();
        assert_eq!(names, ["clean", "conflict", "broken", "stopped", "odd", "killed", "killed", "broken"]);
    }

    #[test]
    fn oom_has_a_key_of_its_own_and_a_star_takes_exit_code_0_too() {
        let results = results(&[("oom", "out_of_memory"), ("sigkill", "killed"), ("*", "done")]);
        let names = [End::Oom, End::Signal(9), End::Code(0)].map(|end| &**results.of(end));
        assert_eq!(names, ["out_of_memory", "killed", "done"]);
    }

    proptest! {
        #[test]
        fn every_status_has_a_label_and_a_result(status: u32, oom: bool, keys in proptest::collection::btree_map(".{0,8}", "[a-z]{1,5}", 0..300)) {
            let results = Results::new(&keys.into_iter().map(|(key, name)| (key, ResultName(name))).collect());
            let end = End::new(status, oom);
            prop_assert!(LABELS.contains(&end.label()));
            prop_assert!(!results.of(end).is_empty());
        }
    }
}
