//! Whole messages for what people run into, and what holds for any labels and selectors.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::pods::selects;

fn labels(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

/// The monitor of a fleet.
fn monitor(own: &[(&str, &str)]) -> Child {
    Child {
        kind: ChildKind::PodMonitor,
        namespace: "agents".to_owned(),
        name: "review-scrape".to_owned(),
        labels: labels(own),
        namespace_labels: labels(&[("kubernetes.io/metadata.name", "agents"), ("stage", "test")]),
        status: Value::Null,
        label_field: "spec.scrape.labels of AgentFleet review".to_owned(),
        beyond_namespace: true,
    }
}

/// The rules of a policy.
fn rules(beyond_namespace: bool) -> Child {
    let namespace = if beyond_namespace { "fleetscope-system" } else { "agents" };
    let (kind, namespace, name) = (ChildKind::PrometheusRule, namespace.to_owned(), "policy-alerts".to_owned());
    Child { kind, namespace, name, beyond_namespace, ..monitor(&[]) }
}

/// Its receivers.
fn receivers(beyond_namespace: bool) -> Child {
    Child { kind: ChildKind::AlertmanagerConfig, name: "policy-receivers".to_owned(), ..rules(beyond_namespace) }
}

fn workload(kind: &str, name: &str, spec: &Value) -> Workload {
    let object = json!({ "kind": kind, "metadata": { "namespace": "monitoring", "name": name }, "spec": spec });
    Workload::of(&object).unwrap()
}

/// A Prometheus that takes PodMonitors of all namespaces by these.
fn prometheus(selector: &Value) -> Workload {
    workload("Prometheus", "kps", &json!({ "podMonitorSelector": selector, "podMonitorNamespaceSelector": {} }))
}

fn by(names: &[&str]) -> Verdict {
    Verdict::Selected(names.iter().map(|name| (*name).to_owned()).collect())
}

fn why(child: &Child, workloads: &[Workload]) -> String {
    match judge(child, workloads) {
        Verdict::NotSelected(why) => why,
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_empty_selector_takes_all_and_one_that_is_not_set_nothing() {
    assert_eq!(judge(&monitor(&[]), &[prometheus(&json!({}))]), by(&["Prometheus monitoring/kps"]));
    assert_eq!(
        why(&monitor(&[]), &[prometheus(&Value::Null)]),
        "PodMonitor agents/review-scrape is not selected: Prometheus monitoring/kps takes no PodMonitor, as its spec.podMonitorSelector is not set; remedy: kubectl -n monitoring patch prometheus kps --type merge -p '{\"spec\":{\"podMonitorSelector\":{}}}'"
    );
}

#[test]
fn the_release_label_of_kube_prometheus_stack_is_named_where_it_is_missing_and_where_it_differs() {
    let kps = [prometheus(&json!({ "matchLabels": { "release": "kps" } }))];
    assert_eq!(judge(&monitor(&[("release", "kps")]), &kps), by(&["Prometheus monitoring/kps"]));
    let remedy = "remedy: helm upgrade fleetscope CHART --reuse-values --set-string monitoring.labels.release=kps, or release: kps in spec.scrape.labels of AgentFleet review";
    let start = "PodMonitor agents/review-scrape is not selected: Prometheus monitoring/kps takes PodMonitors with label release=kps, and this one has";
    assert_eq!(why(&monitor(&[]), &kps), format!("{start} no label release; {remedy}"));
    assert_eq!(why(&monitor(&[("release", "x")]), &kps), format!("{start} release=x; {remedy}"));
}

#[test]
fn every_operator_of_a_selector_is_a_sentence_with_its_remedy() {
    let start = "PodMonitor agents/review-scrape is not selected: Prometheus monitoring/kps takes PodMonitors with";
    let field = "spec.scrape.labels of AgentFleet review";
    for (requirement, says) in [
        (
            json!({ "key": "team.io/a", "operator": "In", "values": ["x", "y"] }),
            format!("label team.io/a in (x, y), and this one has no label team.io/a; remedy: helm upgrade fleetscope CHART --reuse-values --set-string 'monitoring.labels.team\\.io/a=x', or team.io/a: x in {field}"),
        ),
        (
            json!({ "key": "team", "operator": "Exists" }),
            format!("a label team, and this one has no label team; remedy: helm upgrade fleetscope CHART --reuse-values --set-string monitoring.labels.team=true, or team: true in {field}"),
        ),
        (
            json!({ "key": "stage", "operator": "NotIn", "values": ["test"] }),
            format!("no label stage=test, and this one has stage=test; remedy: remove stage from the chart's monitoring.labels and from {field}"),
        ),
        (
            json!({ "key": "stage", "operator": "DoesNotExist" }),
            format!("no label stage, and this one has stage=test; remedy: remove stage from the chart's monitoring.labels and from {field}"),
        ),
        (
            json!({ "key": "app.kubernetes.io/name", "operator": "In", "values": ["x"] }),
            "label app.kubernetes.io/name=x, and this one has no label app.kubernetes.io/name; remedy: change spec.podMonitorSelector of Prometheus monitoring/kps, as the label app.kubernetes.io/name is Fleetscope's own".to_owned(),
        ),
    ] {
        let kps = [prometheus(&json!({ "matchExpressions": [requirement] }))];
        assert_eq!(why(&monitor(&[("stage", "test")]), &kps), format!("{start} {says}"));
    }
}

#[test]
fn namespaces_are_selected_by_their_labels_or_it_is_the_own_one() {
    let kps = |namespaces: &Value| {
        let spec = json!({ "podMonitorSelector": {}, "podMonitorNamespaceSelector": namespaces });
        [workload("Prometheus", "kps", &spec)]
    };
    let start = "PodMonitor agents/review-scrape is not selected: Prometheus monitoring/kps takes PodMonitors of";
    for (namespaces, says) in [
        (
            json!({ "matchLabels": { "team": "x" } }),
            "namespaces with label team=x, and namespace agents has no label team; remedy: kubectl label namespace agents team=x",
        ),
        (
            json!({ "matchLabels": { "stage": "live" } }),
            "namespaces with label stage=live, and namespace agents has stage=test; remedy: kubectl label --overwrite namespace agents stage=live",
        ),
        (
            json!({ "matchExpressions": [{ "key": "stage", "operator": "DoesNotExist" }] }),
            "namespaces with no label stage, and namespace agents has stage=test; remedy: kubectl label namespace agents stage-",
        ),
        (
            json!({ "matchLabels": { "kubernetes.io/metadata.name": "x" } }),
            "namespaces with label kubernetes.io/metadata.name=x, and namespace agents has kubernetes.io/metadata.name=agents; remedy: let spec.podMonitorNamespaceSelector of Prometheus monitoring/kps take namespace agents",
        ),
        (
            Value::Null,
            "its own namespace monitoring only; remedy: kubectl -n monitoring patch prometheus kps --type merge -p '{\"spec\":{\"podMonitorNamespaceSelector\":{}}}'",
        ),
    ] {
        assert_eq!(why(&monitor(&[]), &kps(&namespaces)), format!("{start} {says}"));
    }
    let own = Child { namespace: "monitoring".to_owned(), ..monitor(&[]) };
    assert_eq!(judge(&own, &kps(&Value::Null)), by(&["Prometheus monitoring/kps"]));
}

#[test]
fn all_that_is_missing_is_told_together_and_the_nearest_of_several_is_told_of() {
    let far = workload("Prometheus", "a-far", &json!({}));
    let near = prometheus(&json!({ "matchLabels": { "release": "kps", "team": "x" } }));
    assert_eq!(
        why(&monitor(&[]), &[far.clone(), near.clone()]),
        "PodMonitor agents/review-scrape is not selected: Prometheus monitoring/kps takes PodMonitors with label release=kps, and this one has no label release, and takes PodMonitors with label team=x, and this one has no label team; remedy: helm upgrade fleetscope CHART --reuse-values --set-string monitoring.labels.release=kps, or release: kps in spec.scrape.labels of AgentFleet review; and helm upgrade fleetscope CHART --reuse-values --set-string monitoring.labels.team=x, or team: x in spec.scrape.labels of AgentFleet review (1 other does not select it either)"
    );
    let agent =
        workload("PrometheusAgent", "agent", &json!({ "podMonitorSelector": {}, "podMonitorNamespaceSelector": {} }));
    assert_eq!(judge(&monitor(&[]), &[far, near, agent]), by(&["PrometheusAgent monitoring/agent"]));
}

#[test]
fn what_else_keeps_an_object_away_is_told() {
    let all = json!({ "podMonitorSelector": {}, "podMonitorNamespaceSelector": {}, "serviceMonitorSelector": {}, "serviceMonitorNamespaceSelector": {}, "ruleSelector": {}, "ruleNamespaceSelector": {} });
    let with = |kind: &str, field: &str, value: Value| {
        let mut spec = all.clone();
        spec[field] = value;
        [workload(kind, "kps", &spec)]
    };
    assert_eq!(
        why(&monitor(&[]), &with("Prometheus", "paused", json!(true))),
        "PodMonitor agents/review-scrape is not selected: Prometheus monitoring/kps is paused; remedy: kubectl -n monitoring patch prometheus kps --type merge -p '{\"spec\":{\"paused\":false}}'"
    );
    assert_eq!(
        why(&monitor(&[]), &with("Prometheus", "ignoreNamespaceSelectors", json!(true))),
        "PodMonitor agents/review-scrape is not selected: Prometheus monitoring/kps looks for targets in the PodMonitor's own namespace only (spec.ignoreNamespaceSelectors), and these are elsewhere; remedy: kubectl -n monitoring patch prometheus kps --type merge -p '{\"spec\":{\"ignoreNamespaceSelectors\":false}}'"
    );
    let services = Child { kind: ChildKind::ServiceMonitor, ..monitor(&[]) };
    assert_eq!(
        why(&services, &with("PrometheusAgent", "mode", json!("DaemonSet"))),
        "ServiceMonitor agents/review-scrape is not selected: PrometheusAgent monitoring/kps is an agent on each node (spec.mode: DaemonSet), which takes no ServiceMonitor; remedy: set output to PodMonitor"
    );
    let enforced = with("Prometheus", "enforcedNamespaceLabel", json!("namespace"));
    assert_eq!(
        why(&rules(true), &enforced),
        "PrometheusRule fleetscope-system/policy-alerts is not selected: Prometheus monitoring/kps limits rules to series of their own namespace (spec.enforcedNamespaceLabel), and this PrometheusRule is for all; remedy: add {group: monitoring.coreos.com, resource: prometheusrules, namespace: fleetscope-system} to spec.excludedFromEnforcement of Prometheus monitoring/kps"
    );
    assert_eq!(judge(&rules(false), &enforced), by(&["Prometheus monitoring/kps"]));
    let excluded = |name: &str| json!([{ "group": "monitoring.coreos.com", "resource": "prometheusrules", "namespace": "fleetscope-system", "name": name }]);
    for (name, takes) in [("", true), ("policy-alerts", true), ("other", false)] {
        let mut enforced = enforced.clone();
        enforced[0].spec["excludedFromEnforcement"] = excluded(name);
        assert_eq!(matches!(judge(&rules(true), &enforced), Verdict::Selected(_)), takes, "{name}");
    }
}

#[test]
fn receivers_for_all_namespaces_need_a_strategy_that_shows_them_all_alerts() {
    let alertmanager = |namespace: &str, strategy: &Value| {
        let spec = json!({ "alertmanagerConfigSelector": {}, "alertmanagerConfigNamespaceSelector": {}, "alertmanagerConfigMatcherStrategy": strategy });
        [Workload { namespace: namespace.to_owned(), ..workload("Alertmanager", "main", &spec) }]
    };
    let title = |namespace: &str| Verdict::Selected(vec![format!("Alertmanager {namespace}/main")]);
    let (none, except) = (json!({ "type": "None" }), json!({ "type": "OnNamespaceExceptForAlertmanagerNamespace" }));
    assert_eq!(judge(&receivers(false), &alertmanager("monitoring", &Value::Null)), title("monitoring"));
    assert_eq!(judge(&receivers(true), &alertmanager("monitoring", &none)), title("monitoring"));
    assert_eq!(judge(&receivers(true), &alertmanager("fleetscope-system", &except)), title("fleetscope-system"));
    for (strategy, named) in [(Value::Null, "OnNamespace"), (except, "OnNamespaceExceptForAlertmanagerNamespace")] {
        assert_eq!(
            why(&receivers(true), &alertmanager("monitoring", &strategy)),
            format!(
                "AlertmanagerConfig fleetscope-system/policy-receivers is not selected: Alertmanager monitoring/main gives the receivers of an AlertmanagerConfig the alerts of its own namespace only (spec.alertmanagerConfigMatcherStrategy: {named}), and this one is for all; remedy: kubectl -n monitoring patch alertmanager main --type merge -p '{{\"spec\":{{\"alertmanagerConfigMatcherStrategy\":{{\"type\":\"None\"}}}}}}'"
            )
        );
    }
}

#[test]
fn who_takes_what_is_as_prometheus_operator_has_it() {
    let every = json!({
        "podMonitorSelector": {}, "podMonitorNamespaceSelector": {}, "serviceMonitorSelector": {}, "serviceMonitorNamespaceSelector": {},
        "scrapeConfigSelector": {}, "scrapeConfigNamespaceSelector": {}, "ruleSelector": {}, "ruleNamespaceSelector": {},
        "alertmanagerConfigSelector": {}, "alertmanagerConfigNamespaceSelector": {},
    });
    let all = WorkloadKind::ALL.map(|kind| workload(kind.as_str(), "x", &every));
    for (kind, takes) in [
        (ChildKind::PodMonitor, &["Prometheus", "PrometheusAgent"] as &[&str]),
        (ChildKind::ServiceMonitor, &["Prometheus", "PrometheusAgent"]),
        (ChildKind::ScrapeConfig, &["Prometheus", "PrometheusAgent"]),
        (ChildKind::PrometheusRule, &["Prometheus", "ThanosRuler"]),
        (ChildKind::AlertmanagerConfig, &["Alertmanager"]),
    ] {
        let child = Child { kind, beyond_namespace: false, ..monitor(&[]) };
        let names: Vec<String> = takes.iter().map(|kind| format!("{kind} monitoring/x")).collect();
        assert_eq!(judge(&child, &all), Verdict::Selected(names), "{}", kind.as_str());
    }
}

#[test]
fn what_prometheus_operator_itself_says_counts() {
    let binding = |name: &str, status: &str, reason: &str| {
        json!({ "group": "monitoring.coreos.com", "resource": "prometheuses", "namespace": "monitoring", "name": name,
            "conditions": [{ "type": "Accepted", "status": status, "reason": reason, "message": "scrapeClass \"x\" not found" }] })
    };
    let told = |bindings: Value| Child { status: json!({ "bindings": bindings }), ..monitor(&[]) };
    let kps = [prometheus(&json!({}))];
    assert_eq!(
        why(&told(json!([binding("kps", "False", "InvalidConfiguration")])), &kps),
        "PodMonitor agents/review-scrape is not selected: Prometheus monitoring/kps selects it and refuses it: InvalidConfiguration: scrapeClass \"x\" not found; remedy: correct what it names"
    );
    let closed = [prometheus(&Value::Null)];
    assert_eq!(judge(&told(json!([binding("kps", "True", "")])), &closed), by(&["Prometheus monitoring/kps"]));
    // About others, and where it says nothing yet, the selectors count.
    let both = [binding("kps", "Unknown", ""), json!({ "resource": 1 })];
    assert_eq!(judge(&told(json!(both)), &kps), by(&["Prometheus monitoring/kps"]));
    assert_eq!(judge(&told(json!([binding("other", "False", "")])), &kps), by(&["Prometheus monitoring/kps"]));
    assert_eq!(judge(&told(json!([binding("other", "True", "")])), &[]), by(&["Prometheus monitoring/other"]));
}

#[test]
fn the_condition_is_about_all_objects_together() {
    let kps = [workload("Prometheus", "kps", &json!({ "podMonitorSelector": {}, "podMonitorNamespaceSelector": {} }))];
    let plain = Child { kind: ChildKind::ConfigMap, ..monitor(&[]) };
    let fact = |children: &[Child], workloads: &[Workload]| {
        let fact = condition(children, workloads);
        assert_eq!(fact.kind, ConditionType::Selected);
        (fact.status, fact.reason, fact.message)
    };
    let nothing = "nothing is generated that a Prometheus or an Alertmanager would have to select";
    assert_eq!(fact(std::slice::from_ref(&plain), &kps), (Status::True, Reason::NothingToSelect, nothing.to_owned()));
    let taken = (Status::True, Reason::SelectedBy, "selected by Prometheus monitoring/kps".to_owned());
    assert_eq!(fact(&[plain, monitor(&[]), monitor(&[])], &kps), taken);
    let alone =
        "there is no Prometheus of prometheus-operator in the cluster that could take PodMonitor agents/review-scrape";
    assert_eq!(fact(&[monitor(&[])], &[]), (Status::Unknown, Reason::NoPrometheus, alone.to_owned()));
    let alone = "there is no Alertmanager of prometheus-operator in the cluster that could take AlertmanagerConfig agents/policy-receivers";
    let both = [monitor(&[]), receivers(false)];
    assert_eq!(fact(&both, &kps), (Status::Unknown, Reason::NoPrometheus, alone.to_owned()));
    let (status, reason, message) = fact(&[receivers(false), rules(false), rules(false)], &kps);
    assert_eq!((status, reason), (Status::False, Reason::NotSelected));
    assert!(
        message.starts_with(
            "PrometheusRule agents/policy-alerts is not selected: Prometheus monitoring/kps takes no PrometheusRule, "
        ),
        "{message}"
    );
    assert!(message.ends_with("; 1 more object is not selected"), "{message}");
}

#[test]
fn other_objects_and_fields_of_other_types_are_read_leniently() {
    assert_eq!(Workload::of(&json!({ "kind": "Deployment", "metadata": { "namespace": "a", "name": "b" } })), None);
    assert_eq!(Workload::of(&json!({ "kind": "Prometheus", "metadata": { "name": "b" } })), None);
    for spec in [json!(null), json!([]), json!({ "podMonitorSelector": 1, "paused": "x", "mode": {} })] {
        assert!(matches!(judge(&monitor(&[]), &[workload("Prometheus", "kps", &spec)]), Verdict::NotSelected(_)));
    }
}

fn any_labels() -> impl Strategy<Value = BTreeMap<String, String>> {
    proptest::collection::btree_map("[abc]", "[xyz]", 0..4)
}

fn any_selector() -> impl Strategy<Value = Option<LabelSelector>> {
    let requirement = ("[abc]", "In|NotIn|Exists|DoesNotExist", proptest::collection::vec("[xyz]", 1..3)).prop_map(
        |(key, operator, values)| {
            let values = operator.ends_with("In").then_some(values);
            json!({ "key": key, "operator": operator, "values": values })
        },
    );
    let selector = (any_labels(), proptest::collection::vec(requirement, 0..3));
    proptest::option::of(selector.prop_map(|(equal, requirements)| {
        serde_json::from_value(json!({ "matchLabels": equal, "matchExpressions": requirements })).unwrap()
    }))
}

proptest! {
    #[test]
    fn an_object_is_taken_exactly_if_both_selectors_take_it(
        objects in any_selector(), namespaces in any_selector(), own in any_labels(), of_namespace in any_labels(), same: bool,
    ) {
        let namespace = if same { "monitoring" } else { "agents" };
        let child = Child { namespace: namespace.to_owned(), labels: own.clone(), namespace_labels: of_namespace.clone(), ..monitor(&[]) };
        let spec = json!({ "podMonitorSelector": objects, "podMonitorNamespaceSelector": namespaces });
        let taken = matches!(judge(&child, &[workload("Prometheus", "kps", &spec)]), Verdict::Selected(_));
        let expected = objects.is_some_and(|selector| selects(&selector, &own))
            && namespaces.map_or(same, |selector| selects(&selector, &of_namespace));
        prop_assert_eq!(taken, expected);
    }

    #[test]
    fn labels_of_the_remedy_make_it_selected(wanted in any_labels(), own in any_labels()) {
        let selector = LabelSelector { match_labels: Some(wanted), ..LabelSelector::default() };
        let missing = obstacle::unmet(&selector, &own);
        let given = missing.iter().filter_map(|unmet| Some((unmet.key().to_owned(), unmet.value()?.to_owned())));
        let with: BTreeMap<String, String> = own.into_iter().chain(given).collect();
        prop_assert_eq!(obstacle::unmet(&selector, &with), vec![]);
    }
}
