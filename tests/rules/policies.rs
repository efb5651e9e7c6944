//! The rules of policies: promtool takes all of them, and they fire when they should.

mod budgets;
mod checks;
mod namespaces;
mod objectives;
mod precedence;

use fleetscope_core::alerting::{self, Policy, PolicyInput, ProfileAlerts, SelectedFleet};
use fleetscope_core::api::admission::admit_as;
use fleetscope_core::api::{AlertPolicy, ClusterAlertPolicy};
use fleetscope_core::catalogue;
use fleetscope_core::resources::Fault;
use fleetscope_tests::command::{self, Ran};
use serde_json::{Value, json};

/// A fleet of the namespace, with the profile, whose catalogue alerts the policy decides.
fn fleet(namespace: &str, name: &str) -> SelectedFleet {
    SelectedFleet {
        namespace: namespace.to_owned(),
        name: name.to_owned(),
        profile: "Generic".to_owned(),
        decides: true,
        call_bounds: Vec::new(),
    }
}

/// A rule file of the `AlertPolicy` agents/nightly with this spec.
fn rules(spec: &Value, fleets: &[SelectedFleet]) -> Result<Value, Vec<Fault>> {
    let policy: AlertPolicy = admit_as(&json!({
        "apiVersion": "fleetscope.io/v1alpha1", "kind": "AlertPolicy",
        "metadata": { "name": "nightly", "namespace": "agents" }, "spec": spec,
    }))
    .unwrap();
    file(Policy::Namespaced(&policy), fleets, &[])
}

/// A rule file of the `ClusterAlertPolicy` everywhere with this spec.
fn cluster_rules(spec: &Value, fleets: &[SelectedFleet], profiles: &[ProfileAlerts<'_>]) -> Value {
    let policy: ClusterAlertPolicy = admit_as(&json!({
        "apiVersion": "fleetscope.io/v1alpha1", "kind": "ClusterAlertPolicy", "metadata": { "name": "everywhere" }, "spec": spec,
    }))
    .unwrap();
    file(Policy::Cluster(&policy), fleets, profiles).unwrap()
}

fn file(policy: Policy<'_>, fleets: &[SelectedFleet], profiles: &[ProfileAlerts<'_>]) -> Result<Value, Vec<Fault>> {
    let input = PolicyInput { policy, fleets, alerts: catalogue::alerts(), profiles, known: &|_: &str| true };
    alerting::groups(&input).map(|(groups, _)| json!({ "groups": groups }))
}

/// Runs promtool on files that are written into a folder of this name; the last of them is its argument.
fn promtool(name: &str, arguments: &[&str], files: &[(&str, &Value)]) -> Ran {
    let folder = crate::folder(name);
    let mut last = String::new();
    for (file, content) in files {
        let path = folder.join(file);
        std::fs::write(&path, content.to_string()).unwrap(); // JSON is YAML
        path.to_str().unwrap().clone_into(&mut last);
    }
    let arguments: Vec<&str> = arguments.iter().copied().chain([last.as_str()]).collect();
    command::run_with("promtool", &arguments, "").unwrap()
}

/// Evaluates the rule files over series, and compares as the tests say.
fn unit_tests(name: &str, files: &[&Value], interval: &str, tests: &Value) {
    let names: Vec<String> = (0..files.len()).map(|i| format!("rules-{i}.yaml")).collect();
    let file = json!({ "rule_files": names, "evaluation_interval": interval, "tests": tests });
    let mut all: Vec<(&str, &Value)> = names.iter().map(String::as_str).zip(files.iter().copied()).collect();
    all.push(("tests.yaml", &file));
    let ran = promtool(name, &["test", "rules"], &all);
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
}

/// An alert that is expected to fire, with exactly these labels and annotations.
#[expect(clippy::needless_pass_by_value, reason = "written as json!(..) where it is called")]
fn fires(labels: Value, summary: &str, description: &str, alert: &str) -> Value {
    json!({ "exp_labels": labels, "exp_annotations": {
        "summary": summary,
        "description": description,
        "runbook_url": format!("{}/{alert}.md", catalogue::RUNBOOKS),
    } })
}
