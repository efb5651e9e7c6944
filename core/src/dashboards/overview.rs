//! Fleet overview: is any fleet unwell, and in which respect? The dashboard of one fleet is made of it, too.

use super::levels::Levels;
use super::panel::{Board, Kind, Panel, Row, Unit};
use super::query::{itself, kernel, telemetry};
use super::variables::OF_FLEETS;

const FLEET: &str = "{{namespace}}/{{fleet}}";

pub(super) fn board() -> Board {
    Board {
        uid: "fleetscope-overview",
        title: "Fleet overview",
        description: "State of the fleets: agents, tasks, gRPC, resources, errors, cost. A click on a series leads to the details of its fleet.",
        variables: &OF_FLEETS,
        rows: vec![
            Row::new("State", state()),
            Row::new("Agents", agents()),
            Row::new("System resources", resources()),
            Row::new("Task performance", tasks()),
            Row::new("gRPC and API", calls()),
            Row::new("Errors", errors()),
        ],
    }
}

fn state() -> Vec<Panel> {
    vec![
        Panel::new(Kind::Stat, "Alerts that fire", Unit::Count, [
            "Alerts of Fleetscope's policies that fire for these fleets.",
            "0.",
            "Anything else: the table at the end of the dashboard names them.",
        ])
        .levels(Levels::AnyIsBad)
        .query(itself(r#"count(ALERTS{$fleets,alertstate="firing",source="fleetscope"}) or vector(0)"#, "firing")),
        Panel::new(Kind::Stat, "Fleets", Unit::Count, [
            "Fleets that node agents observe.",
            "As many as there are AgentFleets that are not suspended.",
            "Fewer: a fleet without pods, or nodes without a node agent.",
        ])
        .query(kernel("count(count by (namespace, fleet) (fleetscope_agents{$fleets}))", "fleets")),
        Panel::new(Kind::Stat, "Active agents", Unit::Count, [
            "Agents (pods) that run now.",
            "The number of replicas that you asked for.",
            "A drop without a rollout.",
        ])
        .covers(&["G51", "A34"])
        .query(kernel(r#"sum(fleet:agents:sum{$fleets,status="running"})"#, "running")),
        Panel::new(Kind::Stat, "Failed agents", Unit::Count, [
            "Agents that crash, cannot start or ended with a failure.",
            "0.",
            "More than 0 for minutes: the errors below say why.",
        ])
        .covers(&["A34"])
        .levels(Levels::CountAbove("FleetAgentFailed"))
        .query(kernel(r#"sum(fleet:agents:sum{$fleets,status="failed"})"#, "failed")),
        Panel::new(Kind::Stat, "Tasks finished", Unit::PerSecond, [
            "Tasks that end per second, whatever their result.",
            "Steady, in step with the work that comes in.",
            "0 while agents run: they wait, or hang.",
        ])
        .covers(&["S43"])
        .query(kernel("sum(fleet:tasks:rate5m{$fleets})", "tasks")),
        Panel::new(Kind::Stat, "Cost in the last 24 hours", Unit::Money, [
            "What the calls of LLM providers cost, by currency.",
            "Below the budget, and growing evenly.",
            "A jump: an agent that runs away, or a model that costs more.",
        ])
        .covers(&["O44"])
        .query(telemetry("sum by (currency) (fleet:llm_cost:increase1d{$fleets})", "{{currency}}")),
        Panel::new(Kind::BarGauge, "Health", Unit::Score, [
            "Score from 0 to 100 per fleet, out of failed agents, failed tasks and failed calls; docs/dashboards.md has the formula.",
            "Above 90.",
            "Below the threshold of its alert: look at the rows below, each is a part of it.",
        ])
        .covers(&["S40"])
        .size(12, 8)
        .levels(Levels::Below { alert: "FleetHealthLow", full: 100.0 })
        .query(kernel("sort(fleet:health:score{$fleets})", FLEET)),
        Panel::new(Kind::TimeSeries, "Health over time", Unit::Score, [
            "The same score as a trend.",
            "A flat line near 100.",
            "A slow fall: something gets worse that no single alert sees yet.",
        ])
        .covers(&["S43"])
        .size(12, 8)
        .levels(Levels::Below { alert: "FleetHealthLow", full: 100.0 })
        .query(kernel("fleet:health:score{$fleets}", FLEET)),
    ]
}

fn agents() -> Vec<Panel> {
    vec![
        Panel::new(Kind::Pie, "Agent status", Unit::Count, [
            "Agents by status: discovered, running, stopped, failed.",
            "All running, or stopped where they are jobs.",
            "Any failed; discovered for more than the time an image takes to pull.",
        ])
        .covers(&["A36", "A29"])
        .query(kernel("sum by (status) (fleet:agents:sum{$fleets})", "{{status}}")),
        Panel::new(Kind::Gauge, "Start success", Unit::Ratio, [
            "Share of the starts of agent containers in the chosen time that succeeded.",
            "100 %.",
            "Below 95 %: images that cannot be pulled, commands that do not exist.",
        ])
        .covers(&["A38", "A30"])
        .size(6, 8)
        .levels(Levels::Given { yellow: 0.98, red: 0.95 })
        .query(
            kernel(
                r#"sum(increase(fleetscope_agent_starts_total{$fleets,result="success"}[$__range])) / (sum(increase(fleetscope_agent_starts_total{$fleets}[$__range])) > 0)"#,
                "starts",
            )
            .empty("nothing was started in the chosen time"),
        ),
        Panel::new(Kind::Stacked, "Agents by status over time", Unit::Count, [
            "Agents by status, one upon the other.",
            "An even band of running ones.",
            "A growing band of failed ones, or gaps.",
        ])
        .covers(&["S43"])
        .size(6, 8)
        .query(kernel("sum by (status) (fleet:agents:sum{$fleets})", "{{status}}")),
        Panel::new(Kind::TimeSeries, "Restarts in the last hour", Unit::Count, [
            "Restarts of agent containers by the kubelet.",
            "0, or few after a rollout.",
            "A line that stays up: a crash loop.",
        ])
        .size(6, 8)
        .levels(Levels::CountAbove("FleetAgentFlapping"))
        .drill("fleetscope-tools")
        .query(kernel("fleet:agent_restarts:increase1h{$fleets}", FLEET)),
    ]
}

fn resources() -> Vec<Panel> {
    vec![
        Panel::new(
            Kind::TimeSeries,
            "Memory",
            Unit::Bytes,
            [
                "Memory of all agents of a fleet together, without file cache that can be given back.",
                "Follows the work and comes back.",
                "Only ever grows: a leak. Ends in steps down: out-of-memory kills.",
            ],
        )
        .covers(&["S39"])
        .drill("fleetscope-tools")
        .query(kernel("fleet:agent_memory_bytes:sum{$fleets}", FLEET)),
        Panel::new(
            Kind::TimeSeries,
            "Processors",
            Unit::Cores,
            [
                "Processors that all agents of a fleet together keep busy.",
                "Follows the work.",
                "Flat at a limit, or busy while no task ends: a loop.",
            ],
        )
        .covers(&["S39"])
        .drill("fleetscope-tools")
        .query(kernel("fleet:agent_cpu:rate5m{$fleets}", FLEET)),
        Panel::new(
            Kind::TimeSeries,
            "Wait for a processor, p99",
            Unit::Seconds,
            [
                "How long threads that could run waited for a processor.",
                "Below some milliseconds.",
                "Tens of milliseconds and more: the nodes are too full, or processor limits throttle.",
            ],
        )
        .covers(&["S39"])
        .levels(Levels::Above("FleetRunqueueLatencyHigh"))
        .query(kernel("fleet:runqueue_latency_seconds:p99_5m{$fleets}", FLEET)),
    ]
}

fn tasks() -> Vec<Panel> {
    vec![
        Panel::new(
            Kind::TimeSeries,
            "Tasks per second by fleet",
            Unit::PerSecond,
            ["Tasks that end per second.", "Steady.", "0 while agents run; a sudden multiple: a retry storm."],
        )
        .covers(&["S39", "S43"])
        .drill("fleetscope-tasks")
        .query(kernel("sum by (namespace, fleet) (fleet:tasks:rate5m{$fleets})", FLEET)),
        Panel::new(
            Kind::TimeSeries,
            "Share of tasks that fail",
            Unit::Ratio,
            [
                "Failed tasks of all that ended.",
                "Near 0, or at its usual height.",
                "Above the threshold: the alert fires.",
            ],
        )
        .covers(&["S39", "S40"])
        .levels(Levels::Above("FleetTaskFailureRatioHigh"))
        .drill("fleetscope-tasks")
        .query(kernel("fleet:task_failure:ratio_rate5m{$fleets}", FLEET)),
        Panel::new(
            Kind::TimeSeries,
            "Slowest task, p99",
            Unit::Seconds,
            [
                "The p99 of the fleet's slowest task.",
                "At its usual height.",
                "Above the threshold: the dashboard of tasks says which.",
            ],
        )
        .covers(&["S39"])
        .levels(Levels::Above("FleetTaskTailSlow"))
        .drill("fleetscope-tasks")
        .query(kernel("max by (namespace, fleet) (fleet:task_duration_seconds:p99_5m{$fleets})", FLEET)),
    ]
}

fn calls() -> Vec<Panel> {
    vec![
        Panel::new(Kind::TimeSeries, "API requests per second", Unit::PerSecond, [
            "gRPC calls that agents serve, seen in the kernel, and HTTP requests, as they tell themselves.",
            "Follows the load.",
            "A cliff: callers cannot reach the agents any more.",
        ])
        .covers(&["A37", "S39"])
        .drill("fleetscope-grpc")
        .query(kernel("sum by (namespace, fleet) (fleet:rpc_server_calls:rate5m{$fleets})", "{{namespace}}/{{fleet}} gRPC"))
        .query(telemetry(
            "sum by (namespace, fleet) (rate(http_server_request_duration_seconds_count{$fleets}[$__rate_interval]))",
            "{{namespace}}/{{fleet}} HTTP",
        )),
        Panel::new(Kind::TimeSeries, "Share of gRPC calls that fail", Unit::Ratio, [
            "Calls that ended with an error of the server, of all that agents served, and with any error, of all that they made.",
            "Near 0.",
            "Above the threshold. Only of those made: a service that the agents depend on fails.",
        ])
        .covers(&["S39"])
        .levels(Levels::Above("FleetGrpcServerErrorRatioHigh"))
        .drill("fleetscope-grpc")
        .query(kernel("fleet:rpc_server_error:ratio_rate5m{$fleets}", "{{namespace}}/{{fleet}} served"))
        .query(kernel("fleet:rpc_client_error:ratio_rate5m{$fleets}", "{{namespace}}/{{fleet}} made")),
        Panel::new(Kind::TimeSeries, "Slowest gRPC method, p99", Unit::Seconds, [
            "The p99 of the slowest method that a fleet serves, streams included.",
            "At its usual height.",
            "Above the threshold, or rising with the load.",
        ])
        .covers(&["S39"])
        .levels(Levels::Above("FleetGrpcServerCallSlow"))
        .drill("fleetscope-grpc")
        .query(kernel("max by (namespace, fleet) (fleet:rpc_server_call_duration_seconds:p99_5m{$fleets})", FLEET)),
    ]
}

fn errors() -> Vec<Panel> {
    vec![
        Panel::new(Kind::TimeSeries, "Tasks without success in the last hour, by how they ended", Unit::Count, [
            "Tasks by result and by exit code, signal or out-of-memory kill.",
            "None, or the few that are part of the work.",
            "oom and sigkill: memory. 126 and 127: a program that is not there.",
        ])
        .covers(&["S39", "S42", "G59"])
        .query(kernel(
            r#"sum by (result, exit) (fleet:tasks:increase1h{$fleets,result!="success"})"#,
            "{{result}}, exit {{exit}}",
        )),
        Panel::new(Kind::TimeSeries, "Failures of agents in the last hour, by reason", Unit::Count, [
            "Failures of agent containers: oom, exit_code, signal, port_conflict, image, probe, other.",
            "None.",
            "Any that repeats.",
        ])
        .covers(&["S42", "G59"])
        .query(kernel("sum by (reason) (fleet:agent_failures:increase1h{$fleets})", "{{reason}}")),
        Panel::new(Kind::TimeSeries, "gRPC errors per second, by status", Unit::PerSecond, [
            "Served calls with another status than OK, as far as it can be known.",
            "None, or those that are answers: NOT_FOUND, ALREADY_EXISTS.",
            "UNAVAILABLE, DEADLINE_EXCEEDED, INTERNAL, UNKNOWN.",
        ])
        .covers(&["S42", "G59"])
        .query(
            kernel(
                r#"sum by (rpc_status_code) (fleet:rpc_server_calls:rate5m{$fleets,rpc_status_code!~"OK|_OTHER"})"#,
                "{{rpc_status_code}}",
            )
            .empty("no call failed"),
        ),
        Panel::new(Kind::Table, "Alerts", Unit::Count, [
            "What fires now, with its severity.",
            "Empty.",
            "A critical one: its runbook is in the alert.",
        ])
        .query(
            itself(
                r#"max by (namespace, fleet, alertname, severity, policy) (ALERTS{$fleets,alertstate="firing",source="fleetscope"})"#,
                "",
            )
            .column("firing", Unit::Count)
            .empty("no alert fires"),
        ),
    ]
}
