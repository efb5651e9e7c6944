//! Scripts of events in, what comes out; time is tokio's, which stands until everybody waits.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use kube::core::Status;
use tokio::time::Instant;

use super::*;

/// An event of a script.
#[derive(Clone, Copy, Debug)]
enum Step {
    Init,
    /// One of the list.
    Listed(&'static str),
    Done,
    Apply(&'static str),
    Delete(&'static str),
    Fails(u16),
}

use Step::{Apply, Delete, Done, Fails, Init, Listed};

type Event_ = Result<Event<&'static str>, watcher::Error>;

fn event(step: Step) -> Event_ {
    Ok(match step {
        Init => Event::Init,
        Listed(name) => Event::InitApply(name),
        Done => Event::InitDone,
        Apply(name) => Event::Apply(name),
        Delete(name) => Event::Delete(name),
        Fails(code) => {
            let status = Status { code, ..Status::failure("no", "No") };
            return Err(watcher::Error::InitialListFailed(kube::Error::Api(Box::new(status))));
        }
    })
}

fn told(event: &Event_) -> String {
    match event {
        Ok(Event::Init) => "init".to_owned(),
        Ok(Event::InitApply(name)) => format!("listed {name}"),
        Ok(Event::InitDone) => "done".to_owned(),
        Ok(Event::Apply(name)) => format!("+{name}"),
        Ok(Event::Delete(name)) => format!("-{name}"),
        Err(watcher::Error::InitialListFailed(kube::Error::Api(status))) => status.code.to_string(),
        Err(error) => error.to_string(),
    }
}

/// Scripts by part: one for each time that its stream is opened. Then nothing comes.
type Scripts = Arc<Mutex<Vec<VecDeque<Vec<Step>>>>>;

/// What comes out until nothing does.
async fn merged(scripts: &[&[&[Step]]]) -> String {
    let parts = scripts.len();
    let scripts: Scripts =
        Arc::new(Mutex::new(scripts.iter().map(|times| times.iter().map(|steps| steps.to_vec()).collect()).collect()));
    let events = merge(parts, move |part| {
        let steps = scripts.lock().unwrap()[part].pop_front().unwrap_or_default();
        stream::iter(steps).map(event).chain(stream::pending()).boxed()
    });
    texts(events).await.join(" ")
}

async fn texts(mut events: Events<&'static str>) -> Vec<String> {
    let mut texts = Vec::new();
    // Whoever sleeps wakes before this ends: the clock goes on only when everybody waits.
    while let Ok(Some(event)) = tokio::time::timeout(Duration::from_hours(1), events.next()).await {
        texts.push(told(&event));
    }
    texts
}

#[tokio::test(start_paused = true)]
async fn several_are_one_list_and_then_one_watch() {
    let first: &[Step] = &[Init, Listed("a"), Done, Apply("b"), Delete("a")];
    let second: &[Step] = &[Init, Listed("x"), Listed("y"), Done, Delete("y"), Apply("z")];
    assert_eq!(merged(&[&[first], &[second]]).await, "init listed a listed x listed y done +b -y -a +z", "in turn");
}

#[tokio::test(start_paused = true)]
async fn one_that_lists_again_lists_all_again() {
    let again: &[Step] = &[Init, Listed("a"), Done, Init, Listed("b"), Done];
    let twice: &[&[Step]] = &[&[Init, Listed("x"), Done], &[Init, Listed("y"), Done]];
    assert_eq!(merged(&[&[again], twice]).await, "init listed a listed x done init listed b listed y done");
    let amid: &[Step] = &[Init, Listed("x"), Fails(500), Init, Listed("y"), Done];
    let twice: &[&[Step]] = &[&[Init, Listed("a"), Done], &[Init, Listed("b"), Done]];
    assert_eq!(
        merged(&[twice, &[amid]]).await,
        "init listed a listed x 500 init listed y listed b done",
        "x may be gone by now"
    );
}

#[tokio::test(start_paused = true)]
async fn a_namespace_that_is_refused_holds_nobody_up_and_may_come_later() {
    let seen: &[Step] = &[Init, Listed("a"), Done, Apply("b")];
    let refused: &[Step] = &[Init, Fails(403), Init, Fails(403), Init, Listed("x"), Done, Apply("y")];
    assert_eq!(merged(&[&[seen], &[refused]]).await, "init listed a 403 done +b 403 +x +y");
    assert_eq!(merged(&[&[refused], &[seen]]).await, "init 403 listed a done +b 403 +x +y");
}

#[tokio::test(start_paused = true)]
async fn a_list_of_one_that_was_refused_and_breaks_off_is_forgotten() {
    let refused: &[Step] = &[Init, Fails(403), Init, Listed("x"), Fails(500), Init, Listed("y"), Done];
    let twice: &[&[Step]] = &[&[Init, Listed("a"), Done], &[Init, Listed("a"), Done]];
    assert_eq!(merged(&[twice, &[refused]]).await, "init listed a 403 done +x 500 init listed y listed a done");
}

#[tokio::test(start_paused = true)]
async fn where_nothing_can_be_seen_nothing_is_known() {
    let refused: &[Step] = &[Init, Fails(403), Init, Fails(403)];
    let texts = merged(&[&[refused], &[refused]]).await;
    assert!(!texts.contains("done"), "{texts}");
    let later: &[Step] = &[Init, Fails(403), Init, Listed("a"), Done];
    assert_eq!(merged(&[&[later], &[refused]]).await, "init 403 403 init listed a 403 done");
}

#[tokio::test(start_paused = true)]
async fn other_errors_do_not_make_a_list_whole() {
    let first: &[Step] = &[Init, Fails(500), Init, Fails(404), Init, Listed("a"), Done];
    assert_eq!(merged(&[&[first], &[&[Init, Done]]]).await, "init 500 init 404 init listed a done");
}

#[tokio::test(start_paused = true)]
async fn pauses_double_while_nothing_is_listed_though_each_try_begins_well() {
    let failing = stream::iter([Init, Fails(500)].repeat(12));
    let listed = stream::iter([Init, Done, Fails(500), Apply("a"), Fails(410), Fails(410)]);
    let events = failing.chain(listed).map(|step| event(step).map(Told::Event));
    let caught_up = stream::iter([Ok(Told::CaughtUp), event(Fails(410)).map(Told::Event)]);
    let last = stream::iter([event(Apply("b")).map(Told::Event)]);
    let mut events = paused(events.chain(caught_up).chain(last));
    let mut waits = Vec::new();
    loop {
        let before = Instant::now();
        let Some(event) = events.next().await else { break };
        // The pause comes before the try.
        if matches!(event, Ok(Event::Init | Event::Apply(_))) {
            waits.push(before.elapsed().as_millis());
        }
    }
    let doubled = [0, 100, 200, 400, 800, 1_600, 3_200, 6_400, 12_800, 25_600, 30_000, 30_000, 30_000, 100, 100];
    assert_eq!(
        waits, doubled,
        "and they begin anew after a list, a change, and a list that is read again and finds none"
    );
}
