//! The watch of the pods: fills the index, and sends the fleets that a change concerns, each at most once a second.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use fleetscope_core::pods::PodView;
use futures::{StreamExt as _, future};
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::runtime::watcher::{self, Event};

use crate::context::{Context, lock};
use crate::follow::pages;
use crate::owner::OwnerKey;
use crate::throttle::Throttle;
use crate::{clock, watched};

/// A fleet's status follows its pods at most this often.
const PERIOD: Duration = Duration::from_secs(1);
/// All fleets show how many node agents there are. While a cluster's node agents are rolled over, that is one write for each fleet in this time.
const COUNT_PERIOD: Duration = Duration::from_secs(10);

/// Watches pods for ever.
pub async fn watch(ctx: Arc<Context>) {
    let pods = ctx.scope.parts(&Api::<Pod>::all(ctx.client.clone()), &watcher::Config::default());
    let mut stream = watched::watch(pods, pages(&ctx, "Pod"));
    let (mut throttle, mut counts) = (Throttle::new(PERIOD), Throttle::new(COUNT_PERIOD));
    loop {
        let next = throttle.next().into_iter().chain(counts.next()).min();
        let wait = next.map(|at| at.saturating_sub(clock::now()));
        tokio::select! {
            event = stream.next() => match event {
                Some(Ok(event)) => {
                    let Some(event) = trim(event) else { continue };
                    let (keys, recount) = concerned(&ctx, event);
                    let now = clock::now();
                    let keys = keys.into_iter().filter(|key| throttle.offer(key, now));
                    ctx.requeue.push(keys.collect::<Vec<_>>());
                    if recount && counts.offer(&(), now) {
                        ctx.requeue.push(lock(&ctx.claims).fleets.all());
                    }
                }
                Some(Err(error)) => ctx.metrics.watch_error("Pod", &error),
                None => return,
            },
            () = expire(wait) => {
                ctx.requeue.push(throttle.due(clock::now()));
                if !counts.due(clock::now()).is_empty() {
                    ctx.requeue.push(lock(&ctx.claims).fleets.all());
                }
            }
        }
    }
}

async fn expire(wait: Option<Duration>) {
    match wait {
        Some(wait) => tokio::time::sleep(wait).await,
        None => future::pending().await,
    }
}

/// The fleets that an event concerns, and whether the number of node agents changed, which all fleets show.
fn concerned(ctx: &Context, event: Event<PodView>) -> (BTreeSet<OwnerKey>, bool) {
    let claims = lock(&ctx.claims);
    let mut pods = lock(&ctx.pods);
    let touched = pods.handle(event);
    if touched.all {
        return (claims.fleets.all().into_iter().collect(), false);
    }
    let mut keys = BTreeSet::new();
    for (namespace, labels) in &touched.pods {
        let labels: Vec<&BTreeMap<String, String>> = labels.iter().map(|labels| &**labels).collect();
        keys.extend(claims.fleets.concerned(namespace, &labels));
    }
    if !touched.nodes.is_empty() {
        for (namespace, labels) in pods.on(&touched.nodes) {
            keys.extend(claims.fleets.concerned(namespace, &labels.into_iter().collect::<Vec<_>>()));
        }
    }
    (keys, !touched.nodes.is_empty())
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
