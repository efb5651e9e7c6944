use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, LabelSelectorRequirement};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::AgentStatus::{Discovered, Failed, Running, Stopped};
use super::*;

fn parsed(meta: &Value, spec: &Value, status: &Value) -> Result<PodView, PodError> {
    let pod: Pod = serde_json::from_value(json!({"metadata": meta, "spec": spec, "status": status})).expect("a pod");
    PodView::from_pod(&pod)
}

/// A pod with one container `main` in this state, after `restarts`.
fn pod(state: &Value, last: &Value, restarts: i32) -> PodView {
    let status = json!({"phase": "Running", "containerStatuses": [{
        "name": "main", "image": "x", "imageID": "", "ready": true, "restartCount": restarts, "containerID": "containerd://abc",
        "state": state, "lastState": last,
    }]});
    let spec = json!({"nodeName": "n", "containers": [{"name": "main", "image": "agent:1"}]});
    parsed(&json!({"name": "p", "namespace": "ai", "uid": "u"}), &spec, &status).expect("it has all it needs")
}

fn running() -> Value {
    json!({"running": {"startedAt": "2026-01-01T00:00:00Z"}})
}

fn ended(code: i32, reason: &str) -> Value {
    json!({"terminated": {"exitCode": code, "reason": reason, "containerID": "containerd://old"}})
}

fn waiting(reason: &str) -> Value {
    json!({"waiting": {"reason": reason}})
}

#[test]
fn a_pod_is_trimmed_to_what_is_used() {
    let view = pod(&running(), &ended(1, "Error"), 2);
    let expected = ContainerView {
        name: "main".to_owned(),
        role: Role::Main,
        id: Some("abc".to_owned()),
        last_id: Some("old".to_owned()),
        image: "agent:1".to_owned(),
        state: ContainerState::Running { started: Some(1_767_225_600) },
        last: Some(Ended { exit_code: 1, reason: "Error".to_owned(), ran: true, ..Ended::default() }),
        restarts: 2,
        ready: true,
        probed: false,
    };
    assert_eq!(view.containers, [expected]);
    assert_eq!((view.cgroup_uid.as_str(), view.node.as_str()), ("u", "n"));
    assert_eq!(view.container_by_id("old").map(|own| own.name.as_str()), Some("main"));
    let error = parsed(&json!({"name": "p", "namespace": "ai"}), &json!({"containers": []}), &json!({}));
    assert_eq!(error, Err(PodError::Missing { name: "p".to_owned(), field: "uid" }));
}

#[test]
fn a_static_pods_cgroup_carries_its_configurations_hash_and_nobody_elses() {
    const HASH: &str = "8f2c1d0e9b7a6c5d4e3f2a1b0c9d8e7f";
    const UID: &str = "0b5ccbb6-f4d1-4e8a-8f25-1c2d3e4f5a6b";
    let view = |hash: &str, kind: &str, owner: &str| {
        let meta = json!({"name": "etcd-n1", "namespace": "kube-system", "uid": "u",
            "annotations": {"kubernetes.io/config.mirror": hash},
            "ownerReferences": [{"apiVersion": "v1", "kind": kind, "name": owner, "uid": "n", "controller": true}]});
        parsed(&meta, &json!({"nodeName": "n1", "containers": []}), &json!({})).expect("a pod")
    };
    let mirror = view(HASH, "Node", "n1");
    assert_eq!((mirror.uid.as_str(), mirror.cgroup_uid.as_str(), workload(&mirror).as_str()), ("u", HASH, "etcd"));
    // Whoever may make pods may annotate them so: that is no word of the kubelet.
    let claims = [
        (UID, "Node", "n1"),
        (HASH, "ReplicaSet", "n1"),
        (HASH, "Node", "n2"),
        ("", "Node", "n1"),
        ("8f2c/..", "Node", "n1"),
        (&"a".repeat(64), "Node", "n1"),
    ];
    for (hash, kind, owner) in claims {
        assert_eq!(view(hash, kind, owner).cgroup_uid, "u", "{hash} {kind} {owner}");
    }
}

#[test]
fn a_pods_view_is_bounded_whatever_its_maker_writes() {
    let long = "x".repeat(100_000);
    let containers: Vec<Value> = (0..100).map(|n| json!({"name": format!("c{n}"), "image": long})).collect();
    let meta = json!({"name": "p", "namespace": "ai", "uid": "u"});
    let view = parsed(&meta, &json!({"containers": containers}), &json!({})).expect("a pod");
    assert_eq!(view.containers.len(), 100);
    let first = &view.containers[0].image;
    assert_eq!((first.len(), first.ends_with("x…")), (512, true), "the longest that is kept, and told to be cut");
    let all: usize = view.containers.iter().map(|container| container.image.len()).sum();
    assert!(all <= 32 * 1_024, "{all}");

    let message = json!({"waiting": {"reason": "ErrImagePull", "message": long}});
    let statuses: Vec<Value> = (0..100)
        .map(|n| json!({"name": format!("c{n}"), "image": "", "imageID": "", "ready": false, "restartCount": 0, "state": message}))
        .collect();
    let containers: Vec<Value> = (0..100).map(|n| json!({"name": format!("c{n}"), "image": "agent:1"})).collect();
    let status = json!({"containerStatuses": statuses});
    let view = parsed(&meta, &json!({"containers": containers}), &status).expect("a pod");
    let said = |container: &ContainerView| match &container.state {
        ContainerState::Waiting { message, .. } => message.len(),
        _ => 0,
    };
    let all: usize = view.containers.iter().map(said).sum();
    assert!((16_000..=16_384).contains(&all), "{all}");
    assert!(view.containers.iter().all(|container| container.image == "agent:1"));
}

#[test]
fn a_pod_with_more_labels_than_are_kept_is_in_no_fleet() {
    let view = |labels: usize| {
        let labels: BTreeMap<String, String> =
            (0..labels).map(|n| (format!("{}/{n:063}", "d".repeat(253)), "v".repeat(63))).collect();
        let meta = json!({"name": "p", "namespace": "ai", "uid": "u", "labels": labels});
        parsed(&meta, &json!({"containers": []}), &json!({})).expect("a pod")
    };
    let (fits, over) = (view(43), view(44));
    assert_eq!((fits.labels.len(), fits.left_out, takes(&LabelSelector::default(), &fits)), (43, None, true));
    // With some of its labels gone, "has not this label" would hold where it does not.
    assert_eq!(
        (over.labels.len(), over.left_out, takes(&LabelSelector::default(), &over)),
        (0, Some(LeftOut::Labels), false)
    );
}

#[test]
fn of_a_pod_that_ended_before_anything_ran_one_container_is_kept() {
    let of = |phase: &str, statuses: &Value| {
        let containers: Vec<Value> = (0..100).map(|n| json!({"name": format!("c{n}"), "image": "agent:1"})).collect();
        let meta = json!({"name": "p", "namespace": "ai", "uid": "u"});
        let status = json!({"phase": phase, "reason": "NodePorts", "containerStatuses": statuses});
        parsed(&meta, &json!({"containers": containers}), &status).expect("a pod")
    };
    let refused = of("Failed", &json!([]));
    assert_eq!(refused.containers.len(), 1);
    assert_eq!(told(&PodView::default(), &refused), ["start false", "port_conflict"]);
    assert_eq!(of("Pending", &json!([])).containers.len(), 100);
    let ran = json!([{"name": "c7", "image": "", "imageID": "", "ready": false, "restartCount": 0, "state": ended(0, "Completed")}]);
    assert_eq!(of("Succeeded", &ran).containers.len(), 100);
}

#[test]
fn a_pod_that_asks_to_be_left_out_is_in_no_fleet() {
    let asks = |value: &str| {
        let meta =
            json!({"name": "p", "namespace": "ai", "uid": "u", "annotations": {"fleetscope.io/telemetry": value}});
        parsed(&meta, &json!({"containers": []}), &json!({})).expect("a pod")
    };
    for (value, out) in [("false", true), ("true", false), ("no", false), ("", false)] {
        assert_eq!(asks(value).left_out == Some(LeftOut::Asked), out, "{value}");
        assert_eq!(takes(&LabelSelector::default(), &asks(value)), !out, "{value}");
    }
}

#[test]
fn workloads_are_what_people_made() {
    let owned = |kind: &str, name: &str, hash: Option<&str>| {
        workload(&PodView {
            name: "pod".to_owned(),
            owner: Some(Owner { kind: kind.to_owned(), name: name.to_owned() }),
            labels: hash.map(|hash| ("pod-template-hash".to_owned(), hash.to_owned())).into_iter().collect(),
            ..PodView::default()
        })
    };
    assert_eq!(owned("ReplicaSet", "web-6d4cf56db6", Some("6d4cf56db6")), "web");
    assert_eq!(owned("ReplicaSet", "bare-set", None), "bare-set");
    assert_eq!(owned("Job", "nightly-29384750", None), "nightly");
    assert_eq!(owned("Job", "once-2", None), "once-2");
    assert_eq!(owned("StatefulSet", "db", None), "db");
    assert_eq!(workload(&PodView { name: "bare".to_owned(), ..PodView::default() }), "bare");
}

#[test]
fn the_status_follows_the_documented_rules() {
    let none = json!({});
    let with = |view: PodView, change: fn(&mut PodView)| {
        let mut view = view;
        change(&mut view);
        agent_status(&view)
    };
    let keep = |_: &mut PodView| {};
    assert_eq!(with(pod(&running(), &none, 0), keep), Running);
    assert_eq!(with(pod(&waiting("ContainerCreating"), &none, 0), keep), Discovered);
    assert_eq!(with(pod(&waiting("CrashLoopBackOff"), &ended(1, "Error"), 3), keep), Failed);
    assert_eq!(with(pod(&waiting("ImagePullBackOff"), &none, 0), keep), Failed);
    assert_eq!(with(pod(&ended(0, "Completed"), &none, 0), keep), Stopped);
    assert_eq!(with(pod(&ended(1, "Error"), &none, 0), keep), Discovered);
    assert_eq!(with(pod(&ended(1, "Error"), &none, 0), |pod| pod.restart_policy = "Never".to_owned()), Failed);
    assert_eq!(with(pod(&ended(137, "Error"), &none, 0), |pod| pod.deleting = true), Stopped);
    assert_eq!(with(pod(&running(), &none, 0), |pod| pod.deleting = true), Running);
    assert_eq!(with(pod(&running(), &none, 0), |pod| pod.phase = "Failed".to_owned()), Failed);
    assert_eq!(with(pod(&running(), &none, 0), |pod| pod.phase = "Succeeded".to_owned()), Stopped);
    assert_eq!(agent_status(&PodView::default()), Discovered);
}

fn told(before: &PodView, now: &PodView) -> Vec<String> {
    changes(before, now)
        .into_iter()
        .map(|change| match change {
            Change::Start { success, .. } => format!("start {success}"),
            Change::Stop { success, .. } => format!("stop {success}"),
            Change::Restart { .. } => "restart".to_owned(),
            Change::Failure { reason, .. } => reason.as_str().to_owned(),
        })
        .collect()
}

#[test]
fn every_run_is_counted_once_whatever_views_are_seen() {
    let none = json!({});
    let views = [
        pod(&waiting("ContainerCreating"), &none, 0),
        pod(&running(), &none, 0),
        pod(&ended(3, "Error"), &none, 0),
        pod(&waiting("CrashLoopBackOff"), &ended(3, "Error"), 0),
        pod(&running(), &ended(3, "Error"), 1),
        pod(&ended(0, "Completed"), &ended(3, "Error"), 1),
    ];
    let all: Vec<Vec<String>> = views.windows(2).map(|pair| told(&pair[0], &pair[1])).collect();
    let expected: [&[&str]; 5] =
        [&["start true"], &["stop false", "exit_code"], &[], &["restart", "start true"], &["stop true"]];
    assert_eq!(all, expected);
    for view in &views {
        assert_eq!(told(view, view), [""; 0]);
    }
    // Whoever sees only the first and the last counts the same, as far as ends that nobody saw can be told.
    assert_eq!(told(&views[0], &views[5]), ["restart", "start true", "start true", "stop false", "other", "stop true"]);
}

#[test]
fn failures_have_the_reason_that_can_be_known() {
    let none = json!({});
    let after = |state: &Value| told(&pod(&running(), &none, 0), &pod(state, &none, 0));
    assert_eq!(after(&ended(137, "OOMKilled")), ["stop false", "oom"]);
    assert_eq!(after(&ended(139, "Error")), ["stop false", "signal"]);
    assert_eq!(after(&ended(2, "Error")), ["stop false", "exit_code"]);
    let taken = json!({"terminated": {"exitCode": 1, "reason": "Error", "message": "listen tcp :80: bind: address already in use"}});
    assert_eq!(after(&taken), ["stop false", "port_conflict"]);
    let mut probed = pod(&ended(137, "Error"), &none, 0);
    probed.containers[0].probed = true;
    assert_eq!(told(&pod(&running(), &none, 0), &probed), ["stop false", "probe"]);
    probed.deleting = true;
    assert_eq!(told(&pod(&running(), &none, 0), &probed), ["stop false", "signal"]);
    let mut stopped = pod(&ended(143, "Error"), &none, 0);
    stopped.deleting = true;
    assert_eq!(told(&pod(&running(), &none, 0), &stopped), ["stop true"]);
}

#[test]
fn what_cannot_start_fails_once_however_often_it_is_tried() {
    let none = json!({});
    let (creating, pulling) = (pod(&waiting("ContainerCreating"), &none, 0), pod(&waiting("ErrImagePull"), &none, 0));
    let backing_off = pod(&waiting("ImagePullBackOff"), &none, 0);
    assert_eq!(told(&creating, &pulling), ["start false", "image"]);
    assert_eq!(told(&pulling, &backing_off), [""; 0]);
    assert_eq!(told(&creating, &pod(&waiting("CreateContainerConfigError"), &none, 0)), ["start false", "other"]);
    let unstartable = pod(&waiting("RunContainerError"), &ended(128, "StartError"), 0);
    assert_eq!(told(&creating, &unstartable), ["start false", "other"]);
    assert_eq!(told(&unstartable, &pod(&waiting("CrashLoopBackOff"), &ended(128, "StartError"), 0)), [""; 0]);
}

#[test]
fn selectors_read_as_kubernetes_reads_them() {
    let labels = BTreeMap::from([("app".to_owned(), "a".to_owned())]);
    let expression = |key: &str, operator: &str, values: &[&str]| LabelSelector {
        match_expressions: Some(vec![LabelSelectorRequirement {
            key: key.to_owned(),
            operator: operator.to_owned(),
            values: Some(values.iter().map(|value| (*value).to_owned()).collect()),
        }]),
        ..LabelSelector::default()
    };
    assert!(selects(&LabelSelector::default(), &labels));
    let cases = [
        (expression("app", "In", &["a", "b"]), true),
        (expression("app", "In", &["b"]), false),
        (expression("app", "NotIn", &["b"]), true),
        (expression("no", "NotIn", &["b"]), true),
        (expression("app", "Exists", &[]), true),
        (expression("no", "Exists", &[]), false),
        (expression("no", "DoesNotExist", &[]), true),
        (expression("app", "Near", &["a"]), false),
    ];
    for (selector, expected) in cases {
        assert_eq!(selects(&selector, &labels), expected, "{selector:?}");
    }
}

proptest! {
    #[test]
    fn runs_never_count_backwards(steps in proptest::collection::vec((0..5, 0_i32..4, 0..3), 1..12)) {
        let none = json!({});
        let view = |(state, restarts, last): &(i32, i32, i32)| {
            let state = match state {
                0 => running(),
                1 => ended(0, "Completed"),
                2 => ended(137, "OOMKilled"),
                3 => waiting("CrashLoopBackOff"),
                _ => waiting("ErrImagePull"),
            };
            pod(&state, &if *last == 0 { none.clone() } else { ended(*last, "Error") }, *restarts)
        };
        let views: Vec<PodView> = steps.iter().map(view).collect();
        for pair in views.windows(2) {
            let told = told(&pair[0], &pair[1]);
            let stops = told.iter().filter(|what| what.starts_with("stop")).count();
            let starts = told.iter().filter(|what| what.starts_with("start")).count();
            prop_assert!(stops <= starts + 5 && told.len() < 50);
            prop_assert!(!pair[0].containers.is_empty() && agent_status(&pair[1]).as_str() != "");
        }
    }
}
