//! The one table of metrics: exporter, docs, tests and the CLI read names, types, help and labels here and nowhere else.
//!
//! Names follow Prometheus' conventions (base units, `_total` on counters); labels are bounded: enums, names from rules
//! under a cap, or the identity labels. No process id, argument, user or session is ever a label.

use serde::{Deserialize, Serialize};

pub mod telemetry;

/// Labels of identity that every series of a fleet carries before its own, in this order.
pub const IDENTITY_LABELS: [&str; 5] = ["namespace", "fleet", "pod", "container", "workload"];

/// Stands for what has no name of its own: beyond a cap, or not known.
pub const OTHER: &str = "_OTHER";

/// Labels whose values the observed programs choose. All others have a set of values that is known beforehand, so they stay
/// true when a cap folds series together.
pub const OPEN_LABELS: [&str; 4] = ["group", "image", "rpc_method", "task"];

/// Value of the label `rpc_system_name`: what the kernel's records are decoded as.
pub const RPC_SYSTEM: &str = "grpc";

/// Where the series come from that a rule or a query reads.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// The node agents, out of the kernel and the Kubernetes API, without the agents' help.
    Kernel,
    /// The agents' own telemetry, by OTLP. Nothing is received of it in this version, so there are no such series yet.
    Telemetry,
    /// The agents' own `/metrics`, where they have some and it is scraped; and what Prometheus says of its targets.
    Scrape,
    /// Fleetscope's components, about themselves; and what Prometheus says of its alerts.
    #[serde(rename = "self")]
    Fleetscope,
}

/// What a metric is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Constant 1; the labels carry the information.
    Info,
    /// Counts of observations by upper bound, with their sum. The bounds are in the metric's unit, without `+Inf`.
    Histogram(&'static [f64]),
}

// === impl Source ===

impl Source {
    /// As it stands in the documentation.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Kernel => "kernel",
            Self::Telemetry => "telemetry",
            Self::Scrape => "scrape",
            Self::Fleetscope => "Fleetscope",
        }
    }
}

/// Whom a metric's series belong to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// A container of a fleet: carries [`IDENTITY_LABELS`], is filtered by `/metrics?namespace=..&fleet=..`.
    Fleet,
    /// The node agent itself.
    NodeAgent,
    /// The operator itself.
    Operator,
}

/// One metric.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Metric {
    /// Its name as exposed in text format 0.0.4, with unit and `_total`.
    pub name: &'static str,
    /// What it is.
    pub kind: Kind,
    /// Whom its series belong to.
    pub scope: Scope,
    /// Unit as in OpenMetrics' `# UNIT` line, empty if it has none.
    pub unit: &'static str,
    /// One sentence.
    pub help: &'static str,
    /// Its own labels, after those of identity, sorted. Those of [`OPEN_LABELS`] give way first when a cap is reached.
    pub labels: &'static [&'static str],
    /// Its place in [`ALL`].
    pub(crate) index: usize,
}

/// Bounds of [`TASK_DURATION`]: tasks run from milliseconds to hours.
pub const TASK_BOUNDS: [f64; 14] =
    [0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 7200.0];
/// Bounds of [`RUNQUEUE_LATENCY`]: 1 us to about 4 s, each four times the one before; the last is a power of four like the others.
pub const RUNQUEUE_BOUNDS: [f64; 12] = [
    0.000_001, 0.000_004, 0.000_016, 0.000_064, 0.000_256, 0.001_024, 0.004_096, 0.016_384, 0.065_536, 0.262_144,
    1.048_576, 4.194_304,
];
/// Bounds of durations of calls: those that OpenTelemetry's semantic conventions advise, with some below for what stays in a
/// node and some above for streams.
pub const RPC_BOUNDS: [f64; 20] = [
    0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, 30.0,
    60.0, 300.0,
];
/// Bounds of durations of our own work.
pub const SELF_BOUNDS: [f64; 12] = [0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0];

macro_rules! metrics {
    ($($(#[$doc:meta])* $id:ident = $kind:expr, $scope:ident, $name:literal, $unit:literal, [$($label:literal),*], $help:literal;)*) => {
        #[expect(non_camel_case_types, clippy::upper_case_acronyms, reason = "these variants only number the constants below")]
        enum Index { $($id),* }
        $($(#[$doc])* pub const $id: Metric = Metric {
            name: $name, kind: $kind, scope: Scope::$scope, unit: $unit, help: $help, labels: &[$($label),*],
            index: Index::$id as usize,
        };)*
        /// All of them, in the order of the documentation.
        pub const ALL: &[&Metric] = &[$(&$id),*];
    };
}

use Kind::{Counter, Gauge, Histogram, Info};

metrics! {
    /// Task durations.
    TASK_DURATION = Histogram(&TASK_BOUNDS), Fleet, "fleetscope_task_duration_seconds", "seconds", ["group", "result", "task"],
        "Wall time of finished tasks, from the start of the process to the exit of its last thread.";
    /// Finished tasks.
    TASKS = Counter, Fleet, "fleetscope_tasks_total", "", ["exit", "group", "result", "task"],
        "Finished tasks by result and by how the process ended.";
    /// Running tasks.
    TASKS_RUNNING = Gauge, Fleet, "fleetscope_tasks_running", "", ["group", "task"],
        "Tasks that run now, those that started before the node agent included.";
    /// Run-queue waits.
    RUNQUEUE_LATENCY = Histogram(&RUNQUEUE_BOUNDS), Fleet, "fleetscope_runqueue_latency_seconds", "seconds", [],
        "How long runnable threads waited for a processor.";
    /// Durations of calls that came in. Name and labels are those of OpenTelemetry's semantic conventions for RPC.
    RPC_SERVER_DURATION = Histogram(&RPC_BOUNDS), Fleet, "rpc_server_call_duration_seconds", "seconds", ["error_type", "rpc_method", "rpc_status_code", "rpc_system_name"],
        "Duration of finished gRPC calls that the container served, from the first byte of the request to the end of the call, streams included; error_type is empty for calls that did not fail.";
    /// Durations of calls that went out. Name and labels are those of OpenTelemetry's semantic conventions for RPC.
    RPC_CLIENT_DURATION = Histogram(&RPC_BOUNDS), Fleet, "rpc_client_call_duration_seconds", "seconds", ["error_type", "rpc_method", "rpc_status_code", "rpc_system_name"],
        "Duration of finished gRPC calls that the container made, from the first byte of the request to the end of the call, streams included; error_type is empty for calls that did not fail.";
    /// Calls that are not over.
    RPC_IN_FLIGHT = Gauge, Fleet, "fleetscope_rpc_calls_in_flight", "", ["role", "rpc_method"],
        "Calls of gRPC whose request was seen and that are not over yet, by role (client, server).";
    /// Time to the first response.
    RPC_FIRST_RESPONSE = Histogram(&RPC_BOUNDS), Fleet, "fleetscope_rpc_first_response_seconds", "seconds", ["role", "rpc_method"],
        "Time from the first byte of a gRPC request to the first response headers, of every call that had some, by role (client, server).";
    /// Agents by status; pod and container are empty.
    AGENTS = Gauge, Fleet, "fleetscope_agents", "", ["status"],
        "Agents (pods) of the fleet on this node by status: discovered, running, stopped, failed.";
    /// Container starts.
    AGENT_STARTS = Counter, Fleet, "fleetscope_agent_starts_total", "", ["result"],
        "Starts of agent containers, by result (success, failure).";
    /// Container stops.
    AGENT_STOPS = Counter, Fleet, "fleetscope_agent_stops_total", "", ["result"],
        "Ends of agent containers, by result (success, failure).";
    /// Container restarts.
    AGENT_RESTARTS = Counter, Fleet, "fleetscope_agent_restarts_total", "", [],
        "Restarts of agent containers by the kubelet.";
    /// Container failures.
    AGENT_FAILURES = Counter, Fleet, "fleetscope_agent_failures_total", "", ["reason"],
        "Failures of agent containers by reason: oom, exit_code, signal, port_conflict, image, probe, other.";
    /// What an agent is.
    AGENT_INFO = Info, Fleet, "fleetscope_agent_info", "", ["image", "node"],
        "The agent's image and node.";
    /// CPU time.
    AGENT_CPU = Counter, Fleet, "fleetscope_agent_cpu_seconds_total", "seconds", [],
        "CPU time that the container used.";
    /// Memory.
    AGENT_MEMORY = Gauge, Fleet, "fleetscope_agent_memory_bytes", "bytes", [],
        "Memory that the container uses without inactive file cache (working set).";
    /// Threads.
    AGENT_THREADS = Gauge, Fleet, "fleetscope_agent_threads", "", [],
        "Threads in the container.";
    /// Processes.
    AGENT_PROCESSES = Gauge, Fleet, "fleetscope_agent_processes", "", [],
        "Processes in the container.";
    /// File descriptors.
    AGENT_OPEN_FDS = Gauge, Fleet, "fleetscope_agent_open_fds", "", [],
        "Open file descriptors of the container's processes (kernel 6.2 and later).";
    /// Listening sockets.
    AGENT_LISTENING_SOCKETS = Gauge, Fleet, "fleetscope_agent_listening_sockets", "", [],
        "Listening TCP sockets of the container's pod.";
    /// Uptime.
    AGENT_UPTIME = Gauge, Fleet, "fleetscope_agent_uptime_seconds", "seconds", [],
        "Time since the container started.";

    /// Version of the node agent or the operator.
    BUILD_INFO = Info, NodeAgent, "fleetscope_build_info", "", ["component", "version"],
        "Version of this Fleetscope component.";
    /// State of every probe.
    PROBE_INFO = Info, NodeAgent, "fleetscope_probe_info", "", ["mode", "probe", "reason", "state"],
        "State of each probe: attached, off, unsupported or failed, with the reason.";
    /// Losses.
    EVENTS_LOST = Counter, NodeAgent, "fleetscope_events_lost_total", "", ["reason"],
        "Kernel events that could not be used in full, by reason; those that were only deferred are not among them.";
    /// Records that took the detour.
    EVENTS_DEFERRED = Counter, NodeAgent, "fleetscope_events_deferred_total", "", ["kind"],
        "Kernel events that the ring buffer had no room for and that arrived by the second way: an exec has no arguments then.";
    /// Events seen.
    EVENTS = Counter, NodeAgent, "fleetscope_events_total", "", ["kind"],
        "Kernel events that were read.";
    /// Series held.
    SERIES = Gauge, NodeAgent, "fleetscope_series", "", ["metric"],
        "Series that are held per metric.";
    /// Series refused.
    SERIES_DROPPED = Counter, NodeAgent, "fleetscope_series_dropped_total", "", ["metric", "reason"],
        "Observations that did not reach their own series, by reason: cap or total (counted under _OTHER instead), full, value or labels (refused).";
    /// Run time of the programs.
    BPF_RUN_TIME = Counter, NodeAgent, "fleetscope_bpf_run_time_seconds_total", "seconds", ["program"],
        "Time spent in each eBPF program; only while kernel.bpf_stats_enabled is 1.";
    /// Runs of the programs.
    BPF_RUNS = Counter, NodeAgent, "fleetscope_bpf_runs_total", "", ["program"],
        "Runs of each eBPF program; only while kernel.bpf_stats_enabled is 1.";
    /// Scrape durations.
    SCRAPE_DURATION = Histogram(&SELF_BOUNDS), NodeAgent, "fleetscope_scrape_duration_seconds", "seconds", [],
        "Time to answer a scrape of /metrics.";
    /// Requests that got less than they asked for.
    HTTP_DEGRADED = Counter, NodeAgent, "fleetscope_http_degraded_total", "", ["reason"],
        "Requests over HTTP that node agent or operator did not answer as asked, by reason: busy and slow (503), stale (older figures of containers), unread (the client did not take the answer in time), evicted and evicted_idle (closed to make room for a newer connection, with a request in progress and without).";
    /// Own memory.
    SELF_MEMORY = Gauge, NodeAgent, "fleetscope_process_resident_memory_bytes", "bytes", [],
        "Resident memory of the node agent.";
    /// Own CPU.
    SELF_CPU = Counter, NodeAgent, "fleetscope_process_cpu_seconds_total", "seconds", [],
        "CPU time of the node agent.";
    /// State of the watches.
    WATCH_ERRORS = Counter, NodeAgent, "fleetscope_watch_errors_total", "", ["kind"],
        "Errors of the watches of the Kubernetes API, by kind of object.";
    /// Calls by how far they came.
    RPC_CALLS = Counter, NodeAgent, "fleetscope_rpc_calls_total", "", ["event"],
        "Calls of gRPC on this node that were seen to start (started) and to end (finished), those of containers outside of fleets included.";
    /// Calls without a method.
    RPC_UNNAMED = Counter, NodeAgent, "fleetscope_rpc_unnamed_calls_total", "", ["reason"],
        "Finished gRPC calls whose method cannot be known, by reason: joined (its name was sent before the agent came), gap, undecodable, invalid.";
    /// Calls without a status.
    RPC_UNKNOWN_STATUS = Counter, NodeAgent, "fleetscope_rpc_unknown_status_calls_total", "", [],
        "Finished gRPC calls whose status cannot be known; they have the status _OTHER.";
    /// Calls whose end cannot be known.
    RPC_LOST = Counter, NodeAgent, "fleetscope_rpc_calls_lost_total", "", ["reason"],
        "Calls of gRPC whose start or end was missed, so that they have no duration, by reason: gap, joined, desync, unreadable, undecodable, evicted, streams_full, unclassified.";
    /// Connections that are held.
    RPC_CONNECTIONS = Gauge, NodeAgent, "fleetscope_rpc_connections", "", ["state"],
        "HTTP/2 connections that are held now, by state: open (can be read), joined, desync, unreadable.";
    /// Connections that became opaque.
    RPC_CONNECTIONS_OPAQUE = Counter, NodeAgent, "fleetscope_rpc_connections_opaque_total", "", ["reason"],
        "How often a connection, or one direction of it, could not be read any more, or nothing of it ever could, by reason: tls, joined, desync, unreadable.";
    /// Forgotten state.
    RPC_EVICTIONS = Counter, NodeAgent, "fleetscope_rpc_evictions_total", "", ["kind"],
        "What was forgotten to stay within the limits of memory, by kind: connection, stream.";
    /// What no peer may send.
    RPC_FAULTS = Counter, NodeAgent, "fleetscope_rpc_faults_total", "", [],
        "Frames and header blocks that HTTP/2 does not allow or that could not be decoded.";
    /// Missing records.
    RPC_GAPS = Counter, NodeAgent, "fleetscope_rpc_gaps_total", "", [],
        "Kernel records of HTTP/2 connections before which others were missing.";
    /// Requests that are no calls.
    RPC_OTHER_REQUESTS = Counter, NodeAgent, "fleetscope_rpc_other_requests_total", "", [],
        "Requests over HTTP/2 that are not gRPC, and so in no other metric.";
    /// Memory of connections.
    RPC_STATE = Gauge, NodeAgent, "fleetscope_rpc_state_bytes", "bytes", [],
        "Memory that the state of all HTTP/2 connections takes.";
    /// Restarts of the agent.
    RPC_RESTART_INFO = Info, NodeAgent, "fleetscope_rpc_restart_info", "", ["reason", "state"],
        "How this node agent began as to gRPC: restored (goes on where another one stopped), no_checkpoint (what that one knew is lost), new, or not_persistent (what this one knows will be lost), with the reason.";
    /// Connections that were taken over.
    RPC_RESTORED_CONNECTIONS = Gauge, NodeAgent, "fleetscope_rpc_restored_connections", "", [],
        "HTTP/2 connections whose state this node agent took over from the one before it.";
    /// Tracked containers.
    CONTAINERS = Gauge, NodeAgent, "fleetscope_containers", "", ["state"],
        "Containers of this node that are known: tracked (of a fleet), ignored, pending (identity not known yet).";

    /// Reconciles of the operator.
    RECONCILES = Counter, Operator, "fleetscope_operator_reconcile_total", "", ["controller", "outcome"],
        "Reconciles by controller and outcome: ok, status_pending (done, but the status is not written yet, as too many wait), error, standby.";
    /// Their duration.
    RECONCILE_DURATION = Histogram(&SELF_BOUNDS), Operator, "fleetscope_operator_reconcile_duration_seconds", "seconds", ["controller"],
        "Time that one reconcile took.";
    /// Their lag.
    RECONCILE_LAG = Histogram(&SELF_BOUNDS), Operator, "fleetscope_operator_reconcile_lag_seconds", "seconds", ["controller"],
        "Time from the arrival of a new generation of an object to the end of its first reconcile.";
    /// Objects that wait for their next try.
    BACKOFF = Gauge, Operator, "fleetscope_operator_objects_in_backoff", "", ["controller"],
        "Objects whose last reconcile failed and that wait for their next try.";
    /// Leadership.
    LEADER = Gauge, Operator, "fleetscope_operator_leader", "", [],
        "1 while this process is the one that writes, else 0.";
    /// Writes of children.
    CHILD_APPLIES = Counter, Operator, "fleetscope_operator_child_applies_total", "", ["kind", "result"],
        "Writes of generated objects by kind and result (applied, deleted, conflict, error).";
    /// Writes of status.
    STATUS_WRITES = Counter, Operator, "fleetscope_operator_status_writes_total", "", ["result"],
        "Writes of the status of fleets by result (applied, error).";
    /// Optional kinds.
    CRD_AVAILABLE = Gauge, Operator, "fleetscope_operator_crd_available", "", ["kind"],
        "1 while the definition of an optional kind is installed and its objects are watched, else 0.";
    /// Watch errors of the operator.
    OPERATOR_WATCH_ERRORS = Counter, Operator, "fleetscope_operator_watch_errors_total", "", ["kind"],
        "Errors of the operator's watches of the Kubernetes API, by kind of object.";
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{ALL, IDENTITY_LABELS, Kind, Metric, OPEN_LABELS, RPC_CLIENT_DURATION, RPC_SERVER_DURATION, Scope};

    /// Endings that a histogram's or a summary's series have.
    const RESERVED_ENDINGS: [&str; 4] = ["_bucket", "_count", "_sum", "_created"];
    /// Those of OpenTelemetry's semantic conventions, which keep the names that they have there.
    const OF_CONVENTIONS: [Metric; 2] = [RPC_CLIENT_DURATION, RPC_SERVER_DURATION];
    /// Labels that mean something else to Prometheus, or that it adds.
    const RESERVED_LABELS: [&str; 6] = ["instance", "job", "le", "quantile", "endpoint", "prometheus"];

    fn is_snake_case(name: &str) -> bool {
        name.starts_with(|first: char| first.is_ascii_lowercase())
            && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
            && !name.contains("__")
            && !name.ends_with('_')
    }

    #[test]
    fn names_follow_the_conventions_of_prometheus() {
        for metric in ALL {
            let name = metric.name;
            let ours = name.starts_with("fleetscope_");
            assert!(is_snake_case(name) && (ours || OF_CONVENTIONS.contains(metric)), "{name}");
            assert_eq!(metric.kind == Kind::Counter, name.ends_with("_total"), "{name}");
            assert_eq!(metric.kind == Kind::Info, name.ends_with("_info"), "{name}");
            assert!(!RESERVED_ENDINGS.iter().any(|ending| name.ends_with(ending)), "{name}");
            let family = name.strip_suffix("_total").unwrap_or(name);
            assert!(
                metric.unit.is_empty() || family.ends_with(&format!("_{}", metric.unit)),
                "{name}: {}",
                metric.unit
            );
            let units = ["seconds", "bytes"].into_iter().filter(|unit| family.ends_with(&format!("_{unit}")));
            assert!(units.into_iter().all(|unit| unit == metric.unit), "{name} has a unit that it does not say");
        }
    }

    #[test]
    fn no_two_series_names_are_the_same() {
        let mut names = BTreeSet::new();
        for metric in ALL {
            let endings: &[&str] =
                if matches!(metric.kind, Kind::Histogram(_)) { &["", "_bucket", "_count", "_sum"] } else { &[""] };
            for ending in endings {
                assert!(names.insert(format!("{}{ending}", metric.name)), "{}{ending}", metric.name);
            }
        }
        let families: BTreeSet<&str> =
            ALL.iter().map(|metric| metric.name.trim_end_matches("_total").trim_end_matches("_info")).collect();
        assert_eq!(families.len(), ALL.len(), "two families of OpenMetrics have the same name");
    }

    #[test]
    fn labels_are_sorted_and_none_is_reserved() {
        for metric in ALL {
            assert!(metric.labels.is_sorted_by(|a, b| a < b), "{}: {:?}", metric.name, metric.labels);
            for label in metric.labels {
                assert!(is_snake_case(label) && !RESERVED_LABELS.contains(label), "{}: {label}", metric.name);
                assert!(metric.scope != Scope::Fleet || !IDENTITY_LABELS.contains(label), "{}: {label}", metric.name);
            }
        }
        for label in OPEN_LABELS {
            assert!(ALL.iter().any(|metric| metric.labels.contains(&label)), "no metric has the label {label}");
        }
    }

    #[test]
    fn help_is_one_sentence() {
        for metric in ALL {
            let help = metric.help;
            let sentence = help.starts_with(|first: char| first.is_ascii_uppercase() || first.is_ascii_digit())
                && help.ends_with('.');
            assert!(
                sentence && !help.contains(". ") && !help.contains('\n') && help.is_ascii(),
                "{}: {help}",
                metric.name
            );
        }
    }

    #[test]
    fn bounds_rise_and_are_finite() {
        for metric in ALL {
            if let Kind::Histogram(bounds) = metric.kind {
                assert!(!bounds.is_empty() && bounds.iter().all(|bound| bound.is_finite()), "{}", metric.name);
                assert!(bounds.is_sorted_by(|a, b| a < b), "{}: {bounds:?}", metric.name);
            }
        }
    }

    #[test]
    fn every_metric_knows_its_place() {
        for (place, metric) in ALL.iter().enumerate() {
            assert_eq!(metric.index, place, "{}", metric.name);
        }
    }
}
