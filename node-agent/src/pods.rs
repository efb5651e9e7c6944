//! The watch of this node's pods, trimmed to what is kept as soon as they arrive.

use fleetscope_core::pods::{LeftOut, PodError, PodView};
use k8s_openapi::api::core::v1::Pod;
use kube::runtime::watcher::Config;
use kube::{Api, Client};
use tokio::sync::mpsc::Sender;
use tracing::warn;

use crate::readiness::{Part, Readiness};
use crate::watches::{Change, Watch, within};

/// Changes of pods, told apart by UID: a pod that is made again under its name is another one.
pub type PodChange = Change<String, PodView>;

/// Most pods of one page of a list: bounds the memory that a list takes while it is read.
const PAGE: u32 = 100;

/// Follows the pods of the node `node` in these namespaces, of all if none is named, until the receiver is gone.
pub async fn follow(
    client: Client,
    node: String,
    namespaces: &[String],
    readiness: &Readiness,
    out: Sender<PodChange>,
) {
    let watch: Watch<Pod, String, PodView, PodError> =
        Watch { kind: "Pod", part: Part::Pods, key: |meta| meta.uid.clone(), view };
    let config = Config::default().fields(&format!("spec.nodeName={node}")).page_size(PAGE);
    watch.follow(within(Api::all(client), namespaces), config, readiness, out).await;
}

fn view(pod: &Pod) -> Result<PodView, PodError> {
    let view = PodView::from_pod(pod)?;
    if view.left_out == Some(LeftOut::Labels) {
        warn!(namespace = view.namespace, pod = view.name, "Pod has more than 16 KiB of labels: it is in no fleet");
    }
    Ok(view)
}
