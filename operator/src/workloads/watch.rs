//! The watches of the workloads, one per kind.

use std::sync::Arc;

use fleetscope_core::selected::WorkloadKind;
use futures::StreamExt as _;
use kube::Api;
use kube::core::{ApiResource, DynamicObject, GroupVersionKind};
use kube::runtime::watcher;

use crate::context::{Context, lock};
use crate::follow::{Followed, Subject, follow};
use crate::watched::Part;

const GROUP: &str = "monitoring.coreos.com";

/// Version of the API, and name of the definition.
const fn api(kind: WorkloadKind) -> (&'static str, &'static str) {
    match kind {
        WorkloadKind::Prometheus => ("v1", "prometheuses.monitoring.coreos.com"),
        WorkloadKind::PrometheusAgent => ("v1alpha1", "prometheusagents.monitoring.coreos.com"),
        WorkloadKind::ThanosRuler => ("v1", "thanosrulers.monitoring.coreos.com"),
        WorkloadKind::Alertmanager => ("v1", "alertmanagers.monitoring.coreos.com"),
    }
}

/// Follows one kind for ever.
pub async fn watch(ctx: Arc<Context>, kind: WorkloadKind) {
    let (version, definition) = api(kind);
    let gvk = GroupVersionKind::gvk(GROUP, version, kind.as_str());
    let resource = ApiResource::from_gvk_with_plural(&gvk, kind.plural());
    let subject = Subject {
        definition: Some(definition),
        kind: kind.as_str(),
        version,
        // Of all namespaces, whatever is looked at otherwise: a Prometheus is seldom where the fleets are.
        parts: vec![Part {
            api: Api::<DynamicObject>::all_with(ctx.client.clone(), &resource),
            config: watcher::Config::default(),
        }],
    };
    let mut followed = std::pin::pin!(follow(Arc::clone(&ctx), subject));
    while let Some(told) = followed.next().await {
        let changed = {
            let mut workloads = lock(&ctx.workloads);
            match told {
                Followed::Absent => workloads.none(kind),
                Followed::Starting => false,
                Followed::Failing(why) => {
                    tracing::warn!(kind = kind.as_str(), why, "Who selects cannot be seen");
                    workloads.none(kind)
                }
                Followed::Event(event) => workloads.handle(kind, event),
            }
        };
        if changed {
            ctx.requeue_all();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn definitions_are_named_by_plural_and_group() {
        for kind in WorkloadKind::ALL {
            assert_eq!(api(kind).1, format!("{}.{GROUP}", kind.plural()));
        }
    }
}
