//! Series that come out of what agents themselves send: names, types, labels and help, declared ahead of their emission.
//!
//! This version of Fleetscope emits none of them. They stand here so that rules, dashboards and documentation already have
//! one list to be checked against; a rule over them has no result until then.

use super::{Kind, Scope};

/// One metric of the agents' telemetry.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TelemetryMetric {
    /// Its name as exposed in text format 0.0.4.
    pub name: &'static str,
    /// What it is.
    pub kind: Kind,
    /// Whom its series belong to.
    pub scope: Scope,
    /// One sentence.
    pub help: &'static str,
    /// Its own labels, after those of identity where it belongs to a fleet, sorted.
    pub labels: &'static [&'static str],
}

/// Bounds of durations of LLM operations and of tools: those that OpenTelemetry's conventions for generative AI advise.
const OPERATION_BOUNDS: [f64; 14] =
    [0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92];
/// Bounds of durations of agent invocations, of the same conventions.
const INVOCATION_BOUNDS: [f64; 13] = [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 51.2, 102.4, 204.8, 409.6];
/// Bounds of tokens per operation, of the same conventions: powers of four.
const TOKEN_BOUNDS: [f64; 14] = [
    1.0,
    4.0,
    16.0,
    64.0,
    256.0,
    1024.0,
    4096.0,
    16_384.0,
    65_536.0,
    262_144.0,
    1_048_576.0,
    4_194_304.0,
    16_777_216.0,
    67_108_864.0,
];
/// Bounds of durations of HTTP requests: those that OpenTelemetry's conventions advise.
const HTTP_BOUNDS: [f64; 14] = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];

const fn metric(
    name: &'static str,
    kind: Kind,
    labels: &'static [&'static str],
    help: &'static str,
) -> TelemetryMetric {
    TelemetryMetric { name, kind, scope: Scope::Fleet, help, labels }
}

const fn own(name: &'static str, labels: &'static [&'static str], help: &'static str) -> TelemetryMetric {
    TelemetryMetric { name, kind: Kind::Counter, scope: Scope::NodeAgent, help, labels }
}

/// All of them, in the order of the documentation.
pub const TELEMETRY: &[TelemetryMetric] = &[
    metric(
        "gen_ai_client_operation_duration_seconds",
        Kind::Histogram(&OPERATION_BOUNDS),
        &["error_type", "gen_ai_operation_name", "gen_ai_provider_name", "gen_ai_request_model"],
        "Duration of LLM operations as the agents measured them; error_type is empty for those that did not fail.",
    ),
    metric(
        "gen_ai_client_token_usage",
        Kind::Histogram(&TOKEN_BOUNDS),
        &["gen_ai_operation_name", "gen_ai_provider_name", "gen_ai_request_model", "gen_ai_token_type"],
        "Tokens per LLM operation, by type (input, output).",
    ),
    metric(
        "gen_ai_invoke_agent_duration_seconds",
        Kind::Histogram(&INVOCATION_BOUNDS),
        &["error_type", "gen_ai_agent_name"],
        "Duration of agent invocations; error_type is empty for those that did not fail.",
    ),
    metric(
        "gen_ai_execute_tool_duration_seconds",
        Kind::Histogram(&OPERATION_BOUNDS),
        &["error_type", "gen_ai_agent_name", "gen_ai_tool_name"],
        "Duration of tool calls; error_type is empty for those that did not fail.",
    ),
    metric(
        "fleetscope_llm_tokens_total",
        Kind::Counter,
        &["category", "model", "provider"],
        "Tokens by category: input, output, cache_read, cache_write, reasoning.",
    ),
    metric(
        "fleetscope_llm_cost_total",
        Kind::Counter,
        &["currency", "model", "provider", "source"],
        "Cost of LLM calls, in units of the currency, by source: provider (as it said), list_price (tokens by a ModelPriceList).",
    ),
    metric(
        "fleetscope_llm_unpriced_tokens_total",
        Kind::Counter,
        &["model", "provider"],
        "Tokens of models without a price; they are in no cost.",
    ),
    metric(
        "fleetscope_llm_requests_total",
        Kind::Counter,
        &["model", "provider", "result"],
        "LLM requests by result: success, rate_limited, auth, client_error, server_error, timeout, other.",
    ),
    metric(
        "fleetscope_llm_rate_limited_total",
        Kind::Counter,
        &["model", "provider"],
        "Answers by which a provider limited the rate, those to retries included.",
    ),
    metric(
        "fleetscope_context_window_utilization_ratio",
        Kind::Gauge,
        &["agent_type", "model"],
        "How full the context window is, as a share of its size.",
    ),
    metric(
        "http_server_request_duration_seconds",
        Kind::Histogram(&HTTP_BOUNDS),
        &["http_request_method", "http_response_status_code", "http_route"],
        "Duration of HTTP requests that the agents served, with the name and labels of OpenTelemetry's semantic conventions.",
    ),
    metric("fleetscope_task_queue_size", Kind::Gauge, &["priority"], "Tasks that wait in the agent's queue."),
    own("fleetscope_otlp_received_total", &["signal"], "Items that agents sent over OTLP, by signal."),
    own("fleetscope_otlp_rejected_total", &["reason", "signal"], "Items that were not taken, by signal and reason."),
    own("fleetscope_export_failed_total", &["exporter"], "Exports that the other end did not take."),
    own("fleetscope_export_sent_total", &["exporter"], "Exports that the other end took."),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::{ALL, IDENTITY_LABELS};
    use super::{Kind, Scope, TELEMETRY};

    #[test]
    fn no_name_is_used_twice_or_by_a_metric_that_exists() {
        let names: BTreeSet<&str> = TELEMETRY.iter().map(|metric| metric.name).collect();
        assert_eq!(names.len(), TELEMETRY.len());
        assert_eq!(ALL.iter().find(|metric| names.contains(metric.name)), None);
    }

    #[test]
    fn labels_are_sorted_and_none_is_one_of_identity() {
        for metric in TELEMETRY {
            assert!(metric.labels.is_sorted_by(|a, b| a < b), "{}: {:?}", metric.name, metric.labels);
            let identity = |label: &&&str| IDENTITY_LABELS.contains(label);
            assert!(
                metric.scope != Scope::Fleet || !metric.labels.iter().any(|label| identity(&label)),
                "{}",
                metric.name
            );
        }
    }

    #[test]
    fn counters_and_only_they_end_with_total_and_bounds_rise() {
        for metric in TELEMETRY {
            assert_eq!(metric.kind == Kind::Counter, metric.name.ends_with("_total"), "{}", metric.name);
            if let Kind::Histogram(bounds) = metric.kind {
                assert!(bounds.is_sorted_by(|a, b| a < b), "{}: {bounds:?}", metric.name);
            }
            assert!(metric.help.ends_with('.') && !metric.help.contains(". "), "{}: {}", metric.name, metric.help);
        }
    }
}
