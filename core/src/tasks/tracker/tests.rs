use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;

use super::*;
use crate::api::agent_fleet::{ResultName, TaskMatch, TaskRule, TasksSpec};
use crate::metrics::{EVENTS_LOST, Metric, TASK_DURATION, TASKS, TASKS_RUNNING};
use crate::pods::{ContainerState, ContainerView, PodView, Role};
use crate::records::{Argv, CgroupGone, CgroupMade, Exec, Exit, Process as Who};
use crate::series::{Selection, Value};

mod bounds;
mod calls;
mod failures;
mod foreign;
mod model;
mod opt_out;
mod pods;
mod profiles;
mod stand_ins;
mod standalone;

pub(super) const SECOND: u64 = 1_000_000_000;

pub(super) fn id(n: u64) -> String {
    format!("{n:064x}")
}

pub(super) fn pod(n: u64, containers: &[(&str, u64)]) -> PodView {
    let view = |(name, n): &(&str, u64)| ContainerView {
        name: (*name).to_owned(),
        role: Role::Main,
        id: Some(id(*n)),
        last_id: None,
        image: "agent:1".to_owned(),
        state: ContainerState::Running { started: Some(1) },
        last: None,
        restarts: 0,
        ready: true,
        probed: false,
    };
    PodView {
        uid: format!("uid-{n}"),
        cgroup_uid: format!("uid-{n}"),
        namespace: "ai".to_owned(),
        name: format!("agent-{n}"),
        node: "node-1".to_owned(),
        labels: BTreeMap::from([("app".to_owned(), "agent".to_owned())]),
        phase: "Running".to_owned(),
        restart_policy: "Always".to_owned(),
        containers: containers.iter().map(view).collect(),
        ..PodView::default()
    }
}

pub(super) fn fleet(name: &str) -> FleetView {
    let rule = TaskRule {
        name: "merge".to_owned(),
        group: "git".to_owned(),
        matches: TaskMatch { executable: "git".to_owned(), arguments: vec!["merge".to_owned()] },
        result_by_exit_code: [("0", "success"), ("1", "conflict"), ("*", "failed")]
            .map(|(key, name)| (key.to_owned(), ResultName(name.to_owned())))
            .into(),
        ignore: false,
    };
    let matches = TaskMatch { executable: "sleep".to_owned(), arguments: Vec::new() };
    let ignored = TaskRule { matches, ignore: true, ..TaskRule::default() };
    FleetView {
        namespace: "ai".to_owned(),
        name: name.to_owned(),
        created: 1,
        selector: LabelSelector {
            match_labels: Some([("app".to_owned(), "agent".to_owned())].into()),
            ..LabelSelector::default()
        },
        tasks: TasksSpec { rules: vec![rule, ignored], ..TasksSpec::default() },
        ..FleetView::default()
    }
}

pub(super) fn path(pod: u64, container: u64) -> String {
    format!("/kubepods/burstable/poduid-{pod}/{}", id(container))
}

pub(super) fn made(tracker: &mut Tracker, cgroup: u64, parent: u64, path: Option<&str>, now: u64) {
    let path = path.map(str::as_bytes);
    tracker.handle(Record::CgroupMade(CgroupMade { time: now, cgroup, parent, path, verdict: Some(1) }), now);
}

pub(super) fn who(tgid: u32, start: u64, comm: &str) -> Who {
    let mut bytes = [0; 16];
    bytes[..comm.len().min(15)].copy_from_slice(&comm.as_bytes()[..comm.len().min(15)]);
    Who { tgid, parent: 1, start, comm: bytes }
}

pub(super) fn exec(tracker: &mut Tracker, cgroup: u64, (tgid, start): (u32, u64), path: &str, argv: &[u8], time: u64) {
    let process = who(tgid, start, path.rsplit('/').next().unwrap());
    let (path, argv) = (Some(path.as_bytes()), Argv::Whole(argv));
    tracker.handle(Record::Exec(Exec { time, cgroup, process, parent_tracked: true, path, argv }), time);
}

pub(super) fn exit(tracker: &mut Tracker, cgroup: u64, (tgid, start): (u32, u64), comm: &str, status: u32, time: u64) {
    let process = who(tgid, start, comm);
    tracker.handle(Record::Exit(Exit { time, cgroup, process, status, oom: false }), time);
}

/// All series of a metric that are not 0, as "identity labels | own labels" (pod, container, then the metric's own) and value.
pub(super) fn shown(tracker: &Tracker, metric: &'static Metric) -> Vec<(String, f64)> {
    let filter = Filter { name_prefix: Some(metric.name.to_owned()), ..Filter::default() };
    let snapshot = tracker.registry().snapshot(&filter);
    let series = snapshot.families().iter().flat_map(series::Family::series);
    let number = |value: &Value| match value {
        Value::Number(number) => *number,
        Value::Histogram { sum, .. } => *sum,
    };
    series
        .map(|series| {
            let whose =
                series.identity.as_ref().map_or_else(String::new, |own| format!("{} {}|", own.pod, own.container));
            (whose + &series.labels.join(" "), number(&series.value))
        })
        .filter(|(_, value)| *value != 0.0)
        .collect()
}

pub(super) fn one(key: &str, value: f64) -> Vec<(String, f64)> {
    vec![(key.to_owned(), value)]
}

/// A tracker with a fleet, a pod of one container `main` in group 10, and its sandbox in group 11.
fn ready() -> Tracker {
    ready_with(TrackerLimits::default())
}

fn ready_with(limits: TrackerLimits) -> Tracker {
    let mut tracker = Tracker::new(limits);
    tracker.scan_started(1);
    tracker.cgroup_found(1, 0, "/kubepods");
    tracker.cgroup_found(2, 1, "/kubepods/burstable");
    tracker.scan_finished(1);
    tracker.upsert_fleet(fleet("git"), 1);
    tracker.pods_synced();
    tracker.fleets_synced();
    tracker.upsert_pod(pod(1, &[("main", 100)]), 1);
    made(&mut tracker, 5, 2, Some("/kubepods/burstable/poduid-1"), 2);
    made(&mut tracker, 10, 5, Some(&path(1, 100)), 2);
    made(&mut tracker, 11, 5, Some(&path(1, 101)), 2);
    tracker.take_verdicts();
    tracker
}

#[test]
fn a_task_is_counted_with_name_result_exit_and_duration() {
    let mut tracker = ready();
    exec(&mut tracker, 10, (7, 2 * SECOND), "/usr/bin/git", b"git\0merge\0x\0", 3 * SECOND);
    assert_eq!(shown(&tracker, &TASKS_RUNNING), one("agent-1 main|git merge", 1.0));
    exit(&mut tracker, 10, (7, 2 * SECOND), "git", 1 << 8, 5 * SECOND);
    assert_eq!(shown(&tracker, &TASKS_RUNNING), []);
    assert_eq!(shown(&tracker, &TASKS), one("agent-1 main|1 git conflict merge", 1.0));
    assert_eq!(shown(&tracker, &TASK_DURATION), one("agent-1 main|git conflict merge", 3.0));
    // The same records again change nothing.
    exec(&mut tracker, 10, (7, 2 * SECOND), "/usr/bin/git", b"git\0merge\0x\0", 3 * SECOND);
    exit(&mut tracker, 10, (7, 2 * SECOND), "git", 1 << 8, 5 * SECOND);
    assert_eq!(shown(&tracker, &TASKS), one("agent-1 main|1 git conflict merge", 1.0));
    assert_eq!(shown(&tracker, &TASKS_RUNNING), []);
}

#[test]
fn an_exec_in_place_renames_the_task_and_keeps_its_start() {
    let mut tracker = ready();
    exec(&mut tracker, 10, (7, SECOND), "/bin/sh", b"sh\0-c\0exec git merge\0", SECOND);
    assert_eq!(shown(&tracker, &TASKS_RUNNING), one("agent-1 main|other sh", 1.0));
    exec(&mut tracker, 10, (7, SECOND), "/bin/git", b"git\0merge\0", 2 * SECOND);
    assert_eq!(shown(&tracker, &TASKS_RUNNING), one("agent-1 main|git merge", 1.0));
    // The exec before, by the second way.
    exec(&mut tracker, 10, (7, SECOND), "/bin/sh", b"", SECOND);
    assert_eq!(shown(&tracker, &TASKS_RUNNING), one("agent-1 main|git merge", 1.0));
    exec(&mut tracker, 10, (7, SECOND), "/bin/sleep", b"sleep\0", 3 * SECOND);
    assert_eq!(shown(&tracker, &TASKS_RUNNING), []);
    exec(&mut tracker, 10, (7, SECOND), "/bin/git", b"git\0merge\0", 4 * SECOND);
    exit(&mut tracker, 10, (7, SECOND), "git", 0, 5 * SECOND);
    assert_eq!(shown(&tracker, &TASK_DURATION), one("agent-1 main|git success merge", 4.0));
    assert_eq!(shown(&tracker, &TASKS_RUNNING), []);
}

#[test]
fn a_containers_first_process_counts_from_its_exec() {
    let mut tracker = ready();
    let process = who(7, SECOND, "git");
    let first = Exec { time: 3 * SECOND, cgroup: 10, process, path: Some(b"/bin/git"), ..Exec::default() };
    tracker.handle(Record::Exec(first), 3 * SECOND);
    exit(&mut tracker, 10, (7, SECOND), "git", 0, 5 * SECOND);
    assert_eq!(shown(&tracker, &TASK_DURATION), one("agent-1 main|other success git", 2.0));
}

#[test]
fn an_exit_that_comes_before_its_exec_is_counted_once() {
    let mut tracker = ready();
    exit(&mut tracker, 10, (7, SECOND), "git", 0, 3 * SECOND);
    tracker.tick(3 * SECOND);
    assert_eq!(shown(&tracker, &TASKS), []);
    exec(&mut tracker, 10, (7, SECOND), "/bin/git", b"git\0merge\0", 2 * SECOND);
    assert_eq!(shown(&tracker, &TASKS), one("agent-1 main|0 git success merge", 1.0));
    assert_eq!(shown(&tracker, &TASKS_RUNNING), []);
    tracker.tick(100 * SECOND);
    assert_eq!(shown(&tracker, &TASKS), one("agent-1 main|0 git success merge", 1.0));
    assert_eq!(tracker.processes.sizes(), [0, 0, 0, 0]);
}

#[test]
fn a_runtimes_helper_that_never_execs_in_the_group_is_no_task() {
    let mut tracker = ready();
    exit(&mut tracker, 10, (7, SECOND), "runc:[0:PARENT]", 0, 2 * SECOND);
    exit(&mut tracker, 10, (8, SECOND), "crun", 0, 2 * SECOND);
    tracker.tick(100 * SECOND);
    assert_eq!(shown(&tracker, &TASKS), []);
    // Unless its exec was reported lost; runc is told by its name.
    tracker.records_lost(1, 0, 0);
    exit(&mut tracker, 10, (9, 101 * SECOND), "runc:[0:PARENT]", 0, 101 * SECOND);
    exit(&mut tracker, 10, (10, 101 * SECOND), "git", 0, 101 * SECOND);
    exit(&mut tracker, 10, (11, 101 * SECOND), "git", 0, 101 * SECOND);
    tracker.tick(104 * SECOND);
    assert_eq!(shown(&tracker, &TASKS), one("agent-1 main|0 other success git", 1.0));
}

#[test]
fn processes_that_were_alive_before_are_running_and_their_exits_count() {
    let mut tracker = Tracker::new(TrackerLimits::default());
    tracker.upsert_fleet(fleet("git"), 1);
    tracker.upsert_pod(pod(1, &[("main", 100)]), 1);
    tracker.pods_synced();
    tracker.fleets_synced();
    tracker.scan_started(10 * SECOND);
    tracker.cgroup_found(10, 5, &path(1, 100));
    let seed = |tgid, start, comm: &str, cmdline: &[u8]| SeededProcess {
        cgroup: 10,
        tgid,
        start,
        comm: comm.as_bytes().to_vec(),
        cmdline: cmdline.to_vec(),
    };
    tracker.seed(&seed(7, 2 * SECOND, "git", b"/usr/bin/git\0merge\0"), 10 * SECOND);
    tracker.seed(&seed(8, 2 * SECOND, "agent-with-a-ve", b"/opt/agent-with-a-very-long-name\0"), 10 * SECOND);
    tracker.scan_finished(10 * SECOND);
    let running = [
        ("agent-1 main|git merge".to_owned(), 1.0),
        ("agent-1 main|other agent-with-a-very-long-name".to_owned(), 1.0),
    ];
    assert_eq!(shown(&tracker, &TASKS_RUNNING), running);
    // Its start is known to the nanosecond now.
    exit(&mut tracker, 10, (7, 2 * SECOND + 7), "git", 0, 12 * SECOND);
    // This one ended between the begin of the scan and its turn in it.
    exit(&mut tracker, 10, (9, 3 * SECOND), "ls", 2 << 8, 12 * SECOND);
    // And this one was forked later: its exec would have been seen.
    exit(&mut tracker, 10, (6, 11 * SECOND), "runc", 0, 12 * SECOND);
    tracker.tick(15 * SECOND);
    let totals =
        [("agent-1 main|0 git success merge".to_owned(), 1.0), ("agent-1 main|2 other failed ls".to_owned(), 1.0)];
    assert_eq!(shown(&tracker, &TASKS), totals);
    // A second scan does not find what is still taken to run: its exit was lost.
    tracker.scan_started(20 * SECOND);
    tracker.cgroup_found(10, 5, &path(1, 100));
    tracker.scan_finished(20 * SECOND);
    tracker.tick(23 * SECOND);
    assert_eq!(shown(&tracker, &TASKS_RUNNING), []);
    assert_eq!(shown(&tracker, &EVENTS_LOST), one("exit_missing", 1.0));
}

#[test]
fn records_wait_for_the_pod_and_count_under_it() {
    let mut tracker = ready();
    made(&mut tracker, 20, 2, Some(&path(2, 200)), SECOND);
    exec(&mut tracker, 20, (7, SECOND), "/bin/git", b"git\0merge\0", SECOND);
    exit(&mut tracker, 20, (7, SECOND), "git", 0, 2 * SECOND);
    exec(&mut tracker, 20, (8, SECOND), "/bin/git", b"git\0merge\0", SECOND);
    tracker.handle(Record::CgroupGone(CgroupGone { time: 3 * SECOND, cgroup: 99, parent: 2 }), 3 * SECOND);
    assert_eq!(shown(&tracker, &TASKS), []);
    let mut unlisted = pod(2, &[("main", 0)]);
    unlisted.containers[0].id = None;
    tracker.upsert_pod(unlisted, 4 * SECOND);
    assert_eq!(shown(&tracker, &TASKS), []);
    tracker.upsert_pod(pod(2, &[("main", 200)]), 5 * SECOND);
    assert_eq!(shown(&tracker, &TASKS), one("agent-2 main|0 git success merge", 1.0));
    assert_eq!(shown(&tracker, &TASKS_RUNNING), one("agent-2 main|git merge", 1.0));
}

#[test]
fn the_sandbox_and_the_runtime_are_no_tasks() {
    let mut tracker = ready();
    for (cgroup, tgid) in [(10, 4), (11, 5)] {
        let process = who(tgid, SECOND, "runc");
        let (path, argv) = (Some(b"/dev/fd/6".as_slice()), Argv::Whole(b"runc\0init\0"));
        let init = Exec { time: SECOND, cgroup, process, parent_tracked: false, path, argv };
        tracker.handle(Record::Exec(init), SECOND);
        exit(&mut tracker, cgroup, (tgid, SECOND), "runc:[0:PARENT]", 0, SECOND);
    }
    exec(&mut tracker, 11, (7, SECOND), "/pause", b"/pause\0", SECOND);
    exit(&mut tracker, 11, (6, SECOND), "runc:[0:PARENT]", 0, SECOND);
    tracker.tick(60 * SECOND);
    assert_eq!((shown(&tracker, &TASKS_RUNNING), shown(&tracker, &EVENTS_LOST)), (vec![], vec![]));
    assert_eq!(shown(&tracker, &TASKS), []);
    assert_eq!(tracker.take_verdicts(), [(11, 0)]);
    // Of another container that no status lists, the pod at least is known.
    made(&mut tracker, 12, 5, Some(&path(1, 102)), 60 * SECOND);
    exec(&mut tracker, 12, (9, SECOND), "/bin/git", b"git\0merge\0", 60 * SECOND);
    tracker.tick(100 * SECOND);
    assert_eq!(shown(&tracker, &TASKS_RUNNING), one("agent-1 _OTHER|git merge", 1.0));
    assert_eq!(shown(&tracker, &EVENTS_LOST), one("container_unknown", 1.0));
}

#[test]
fn a_group_whose_record_is_late_is_found_by_its_own_or_by_a_scan() {
    let mut tracker = ready();
    exec(&mut tracker, 30, (7, SECOND), "/bin/git", b"git\0merge\0", SECOND);
    assert!(tracker.scan_wanted());
    made(&mut tracker, 30, 10, None, SECOND);
    assert_eq!(shown(&tracker, &TASKS_RUNNING), []);
    tracker.scan_started(2 * SECOND);
    tracker.cgroup_found(1, 0, "/kubepods");
    tracker.cgroup_found(10, 5, &path(1, 100));
    tracker.cgroup_found(30, 10, &format!("{}/nested", path(1, 100)));
    assert_eq!(shown(&tracker, &TASKS_RUNNING), one("agent-1 main|git merge", 1.0));
    // Below a known group, the group above tells.
    made(&mut tracker, 31, 10, None, SECOND);
    exec(&mut tracker, 31, (8, SECOND), "/bin/git", b"git\0merge\0", SECOND);
    assert_eq!(shown(&tracker, &TASKS_RUNNING), one("agent-1 main|git merge", 2.0));
}

#[test]
fn a_container_that_is_gone_runs_nothing_any_more() {
    let mut tracker = ready();
    exec(&mut tracker, 10, (7, SECOND), "/bin/git", b"git\0merge\0", SECOND);
    tracker.handle(Record::CgroupGone(CgroupGone { time: SECOND, cgroup: 10, parent: 5 }), 2 * SECOND);
    tracker.tick(3 * SECOND);
    assert_eq!(shown(&tracker, &TASKS_RUNNING), one("agent-1 main|git merge", 1.0));
    tracker.tick(4 * SECOND);
    assert_eq!(shown(&tracker, &TASKS_RUNNING), []);
    assert_eq!(shown(&tracker, &EVENTS_LOST), one("exit_missing", 1.0));
    tracker.tick(60 * SECOND);
    assert_eq!(tracker.containers().count(), 0);
}

#[test]
fn pods_of_no_fleet_are_ignored_and_observed_again_when_they_join_one() {
    let mut tracker = ready();
    exec(&mut tracker, 10, (7, SECOND), "/bin/git", b"git\0merge\0", SECOND);
    tracker.scan_started(SECOND);
    tracker.cgroup_found(10, 5, &path(1, 100));
    tracker.take_verdicts();
    tracker.remove_fleet("ai", "git", 2 * SECOND);
    let mut verdicts = tracker.take_verdicts();
    verdicts.sort_unstable();
    assert_eq!(verdicts, [(5, 0), (10, 0), (11, 0)]);
    assert_eq!(
        tracker
            .registry()
            .snapshot(&Filter {
                scope: Selection::Fleet { namespace: "ai".to_owned(), fleet: "git".to_owned() },
                ..Filter::default()
            })
            .len(),
        0
    );
    // A new nested group inherits the verdict; a straggler's record changes nothing.
    exec(&mut tracker, 10, (8, SECOND), "/bin/git", b"git\0merge\0", 2 * SECOND);
    exit(&mut tracker, 10, (8, SECOND), "git", 0, 2 * SECOND);
    tracker.upsert_fleet(fleet("other"), 10 * SECOND);
    let mut verdicts = tracker.take_verdicts();
    verdicts.sort_unstable();
    assert_eq!(verdicts, [(5, 1), (10, 1), (11, 1)]);
    assert!(tracker.scan_wanted());
    // Process 7 still runs; its exit counts although no scan has come yet.
    exit(&mut tracker, 10, (7, SECOND), "git", 0, 11 * SECOND);
    tracker.tick(20 * SECOND);
    assert_eq!(shown(&tracker, &TASKS), one("agent-1 main|0 other success git", 1.0));
    let mut suspended = fleet("other");
    suspended.suspend = true;
    tracker.upsert_fleet(suspended, 21 * SECOND);
    assert_eq!(shown(&tracker, &TASKS), []);
    assert_eq!(tracker.take_verdicts().len(), 3);
    assert_eq!(
        tracker.agents().iter().map(|row| (row.pod.as_str(), row.tracked)).collect::<Vec<_>>(),
        [("agent-1", false)]
    );
}

#[test]
fn the_oldest_fleet_has_the_pod() {
    let mut tracker = ready();
    let mut older = fleet("zzz");
    older.created = 0;
    tracker.upsert_fleet(older, SECOND);
    let mut same = fleet("aaa");
    same.created = 0;
    assert_eq!(tracker.agents()[0].fleet, "zzz");
    tracker.upsert_fleet(same, SECOND);
    assert_eq!(tracker.agents()[0].fleet, "aaa");
    let statuses = shown(&tracker, &crate::metrics::AGENTS);
    assert_eq!(statuses, one(" |running", 1.0));
}

#[test]
fn new_rules_apply_to_new_processes() {
    let mut tracker = ready();
    exec(&mut tracker, 10, (7, SECOND), "/bin/git", b"git\0merge\0", SECOND);
    let mut renamed = fleet("git");
    renamed.tasks.rules[0].name = "join".to_owned();
    tracker.upsert_fleet(renamed, 2 * SECOND);
    exec(&mut tracker, 10, (8, SECOND), "/bin/git", b"git\0merge\0", 3 * SECOND);
    exit(&mut tracker, 10, (7, SECOND), "git", 0, 4 * SECOND);
    assert_eq!(shown(&tracker, &TASKS), one("agent-1 main|0 git success merge", 1.0));
    assert_eq!(shown(&tracker, &TASKS_RUNNING), one("agent-1 main|git join", 1.0));
    assert_eq!(tracker.take_verdicts(), []);
}

#[test]
fn series_of_a_deleted_pod_stay_for_the_grace_period() {
    let mut tracker = ready();
    exec(&mut tracker, 10, (7, SECOND), "/bin/git", b"git\0merge\0", SECOND);
    exit(&mut tracker, 10, (7, SECOND), "git", 0, 2 * SECOND);
    tracker.handle(Record::CgroupGone(CgroupGone { time: SECOND, cgroup: 10, parent: 5 }), 3 * SECOND);
    tracker.remove_pod("uid-1", 4 * SECOND);
    tracker.tick(60 * SECOND);
    tracker.tick(303 * SECOND);
    assert_eq!(shown(&tracker, &TASKS).len(), 1);
    tracker.tick(304 * SECOND);
    assert_eq!(shown(&tracker, &TASKS), []);
    assert_eq!(tracker.agents(), []);
}

#[test]
fn starts_and_restarts_count_once_and_not_what_was_before() {
    use crate::metrics::{AGENT_FAILURES, AGENT_RESTARTS, AGENT_STARTS, AGENT_STOPS};
    let mut tracker = ready();
    assert_eq!(shown(&tracker, &AGENT_STARTS), []);
    let mut restarted = pod(1, &[("main", 103)]);
    restarted.containers[0].restarts = 1;
    restarted.containers[0].last = Some(crate::pods::Ended { exit_code: 3, ran: true, ..Default::default() });
    tracker.upsert_pod(restarted.clone(), SECOND);
    tracker.upsert_pod(restarted, SECOND);
    assert_eq!(shown(&tracker, &AGENT_STARTS), one("agent-1 main|success", 1.0));
    assert_eq!(shown(&tracker, &AGENT_STOPS), one("agent-1 main|failure", 1.0));
    assert_eq!(shown(&tracker, &AGENT_RESTARTS), one("agent-1 main|", 1.0));
    assert_eq!(shown(&tracker, &AGENT_FAILURES), one("agent-1 main|exit_code", 1.0));
}
