//! Capabilities of this process: what it holds, and giving up what is no longer needed.
//!
//! Loading and attaching takes `CAP_BPF` and `CAP_PERFMON`; reading and writing maps through open descriptors takes none since kernel
//! 5.19. Before, `kernel.unprivileged_bpf_disabled` (on in every distribution) forbids all of bpf(2) to a process without `CAP_BPF`
//! (kernel/bpf/syscall.c `__sys_bpf`). So [`drop_all`] tries it out on a thread of its own first, and keeps them where it must.

use std::io;

/// A capability's number (include/uapi/linux/capability.h).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capability(u8);

/// A set of capabilities, as a mask.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Set(pub u64);

/// The sets of the calling process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Held {
    /// What it may do now.
    pub effective: Set,
    /// What it may take up.
    pub permitted: Set,
    /// What it may gain by exec at most.
    pub bounding: Set,
}

/// What [`drop_all`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dropped {
    /// The calling thread has none left.
    All,
    /// This kernel lets nobody read maps without them, so they were kept.
    Kept,
}

/// Why the sets cannot be read or changed.
#[derive(Debug, thiserror::Error)]
pub enum CapabilityError {
    /// `/proc/thread-self/status` cannot be read.
    #[error("failed to read /proc/thread-self/status")]
    Status(#[source] io::Error),
    /// It does not have the line, or not a mask in it.
    #[error("failed to parse {line} of /proc/thread-self/status")]
    Line {
        /// Which line.
        line: &'static str,
    },
    /// The kernel refused the new set.
    #[error("failed to set the thread's capabilities")]
    Set(#[source] io::Error),
}

impl Capability {
    /// To load programs and make maps.
    pub const BPF: Self = Self(39);
    /// To attach to tracepoints and read kernel memory.
    pub const PERFMON: Self = Self(38);
    /// Stands for both of the above.
    const SYS_ADMIN: Self = Self(21);

    /// Its name as Kubernetes writes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::BPF => "BPF",
            Self::PERFMON => "PERFMON",
            Self::SYS_ADMIN => "SYS_ADMIN",
            Self(_) => "unknown",
        }
    }
}

impl Set {
    /// Whether the kernel would grant it: by itself, or by `SYS_ADMIN`, which the newer ones were split from.
    pub fn contains(self, capability: Capability) -> bool {
        self.0 & (1 << capability.0 | 1 << Capability::SYS_ADMIN.0) != 0
    }
}

/// The calling thread's sets.
pub fn read() -> Result<Held, CapabilityError> {
    parse(&std::fs::read_to_string("/proc/thread-self/status").map_err(CapabilityError::Status)?)
}

fn parse(status: &str) -> Result<Held, CapabilityError> {
    let set = |line: &'static str| {
        let mask = status.lines().find_map(|found| found.strip_prefix(line)?.strip_prefix(':'));
        mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).map(Set).ok_or(CapabilityError::Line { line })
    };
    Ok(Held { effective: set("CapEff")?, permitted: set("CapPrm")?, bounding: set("CapBnd")? })
}

/// Gives up every capability of the calling thread when `works`, called on another thread without any, says that the maps can still be
/// read. Threads that exist already keep theirs: call it before the runtime starts its own. There is no way back.
pub fn drop_all(works: impl FnOnce() -> bool + Send) -> Result<Dropped, CapabilityError> {
    let tried = std::thread::scope(|scope| {
        let trial = scope.spawn(|| set_none().map(|()| works()));
        trial.join().unwrap_or(Ok(false))
    })?;
    if !tried {
        return Ok(Dropped::Kept);
    }
    set_none()?;
    Ok(Dropped::All)
}

/// `struct __user_cap_header_struct` of include/uapi/linux/capability.h.
#[repr(C)]
struct Header {
    version: u32,
    pid: i32,
}

/// `struct __user_cap_data_struct`, one for each half of the masks.
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Data {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

/// `_LINUX_CAPABILITY_VERSION_3`: masks of 64 bits.
const VERSION: u32 = 0x2008_0522;

/// Empties the calling thread's effective, permitted and inheritable sets, and with the permitted the ambient one.
fn set_none() -> Result<(), CapabilityError> {
    let header = Header { version: VERSION, pid: 0 };
    let data = [Data::default(); 2];
    // SAFETY: both pointers are of the structures that capset(2) reads for this version, and live across the call.
    let result = unsafe { libc::syscall(libc::SYS_capset, &raw const header, data.as_ptr()) };
    if result == 0 { Ok(()) } else { Err(CapabilityError::Set(io::Error::last_os_error())) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sets_are_taken_from_status() {
        let status = "Name:\tx\nCapPrm:\t000000c000000000\nCapEff:\t0000004000000000\nCapBnd:\t000001ffffffffff\n";
        let held = parse(status).unwrap();
        assert_eq!(held, Held { effective: Set(1 << 38), permitted: Set(3 << 38), bounding: Set(0x1ff_ffff_ffff) });
        assert!(held.effective.contains(Capability::PERFMON) && !held.effective.contains(Capability::BPF));
        assert!(Set(1 << 21).contains(Capability::BPF), "SYS_ADMIN stands for it");
    }

    #[test]
    fn a_status_without_the_lines_is_an_error_that_names_the_line() {
        assert_eq!(
            parse("CapEff:\tzz\n").unwrap_err().to_string(),
            "failed to parse CapEff of /proc/thread-self/status"
        );
        assert_eq!(
            parse("CapEff:\t0\nCapPrm:\t0\n").unwrap_err().to_string(),
            "failed to parse CapBnd of /proc/thread-self/status"
        );
    }

    #[test]
    fn a_thread_without_capabilities_has_none_and_the_others_keep_theirs() {
        let before = read().unwrap();
        let inside = std::thread::spawn(|| {
            assert_eq!(drop_all(|| read().unwrap().effective == Set(0)).unwrap(), Dropped::All);
            read().unwrap()
        });
        let inside = inside.join().unwrap();
        assert_eq!((inside.effective, inside.permitted), (Set(0), Set(0)));
        assert_eq!(read().unwrap(), before);
    }

    #[test]
    fn they_are_kept_when_the_trial_fails() {
        let before = read().unwrap();
        assert_eq!(drop_all(|| false).unwrap(), Dropped::Kept);
        assert_eq!(read().unwrap(), before);
    }
}
