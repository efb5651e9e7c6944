//! Relabelings: which targets are kept, where each is asked, and what its series are labelled with.
//!
//! The same list serves all outputs: each discovers a target for every port (and every container without one) of the fleet's pods, and the
//! list keeps one of them. That is why a monitor's endpoint names no port itself: prometheus-operator would then keep only
//! containers that declare it, and a pod that says its port by annotation may declare none.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use serde_json::Value;

use super::{FleetRef, Port};
use crate::api::ScrapePolicySpec;
use crate::api::scrape_policy::{RelabelAction, Relabeling};

/// Annotation of a pod: the number of the port that its metrics are on.
pub const METRICS_PORT: &str = "fleetscope.io/metrics-port";
/// Annotation of a pod: the path that its metrics are on.
pub const METRICS_PATH: &str = "fleetscope.io/metrics-path";

/// A port's number, as an annotation has it.
const NUMBER: &str = "[0-9]{1,5}";

/// Who finds the pods.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Discovery {
    /// A PodMonitor: prometheus-operator keeps the fleet's pods and labels them.
    PodMonitor,
    /// A ServiceMonitor: prometheus-operator keeps what is behind the Services, and labels it.
    ServiceMonitor,
    /// Prometheus itself: the API server keeps the fleet's pods, nobody labels them.
    Pods,
}

/// Of a fleet's pods.
pub(super) fn pods(
    spec: &ScrapePolicySpec,
    fleet: &FleetRef,
    namespace: &str,
    discovery: Discovery,
) -> Vec<Relabeling> {
    let mut steps = Vec::new();
    if discovery == Discovery::ServiceMonitor {
        steps.push(keep(&["__meta_kubernetes_pod_name"], ".+"));
        steps.extend(selected(&fleet.selector));
    }
    if discovery == Discovery::Pods && spec.filter_running {
        steps.push(drop(&["__meta_kubernetes_pod_phase"], "Failed|Succeeded"));
    }
    steps.push(drop(&[&annotation(crate::pods::TELEMETRY)], "false"));
    for elder in &fleet.elders {
        steps.extend(not_selected(elder));
    }
    let port = fleet.port(spec);
    steps.extend(kept_port(&port, discovery));
    if discovery == Discovery::Pods {
        steps.push(copy("__meta_kubernetes_pod_name", "pod"));
        steps.push(copy("__meta_kubernetes_pod_container_name", "container"));
        for label in &spec.pod_target_labels {
            let label = sanitized(label);
            let source = format!("__meta_kubernetes_pod_label_{label}");
            steps.push(Relabeling { regex: some("(.+)"), ..copy(&source, &label) });
        }
    }
    steps.extend(addressed(&port));
    let path = annotation(METRICS_PATH);
    steps.push(replace(&[&path], "/?(.+)", "__metrics_path__", "/${1}"));
    steps.extend(own(spec, &fleet.name, namespace));
    steps
}

/// What every target gets: the policy's labels, then the user's changes, then whose it is, which nobody changes.
pub(super) fn own(spec: &ScrapePolicySpec, fleet: &str, namespace: &str) -> Vec<Relabeling> {
    let labels = spec.target_labels.iter().map(|(name, value)| set(name, &value.0));
    labels.chain(spec.relabelings.iter().cloned()).chain(whose(fleet, namespace)).collect()
}

/// The user's changes of series. Those that may change any label are followed by whose the series is; where the labels that targets
/// expose win, only if it has none.
pub(super) fn metrics(spec: &ScrapePolicySpec, fleet: &str, namespace: &str) -> Vec<Relabeling> {
    let any = |step: &Relabeling| {
        matches!(step.action, RelabelAction::LabelMap | RelabelAction::LabelDrop | RelabelAction::LabelKeep)
            || step.target_label.as_ref().is_some_and(|target| target.contains('$'))
    };
    let mut steps = spec.metric_relabelings.clone();
    if !steps.iter().any(any) {
        return steps;
    }
    for step in whose(fleet, namespace) {
        steps.push(if spec.honor_labels {
            let source_labels = step.target_label.iter().cloned().collect();
            Relabeling { source_labels, regex: some("()"), ..step }
        } else {
            step
        });
    }
    steps
}

/// As prometheus-operator's objects have it.
pub(super) fn camel(steps: &[Relabeling]) -> Value {
    let fields = |step: &Relabeling| {
        let mut fields = serde_json::to_value(step).expect("a relabeling of texts and numbers is JSON");
        if step.source_labels.is_empty()
            && let Some(fields) = fields.as_object_mut()
        {
            fields.remove("sourceLabels");
        }
        fields
    };
    steps.iter().map(fields).collect()
}

/// As prometheus.yml has it.
pub(super) fn snake(steps: &[Relabeling]) -> Value {
    let Value::Array(steps) = camel(steps) else { return Value::Null };
    let renamed = |step: Value| match step {
        Value::Object(fields) => fields.into_iter().map(|(name, value)| (super::plain::snake(&name), value)).collect(),
        other => other,
    };
    steps.into_iter().map(renamed).collect::<Vec<Value>>().into()
}

/// Keeps the targets with the port, and one of those of a pod that says its port itself: they all become the same one.
fn kept_port(port: &Port, discovery: Discovery) -> Option<Relabeling> {
    let Port::Name(name) = port else { return None };
    let said = annotation(METRICS_PORT);
    let name = quote(name);
    Some(match discovery {
        // Which of the two names there is depends on the role by which that Prometheus discovers.
        Discovery::ServiceMonitor => keep(
            &[&said, "__meta_kubernetes_endpoint_port_name", "__meta_kubernetes_endpointslice_port_name"],
            &format!("{NUMBER};.*|.*;{name};|.*;;{name}"),
        ),
        Discovery::PodMonitor | Discovery::Pods => {
            keep(&[&said, "__meta_kubernetes_pod_container_port_name"], &format!("{NUMBER};.*|.*;{name}"))
        }
    })
}

/// Puts numbers of ports into addresses. The label `container` goes where the port is said by number, for it would name whichever container a target was
/// discovered with; without it, all targets of such a pod are one and the same, and Prometheus scrapes it once.
fn addressed(port: &Port) -> Vec<Relabeling> {
    let said = annotation(METRICS_PORT);
    let mut steps = Vec::new();
    if let Port::Number(number) = port {
        steps.push(replace(&["__meta_kubernetes_pod_ip"], "([^:]+)", "__address__", &format!("${{1}}:{number}")));
        steps.push(replace(&["__meta_kubernetes_pod_ip"], "(.+:.*)", "__address__", &format!("[${{1}}]:{number}")));
    }
    let address = ["__meta_kubernetes_pod_ip", said.as_str()];
    steps.push(replace(&address, &format!("([^:;]+);({NUMBER})"), "__address__", "${1}:${2}"));
    steps.push(replace(&address, &format!("([^;]+:[^;]*);({NUMBER})"), "__address__", "[${1}]:${2}"));
    steps.push(match port {
        Port::Number(_) => {
            Relabeling { action: RelabelAction::LabelDrop, regex: some("container"), ..Relabeling::default() }
        }
        Port::Name(_) => replace(&[&said], NUMBER, "container", ""),
    });
    steps
}

/// What a requirement of a selector says of the labels that discovery gives.
struct Requirement {
    sources: Vec<String>,
    regex: String,
    /// Whether labels that match meet it; else those that do not.
    positive: bool,
}

/// The requirements of a selector (prometheus-operator's, for its own selectors).
fn requirements(selector: &LabelSelector) -> Vec<Requirement> {
    let present = |key: &str| format!("__meta_kubernetes_pod_labelpresent_{}", sanitized(key));
    let listed = |key: &str, values: &[String], positive| {
        let values: Vec<String> = values.iter().map(|value| quote(value)).collect();
        let value = format!("__meta_kubernetes_pod_label_{}", sanitized(key));
        Requirement { sources: vec![value, present(key)], regex: format!("({});true", values.join("|")), positive }
    };
    let there = |key: &str, positive| Requirement { sources: vec![present(key)], regex: "true".to_owned(), positive };
    let equal = selector.match_labels.iter().flatten();
    let equal = equal.map(|(key, value)| listed(key, std::slice::from_ref(value), true));
    let expressions = selector.match_expressions.iter().flatten().map(|requirement| {
        let (key, values) = (requirement.key.as_str(), requirement.values.as_deref().unwrap_or_default());
        match requirement.operator.as_str() {
            "In" => listed(key, values, true),
            "NotIn" => listed(key, values, false),
            "Exists" => there(key, true),
            "DoesNotExist" => there(key, false),
            // No selector with another operator takes anything (see `pods::selects`).
            _ => Requirement { sources: Vec::new(), regex: ".*".to_owned(), positive: false },
        }
    });
    equal.chain(expressions).collect()
}

/// Keeps the pods that a selector takes.
fn selected(selector: &LabelSelector) -> impl Iterator<Item = Relabeling> {
    requirements(selector).into_iter().map(|Requirement { sources, regex, positive }| Relabeling {
        action: if positive { RelabelAction::Keep } else { RelabelAction::Drop },
        source_labels: sources,
        regex: Some(regex),
        ..Relabeling::default()
    })
}

/// Drops the pods that a selector takes: those that meet all of its requirements. They are counted in a label, a 1 for each that is met and one to
/// begin with, as a regular expression cannot say that something does not match.
fn not_selected(selector: &LabelSelector) -> Vec<Relabeling> {
    const MET: &str = "__tmp_fleetscope_met";
    let requirements = requirements(selector);
    let all = format!("1{{{}}}", requirements.len() + 1);
    let mut steps = vec![set(MET, "1")];
    for Requirement { sources, regex, positive } in requirements {
        let sources: Vec<&str> = std::iter::once(MET).chain(sources.iter().map(String::as_str)).collect();
        if positive {
            steps.push(replace(&sources, &format!("(1+);{regex}"), MET, "${1}1"));
        } else {
            steps.push(replace(&[MET], "(1+)", MET, "${1}1"));
            let separator = if sources.len() > 1 { ";" } else { "" };
            steps.push(replace(&sources, &format!("(1+)1{separator}{regex}"), MET, "${1}"));
        }
    }
    steps.push(drop(&[MET], &all));
    steps.push(Relabeling { action: RelabelAction::LabelDrop, regex: some(MET), ..Relabeling::default() });
    steps
}

fn whose(fleet: &str, namespace: &str) -> [Relabeling; 2] {
    [set("namespace", namespace), set("fleet", fleet)]
}

fn annotation(key: &str) -> String {
    format!("__meta_kubernetes_pod_annotation_{}", sanitized(key))
}

/// A key as part of a label's name (Prometheus' `strutil.SanitizeLabelName`).
fn sanitized(key: &str) -> String {
    key.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect()
}

/// A text as a regular expression of itself.
fn quote(text: &str) -> String {
    let special = |c: char| r"\.+*?()|[]{}^$".contains(c);
    text.chars().flat_map(|c| special(c).then_some('\\').into_iter().chain([c])).collect()
}

fn set(label: &str, value: &str) -> Relabeling {
    // `$` would begin a group of the regular expression.
    Relabeling { target_label: some(label), replacement: Some(value.replace('$', "$$")), ..Relabeling::default() }
}

fn copy(source: &str, target: &str) -> Relabeling {
    Relabeling { source_labels: vec![source.to_owned()], target_label: some(target), ..Relabeling::default() }
}

fn replace(sources: &[&str], regex: &str, target: &str, replacement: &str) -> Relabeling {
    Relabeling {
        target_label: some(target),
        replacement: some(replacement),
        ..filter(RelabelAction::Replace, sources, regex)
    }
}

fn keep(sources: &[&str], regex: &str) -> Relabeling {
    filter(RelabelAction::Keep, sources, regex)
}

fn drop(sources: &[&str], regex: &str) -> Relabeling {
    filter(RelabelAction::Drop, sources, regex)
}

fn filter(action: RelabelAction, sources: &[&str], regex: &str) -> Relabeling {
    let source_labels = sources.iter().map(|source| (*source).to_owned()).collect();
    Relabeling { action, source_labels, regex: some(regex), ..Relabeling::default() }
}

#[expect(clippy::unnecessary_wraps, reason = "the fields that it fills are optional")]
fn some(text: &str) -> Option<String> {
    Some(text.to_owned())
}
