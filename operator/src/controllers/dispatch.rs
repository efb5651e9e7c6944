//! Turns, in the order of the line: a number of them at a time, and never two of one object.

use std::collections::{HashSet, VecDeque};
use std::future::Future;
use std::hash::Hash;
use std::time::Duration;

use futures::stream::FuturesUnordered;
use futures::{FutureExt as _, Stream, StreamExt as _};
use tokio::time::{Instant, sleep_until};

use super::line::Line;

/// When there is to be another turn, whatever happens.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Again {
    /// After this time.
    pub after: Option<Duration>,
    /// When nobody else wants one: of this one something is left to be told.
    pub untold: bool,
}

/// Turns that may be on at the same time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Most {
    /// At most.
    pub begun: usize,
    /// When one begins for what is left to be told there are fewer than these.
    pub quiet: usize,
}

/// Those of whom something is left to be told, in the order in which that was found; each once.
#[derive(Debug)]
struct Untold<K> {
    order: VecDeque<K>,
    known: HashSet<K>,
}

// === impl Again ===

impl Again {
    /// After this time.
    pub(super) fn after(time: Duration) -> Self {
        Self { after: Some(time), untold: false }
    }
}

// === impl Untold ===

impl<K: Clone + Eq + Hash> Untold<K> {
    fn new() -> Self {
        Self { order: VecDeque::new(), known: HashSet::new() }
    }

    fn push(&mut self, key: &K) {
        if self.known.insert(key.clone()) {
            self.order.push_back(key.clone());
        }
    }

    fn pop(&mut self) -> Option<K> {
        let key = self.order.pop_front()?;
        self.known.remove(&key);
        Some(key)
    }
}

/// Gives turns to those whom `asked` names, each when it comes, until `stopped`; turns that are on then are brought to their end. Nobody has
/// one before `ready`. Ends also when `asked` does.
pub(super) async fn dispatch<K: Clone + Eq + Hash, T: Future<Output = Again>>(
    asked: impl Stream<Item = K>,
    most: Most,
    ready: impl Future<Output = ()>,
    stopped: impl Future<Output = ()>,
    mut turn: impl FnMut(&K) -> T,
) {
    let (mut asked, ready) = (std::pin::pin!(asked.fuse()), ready.fuse());
    let (mut ready, mut stopped) = (std::pin::pin!(ready), std::pin::pin!(stopped));
    let (mut line, mut on, mut open, mut untold) = (Line::default(), FuturesUnordered::new(), false, Untold::new());
    loop {
        while open && line.on() < most.begun {
            let now = Instant::now();
            if let Some(key) = line.begin(now) {
                on.push(turn(&key).map(|again| (key, again)));
            } else if line.on() < most.quiet
                && let Some(key) = untold.pop()
            {
                line.ask(key, now);
            } else {
                break;
            }
        }
        let due = line.next().filter(|_| open && line.on() < most.begun);
        tokio::select! {
            () = &mut stopped => break,
            () = &mut ready, if !open => open = true,
            key = asked.next() => match key {
                Some(key) => line.ask(key, Instant::now()),
                None => break,
            },
            Some((key, again)) = on.next() => {
                // A time that is too far away for a clock is never.
                if let Some(due) = again.after.and_then(|after| Instant::now().checked_add(after)) {
                    line.ask(key.clone(), due);
                }
                if again.untold {
                    untold.push(&key);
                }
                line.end(&key);
            }
            () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {}
        }
    }
    while on.next().await.is_some() {}
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, HashSet};
    use std::future::{pending, ready};
    use std::sync::Mutex;

    use futures::stream;
    use tokio::sync::{mpsc, oneshot};

    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn at_most(begun: usize) -> Most {
        Most { begun, quiet: begun.div_ceil(2) }
    }

    /// What is asked by a channel; it ends with it.
    fn channel() -> (mpsc::UnboundedSender<u32>, impl Stream<Item = u32>) {
        let (sender, receiver) = mpsc::unbounded_channel();
        (sender, stream::unfold(receiver, |mut receiver| async { Some((receiver.recv().await?, receiver)) }))
    }

    #[tokio::test(start_paused = true)]
    async fn a_backlog_is_served_in_the_order_in_which_it_came() {
        // 500 objects ask within half a second for turns of 10 ms, four at a time: the last one has to wait for 0.75 s, and so has nobody more.
        let asked = stream::unfold(0_u32, |next| async move {
            tokio::time::sleep(MS).await;
            if next == 500 { pending().await } else { Some((next, next + 1)) }
        });
        let (began, (last, stopped)) = (Instant::now(), oneshot::channel());
        let (served, last) = (Mutex::new(Vec::new()), Mutex::new(Some(last)));
        dispatch(asked, at_most(4), ready(()), stopped.map(drop), |key| {
            let (key, served, last) = (*key, &served, &last);
            let waited = began.elapsed().checked_sub((key + 1) * MS).expect("nobody is served before he came");
            served.lock().unwrap().push((key, waited));
            async move {
                tokio::time::sleep(10 * MS).await;
                if key == 499 {
                    last.lock().unwrap().take().expect("once").send(()).unwrap();
                }
                Again::default()
            }
        })
        .await;
        let served = served.into_inner().unwrap();
        assert_eq!(served.iter().map(|(key, _)| *key).collect::<Vec<_>>(), (0..500).collect::<Vec<_>>());
        let longest = served.iter().map(|(_, waited)| *waited).max();
        assert!(longest <= Some(760 * MS), "{longest:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn never_more_at_a_time_than_allowed_and_never_two_of_one_object() {
        let (sender, asked) = channel();
        (0..60).for_each(|number| sender.send(number % 7).unwrap());
        let (on, most, turns) = (Mutex::new(HashSet::new()), Mutex::new(0), Mutex::new(BTreeMap::<u32, u32>::new()));
        let (listed, stopped) = (tokio::time::sleep(MS), tokio::time::sleep(100 * MS));
        dispatch(asked, at_most(3), listed, stopped, |key| {
            let (key, on) = (*key, &on);
            let mut known = on.lock().unwrap();
            assert!(known.insert(key), "two turns of {key}");
            let mut most = most.lock().unwrap();
            *most = known.len().max(*most);
            let mut turns = turns.lock().unwrap();
            let turn = turns.entry(key).or_default();
            *turn += 1;
            let (first, sender) = (*turn == 1, sender.clone());
            async move {
                // Asked for during its first turn, twice: it has another one, and one only.
                for _ in 0..if first { 2 } else { 0 } {
                    sender.send(key).unwrap();
                }
                tokio::time::sleep(MS).await;
                on.lock().unwrap().remove(&key);
                Again::default()
            }
        })
        .await;
        assert_eq!(
            (most.into_inner().unwrap(), turns.into_inner().unwrap()),
            (3, (0..7).map(|key| (key, 2)).collect())
        );
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_has_a_turn_before_all_is_ready_and_who_gives_a_time_has_another_one_then() {
        let (sender, asked) = channel();
        sender.send(1).unwrap();
        let began = Instant::now();
        let turns = Mutex::new(Vec::new());
        dispatch(asked, at_most(1), tokio::time::sleep(5 * MS), tokio::time::sleep(50 * MS), |_| {
            let mut turns = turns.lock().unwrap();
            turns.push(began.elapsed());
            let after = [Some(20 * MS), Some(Duration::MAX)].get(turns.len() - 1).copied().flatten();
            ready(Again { after, untold: false })
        })
        .await;
        assert_eq!(turns.into_inner().unwrap(), [5 * MS, 25 * MS]);
    }

    #[tokio::test(start_paused = true)]
    async fn at_the_signal_to_stop_turns_that_are_on_end_and_none_begins() {
        for before_ready in [false, true] {
            let (sender, asked) = channel();
            sender.send(1).unwrap();
            sender.send(2).unwrap();
            let ended = Mutex::new(Vec::new());
            let listed = tokio::time::sleep(if before_ready { Duration::from_hours(1) } else { Duration::ZERO });
            dispatch(asked, at_most(1), listed, tokio::time::sleep(5 * MS), |key| {
                let (key, ended) = (*key, &ended);
                async move {
                    tokio::time::sleep(10 * MS).await;
                    ended.lock().unwrap().push(key);
                    Again::default()
                }
            })
            .await;
            let expected: &[u32] = if before_ready { &[] } else { &[1] };
            assert_eq!(ended.into_inner().unwrap(), expected);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_left_to_be_told_about_has_another_turn_once_when_nobody_else_wants_one_and_few_are_on() {
        let (sender, asked) = channel();
        // 8 and 9 last; the others are quick, and not told about the first time.
        for key in [8, 9, 1, 2, 3] {
            sender.send(key).unwrap();
        }
        let (began, turns) = (Instant::now(), Mutex::new(Vec::new()));
        dispatch(asked, Most { begun: 3, quiet: 2 }, ready(()), tokio::time::sleep(200 * MS), |key| {
            let key = *key;
            let mut turns = turns.lock().unwrap();
            let first = !turns.iter().any(|(_, known)| *known == key);
            turns.push((began.elapsed().as_millis(), key));
            let sender = sender.clone();
            async move {
                tokio::time::sleep(if key < 8 { MS } else { u32::from(key == 9) * 20 * MS + 30 * MS }).await;
                if key == 8 {
                    sender.send(4).unwrap();
                }
                Again { after: None, untold: first && key < 4 }
            }
        })
        .await;
        // Two are on until 8 ends, and 4 asks at that moment: the others come after it.
        let expected = [(0, 8), (0, 9), (0, 1), (1, 2), (2, 3), (30, 1), (30, 4), (31, 2), (32, 3)];
        let mut found = turns.into_inner().unwrap();
        found.sort_unstable();
        let mut expected = expected.to_vec();
        expected.sort_unstable();
        assert_eq!(found, expected);
    }
}
