//! The chart, without a cluster: what `helm template` makes of default and of full values, what the schema refuses, and what the
//! security contexts are.
//!
//! `make generate` rewrites the golden files: this suite with `FLEETSCOPE_UPDATE_GOLDEN=1`.
#![expect(clippy::unwrap_used, reason = "all of it is tests, the functions that they share included")]

mod crds;
mod dashboards;
mod rendering;
mod schema;
mod security;

use anyhow::{Context as _, Result};
use fleetscope_tests::versions::pinned;
use fleetscope_tests::{command, skip};
use serde_json::Value;

/// The chart, from the root of the checkout.
const CHART: &str = "charts/fleetscope";

/// Whether helm is there; if not, the test `name` is skipped.
fn has_helm(name: &str) -> bool {
    let there = command::exists("helm");
    if !there {
        skip::skip(name, "helm is not on PATH: make setup, then make test-chart");
    }
    there
}

/// What `helm template` prints, as text, with these further arguments.
fn template(arguments: &[&str]) -> Result<String> {
    let mut all = vec![
        "template",
        "fleetscope",
        CHART,
        "--namespace",
        "fleetscope-system",
        "--kube-version",
        pinned("KUBERNETES"),
    ];
    all.extend(arguments);
    command::run("helm", &all)
}

/// The objects of a rendering.
fn objects(rendering: &str) -> Result<Vec<Value>> {
    let mut objects = Vec::new();
    for document in rendering.split("\n---\n") {
        let object: Option<Value> =
            serde_saphyr::from_str(document).with_context(|| format!("not YAML: {document}"))?;
        objects.extend(object.filter(|object| !object.is_null()));
    }
    Ok(objects)
}

/// The only object of a kind whose name ends so.
fn object<'a>(objects: &'a [Value], kind: &str, suffix: &str) -> &'a Value {
    let named = |object: &&Value| {
        object["kind"] == kind && object["metadata"]["name"].as_str().is_some_and(|name| name.ends_with(suffix))
    };
    let mut found = objects.iter().filter(named);
    let first = found.next().unwrap_or_else(|| panic!("there is a {kind} *{suffix}"));
    assert_eq!(found.next(), None, "there is one {kind} *{suffix}");
    first
}
