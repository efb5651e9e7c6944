//! A list that is read again, as what it changes.
//!
//! A watch that cannot go on (410 Gone) says nothing of what changed meanwhile. A list in pages has the API server read each object from etcd and decode it: about
//! a millisecond each of a custom resource. So the versions alone are asked for, "not older than" the last one known, which are answered from its cache
//! (Kubernetes, "API concepts", "Semantics for get and list"), and then those objects that have another one. With 5,000 `PodMonitor`s that is 0.3 s of
//! the API server's processor time in place of 4.8 s.

use std::collections::HashSet;
use std::fmt::Debug;
use std::io::{self, ErrorKind};

use futures::future::BoxFuture;
use futures::stream::{self, BoxStream, StreamExt as _};
use futures::{AsyncRead, AsyncReadExt as _};
use kube::api::{ListParams, VersionMatch};
use kube::core::{ObjectList, Request};
use kube::{Error, Resource};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::Key;
use super::server::{Server, persist};
use crate::watched::Part;

/// Of more objects than this the versions are not asked for: the answer is held whole until it is read, and has some 1,300 bytes for each, most of them
/// about who changed what.
pub(super) const MOST_KNOWN: usize = 20_000;
/// An answer that is longer is given up, in bytes.
const LONGEST: u64 = 32 << 20;
/// More changes than this are cheaper in pages.
pub(super) const MOST: usize = 1_000;
/// Changed objects that are asked for at a time.
const AT_A_TIME: usize = 4;

/// Which objects there are, in which versions.
#[derive(Debug)]
pub(in crate::watched) struct Versions {
    /// What they are of.
    pub(super) version: String,
    pub(super) objects: Vec<(Key, String)>,
}

/// A list that is read again.
pub(super) struct Again<K> {
    pub(super) state: State<K>,
    /// Objects that the watch has shown meanwhile: what it showed is as new or newer.
    pub(super) newer: HashSet<Key>,
}

pub(super) enum State<K> {
    Versions(BoxFuture<'static, kube::Result<Versions>>),
    /// Objects of another version than the one known; none for one that is gone, which the watch shows.
    Objects(BoxStream<'static, kube::Result<Option<K>>>),
}

/// What comes next.
pub(super) enum Got<K> {
    Versions(kube::Result<Versions>),
    /// None after the last one.
    Object(Option<kube::Result<Option<K>>>),
}

// === impl Again ===

impl<K: Clone + Send + 'static> Again<K> {
    /// Asks for the versions.
    pub(super) fn begin<S: Server<K>>(server: S, least: String) -> Self {
        let ask = move |server: &S| server.versions(least.clone());
        Self { state: State::Versions(persist(server, ask)), newer: HashSet::new() }
    }

    /// Asks for objects.
    pub(super) fn ask<S: Server<K>>(&mut self, server: &S, changed: Vec<Key>) {
        let server = server.clone();
        let one = move |key: Key| persist(server.clone(), move |server: &S| server.object(key.clone()));
        self.state = State::Objects(stream::iter(changed).map(one).buffer_unordered(AT_A_TIME).boxed());
    }

    /// What comes next. May be dropped at any time.
    pub(super) async fn next(&mut self) -> Got<K> {
        match &mut self.state {
            State::Versions(versions) => Got::Versions(versions.await),
            State::Objects(objects) => Got::Object(objects.next().await),
        }
    }
}

#[derive(Deserialize)]
struct List {
    metadata: ListMeta,
    #[serde(default)]
    items: Vec<Item>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ListMeta {
    #[serde(default)]
    resource_version: String,
}

#[derive(Deserialize)]
struct Item {
    metadata: ItemMeta,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ItemMeta {
    namespace: Option<String>,
    name: String,
    resource_version: String,
}

/// Of all objects of a part, in one answer.
pub(super) async fn versions<K: Resource>(part: Part<K>, least: String) -> kube::Result<Versions> {
    let params = ListParams {
        label_selector: part.config.label_selector.clone(),
        field_selector: part.config.field_selector.clone(),
        resource_version: Some(least),
        version_match: Some(VersionMatch::NotOlderThan),
        ..ListParams::default()
    };
    let request = Request::new(part.api.resource_url()).list_metadata(&params).map_err(Error::BuildRequest)?;
    let body = read(part.api.into_client().request_stream(request).await?).await?;
    let list: List = serde_json::from_slice(&body).map_err(Error::SerdeError)?;
    let objects = list.items.into_iter().map(|Item { metadata }| {
        let ItemMeta { namespace, name, resource_version } = metadata;
        (Key::new(namespace.as_deref(), &name), resource_version)
    });
    Ok(Versions { version: list.metadata.resource_version, objects: objects.collect() })
}

async fn read(body: impl AsyncRead) -> kube::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    std::pin::pin!(body).take(LONGEST + 1).read_to_end(&mut bytes).await.map_err(Error::ReadEvents)?;
    if bytes.len() as u64 > LONGEST {
        let message = format!("the list of versions has more than {LONGEST} bytes");
        return Err(Error::ReadEvents(io::Error::new(ErrorKind::FileTooLarge, message)));
    }
    Ok(bytes)
}

/// An object of a part as it is now; none when it is gone, or no more one of the part. It is asked for as a list of one: whoever watches a kind may list it, and
/// needs no other right.
pub(super) async fn object<K>(part: Part<K>, key: Key) -> kube::Result<Option<K>>
where
    K: Resource + Clone + DeserializeOwned + Debug,
{
    let name = format!("metadata.name={}", key.name());
    let params = ListParams {
        label_selector: part.config.label_selector.clone(),
        field_selector: Some(part.config.field_selector.iter().cloned().chain([name]).collect::<Vec<_>>().join(",")),
        ..ListParams::default()
    };
    let request = Request::new(within(part.api.resource_url(), key.namespace())).list(&params);
    let list: ObjectList<K> = part.api.into_client().request(request.map_err(Error::BuildRequest)?).await?;
    Ok(list.items.into_iter().next())
}

/// The path of a kind's objects in one namespace, from the one of its objects in all or in one.
fn within(path: &str, namespace: Option<&str>) -> String {
    match (namespace, path.rsplit_once('/')) {
        (Some(namespace), Some((version, kind))) if !version.contains("/namespaces/") => {
            format!("{version}/namespaces/{namespace}/{kind}")
        }
        _ => path.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_are_asked_for_where_they_are() {
        for (path, namespace, expected) in [
            ("/api/v1/pods", Some("ns"), "/api/v1/namespaces/ns/pods"),
            ("/api/v1/namespaces/ns/pods", Some("ns"), "/api/v1/namespaces/ns/pods"),
            ("/api/v1/namespaces", None, "/api/v1/namespaces"),
            ("/apis/a.b/v1/kinds", Some("namespaces"), "/apis/a.b/v1/namespaces/namespaces/kinds"),
        ] {
            assert_eq!(within(path, namespace), expected);
        }
    }

    #[tokio::test]
    async fn an_answer_that_is_too_long_is_an_error() {
        let long = futures::io::repeat(b' ');
        assert!(read(long).await.unwrap_err().to_string().contains("33554432"));
    }
}
