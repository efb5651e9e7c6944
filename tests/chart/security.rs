//! What the pods may do, asserted word for word.

use serde_json::{Value, json};

use crate::{has_helm, object, objects, template};

fn render() -> Vec<Value> {
    objects(&template(&["-f", "tests/golden/chart/full-values.yaml"]).unwrap()).unwrap()
}

/// The node agent's container may do just this.
fn node_agent_context() -> Value {
    json!({
        "allowPrivilegeEscalation": false,
        "capabilities": {"add": ["BPF", "PERFMON"], "drop": ["ALL"]},
        "privileged": false,
        "readOnlyRootFilesystem": true,
        "runAsGroup": 0,
        "runAsUser": 0,
        "seccompProfile": {"type": "RuntimeDefault"},
    })
}

#[test]
#[ignore = "needs helm: make test-chart"]
fn node_agent_has_bpf_and_perfmon_and_nothing_of_the_host_but_two_read_only_folders_and_its_pins() {
    if !has_helm("chart::node_agent_has_bpf_and_perfmon_and_nothing_of_the_host_but_two_read_only_folders_and_its_pins")
    {
        return;
    }
    let objects = render();
    let spec = &object(&objects, "DaemonSet", "-node-agent")["spec"]["template"]["spec"];
    let containers = spec["containers"].as_array().unwrap();
    assert_eq!(containers.len(), 1);
    assert_eq!(spec["initContainers"], Value::Null);
    assert_eq!(containers[0]["securityContext"], node_agent_context());
    for host in ["hostPID", "hostNetwork", "hostIPC"] {
        assert_eq!(spec[host], false, "{host}");
    }
    assert_eq!(containers[0]["ports"], json!([{"name": "metrics", "containerPort": 10980}]));
    assert_eq!(
        containers[0]["volumeMounts"],
        json!([
            {"name": "cgroup", "mountPath": "/host/sys/fs/cgroup", "mountPropagation": "HostToContainer", "readOnly": true},
            {"name": "proc", "mountPath": "/host/proc", "mountPropagation": "HostToContainer", "readOnly": true},
            {"name": "bpf", "mountPath": "/sys/fs/bpf", "mountPropagation": "HostToContainer"},
        ])
    );
    assert_eq!(
        spec["volumes"],
        json!([
            {"name": "cgroup", "hostPath": {"path": "/sys/fs/cgroup", "type": "Directory"}},
            {"name": "proc", "hostPath": {"path": "/proc", "type": "Directory"}},
            {"name": "bpf", "hostPath": {"path": "/sys/fs/bpf", "type": "Directory"}},
        ])
    );
}

#[test]
#[ignore = "needs helm: make test-chart"]
fn unpin_has_no_capability_and_the_node_agent_behind_it_no_pins() {
    if !has_helm("chart::unpin_has_no_capability_and_the_node_agent_behind_it_no_pins") {
        return;
    }
    let values = ["-f", "tests/golden/chart/full-values.yaml", "--set", "nodeAgent.unpin=true"];
    let objects = objects(&template(&values).unwrap()).unwrap();
    let spec = &object(&objects, "DaemonSet", "-node-agent")["spec"]["template"]["spec"];
    let (unpin, agent) = (&spec["initContainers"][0], &spec["containers"][0]);
    let mut context = node_agent_context();
    context["capabilities"] = json!({"drop": ["ALL"]});
    assert_eq!(unpin["securityContext"], context);
    assert_eq!(
        (&unpin["image"], unpin["args"].clone()),
        (&agent["image"], json!(["--persist=/sys/fs/bpf/fleetscope", "--unpin"]))
    );
    let bpf = json!({"name": "bpf", "mountPath": "/sys/fs/bpf", "mountPropagation": "HostToContainer"});
    assert_eq!(unpin["volumeMounts"], json!([bpf]));
    assert!(!agent["volumeMounts"].as_array().unwrap().contains(&bpf), "{agent}");
    assert!(!agent["args"].to_string().contains("persist"), "{agent}");
}

#[test]
#[ignore = "needs helm: make test-chart"]
fn operator_has_no_capability_and_no_user_of_the_host() {
    if !has_helm("chart::operator_has_no_capability_and_no_user_of_the_host") {
        return;
    }
    let objects = render();
    let spec = &object(&objects, "Deployment", "-operator")["spec"]["template"]["spec"];
    assert_eq!(
        spec["securityContext"],
        json!({"runAsNonRoot": true, "runAsUser": 65532, "runAsGroup": 65532, "seccompProfile": {"type": "RuntimeDefault"}})
    );
    let containers = spec["containers"].as_array().unwrap();
    assert_eq!(containers.len(), 1);
    assert_eq!(
        containers[0]["securityContext"],
        json!({"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}, "privileged": false, "readOnlyRootFilesystem": true})
    );
    for host in ["hostPID", "hostNetwork", "hostIPC", "initContainers"] {
        assert_eq!(spec[host], Value::Null, "{host}");
    }
    let policy = json!([{"name": "policy", "configMap": {"name": "observe-operator-policy"}}]);
    assert_eq!(spec["volumes"], policy, "nothing of the host");
}

#[test]
#[ignore = "needs helm: make test-chart"]
fn check_of_helm_test_runs_as_the_node_agent_does() {
    if !has_helm("chart::check_of_helm_test_runs_as_the_node_agent_does") {
        return;
    }
    let objects = render();
    let spec = &object(&objects, "Pod", "-test")["spec"];
    let agent = &object(&objects, "DaemonSet", "-node-agent")["spec"]["template"]["spec"];
    assert_eq!(spec["containers"][0]["securityContext"], node_agent_context());
    for same in ["image", "volumeMounts"] {
        assert_eq!(spec["containers"][0][same], agent["containers"][0][same], "{same}");
    }
    assert_eq!(spec["volumes"], agent["volumes"]);
}

#[test]
#[ignore = "needs helm: make test-chart"]
fn no_role_has_a_wildcard_or_reads_secrets() {
    if !has_helm("chart::no_role_has_a_wildcard_or_reads_secrets") {
        return;
    }
    let everywhere = objects(&template(&["--set", "rbac.checkSecrets=false"]).unwrap()).unwrap();
    // With two namespaces named, a role of the operator and one of the node agent in each and in the release's own.
    for (objects, number) in [(&everywhere, 6), (&render(), 11)] {
        let roles: Vec<&Value> =
            objects.iter().filter(|object| object["kind"] == "ClusterRole" || object["kind"] == "Role").collect();
        assert_eq!(roles.len(), number, "a role that this test does not know");
        for role in roles {
            for rule in role["rules"].as_array().unwrap() {
                let words = rule.to_string();
                assert!(!words.contains('*') && !words.contains("secrets") && !words.contains("escalate"), "{rule}");
            }
        }
    }
    let agent = object(&everywhere, "ClusterRole", "-node-agent");
    assert_eq!(
        agent["rules"],
        json!([
            {"apiGroups": [""], "resources": ["pods"], "verbs": ["list", "watch"]},
            {"apiGroups": ["fleetscope.io"], "resources": ["agentfleets"], "verbs": ["list", "watch"]},
        ])
    );
}

#[test]
#[ignore = "needs helm: make test-chart"]
fn with_namespaces_named_nothing_that_is_in_one_is_a_right_of_the_cluster() {
    if !has_helm("chart::with_namespaces_named_nothing_that_is_in_one_is_a_right_of_the_cluster") {
        return;
    }
    let named = objects(&template(&["--set", "namespaces={a,b}"]).unwrap()).unwrap();
    let of = |kind: &str| named.iter().filter(|object| object["kind"] == kind).collect::<Vec<_>>();
    let bound: Vec<&str> =
        of("ClusterRoleBinding").iter().map(|binding| binding["roleRef"]["name"].as_str().unwrap()).collect();
    assert_eq!(bound, ["fleetscope-operator"], "the node agent has no right of the cluster");
    let all = [
        (
            "fleetscope.io",
            ["clusteralertpolicies", "modelpricelists", "clusteralertpolicies/status", "modelpricelists/status"]
                .as_slice(),
        ),
        ("events.k8s.io", &["events"]),
        ("", &["namespaces"]),
        ("monitoring.coreos.com", &["prometheuses", "prometheusagents", "thanosrulers", "alertmanagers"]),
        ("apiextensions.k8s.io", &["customresourcedefinitions"]),
    ];
    for rule in object(&named, "ClusterRole", "-operator")["rules"].as_array().unwrap() {
        let (_, resources) = all.iter().find(|(group, _)| rule["apiGroups"] == json!([group])).unwrap();
        for resource in rule["resources"].as_array().unwrap() {
            assert!(resources.contains(&resource.as_str().unwrap()), "{rule}");
        }
        if rule["resources"] == json!(["namespaces"]) {
            assert_eq!(rule["resourceNames"], json!(["a", "b", "fleetscope-system"]));
        }
    }
    let places = |suffix: &str| {
        let roles = of("Role").into_iter().map(|role| &role["metadata"]);
        let roles = roles.filter(|role| role["name"].as_str().is_some_and(|name| name.ends_with(suffix)));
        roles.map(|role| role["namespace"].as_str().unwrap()).collect::<Vec<_>>()
    };
    let wanted = ["a", "b", "fleetscope-system"];
    assert_eq!(places("-operator-fleets"), wanted);
    assert_eq!(places("-node-agent"), wanted, "a fleet that the operator reports on is measured");
    // What the operator may do in them is what it may do in the cluster otherwise.
    let everywhere = objects(&template(&[]).unwrap()).unwrap();
    let whole = object(&everywhere, "ClusterRole", "-operator")["rules"].as_array().unwrap();
    for role in of("Role").iter().filter(|role| role["metadata"]["name"] == "fleetscope-operator-fleets") {
        assert!(role["rules"].as_array().unwrap().iter().all(|rule| whole.contains(rule)));
    }
    for component in ["-operator", "-node-agent"] {
        let kind = if component == "-operator" { "Deployment" } else { "DaemonSet" };
        let args = object(&named, kind, component)["spec"]["template"]["spec"]["containers"][0]["args"].to_string();
        assert!(wanted.iter().all(|name| args.contains(&format!("\"--namespace={name}\""))), "{args}");
    }
}

#[test]
#[ignore = "needs helm: make test-chart"]
fn secrets_are_read_one_by_one_and_only_where_that_is_allowed() {
    if !has_helm("chart::secrets_are_read_one_by_one_and_only_where_that_is_allowed") {
        return;
    }
    for (allowed, wanted) in [("true", 1), ("false", 0)] {
        let rendering = template(&["--set", &format!("rbac.checkSecrets={allowed}")]).unwrap();
        let all = objects(&rendering).unwrap();
        let rules = all.iter().filter_map(|object| object["rules"].as_array()).flatten();
        let rules: Vec<&Value> = rules.filter(|rule| rule["resources"].to_string().contains("secrets")).collect();
        assert_eq!(rules.len(), wanted);
        for rule in rules {
            assert_eq!(*rule, json!({"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]}));
        }
    }
}

#[test]
#[ignore = "needs helm: make test-chart"]
fn tokens_are_mounted_only_where_the_pod_asks_for_one() {
    if !has_helm("chart::tokens_are_mounted_only_where_the_pod_asks_for_one") {
        return;
    }
    let objects = render();
    for account in objects.iter().filter(|object| object["kind"] == "ServiceAccount") {
        assert_eq!(account["automountServiceAccountToken"], false, "{account}");
    }
    assert_eq!(object(&objects, "Pod", "-test")["spec"]["automountServiceAccountToken"], false);
}
