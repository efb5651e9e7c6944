//! States of probes: what is attached, what is not, why, and what to do about it.

use std::fmt::Write as _;
use std::io;

use aya::EbpfError;
use aya::maps::MapError;
use aya::programs::ProgramError;

use super::btf::BtfError;
use super::capabilities::{self, Capability};
use super::maps::MapsError;
use super::programs::{Program, Unsupported};

/// Where the kernel tells its lockdown mode.
const LOCKDOWN: &str = "/sys/kernel/security/lockdown";

/// One program, and how it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProbeReport {
    /// What it is for: `tasks`, `cgroups`, `runqueue`, `rpc`.
    pub probe: &'static str,
    /// The program's name in the object.
    pub program: &'static str,
    /// Which of several ways it belongs to: of `rpc`, `sockets` or `syscalls`; else `tp_btf`, a BTF tracepoint, which all are.
    pub mode: &'static str,
    /// The kernel tracepoint.
    pub hook: &'static str,
    /// Whether it runs.
    pub state: State,
}

/// Whether a program runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// It runs.
    Attached,
    /// It was not asked for.
    Off,
    /// Another way is taken to the same end.
    Standby {
        /// Why, one line.
        reason: String,
    },
    /// This build or this kernel cannot have it.
    Unsupported {
        /// Why, one line.
        reason: String,
        /// What to do about it, one sentence.
        remedy: String,
    },
    /// It should work here, and did not.
    Failed {
        /// Why: the errors from the outermost to the innermost, one line.
        reason: String,
        /// What to do about it, one sentence.
        remedy: String,
    },
}

/// Why all programs, or one, do not run.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    #[error("this binary was built without the eBPF object")]
    NoObject,
    #[error("the eBPF object has no program {program}")]
    NoProgram { program: &'static str },
    #[error(transparent)]
    Btf(BtfError),
    #[error("failed to parse the kernel's BTF")]
    KernelBtf(#[source] aya::BtfError),
    #[error(transparent)]
    Kernel(Unsupported),
    #[error("failed to load the eBPF object")]
    Object(#[source] Box<EbpfError>),
    #[error("failed to load or attach the program")]
    Program(#[source] Box<ProgramError>),
    #[error(transparent)]
    Maps(MapsError),
}

// === impl ProbeReport ===

impl ProbeReport {
    pub(super) fn new(program: &Program, state: State) -> Self {
        Self { probe: program.probe, program: program.name, mode: program.mode, hook: program.tracepoint, state }
    }

    /// Its hook as users see it.
    pub fn hook(&self) -> String {
        format!("tp_btf/{}", self.hook)
    }
}

// === impl State ===

impl State {
    /// One word: `attached`, `off`, `standby`, `unsupported`, `failed`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Attached => "attached",
            Self::Off => "off",
            Self::Standby { .. } => "standby",
            Self::Unsupported { .. } => "unsupported",
            Self::Failed { .. } => "failed",
        }
    }

    /// Why it does not run; empty when it does or was not asked for.
    pub fn reason(&self) -> &str {
        match self {
            Self::Unsupported { reason, .. } | Self::Failed { reason, .. } | Self::Standby { reason } => reason,
            Self::Attached | Self::Off => "",
        }
    }

    /// What to do about it; empty when there is nothing to do.
    pub fn remedy(&self) -> &str {
        match self {
            Self::Unsupported { remedy, .. } | Self::Failed { remedy, .. } => remedy,
            Self::Attached | Self::Off | Self::Standby { .. } => "",
        }
    }
}

// === impl Failure ===

impl Failure {
    /// The state of the programs that it stops.
    pub(super) fn state(&self) -> State {
        let reason = shorten(chain(self));
        let unsupported = |remedy: &str| State::Unsupported { reason: reason.clone(), remedy: remedy.to_owned() };
        match self {
            Self::NoObject => {
                unsupported("Build it with `make build`, which builds the eBPF object first (`make ebpf`).")
            }
            Self::NoProgram { .. } => unsupported("Build the eBPF object again from the same sources: `make ebpf`."),
            Self::Btf(BtfError::Read { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                unsupported("Use a kernel built with CONFIG_DEBUG_INFO_BTF=y, and mount /sys.")
            }
            Self::Kernel(Unsupported::Btf(
                BtfError::NoTracepoint { .. } | BtfError::NoStruct { .. } | BtfError::NoMember { .. },
            )) => unsupported(
                "Use kernel 5.15 or later with CONFIG_CGROUPS=y; what the other probes measure is not affected.",
            ),
            Self::Kernel(Unsupported::TaskStorage { .. }) => {
                unsupported("Use kernel 6.4 or later for this probe; what the other probes measure is not affected.")
            }
            Self::Kernel(_) => {
                unsupported("Report this kernel's version; what the other probes measure is not affected.")
            }
            Self::Btf(_) | Self::KernelBtf(_) | Self::Object(_) | Self::Program(_) | Self::Maps(_) => {
                State::Failed { remedy: remedy(self), reason }
            }
        }
    }
}

/// The errors from the outermost to the innermost in one line. A cause that its parent's text ends with is not said twice.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        if !text.ends_with(&cause_text) {
            let _ = write!(text, ": {cause_text}");
        }
        next = cause.source();
    }
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Most characters of a reason, and how many of them are its end: the verifier's log may have megabytes, and its last lines say what it is about.
const REASON_MAX: usize = 1200;
const REASON_TAIL: usize = 900;

/// A reason without its middle, if it is long.
fn shorten(reason: String) -> String {
    let count = reason.chars().count();
    if count <= REASON_MAX {
        return reason;
    }
    let head: String = reason.chars().take(REASON_MAX - REASON_TAIL - 5).collect();
    let tail: String = reason.chars().skip(count - REASON_TAIL).collect();
    format!("{head} ... {tail}")
}

fn remedy(failure: &Failure) -> String {
    let code = os_error(failure);
    let lockdown = std::fs::read_to_string(LOCKDOWN).unwrap_or_default();
    let missing = capabilities::read().map(|held| {
        let lacks = |capability: &Capability| !held.effective.contains(*capability);
        [Capability::BPF, Capability::PERFMON].into_iter().filter(lacks).map(Capability::name).collect::<Vec<_>>()
    });
    remedy_for(code, &lockdown, &missing.unwrap_or_default())
}

/// A sentence for an errno, the kernel's lockdown line and the capabilities that are missing.
fn remedy_for(code: Option<i32>, lockdown: &str, missing: &[&str]) -> String {
    let denied = matches!(code, Some(libc::EPERM | libc::EACCES));
    if denied && !missing.is_empty() {
        return format!(
            "Add the capabilities {} to the container's securityContext (or run as root).",
            missing.join(" and ")
        );
    }
    if denied && lockdown.contains("[confidentiality]") {
        return "The kernel is locked down (confidentiality): boot with lockdown=integrity or without lockdown."
            .to_owned();
    }
    match code {
        Some(libc::EPERM) => "Both capabilities are held, so a seccomp profile, a security module or a user namespace forbids bpf(2): use seccompProfile RuntimeDefault and hostUsers.".to_owned(),
        Some(libc::ENOSYS) => "Use a kernel built with CONFIG_BPF_SYSCALL=y.".to_owned(),
        Some(libc::ENOMEM) => "Raise the container's memory limit: the maps need about 16 MiB of kernel memory.".to_owned(),
        _ => "Report the reason together with the kernel's version; what the other probes measure is not affected.".to_owned(),
    }
}

/// The errno at the end of the chain.
fn os_error(error: &(dyn std::error::Error + 'static)) -> Option<i32> {
    let mut next = Some(error);
    while let Some(error) = next {
        let io = error.downcast_ref::<io::Error>().and_then(io::Error::raw_os_error);
        // aya keeps the verdict of BPF_PROG_LOAD and BPF_BTF_LOAD in a field instead of in the chain.
        let program = error
            .downcast_ref::<Box<ProgramError>>()
            .map(AsRef::as_ref)
            .or_else(|| error.downcast_ref::<ProgramError>());
        let load = match program {
            Some(ProgramError::LoadError { io_error, .. }) => io_error.raw_os_error(),
            _ => None,
        };
        let map = match error.downcast_ref::<MapError>() {
            Some(MapError::CreateError { io_error, .. }) => io_error.raw_os_error(),
            _ => None,
        };
        if let Some(code) = io.or(load).or(map) {
            return Some(code);
        }
        next = error.source();
    }
    None
}

// === the table of --check ===

/// The report as an aligned table, one line per program, wide enough for nothing to be cut.
pub fn table(report: &[ProbeReport]) -> String {
    let head = ["PROBE", "PROGRAM", "KERNEL HOOK", "STATE", "REASON", "REMEDY"];
    let rows: Vec<[String; 6]> = std::iter::once(head.map(str::to_owned))
        .chain(report.iter().map(|row| {
            let probe =
                if row.mode == "tp_btf" { row.probe.to_owned() } else { format!("{} ({})", row.probe, row.mode) };
            let dash = |text: &str| if text.is_empty() { "-".to_owned() } else { text.to_owned() };
            [
                probe,
                row.program.to_owned(),
                row.hook(),
                row.state.name().to_owned(),
                dash(row.state.reason()),
                dash(row.state.remedy()),
            ]
        }))
        .collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    let mut table = String::new();
    for row in rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            let _ = write!(line, "{cell:width$}  ");
        }
        table.push_str(line.trim_end());
        table.push('\n');
    }
    table
}

#[cfg(test)]
#[path = "report/tests.rs"]
mod tests;
