//! Which pods become which targets, by relabeling as Prometheus does it (its `model/relabel/relabel.go`).

use regex::Regex;

use super::*;
use crate::api::scrape_policy::{RelabelAction, Relabeling};
use crate::pods::selects;
use relabel::Discovery;

static MINIMAL_POLICY: LazyLock<ScrapePolicy> = LazyLock::new(|| policy(MINIMAL, &json!({})));

type Labels = BTreeMap<String, String>;

/// A pod, as far as targets are made of it.
#[derive(Clone, Debug)]
struct Pod {
    ip: String,
    labels: Labels,
    annotations: Labels,
    /// Containers: name, and ports by name and number.
    containers: Vec<(String, Vec<(String, u16)>)>,
}

fn label(prefix: &str, key: &str) -> String {
    let key: String = key.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
    format!("__meta_kubernetes_pod_{prefix}_{key}")
}

/// The targets that Prometheus discovers: one for each port, and for each container without one (its `discovery/kubernetes/pod.go`).
fn discovered(pod: &Pod, services: bool) -> Vec<Labels> {
    let mut common = Labels::from([
        ("__meta_kubernetes_pod_ip".to_owned(), pod.ip.clone()),
        ("__meta_kubernetes_pod_name".to_owned(), "p".to_owned()),
        ("__meta_kubernetes_pod_phase".to_owned(), "Running".to_owned()),
        ("__metrics_path__".to_owned(), "/metrics".to_owned()),
    ]);
    for (key, value) in &pod.labels {
        common.extend([(label("label", key), value.clone()), (label("labelpresent", key), "true".to_owned())]);
    }
    common.extend(pod.annotations.iter().map(|(key, value)| (label("annotation", key), value.clone())));
    let host = if pod.ip.contains(':') { format!("[{}]", pod.ip) } else { pod.ip.clone() };
    let mut targets = Vec::new();
    for (container, ports) in &pod.containers {
        let mut target = common.clone();
        target.insert("__meta_kubernetes_pod_container_name".to_owned(), container.clone());
        if ports.is_empty() {
            target.insert("__address__".to_owned(), pod.ip.clone());
            targets.push(target.clone());
        }
        for (name, number) in ports {
            target.insert("__address__".to_owned(), format!("{host}:{number}"));
            target.insert("__meta_kubernetes_pod_container_port_name".to_owned(), name.clone());
            if services {
                target.insert("__meta_kubernetes_endpointslice_port_name".to_owned(), name.clone());
            }
            targets.push(target.clone());
        }
    }
    targets
}

/// What prometheus-operator does before the steps of a monitor.
fn prepared(mut target: Labels) -> Labels {
    for (from, to) in [("pod_name", "pod"), ("pod_container_name", "container")] {
        let value = target.get(&format!("__meta_kubernetes_{from}")).cloned();
        target.extend(value.map(|value| (to.to_owned(), value)));
    }
    target
}

fn relabeled(mut target: Labels, steps: &[Relabeling]) -> Option<Labels> {
    for step in steps {
        let separator = step.separator.as_deref().unwrap_or(";");
        let sources: Vec<&str> =
            step.source_labels.iter().map(|name| target.get(name).map_or("", String::as_str)).collect();
        let value = sources.join(separator);
        let regex = Regex::new(&format!("^(?s:{})$", step.regex.as_deref().unwrap_or("(.*)"))).unwrap();
        match step.action {
            RelabelAction::Keep if !regex.is_match(&value) => return None,
            RelabelAction::Drop if regex.is_match(&value) => return None,
            RelabelAction::Keep | RelabelAction::Drop => {}
            RelabelAction::LabelDrop => target.retain(|name, _| !regex.is_match(name)),
            RelabelAction::Replace => {
                let Some(groups) = regex.captures(&value) else { continue };
                let mut new = String::new();
                groups.expand(step.replacement.as_deref().unwrap_or("$1"), &mut new);
                let name = step.target_label.clone().unwrap();
                if new.is_empty() {
                    target.remove(&name)
                } else {
                    target.insert(name, new)
                };
            }
            other => panic!("{other:?} is none of ours"),
        }
    }
    target.retain(|name, _| !name.starts_with("__meta_"));
    Some(target)
}

/// What Prometheus scrapes of a pod: targets that are the same are one.
fn scraped(pod: &Pod, fleet: &FleetRef, discovery: Discovery, policy: &ScrapePolicy) -> BTreeSet<Labels> {
    if discovery != Discovery::ServiceMonitor && !selects(&fleet.selector, &pod.labels) {
        return BTreeSet::new();
    }
    let steps = relabel::pods(&policy.spec, fleet, "agents", discovery);
    let targets = discovered(pod, discovery == Discovery::ServiceMonitor).into_iter();
    let prepare = |target| if discovery == Discovery::Pods { target } else { prepared(target) };
    targets.filter_map(|target| relabeled(prepare(target), &steps)).collect()
}

fn pod(annotations: &[(&str, &str)], containers: &[(&str, &[(&str, u16)])]) -> Pod {
    let annotations = annotations.iter().map(|(key, value)| (format!("fleetscope.io/{key}"), (*value).to_owned()));
    let ports = |ports: &[(&str, u16)]| ports.iter().map(|(name, number)| ((*name).to_owned(), *number)).collect();
    Pod {
        ip: "10.0.0.9".to_owned(),
        labels: Labels::new(),
        annotations: annotations.collect(),
        containers: containers.iter().map(|(name, own)| ((*name).to_owned(), ports(own))).collect(),
    }
}

/// Each target as `address path container namespace/fleet`.
fn shown(targets: &BTreeSet<Labels>) -> Vec<String> {
    let value = |target: &Labels, name: &str| target.get(name).cloned().unwrap_or_else(|| "-".to_owned());
    let show = |target: &Labels| {
        let names = ["__address__", "__metrics_path__", "container", "namespace", "fleet"];
        names.map(|name| value(target, name)).join(" ")
    };
    targets.iter().map(show).collect()
}

const ALL: [Discovery; 3] = [Discovery::PodMonitor, Discovery::ServiceMonitor, Discovery::Pods];

fn any() -> FleetRef {
    FleetRef { name: "f".to_owned(), ..FleetRef::default() }
}

#[test]
fn a_named_port_is_scraped_where_it_is_declared() {
    let two =
        pod(&[], &[("agent", &[("grpc", 50_051), ("metrics", 8_080)]), ("proxy", &[]), ("other", &[("metrics", 9)])]);
    for discovery in ALL {
        let targets = scraped(&two, &any(), discovery, &MINIMAL_POLICY);
        assert_eq!(shown(&targets), ["10.0.0.9:8080 /metrics agent agents f", "10.0.0.9:9 /metrics other agents f"]);
    }
}

#[test]
fn a_pod_that_says_its_port_is_scraped_there_once_whatever_it_declares() {
    let annotations = [("metrics-port", "7000"), ("metrics-path", "internal/stats")];
    for containers in [
        &[("agent", &[] as &[(&str, u16)])] as &[(&str, &[(&str, u16)])],
        &[("agent", &[("metrics", 8_080)])],
        &[("agent", &[("metrics", 7_000), ("grpc", 50_051)]), ("proxy", &[])],
    ] {
        for discovery in [Discovery::PodMonitor, Discovery::Pods] {
            let targets = scraped(&pod(&annotations, containers), &any(), discovery, &MINIMAL_POLICY);
            assert_eq!(shown(&targets), ["10.0.0.9:7000 /internal/stats - agents f"]);
        }
    }
}

#[test]
fn a_number_in_the_policy_needs_no_declaration_and_a_pod_may_say_another() {
    let policy = policy(MINIMAL, &json!({ "pods": { "portNumber": 9_000 } }));
    let containers: &[(&str, &[(&str, u16)])] = &[("agent", &[("a", 1), ("b", 2)]), ("proxy", &[])];
    for discovery in ALL {
        let targets = scraped(&pod(&[], containers), &any(), discovery, &policy);
        assert_eq!(shown(&targets), ["10.0.0.9:9000 /metrics - agents f"]);
        let targets = scraped(&pod(&[("metrics-port", "7")], containers), &any(), discovery, &policy);
        assert_eq!(shown(&targets), ["10.0.0.9:7 /metrics - agents f"]);
    }
}

#[test]
fn an_address_of_ipv6_has_its_brackets() {
    for ip in ["fd00::9", "::1"] {
        let pod = Pod { ip: ip.to_owned(), ..pod(&[("metrics-port", "7")], &[("agent", &[])]) };
        for changes in [json!({}), json!({ "pods": { "portNumber": 9_000 } })] {
            let targets = scraped(&pod, &any(), Discovery::PodMonitor, &policy(MINIMAL, &changes));
            assert_eq!(shown(&targets), [format!("[{ip}]:7 /metrics - agents f")]);
        }
    }
    let pod = Pod { ip: "fd00::9".to_owned(), ..pod(&[], &[("agent", &[])]) };
    let targets = scraped(&pod, &any(), Discovery::Pods, &policy(MINIMAL, &json!({ "pods": { "portNumber": 9_000 } })));
    assert_eq!(shown(&targets), ["[fd00::9]:9000 /metrics - agents f"]);
}

#[test]
fn an_annotation_that_is_no_number_counts_for_nothing() {
    let pod = pod(&[("metrics-port", "http"), ("telemetry", "no")], &[("agent", &[("metrics", 8)])]);
    for discovery in ALL {
        assert_eq!(shown(&scraped(&pod, &any(), discovery, &MINIMAL_POLICY)), ["10.0.0.9:8 /metrics agent agents f"]);
    }
}

#[test]
fn a_pod_that_opts_out_is_not_scraped() {
    let pod = pod(&[("telemetry", "false"), ("metrics-port", "7")], &[("agent", &[("metrics", 8)])]);
    for discovery in ALL {
        assert_eq!(scraped(&pod, &any(), discovery, &MINIMAL_POLICY), BTreeSet::new());
    }
}

#[test]
fn a_pod_that_an_older_fleet_has_is_scraped_as_the_older_ones() {
    let elder = LabelSelector {
        match_expressions: Some(vec![requirement("app", "In", &["a", "b"]), requirement("stage", "NotIn", &["test"])]),
        ..LabelSelector::default()
    };
    let younger = FleetRef { elders: vec![elder], ..any() };
    for (app, stage, scraped_here) in [("a", "live", false), ("a", "test", true), ("c", "live", true), ("b", "", false)]
    {
        let mut pod = pod(&[], &[("agent", &[("metrics", 8)])]);
        pod.labels = [("app", app), ("stage", stage)].map(|(key, value)| (key.to_owned(), value.to_owned())).into();
        for discovery in ALL {
            let targets = scraped(&pod, &younger, discovery, &MINIMAL_POLICY);
            assert_eq!(targets.len(), usize::from(scraped_here), "{app} {stage}");
            assert!(targets.iter().all(|target| !target.keys().any(|name| name.starts_with("__tmp"))));
        }
    }
}

#[test]
fn values_with_a_dollar_and_labels_of_pods_arrive_as_they_are() {
    let mut pod = pod(&[], &[("agent", &[("metrics", 8)])]);
    pod.labels.insert("app.kubernetes.io/version".to_owned(), "1.2".to_owned());
    let changes =
        json!({ "targetLabels": { "price": "$5 ${1}" }, "podTargetLabels": ["app.kubernetes.io/version", "none"] });
    let targets = scraped(&pod, &any(), Discovery::Pods, &policy(MINIMAL, &changes));
    let target = targets.first().unwrap();
    assert_eq!((target["price"].as_str(), target["app_kubernetes_io_version"].as_str()), ("$5 ${1}", "1.2"));
    assert!(!target.contains_key("none"));
}

#[test]
fn nothing_that_a_user_relabels_hides_whose_a_target_is() {
    let pod = pod(&[], &[("agent", &[("metrics", 8)])]);
    let changes = json!({ "relabelings": [{ "action": "labeldrop", "regex": "fleet|namespace|container" }] });
    let targets = scraped(&pod, &any(), Discovery::PodMonitor, &policy(MINIMAL, &changes));
    assert_eq!(shown(&targets), ["10.0.0.9:8 /metrics - agents f"]);
    let changes = json!([{ "action": "labelmap", "regex": "x_(.+)" }]);
    let steps = |honor: bool| {
        let policy = policy(MINIMAL, &json!({ "metricRelabelings": changes, "honorLabels": honor }));
        relabel::camel(&relabel::metrics(&policy.spec, "f", "agents")[1..])
    };
    assert_eq!(
        steps(false),
        json!([
            { "action": "replace", "targetLabel": "namespace", "replacement": "agents" },
            { "action": "replace", "targetLabel": "fleet", "replacement": "f" },
        ])
    );
    assert_eq!(
        steps(true),
        json!([
            { "action": "replace", "sourceLabels": ["namespace"], "regex": "()", "targetLabel": "namespace", "replacement": "agents" },
            { "action": "replace", "sourceLabels": ["fleet"], "regex": "()", "targetLabel": "fleet", "replacement": "f" },
        ])
    );
    let policy =
        policy(MINIMAL, &json!({ "metricRelabelings": [{ "action": "drop", "sourceLabels": ["a"], "regex": "b" }] }));
    assert_eq!(relabel::metrics(&policy.spec, "f", "agents"), policy.spec.metric_relabelings);
}

fn labels() -> impl Strategy<Value = Labels> {
    proptest::collection::btree_map("app|tier|a[.]b/c", "a|b|a[.]b|axb", 0..4)
}

fn selector() -> impl Strategy<Value = LabelSelector> {
    let requirement =
        ("app|tier|a[.]b/c", "In|NotIn|Exists|DoesNotExist", proptest::collection::vec("a|b|a[.]b", 1..3));
    let requirements = proptest::collection::vec(requirement, 0..3);
    (proptest::option::of(labels()), requirements).prop_map(|(match_labels, requirements)| {
        let requirements = requirements.into_iter().map(|(key, operator, values)| {
            let values = operator.ends_with("In").then_some(values);
            LabelSelectorRequirement { key, operator, values }
        });
        LabelSelector { match_labels, match_expressions: Some(requirements.collect()) }
    })
}

proptest! {
    #[test]
    fn no_pod_is_scraped_twice_and_none_is_missed(
        annotation in proptest::option::of(prop_oneof![Just("x".to_owned()), (1_u16..).prop_map(|port| port.to_string())]),
        containers in proptest::collection::vec(proptest::collection::btree_set("metrics|grpc|web", 0..3), 1..4),
        opted_out: bool,
        labels in labels(),
        selector in selector(),
        elders in proptest::collection::vec(selector(), 0..3),
    ) {
        let mut number = 0;
        let mut port = |name: &String| { number += 1; (name.clone(), number) };
        let containers: Vec<(String, Vec<(String, u16)>)> = containers.iter().enumerate()
            .map(|(i, ports)| (format!("c{i}"), ports.iter().map(&mut port).collect())).collect();
        let mut pod = Pod { labels, containers, ..pod(&[], &[]) };
        pod.annotations.extend(annotation.iter().map(|port| ("fleetscope.io/metrics-port".to_owned(), port.clone())));
        if opted_out {
            pod.annotations.insert("fleetscope.io/telemetry".to_owned(), "false".to_owned());
        }
        let said = annotation.as_ref().and_then(|port| port.parse::<u16>().ok());
        let declared = pod.containers.iter().flat_map(|(_, ports)| ports).filter(|(name, _)| name == "metrics");
        let wanted: BTreeSet<String> = match said {
            _ if opted_out || !selects(&selector, &pod.labels) => BTreeSet::new(),
            _ if elders.iter().any(|elder| selects(elder, &pod.labels)) => BTreeSet::new(),
            Some(port) => [format!("10.0.0.9:{port}")].into(),
            None => declared.map(|(_, port)| format!("10.0.0.9:{port}")).collect(),
        };
        let fleet = FleetRef { name: "f".to_owned(), selector, elders, ..FleetRef::default() };
        for discovery in ALL {
            let targets = scraped(&pod, &fleet, discovery, &MINIMAL_POLICY);
            let addresses: Vec<String> = targets.iter().map(|target| target["__address__"].clone()).collect();
            prop_assert_eq!(&addresses.iter().cloned().collect::<BTreeSet<_>>(), &wanted, "{:?}", discovery);
            prop_assert_eq!(addresses.len(), wanted.len());
        }
    }
}
