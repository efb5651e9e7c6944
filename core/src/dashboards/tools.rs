//! Tools and agents: what agents call, how often it works, and what each agent takes of its node.

use super::levels::Levels;
use super::panel::{Board, Kind, Panel, Row, Unit};
use super::query::{Target, kernel, telemetry};
use super::variables::OF_FLEETS;

const POD: &str = "{{namespace}}/{{pod}}";

pub(super) fn board() -> Board {
    Board {
        uid: "fleetscope-tools",
        title: "Tools and agents",
        description: "Invocations of agents and calls of tools, as their telemetry tells, and the agents themselves as the kernel sees them.",
        variables: &OF_FLEETS,
        rows: vec![
            Row::new("Agents, from the kernel", agents()),
            Row::new("Rollouts", rollouts()),
            Row::new("Invocations of agents, from their telemetry", invocations()),
            Row::new("Tools, from the agents' telemetry", tools()),
        ],
    }
}

fn agents() -> Vec<Panel> {
    vec![
        Panel::new(
            Kind::Table,
            "Agents",
            Unit::Count,
            [
                "Each agent with its age, its restarts and what it uses.",
                "No restarts, memory like that of its siblings.",
                "A young one among old ones: it was restarted. Many processes or descriptors: it does not clean up.",
            ],
        )
        .covers(&["S39", "G51"])
        .sorted_by("memory")
        .query(
            table("max by (namespace, fleet, pod, container) (fleetscope_agent_uptime_seconds{$fleets})")
                .column("up for", Unit::Seconds),
        )
        .query(
            table("sum by (namespace, fleet, pod, container) (increase(fleetscope_agent_restarts_total{$fleets}[1h]))")
                .judged("restarts in 1 h", Unit::Count, Levels::CountAbove("FleetAgentFlapping")),
        )
        .query(
            table("sum by (namespace, fleet, pod, container) (fleetscope_agent_memory_bytes{$fleets})")
                .column("memory", Unit::Bytes),
        )
        .query(
            table("sum by (namespace, fleet, pod, container) (rate(fleetscope_agent_cpu_seconds_total{$fleets}[5m]))")
                .column("processors", Unit::Cores),
        )
        .query(
            table("sum by (namespace, fleet, pod, container) (fleetscope_agent_processes{$fleets})")
                .column("processes", Unit::Count),
        )
        .query(
            table("sum by (namespace, fleet, pod, container) (fleetscope_agent_threads{$fleets})")
                .column("threads", Unit::Count),
        )
        .query(
            table("sum by (namespace, fleet, pod, container) (fleetscope_agent_open_fds{$fleets})")
                .column("descriptors", Unit::Count)
                .empty("needs kernel 6.2 or later"),
        )
        .query(
            table("sum by (namespace, fleet, pod, container) (fleetscope_agent_listening_sockets{$fleets})")
                .column("listening", Unit::Count),
        ),
        Panel::new(
            Kind::TimeSeries,
            "Active agents",
            Unit::Count,
            ["Agents that run, by fleet.", "The number of replicas that you asked for.", "A drop without a rollout."],
        )
        .covers(&["G51"])
        .query(kernel(r#"fleet:agents:sum{$fleets,status="running"}"#, "{{namespace}}/{{fleet}}")),
        Panel::new(
            Kind::TimeSeries,
            "Memory by agent",
            Unit::Bytes,
            [
                "Memory of each agent, without file cache that can be given back.",
                "Comes back after work.",
                "Above the threshold, or only ever growing: a leak.",
            ],
        )
        .levels(Levels::Above("FleetAgentMemoryHigh"))
        .query(kernel("sum by (namespace, pod) (fleetscope_agent_memory_bytes{$fleets})", POD)),
        Panel::new(
            Kind::TimeSeries,
            "Processors by agent",
            Unit::Cores,
            [
                "Processors that each agent keeps busy.",
                "Follows its tasks.",
                "One that is busy while its tasks do not end: a loop.",
            ],
        )
        .query(kernel(
            "sum by (namespace, pod) (rate(fleetscope_agent_cpu_seconds_total{$fleets}[$__rate_interval]))",
            POD,
        )),
    ]
}

fn rollouts() -> Vec<Panel> {
    vec![
        Panel::new(
            Kind::Table,
            "Images",
            Unit::Count,
            ["Which images the agents run.", "One image per workload.", "Two for long: a rollout that does not end."],
        )
        .size(12, 8)
        .query(
            table("count by (namespace, fleet, workload, image) (fleetscope_agent_info{$fleets})")
                .column("agents", Unit::Count),
        ),
        Panel::new(
            Kind::TimeSeries,
            "Starts and ends in the last hour",
            Unit::Count,
            [
                "Starts and ends of agent containers by result.",
                "Successes, at rollouts.",
                "Failures, or starts all the time.",
            ],
        )
        .covers(&["A38"])
        .size(12, 8)
        .query(kernel("sum by (result) (increase(fleetscope_agent_starts_total{$fleets}[1h]))", "started, {{result}}"))
        .query(kernel("sum by (result) (increase(fleetscope_agent_stops_total{$fleets}[1h]))", "ended, {{result}}")),
    ]
}

fn invocations() -> Vec<Panel> {
    vec![
        Panel::new(Kind::TimeSeries, "Agent execution rate", Unit::PerSecond, [
            "Invocations of agents per second, by type of agent.",
            "Follows the work.",
            "A multiple of it: agents that call each other in a loop.",
        ])
        .covers(&["G50"])
        .query(telemetry("sum by (gen_ai_agent_name) (fleet:agent_invocations:rate5m{$fleets})", "{{gen_ai_agent_name}}")),
        Panel::new(Kind::TimeSeries, "Agent execution duration, p95", Unit::Seconds, [
            "Duration that 95 % of an agent's invocations did not exceed.",
            "At its usual height.",
            "Far above it; at a round number: a time limit.",
        ])
        .covers(&["G55"])
        .query(telemetry("fleet:agent_invocation_duration_seconds:p95_5m{$fleets}", "{{namespace}}/{{fleet}} {{gen_ai_agent_name}}")),
        Panel::new(Kind::TimeSeries, "Error rate", Unit::Ratio, [
            "Share of an agent's invocations that end with an error.",
            "Near 0.",
            "One agent that rises alone: its prompt, tool or model has changed.",
        ])
        .covers(&["G52"])
        .query(telemetry(
            r#"(sum by (gen_ai_agent_name) (rate(gen_ai_invoke_agent_duration_seconds_count{$fleets,error_type!=""}[$__rate_interval])) or 0 * sum by (gen_ai_agent_name) (rate(gen_ai_invoke_agent_duration_seconds_count{$fleets}[$__rate_interval]))) / (sum by (gen_ai_agent_name) (rate(gen_ai_invoke_agent_duration_seconds_count{$fleets}[$__rate_interval])) > 0)"#,
            "{{gen_ai_agent_name}}",
        )),
        Panel::new(Kind::Heatmap, "Agent execution timeline", Unit::Seconds, [
            "Invocations by duration; each point is an exemplar, and a click on it opens its trace where the data source knows a place for traces.",
            "One band per type of agent.",
            "Points far above: open their traces.",
        ])
        .covers(&["G60"])
        .query(
            telemetry(
                "sum by (le) (increase(gen_ai_invoke_agent_duration_seconds_bucket{$fleets}[$__rate_interval]))",
                "{{le}}",
            )
            .exemplar(),
        ),
        Panel::new(Kind::TimeSeries, "Error breakdown by type", Unit::PerSecond, [
            "Errors of agents and tools per second, by type.",
            "None.",
            "timeout: too little time. Others name what was raised.",
        ])
        .covers(&["G59", "S42"])
        .size(6, 8)
        .query(telemetry(
            r#"sum by (error_type) (rate(gen_ai_invoke_agent_duration_seconds_count{$fleets,error_type!=""}[$__rate_interval]))"#,
            "agent: {{error_type}}",
        ))
        .query(telemetry(
            r#"sum by (error_type) (rate(gen_ai_execute_tool_duration_seconds_count{$fleets,error_type!=""}[$__rate_interval]))"#,
            "tool: {{error_type}}",
        )),
        Panel::new(Kind::Stacked, "Task queue size", Unit::Count, [
            "Tasks that wait in the agents' queues, by priority.",
            "Comes back to 0.",
            "Only ever grows: more comes in than the agents finish.",
        ])
        .covers(&["G58"])
        .size(6, 8)
        .levels(Levels::CountAbove("FleetTaskQueueBacklog"))
        .query(telemetry("sum by (priority) (fleet:task_queue:sum{$fleets})", "priority {{priority}}")),
    ]
}

fn tools() -> Vec<Panel> {
    vec![
        Panel::new(Kind::BarGauge, "Tool call success rate", Unit::Ratio, [
            "Share of a tool's calls that end without an error.",
            "Above 95 %.",
            "In the red: agents work without it, or try again and again.",
        ])
        .covers(&["G56"])
        .levels(Levels::Below { alert: "FleetToolSuccessLow", full: 1.0 })
        .query(telemetry("avg by (gen_ai_tool_name) (fleet:tool_success:ratio_rate5m{$fleets})", "{{gen_ai_tool_name}}")),
        Panel::new(Kind::BarGauge, "Top tools by usage", Unit::Count, [
            "The ten tools that were called most in the chosen time.",
            "What the work needs.",
            "One that leaves all others behind: an agent in a loop.",
        ])
        .covers(&["G57"])
        .query(telemetry(
            "topk(10, sum by (gen_ai_tool_name) (increase(gen_ai_execute_tool_duration_seconds_count{$fleets}[$__range])))",
            "{{gen_ai_tool_name}}",
        )),
        Panel::new(Kind::TimeSeries, "Tool calls per second", Unit::PerSecond, [
            "Calls by tool.",
            "Follows the work.",
            "One tool that rises alone.",
        ])
        .size(6, 8)
        .query(telemetry("sum by (gen_ai_tool_name) (fleet:tool_calls:rate5m{$fleets})", "{{gen_ai_tool_name}}")),
        Panel::new(Kind::TimeSeries, "Tool duration, p95", Unit::Seconds, [
            "Duration that 95 % of a tool's calls did not exceed.",
            "At its usual height.",
            "Above the threshold: what the tool calls is slow.",
        ])
        .size(6, 8)
        .levels(Levels::Above("FleetToolSlow"))
        .query(telemetry("fleet:tool_duration_seconds:p95_5m{$fleets}", "{{namespace}}/{{fleet}} {{gen_ai_tool_name}}")),
    ]
}

/// A column; rows are told by their labels.
const fn table(expr: &'static str) -> Target {
    kernel(expr, "")
}
