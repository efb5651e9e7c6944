//! From a task that fails to somebody who is told: rules and routes of a policy, in a real Prometheus and a real Alertmanager.

use std::collections::BTreeSet;
use std::time::Duration;

use fleetscope_tests::cluster::kubectl;
use fleetscope_tests::wait::{eventually, until};
use fleetscope_tests::webhook::{Received, Webhook};
use fleetscope_tests::{alertmanager, prometheus};
use kube::api::{DeleteParams, PostParams};
use serde_json::{Value, json};

use crate::scene::{FLEET, Scene, rules};

const ALERT: &str = "FleetTaskFailureRatioHigh";
/// Until a changed rule or route is what Prometheus or Alertmanager works by: prometheus-operator, the kubelet and the reloader
/// come first.
const LOADED: Duration = Duration::from_mins(3);
/// Half of the tasks fail at first, a sixth in the end: rates are over five minutes.
const FIRING: Duration = Duration::from_mins(4);

/// Alerts of a status in what Alertmanager posted.
fn told<'a>(received: &'a [Received], status: &str) -> Vec<&'a Value> {
    let alerts = received.iter().filter_map(|received| received.body["alerts"].as_array()).flatten();
    alerts.filter(|alert| alert["status"] == status && alert["labels"]["alertname"] == ALERT).collect()
}

#[tokio::test]
#[ignore = "needs a cluster: make e2e"]
async fn tasks_that_fail_are_told_to_a_receiver_and_that_they_do_no_more() {
    let scene = Scene::open("alerting").await;
    let (cluster, namespace) = (&scene.cluster, scene.namespace());
    let webhook = Webhook::start(cluster, namespace, "webhook", env!("CARGO_BIN_EXE_webhook")).await.unwrap();
    let policies = cluster.dynamic(("fleetscope.io", "v1alpha1", "AlertPolicy"), namespace);
    let policy = json!({
        "apiVersion": "fleetscope.io/v1alpha1", "kind": "AlertPolicy", "metadata": {"name": "crew"},
        "spec": {
            "evaluationInterval": "5s",
            "catalogue": {
                "labels": {"team": "e2e"},
                "overrides": [{"alert": ALERT, "threshold": "0.3", "minimum": "1", "for": "10s", "keepFiringFor": "1s", "severity": "critical"}],
            },
            "receivers": [
                {"name": "hook", "webhook": {"url": webhook.url("/crew")}},
                {"name": "nobody", "webhook": {"url": webhook.url("/nobody")}},
            ],
            "routes": [
                {"receiver": "nobody", "severities": ["info"]},
                {"receiver": "hook", "severities": ["critical"], "alerts": ["FleetTask*"], "groupWait": "1s", "groupInterval": "5s"},
            ],
        },
    });
    policies.create(&PostParams::default(), &serde_json::from_value(policy).unwrap()).await.unwrap();
    scene.fleet(rules()).await;
    for condition in ["Accepted", "Programmed", "Selected", "Ready"] {
        let what = format!("the policy is {condition}");
        until(Duration::from_secs(30), &what, async || {
            let status = policies.get("crew").await?.data["status"].clone();
            let conditions = status["conditions"].as_array().cloned().unwrap_or_default();
            let holds = conditions.iter().any(|c| c["type"] == condition && c["status"] == "True");
            anyhow::ensure!(holds, "{conditions:#?}");
            Ok(true)
        })
        .await
        .unwrap();
    }
    let query = format!("ALERTS{{alertname={ALERT:?},namespace={namespace:?}}}");
    let info = format!("fleetscope:policy_generation:info{{policy=\"{namespace}/crew\"}}");
    let loaded = until(LOADED, "Prometheus evaluates the policy's rules", async || {
        Ok(!prometheus::query(cluster, &info).await?.is_empty())
    });
    println!("rules evaluated after {:.1?}", loaded.await.unwrap());

    // Half of these fail by the rules, for a while, as a rate needs two scrapes.
    scene.pod("load", &["run", "3000", "8"], None).await;
    let (pending, _) = eventually(FIRING, "the alert is pending", async || {
        Ok(prometheus::query(cluster, &query).await?.into_iter().find(|alert| alert.labels["alertstate"] == "pending"))
    })
    .await
    .unwrap();
    assert_eq!((&*pending.labels["fleet"], &*pending.labels["severity"]), (FLEET, "critical"));
    let (firing, waited) = eventually(FIRING, "the receiver is told that the alert fires", async || {
        Ok(told(&webhook.received(cluster, "/crew").await?, "firing").first().map(|alert| (*alert).clone()))
    })
    .await
    .unwrap();
    println!("told after {waited:.1?}: {firing:#}");
    let labels: Value = json!({
        "alertname": ALERT, "namespace": namespace, "fleet": FLEET, "severity": "critical",
        "policy": format!("{namespace}/crew"), "source": "fleetscope", "team": "e2e",
    });
    let mut have = firing["labels"].clone();
    // What a Prometheus adds about itself.
    for external in ["prometheus", "prometheus_replica"] {
        have.as_object_mut().unwrap().remove(external);
    }
    assert_eq!(have, labels);
    let annotations = &firing["annotations"];
    let summary = annotations["summary"].as_str().unwrap();
    assert!(summary.contains(&format!("{namespace}/{FLEET}")) && summary.contains('%'), "{summary}");
    assert!(annotations["runbook_url"].as_str().unwrap().ends_with(&format!("/{ALERT}.md")), "{annotations}");

    // Many that succeed: the share of those that fail falls below the threshold.
    scene.pod("calm", &["storm", "9000", "2"], None).await;
    let ((), waited) = eventually(FIRING, "the receiver is told that it is over", async || {
        Ok((!told(&webhook.received(cluster, "/crew").await?, "resolved").is_empty()).then_some(()))
    })
    .await
    .unwrap();
    println!("resolved after {waited:.1?}");
    assert_eq!(webhook.received(cluster, "/nobody").await.unwrap(), [], "no route leads there");
    policies.delete("crew", &DeleteParams::default()).await.unwrap();
}

#[tokio::test]
#[ignore = "needs a cluster: make e2e"]
async fn a_policy_that_makes_no_sense_says_why_and_keeps_what_was_there() {
    let scene = Scene::open("refused").await;
    let namespace = scene.namespace();
    let policies = scene.cluster.dynamic(("fleetscope.io", "v1alpha1", "AlertPolicy"), namespace);
    let rules = scene.cluster.dynamic(("monitoring.coreos.com", "v1", "PrometheusRule"), namespace);
    let policy = |expr: &str| {
        let policy = json!({
            "apiVersion": "fleetscope.io/v1alpha1", "kind": "AlertPolicy", "metadata": {"name": "own"},
            "spec": {"rules": [{"alert": "Own", "expr": expr}]},
        });
        serde_json::from_value(policy).unwrap()
    };
    policies.create(&PostParams::default(), &policy("up == 0")).await.unwrap();
    let limit = Duration::from_secs(10);
    let (before, _) = eventually(limit, "the policy has its rules", async || rules_of(&rules).await).await.unwrap();
    let mut edited = policies.get("own").await.unwrap();
    edited.data["spec"]["rules"][0]["expr"] = json!("up ==");
    policies.replace("own", &PostParams::default(), &edited).await.unwrap();
    let (message, _) = eventually(limit, "the policy is not accepted", async || {
        let policy = policies.get("own").await?;
        let conditions = policy.data["status"]["conditions"].as_array().cloned().unwrap_or_default();
        let accepted = conditions.into_iter().find(|c| c["type"] == "Accepted" && c["status"] == "False");
        Ok(accepted.filter(|c| c["reason"] == "InvalidExpr").map(|c| c["message"].clone()))
    })
    .await
    .unwrap();
    assert!(message.as_str().unwrap().contains("spec.rules[0].expr"), "{message}");
    assert_eq!(rules_of(&rules).await.unwrap(), Some(before), "the last good rules stay");
}

#[tokio::test]
#[ignore = "needs a cluster: make e2e"]
async fn each_kind_of_receiver_is_taken_by_prometheus_operator_and_used_by_alertmanager() {
    let scene = Scene::open("receivers").await;
    let (cluster, namespace) = (&scene.cluster, scene.namespace());
    let secret = ["url=http://192.0.2.1/hook", "key=0123456789abcdef0123456789abcdef", "user=u", "password=p"];
    let literals = secret.map(|pair| format!("--from-literal={pair}"));
    let [url, key, user, password] = literals.each_ref().map(String::as_str);
    kubectl(&["-n", namespace, "create", "secret", "generic", "told", url, key, user, password]).unwrap();
    let of = |key: &str| json!({"name": "told", "key": key});
    let login = json!({"usernameSecret": of("user"), "passwordSecret": of("password")});
    let email = json!({
        "to": "ops@example.com", "from": "fleet@example.com", "smarthost": "192.0.2.1:25", "authUsername": "u",
        "authPasswordSecret": of("password"), "headers": {"Subject": "Alerts"},
    });
    let receivers = [
        ("slack", "slack", json!({"urlSecret": of("url"), "channel": "#agents"})),
        ("email", "email", email),
        ("hook", "webhook", json!({"urlSecret": of("url"), "httpConfig": {"basicAuth": login}, "maxAlerts": 5})),
        ("token", "webhook", json!({"url": "http://192.0.2.1/", "httpConfig": {"bearerTokenSecret": of("key")}})),
        ("pager", "pagerduty", json!({"routingKeySecret": of("key"), "severity": "critical"})),
        ("opsgenie", "opsgenie", json!({"apiKeySecret": of("key"), "priority": "P2"})),
        ("teams", "teams", json!({"webhookUrlSecret": of("url"), "title": "t", "text": "x"})),
    ];
    let names = receivers.each_ref().map(|(name, ..)| *name);
    let routes: Vec<Value> = names.iter().map(|name| json!({"receiver": name, "severities": ["critical"]})).collect();
    let receivers = receivers.map(|(name, kind, value)| json!({"name": name, kind: value}));
    let policies = cluster.dynamic(("fleetscope.io", "v1alpha1", "AlertPolicy"), namespace);
    let policy = json!({
        "apiVersion": "fleetscope.io/v1alpha1", "kind": "AlertPolicy", "metadata": {"name": "told"},
        "spec": {"receivers": receivers, "routes": routes, "inhibit": true},
    });
    policies.create(&PostParams::default(), &serde_json::from_value(policy).unwrap()).await.unwrap();
    let wanted: BTreeSet<String> =
        names.iter().map(|name| format!("name: {namespace}/told-receivers/{name}")).collect();
    until(LOADED, "Alertmanager has a receiver of each kind", async || {
        let config = alertmanager::config(cluster).await?;
        let missing: Vec<&String> = wanted.iter().filter(|name| !config.contains(name.as_str())).collect();
        anyhow::ensure!(missing.is_empty(), "{missing:?} of\n{config}");
        Ok(true)
    })
    .await
    .unwrap();
    policies.delete("told", &DeleteParams::default()).await.unwrap();
}

/// The specs of the rules of a namespace, if there are some.
async fn rules_of(rules: &kube::Api<kube::api::DynamicObject>) -> anyhow::Result<Option<Vec<Value>>> {
    let all = rules.list(&kube::api::ListParams::default()).await?.items;
    let specs: Vec<Value> = all.into_iter().map(|rule| rule.data["spec"].clone()).collect();
    Ok((!specs.is_empty()).then_some(specs))
}
