//! Tests of `render`: whole outputs, and faults with their place, field and remedy.

use clap::Parser as _;

use fleetscope_core::api::AgentFleet;
use fleetscope_core::api::admission::admit_as;
use fleetscope_core::resources::fleet;

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
