//! Who is asked about one part: for pages and for versions, more than once where an answer fails that may come next time, and for watches.

use std::fmt::Debug;
use std::io::ErrorKind;
use std::time::Duration;

use futures::future::BoxFuture;
use kube::Resource;
use kube::api::{ListParams, WatchParams};
use kube::core::ObjectList;
use serde::de::DeserializeOwned;
use tokio::time::sleep;

use super::again::{self, Versions};
use super::{Events, Key};
use crate::watched::{Failed, Part};

/// How often something is asked for in all.
const TRIES: u32 = 5;
/// The pause after its first failure; it doubles.
const PAUSE: Duration = Duration::from_millis(50);

/// Who is asked.
pub(in crate::watched) trait Server<K: Clone>: Clone + Send + Sync + 'static {
    /// A page of the list: the first one, or the one after.
    fn list(&self, continued: Option<String>) -> BoxFuture<'static, kube::Result<ObjectList<K>>>;

    /// What happens after a version.
    fn watch(&self, version: String) -> BoxFuture<'static, kube::Result<Events<K>>>;

    /// Which objects there are, in which versions, all of them of a version that is not older than this one.
    fn versions(&self, least: String) -> BoxFuture<'static, kube::Result<Versions>>;

    /// An object as it is now; none when it is gone.
    fn object(&self, key: Key) -> BoxFuture<'static, kube::Result<Option<K>>>;

    /// A page, or another part of a list, failed, and is asked for again.
    fn failed(&self, error: &kube::Error);
}

/// The API server, about one part.
#[derive(Clone)]
pub(in crate::watched) struct Asked<K> {
    pub(in crate::watched) part: Part<K>,
    pub(in crate::watched) failed: Failed,
}

// === impl Asked ===

impl<K: Resource + Clone + DeserializeOwned + Debug + Send + 'static> Server<K> for Asked<K> {
    fn list(&self, continued: Option<String>) -> BoxFuture<'static, kube::Result<ObjectList<K>>> {
        let api = self.part.api.clone();
        let params = ListParams {
            label_selector: self.part.config.label_selector.clone(),
            field_selector: self.part.config.field_selector.clone(),
            limit: self.part.config.page_size,
            continue_token: continued,
            ..ListParams::default()
        };
        Box::pin(async move { api.list(&params).await })
    }

    fn watch(&self, version: String) -> BoxFuture<'static, kube::Result<Events<K>>> {
        let api = self.part.api.clone();
        let params = WatchParams {
            label_selector: self.part.config.label_selector.clone(),
            field_selector: self.part.config.field_selector.clone(),
            ..WatchParams::default()
        };
        Box::pin(async move { api.watch(&params, &version).await.map(futures::StreamExt::boxed) })
    }

    fn versions(&self, least: String) -> BoxFuture<'static, kube::Result<Versions>> {
        Box::pin(again::versions(self.part.clone(), least))
    }

    fn object(&self, key: Key) -> BoxFuture<'static, kube::Result<Option<K>>> {
        Box::pin(again::object(self.part.clone(), key))
    }

    fn failed(&self, error: &kube::Error) {
        (self.failed)(error);
    }
}

/// Asks for a page.
pub(super) fn fetch<K, S>(server: S, continued: Option<String>) -> BoxFuture<'static, kube::Result<ObjectList<K>>>
where
    K: Clone + Send + 'static,
    S: Server<K>,
{
    persist(server, move |server: &S| server.list(continued.clone()))
}

/// Asks until the answer comes, or the failure is one that lasts, or [`TRIES`] are over: where one request in thirty fails, a list of a hundred pages
/// that began anew each time would hardly ever end.
pub(super) fn persist<K, S, T>(
    server: S,
    ask: impl Fn(&S) -> BoxFuture<'static, kube::Result<T>> + Send + Sync + 'static,
) -> BoxFuture<'static, kube::Result<T>>
where
    K: Clone + Send + 'static,
    S: Server<K>,
    T: Send + 'static,
{
    Box::pin(async move {
        let mut pause = PAUSE;
        for _ in 1..TRIES {
            match ask(&server).await {
                Err(error) if passing(&error) => server.failed(&error),
                answer => return answer,
            }
            sleep(pause).await;
            pause *= 2;
        }
        ask(&server).await
    })
}

/// 429, 503 and 504 were tried again by kube's client: once more would be five times its many.
fn passing(error: &kube::Error) -> bool {
    match error {
        kube::Error::Api(status) => matches!(status.code, 500 | 502),
        kube::Error::Service(_) | kube::Error::HyperError(_) => true,
        // An answer that broke off; one that is too long would be so again.
        kube::Error::ReadEvents(error) => error.kind() != ErrorKind::FileTooLarge,
        _ => false,
    }
}
