//! promtool takes what is made, and what it would refuse is a fault of the policy before.

use std::collections::BTreeMap;

use fleetscope_core::alerting::recordings::fleet_recordings;
use fleetscope_core::alerting::{self, Policy, PolicyInput, ProfileAlert, ProfileAlerts, RULES};
use fleetscope_core::api::AlertPolicy;
use fleetscope_core::api::admission::admit_as;
use fleetscope_core::catalogue;
use fleetscope_core::resources::{Installed, Site};
use fleetscope_tests::command;
use serde_json::{Value, json};

use super::{cluster_rules, fleet, promtool, rules};
use crate::has_promtool;

fn spec_of_sample(file: &str) -> Value {
    let text = std::fs::read_to_string(command::root().join("tests/samples").join(file)).unwrap();
    serde_saphyr::from_str::<Value>(&text).unwrap()["spec"].clone()
}

fn check(name: &str, file: &Value) {
    let ran = promtool(name, &["check", "rules", "--lint=all", "--lint-fatal"], &[("rules.yaml", file)]);
    let rules: usize =
        file["groups"].as_array().unwrap().iter().map(|group| group["rules"].as_array().unwrap().len()).sum();
    assert_eq!(ran.code, 0, "{name}: {}{}", ran.stdout, ran.stderr);
    assert!(ran.stdout.contains(&format!("SUCCESS: {rules} rules found")), "{name}: {}", ran.stdout);
}

#[test]
#[ignore = "needs promtool: make test-rules"]
fn promtool_takes_the_rules_of_every_feature() {
    if !has_promtool("rules::policies::checks::promtool_takes_the_rules_of_every_feature") {
        return;
    }
    let here = [fleet("agents", "a"), fleet("agents", "b.c")];
    check("check-everything", &rules(&spec_of_sample("alert-policy-everything.yaml"), &here).unwrap());
    check("check-default", &rules(&json!({}), &here).unwrap());
    let slow = ProfileAlert { threshold: Some("10".to_owned()), ..ProfileAlert::default() };
    let profiles = [ProfileAlerts { name: "Atoll", alerts: BTreeMap::from([("FleetTaskSlow", slow)]) }];
    let mut mixed = here.to_vec();
    mixed[1].profile = "Atoll".to_owned();
    check("check-cluster", &cluster_rules(&json!({}), &mixed, &profiles));
    check(
        "check-cluster-everything",
        &cluster_rules(&spec_of_sample("cluster-alert-policy-everything.yaml"), &mixed, &profiles),
    );
    let budgets = |per: &str, period: &str| json!({ "name": format!("{per}-{period}").to_lowercase(), "limit": "10", "per": per, "period": period });
    let all: Vec<Value> = ["Fleet", "Model", "AgentType", "Policy"]
        .iter()
        .flat_map(|per| ["Day", "Week", "Month"].map(|period| budgets(per, period)))
        .collect();
    let many: Vec<_> = (0..120).map(|i| fleet("agents", &format!("fleet-{i}"))).collect();
    let spec = json!({ "fleets": { "matchLabels": { "a": "b" } }, "budgets": all, "slos": spec_of_sample("alert-policy-everything.yaml")["slos"] });
    check("check-many-fleets", &rules(&spec, &many).unwrap());
    check("check-many-fleets-cluster", &cluster_rules(&spec, &many, &profiles));
    let groups = fleet_recordings("agents", "b.c", "Generic", catalogue::recordings(), Vec::new());
    check("check-recordings", &json!({ "groups": groups }));
}

#[test]
#[ignore = "needs promtool: make test-rules"]
fn a_rule_file_in_a_config_map_holds_any_text() {
    if !has_promtool("rules::policies::checks::a_rule_file_in_a_config_map_holds_any_text") {
        return;
    }
    let text =
        "yes: \u{1F600} \u{e4}\u{1}\u{7f}\u{2028} \"quoted\" 'too'\n- a\n\n\ttab # {{ $value }} \\n &x *y !z % @ `";
    let policy: AlertPolicy = admit_as(&json!({
        "apiVersion": "fleetscope.io/v1alpha1", "kind": "AlertPolicy", "metadata": { "name": "nightly", "namespace": "agents" },
        "spec": { "rules": [{ "alert": "on", "expr": "up # 1e3\n  == 0", "labels": { "no": text }, "annotations": { "summary": text } }] },
    }))
    .unwrap();
    let fleets = [fleet("agents", "a")];
    let known = |_: &str| true;
    let input = PolicyInput {
        policy: Policy::Namespaced(&policy),
        fleets: &fleets,
        alerts: catalogue::alerts(),
        profiles: &[],
        known: &known,
    };
    let rendered = alerting::desired(&input, &Site::default(), Installed::default()).unwrap();
    let folder = crate::folder("config-map");
    let path = folder.join("rules.yaml");
    std::fs::write(&path, rendered.objects[0].body["data"][RULES].as_str().unwrap()).unwrap();
    let printed =
        command::run("promtool", &["check", "rules", "--lint=all", "--lint-fatal", path.to_str().unwrap()]).unwrap();
    assert!(printed.contains(&format!("SUCCESS: {} rules found", rendered.alerts + rendered.recordings)), "{printed}");
    let unit = json!({ "rule_files": ["rules.yaml"], "evaluation_interval": "1m", "tests": [{
        "interval": "1m", "input_series": [{ "series": "up", "values": "0x5" }],
        "alert_rule_test": [{ "eval_time": "2m", "alertname": "on", "exp_alerts": [{
            "exp_labels": { "no": text.replace("{{ $value }}", "0"), "namespace": "agents", "policy": "agents/nightly", "severity": "warning", "source": "fleetscope" },
            "exp_annotations": { "summary": text.replace("{{ $value }}", "0") },
        }] }],
    }] });
    let path = folder.join("unit.yaml");
    std::fs::write(&path, serde_saphyr::to_string(&unit).unwrap()).unwrap();
    command::run("promtool", &["test", "rules", path.to_str().unwrap()]).unwrap();
}

/// Whether the policy is accepted, and if so promtool must take it.
fn accepted(name: &str, rule: &Value) -> bool {
    match rules(&json!({ "catalogue": { "enabled": false }, "rules": [rule] }), &[fleet("agents", "a")]) {
        Ok(file) => {
            check(name, &file);
            true
        }
        Err(_) => false,
    }
}

/// What promtool says of the rule as it is written.
fn taken(name: &str, rule: &Value) -> bool {
    let file = json!({ "groups": [{ "name": "g", "rules": [rule] }] });
    promtool(name, &["check", "rules"], &[("rules.yaml", &file)]).code == 0
}

#[test]
#[ignore = "needs promtool: make test-rules"]
fn what_promtool_refuses_is_refused_and_what_users_write_is_taken() {
    if !has_promtool("rules::policies::checks::what_promtool_refuses_is_refused_and_what_users_write_is_taken") {
        return;
    }
    let template = |text: &str| json!({ "alert": "A", "expr": "up == 0", "annotations": { "summary": text } });
    let good = [
        "{{ $value | humanizePercentage }} of {{ $labels.fleet }}",
        "{{- with query \"up\" -}}{{ . | first | value | humanizeDuration }}{{ end }}",
        "{{ range $i, $s := query \"up\" }}{{ if gt $s.Value 0.5 }}{{ $s.Labels.job }}{{ else if eq $i 1 }}b{{ else }}c{{ end }}{{ end }}",
        "{{ printf \"%.2f\" $value }}{{/* comment */}} {{ (query \"up\" | first).Value }} } }} {",
        "{{ $x := \"a\" }}{{ $x = `b` }}{{ reReplaceAll \"a\" $x \"c\" | toUpper | title }}",
        "{{ externalURL }}{{ pathPrefix }}{{ graphLink \"up\" }}{{ $externalLabels.cluster }}{{ 'x' }}",
    ];
    let bad = [
        "{{ $value",
        "{{ }}",
        "{{ $valu }}",
        "{{ humanise $value }}",
        "{{ | humanize }}",
        "{{ end }}",
        "{{ if $value }}",
        "{{ else }}",
        "{{ (query \"up\" }}",
        "{{ $value | 3 }}",
        "{{ break }}",
        "{{ \"open }}",
        "{{ $labels.fleet! }}",
        "{{ /* comment */ }}",
    ];
    let expression = |expr: &str| json!({ "alert": "A", "expr": expr });
    let good_expressions = [
        "up{a=~`\\d+`} # a \"comment\"\n> 0",
        "sum by (a) (rate(x_total[5m])) / on (a) group_left (b) y > bool 1",
        "topk(3, quantile_over_time(0.9, x[1h:1m])) unless ignoring (c) (y offset 1d or z @ 1700000000)",
        "absent_over_time(x{task=\"nightly\"}[25h])",
        "label_replace(x, \"a\", \"$1\", \"b\", \"(.*)\") ^ 2 % -3",
        "predict_linear(x[6h], 3600) < 0x1F",
        "histogram_quantile(0.99, sum by (le) (rate(x_bucket[5m]))) > 1e3",
        "1",
    ];
    let bad_expressions = [
        "topk(3, rate(x[5m]) by (model))",
        "sum(up",
        "rate(up)",
        "up{a=b}",
        "{a=~\".*\"}",
        "up{a=~\"(\"}",
        "up[5m",
        "up and 1",
        "1 > 2",
        "sum(up) by",
        "up{a=\"\\d\"}",
        "nope(up)",
        "up offset",
        "up[0]",
        "up offset -inf",
    ];
    let cases = good.map(template).into_iter().chain(good_expressions.map(expression)).map(|rule| (rule, true));
    let wrong = bad.map(template).into_iter().chain(bad_expressions.map(expression)).map(|rule| (rule, false));
    for (i, (rule, right)) in cases.chain(wrong).enumerate() {
        let name = format!("one-{i}");
        assert_eq!((accepted(&name, &rule), taken(&name, &rule)), (right, right), "{rule}");
    }
}
