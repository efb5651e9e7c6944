//! A policy's life: its objects of each kind made, disturbed, suspended; those of others left alone; specs that make no sense.

use std::time::Duration;

use fleetscope_core::resources::ChildKind::{
    self, AlertmanagerConfig, ConfigMap, GrafanaDashboard, PodMonitor, PrometheusRule, ScrapeConfig, ServiceMonitor,
};
use fleetscope_core::resources::names;
use fleetscope_operator::owner::OwnerKind::{
    self, AgentFleet, AlertPolicy, ClusterAlertPolicy, ModelPriceList, ScrapePolicy,
};
use kube::ResourceExt as _;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use serde_json::{Value, json};

use crate::server::eventually;
use crate::world::{LIMIT, World};

const SECOND: Duration = Duration::from_secs(1);

/// A policy that makes an object of each kind: who, what it says, and the object's kind and name.
fn cases() -> Vec<(OwnerKind, Value, ChildKind, String)> {
    let scraped = |what: &str| names::joined(&["p", "review", what]);
    let pods =
        |output: &str| json!({ "pods": {}, "output": output, "services": { "matchLabels": { "app": "review" } } });
    let targets = json!({ "static": [{ "targets": ["10.0.0.1:9100"], "fleet": "review" }] });
    let hook = json!({ "name": "ops", "webhook": { "url": "http://hooks.example.com/a" } });
    vec![
        (ScrapePolicy, pods("PodMonitor"), PodMonitor, scraped("pods")),
        (ScrapePolicy, pods("ServiceMonitor"), ServiceMonitor, scraped("pods")),
        (ScrapePolicy, targets, ScrapeConfig, scraped("static")),
        (ScrapePolicy, pods("ConfigMap"), ConfigMap, scraped("scrape")),
        (AlertPolicy, json!({}), PrometheusRule, "p-alerts".to_owned()),
        (AlertPolicy, json!({ "receivers": [hook] }), AlertmanagerConfig, "p-receivers".to_owned()),
        (AlertPolicy, json!({ "output": "ConfigMap" }), ConfigMap, "p-alerts".to_owned()),
    ]
}

/// What somebody might write over an object's own fields.
fn edited(kind: ChildKind, fields: &Value) -> Value {
    match kind {
        PodMonitor => json!({ "podMetricsEndpoints": [{ "port": "other" }] }),
        ServiceMonitor => json!({ "endpoints": [{ "port": "other" }] }),
        ScrapeConfig => json!({ "staticConfigs": [{ "targets": ["10.0.0.9:1"] }] }),
        PrometheusRule => json!({ "groups": [] }),
        AlertmanagerConfig => json!({ "route": { "receiver": "other" } }),
        GrafanaDashboard => json!({ "json": "{}" }),
        ConfigMap => fields.as_object().unwrap().keys().map(|key| (key.clone(), json!("edited"))).collect(),
    }
}

#[tokio::test]
#[ignore = "needs etcd and kube-apiserver: make test-operator"]
async fn check_04_each_kind_of_object_is_made_repaired_within_two_seconds_and_removed() {
    let world = World::start().await;
    world.install_children();
    let operator = world.operator("one", &["--resync=2s"]);
    world.fleet("review", json!({})).await;
    world.condition("review", "Programmed=True Applied").await;
    for (owner, spec, kind, name) in cases() {
        let what = format!("{} {name} of {}", kind.as_str(), owner.as_str());
        world.make(owner, "p", spec).await;
        let (_, took) = world.object(kind, &name).await;
        assert!(took < SECOND, "{what} was made after {took:?}");
        world.condition_of(owner, "p", "Ready=True Observed", LIMIT).await;

        // Looked at again every 2 s: nothing is written.
        let writes = world.quiet().await;
        operator.looks(owner, 2).await;
        assert_eq!(world.server.writes(), writes, "{what}");

        let api = world.children(kind);
        let made = api.get(&name).await.unwrap();
        api.delete(&name, &DeleteParams::default()).await.unwrap();
        let again = async || api.get_opt(&name).await.unwrap().filter(|object| object.uid() != made.uid());
        let (_, took) = eventually(LIMIT, &format!("{what} to be made again"), again).await;
        assert!(took < SECOND * 2, "{what} was made again after {took:?}");

        let made = api.get(&name).await.unwrap();
        let field = if kind == ConfigMap { "data" } else { "spec" };
        let labels = json!({ "app.kubernetes.io/name": "other", "theirs": "x" });
        let edit = json!({ "metadata": { "labels": labels }, field: edited(kind, &made.data[field]) });
        api.patch(&name, &PatchParams::default(), &Patch::Merge(edit)).await.unwrap();
        let repaired = async || {
            let object = api.get(&name).await.unwrap();
            let ours = object.labels().get("app.kubernetes.io/name").is_some_and(|value| value == "fleetscope");
            (ours && object.data[field] == made.data[field]).then_some(object)
        };
        let (object, took) = eventually(LIMIT, &format!("{what} to be repaired"), repaired).await;
        assert!(took < SECOND * 2, "{what} was repaired after {took:?}");
        assert_eq!(object.labels()["theirs"], "x", "{what}: what others add stays theirs");

        world.change(owner, "p", json!({ "suspend": true })).await;
        world.no_object(kind, &name).await;
        world.condition_of(owner, "p", "Ready=False Suspended", LIMIT).await;
        world.owners(owner).delete("p", &DeleteParams::default()).await.unwrap();
    }
    assert_eq!(world.server.forbidden(), [""; 0], "the role has all that the operator asks for");
}

#[tokio::test]
#[ignore = "needs etcd and kube-apiserver: make test-operator"]
async fn check_02_an_object_of_the_same_name_that_is_not_ours_stays_as_it_is() {
    let world = World::start().await;
    world.install_children();
    let _operator = world.operator("one", &[]);
    world.fleet("review", json!({})).await;
    world.condition("review", "Programmed=True Applied").await;
    for (owner, spec, kind, name) in cases() {
        let api = world.children(kind);
        let mut theirs = json!({
            "apiVersion": kind.api_version(), "kind": kind.as_str(),
            "metadata": { "name": name, "labels": { "app.kubernetes.io/managed-by": "fleetscope-operator" } },
        });
        match kind {
            ConfigMap => theirs["data"] = json!({ "theirs": "x" }),
            PodMonitor => theirs["spec"] = json!({ "selector": {}, "podMetricsEndpoints": [{ "port": "theirs" }] }),
            ServiceMonitor => theirs["spec"] = json!({ "selector": {}, "endpoints": [{ "port": "theirs" }] }),
            PrometheusRule | ScrapeConfig | AlertmanagerConfig => theirs["spec"] = json!({}),
            GrafanaDashboard => theirs["spec"] = json!({ "instanceSelector": {} }),
        }
        let theirs = api.create(&PostParams::default(), &serde_json::from_value(theirs).unwrap()).await.unwrap();
        world.make(owner, "p", spec).await;
        let policy = world.condition_of(owner, "p", "Programmed=False NameConflict", LIMIT).await;
        let told = policy.data["status"]["conditions"].to_string();
        assert!(told.contains(&format!("{} {name}: an object of that name exists", kind.as_str())), "{told}");
        world.change(owner, "p", json!({ "objectLabels": { "team": "a" } })).await;
        world.quiet().await;
        world.change(owner, "p", json!({ "suspend": true })).await;
        world.condition_of(owner, "p", "Ready=False Suspended", LIMIT).await;
        world.owners(owner).delete("p", &DeleteParams::default()).await.unwrap();
        world.quiet().await;
        assert_eq!(api.get(&name).await.unwrap(), theirs);
        api.delete(&name, &DeleteParams::default()).await.unwrap();
    }
}

#[tokio::test]
#[ignore = "needs etcd and kube-apiserver: make test-operator"]
async fn a_spec_that_makes_no_sense_is_told_and_the_last_good_objects_stay() {
    let world = World::start().await;
    world.install_children();
    let _operator = world.operator("one", &[]);
    world.fleet("review", json!({})).await;
    let rule = |expr: &str| json!({ "rules": [{ "alert": "Mine", "expr": expr }] });
    world.make(AlertPolicy, "p", rule("fleetscope_tasks_running{$fleets} > 1")).await;
    world.condition_of(AlertPolicy, "p", "Ready=True Observed", LIMIT).await;
    let good = world.children(PrometheusRule).get("p-alerts").await.unwrap();
    assert!(good.data.to_string().contains("Mine"));

    world.change(AlertPolicy, "p", rule("sum(")).await;
    let policy = world.condition_of(AlertPolicy, "p", "Accepted=False InvalidExpr", LIMIT).await;
    assert!(policy.data["status"]["conditions"].to_string().contains("spec.rules[0].expr"), "{:?}", policy.data);
    world.condition_of(AlertPolicy, "p", "Programmed=False NotAccepted", LIMIT).await;
    world.quiet().await;
    let kept = world.children(PrometheusRule).get("p-alerts").await.unwrap();
    assert_eq!(kept.resource_version(), good.resource_version());
    let status = world.owners(AlertPolicy).get("p").await.unwrap().data["status"].clone();
    assert!(status["alerts"].as_i64().is_some_and(|alerts| alerts > 1), "{status}");

    world.change(AlertPolicy, "p", rule("fleetscope_tasks_runing{$fleets} > 1")).await;
    world.condition_of(AlertPolicy, "p", "Ready=True Observed", LIMIT).await;
    world.condition_of(AlertPolicy, "p", "Degraded=True UnknownMetric", LIMIT).await;

    let price = |model: &str| json!({ "model": model, "perMillion": { "input": "3", "output": "15" } });
    world.make(ModelPriceList, "prices", json!({ "models": [price("a-*")] })).await;
    let list = world.condition_of(ModelPriceList, "prices", "Ready=True Observed", LIMIT).await;
    assert_eq!(list.data["status"]["models"], 1);
    world.change(ModelPriceList, "prices", json!({ "models": [price("a-*"), price("a-*")] })).await;
    world.condition_of(ModelPriceList, "prices", "Accepted=False InvalidValue", LIMIT).await;
    assert_eq!(world.server.forbidden(), [""; 0]);
}

#[tokio::test]
#[ignore = "needs etcd and kube-apiserver: make test-operator"]
async fn definitions_of_ours_may_be_missing_come_and_go() {
    let world = World::start().await;
    let kinds = [AlertPolicy, ClusterAlertPolicy, ScrapePolicy, ModelPriceList];
    let remove = || {
        let names = kinds.map(OwnerKind::crd);
        let (removed, said) = world.server.kubectl(&[["delete", "crd"].as_slice(), &names].concat());
        assert!(removed, "{said}");
    };
    remove();
    let mut operator = world.operator("one", &[]);
    world.fleet("alone", json!({})).await;
    let (_, took) = world.child(ConfigMap, "alone").await;
    assert!(took < SECOND * 5, "after {took:?}");

    world.define();
    world.make(AlertPolicy, "p", json!({})).await;
    let (_, took) = world.object(ConfigMap, "p-alerts").await;
    assert!(took < SECOND * 5, "after {took:?}");
    world.condition_of(AlertPolicy, "p", "Ready=True Observed", LIMIT).await;

    remove();
    for i in 0..10 {
        let name = format!("after-{i}");
        world.fleet(&name, json!({})).await;
        let (_, took) = world.child(ConfigMap, &name).await;
        assert!(took < SECOND, "{name}: after {took:?}");
    }
    world.define();
    world.make(AlertPolicy, "again", json!({})).await;
    world.object(ConfigMap, "again-alerts").await;
    assert!(operator.runs(), "it never restarts");
}

#[tokio::test]
#[ignore = "needs etcd and kube-apiserver: make test-operator"]
async fn nothing_is_written_into_a_namespace_that_is_being_deleted() {
    let world = World::start().await;
    world.install_children();
    let operator = world.operator("one", &["--resync=2s"]);
    world.fleet("review", json!({})).await;
    world.make(AlertPolicy, "p", json!({})).await;
    world.condition("review", "Programmed=True Applied").await;
    world.condition_of(AlertPolicy, "p", "Ready=True Observed", LIMIT).await;
    world.quiet().await;
    // There is no controller that would empty it: it stays as it is, on its way.
    let (asked, said) = world.server.kubectl(&["delete", "namespace", crate::world::NAMESPACE, "--wait=false"]);
    assert!(asked, "{said}");
    let writes = world.quiet().await;
    for (kind, name) in
        [(PodMonitor, "review-scrape"), (PrometheusRule, "review-recordings"), (PrometheusRule, "p-alerts")]
    {
        world.children(kind).delete(name, &DeleteParams::default()).await.unwrap();
    }
    world.change(AlertPolicy, "p", json!({ "evaluationInterval": "1m" })).await;
    // By what was deleted and edited, and once more by itself.
    for kind in [AgentFleet, AlertPolicy] {
        operator.looks(kind, 3).await;
    }
    assert_eq!(world.server.writes(), writes);
    assert_eq!(world.server.forbidden(), [""; 0]);
}
