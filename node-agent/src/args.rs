//! The command line and the environment of the node agent.
//!
//! Every option has a variable, so that a DaemonSet can set it without touching the command. [`Args`] is taken apart by
//! name where it is used (`run`), so that an option that nobody reads does not compile.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::{PossibleValuesParser, TypedValueParser as _};
use clap::{ArgAction, Parser, ValueEnum};
use fleetscope_core::resources::names::namespace as namespace_name;
use fleetscope_ebpf::{FRAMES_BYTES, RING_BYTES};

/// Smallest ring buffer: one page of the largest page size that Linux uses (64 KiB), as its size is a multiple of a page.
const RING_BYTES_MIN: u32 = 64 << 10;
/// Largest ring buffer. The kernel maps it twice; more than this is a typing error.
const RING_BYTES_MAX: u32 = 1 << 30;

/// How log lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people, in colour when standard error is a terminal.
    Text,
    /// One JSON object per line, for log collectors.
    Json,
}

/// How calls of gRPC are seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum GrpcMode {
    /// By sockets where the kernel can, else by syscalls.
    Auto,
    /// Behind each send and receive of a socket.
    Sockets,
    /// At the end of each system call.
    Syscalls,
    /// Not at all.
    Off,
}

/// Measures the tasks and the gRPC calls of this node's agents in the kernel and serves them to Prometheus.
///
/// Runs on every node as a DaemonSet. It loads eBPF programs (capabilities BPF and PERFMON), watches this node's pods and
/// the `AgentFleet` objects, and answers at /metrics, /healthz, /readyz, /info, /agents, /api/v1/tasks and /api/v1/grpc.
#[derive(Clone, Debug, Parser)]
#[command(
    name = "fleetscope-node-agent",
    version,
    max_term_width = 110,
    after_help = "\
Examples:
  fleetscope-node-agent --check             can this machine do it? one line per probe, and what to do about it
  fleetscope-node-agent --standalone        without Kubernetes: tasks per systemd unit and container
  curl localhost:10980/readyz               is it ready, and if not, why"
)]
#[expect(clippy::struct_excessive_bools, reason = "each is an option of its own")]
pub struct Args {
    /// Name of the Kubernetes node that the agent runs on; only pods of this node are watched. Required unless --standalone
    /// or --check. In a pod: fieldRef spec.nodeName.
    #[arg(long, env = "NODE_NAME", value_name = "NAME")]
    pub node_name: Option<String>,

    /// Namespace whose fleets and pods are watched; repeat it, or separate by commas in the variable. Without one, all of them.
    #[arg(long = "namespace", env = "FLEETSCOPE_NAMESPACES", value_name = "NAME", value_delimiter = ',', value_parser = namespace_name)]
    pub namespaces: Vec<String>,

    /// UID of the agent's own pod, one of the ways to find this node's pods among the cgroups. In a pod: fieldRef metadata.uid.
    #[arg(long, env = "POD_UID", value_name = "UID")]
    pub pod_uid: Option<String>,

    /// Address and port of the HTTP server. `[::]` takes IPv4, too, and IPv4 alone where there is no IPv6. Port 0 takes a free one, which
    /// the log names.
    #[arg(long, env = "FLEETSCOPE_LISTEN", value_name = "ADDRESS", default_value = "[::]:10980")]
    pub listen: SocketAddr,

    /// How log lines are written.
    #[arg(long, env = "FLEETSCOPE_LOG_FORMAT", value_name = "FORMAT", default_value = "text")]
    pub log_format: LogFormat,

    /// What is logged: error, warn, info, debug, trace, or a filter such as `info,fleetscope_node_agent::pods=debug`.
    #[arg(long, env = "FLEETSCOPE_LOG_LEVEL", value_name = "FILTER", default_value = "info")]
    pub log_level: String,

    /// Where the host's cgroups are: a cgroup2 mount, or the folder of a hybrid machine that holds `unified` and the version 1
    /// controllers. Default: /host/sys/fs/cgroup if it exists, else /sys/fs/cgroup.
    #[arg(long, env = "FLEETSCOPE_CGROUP_ROOT", value_name = "FOLDER")]
    pub cgroup_root: Option<PathBuf>,

    /// Where the host's /proc is; it is only read. Default: /host/proc if it exists, else /proc.
    #[arg(long, env = "FLEETSCOPE_PROC_ROOT", value_name = "FOLDER")]
    pub proc_root: Option<PathBuf>,

    /// The cgroup above this node's pods, inside the cgroup2 tree, for example /kubepods.slice. Default: found by the agent's
    /// own cgroup.
    #[arg(long, env = "FLEETSCOPE_POD_ROOT", value_name = "PATH")]
    pub pod_root: Option<String>,

    /// Runs without Kubernetes: every systemd unit and container of this machine is observed under its own name.
    #[arg(long, env = "FLEETSCOPE_STANDALONE")]
    pub standalone: bool,

    /// Loads and attaches every probe, prints a table with the state of each and what to do about it, and exits: 0 if all
    /// that are required are attached, else 1.
    #[arg(long)]
    pub check: bool,

    /// Measures how long runnable threads wait for a processor. Costs some 150 ns per context switch in observed containers.
    #[arg(long, env = "FLEETSCOPE_RUNQUEUE", value_name = "BOOL", default_value = "true", action = ArgAction::Set,
        value_parser = PossibleValuesParser::new(["true", "false"]).map(|v| v == "true"))]
    pub runqueue: bool,

    /// How calls of gRPC are seen: `auto`; `sockets`, behind each send and receive (kernel 6.3 and later); `syscalls`, at the end of each
    /// system call, which costs every system call of the machine some 50 ns; or `off`.
    #[arg(long, env = "FLEETSCOPE_GRPC", value_name = "MODE", default_value = "auto")]
    pub grpc: GrpcMode,

    /// A folder on a bpffs, for example /sys/fs/bpf/fleetscope, in which the probes for calls stay when this agent ends, so that the one that comes
    /// after it still knows the names on open connections (mode sockets only). The folder is made if its parent is there. Default: none, and names are
    /// unknown after a restart until peers send them again.
    #[arg(long, env = "FLEETSCOPE_PERSIST", value_name = "FOLDER")]
    pub persist: Option<PathBuf>,

    /// Removes all that agents left in the folder of --persist, and exits. Without it what is left does nothing from 2 minutes after the last agent on,
    /// and goes with a restart of the machine.
    #[arg(long, requires = "persist")]
    pub unpin: bool,

    /// Size of the kernel's ring buffer for calls in bytes: a power of two from 65536 to 1073741824. 4 MiB hold 70 ms of 100,000 calls a
    /// second; frames that it has no room for are lost, and the calls that they belong to are counted as lost.
    #[arg(long, env = "FLEETSCOPE_GRPC_RING_BYTES", value_name = "BYTES", default_value_t = FRAMES_BYTES, value_parser = ring_bytes)]
    pub grpc_ring_bytes: u32,

    /// Size of the kernel's ring buffer in bytes: a power of two from 65536 to 1073741824. It holds about 8,000 executions
    /// per MiB; what it has no room for takes a slower way and loses its arguments.
    #[arg(long, env = "FLEETSCOPE_RING_BYTES", value_name = "BYTES", default_value_t = RING_BYTES, value_parser = ring_bytes)]
    pub ring_bytes: u32,

    /// How long the series of a pod that is gone are still served, so that Prometheus sees their last values: 1s to 24h.
    #[arg(long, env = "FLEETSCOPE_SERIES_GRACE", value_name = "DURATION", default_value = "5m", value_parser = grace)]
    pub series_grace: Duration,

    /// How long records wait for the pod that they belong to; then they count under `_OTHER`: 1s to 10m.
    #[arg(long, env = "FLEETSCOPE_PENDING_TIMEOUT", value_name = "DURATION", default_value = "30s", value_parser = pending)]
    pub pending_timeout: Duration,

    /// Most series that are held. What is beyond counts under `_OTHER`, and in `fleetscope_series_dropped_total`.
    #[arg(long, env = "FLEETSCOPE_MAX_SERIES", value_name = "COUNT", default_value_t = 200_000,
        value_parser = clap::value_parser!(u32).range(1_000..=10_000_000))]
    pub max_series: u32,

    /// Most series of one metric in one fleet.
    #[arg(long, env = "FLEETSCOPE_MAX_SERIES_PER_FLEET", value_name = "COUNT", default_value_t = 2_000,
        value_parser = clap::value_parser!(u32).range(10..=1_000_000))]
    pub max_series_per_fleet: u32,

    /// Keeps the capabilities after the probes are attached. Default: they are dropped where the kernel then still lets maps
    /// be read (5.19 and later).
    #[arg(long, env = "FLEETSCOPE_KEEP_CAPABILITIES")]
    pub keep_capabilities: bool,
}

fn ring_bytes(text: &str) -> Result<u32, String> {
    let bytes: u32 = text.parse().map_err(|_| format!("`{text}` is not a number of bytes"))?;
    if bytes.is_power_of_two() && (RING_BYTES_MIN..=RING_BYTES_MAX).contains(&bytes) {
        Ok(bytes)
    } else {
        Err(format!("must be a power of two from {RING_BYTES_MIN} to {RING_BYTES_MAX}, for example {RING_BYTES}"))
    }
}

fn grace(text: &str) -> Result<Duration, String> {
    duration(text, Duration::from_secs(1), Duration::from_hours(24))
}

fn pending(text: &str) -> Result<Duration, String> {
    duration(text, Duration::from_secs(1), Duration::from_mins(10))
}

/// Parses `500ms`, `30s`, `5m` or `1h`, one unit, within `least..=most`.
fn duration(text: &str, least: Duration, most: Duration) -> Result<Duration, String> {
    let wrong = || format!("`{text}` is not a duration: write 500ms, 30s, 5m or 1h");
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().map_err(|_| wrong())?;
    let millis = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return Err(wrong()),
    };
    let value = Duration::from_millis(number.checked_mul(millis).ok_or_else(wrong)?);
    if (least..=most).contains(&value) { Ok(value) } else { Err(format!("must be from {least:?} to {most:?}")) }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn command_line_is_consistent() {
        Args::command().debug_assert();
    }

    #[test]
    fn every_option_but_check_has_a_variable() {
        for arg in Args::command().get_arguments() {
            let name = arg.get_id().as_str();
            assert!(arg.get_env().is_some() || ["check", "help", "unpin", "version"].contains(&name), "{name}");
        }
    }

    #[test]
    fn durations_take_one_unit_and_are_bounded() {
        assert_eq!(pending("30s"), Ok(Duration::from_secs(30)));
        assert_eq!(pending("1500ms"), Ok(Duration::from_millis(1500)));
        assert_eq!(grace("5m"), Ok(Duration::from_mins(5)));
        assert_eq!(grace("24h"), Ok(Duration::from_hours(24)));
        for wrong in
            ["", "5", "s", "-5s", "5 s", "1h30m", "0s", "25h", "99999999999999999999s", "18446744073709551615h"]
        {
            assert!(grace(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn ring_bytes_are_a_power_of_two_within_bounds() {
        assert_eq!(ring_bytes("4194304"), Ok(4 << 20));
        for wrong in ["0", "4096", "65537", "2147483648", "99999999999", "4MiB", ""] {
            assert!(ring_bytes(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn runqueue_takes_true_and_false_only() {
        let parse = |v: &str| Args::try_parse_from(["fleetscope-node-agent", "--runqueue", v]);
        assert!(parse("true").expect("valid").runqueue);
        assert!(!parse("false").expect("valid").runqueue);
        assert!(parse("yes").is_err());
    }
}
