//! Nodes and Fleetscope itself: whether what the other dashboards show can be trusted, and what it costs.

use super::levels::Levels;
use super::panel::{Board, Kind, Panel, Row, Unit};
use super::query::{Target, itself, telemetry};
use super::variables::Variable;

const NODE: &str = "{{node}}";
const MIB: f64 = 1_048_576.0;

pub(super) fn board() -> Board {
    Board {
        uid: "fleetscope-nodes",
        title: "Nodes and Fleetscope itself",
        description: "Node agents, probes, losses, series, targets and the operator: whether the other dashboards can be trusted, and what measuring costs.",
        variables: &[Variable::DataSource, Variable::Namespace, Variable::Profile, Variable::Fleet, Variable::Node],
        rows: vec![
            Row::new("Health", health()),
            Row::new("Probes and losses", probes()),
            Row::new("gRPC state", grpc()),
            Row::new("Cost", cost()),
            Row::new("Operator", operator()),
            Row::new("Telemetry of agents", received()),
        ],
    }
}

fn health() -> Vec<Panel> {
    vec![
        Panel::new(Kind::Stat, "Node agents", Unit::Count, [
            "Node agents that are scraped.",
            "One per node.",
            "Fewer: a node where nothing is measured.",
        ])
        .query(itself(r#"count(count by (node, instance) (fleetscope_probe_info{node=~"$node"}))"#, "node agents")),
        Panel::new(Kind::Stat, "Nodes with a failed probe", Unit::Count, [
            "Node agents of which a probe failed to attach.",
            "0.",
            "More: the table of probes has the reason.",
        ])
        .levels(Levels::CountAbove("FleetscopeProbeFailed"))
        .query(itself(
            r#"count(count by (node, instance) (fleetscope_probe_info{node=~"$node",state="failed"})) or vector(0)"#,
            "failed",
        )),
        Panel::new(Kind::Stat, "Targets that are down", Unit::Count, [
            "Targets of the chosen fleets that Prometheus cannot scrape: node agents, and what ScrapePolicies name.",
            "0.",
            "More: Prometheus' page of targets has the error.",
        ])
        .levels(Levels::AnyIsBad)
        .query(itself("count(up{$fleets} == 0) or vector(0)", "down")),
        Panel::new(Kind::Stat, "Events lost", Unit::Ratio, [
            "Share of the kernel events in the chosen time that could not be used in full.",
            "0: all counts are exact.",
            "More: counts are too low by as much; the reason is below.",
        ])
        .levels(Levels::Above("FleetscopeEventsLost"))
        .query(itself(
            r#"(sum(increase(fleetscope_events_lost_total{node=~"$node"}[$__range])) or vector(0)) / (sum(increase(fleetscope_events_total{node=~"$node"}[$__range])) > 0)"#,
            "lost",
        )),
        Panel::new(Kind::Stat, "Operator is leading", Unit::Count, [
            "Whether one operator writes.",
            "1.",
            "0: edits of fleets have no effect. 2: two write.",
        ])
        .levels(Levels::ExactlyOne)
        .query(itself("sum(fleetscope_operator_leader)", "leaders")),
        Panel::new(Kind::Stat, "Objects in back-off", Unit::Count, [
            "Objects whose last reconcile failed and that wait for their next try.",
            "0.",
            "More for minutes: their conditions say why.",
        ])
        .levels(Levels::CountAbove("FleetscopeObjectsInBackoff"))
        .query(itself("sum(fleetscope_operator_objects_in_backoff)", "waiting")),
    ]
}

fn probes() -> Vec<Panel> {
    vec![
        Panel::new(Kind::Table, "Probes", Unit::Count, [
            "Probes by state, with the mode and the reason.",
            "attached everywhere, or off where you switched one off.",
            "unsupported: the kernel is too old. failed: a right is missing.",
        ])
        .size(12, 8)
        .query(
            table(r#"count by (probe, state, mode, reason) (fleetscope_probe_info{node=~"$node"})"#)
                .column("node agents", Unit::Count),
        ),
        Panel::new(Kind::StateTimeline, "Scrape targets", Unit::Count, [
            "Whether Prometheus reaches the node agents, fleet by fleet.",
            "One green bar each.",
            "Red: nothing of the fleet is known for that time.",
        ])
        .size(12, 8)
        .levels(Levels::Up)
        .query(itself(r#"min by (namespace, fleet) (up{$fleets,fleetscope_target="node-agent"})"#, "{{namespace}}/{{fleet}}")),
        Panel::new(Kind::TimeSeries, "Events per second", Unit::PerSecond, [
            "Kernel events that were read, by kind.",
            "Follows the work of the node.",
            "A jump: something starts processes in a loop.",
        ])
        .query(itself(
            r#"sum by (kind) (rate(fleetscope_events_total{node=~"$node"}[$__rate_interval]))"#,
            "{{kind}}",
        )),
        Panel::new(Kind::TimeSeries, "Events lost and deferred per second", Unit::PerSecond, [
            "Events that could not be used in full, by reason, and those that took the detour (deferred), of which nothing but arguments is missing.",
            "0.",
            "Lost ones: the buffers are too small (nodeAgent.ringBytes), or the node agent gets no processor.",
        ])
        .query(itself(
            r#"sum by (reason) (rate(fleetscope_events_lost_total{node=~"$node"}[$__rate_interval]))"#,
            "lost: {{reason}}",
        ))
        .query(itself(
            r#"sum by (kind) (rate(fleetscope_events_deferred_total{node=~"$node"}[$__rate_interval]))"#,
            "deferred: {{kind}}",
        )),
        Panel::new(Kind::TimeSeries, "Containers", Unit::Count, [
            "Containers by what is known of them: tracked (of a fleet), ignored, pending.",
            "No pending ones for more than moments.",
            "pending stays: the watch of pods does not keep up.",
        ])
        .query(itself(r#"sum by (state) (fleetscope_containers{node=~"$node"})"#, "{{state}}")),
    ]
}

fn grpc() -> Vec<Panel> {
    vec![
        Panel::new(Kind::Stacked, "Connections", Unit::Count, [
            "HTTP/2 connections that are held, by state.",
            "open.",
            "joined, desync or unreadable: their calls may have no name.",
        ])
        .query(itself(r#"sum by (state) (fleetscope_rpc_connections{node=~"$node"})"#, "{{state}}")),
        Panel::new(Kind::TimeSeries, "Calls without name, status or end, per second", Unit::PerSecond, [
            "Calls of which something cannot be known, by reason. They count all the same, under _OTHER, but for those whose end is unknown.",
            "0, but for some time after a node agent was replaced.",
            "gap: records were lost. tls: the traffic cannot be read.",
        ])
        .query(itself(
            r#"sum by (reason) (rate(fleetscope_rpc_unnamed_calls_total{node=~"$node"}[$__rate_interval]))"#,
            "no name: {{reason}}",
        ))
        .query(itself(
            r#"sum(rate(fleetscope_rpc_unknown_status_calls_total{node=~"$node"}[$__rate_interval]))"#,
            "no status",
        ))
        .query(itself(
            r#"sum by (reason) (rate(fleetscope_rpc_calls_lost_total{node=~"$node"}[$__rate_interval]))"#,
            "no end: {{reason}}",
        )),
        Panel::new(Kind::TimeSeries, "Memory of connections", Unit::Bytes, [
            "What the state of all HTTP/2 connections takes, by node.",
            "Some KiB per connection.",
            "Near the limit: the oldest are forgotten.",
        ])
        .query(itself(r#"sum by (node) (fleetscope_rpc_state_bytes{node=~"$node"})"#, NODE)),
    ]
}

fn cost() -> Vec<Panel> {
    vec![
        Panel::new(Kind::TimeSeries, "Memory of node agents", Unit::Bytes, [
            "Resident memory of each node agent.",
            "Below 64 MiB.",
            "Near the limit of 256 MiB, or only ever growing.",
        ])
        .levels(Levels::Given { yellow: 64.0 * MIB, red: 192.0 * MIB })
        .query(itself(r#"max by (node) (fleetscope_process_resident_memory_bytes{node=~"$node"})"#, NODE)),
        Panel::new(Kind::TimeSeries, "Processors of node agents", Unit::Cores, [
            "Processors that each node agent keeps busy.",
            "Below 0.01, a hundredth of a processor.",
            "Far above it: very many events, or very many series.",
        ])
        .query(itself(
            r#"sum by (node) (rate(fleetscope_process_cpu_seconds_total{node=~"$node"}[$__rate_interval]))"#,
            NODE,
        )),
        Panel::new(Kind::TimeSeries, "Time in eBPF programs", Unit::Cores, [
            "Processors that the programs in the kernel keep busy, by program.",
            "Below 0.01 per node.",
            "Above: the node makes very many system calls; see nodeAgent.grpc and nodeAgent.runqueue.",
        ])
        .query(
            itself(
                r#"sum by (program) (rate(fleetscope_bpf_run_time_seconds_total{node=~"$node"}[$__rate_interval]))"#,
                "{{program}}",
            )
            .empty("kernel.bpf_stats_enabled is 0"),
        ),
        Panel::new(Kind::TimeSeries, "Series", Unit::Count, [
            "Series that node agents hold, by node.",
            "Far below nodeAgent.maxSeries.",
            "At the limit: what is beyond counts under _OTHER.",
        ])
        .query(itself(r#"sum by (node) (fleetscope_series{node=~"$node"})"#, NODE)),
        Panel::new(Kind::TimeSeries, "Observations without a series of their own in 15 minutes", Unit::Count, [
            "By metric and reason.",
            "0.",
            "cap, total: too many different names; give tasks rules, or raise the cap.",
        ])
        .levels(Levels::CountAbove("FleetscopeSeriesCapReached"))
        .query(itself(
            r#"sum by (metric, reason) (increase(fleetscope_series_dropped_total{node=~"$node"}[15m]))"#,
            "{{metric}} {{reason}}",
        )),
        Panel::new(Kind::TimeSeries, "Time to answer a scrape, p99", Unit::Seconds, [
            "How long a node agent takes for /metrics.",
            "Below 0.1 s.",
            "Near the scrape timeout: samples will be missing.",
        ])
        .levels(Levels::Given { yellow: 0.25, red: 1.0 })
        .query(
            itself(
                r#"histogram_quantile(0.99, sum by (node, le) (rate(fleetscope_scrape_duration_seconds_bucket{node=~"$node"}[$__rate_interval])))"#,
                NODE,
            )
            .exemplar(),
        ),
    ]
}

fn operator() -> Vec<Panel> {
    vec![
        Panel::new(Kind::TimeSeries, "Reconciles per second", Unit::PerSecond, [
            "By controller and outcome.",
            "ok, and none while nothing changes.",
            "error; or ok all the time: something changes the objects back.",
        ])
        .query(itself(
            "sum by (controller, outcome) (rate(fleetscope_operator_reconcile_total[$__rate_interval]))",
            "{{controller}} {{outcome}}",
        )),
        Panel::new(Kind::TimeSeries, "Time of a reconcile and lag of edits, p99", Unit::Seconds, [
            "How long a reconcile takes, and how long it takes from an edit to the end of its first reconcile.",
            "Below 1 s.",
            "Lag far above time: too many objects wait.",
        ])
        .levels(Levels::Above("FleetscopeReconcileLagHigh"))
        .query(
            itself(
                "histogram_quantile(0.99, sum by (controller, le) (rate(fleetscope_operator_reconcile_duration_seconds_bucket[$__rate_interval])))",
                "{{controller}} time",
            )
            .exemplar(),
        )
        .query(
            itself(
                "histogram_quantile(0.99, sum by (controller, le) (rate(fleetscope_operator_reconcile_lag_seconds_bucket[$__rate_interval])))",
                "{{controller}} lag",
            )
            .exemplar(),
        ),
        Panel::new(Kind::TimeSeries, "Writes and errors per second", Unit::PerSecond, [
            "Writes of generated objects and of status by result, and errors of the watches of operator and node agents.",
            "None while nothing changes.",
            "conflict: somebody else owns an object of ours. error: rights, or an API server that is not well.",
        ])
        .query(itself(
            "sum by (kind, result) (rate(fleetscope_operator_child_applies_total[$__rate_interval]))",
            "{{kind}} {{result}}",
        ))
        .query(itself(
            "sum by (result) (rate(fleetscope_operator_status_writes_total[$__rate_interval]))",
            "status {{result}}",
        ))
        .query(itself(
            "sum by (kind) (rate(fleetscope_operator_watch_errors_total[$__rate_interval]))",
            "operator's watch of {{kind}}",
        ))
        .query(itself(
            r#"sum by (kind) (rate(fleetscope_watch_errors_total{node=~"$node"}[$__rate_interval]))"#,
            "node agents' watch of {{kind}}",
        )),
        Panel::new(Kind::Table, "Optional kinds", Unit::Count, [
            "Kinds of prometheus-operator: 1 while one is installed and watched.",
            "1 for all that you use.",
            "0: its content is in ConfigMaps instead.",
        ])
        .size(12, 8)
        .query(table("max by (kind) (fleetscope_operator_crd_available)").column("available", Unit::Count)),
        Panel::new(Kind::Table, "Versions", Unit::Count, [
            "Versions of Fleetscope's components that run.",
            "One version.",
            "Two for long: an upgrade that does not end.",
        ])
        .size(12, 8)
        .query(table("count by (component, version) (fleetscope_build_info)").column("processes", Unit::Count)),
    ]
}

fn received() -> Vec<Panel> {
    vec![
        Panel::new(
            Kind::TimeSeries,
            "Telemetry received and rejected per second",
            Unit::PerSecond,
            [
                "What agents send, by signal, and what of it was not taken, by reason.",
                "No rejections.",
                "limit: too much at once; agents try again.",
            ],
        )
        .size(12, 8)
        .query(telemetry("sum(rate(fleetscope_otlp_received_total[$__rate_interval]))", "received"))
        .query(telemetry(
            "sum by (signal, reason) (rate(fleetscope_otlp_rejected_total[$__rate_interval]))",
            "rejected: {{signal}} {{reason}}",
        )),
        Panel::new(
            Kind::TimeSeries,
            "Exports per second",
            Unit::PerSecond,
            [
                "What was sent on, and what failed to be, by exporter.",
                "No failures.",
                "Failures for minutes: the receiver is away, or refuses.",
            ],
        )
        .size(12, 8)
        .query(telemetry(
            "sum by (exporter) (rate(fleetscope_export_sent_total[$__rate_interval]))",
            "{{exporter}} sent",
        ))
        .query(telemetry(
            "sum by (exporter) (rate(fleetscope_export_failed_total[$__rate_interval]))",
            "{{exporter}} failed",
        )),
    ]
}

/// A column; rows are told by their labels.
const fn table(expr: &'static str) -> Target {
    itself(expr, "")
}
