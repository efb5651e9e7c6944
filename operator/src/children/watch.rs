//! The watch of one kind of children: of the objects with our label, while the kind is installed.

use std::sync::Arc;

use fleetscope_core::resources::{ChildKind, MANAGED_BY, MANAGER};
use futures::StreamExt as _;
use kube::Api;
use kube::core::DynamicObject;
use kube::runtime::watcher::{self, Event};

use super::Availability;
use crate::context::{Context, lock};
use crate::follow::{Followed, Subject, follow};

/// Objects per page of a list: a rule file has up to 400 KiB, and a page is held whole.
const PAGE: u32 = 100;

/// Follows one kind for ever.
pub async fn watch(ctx: Arc<Context>, kind: ChildKind) {
    let api = Api::<DynamicObject>::all_with(ctx.client.clone(), &super::api_resource(kind));
    let config = watcher::Config::default().labels(&format!("{MANAGED_BY}={MANAGER}")).page_size(PAGE);
    let subject = Subject {
        definition: kind.crd(),
        kind: kind.as_str(),
        version: kind.version(),
        parts: ctx.scope.parts(&api, &config),
    };
    let mut followed = std::pin::pin!(follow(Arc::clone(&ctx), subject));
    while let Some(told) = followed.next().await {
        match told {
            Followed::Absent => turn(&ctx, kind, &Availability::Absent),
            Followed::Starting => turn(&ctx, kind, &Availability::Starting),
            Followed::Failing(why) => turn(&ctx, kind, &Availability::Failing(why)),
            Followed::Event(event) => {
                let done = matches!(event, Event::InitDone);
                let owners = lock(ctx.children.state(kind)).store.handle(event);
                ctx.requeue.push(owners);
                if done {
                    turn(&ctx, kind, &Availability::Ready);
                }
            }
        }
    }
}

/// Notes what became of a kind; every owner looks again, for what it wants may now be another kind.
fn turn(ctx: &Context, kind: ChildKind, to: &Availability) {
    if ctx.children.set(kind, to) {
        tracing::info!(kind = kind.as_str(), state = ?to, "Kind of children changed its state");
        ctx.metrics.available(kind, *to == Availability::Ready);
        ctx.requeue_all();
    }
}
