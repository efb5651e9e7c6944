//! Objects of kinds that may not be installed, and work on many of them at a time.

use std::future::Future;
use std::sync::Arc;

use fleetscope_core::resources::{MANAGED_BY, MANAGER};
use fleetscope_tests::cluster::Cluster;
use kube::Api;
use kube::api::{ApiResource, DynamicObject, GroupVersionKind, ListParams};

/// Requests at a time, when the bench itself makes many objects.
const WIDTH: usize = 16;
/// Kinds of which the operator makes objects: group, version, kind.
pub(crate) const CHILDREN: [(&str, &str, &str); 6] = [
    ("monitoring.coreos.com", "v1", "PodMonitor"),
    ("monitoring.coreos.com", "v1", "ServiceMonitor"),
    ("monitoring.coreos.com", "v1", "PrometheusRule"),
    ("monitoring.coreos.com", "v1alpha1", "ScrapeConfig"),
    ("monitoring.coreos.com", "v1alpha1", "AlertmanagerConfig"),
    ("", "v1", "ConfigMap"),
];

/// Objects of a kind in all namespaces.
pub(crate) fn everywhere(cluster: &Cluster, (group, version, kind): (&str, &str, &str)) -> Api<DynamicObject> {
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind));
    Api::all_with(cluster.client.clone(), &resource)
}

/// What the operator made.
pub(crate) fn ours() -> ListParams {
    ListParams::default().labels(&format!("{MANAGED_BY}={MANAGER}")).limit(500)
}

/// How many objects the operator made of each kind that is installed; kinds of which it made none are left out.
pub(crate) async fn children(cluster: &Cluster) -> Vec<(&'static str, usize)> {
    let mut counts = Vec::new();
    for kind in CHILDREN {
        let (api, mut params, mut count) = (everywhere(cluster, kind), ours(), 0);
        loop {
            match api.list_metadata(&params).await {
                Ok(page) => {
                    count += page.items.len();
                    match page.metadata.continue_.filter(|token| !token.is_empty()) {
                        Some(token) => params = ours().continue_token(&token),
                        None => break,
                    }
                }
                Err(kube::Error::Api(status)) if status.code == 404 => break,
                Err(error) => panic!("{}: {error}", kind.2),
            }
        }
        if count > 0 {
            counts.push((kind.2, count));
        }
    }
    counts
}

/// Does something with each, some of them at a time.
pub(crate) async fn each<T, F>(all: impl IntoIterator<Item = T>, work: impl Fn(T) -> F + Send + Sync + 'static)
where
    T: Send + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    let work = Arc::new(work);
    let mut running = tokio::task::JoinSet::new();
    for item in all {
        if running.len() >= WIDTH {
            running.join_next().await.expect("some run").unwrap();
        }
        let work = Arc::clone(&work);
        running.spawn(async move { work(item).await });
    }
    while let Some(ended) = running.join_next().await {
        ended.unwrap();
    }
}
