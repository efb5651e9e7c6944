//! The cluster-wide policy that comes with the installation.
//!
//! In: a file that the chart fills from its values. Out: the `ClusterAlertPolicy` that stands in it, applied when this process begins
//! to lead; without a file, the one that an earlier installation brought is removed. It is not in the chart itself, as Helm
//! cannot install an object of a kind that the same release defines.

use std::path::{Path, PathBuf};

use fleetscope_core::api::ClusterAlertPolicy;
use fleetscope_core::api::admission::{Refused, admit_as};
use fleetscope_core::resources::{MANAGED_BY, MANAGER};
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, Preconditions};
use kube::{Api, Client, ResourceExt as _};
use serde_json::{Value, json};

use crate::error::told;

/// Field manager of the policy: its fields are the installation's.
const INSTALLER: &str = "fleetscope-installation";
/// The label that tells it from policies of users.
const LABEL: &str = "fleetscope.io/installation";

/// Why the policy is not in place.
#[derive(Debug, thiserror::Error)]
pub enum InstallError {
    /// The file cannot be read.
    #[error("failed to read {path}: {source}", path = path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is not YAML.
    #[error("failed to parse {path}: {source}", path = path.display())]
    Parse {
        /// The file.
        path: PathBuf,
        /// Why.
        source: Box<serde_saphyr::Error>,
    },
    /// What it says is not a policy.
    #[error("failed to use {path} (chart value alerting.default.spec): {source}", path = path.display())]
    Refused {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: Refused,
    },
    /// The API server refused, or could not be asked.
    #[error("failed to {verb} the ClusterAlertPolicy of the installation: {}", told(source))]
    Api {
        /// What was tried.
        verb: &'static str,
        /// Why.
        source: kube::Error,
    },
}

/// Makes it so: the policy of the file is there, and none of an earlier installation.
pub async fn install(client: &Client, file: Option<&Path>) -> Result<(), InstallError> {
    let api = Api::<ClusterAlertPolicy>::all(client.clone());
    let wanted = file.map(read).transpose()?;
    let name = wanted.as_ref().and_then(|policy| policy["metadata"]["name"].as_str()).unwrap_or_default().to_owned();
    if let Some(policy) = wanted {
        let params = PatchParams::apply(INSTALLER).force();
        api.patch(&name, &params, &Patch::Apply(policy)).await.map_err(failed("apply"))?;
    }
    let old =
        api.list_metadata(&ListParams::default().labels(&format!("{LABEL}=true"))).await.map_err(failed("list"))?;
    for old in old.items.into_iter().filter(|old| old.name_any() != name) {
        let preconditions = Preconditions { uid: old.metadata.uid.clone(), resource_version: None };
        let params = DeleteParams::default().preconditions(preconditions);
        match api.delete(&old.name_any(), &params).await {
            Ok(_) => {}
            Err(kube::Error::Api(status)) if status.code == 404 => {}
            Err(source) => return Err(InstallError::Api { verb: "delete", source }),
        }
    }
    Ok(())
}

fn failed(verb: &'static str) -> impl Fn(kube::Error) -> InstallError {
    move |source| InstallError::Api { verb, source }
}

/// The policy of a file, checked as the API server would, with our labels.
fn read(path: &Path) -> Result<Value, InstallError> {
    let text = std::fs::read_to_string(path).map_err(|source| InstallError::Read { path: path.to_owned(), source })?;
    let mut policy: Value = serde_saphyr::from_str(&text)
        .map_err(|source| InstallError::Parse { path: path.to_owned(), source: Box::new(source) })?;
    admit_as::<ClusterAlertPolicy>(&policy)
        .map_err(|source| InstallError::Refused { path: path.to_owned(), source })?;
    policy["metadata"]["labels"] = json!({ MANAGED_BY: MANAGER, LABEL: "true" });
    Ok(policy)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(name: &str, text: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!("fleetscope-installation-{}-{name}", std::process::id()));
        std::fs::write(&path, text).unwrap();
        path
    }

    #[test]
    fn the_policy_of_a_file_is_marked_as_the_installations() {
        let path = file(
            "good",
            "apiVersion: fleetscope.io/v1alpha1\nkind: ClusterAlertPolicy\nmetadata: {name: fleetscope}\nspec: {}\n",
        );
        let policy = read(&path).unwrap();
        std::fs::remove_file(path).unwrap();
        assert_eq!(policy["metadata"]["labels"], json!({ MANAGED_BY: MANAGER, LABEL: "true" }));
        assert_eq!(policy["spec"], json!({}));
    }

    #[test]
    fn a_file_that_is_not_a_policy_is_told_with_what_is_wrong() {
        for (name, text, says) in [
            ("yaml", "a: [", "failed to parse"),
            (
                "kind",
                "apiVersion: fleetscope.io/v1alpha1\nkind: AlertPolicy\nmetadata: {name: a}\nspec: {}\n",
                "kind: must be ClusterAlertPolicy",
            ),
            (
                "field",
                "apiVersion: fleetscope.io/v1alpha1\nkind: ClusterAlertPolicy\nmetadata: {name: a}\nspec: {selfAlert: true}\n",
                "spec.selfAlert: unknown field",
            ),
        ] {
            let path = file(name, text);
            let error = read(&path).unwrap_err().to_string();
            std::fs::remove_file(path).unwrap();
            assert!(error.contains(says), "{error}");
        }
        assert!(read(Path::new("/nonexistent")).unwrap_err().to_string().starts_with("failed to read /nonexistent"));
    }
}
