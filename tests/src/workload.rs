//! Pods that start a known mix of processes and say what they started: the binary `workload` of this package in an image.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use kube::api::{Api, LogParams, PostParams};
use serde_json::{Value, json};

use crate::cluster::Cluster;
use crate::wait::eventually;

/// Label that the suite's fleets select.
pub const LABEL: (&str, &str) = ("fleet", "e2e");

/// Number and seconds of processes by task and by the label `exit`.
pub type Truth = BTreeMap<(String, String), (u64, f64)>;

/// Spec of a pod that runs the workload, with a volume at `/work`. It selects no node and is not restarted.
pub fn pod_spec(image: &str, arguments: &[&str]) -> Value {
    json!({
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": 0,
        "automountServiceAccountToken": false,
        "containers": [{
            "name": "agent", "image": image, "imagePullPolicy": "IfNotPresent", "args": arguments,
            "volumeMounts": [{"name": "work", "mountPath": "/work"}],
            "resources": {"requests": {"cpu": "10m", "memory": "16Mi"}},
        }],
        "volumes": [{"name": "work", "emptyDir": {}}],
    })
}

/// A pod of the fleet in `namespace`, from [`pod_spec`].
pub async fn start(cluster: &Cluster, namespace: &str, name: &str, spec: Value) -> Result<()> {
    let pod = json!({"metadata": {"name": name, "labels": {LABEL.0: LABEL.1}}, "spec": spec});
    let pods = Api::<Pod>::namespaced(cluster.client.clone(), namespace);
    pods.create(&PostParams::default(), &serde_json::from_value(pod)?)
        .await
        .with_context(|| format!("failed to create pod {name}"))?;
    Ok(())
}

/// Waits until all pods of the fleet in `namespace` have done their work. What they say that they did, together.
pub async fn truth(cluster: &Cluster, namespace: &str, pods: usize, limit: Duration) -> Result<Truth> {
    parse(&logs(cluster, namespace, pods, limit).await?.concat())
}

/// Waits until all pods of the fleet in `namespace` have said `settled`. What each of them said.
pub async fn logs(cluster: &Cluster, namespace: &str, pods: usize, limit: Duration) -> Result<Vec<String>> {
    let api = Api::<Pod>::namespaced(cluster.client.clone(), namespace);
    let what = format!("{pods} pods of {namespace} have done their work");
    let (logs, _) = eventually(limit, &what, async || {
        let names: Vec<String> = cluster
            .pods(namespace, &format!("{}={}", LABEL.0, LABEL.1))
            .await?
            .iter()
            .map(ResourceExt::name_any)
            .collect();
        let mut logs = Vec::new();
        for name in &names {
            let log = api.logs(name, &LogParams::default()).await?;
            // Not only the last line: what it said on standard error may come behind it, as the runtime copies two pipes.
            ensure!(log.lines().any(|line| line == "settled"), "{name} is at it: {:?}", log.lines().last());
            logs.push(log);
        }
        Ok((names.len() == pods).then_some(logs))
    })
    .await?;
    Ok(logs)
}

fn parse(logs: &str) -> Result<Truth> {
    let mut truth = Truth::new();
    for line in logs.lines() {
        let Some(entry) = line.strip_prefix("truth\t") else { continue };
        let fields: Vec<&str> = entry.split('\t').collect();
        let [task, exit, count, seconds] = fields[..] else { anyhow::bail!("not a line of truth: {line:?}") };
        let sum = truth.entry((task.to_owned(), exit.to_owned())).or_default();
        sum.0 += count.parse::<u64>()?;
        sum.1 += seconds.parse::<f64>()?;
    }
    Ok(truth)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_of_several_pods_add_up() {
        let logs =
            "truth\tend\t0\t2\t0.5\nnoise\ntruth\tend\tsigkill\t1\t1\nsettled\ntruth\tend\t0\t3\t0.25\nsettled\n";
        let key = |task: &str, exit: &str| (task.to_owned(), exit.to_owned());
        assert_eq!(
            parse(logs).unwrap(),
            Truth::from([(key("end", "0"), (5, 0.75)), (key("end", "sigkill"), (1, 1.0))])
        );
    }
}
