//! A server by script: what it answers to each list and each watch, and when; time is tokio's, which stands until everybody waits.

mod again;

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex};

use k8s_openapi::api::core::v1::ConfigMap;
use kube::core::watch::{self, BookmarkMeta};
use kube::core::{Status, TypeMeta};
use serde_json::json;
use tokio::time::sleep;

use super::*;

/// What a watch shows.
#[derive(Clone, Copy)]
enum Shown {
    Added(&'static str, &'static str),
    Deleted(&'static str, &'static str),
    Bookmark(&'static str),
    Status(u16),
    /// Something that cannot be read.
    Broken,
}

use Shown::{Added, Bookmark, Broken, Deleted, Status as Failed};

/// What a list or a watch gets, each after some seconds.
enum Answer {
    /// A page: names with versions, the version of the list, and whether there is another one.
    Page(u64, &'static [(&'static str, &'static str)], &'static str, bool),
    /// The list or the watch fails.
    Fails(u16),
    /// The answer breaks off, or is too long.
    Breaks(io::ErrorKind),
    /// The versions of all objects, and the one of the list.
    Are(u64, &'static [(&'static str, &'static str)], &'static str),
    /// An object, or that there is none.
    Is(u64, Option<(&'static str, &'static str)>),
    /// A watch: events, each some seconds after the one before. It ends after the last one.
    Watch(Vec<(u64, Shown)>),
}

use Answer::{Are, Breaks, Fails, Is, Page};

#[derive(Clone)]
struct Script {
    answers: Arc<Mutex<VecDeque<Answer>>>,
    log: Arc<Mutex<Vec<String>>>,
    start: Instant,
}

fn object(name: &str, version: &str) -> ConfigMap {
    serde_json::from_value(json!({ "metadata": { "namespace": "ns", "name": name, "resourceVersion": version } }))
        .unwrap()
}

fn error(code: u16) -> kube::Error {
    kube::Error::Api(Box::new(Status { code, ..Status::failure("no", "No") }))
}

// === impl Shown ===

impl Shown {
    fn event(self) -> kube::Result<WatchEvent<ConfigMap>> {
        Ok(match self {
            Added(name, version) => WatchEvent::Added(object(name, version)),
            Deleted(name, version) => WatchEvent::Deleted(object(name, version)),
            Bookmark(version) => {
                let metadata = BookmarkMeta { resource_version: version.to_owned(), annotations: BTreeMap::new() };
                WatchEvent::Bookmark(watch::Bookmark { types: TypeMeta::default(), metadata })
            }
            Failed(code) => WatchEvent::Error(Box::new(Status { code, ..Status::failure("no", "No") })),
            Broken => return Err(error(500)),
        })
    }
}

// === impl Script ===

impl Script {
    fn say(&self, what: &str) {
        self.log.lock().unwrap().push(format!("{}s {what}", self.start.elapsed().as_secs()));
    }

    fn answer(&self) -> Option<Answer> {
        self.answers.lock().unwrap().pop_front()
    }
}

impl Server<ConfigMap> for Script {
    fn list(&self, continued: Option<String>) -> BoxFuture<'static, kube::Result<ObjectList<ConfigMap>>> {
        self.say(&format!("list {}", continued.as_deref().unwrap_or("from the beginning")));
        match self.answer() {
            Some(Page(after, objects, version, more)) => {
                let list = json!({
                    "metadata": { "resourceVersion": version, "continue": if more { "on" } else { "" } },
                    "items": objects.iter().map(|(name, version)| object(name, version)).collect::<Vec<_>>(),
                });
                Box::pin(async move {
                    sleep(Duration::from_secs(after)).await;
                    Ok(serde_json::from_value(list).unwrap())
                })
            }
            Some(Fails(code)) => Box::pin(future::ready(Err(error(code)))),
            Some(_) => panic!("no list was expected"),
            None => Box::pin(future::pending()),
        }
    }

    fn watch(&self, version: String) -> BoxFuture<'static, kube::Result<Events<ConfigMap>>> {
        self.say(&format!("watch from {version}"));
        match self.answer() {
            Some(Answer::Watch(events)) => {
                let events = stream::iter(events).then(|(after, event)| async move {
                    sleep(Duration::from_secs(after)).await;
                    event.event()
                });
                Box::pin(future::ready(Ok(events.boxed())))
            }
            Some(Fails(code)) => Box::pin(future::ready(Err(error(code)))),
            Some(_) => panic!("no watch was expected"),
            None => Box::pin(future::pending()),
        }
    }

    fn versions(&self, least: String) -> BoxFuture<'static, kube::Result<Versions>> {
        self.say(&format!("versions since {least}"));
        match self.answer() {
            Some(Are(after, objects, version)) => {
                let objects = objects.iter().map(|(name, version)| (Key::new(Some("ns"), name), (*version).to_owned()));
                let versions = Versions { version: version.to_owned(), objects: objects.collect() };
                Box::pin(async move {
                    sleep(Duration::from_secs(after)).await;
                    Ok(versions)
                })
            }
            Some(Fails(code)) => Box::pin(future::ready(Err(error(code)))),
            Some(Breaks(how)) => Box::pin(future::ready(Err(kube::Error::ReadEvents(how.into())))),
            Some(_) => panic!("no versions were expected"),
            None => Box::pin(future::pending()),
        }
    }

    fn object(&self, key: Key) -> BoxFuture<'static, kube::Result<Option<ConfigMap>>> {
        assert_eq!(key.namespace(), Some("ns"));
        self.say(&format!("object {}", key.name()));
        match self.answer() {
            Some(Is(after, found)) => Box::pin(async move {
                sleep(Duration::from_secs(after)).await;
                Ok(found.map(|(name, version)| object(name, version)))
            }),
            Some(Fails(code)) => Box::pin(future::ready(Err(error(code)))),
            Some(_) => panic!("no object was expected"),
            None => Box::pin(future::pending()),
        }
    }

    fn failed(&self, error: &kube::Error) {
        match error {
            kube::Error::Api(status) => self.say(&format!("page failed {}", status.code)),
            kube::Error::ReadEvents(error) => self.say(&format!("page failed {}", error.kind())),
            other => panic!("{other}"),
        }
    }
}

/// What is asked and what comes out, with the time, until nothing more happens.
async fn played(answers: Vec<Answer>) -> Vec<String> {
    let log = Arc::default();
    let script = Script { answers: Arc::new(Mutex::new(answers.into())), log: Arc::clone(&log), start: Instant::now() };
    let mut events = std::pin::pin!(watch::<ConfigMap, _>(script.clone()));
    while let Ok(Some(event)) = tokio::time::timeout(Duration::from_mins(10), events.next()).await {
        let named = |object: &ConfigMap| {
            let meta = &object.metadata;
            format!("{}@{}", meta.name.as_deref().unwrap(), meta.resource_version.as_deref().unwrap())
        };
        script.say(&match event {
            Ok(Told::Event(Event::Init)) => "-> init".to_owned(),
            Ok(Told::Event(Event::InitApply(object))) => format!("-> listed {}", named(&object)),
            Ok(Told::Event(Event::InitDone)) => "-> done".to_owned(),
            Ok(Told::Event(Event::Apply(object))) => format!("-> changed {}", named(&object)),
            Ok(Told::Event(Event::Delete(object))) => format!("-> deleted {}", named(&object)),
            Ok(Told::CaughtUp) => "-> caught up".to_owned(),
            Err(Error::InitialListFailed(kube::Error::Api(status))) => format!("-> list failed {}", status.code),
            Err(Error::WatchStartFailed(kube::Error::Api(status))) => format!("-> watch not begun {}", status.code),
            Err(Error::WatchError(status)) => format!("-> watch failed {}", status.code),
            Err(Error::WatchFailed(kube::Error::Api(status))) => format!("-> event failed {}", status.code),
            Err(Error::NoResourceVersion) => "-> no version".to_owned(),
            Err(other) => panic!("{other}"),
        });
    }
    log.lock().unwrap().clone()
}

#[tokio::test(start_paused = true)]
async fn the_first_list_is_read_whole_and_then_watched_from_its_version() {
    let answers = vec![
        Page(1, &[("a", "1")], "10", true),
        Page(1, &[("b", "2")], "10", false),
        Answer::Watch(vec![(3, Added("c", "11")), (1, Deleted("a", "12"))]),
    ];
    assert_eq!(
        played(answers).await,
        [
            "0s -> init",
            "0s list from the beginning",
            "1s -> listed a@1",
            "1s list on",
            "2s -> listed b@2",
            "2s -> done",
            "2s watch from 10",
            "5s -> changed c@11",
            "6s -> deleted a@12",
            "6s watch from 12",
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_list_that_is_read_again_holds_no_change_up_and_does_not_undo_it() {
    let answers = vec![
        Page(0, &[("a", "1"), ("b", "2"), ("c", "3")], "10", false),
        Answer::Watch(vec![(5, Failed(410))]),
        // Versions alone cannot be had.
        Fails(400),
        Page(2, &[("a", "1")], "20", true),
        Page(8, &[("b", "2"), ("c", "3"), ("e", "5")], "20", false),
        Answer::Watch(vec![
            (1, Added("c", "21")),
            (1, Deleted("b", "22")),
            (1, Added("d", "23")),
            (9, Added("d", "24")),
        ]),
    ];
    let played = played(answers).await;
    assert_eq!(
        played[7..],
        [
            "5s -> watch failed 410",
            "5s versions since 10",
            "5s page failed 400",
            "5s -> init",
            "5s list from the beginning",
            "7s -> listed a@1",
            "7s list on",
            "7s watch from 20",
            "8s -> listed c@21",
            "9s -> deleted b@22",
            "10s -> listed d@23",
            "15s -> listed e@5",
            "15s -> done",
            "19s -> changed d@24",
            "19s watch from 24",
        ],
        "{played:#?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_page_that_fails_and_a_version_that_is_gone_begin_the_list_again() {
    let answers = vec![
        Fails(404),
        Page(0, &[("a", "1")], "10", true),
        Fails(410),
        Page(0, &[("a", "1")], "20", false),
        Fails(403),
        Fails(410),
        Fails(400),
        Page(0, &[], "", false),
        Page(0, &[("a", "1")], "30", false),
    ];
    assert_eq!(
        played(answers).await,
        [
            "0s -> init",
            "0s list from the beginning",
            "0s -> list failed 404",
            "0s -> init",
            "0s list from the beginning",
            "0s -> listed a@1",
            "0s list on",
            "0s -> list failed 410",
            "0s -> init",
            "0s list from the beginning",
            "0s -> listed a@1",
            "0s -> done",
            "0s watch from 20",
            "0s -> watch not begun 403",
            "1s watch from 20",
            "1s -> watch not begun 410",
            "1s versions since 20",
            "1s page failed 400",
            "1s -> init",
            "1s list from the beginning",
            "1s -> no version",
            "1s -> init",
            "1s list from the beginning",
            "1s -> listed a@1",
            "1s -> done",
            "2s watch from 30",
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_ends_goes_on_from_what_it_showed_last_and_not_at_once() {
    let answers = vec![
        Page(0, &[], "10", false),
        Answer::Watch(vec![(0, Bookmark("11"))]),
        Answer::Watch(vec![(0, Failed(500)), (0, Added("a", "12"))]),
        Answer::Watch(vec![(0, Broken), (0, Added("a", "13"))]),
        // One that is silent for longer than it may live.
        Answer::Watch(vec![(1_000, Added("a", "14"))]),
        Answer::Watch(vec![(0, Added("a", ""))]),
    ];
    let played = played(answers).await;
    assert_eq!(
        played[3..],
        [
            "0s watch from 10",
            "1s watch from 11",
            "1s -> watch failed 500",
            "1s -> changed a@12",
            "2s watch from 12",
            "2s -> event failed 500",
            "2s -> changed a@13",
            "3s watch from 13",
            "298s watch from 13",
            "298s -> no version",
            "298s versions since 13",
        ],
        "{played:#?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_page_that_fails_is_asked_for_again_some_times_and_the_list_goes_on() {
    let answers = vec![
        Fails(500),
        Page(0, &[("a", "1")], "10", true),
        Fails(502),
        Fails(500),
        Fails(500),
        Fails(500),
        Page(0, &[("b", "2")], "10", true),
        Fails(500),
        Fails(500),
        Fails(500),
        Fails(500),
        Fails(500),
    ];
    assert_eq!(
        played(answers).await,
        [
            "0s -> init",
            "0s list from the beginning",
            "0s page failed 500",
            "0s list from the beginning",
            "0s -> listed a@1",
            "0s list on",
            "0s page failed 502",
            "0s list on",
            "0s page failed 500",
            "0s list on",
            "0s page failed 500",
            "0s list on",
            "0s page failed 500",
            "0s list on",
            "0s -> listed b@2",
            "0s list on",
            "0s page failed 500",
            "0s list on",
            "0s page failed 500",
            "0s list on",
            "0s page failed 500",
            "1s list on",
            "1s page failed 500",
            "1s list on",
            "1s -> list failed 500",
            "1s -> init",
            "1s list from the beginning",
        ]
    );
}
