//! Indicators of SLOs: rates of good and of all events over five minutes, for each fleet.

use super::checker::Checker;
use super::fleets::{SelectedFleet, Selection};
use crate::api::alerting::{CallLatency, CallSuccess, Indicator, Ratio, Role, TaskLatency, TaskSuccess};
use crate::api::scalars::Decimal;
use crate::expose;
use crate::metrics::{self, Kind, Metric, OTHER};
use crate::promql::text::{one_of, quote};

/// Status of calls that OpenTelemetry counts as the server's errors.
const SERVER_ERRORS: [&str; 6] =
    ["UNKNOWN", "DEADLINE_EXCEEDED", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS"];
/// What rates are taken over.
const WINDOW: &str = "5m";

/// Rates per second, with the same labels.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Events {
    pub(super) good: String,
    pub(super) total: String,
}

/// The events of an indicator; None if something is wrong with it.
pub(super) fn events(
    path: &str,
    indicator: &Indicator,
    fleets: &Selection,
    selected: &[SelectedFleet],
    checker: &mut Checker<'_>,
) -> Option<Events> {
    match indicator {
        Indicator { task_success: Some(tasks), .. } => Some(task_success(tasks, fleets)),
        Indicator { task_latency: Some(tasks), .. } => {
            task_latency(&format!("{path}.taskLatency"), tasks, fleets, checker)
        }
        Indicator { call_success: Some(calls), .. } => Some(call_success(calls, fleets)),
        Indicator { call_latency: Some(calls), .. } => {
            call_latency(&format!("{path}.callLatency"), calls, fleets, selected, checker)
        }
        Indicator { ratio: Some(ratio), .. } => of_ratio(&format!("{path}.ratio"), ratio, fleets, checker),
        _ => {
            checker.value(
                path,
                "there is no indicator",
                "say what is good: taskSuccess, taskLatency, callSuccess, callLatency or ratio",
            );
            None
        }
    }
}

fn task_success(tasks: &TaskSuccess, fleets: &Selection) -> Events {
    let common = of_tasks(tasks.task.as_deref(), tasks.group.as_deref());
    let good = format!("result=~{}", quote(&one_of(tasks.good_results.iter().map(String::as_str))));
    let rate = |more: &[String]| rate(metrics::TASKS.name, fleets, &[&common[..], more].concat());
    Events { good: rate(&[good]), total: rate(&[]) }
}

fn task_latency(path: &str, tasks: &TaskLatency, fleets: &Selection, checker: &mut Checker<'_>) -> Option<Events> {
    let common = of_tasks(tasks.task.as_deref(), tasks.group.as_deref());
    let bounds = bounds(&metrics::TASK_DURATION);
    within(path, &tasks.threshold_seconds, &metrics::TASK_DURATION, &bounds, &common, fleets, checker)
}

fn call_success(calls: &CallSuccess, fleets: &Selection) -> Events {
    let metric = of_role(calls.role);
    let mut common = of_method(calls.method.as_deref());
    // What is not known to be good or bad counts for neither.
    common.push(format!("rpc_status_code!={}", quote(OTHER)));
    let good = match calls.role {
        Role::Server => format!("rpc_status_code!~{}", quote(&one_of(SERVER_ERRORS))),
        Role::Client => "rpc_status_code=\"OK\"".to_owned(),
    };
    let rate = |more: &[String]| rate(&format!("{}_count", metric.name), fleets, &[&common[..], more].concat());
    Events { good: rate(&[good]), total: rate(&[]) }
}

fn call_latency(
    path: &str,
    calls: &CallLatency,
    fleets: &Selection,
    selected: &[SelectedFleet],
    checker: &mut Checker<'_>,
) -> Option<Events> {
    let metric = of_role(calls.role);
    let mut common = bounds(metric);
    if let Some((first, others)) = selected.split_first() {
        let of = |fleet: &SelectedFleet| {
            if fleet.call_bounds.is_empty() { bounds(metric) } else { fleet.call_bounds.clone() }
        };
        common = of(first);
        for fleet in others {
            let theirs = of(fleet);
            common.retain(|bound| theirs.contains(bound));
        }
    }
    within(path, &calls.threshold_seconds, metric, &common, &of_method(calls.method.as_deref()), fleets, checker)
}

/// Events of a histogram that took at most as long as one of its bounds.
fn within(
    path: &str,
    threshold: &Decimal,
    metric: &Metric,
    bounds: &[f64],
    common: &[String],
    fleets: &Selection,
    checker: &mut Checker<'_>,
) -> Option<Events> {
    let wanted = threshold.value();
    let Some(bound) = bounds.iter().find(|bound| (**bound - wanted).abs() <= f64::EPSILON * wanted) else {
        let listed: Vec<String> = bounds.iter().map(ToString::to_string).collect();
        let remedy = if listed.is_empty() {
            "the fleets have no bound in common: give them the same spec.grpc.buckets, or an SLO for each".to_owned()
        } else {
            format!("set one of {}", listed.join(", "))
        };
        let message = format!("{} s is no bound of the histogram {}", threshold.0, metric.name);
        checker.value(format!("{path}.thresholdSeconds"), message, remedy);
        return None;
    };
    let spellings = expose::bounds_of(*bound);
    let le = match &spellings[..] {
        [one] => format!("le={}", quote(one)),
        all => format!("le=~{}", quote(&one_of(all.iter().map(String::as_str)))),
    };
    let good = [common, &[le]].concat();
    Some(Events {
        good: rate(&format!("{}_bucket", metric.name), fleets, &good),
        total: rate(&format!("{}_count", metric.name), fleets, common),
    })
}

fn of_ratio(path: &str, ratio: &Ratio, fleets: &Selection, checker: &mut Checker<'_>) -> Option<Events> {
    let window = [("window", WINDOW)];
    let good = checker.expression(&format!("{path}.good"), &ratio.good.0, fleets, &window);
    let total = checker.expression(&format!("{path}.total"), &ratio.total.0, fleets, &window);
    Some(Events { good: good?, total: total? })
}

/// Events per second of each fleet.
fn rate(metric: &str, fleets: &Selection, matchers: &[String]) -> String {
    let all: Vec<&str> = std::iter::once(&fleets.matchers).chain(matchers).map(String::as_str).collect();
    fleets.filter(&format!("sum by (namespace, fleet) (rate({metric}{{{}}}[{WINDOW}]))", all.join(",")))
}

fn of_tasks(task: Option<&str>, group: Option<&str>) -> Vec<String> {
    let matcher = |label: &str, value: Option<&str>| value.map(|value| format!("{label}={}", quote(value)));
    [matcher("task", task), matcher("group", group)].into_iter().flatten().collect()
}

fn of_method(method: Option<&str>) -> Vec<String> {
    method.iter().map(|method| format!("rpc_method={}", quote(method))).collect()
}

fn of_role(role: Role) -> &'static Metric {
    match role {
        Role::Server => &metrics::RPC_SERVER_DURATION,
        Role::Client => &metrics::RPC_CLIENT_DURATION,
    }
}

fn bounds(metric: &Metric) -> Vec<f64> {
    match metric.kind {
        Kind::Histogram(bounds) => bounds.to_vec(),
        Kind::Counter | Kind::Gauge | Kind::Info => Vec::new(),
    }
}
