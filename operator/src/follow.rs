//! A kind that may be absent, come later, or go: its objects are watched while its definition (CRD) is there.
//!
//! In: a kind. Out: a stream of what becomes of it and of its objects. Errors stay in it, so that nothing else waits for a kind
//! that is absent: kube's `Controller::owns` would slow down every fleet meanwhile (measured: half of all reconciles over 32 s
//! late).

use std::fmt::Debug;
use std::sync::Arc;

use futures::future;
use futures::stream::{self, BoxStream, Stream, StreamExt as _};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::core::PartialObjectMeta;
use kube::runtime::watcher::{self, Event};
use kube::{Api, Resource as _};
use serde::de::DeserializeOwned;

use crate::context::Context;
use crate::error::told_of_watch;
use crate::watched::{Events, Failed, Part, watch};

/// After this many tries in a row that find nothing (3 s), the version that we speak counts as not served.
const TRIES: u32 = 6;

/// What becomes of a kind.
#[derive(Debug)]
pub enum Followed<K> {
    /// It is not installed.
    Absent,
    /// It is installed; its objects are being listed.
    Starting,
    /// Something about its objects.
    Event(Event<K>),
    /// Its objects cannot be seen, for this reason; it is tried again.
    Failing(String),
}

/// Which kind, and how its objects are watched.
pub struct Subject<K> {
    /// Name of its definition; a kind that is built in has none.
    pub definition: Option<&'static str>,
    /// Its name, for metrics and logs.
    pub kind: &'static str,
    /// Version of its API that we speak.
    pub version: &'static str,
    /// Its objects.
    pub parts: Vec<Part<K>>,
}

type Definition = PartialObjectMeta<CustomResourceDefinition>;

/// Whether our definition is there.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Defined {
    No,
    Yes,
    /// It was before the list that is being read.
    Before,
}

struct State<K> {
    ctx: Arc<Context>,
    subject: Subject<K>,
    definitions: Option<Events<Definition>>,
    defined: Defined,
    objects: Option<Events<K>>,
    /// Whether the objects were listed since the watch of them began.
    seen: bool,
    missing: u32,
    told_absent: bool,
}

/// Follows a kind for ever.
pub fn follow<K>(ctx: Arc<Context>, subject: Subject<K>) -> impl Stream<Item = Followed<K>> + Send + 'static
where
    K: kube::Resource + Clone + Debug + DeserializeOwned + Send + 'static,
{
    let definitions = subject.definition.map(|name| {
        let api = Api::<Definition>::all(ctx.client.clone());
        let config = watcher::Config::default().fields(&format!("metadata.name={name}"));
        watch(vec![Part { api, config }], pages(&ctx, "CustomResourceDefinition"))
    });
    let begun = definitions.is_none();
    let mut state = State {
        ctx,
        subject,
        definitions,

        defined: Defined::No,
        objects: None,
        seen: false,
        missing: 0,
        told_absent: false,
    };
    if begun {
        state.begin();
    }
    let first = stream::iter(begun.then_some(Followed::Starting));
    first.chain(stream::unfold(state, |mut state| async move { Some((state.next().await?, state)) }))
}

// === impl State ===

impl<K> State<K>
where
    K: kube::Resource + Clone + Debug + DeserializeOwned + Send + 'static,
{
    async fn next(&mut self) -> Option<Followed<K>> {
        loop {
            tokio::select! {
                biased;
                Some(event) = turn(self.definitions.as_mut()) => {
                    if let Some(told) = self.definition(event) {
                        return Some(told);
                    }
                }
                Some(event) = turn(self.objects.as_mut()) => {
                    if let Some(told) = self.object(event) {
                        return Some(told);
                    }
                }
                else => return None,
            }
        }
    }

    fn definition(&mut self, event: Result<Event<Definition>, watcher::Error>) -> Option<Followed<K>> {
        match event {
            Ok(Event::Init) => {
                if self.defined == Defined::Yes {
                    self.defined = Defined::Before;
                }
                None
            }
            Ok(Event::InitApply(crd) | Event::Apply(crd)) => {
                // One that is being deleted serves nothing new, and its objects go.
                if crd.meta().deletion_timestamp.is_some() {
                    return self.end();
                }
                self.defined = Defined::Yes;
                if self.missing >= TRIES {
                    // Perhaps it serves our version again: that is tried now, and not after the pause.
                    self.objects = Some(self.watch());
                    self.missing = 0;
                }
                self.begin()
            }
            Ok(Event::Delete(_)) => self.end(),
            Ok(Event::InitDone) if self.defined != Defined::Yes => self.end(),
            Ok(Event::InitDone) => None,
            Err(error) => {
                self.ctx.metrics.watch_error("CustomResourceDefinition", &error);
                // Whoever may not see definitions may see objects: those tell as well, only later.
                if self.told_absent { None } else { self.begin() }
            }
        }
    }

    fn object(&mut self, event: Result<Event<K>, watcher::Error>) -> Option<Followed<K>> {
        match event {
            Ok(event) => {
                // Each try of a list begins with this event, before anything is asked.
                if !matches!(event, Event::Init) {
                    (self.missing, self.told_absent) = (0, false);
                }
                self.seen |= matches!(event, Event::InitDone);
                Some(Followed::Event(event))
            }
            Err(error) => {
                self.ctx.metrics.watch_error(self.subject.kind, &error);
                if !not_found(&error) {
                    return (!self.seen).then(|| Followed::Failing(unlisted(&error)));
                }
                self.missing = self.missing.saturating_add(1);
                if self.missing != TRIES {
                    return None;
                }
                if self.subject.definition.is_some() && self.defined == Defined::No {
                    // Whoever may not see definitions is told by this that there is none. It is still tried.
                    return (!std::mem::replace(&mut self.told_absent, true)).then_some(Followed::Absent);
                }
                Some(Followed::Failing(self.unserved()))
            }
        }
    }

    fn unserved(&self) -> String {
        let (version, definition) = (self.subject.version, self.subject.definition.unwrap_or(self.subject.kind));
        format!("its version {version} is not served: install a CustomResourceDefinition {definition} that serves it")
    }

    fn watch(&self) -> Events<K> {
        watch(self.subject.parts.clone(), pages(&self.ctx, self.subject.kind))
    }

    fn begin(&mut self) -> Option<Followed<K>> {
        if self.objects.is_some() {
            return None;
        }
        (self.objects, self.seen, self.missing, self.told_absent) = (Some(self.watch()), false, 0, false);
        Some(Followed::Starting)
    }

    fn end(&mut self) -> Option<Followed<K>> {
        (self.objects, self.defined, self.missing) = (None, Defined::No, 0);
        (!std::mem::replace(&mut self.told_absent, true)).then_some(Followed::Absent)
    }
}

/// Counts the pages of a kind's lists that fail.
pub fn pages(ctx: &Arc<Context>, kind: &'static str) -> Failed {
    let ctx = Arc::clone(ctx);
    Arc::new(move |error| ctx.metrics.page_error(kind, error))
}

/// What comes next; nothing ever, without a stream.
async fn turn<T>(stream: Option<&mut BoxStream<'static, T>>) -> Option<T> {
    match stream {
        Some(stream) => stream.next().await,
        None => future::pending().await,
    }
}

fn unlisted(error: &watcher::Error) -> String {
    let remedy = if forbidden(error) {
        "give the operator's role the verbs list and watch for them, as the chart's does (rbac.create)"
    } else {
        "it is tried again, at least every 30 s"
    };
    format!("its objects cannot be watched: {}: {remedy}", told_of_watch(error))
}

fn not_found(error: &watcher::Error) -> bool {
    code(error) == Some(404)
}

fn forbidden(error: &watcher::Error) -> bool {
    code(error) == Some(403)
}

fn code(error: &watcher::Error) -> Option<u16> {
    match error {
        watcher::Error::InitialListFailed(kube::Error::Api(status))
        | watcher::Error::WatchStartFailed(kube::Error::Api(status)) => Some(status.code),
        _ => None,
    }
}
