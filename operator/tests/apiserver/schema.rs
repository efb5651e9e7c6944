//! What the API server makes of the definition and of the samples.

use cases::Case;
use fleetscope_core::api::crds;
use kube::Api;
use kube::api::PostParams;
use kube::core::{ApiResource, DynamicObject, GroupVersionKind};

use crate::server::root;
use crate::world::{NAMESPACE, World};

/// The table that core evaluates without a cluster, where a test holds it to have a case for each rule.
#[path = "../../../core/tests/cel/cases/mod.rs"]
mod cases;

#[tokio::test]
#[ignore = "needs etcd and kube-apiserver: make test-operator"]
async fn check_06_the_definition_is_accepted_and_samples_are_accepted_or_refused() {
    let world = World::start().await;
    let (mut good, mut bad) = (0, 0);
    for entry in std::fs::read_dir(root().join("tests/samples")).unwrap() {
        let path = entry.unwrap().path().to_string_lossy().into_owned();
        let (accepted, said) = world.server.kubectl(&["apply", "-n", NAMESPACE, "-f", &path]);
        assert_eq!(accepted, !path.ends_with("-illegal.yaml"), "{path}: {said}");
        if accepted { good += 1 } else { bad += 1 }
    }
    assert!(good >= 3 && bad >= 10, "{good} accepted, {bad} refused");
    let (found, said) = world.server.kubectl(&["get", "fleetscope", "-n", NAMESPACE, "-o", "name"]);
    assert!(found && said.lines().count() == good, "{said}");
    let (explained, said) = world.server.kubectl(&["explain", "fleet.spec.tasks.rules.resultByExitCode"]);
    assert!(explained && said.contains("exit code"), "{said}");
}

#[tokio::test]
#[ignore = "needs etcd and kube-apiserver: make test-operator"]
async fn check_06_each_rule_refuses_in_its_own_words_what_it_refuses_without_a_cluster() {
    let world = World::start().await;
    let trial = PostParams { dry_run: true, ..PostParams::default() };
    let crds = crds();
    for Case { kind, good, bad, says } in cases::all() {
        let spec = &crds.iter().find(|crd| crd.spec.names.kind == kind).unwrap().spec;
        let gvk = GroupVersionKind::gvk(&spec.group, &spec.versions[0].name, kind);
        let resource = ApiResource::from_gvk_with_plural(&gvk, &spec.names.plural);
        let client = world.client.clone();
        let api: Api<DynamicObject> = if spec.scope == "Namespaced" {
            Api::namespaced_with(client, NAMESPACE, &resource)
        } else {
            Api::all_with(client, &resource)
        };
        let read = |spec| serde_json::from_value::<DynamicObject>(cases::object(kind, spec)).unwrap();
        if let Err(error) = api.create(&trial, &read(&good)).await {
            panic!("{kind} {good}: {error}");
        }
        let Err(kube::Error::Api(refused)) = api.create(&trial, &read(&bad)).await else {
            panic!("{kind} {bad} is accepted");
        };
        let causes = refused.details.as_ref().map(|details| details.causes.as_slice()).unwrap_or_default();
        let (path, message) = says.split_once(": ").unwrap();
        // Between the two the server prints the value: `Invalid value: "9s": interval is ...`.
        let said = matches!(causes, [cause] if cause.field == path && cause.message.ends_with(&format!(": {message}")));
        assert!(said, "{kind} {bad}: {says}: {causes:?}");
    }
}
