use std::io::Write as _;

use serde_json::json;

use super::*;

fn line(verb: &str, stage: &str, code: u16) -> String {
    json!({
        "kind": "Event", "apiVersion": "audit.k8s.io/v1", "level": "Metadata", "auditID": "x", "stage": stage,
        "requestURI": "/apis/monitoring.coreos.com/v1/namespaces/a/podmonitors/m?force=true", "verb": verb,
        "user": { "username": "system:serviceaccount:s:op", "groups": [] },
        "objectRef": { "resource": "podmonitors", "namespace": "a", "name": "m", "apiGroup": "monitoring.coreos.com", "apiVersion": "v1" },
        "responseStatus": { "metadata": {}, "code": code },
        "requestReceivedTimestamp": "2026-01-01T00:00:00.000001Z", "stageTimestamp": "2026-01-01T00:00:00.000002Z",
    })
    .to_string()
}

fn request(verb: &str, resource: &str, namespace: &str, code: u16) -> Request {
    Request {
        verb: verb.to_owned(),
        resource: resource.to_owned(),
        namespace: namespace.to_owned(),
        code,
        ..Request::default()
    }
}

fn right(verb: &str, resource: &str, namespace: Option<&str>) -> Right {
    Right {
        group: String::new(),
        resource: resource.to_owned(),
        verb: verb.to_owned(),
        namespace: namespace.map(str::to_owned),
        name: None,
    }
}

/// The roles of an account that may watch pods everywhere and keep leases in its own namespace, beside those of another one.
fn objects() -> Vec<Value> {
    let role = |kind: &str, name: &str, resource: &str, verbs: &[&str]| {
        json!({ "kind": kind, "metadata": { "name": name, "namespace": "s" },
            "rules": [{ "apiGroups": [""], "resources": [resource], "verbs": verbs }] })
    };
    let binding = |kind: &str, name: &str, account: &str| {
        json!({ "kind": format!("{kind}Binding"), "metadata": { "name": name, "namespace": "s" },
            "roleRef": { "kind": kind, "name": name },
            "subjects": [{ "kind": "ServiceAccount", "name": account, "namespace": "s" }] })
    };
    vec![
        role("ClusterRole", "op", "pods", &["list", "watch"]),
        role("Role", "op", "leases", &["get"]),
        role("ClusterRole", "other", "secrets", &["get"]),
        binding("ClusterRole", "op", "op"),
        binding("Role", "op", "op"),
        binding("ClusterRole", "other", "another"),
    ]
}

#[test]
fn a_line_is_a_request_when_it_is_answered() {
    assert_eq!(Request::parse(&line("patch", "RequestReceived", 0)).unwrap(), None);
    let request = Request::parse(&line("patch", "ResponseComplete", 201)).unwrap().unwrap();
    let wanted = Request {
        user: "system:serviceaccount:s:op".to_owned(),
        verb: "patch".to_owned(),
        group: "monitoring.coreos.com".to_owned(),
        resource: "podmonitors".to_owned(),
        namespace: "a".to_owned(),
        name: "m".to_owned(),
        code: 201,
        received: "2026-01-01T00:00:00.000001Z".to_owned(),
        answered: "2026-01-01T00:00:00.000002Z".to_owned(),
        uri: "/apis/monitoring.coreos.com/v1/namespaces/a/podmonitors/m?force=true".to_owned(),
    };
    assert_eq!(request, wanted);
    assert!(request.writes());
}

#[test]
fn a_watch_is_a_request_when_it_begins_and_when_it_is_refused() {
    let counts = [("ResponseStarted", 200, true), ("ResponseComplete", 200, false), ("ResponseComplete", 403, true)];
    for (stage, code, counted) in counts {
        assert_eq!(Request::parse(&line("watch", stage, code)).unwrap().is_some(), counted, "{stage} {code}");
    }
}

#[test]
fn a_log_is_read_on_where_it_was_left_and_only_whole_lines() {
    let path = std::env::temp_dir().join(format!("fleetscope-audit-{}.log", std::process::id()));
    let mut file = std::fs::File::create(&path).unwrap();
    let mut log = Log::open(&path);
    writeln!(file, "{}", line("get", "ResponseComplete", 200)).unwrap();
    write!(file, "{}", &line("patch", "ResponseComplete", 200)[..20]).unwrap();
    let verbs = |log: &mut Log| log.read().unwrap().into_iter().map(|r| r.verb).collect::<Vec<_>>();
    assert_eq!(verbs(&mut log), ["get"]);
    writeln!(file, "{}", &line("patch", "ResponseComplete", 200)[20..]).unwrap();
    assert_eq!(verbs(&mut log), ["patch"]);
    file.set_len(3).unwrap();
    assert!(log.read().is_err(), "lines are lost");
    std::fs::remove_file(path).unwrap();
}

#[test]
fn rights_come_from_the_roles_that_bindings_give_to_the_account() {
    let wanted = [right("list", "pods", None), right("watch", "pods", None), right("get", "leases", Some("s"))];
    assert_eq!(granted(&objects(), "op"), BTreeSet::from(wanted));
    assert_eq!(granted(&objects(), "nobody"), BTreeSet::new());
}

#[test]
fn a_right_for_one_name_is_used_by_that_name_alone() {
    let mut objects = objects();
    objects[1]["rules"][0]["resourceNames"] = json!(["mine"]);
    let granted = granted(&objects, "op");
    let named = Right { name: Some("mine".to_owned()), ..right("get", "leases", Some("s")) };
    assert!(granted.contains(&named), "{granted:?}");
    let lease = |name: &str| Request { name: name.to_owned(), ..request("get", "leases", "s", 200) };
    let pods = [request("list", "pods", "", 200), request("watch", "pods", "", 200)];
    let with = |lease: Request| [&pods[..], &[lease]].concat();
    assert_eq!(unused(&granted, &with(lease("other"))), [&named]);
    assert_eq!(unused(&granted, &with(lease("mine"))), [] as [&Right; 0]);
    assert_eq!(missing(&granted, &with(lease("other"))), BTreeSet::from([right("get", "leases", Some("s"))]));
    assert_eq!(named.to_string(), "get leases named mine in s");
}

#[test]
fn what_is_granted_and_not_used_is_unused() {
    let granted = granted(&objects(), "op");
    let used = [request("list", "pods", "", 200), request("get", "leases", "s", 404)];
    assert_eq!(unused(&granted, &used), [&right("watch", "pods", None)]);
    // Elsewhere than where it is allowed is not its use.
    let used =
        [request("list", "pods", "x", 200), request("watch", "pods", "", 200), request("get", "leases", "x", 403)];
    assert_eq!(unused(&granted, &used), [&right("get", "leases", Some("s"))]);
}

#[test]
fn what_is_asked_for_and_not_granted_is_missing() {
    let granted = granted(&objects(), "op");
    let asked = [
        request("list", "pods", "a", 200),
        request("get", "leases", "other", 403),
        request("get", "leases", "s", 403),
        request("delete", "pods", "a", 200),
        request("get", "", "", 200),
    ];
    let wanted = BTreeSet::from([right("delete", "pods", Some("a")), right("get", "leases", Some("other"))]);
    assert_eq!(missing(&granted, &asked), wanted);
}

#[test]
fn to_apply_what_was_not_there_takes_the_right_to_create() {
    let granted = BTreeSet::from([right("patch", "pods", None), right("create", "pods", None)]);
    assert_eq!(unused(&granted, &[request("patch", "pods", "a", 200)]), [&right("create", "pods", None)]);
    assert_eq!(unused(&granted, &[request("patch", "pods", "a", 201)]), [] as [&Right; 0]);
}
