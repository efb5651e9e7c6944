//! Many processes at once: totals stay exact.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Child, Stdio};
use std::time::Instant;

use fleetscope_core::records::{Exec, Exit, Record};
use fleetscope_core::series::{Family, Filter, Value};
use fleetscope_core::tasks::tracker::{FleetView, Tracker, TrackerLimits};

use crate::group::Group;
use crate::session::{Seen, Session};

/// Runs a verb in each group at once and drains while they run, as the agent does. Returns what each printed, and all records.
fn at_once(session: &mut Session, groups: &[Group], verb: &[&str]) -> (Vec<String>, Vec<Seen>) {
    let start = |group: &Group| {
        let verb: Vec<&str> = [&["exec", env!("CARGO_BIN_EXE_kernel-process"), "-"], verb].concat();
        group.process(&verb).stdout(Stdio::piped()).spawn().unwrap()
    };
    let running: Vec<Child> = groups.iter().map(start).collect();
    let readers: Vec<_> = running
        .into_iter()
        .map(|child| std::thread::spawn(move || child.wait_with_output().expect("the child can be waited for")))
        .collect();
    let mut seen = Vec::new();
    while !readers.iter().all(std::thread::JoinHandle::is_finished) {
        seen.push(session.take());
        std::thread::yield_now();
    }
    let printed = readers.into_iter().map(|reader| {
        let output = reader.join().unwrap();
        assert!(output.status.success());
        String::from_utf8(output.stdout).unwrap()
    });
    let printed = printed.collect();
    seen.push(session.take());
    (printed, seen)
}

/// The same records through the agent's tracker: finished tasks by the label `exit`.
fn series(groups: &[Group], seen: &[Seen]) -> BTreeMap<String, usize> {
    let fleet = FleetView { namespace: "test".to_owned(), name: "all".to_owned(), ..FleetView::default() };
    let mut tracker = Tracker::standalone(TrackerLimits::default(), fleet);
    tracker.scan_started(1);
    for group in groups {
        tracker.cgroup_found(group.id(), 1, &group.path());
    }
    tracker.scan_finished(1);
    let mut now = 1;
    for record in seen.iter().flat_map(Seen::records) {
        let (Record::Exec(Exec { time, .. }) | Record::Exit(Exit { time, .. })) = record else { continue };
        now = now.max(time);
        tracker.handle(record, now);
    }
    tracker.tick(now + 60_000_000_000);
    let filter = Filter { name_prefix: Some("fleetscope_tasks_total".to_owned()), ..Filter::default() };
    let snapshot = tracker.registry().snapshot(&filter);
    let mut counts = BTreeMap::new();
    for series in snapshot.families().iter().flat_map(Family::series) {
        let Value::Number(count) = series.value else { panic!("a counter") };
        // Its own labels are exit, group, result, task.
        *counts.entry(series.labels[0].to_string()).or_default() +=
            count.to_string().parse::<usize>().expect("a whole number");
    }
    counts.retain(|_, count| *count != 0);
    counts
}

/// Execs, and exits by wait status, of each cgroup.
fn totals(seen: &[Seen]) -> BTreeMap<u64, (usize, BTreeMap<u32, usize>)> {
    let mut totals: BTreeMap<u64, (usize, BTreeMap<u32, usize>)> = BTreeMap::new();
    for record in seen.iter().flat_map(Seen::records) {
        match record {
            Record::Exec(exec) => totals.entry(exec.cgroup).or_default().0 += 1,
            Record::Exit(exit) => *totals.entry(exit.cgroup).or_default().1.entry(exit.status).or_default() += 1,
            Record::CgroupMade(_) | Record::CgroupGone(_) => {}
        }
    }
    totals
}

#[test]
#[ignore = "needs CAP_BPF: make test-kernel"]
fn ten_thousand_processes_of_four_groups_that_end_in_eight_ways_are_counted_exactly() {
    let (mut session, groups) = (Session::new(), [(); 4].map(|()| Group::new()));
    for group in &groups {
        session.track(group);
    }
    let (printed, seen) = at_once(&mut session, &groups, &["mix", "2500"]);
    let mut expected = BTreeMap::new();
    for (group, statuses) in groups.iter().zip(&printed) {
        // The one that starts the others ends with 0 and is a task as well.
        let mut counts = BTreeMap::from([(0_u32, 1_usize)]);
        for status in statuses.lines().map(|line| line.parse().unwrap()) {
            *counts.entry(status).or_default() += 1;
        }
        assert_eq!(counts.len(), 6, "exits with 0, 1, 2, 127, by SIGKILL and SIGTERM: {counts:?}");
        assert_eq!(counts.values().sum::<usize>(), 2501);
        expected.insert(group.id(), (2501, counts));
    }
    assert_eq!(totals(&seen), expected);
    let mut truth = BTreeMap::new();
    for (status, count) in expected.values().flat_map(|(_, counts)| counts) {
        *truth.entry(*status).or_default() += count;
    }
    let labels = [("0", 0), ("1", 1 << 8), ("2", 2 << 8), ("127", 127 << 8), ("sigkill", 9), ("sigterm", 15)];
    let truth: BTreeMap<String, usize> =
        labels.iter().map(|(label, status)| ((*label).to_owned(), truth[status])).collect();
    assert_eq!(series(&groups, &seen), truth, "and the same as series");
    let counters = session.counters();
    assert_eq!((counters.execs, counters.exits, counters.exec_lost, counters.exit_lost), (10_004, 10_004, 0, 0));
}

#[test]
#[ignore = "needs CAP_BPF: make test-kernel"]
fn a_storm_of_twenty_thousand_processes_loses_none() {
    let (mut session, groups) = (Session::new(), [(); 2].map(|()| Group::new()));
    for group in &groups {
        session.track(group);
    }
    let start = Instant::now();
    let (_, seen) = at_once(&mut session, &groups, &["spawn", "10000", "32", "/bin/true"]);
    println!(
        "20,000 processes in {:.1?}; deferred: {}",
        start.elapsed(),
        seen.iter().map(Seen::refused).sum::<usize>()
    );
    let each = (10_001, BTreeMap::from([(0, 10_001)]));
    assert_eq!(totals(&seen), groups.iter().map(|group| (group.id(), each.clone())).collect());
    let counters = session.counters();
    assert_eq!((counters.exec_lost, counters.exit_lost, counters.argv_unreadable), (0, 0, 0));
}

#[test]
#[ignore = "needs CAP_BPF: make test-kernel"]
fn ten_thousand_executables_are_ten_thousand_paths() {
    let folder = std::env::temp_dir().join(format!("fleetscope-distinct-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let first = folder.join("tool-0");
    fs::copy("/bin/true", &first).unwrap();
    fs::set_permissions(&first, fs::Permissions::from_mode(0o755)).unwrap();
    for i in 1..10_000 {
        fs::hard_link(&first, folder.join(format!("tool-{i}"))).unwrap();
    }
    let (mut session, groups) = (Session::new(), [Group::new()]);
    session.track(&groups[0]);
    let (_, seen) = at_once(&mut session, &groups, &["every", folder.to_str().unwrap()]);
    fs::remove_dir_all(&folder).unwrap();
    let paths: BTreeSet<Vec<u8>> = seen
        .iter()
        .flat_map(Seen::records)
        .filter_map(|record| if let Record::Exec(exec) = record { Some(exec.path?.to_vec()) } else { None })
        .collect();
    assert_eq!(paths.len(), 10_001, "and kernel-process itself");
}
