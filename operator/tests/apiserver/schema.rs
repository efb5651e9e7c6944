//! What the API server makes of the definition and of the samples.

use crate::server::root;
use crate::world::{NAMESPACE, World};

#[tokio::test]
#[ignore = "needs etcd and kube-apiserver: make test-operator"]
async fn the_definition_is_accepted_and_samples_are_accepted_or_refused() {
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
