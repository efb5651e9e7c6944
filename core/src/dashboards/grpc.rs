//! gRPC: calls that agents serve and make, by method; and HTTP, as agents tell of it.

use super::levels::Levels;
use super::panel::{Board, Kind, Panel, Row, Unit};
use super::query::{Target, kernel, telemetry};
use super::variables::Variable;

/// From when on a call is slow.
const SLOW: Levels = Levels::Above("FleetGrpcServerCallSlow");
/// From when on too many calls fail.
const ERRORS: Levels = Levels::Above("FleetGrpcServerErrorRatioHigh");
/// Legend of what is told apart by method.
const METHOD: &str = "{{namespace}}/{{fleet}} {{rpc_method}}";

pub(super) fn board() -> Board {
    Board {
        uid: "fleetscope-grpc",
        title: "gRPC",
        description: "gRPC calls of the fleets as the kernel sees them on both ends: rates, statuses, durations. Below it HTTP, where agents send telemetry.",
        variables: &[Variable::DataSource, Variable::Namespace, Variable::Profile, Variable::Fleet, Variable::Method],
        rows: vec![
            Row::new("Traffic", traffic()),
            Row::new("Errors", errors()),
            Row::new("Durations", durations()),
            Row::new("HTTP API, from the agents' telemetry", http()),
        ],
    }
}

fn traffic() -> Vec<Panel> {
    vec![
        Panel::new(
            Kind::TimeSeries,
            "Calls served per second",
            Unit::PerSecond,
            [
                "gRPC calls that agents served, by method.",
                "Follows the load.",
                "A cliff, or one method that takes over.",
            ],
        )
        .covers(&["S39", "A37"])
        .query(kernel(
            r#"sum by (namespace, fleet, rpc_method) (fleet:rpc_server_calls:rate5m{$fleets,rpc_method=~"$method"})"#,
            METHOD,
        )),
        Panel::new(
            Kind::TimeSeries,
            "Calls made per second",
            Unit::PerSecond,
            [
                "gRPC calls that agents made, by method.",
                "Follows the load.",
                "A multiple of the calls served: retries.",
            ],
        )
        .covers(&["S39"])
        .query(kernel(
            r#"sum by (namespace, fleet, rpc_method) (fleet:rpc_client_calls:rate5m{$fleets,rpc_method=~"$method"})"#,
            METHOD,
        )),
        Panel::new(
            Kind::TimeSeries,
            "Calls in flight",
            Unit::Count,
            [
                "Calls that are not over, by role. Streams count as long as they are open.",
                "Even.",
                "Only ever grows: calls without a deadline that nobody answers.",
            ],
        )
        .query(kernel(
            r#"sum by (namespace, fleet, role) (fleetscope_rpc_calls_in_flight{$fleets,rpc_method=~"$method"})"#,
            "{{namespace}}/{{fleet}} {{role}}",
        )),
    ]
}

fn errors() -> Vec<Panel> {
    vec![
        Panel::new(
            Kind::Gauge,
            "Share of calls served that fail",
            Unit::Ratio,
            [
                "Calls that ended with an error of the server, in the fleet where the share is highest.",
                "Near 0.",
                "In the red: the alert fires.",
            ],
        )
        .covers(&["S40", "G52"])
        .levels(ERRORS)
        .size(6, 8)
        .query(kernel("max(fleet:rpc_server_error:ratio_rate5m{$fleets})", "failed")),
        Panel::new(
            Kind::TimeSeries,
            "Share of calls that fail",
            Unit::Ratio,
            [
                "Errors of the server of all calls served; any status but OK of all calls made.",
                "Near 0.",
                "Above the threshold; of calls made alone: what the agents depend on fails.",
            ],
        )
        .levels(ERRORS)
        .size(9, 8)
        .query(kernel("fleet:rpc_server_error:ratio_rate5m{$fleets}", "{{namespace}}/{{fleet}} served"))
        .query(kernel("fleet:rpc_client_error:ratio_rate5m{$fleets}", "{{namespace}}/{{fleet}} made")),
        Panel::new(
            Kind::TimeSeries,
            "Share of calls refused for want of rights",
            Unit::Ratio,
            [
                "UNAUTHENTICATED and PERMISSION_DENIED of all calls served.",
                "0.",
                "A step up: a credential that ran out, or somebody who tries.",
            ],
        )
        .covers(&["A35"])
        .size(9, 8)
        .levels(Levels::Above("FleetGrpcAuthFailureRatioHigh"))
        .query(kernel("fleet:rpc_unauthenticated:ratio_rate5m{$fleets}", "{{namespace}}/{{fleet}}")),
        Panel::new(
            Kind::Stacked,
            "Served, by status",
            Unit::PerSecond,
            [
                "Calls served per second by status.",
                "OK alone, or with statuses that are answers.",
                "UNAVAILABLE, DEADLINE_EXCEEDED, INTERNAL, UNKNOWN.",
            ],
        )
        .covers(&["S42"])
        .size(12, 8)
        .query(kernel(
            r#"sum by (rpc_status_code) (fleet:rpc_server_calls:rate5m{$fleets,rpc_method=~"$method"})"#,
            "{{rpc_status_code}}",
        )),
        Panel::new(
            Kind::Stacked,
            "Made, by status",
            Unit::PerSecond,
            [
                "Calls made per second by status.",
                "OK alone, or with statuses that are answers.",
                "UNAVAILABLE: the peer is away. RESOURCE_EXHAUSTED: it asks for less.",
            ],
        )
        .covers(&["S42"])
        .size(12, 8)
        .query(kernel(
            r#"sum by (rpc_status_code) (fleet:rpc_client_calls:rate5m{$fleets,rpc_method=~"$method"})"#,
            "{{rpc_status_code}}",
        )),
    ]
}

fn durations() -> Vec<Panel> {
    vec![
        Panel::new(Kind::Table, "Methods", Unit::Seconds, [
            "Each method that agents serve, with its rate, its errors and its durations, streams included.",
            "p99 in the green, no errors.",
            "p99 in the red, or a p99 far above the p95.",
        ])
        .covers(&["S40"])
        .sorted_by("p99")
        .query(table(r#"sum by (namespace, fleet, rpc_method) (fleet:rpc_server_calls:rate5m{$fleets,rpc_method=~"$method"})"#).column("per second", Unit::PerSecond))
        .query(
            table(r#"sum by (namespace, fleet, rpc_method) (fleet:rpc_server_calls:rate5m{$fleets,rpc_method=~"$method",rpc_status_code!~"OK|_OTHER"})"#)
                .column("not OK per second", Unit::PerSecond)
                .empty("no call failed"),
        )
        .query(table(r#"max by (namespace, fleet, rpc_method) (fleet:rpc_server_call_duration_seconds:p50_5m{$fleets,rpc_method=~"$method"})"#).column("p50", Unit::Seconds))
        .query(table(r#"max by (namespace, fleet, rpc_method) (fleet:rpc_server_call_duration_seconds:p95_5m{$fleets,rpc_method=~"$method"})"#).column("p95", Unit::Seconds))
        .query(table(r#"max by (namespace, fleet, rpc_method) (fleet:rpc_server_call_duration_seconds:p99_5m{$fleets,rpc_method=~"$method"})"#).judged("p99", Unit::Seconds, SLOW)),
        Panel::new(Kind::TimeSeries, "Served, p95 and p99", Unit::Seconds, [
            "Durations of calls served, by method.",
            "At their usual height.",
            "Above the threshold, or rising with the load.",
        ])
        .levels(SLOW)
        .query(kernel(r#"fleet:rpc_server_call_duration_seconds:p95_5m{$fleets,rpc_method=~"$method"}"#, "{{fleet}} {{rpc_method}} p95"))
        .query(kernel(r#"fleet:rpc_server_call_duration_seconds:p99_5m{$fleets,rpc_method=~"$method"}"#, "{{fleet}} {{rpc_method}} p99")),
        Panel::new(Kind::TimeSeries, "Made, p99", Unit::Seconds, [
            "Durations of calls made, by method: what the agents wait for.",
            "Close to the server's own durations.",
            "Far above them: network, queues, retries.",
        ])
        .query(kernel(r#"fleet:rpc_client_call_duration_seconds:p99_5m{$fleets,rpc_method=~"$method"}"#, METHOD)),
        Panel::new(Kind::TimeSeries, "First response, p99", Unit::Seconds, [
            "Time from the first byte of a request to the first headers of its response, by role. Of a stream it is what a user waits for.",
            "Far below the duration of streams.",
            "Near the whole duration: the server answers only at the end.",
        ])
        .levels(Levels::Above("FleetGrpcServerLatencyHigh"))
        .query(
            kernel(
                r#"histogram_quantile(0.99, sum by (namespace, fleet, role, le) (rate(fleetscope_rpc_first_response_seconds_bucket{$fleets,rpc_method=~"$method"}[$__rate_interval])))"#,
                "{{namespace}}/{{fleet}} {{role}}",
            )
            .exemplar(),
        ),
        Panel::new(Kind::Heatmap, "All durations of calls served", Unit::Seconds, [
            "Ends of calls by duration; the points are exemplars, which lead to traces where there are some.",
            "One band per kind of call.",
            "A band at a round number: a deadline that is met.",
        ])
        .query(
            kernel(
                r#"sum by (le) (increase(rpc_server_call_duration_seconds_bucket{$fleets,rpc_method=~"$method"}[$__rate_interval]))"#,
                "{{le}}",
            )
            .exemplar(),
        ),
        Panel::new(Kind::Heatmap, "All durations of calls made", Unit::Seconds, [
            "The same on the side of the caller.",
            "The same picture as of the calls served.",
            "A band that the server does not have: the time is lost between them.",
        ])
        .query(
            kernel(
                r#"sum by (le) (increase(rpc_client_call_duration_seconds_bucket{$fleets,rpc_method=~"$method"}[$__rate_interval]))"#,
                "{{le}}",
            )
            .exemplar(),
        ),
    ]
}

fn http() -> Vec<Panel> {
    vec![
        Panel::new(Kind::TimeSeries, "HTTP requests per second", Unit::PerSecond, [
            "Requests that agents served, by route.",
            "Follows the load.",
            "A cliff, or one route that takes over.",
        ])
        .covers(&["A37", "A31"])
        .size(6, 8)
        .query(telemetry(
            "sum by (http_request_method, http_route) (rate(http_server_request_duration_seconds_count{$fleets}[$__rate_interval]))",
            "{{http_request_method}} {{http_route}}",
        )),
        Panel::new(Kind::TimeSeries, "HTTP latency, mean", Unit::Seconds, [
            "Mean duration of requests, by fleet.",
            "At its usual height.",
            "Rises with the load.",
        ])
        .covers(&["A32"])
        .size(6, 8)
        .query(telemetry(
            "sum by (namespace, fleet) (rate(http_server_request_duration_seconds_sum{$fleets}[$__rate_interval])) / (sum by (namespace, fleet) (rate(http_server_request_duration_seconds_count{$fleets}[$__rate_interval])) > 0)",
            "{{namespace}}/{{fleet}}",
        )),
        Panel::new(Kind::TimeSeries, "Share of HTTP requests that fail", Unit::Ratio, [
            "Answers with a status of 500 or above.",
            "Near 0.",
            "Above the threshold: the alert fires.",
        ])
        .size(6, 8)
        .levels(Levels::Above("FleetHttpErrorRatioHigh"))
        .query(telemetry("fleet:http_server_error:ratio_rate5m{$fleets}", "{{namespace}}/{{fleet}}")),
        Panel::new(Kind::TimeSeries, "Share of HTTP requests refused for want of rights", Unit::Ratio, [
            "Answers with the status 401 or 403.",
            "Near 0.",
            "A step up: a credential that ran out, or somebody who tries.",
        ])
        .covers(&["A35"])
        .size(6, 8)
        .levels(Levels::Above("FleetHttpAuthFailureRatioHigh"))
        .query(telemetry("fleet:http_auth_failure:ratio_rate5m{$fleets}", "{{namespace}}/{{fleet}}")),
    ]
}

/// A column; rows are told by their labels.
const fn table(expr: &'static str) -> Target {
    kernel(expr, "")
}
