//! Secrets that policies name: missing, without the key, not to be read.

use std::time::Duration;

use fleetscope_core::resources::ChildKind::PodMonitor;
use fleetscope_core::resources::names;
use fleetscope_operator::owner::OwnerKind::ScrapePolicy;
use kube::ResourceExt as _;
use serde_json::{Value, json};

use crate::world::{LIMIT, World};

/// What is missing is looked for again after 30 s.
const RETRY: Duration = Duration::from_secs(40);

fn with_password(key: &str) -> Value {
    json!({ "pods": {}, "basicAuth": {
        "username": { "name": "scrape", "key": "user" }, "password": { "name": "scrape", "key": key },
    } })
}

#[tokio::test]
#[ignore = "needs etcd and kube-apiserver: make test-operator"]
async fn a_secret_without_the_key_is_told_and_found_when_it_has_it() {
    let world = World::start().await;
    world.install_children();
    let _operator = world.operator("one", &[]);
    world.fleet("review", json!({})).await;
    world.condition("review", "Programmed=True Applied").await;
    let monitor = names::joined(&["p", "review", "pods"]);
    world.secret("scrape", &["user"]);
    world.make(ScrapePolicy, "p", with_password("password")).await;
    let policy = world.condition_of(ScrapePolicy, "p", "Accepted=False RefNotFound", LIMIT).await;
    let told = policy.data["status"]["conditions"].to_string();
    assert!(told.contains("spec.basicAuth.password: the Secret scrape has no key password: add the key"), "{told}");
    assert_eq!(world.children(PodMonitor).get_opt(&monitor).await.unwrap(), None);

    world.secret("scrape", &["user", "password"]);
    world.condition_of(ScrapePolicy, "p", "Accepted=True Valid", RETRY).await;
    let (made, _) = world.object(PodMonitor, &monitor).await;

    // The last good object stays when the next spec names what there is not.
    world.change(ScrapePolicy, "p", with_password("other")).await;
    world.condition_of(ScrapePolicy, "p", "Accepted=False RefNotFound", LIMIT).await;
    world.quiet().await;
    let kept = world.children(PodMonitor).get(&monitor).await.unwrap();
    assert_eq!(kept.resource_version(), made.resource_version());
    assert_eq!(world.server.forbidden(), [""; 0]);
    assert_eq!(world.server.reads("secrets"), ["get"], "never all Secrets");
}

#[tokio::test]
#[ignore = "needs etcd and kube-apiserver: make test-operator"]
async fn without_the_right_to_read_secrets_they_are_not_checked() {
    let world = World::start().await;
    world.install_children();
    let (found, role) = world.server.kubectl(&["get", "clusterrole", "fleetscope-operator", "-o", "json"]);
    assert!(found, "{role}");
    let mut role: Value = serde_json::from_str(&role).unwrap();
    role["rules"].as_array_mut().unwrap().retain(|rule| rule["resources"] != json!(["secrets"]));
    let file = world.server.folder.join("role.json");
    std::fs::write(&file, role.to_string()).unwrap();
    let (replaced, said) = world.server.kubectl(&["replace", "-f", &file.to_string_lossy()]);
    assert!(replaced, "{said}");
    let _operator = world.operator("one", &[]);
    world.fleet("review", json!({})).await;
    world.make(ScrapePolicy, "p", with_password("password")).await;
    let policy = world.condition_of(ScrapePolicy, "p", "Ready=True Observed", LIMIT).await;
    let told = policy.data["status"]["conditions"].to_string();
    assert!(told.contains("its Secrets are not checked"), "{told}");
    world.object(PodMonitor, &names::joined(&["p", "review", "pods"])).await;
}
