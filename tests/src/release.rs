//! The chart in the cluster.

use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use tokio::sync::Mutex;

use crate::command;
use crate::versions::pinned;
use crate::wait::until;

/// Name of the release.
pub const NAME: &str = "fleetscope";
/// Namespace of the release.
pub const NAMESPACE: &str = "fleetscope-system";
/// Helm refuses a second change of a release beside one that is under way.
static CHANGE: Mutex<()> = Mutex::const_new(());
/// How long it may take until an operator leads: a lease lasts 15 s.
const LEADER: Duration = Duration::from_secs(30);

/// The values of the suite: the images of this checkout, and the label by which the test cluster's Prometheus selects monitors.
pub fn values() -> Value {
    let prefix = std::env::var("FLEETSCOPE_IMAGE_PREFIX").unwrap_or_else(|_| "localhost/fleetscope".to_owned());
    let tag = std::env::var("FLEETSCOPE_IMAGE_TAG").unwrap_or_else(|_| "dev".to_owned());
    json!({
        "operator": {"image": {"repository": format!("{prefix}/operator"), "tag": tag}},
        // All at once: how they follow one another is a matter of the tests of rolling updates alone.
        "nodeAgent": {"image": {"repository": format!("{prefix}/node-agent"), "tag": tag}, "maxUnavailable": "100%"},
        "monitoring": {"labels": {"release": "kps"}, "self": {"interval": "5s", "scrapeTimeout": "5s"}},
        "crds": {"keep": false},
    })
}

/// Installs the chart with [`values`], unless it is there with just these; waits until all is ready.
pub async fn ensure() -> Result<()> {
    ensure_with(&json!({})).await
}

/// Installs or upgrades the chart with [`values`] and what `changes` adds or replaces, unless it is there with just these.
pub async fn ensure_with(changes: &Value) -> Result<()> {
    let mut wanted = values();
    merge(&mut wanted, changes);
    let _one_at_a_time = CHANGE.lock().await;
    if installed()? == Some(wanted.clone()) {
        return Ok(());
    }
    let arguments = [
        "upgrade",
        NAME,
        "charts/fleetscope",
        "--install",
        "-n",
        NAMESPACE,
        "--create-namespace",
        "--wait",
        "--timeout=120s",
        "-f",
        "-",
    ];
    command::run_in("helm", &arguments, &wanted.to_string()).context("failed to install the chart")?;
    until(LEADER, "an operator of the release leads", async || has_leader()).await?;
    Ok(())
}

/// Whether the lease is held by an operator that runs. One that was killed, or lost its rights before it could give the lease back,
/// as in an uninstall, holds it until it expires.
fn has_leader() -> Result<bool> {
    let lease = ["get", "lease", "fleetscope-operator", "-n", NAMESPACE, "-o", "jsonpath={.spec.holderIdentity}"];
    let holder = command::run("kubectl", &lease)?;
    let pods = ["get", "pods", "-n", NAMESPACE, "-l", "app.kubernetes.io/component=operator", "-o", "name"];
    Ok(!holder.is_empty() && command::run("kubectl", &pods)?.lines().any(|pod| pod == format!("pod/{holder}")))
}

/// The objects that the chart makes with these values, without a cluster.
pub fn objects(values: &Value) -> Result<Vec<Value>> {
    let arguments =
        ["template", NAME, "charts/fleetscope", "-n", NAMESPACE, "--kube-version", pinned("KUBERNETES"), "-f", "-"];
    let text = command::run_in("helm", &arguments, &values.to_string()).context("failed to render the chart")?;
    let mut objects = Vec::new();
    for document in text.split("\n---\n") {
        let object: Option<Value> = serde_saphyr::from_str(document).context("the chart renders what is no YAML")?;
        objects.extend(object.filter(|object| !object.is_null()));
    }
    Ok(objects)
}

/// Removes the release.
pub fn uninstall() -> Result<()> {
    command::run("helm", &["uninstall", NAME, "-n", NAMESPACE, "--wait", "--timeout=120s"])?;
    Ok(())
}

/// The values that the release was given, if it is there and whole.
fn installed() -> Result<Option<Value>> {
    let status = command::run_with("helm", &["status", NAME, "-n", NAMESPACE, "-o", "json"], "")?;
    let whole =
        serde_json::from_str::<Value>(&status.stdout).is_ok_and(|status| status["info"]["status"] == "deployed");
    if status.code != 0 || !whole {
        return Ok(None);
    }
    let values = command::run("helm", &["get", "values", NAME, "-n", NAMESPACE, "-o", "json"])?;
    Ok(Some(serde_json::from_str(&values).context("helm get values")?))
}

fn merge(into: &mut Value, from: &Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (key, value) in from {
                merge(into.entry(key.clone()).or_insert(Value::Null), value);
            }
        }
        (into, from) => *into = from.clone(),
    }
}
