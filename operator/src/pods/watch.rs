//! The watch of all pods: fills the index, and sends the fleets that a change concerns, each at most once a second.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use fleetscope_core::pods::PodView;
use futures::{StreamExt as _, future};
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::runtime::watcher::{self, Event};
use kube::runtime::{WatchStreamExt as _, watcher as watch_objects};

use super::Touched;
use crate::clock;
use crate::context::{Context, lock};
use crate::requeue::FleetKey;
use crate::throttle::Throttle;

/// A fleet's status follows its pods at most this often.
const PERIOD: Duration = Duration::from_secs(1);

/// Watches pods for ever.
pub async fn watch(ctx: Arc<Context>) {
    let stream = watch_objects(Api::<Pod>::all(ctx.client.clone()), watcher::Config::default()).default_backoff();
    let mut stream = std::pin::pin!(stream);
    let mut throttle = Throttle::new(PERIOD);
    loop {
        let wait = throttle.next().map(|at| at.saturating_sub(clock::now()));
        tokio::select! {
            event = stream.next() => match event {
                Some(Ok(event)) => {
                    let Some(event) = trim(event) else { continue };
                    let touched = lock(&ctx.pods).handle(event);
                    let now = clock::now();
                    let keys = concerned(&ctx, &touched).into_iter().filter(|key| throttle.offer(key, now));
                    ctx.requeue.push(keys.collect::<Vec<_>>());
                }
                Some(Err(error)) => ctx.metrics.watch_error("Pod", &error),
                None => return,
            },
            () = expire(wait) => ctx.requeue.push(throttle.due(clock::now())),
        }
    }
}

async fn expire(wait: Option<Duration>) {
    match wait {
        Some(wait) => tokio::time::sleep(wait).await,
        None => future::pending().await,
    }
}

fn concerned(ctx: &Context, touched: &Touched) -> Vec<FleetKey> {
    let fleets = lock(&ctx.fleets);
    if touched.all {
        return fleets.all();
    }
    let mut keys = Vec::new();
    for (namespace, labels) in &touched.pods {
        let labels: Vec<&BTreeMap<String, String>> = labels.iter().collect();
        keys.extend(fleets.concerned(namespace, &labels));
    }
    keys
}

/// A pod that lacks what every pod has is left out: no API server sends one.
fn trim(event: Event<Pod>) -> Option<Event<PodView>> {
    Some(match event {
        Event::Init => Event::Init,
        Event::InitDone => Event::InitDone,
        Event::InitApply(pod) => Event::InitApply(view(&pod)?),
        Event::Apply(pod) => Event::Apply(view(&pod)?),
        Event::Delete(pod) => Event::Delete(view(&pod)?),
    })
}

fn view(pod: &Pod) -> Option<PodView> {
    PodView::from_pod(pod).inspect_err(|error| tracing::warn!(%error, "Pod left out")).ok()
}
