//! After a watch that is gone: what changed meanwhile, and nothing else.

use crate::watched::listing::again::{MOST, MOST_KNOWN};

use super::*;

#[tokio::test(start_paused = true)]
async fn after_a_watch_that_is_gone_those_alone_that_changed_are_asked_for() {
    let answers = vec![
        Page(0, &[("a", "1"), ("b", "2"), ("c", "x"), ("d", "4")], "10", false),
        Answer::Watch(vec![(5, Added("d", "11")), (0, Failed(410))]),
        Are(2, &[("a", "1"), ("b", "12"), ("c", "x"), ("d", "11"), ("e", "13")], "20"),
        Is(1, Some(("b", "12"))),
        // What is no number may have changed.
        Is(2, Some(("c", "x"))),
        Is(3, Some(("e", "13"))),
        Answer::Watch(vec![]),
    ];
    let played = played(answers).await;
    assert_eq!(
        played[9..],
        [
            "5s -> watch failed 410",
            "5s versions since 11",
            "7s object b",
            "7s object c",
            "7s object e",
            "7s watch from 20",
            "8s -> changed b@12",
            "8s watch from 20",
            "9s -> changed c@x",
            "10s -> changed e@13",
            "10s -> caught up",
        ],
        "{played:#?}"
    );
}

#[tokio::test(start_paused = true)]
async fn what_the_watch_shows_meanwhile_is_told_at_once_and_nothing_goes_back() {
    let answers = vec![
        Page(0, &[("a", "1"), ("b", "2"), ("c", "3"), ("d", "4")], "10", false),
        Answer::Watch(vec![(5, Failed(410))]),
        Are(0, &[("a", "12"), ("b", "13"), ("c", "14"), ("d", "15")], "20"),
        // Later than what the watch shows next: that is old then.
        Is(1, Some(("a", "22"))),
        // The watch has shown a later one when these are there, and that the other one is gone.
        Is(4, Some(("b", "13"))),
        Is(4, Some(("c", "14"))),
        // It is gone when it is asked for: the watch shows that.
        Is(1, None),
        Answer::Watch(vec![
            (2, Added("a", "21")),
            (0, Added("a", "22")),
            (0, Added("b", "23")),
            (0, Deleted("c", "24")),
            (0, Deleted("d", "25")),
            (9, Bookmark("30")),
        ]),
    ];
    let played = played(answers).await;
    assert_eq!(
        played[8..],
        [
            "5s -> watch failed 410",
            "5s versions since 10",
            "5s object a",
            "5s object b",
            "5s object c",
            "5s object d",
            "5s watch from 20",
            "6s -> changed a@22",
            "7s -> changed a@22",
            "7s -> changed b@23",
            "7s -> deleted c@24",
            "7s -> deleted d@25",
            "9s -> caught up",
            "16s watch from 30",
        ],
        "{played:#?}"
    );
}

#[tokio::test(start_paused = true)]
async fn where_some_are_gone_or_an_object_cannot_be_had_all_are_listed() {
    let answers = vec![
        Page(0, &[("a", "1"), ("b", "2")], "10", false),
        Answer::Watch(vec![(5, Failed(410))]),
        Are(0, &[("a", "1"), ("c", "3")], "20"),
        Page(0, &[("a", "1"), ("c", "3")], "21", false),
        Answer::Watch(vec![(5, Failed(410))]),
        Are(0, &[("a", "1"), ("c", "22")], "30"),
        Fails(404),
        Page(0, &[("a", "1"), ("c", "22")], "31", false),
    ];
    let played = played(answers).await;
    assert_eq!(
        played[6..],
        [
            "5s -> watch failed 410",
            "5s versions since 10",
            "5s -> init",
            "5s list from the beginning",
            "5s -> listed a@1",
            "5s -> listed c@3",
            "5s -> done",
            "5s watch from 21",
            "10s -> watch failed 410",
            "10s versions since 21",
            "10s object c",
            "10s -> list failed 404",
            "10s -> init",
            "10s list from the beginning",
            "10s -> listed a@1",
            "10s -> listed c@22",
            "10s -> done",
            "10s watch from 31",
        ],
        "{played:#?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_is_gone_again_before_all_that_changed_was_had_loses_none() {
    let answers = vec![
        Page(0, &[("a", "1"), ("b", "2")], "10", false),
        Answer::Watch(vec![(5, Failed(410))]),
        Are(0, &[("a", "11"), ("b", "12")], "20"),
        Is(1, Some(("a", "11"))),
        Is(9, Some(("b", "12"))),
        Answer::Watch(vec![(3, Failed(410))]),
        Fails(500),
        Are(0, &[("a", "11"), ("b", "12")], "30"),
        Is(1, Some(("b", "12"))),
        Answer::Watch(vec![(9, Bookmark("31"))]),
    ];
    let played = played(answers).await;
    assert_eq!(
        played[6..],
        [
            "5s -> watch failed 410",
            "5s versions since 10",
            "5s object a",
            "5s object b",
            "5s watch from 20",
            "6s -> changed a@11",
            "8s -> watch failed 410",
            "8s versions since 20",
            "8s page failed 500",
            "8s versions since 20",
            "8s object b",
            "8s watch from 30",
            "9s -> changed b@12",
            "9s -> caught up",
            "17s watch from 31",
        ],
        "{played:#?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_deletion_that_is_older_than_the_object_read_again_is_not_told() {
    let answers = vec![
        Page(0, &[("a", "1"), ("b", "2")], "10", false),
        Answer::Watch(vec![(5, Failed(410))]),
        Are(0, &[("a", "12"), ("b", "2")], "20"),
        // Deleted and made again after the versions were told: the watch from there shows the first of the two, too.
        Is(1, Some(("a", "22"))),
        Answer::Watch(vec![(2, Deleted("a", "21")), (0, Added("a", "22")), (1, Deleted("a", "23"))]),
    ];
    let played = played(answers).await;
    assert_eq!(
        played[6..],
        [
            "5s -> watch failed 410",
            "5s versions since 10",
            "5s object a",
            "5s watch from 20",
            "6s -> changed a@22",
            "6s -> caught up",
            "7s -> changed a@22",
            "8s -> deleted a@23",
            "8s watch from 23",
        ],
        "{played:#?}"
    );
}

#[tokio::test(start_paused = true)]
async fn versions_that_break_off_are_asked_for_again_and_too_many_of_them_are_not() {
    let answers = vec![
        Page(0, &[("a", "1")], "10", false),
        Answer::Watch(vec![(5, Failed(410))]),
        Breaks(io::ErrorKind::UnexpectedEof),
        Breaks(io::ErrorKind::FileTooLarge),
        Page(0, &[("a", "1")], "20", false),
    ];
    let played = played(answers).await;
    assert_eq!(
        played[6..],
        [
            "5s versions since 10",
            "5s page failed unexpected end of file",
            "5s versions since 10",
            "5s page failed file too large",
            "5s -> init",
            "5s list from the beginning",
            "5s -> listed a@1",
            "5s -> done",
            "5s watch from 20",
        ],
        "{played:#?}"
    );
}

/// So many objects, of this version.
fn many(count: usize, version: &'static str) -> &'static [(&'static str, &'static str)] {
    Vec::leak((0..count).map(|number| (&*String::leak(format!("o{number}")), version)).collect())
}

/// What is asked after a watch is gone by one who knows so many objects, of which so many have changed.
async fn asked_then(known: usize, changed: usize) -> Vec<String> {
    let (before, mut now) = (many(known, "1"), many(known, "1").to_vec());
    now[..changed].iter_mut().for_each(|(_, version)| *version = "11");
    let mut answers = vec![Page(0, before, "10", false), Answer::Watch(vec![(5, Failed(410))])];
    if known <= MOST_KNOWN {
        answers.push(Are(0, Vec::leak(now), "20"));
    }
    let played = played(answers).await;
    let failed = played.iter().position(|line| line == "5s -> watch failed 410").expect("it fails");
    played[failed + 1..].iter().take(2).cloned().collect()
}

#[tokio::test(start_paused = true)]
async fn where_many_changed_or_many_are_known_all_are_listed() {
    let listed = ["5s -> init".to_owned(), "5s list from the beginning".to_owned()];
    assert_eq!(asked_then(MOST, MOST).await, ["5s versions since 10", "5s object o0"]);
    assert_eq!(asked_then(MOST + 1, MOST + 1).await, ["5s versions since 10", "5s -> init"]);
    assert_eq!(asked_then(MOST_KNOWN, 1).await, ["5s versions since 10", "5s object o0"]);
    assert_eq!(asked_then(MOST_KNOWN + 1, 1).await, listed);
}
