//! The watch of the namespaces' metadata.

use std::sync::Arc;

use futures::StreamExt as _;

use crate::context::{Context, lock};
use crate::follow::{Followed, Subject, follow};
use crate::precedence;

/// Watches namespaces for ever.
pub async fn watch(ctx: Arc<Context>) {
    let subject =
        Subject { definition: None, kind: "Namespace", version: "v1", parts: ctx.scope.namespaces(&ctx.client) };
    let mut followed = std::pin::pin!(follow(Arc::clone(&ctx), subject));
    while let Some(told) = followed.next().await {
        let mut claims = lock(&ctx.claims);
        let known = claims.namespaces.known();
        let mut concerned = Vec::new();
        match told {
            Followed::Event(event) => {
                for relabelled in claims.namespaces.handle(event) {
                    concerned.extend(precedence::of_namespace(&claims, &relabelled));
                }
            }
            Followed::Failing(why) => {
                tracing::warn!(why, "Namespaces cannot be seen: selectors of namespaces select none");
                claims.namespaces.unseen();
            }
            Followed::Absent | Followed::Starting => {}
        }
        let now_known = !known && claims.namespaces.known();
        drop(claims);
        if now_known {
            ctx.requeue_all();
        }
        ctx.requeue.push(concerned);
    }
}
