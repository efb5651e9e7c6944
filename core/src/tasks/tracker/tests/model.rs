//! Random histories of a node against a model: in whatever legal order records arrive, every exit counts once, durations
//! add up, and what runs is what the gauge says.
//!
//! Containers 0 to 3 are of two pods of a fleet, 4 and 5 of a pod of no fleet, 6 and 7 of a pod that nobody ever hears of. A record takes
//! the ring buffer (in order, at once) or the detour (up to 1.5 s late, without names). Scans come whenever they are wanted.

use proptest::prelude::*;

use super::*;

const MS: u64 = 1_000_000;
const CONTAINERS: u64 = 8;

#[derive(Clone, Debug)]
struct Proc {
    container: u64,
    tgid: u32,
    start: u64,
    /// Times of its execs; without any, it is a runtime's helper.
    execs: Vec<u64>,
    exit: Option<u64>,
    /// How late its records come, the exit's first.
    late: [u64; 3],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Fleet,
    FleetsSynced,
    PodsSynced,
    Pod(u64),
    Made(u64, bool),
    Exec(usize, usize),
    Exit(usize),
    Gone(u64),
}

fn late() -> impl Strategy<Value = u64> {
    prop_oneof![3 => Just(0), 1 => 1_u64..1_500]
}

fn proc() -> impl Strategy<Value = Proc> {
    let times =
        (1_u64..2_000, 0_u64..6_000, proptest::collection::vec(1_u64..3_000, 0..3), proptest::option::of(1_u64..9_000));
    // Few pids, so that they are used again.
    (0..CONTAINERS, 1_u32..20, times, [late(), late(), late()]).prop_map(
        |(container, tgid, (start, fork, gaps, exit), late)| {
            let start = start * 10 * MS;
            let mut now = start + fork * MS / 10;
            let mut execs = Vec::new();
            for gap in gaps {
                now += gap * MS;
                execs.push(now);
            }
            // A helper always ends.
            let exit = if execs.is_empty() { Some(exit.unwrap_or(5)) } else { exit };
            let exit = exit.map(|gap| now + gap * MS);
            Proc { container, tgid, start, execs, exit, late }
        },
    )
}

struct Node {
    procs: Vec<Proc>,
    gone: BTreeMap<u64, u64>,
}

impl Node {
    /// What is really there at `now`, as a scan would find it.
    fn scan(&self, tracker: &mut Tracker, now: u64) {
        tracker.scan_started(now);
        tracker.cgroup_found(1, 0, "/kubepods");
        for container in 0..CONTAINERS {
            if self.gone.get(&container).is_none_or(|gone| *gone > now) {
                tracker.cgroup_found(100 + container, 1, &path(container / 2, 1_000 + container));
            }
        }
        let there = |own: &&Proc| own.execs.first().is_some_and(|at| *at <= now) && own.exit.is_none_or(|at| at > now);
        for own in self.procs.iter().filter(there) {
            let comm = b"git".to_vec();
            let cmdline = b"git\0merge\0".to_vec();
            let (cgroup, tgid, start) = (100 + own.container, own.tgid, own.start);
            tracker.seed(&SeededProcess { cgroup, tgid, start, comm, cmdline }, now);
        }
        tracker.scan_finished(now);
    }

    fn apply(&self, tracker: &mut Tracker, event: Event, now: u64) {
        match event {
            Event::Fleet => tracker.upsert_fleet(fleet("git"), now),
            Event::FleetsSynced => tracker.fleets_synced(),
            Event::PodsSynced => tracker.pods_synced(),
            Event::Pod(n) => {
                let mut view = pod(n, &[("a", 1_000 + 2 * n), ("b", 1_001 + 2 * n)]);
                if n == 2 {
                    view.labels.clear();
                }
                tracker.upsert_pod(view, now);
            }
            Event::Made(container, late) => {
                let path = path(container / 2, 1_000 + container);
                made(tracker, 100 + container, 1, (!late).then_some(&path), now);
            }
            Event::Gone(container) => {
                let gone = CgroupGone { time: now, cgroup: 100 + container, parent: 1 };
                tracker.handle(Record::CgroupGone(gone), now);
            }
            Event::Exec(at, nth) => {
                let own = &self.procs[at];
                let process = who(own.tgid, own.start, "git");
                let named = own.late[1 + nth.min(1)] == 0;
                let argv = if named { Argv::Whole(b"git\0merge\0") } else { Argv::Unknown };
                let path = named.then_some(&b"/bin/git"[..]);
                let (time, cgroup) = (own.execs[nth], 100 + own.container);
                tracker.handle(Record::Exec(Exec { time, cgroup, process, parent_tracked: true, path, argv }), now);
            }
            Event::Exit(at) => {
                let own = &self.procs[at];
                let comm = if own.execs.is_empty() { "crun" } else { "git" };
                let Some(time) = own.exit else { return };
                let process = who(own.tgid, own.start, comm);
                let status = u32::try_from(at % 3).unwrap() << 8;
                tracker
                    .handle(Record::Exit(Exit { time, cgroup: 100 + own.container, process, status, oom: false }), now);
            }
        }
    }
}

/// No pid is used by two processes at once: later ones get another.
fn untangle(mut procs: Vec<Proc>) -> Vec<Proc> {
    procs.sort_by_key(|own| own.start);
    let mut free_from: BTreeMap<u32, u64> = BTreeMap::new();
    for own in &mut procs {
        while free_from.get(&own.tgid).is_some_and(|free| *free + 10 * MS >= own.start) {
            own.tgid += 100;
        }
        free_from.insert(own.tgid, own.exit.unwrap_or(u64::MAX / 2));
    }
    procs
}

fn total(rows: &[(String, f64)]) -> f64 {
    rows.iter().map(|(_, value)| value).sum()
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "numbers of processes")]
fn count(rows: &[(String, f64)]) -> usize {
    total(rows) as usize
}

proptest! {
    #[test]
    fn every_exit_counts_once_in_any_legal_order(
        procs in proptest::collection::vec(proc(), 0..40),
        made_late in proptest::array::uniform8(late()),
        pods_at in proptest::array::uniform3(0_u64..10_000),
        late_pod in 0_u64..60_000,
        synced_at in (0_u64..5_000, 0_u64..5_000),
    ) {
        let procs = untangle(procs);
        let mut events: Vec<(u64, u64, Event)> = vec![
            (synced_at.0 * MS, 0, Event::Fleet),
            (synced_at.0 * MS, 1, Event::FleetsSynced),
            (synced_at.1 * MS, 1, Event::PodsSynced),
            (pods_at[0] * MS, 0, Event::Pod(0)),
            (late_pod * MS, 0, Event::Pod(1)),
            (pods_at[2] * MS, 0, Event::Pod(2)),
        ];
        for (container, late) in (0..).zip(made_late) {
            events.push((late * MS, 0, Event::Made(container, late > 0)));
        }
        let mut gone = BTreeMap::new();
        for (at, own) in procs.iter().enumerate() {
            for (nth, time) in own.execs.iter().enumerate() {
                events.push((time + own.late[1 + nth.min(1)] * MS, *time, Event::Exec(at, nth)));
            }
            if let Some(time) = own.exit {
                events.push((time + own.late[0] * MS, time, Event::Exit(at)));
            }
            let last = gone.entry(own.container).or_insert(0_u64);
            *last = (*last).max(own.exit.map_or(u64::MAX, |exit| exit + MS));
        }
        // Pod 2 must be known before its groups go: of what is gone, nobody can tell later that it was of no fleet.
        gone.retain(|container, at| *at != u64::MAX && container / 2 != 2);
        events.extend(gone.iter().map(|(container, at)| (*at, *at, Event::Gone(*container))));
        events.sort_unstable();

        let node = Node { procs, gone };
        let mut tracker = Tracker::new(TrackerLimits::default());
        tracker.scan_started(0);
        tracker.scan_finished(0);
        let (mut now, step) = (0, SECOND / 2);
        let end = 200 * SECOND;
        let mut events = events.into_iter().peekable();
        while now < end {
            now += step;
            while let Some((at, _, event)) = events.next_if(|(at, _, _)| *at < now) {
                node.apply(&mut tracker, event, at);
            }
            tracker.tick(now);
            if tracker.scan_wanted() {
                node.scan(&mut tracker, now);
            }
        }
        prop_assert!(events.next().is_none());

        let counted = |own: &&Proc| !own.execs.is_empty() && own.container / 2 != 2;
        let ended: Vec<&Proc> = node.procs.iter().filter(counted).filter(|own| own.exit.is_some()).collect();
        let running = node.procs.iter().filter(counted).filter(|own| own.exit.is_none()).count();
        prop_assert_eq!(count(&shown(&tracker, &TASKS)), ended.len(), "{:?}", shown(&tracker, &TASKS));
        prop_assert_eq!(count(&shown(&tracker, &TASKS_RUNNING)), running);
        let seconds: f64 = ended.iter().map(|own| std::time::Duration::from_nanos(own.exit.unwrap() - own.start).as_secs_f64()).sum();
        let sum = total(&shown(&tracker, &TASK_DURATION));
        prop_assert!((sum - seconds).abs() < 1e-6 * (1.0 + seconds), "{sum} {seconds}");
        let missing = shown(&tracker, &EVENTS_LOST).into_iter().find(|(reason, _)| reason == "exit_missing");
        prop_assert_eq!(missing, None);
        // Nothing of what is over is left.
        prop_assert_eq!(tracker.processes.sizes(), [running, running, 0, 0]);
        prop_assert_eq!(tracker.containers.pending, 0);
    }
}
