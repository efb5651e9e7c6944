//! The chart's roles beside what was asked of the API server in the whole run of this suite, both ways: no verb that is not used, none
//! that is missing. Last in the order of names.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use fleetscope_tests::cluster::kubectl;
use fleetscope_tests::wait::until;
use fleetscope_tests::{audit, release, skip};
use kube::ResourceExt as _;
use kube::api::{ListParams, Patch, PatchParams, PostParams};
use serde_json::json;

use crate::scene::{FLEET, Scene, rules};

/// Rights that no run of this suite is sure to use: account, right, and why it is needed all the same.
const RARE: [(&str, &str, &str); 0] = [];

/// What the operator does so seldom that the other tests may not have made it do so: each form of scrape object comes and goes,
/// and the same event is told again.
async fn seldom() {
    let scene = Scene::open("verbs").await;
    scene.create_fleet(FLEET, rules()).await;
    for output in ["ServiceMonitor", "ConfigMap", "PodMonitor"] {
        for label in ["first", "second"] {
            scene.patch_fleet(json!({ "scrape": { "output": output, "labels": { "step": label } } })).await;
            let (version, kind) =
                if output == "ConfigMap" { (("", "v1"), output) } else { (("monitoring.coreos.com", "v1"), output) };
            let objects = scene.cluster.dynamic((version.0, version.1, kind), scene.namespace());
            until(Duration::from_secs(20), &format!("a {output} has its {label} label"), async || {
                let object = objects.get_opt(&format!("{FLEET}-scrape")).await?;
                Ok(object.is_some_and(|object| object.labels().get("step").is_some_and(|step| step == label)))
            })
            .await
            .unwrap();
        }
    }
    for suspend in [true, false, true, false] {
        scene.patch_fleet(json!({ "suspend": suspend })).await;
        let wanted = if suspend { "Suspended" } else { "Applied" };
        until(Duration::from_secs(20), &format!("the fleet is {wanted}"), async || {
            let status = scene.fleets().get(FLEET).await?.status.unwrap_or_default();
            Ok(status.conditions.iter().any(|c| c.type_ == "Programmed" && c.reason == wanted))
        })
        .await
        .unwrap();
    }
}

/// The same of dashboards: one is made, repaired, and removed.
async fn seldom_of_dashboards() {
    let scene = Scene::open("verbs").await;
    scene.create_fleet(FLEET, rules()).await;
    let kind = ("grafana.integreatly.org", "v1beta1", "GrafanaDashboard");
    let (objects, name) = (scene.cluster.dynamic(kind, scene.namespace()), format!("{FLEET}-dashboard"));
    let told = async |what: &str, wanted: fn(&str) -> bool| {
        until(Duration::from_secs(20), what, async || {
            let object = objects.get_opt(&name).await?;
            Ok(wanted(object.as_ref().and_then(|object| object.data["spec"]["json"].as_str()).unwrap_or_default()))
        })
        .await
        .unwrap();
    };
    scene.patch_fleet(json!({ "dashboard": "Overview" })).await;
    told("the dashboard is made", |model| model.len() > 2).await;
    let emptied = Patch::Merge(json!({ "spec": { "json": "{}" } }));
    objects.patch(&name, &PatchParams::default(), &emptied).await.unwrap();
    told("the dashboard is repaired", |model| model.len() > 2).await;
    scene.patch_fleet(json!({ "dashboard": "None" })).await;
    told("the dashboard is removed", str::is_empty).await;
}

/// The same of policies: each kind of object is made, looked at, changed and removed, a Secret is read, the installation's policy comes and
/// goes.
async fn seldom_of_policies() {
    let scene = Scene::open("verbs").await;
    let (cluster, namespace) = (&scene.cluster, scene.namespace());
    kubectl(&["-n", namespace, "create", "secret", "generic", "hook", "--from-literal=url=http://192.0.2.1/"]).unwrap();
    let receivers = json!([{ "name": "hook", "webhook": { "urlSecret": { "name": "hook", "key": "url" } } }]);
    let alerts = json!({ "receivers": receivers });
    let scrape = json!({ "static": [{ "targets": ["192.0.2.1:80"], "fleet": "outside" }] });
    for (owner, spec, made) in [
        ("AlertPolicy", alerts, [("v1", "PrometheusRule"), ("v1alpha1", "AlertmanagerConfig")].as_slice()),
        ("ScrapePolicy", scrape, [("v1alpha1", "ScrapeConfig")].as_slice()),
    ] {
        let policies = cluster.dynamic(("fleetscope.io", "v1alpha1", owner), namespace);
        let policy = json!({ "apiVersion": "fleetscope.io/v1alpha1", "kind": owner, "metadata": { "name": "seldom" }, "spec": spec });
        policies.create(&PostParams::default(), &serde_json::from_value(policy).unwrap()).await.unwrap();
        for label in ["first", "second", ""] {
            let change = match label {
                "" => json!({ "spec": { "suspend": true } }),
                label => json!({ "spec": { "objectLabels": { "step": label } } }),
            };
            policies.patch("seldom", &PatchParams::default(), &Patch::Merge(change)).await.unwrap();
            for (version, kind) in made {
                let objects = cluster.dynamic(("monitoring.coreos.com", version, kind), namespace);
                let of_policy = ListParams::default().labels("fleetscope.io/policy=seldom");
                until(Duration::from_secs(20), &format!("{kind} has the label {label:?}"), async || {
                    let mut found = objects.list(&of_policy).await?.items.into_iter();
                    let step = found.next().map(|object| object.labels().get("step").cloned().unwrap_or_default());
                    Ok(step.as_deref() == (!label.is_empty()).then_some(label))
                })
                .await
                .unwrap();
            }
        }
    }
    let installed = async || anyhow::Ok(kubectl(&["get", "clusteralertpolicy", "fleetscope", "-o", "name"]).is_ok());
    let off = json!({ "alerting": { "default": { "enabled": false } } });
    for (values, there) in [(off, false), (json!({}), true)] {
        release::ensure_with(&values).await.unwrap();
        let what = format!("the policy of the installation is there: {there}");
        until(Duration::from_mins(1), &what, async || Ok(installed().await? == there)).await.unwrap();
    }
}

#[tokio::test]
#[ignore = "needs a cluster: make e2e"]
async fn check_10_every_verb_of_the_charts_roles_is_used_and_none_is_missing() {
    let name = "e2e::zz_verbs::check_10_every_verb_of_the_charts_roles_is_used_and_none_is_missing";
    if std::env::var("TEST").is_ok_and(|filter| !filter.is_empty()) {
        skip::skip(name, "it looks back at a run of the whole suite, and TEST names a part of it");
        return;
    }
    let log = std::env::var("FLEETSCOPE_STATE").map(|state| Path::new(&state).join("log/audit.log"));
    let Some(log) = log.ok().filter(|log| log.exists()) else {
        skip::skip(name, "the cluster has no audit log here");
        return;
    };
    seldom().await;
    seldom_of_dashboards().await;
    seldom_of_policies().await;
    let objects = release::objects(&release::values()).unwrap();
    let accounts = objects.iter().filter(|object| object["kind"] == "ServiceAccount");
    let accounts: Vec<&str> = accounts.map(|account| account["metadata"]["name"].as_str().unwrap()).collect();
    let (mut unused, mut missing, mut seen) = (Vec::new(), Vec::new(), BTreeSet::new());
    for account in accounts {
        let granted = audit::granted(&objects, account);
        let user = format!("system:serviceaccount:{}:{account}", release::NAMESPACE);
        let requests = audit::requests(&log, &[&user]).unwrap();
        seen.extend((!requests.is_empty()).then_some(account));
        let rights = audit::unused(&granted, &requests);
        let rare = |right: &str| RARE.iter().any(|(whose, what, _)| (*whose, *what) == (account, right));
        let rights = rights.iter().map(ToString::to_string).filter(|right| !rare(right));
        unused.extend(rights.map(|right| format!("{account}: {right}")));
        missing.extend(audit::missing(&granted, &requests).iter().map(|right| format!("{account}: {right}")));
    }
    let both = BTreeSet::from(["fleetscope-node-agent", "fleetscope-operator"]);
    assert!(seen.is_superset(&both), "the log is of this run: {seen:?}");
    assert_eq!((unused, missing), (Vec::<String>::new(), Vec::<String>::new()), "(unused, missing)");
}
