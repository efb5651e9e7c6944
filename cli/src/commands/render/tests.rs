//! Tests of `render`: whole outputs, and faults with their place, field and remedy.

use clap::Parser as _;

use fleetscope_core::alerting::{Policy, SelectedFleet, of_policy};
use fleetscope_core::api::admission::admit_as;
use fleetscope_core::api::{AgentFleet, ScrapePolicy};
use fleetscope_core::resources::fleet;
use fleetscope_core::resources::scrape_policy::{self, FleetRef};

use super::*;
use crate::args::{Cli, Command};

const FLEET: &str = "\
apiVersion: fleetscope.io/v1alpha1
kind: AgentFleet
metadata: {name: coders, namespace: team-a}
spec:
  selector: {matchLabels: {app: coder}}
";

fn rendered(line: &str, stdin: &str) -> Answer {
    let cli = Cli::try_parse_from(format!("fleetscope render -f - {line}").split_whitespace()).unwrap();
    let Command::Render(args) = cli.command else { panic!("render") };
    render(&args, &cli.scope, &mut stdin.as_bytes())
}

fn faults(stdin: &str) -> Vec<Problem> {
    let Answer { text, problems, outcome } = rendered("", stdin);
    assert_eq!((text.as_str(), outcome), ("", Outcome::Error));
    problems
}

#[test]
fn a_fleet_gives_its_monitor_with_where_it_comes_from() {
    let Answer { text, problems, outcome } = rendered("--monitor-label release=kps", FLEET);
    assert_eq!((problems, outcome), (vec![], Outcome::Done));
    assert!(text.starts_with("---\n# AgentFleet team-a/coders, standard input:1\napiVersion: monitoring.coreos.com/v1\nkind: PodMonitor\n"), "{text}");
    let mut reader = text.as_bytes();
    let object: Value = serde_saphyr::read(&mut reader).next().unwrap().unwrap();
    assert_eq!(object["metadata"]["labels"]["release"], "kps");
    assert_eq!(object["spec"]["namespaceSelector"], json!({"matchNames": ["fleetscope-system"]}));
    assert_eq!(
        object["spec"]["podMetricsEndpoints"][0]["params"],
        json!({"namespace": ["team-a"], "fleet": ["coders"]})
    );
}

#[test]
fn every_kind_can_be_asked_for_and_json_is_one_list() {
    for kind in ["PodMonitor", "ServiceMonitor", "ConfigMap"] {
        let Answer { text, .. } = rendered(&format!("--output {kind} -o json"), FLEET);
        let list: Value = serde_json::from_str(&text).unwrap();
        assert_eq!((&list["kind"], &list["items"][0]["kind"]), (&json!("List"), &json!(kind)));
    }
}

#[test]
fn the_objects_are_those_of_the_operator() {
    let list: Value = serde_json::from_str(&rendered("--system-namespace obs -o json", FLEET).text).unwrap();
    let fleet = admit_as::<AgentFleet>(&serde_saphyr::from_str(FLEET).unwrap()).unwrap();
    let site = Site { namespace: "obs".to_owned(), ..Site::default() };
    let wanted: Vec<Value> =
        fleet::desired(&fleet, &site, Installed::all()).into_iter().map(|made| made.body).collect();
    assert_eq!(list["items"], Value::from(wanted));
}

#[test]
fn a_dashboard_is_for_the_sidecar_or_for_grafana_operator_when_asked() {
    let fleet = format!("{FLEET}  dashboard: Overview\n");
    let dashboard = |line: &str| -> Value {
        let list: Value = serde_json::from_str(&rendered(&format!("-o json {line}"), &fleet).text).unwrap();
        let named = |item: &&Value| item["metadata"]["name"] == "coders-dashboard";
        list["items"].as_array().unwrap().iter().find(named).unwrap().clone()
    };
    let map = dashboard("");
    assert_eq!((&map["kind"], &map["metadata"]["labels"]["grafana_dashboard"]), (&json!("ConfigMap"), &json!("1")));
    let object = dashboard("--grafana-dashboard --grafana-label team=platform");
    assert_eq!(object["kind"], "GrafanaDashboard");
    assert_eq!(object["spec"]["instanceSelector"], json!({"matchLabels": {"team": "platform"}}));
    assert_eq!(object["spec"]["json"], map["data"]["coders-dashboard.json"]);
    assert!(Cli::try_parse_from("fleetscope render -f - --grafana-label a=b".split_whitespace()).is_err());
}

#[test]
fn a_namespace_is_taken_from_the_option_only_where_the_document_has_none() {
    let other = FLEET.replace(", namespace: team-a", "").replace("coders", "others");
    let Answer { text, .. } = rendered("-n team-b -o json", &format!("{FLEET}---\n{other}"));
    let list: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(list["items"][0]["metadata"]["namespace"], "team-a");
    assert_eq!(list["items"][2]["metadata"]["namespace"], "team-b");
}

#[test]
fn lists_are_read_and_other_kinds_are_skipped_with_a_note() {
    let list = json!({"apiVersion": "v1", "kind": "List", "items": [
        {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "x"}},
        serde_saphyr::from_str::<Value>(FLEET).unwrap(),
    ]});
    let Answer { text, problems, outcome } = rendered("", &list.to_string());
    assert!(text.contains("# AgentFleet team-a/coders, standard input:1\n"), "{text}");
    assert_eq!(problems[0].problem, "documents of other kinds are skipped: 1 Secret");
    assert_eq!(outcome, Outcome::Done);
}

#[test]
fn every_fault_is_told_with_document_field_and_remedy_and_nothing_is_rendered() {
    let bad = FLEET.replace(
        "spec:",
        "spec:\n  suspnd: true\n  tasks: {maxUnmatched: -1}\n  scrape: {interval: 5s, scrapeTimeout: later}",
    );
    let problems = faults(&format!("{FLEET}---\n{bad}"));
    let title = |line: u32| format!("standard input:{line}: AgentFleet team-a/coders");
    let texts: Vec<&str> = problems.iter().map(|p| p.problem.as_str()).collect();
    assert_eq!(texts.len(), 3, "{texts:?}");
    assert!(texts[0].starts_with(&format!("{}: spec.scrape.scrapeTimeout: must match ", title(13))), "{texts:?}");
    assert_eq!(
        texts[1..],
        [
            format!("{}: spec.suspnd: unknown field", title(11)),
            format!("{}: spec.tasks.maxUnmatched: must be at least 0", title(12))
        ]
    );
    assert_eq!(
        problems[0].remedy,
        "spec.scrape.scrapeTimeout: How long one scrape may take, not longer than `interval`. Default 10s."
    );
    assert_eq!(
        problems[1].remedy,
        "remove it, or correct its name; spec has: dashboard, grpc, profile, scrape, selector, suspend, tasks"
    );
}

#[test]
fn rules_across_fields_are_checked_as_the_api_server_does() {
    let bad = FLEET.replace("spec:", "spec:\n  scrape: {interval: 5s, scrapeTimeout: 10s}");
    let problems = faults(&bad);
    assert_eq!(problems.len(), 1);
    assert_eq!(
        problems[0].problem,
        "standard input:5: AgentFleet team-a/coders: spec.scrape.scrapeTimeout: scrapeTimeout (default 10s) must not be longer than interval"
    );
}

#[test]
fn names_that_an_api_server_refuses_are_faults() {
    let problems = faults(&FLEET.replace("coders", "\"Co\\e[31mders\""));
    assert_eq!(problems[0].problem, "standard input:3: metadata.name: `Co\u{1b}[31mders` is not a name");
}

#[test]
fn texts_of_the_metadata_that_yaml_takes_for_something_else_are_named() {
    let bad = "\
apiVersion: fleetscope.io/v1alpha1
kind: AgentFleet
metadata:
  name: 5
  namespace: n
  labels: null
  annotations: {fleetscope.io/telemetry: false}
spec: {selector: {matchLabels: {app: a}}}
";
    let problems = faults(bad);
    let texts: Vec<&str> = problems.iter().map(|p| p.problem.as_str()).collect();
    let fault = |line: u32, path| format!("standard input:{line}: AgentFleet: {path}: must be of type string");
    let annotation = "metadata.annotations.fleetscope.io/telemetry";
    assert_eq!(texts, [fault(7, annotation), fault(4, "metadata.name"), fault(5, "metadata.namespace")]);
    assert_eq!(
        problems[1].remedy,
        "write the value of metadata.name in quotes: YAML takes words such as n, on or true, and numbers, for no text"
    );
}

#[test]
fn the_same_fleet_twice_is_a_fault() {
    let problems = faults(&format!("{FLEET}---\n{FLEET}"));
    assert_eq!(problems[0].problem, "standard input:7: AgentFleet team-a/coders is also in standard input:1");
}

#[test]
fn broken_yaml_and_nothing_at_all_are_faults() {
    let problems = faults("a: [1\n");
    assert!(problems[0].problem.starts_with("standard input: failed to read YAML: "), "{problems:?}");
    assert_eq!(faults("")[0].problem, "there is no fleet and no policy in what was read");
    assert_eq!(faults("just text")[0].problem, "standard input:1: kind: required");
}

#[test]
fn suspended_fleets_and_those_without_output_are_notes() {
    for (field, why) in [("suspend: true", "suspended"), ("scrape: {output: None}", "None")] {
        let Answer { text, problems, outcome } = rendered("", &FLEET.replace("spec:", &format!("spec:\n  {field}")));
        assert_eq!((text.as_str(), outcome), ("", Outcome::Done));
        assert!(problems[0].problem.contains(why), "{problems:?}");
    }
}

#[test]
fn files_that_are_not_there_are_faults() {
    let cli = Cli::try_parse_from(["fleetscope", "render", "-f", "/nonexistent/fleet.yaml"]).unwrap();
    let Command::Render(args) = cli.command else { panic!("render") };
    let Answer { problems, .. } = render(&args, &cli.scope, &mut io::empty());
    assert_eq!(problems[0].problem, "/nonexistent/fleet.yaml: failed to read: No such file or directory (os error 2)");
}

/// Objects of a kind among those that are rendered.
fn of_kind(answer: &Answer, kind: &str) -> Vec<Value> {
    let list: Value = serde_json::from_str(&answer.text).unwrap();
    list["items"].as_array().unwrap().iter().filter(|object| object["kind"] == kind).cloned().collect()
}

const CLUSTER_POLICY: &str = "\
apiVersion: fleetscope.io/v1alpha1
kind: ClusterAlertPolicy
metadata: {name: team}
spec: {namespaces: {matchLabels: {kubernetes.io/metadata.name: team-a}}}
";

#[test]
fn a_namespace_has_the_label_with_its_name_as_the_api_server_gives_it() {
    let wrong =
        "\napiVersion: v1\nkind: Namespace\nmetadata: {name: team-a, labels: {kubernetes.io/metadata.name: x}}\n";
    for namespace in ["", wrong] {
        let answer = rendered("-o json", &format!("{FLEET}---\n{CLUSTER_POLICY}---{namespace}"));
        assert_eq!(answer.problems, vec![]);
        assert!(answer.text.contains("FleetTaskFailureRatioHigh"), "{}", answer.text);
    }
    let other = CLUSTER_POLICY.replace("team-a", "team-b");
    let answer = rendered("-o json", &format!("{FLEET}---\n{other}"));
    assert!(!answer.text.contains("FleetTaskFailureRatioHigh"), "{}", answer.text);
}

#[test]
fn a_policy_that_selects_namespaces_of_which_there_is_no_document_is_a_note() {
    let policy = CLUSTER_POLICY.replace("kubernetes.io/metadata.name: team-a", "tier: production");
    let notes = |stdin: &str| rendered("", stdin).problems.iter().map(|note| note.problem.clone()).collect::<Vec<_>>();
    assert_eq!(
        notes(&format!("{FLEET}---\n{policy}")),
        [
            "standard input:10: ClusterAlertPolicy team: spec.namespaces: no Namespace document tells the labels of team-a: its fleets are left out"
        ]
    );
    for labels in ["{tier: production}", "{tier: test}"] {
        let namespace = format!("apiVersion: v1\nkind: Namespace\nmetadata: {{name: team-a, labels: {labels}}}\n");
        assert_eq!(notes(&format!("{FLEET}---\n{policy}---\n{namespace}")), [""; 0], "{labels}");
    }
}

const SCRAPE: &str = "\
apiVersion: fleetscope.io/v1alpha1
kind: ScrapePolicy
metadata: {name: own, namespace: team-a}
spec: {pods: {port: metrics}}
";

/// The monitors of [`SCRAPE`], as the operator makes them for these fleets, the first of which is the elder one.
fn monitors(elder: &str, younger: &str) -> Vec<Value> {
    let policy = admit_as::<ScrapePolicy>(&serde_saphyr::from_str(SCRAPE).unwrap()).unwrap();
    let of = |text: &str| FleetRef::of(&admit_as::<AgentFleet>(&serde_saphyr::from_str(text).unwrap()).unwrap());
    let elder = of(elder);
    let younger = FleetRef { elders: vec![elder.selector.clone()], ..of(younger) };
    // Fleets by name, as the operator has them.
    let mut fleets = vec![elder, younger];
    fleets.sort_by(|one, other| one.name.cmp(&other.name));
    let site = Site { namespace: DEFAULT_SYSTEM_NAMESPACE.to_owned(), ..Site::default() };
    let made = scrape_policy::desired(&policy, &fleets, &site, Installed::all()).unwrap();
    made.into_iter().map(|made| made.body).collect()
}

#[test]
fn a_pod_of_two_fleets_is_scraped_for_the_elder_one_alone_as_the_operator_does() {
    let reviewers = FLEET.replace("coders", "reviewers").replace("app: coder", "team: a");
    let of_policy = |answer: &Answer| {
        let ours = |monitor: &Value| monitor["metadata"]["labels"]["fleetscope.io/policy"] == "own";
        of_kind(answer, "PodMonitor").into_iter().filter(ours).collect::<Vec<_>>()
    };
    // Files know no ages: the name that comes first is the elder one, in whichever order they are read.
    let wanted = monitors(FLEET, &reviewers);
    assert_ne!(wanted, monitors(&reviewers, FLEET));
    for files in [[FLEET, &reviewers], [&reviewers, FLEET]] {
        let answer = rendered("-o json", &format!("{}---\n{}---\n{SCRAPE}", files[0], files[1]));
        assert_eq!(of_policy(&answer), wanted);
    }
    // What a cluster gives back has its age; what has none comes after that.
    let old = reviewers.replace("reviewers,", "reviewers, creationTimestamp: '2026-01-02T03:04:05Z',");
    let answer = rendered("-o json", &format!("{FLEET}---\n{old}---\n{SCRAPE}"));
    assert_eq!(of_policy(&answer), monitors(&old, FLEET));
    // A fleet that is left out has its pods all the same.
    let answer = rendered("-o json --fleet reviewers", &format!("{FLEET}---\n{reviewers}---\n{SCRAPE}"));
    let younger = wanted.iter().filter(|monitor| monitor.to_string().contains("reviewers"));
    assert_eq!(of_policy(&answer).iter().collect::<Vec<_>>(), younger.collect::<Vec<_>>());
}

#[test]
fn of_two_policies_the_elder_one_decides_by_its_age_and_then_by_its_name() {
    let policy = |name: &str, created: &str| {
        format!(
            "---\napiVersion: fleetscope.io/v1alpha1\nkind: AlertPolicy\nmetadata: {{name: {name}, namespace: team-a{created}}}\nspec: {{}}\n"
        )
    };
    let deciding = |all: &str| {
        let rules = of_kind(&rendered("-o json", &format!("{FLEET}{all}")), "PrometheusRule");
        let deciding = rules.iter().filter(|rule| rule.to_string().contains("FleetTaskFailureRatioHigh"));
        deciding.map(|rule| rule["metadata"]["labels"]["fleetscope.io/policy"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(deciding(&(policy("b", "") + &policy("a", ""))), ["a"]);
    let old = ", creationTimestamp: '2026-01-02T03:04:05Z'";
    assert_eq!(deciding(&(policy("b", old) + &policy("a", ""))), ["b"]);
}

#[test]
fn a_policy_without_the_catalogue_decides_for_no_fleet() {
    let policy = "apiVersion: fleetscope.io/v1alpha1\nkind: ClusterAlertPolicy\nmetadata: {name: own}\nspec: {catalogue: {enabled: false}, rules: [{alert: A, expr: 'x{$fleets} > 1'}]}\n";
    let rules = of_kind(&rendered("-o json", &format!("{FLEET}---\n{policy}")), "PrometheusRule");
    let fleets = [SelectedFleet {
        namespace: "team-a".to_owned(),
        name: "coders".to_owned(),
        profile: "Generic".to_owned(),
        decides: false,
        call_bounds: Vec::new(),
    }];
    let site = Site { namespace: DEFAULT_SYSTEM_NAMESPACE.to_owned(), ..Site::default() };
    let policy = admit_as(&serde_saphyr::from_str(policy).unwrap()).unwrap();
    let wanted = of_policy(Policy::Cluster(&policy), &fleets, &site, Installed::all()).unwrap().objects;
    let made = rules.iter().filter(|rule| rule["metadata"]["labels"]["fleetscope.io/policy"] == "own");
    assert_eq!(made.collect::<Vec<_>>(), wanted.iter().map(|object| &object.body).collect::<Vec<_>>());
}
