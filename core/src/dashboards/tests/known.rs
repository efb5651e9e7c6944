//! Series that expressions may name, with the labels that they have.

use std::collections::{BTreeMap, BTreeSet};

use crate::metrics::{ALL, IDENTITY_LABELS, Kind, Scope};

type Labels = BTreeSet<&'static str>;

/// Labels of a target: of the monitors, and Prometheus' own.
const TARGET: [&str; 4] = ["namespace", "node", "instance", "job"];
/// Of what the fleets' recording rules give.
const FLEET: [&str; 2] = ["namespace", "fleet"];

/// What the fleets' recording rules give, with labels besides those of the fleet.
const RECORDED: [(&str, &[&str]); 50] = [
    ("fleet:tasks:rate5m", &["task", "group", "result"]),
    ("fleet:tasks:increase1h", &["task", "group", "result", "exit"]),
    ("fleet:task_failure:ratio_rate5m", &[]),
    ("fleet:task_conflict:ratio_rate5m", &["group"]),
    ("fleet:task_success:ratio_rate5m", &["task"]),
    ("fleet:task_duration_seconds:p50_5m", &["task"]),
    ("fleet:task_duration_seconds:p95_5m", &["task"]),
    ("fleet:task_duration_seconds:p99_5m", &["task"]),
    ("fleet:task_duration_seconds:mean5m", &["task"]),
    ("fleet:tasks_running:sum", &["task", "group"]),
    ("fleet:agents:sum", &["status"]),
    ("fleet:agent_restarts:increase1h", &[]),
    ("fleet:agent_failures:increase1h", &["reason"]),
    ("fleet:agent_memory_bytes:sum", &[]),
    ("fleet:agent_cpu:rate5m", &[]),
    ("fleet:runqueue_latency_seconds:p99_5m", &[]),
    ("fleet:rpc_server_calls:rate5m", &["rpc_method", "rpc_status_code"]),
    ("fleet:rpc_client_calls:rate5m", &["rpc_method", "rpc_status_code"]),
    ("fleet:rpc_server_error:ratio_rate5m", &[]),
    ("fleet:rpc_client_error:ratio_rate5m", &[]),
    ("fleet:rpc_unauthenticated:ratio_rate5m", &[]),
    ("fleet:rpc_server_call_duration_seconds:p50_5m", &["rpc_method"]),
    ("fleet:rpc_server_call_duration_seconds:p95_5m", &["rpc_method"]),
    ("fleet:rpc_server_call_duration_seconds:p99_5m", &["rpc_method"]),
    ("fleet:rpc_client_call_duration_seconds:p99_5m", &["rpc_method"]),
    ("fleet:info:one", &["profile"]),
    ("fleet:llm_cost:rate5m", &["provider", "model", "currency"]),
    ("fleet:llm_cost:increase1h", &["provider", "model", "currency"]),
    ("fleet:llm_cost:increase1d", &["provider", "model", "currency"]),
    ("fleet:llm_tokens:rate5m", &["provider", "model", "category"]),
    ("fleet:llm_requests:rate5m", &["provider", "model", "result"]),
    ("fleet:llm_error:ratio_rate5m", &["provider", "model"]),
    ("fleet:llm_rate_limited:rate5m", &["provider", "model"]),
    ("fleet:llm_tokens_per_request:mean5m", &["provider", "model"]),
    ("fleet:llm_duration_seconds:p95_5m", &["provider", "model"]),
    ("fleet:llm_duration_seconds:p99_5m", &["provider", "model"]),
    ("fleet:tool_success:ratio_rate5m", &["gen_ai_tool_name"]),
    ("fleet:tool_calls:rate5m", &["gen_ai_tool_name"]),
    ("fleet:tool_duration_seconds:p95_5m", &["gen_ai_tool_name"]),
    ("fleet:agent_invocations:rate5m", &["gen_ai_agent_name"]),
    ("fleet:agent_invocation_duration_seconds:p95_5m", &["gen_ai_agent_name"]),
    ("fleet:context_window_utilization:max", &["agent_type", "model"]),
    ("fleet:context_window_utilization:avg", &["agent_type", "model"]),
    ("fleet:http_server_error:ratio_rate5m", &[]),
    ("fleet:http_auth_failure:ratio_rate5m", &[]),
    ("fleet:task_queue:sum", &["priority"]),
    ("fleet:health:score", &[]),
    // Not of a fleet, but of a policy and of Prometheus.
    ("fleetscope:policy_generation:info", &["policy"]),
    ("ALERTS", &["alertname", "alertstate", "severity", "source", "policy"]),
    ("up", &["node", "instance", "job"]),
];

/// What agents send, or expose themselves; histograms without their endings.
const OF_AGENTS: [(&str, bool, &[&str]); 18] = [
    (
        "gen_ai_client_operation_duration_seconds",
        true,
        &["gen_ai_provider_name", "gen_ai_request_model", "gen_ai_operation_name", "error_type"],
    ),
    ("gen_ai_client_token_usage", true, &["gen_ai_provider_name", "gen_ai_request_model", "gen_ai_token_type"]),
    ("gen_ai_invoke_agent_duration_seconds", true, &["gen_ai_agent_name", "error_type"]),
    ("gen_ai_execute_tool_duration_seconds", true, &["gen_ai_tool_name", "error_type"]),
    ("fleetscope_llm_tokens_total", false, &["model", "provider", "category"]),
    ("fleetscope_llm_cost_total", false, &["model", "provider", "currency", "source"]),
    ("fleetscope_llm_unpriced_tokens_total", false, &["model", "provider"]),
    ("fleetscope_llm_requests_total", false, &["model", "provider", "result"]),
    ("fleetscope_llm_rate_limited_total", false, &["model", "provider"]),
    ("fleetscope_context_window_utilization_ratio", false, &["agent_type", "model"]),
    ("http_server_request_duration_seconds", true, &["http_request_method", "http_route", "http_response_status_code"]),
    ("fleetscope_task_queue_size", false, &["priority"]),
    ("fleetscope_otlp_received_total", false, &["signal"]),
    ("fleetscope_otlp_rejected_total", false, &["signal", "reason"]),
    ("fleetscope_export_failed_total", false, &["exporter"]),
    ("fleetscope_export_sent_total", false, &["exporter"]),
    ("git_lock_wait_duration_seconds", true, &[]),
    ("task_retry_count", true, &[]),
];

/// All of them.
pub(super) fn series() -> BTreeMap<String, Labels> {
    let mut known = BTreeMap::new();
    let mut add = |name: &str, histogram: bool, labels: Labels| {
        if histogram {
            for (ending, le) in [("_bucket", true), ("_count", false), ("_sum", false)] {
                let mut labels = labels.clone();
                labels.extend(le.then_some("le"));
                known.insert(format!("{name}{ending}"), labels);
            }
        } else {
            known.insert(name.to_owned(), labels);
        }
    };
    for metric in ALL {
        let mut labels: Labels = metric.labels.iter().copied().chain(TARGET).collect();
        if metric.scope == Scope::Fleet {
            labels.extend(IDENTITY_LABELS);
        }
        add(metric.name, matches!(metric.kind, Kind::Histogram(_)), labels);
    }
    for (name, labels) in RECORDED {
        add(name, false, labels.iter().copied().chain(FLEET).collect());
    }
    for (name, histogram, labels) in OF_AGENTS {
        add(name, histogram, labels.iter().copied().chain(IDENTITY_LABELS).collect());
    }
    known
}
