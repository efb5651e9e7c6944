//! What a fleet's profile adds to its own rules.

use super::*;
use crate::api::ProfileName;

fn of(profile: ProfileName, rules: Vec<TaskRule>) -> FleetView {
    FleetView { profile, tasks: TasksSpec { rules, ..TasksSpec::default() }, ..fleet("git") }
}

/// Runs `git merge`, which ends with exit code 1.
fn conflict(tracker: &mut Tracker, tgid: u32, at: u64) {
    exec(tracker, 10, (tgid, at), "/bin/git", b"git\0merge\0", at);
    exit(tracker, 10, (tgid, at), "git", 1 << 8, at + SECOND);
}

/// Gauges of running tasks, those at 0 too, as "group task".
fn gauges(tracker: &Tracker) -> Vec<String> {
    let filter = Filter { name_prefix: Some(TASKS_RUNNING.name.to_owned()), ..Filter::default() };
    let snapshot = tracker.registry().snapshot(&filter);
    snapshot.families().iter().flat_map(series::Family::series).map(|series| series.labels.join(" ")).collect()
}

#[test]
fn every_fleet_knows_a_conflict_of_git_merge_without_rules_of_its_own() {
    let mut tracker = ready();
    tracker.upsert_fleet(of(ProfileName::Generic, Vec::new()), 2);
    conflict(&mut tracker, 7, SECOND);
    assert_eq!(shown(&tracker, &TASKS), one("agent-1 main|1 git conflict merge", 1.0));
}

#[test]
fn rules_of_the_fleet_come_before_those_of_its_profile() {
    let mut tracker = ready();
    let mut rule = fleet("git").tasks.rules.remove(0);
    rule.name = "join".to_owned();
    rule.result_by_exit_code.clear();
    tracker.upsert_fleet(of(ProfileName::AgentOrchestrator, vec![rule]), 2);
    conflict(&mut tracker, 7, SECOND);
    exec(&mut tracker, 10, (8, SECOND), "/bin/git", b"git\0worktree\0add\0", SECOND);
    assert_eq!(shown(&tracker, &TASKS), one("agent-1 main|1 git failed join", 1.0));
    assert_eq!(shown(&tracker, &TASKS_RUNNING), one("agent-1 main|git worktree-add", 1.0));
}

#[test]
fn another_profile_applies_to_new_processes() {
    let mut tracker = ready();
    tracker.upsert_fleet(of(ProfileName::Generic, Vec::new()), 2);
    exec(&mut tracker, 10, (7, SECOND), "/usr/bin/python3", b"python3\0-m\0venv\0", SECOND);
    tracker.upsert_fleet(of(ProfileName::Atoll, Vec::new()), 2 * SECOND);
    exec(&mut tracker, 10, (8, 2 * SECOND), "/usr/bin/python3", b"python3\0-m\0venv\0", 2 * SECOND);
    let running = [("agent-1 main|other python3", 1.0), ("agent-1 main|venv venv-create", 1.0)];
    assert_eq!(shown(&tracker, &TASKS_RUNNING), running.map(|(key, value)| (key.to_owned(), value)));
    exit(&mut tracker, 10, (7, SECOND), "python3", 0, 3 * SECOND);
    assert_eq!(shown(&tracker, &TASKS), one("agent-1 main|0 other success python3", 1.0));
}

#[test]
fn processes_of_no_fleet_are_named_by_their_executables_alone() {
    let mut tracker = Tracker::new(TrackerLimits::default());
    tracker.scan_started(1);
    tracker.cgroup_found(1, 0, "/kubepods");
    tracker.scan_finished(1);
    tracker.pods_synced();
    tracker.fleets_synced();
    made(&mut tracker, 5, 1, Some("/kubepods/poduid-9"), 2);
    made(&mut tracker, 10, 5, Some(&format!("/kubepods/poduid-9/{}", id(100))), 2);
    conflict(&mut tracker, 7, SECOND);
    // The pod never becomes known.
    tracker.tick(120 * SECOND);
    let tasks = shown(&tracker, &TASKS);
    assert!(tasks.iter().all(|(key, _)| key.ends_with("|1 other failed git")) && tasks.len() == 1, "{tasks:?}");
}

#[test]
fn tasks_of_a_chosen_profile_are_figures_before_there_are_any() {
    let mut tracker = ready();
    tracker.upsert_fleet(of(ProfileName::Generic, Vec::new()), 2);
    tracker.upsert_pod(pod(2, &[("main", 200)]), 3);
    let of_second = |tracker: &Tracker| {
        let filter = Filter { name_prefix: Some(TASKS_RUNNING.name.to_owned()), ..Filter::default() };
        let snapshot = tracker.registry().snapshot(&filter);
        let all = snapshot.families().iter().flat_map(series::Family::series);
        all.filter(|series| series.identity.as_ref().is_some_and(|own| &*own.pod == "agent-2")).count()
    };
    assert_eq!(of_second(&tracker), 0);
    tracker.upsert_fleet(of(ProfileName::Atoll, Vec::new()), 4);
    assert_eq!(of_second(&tracker), 5);
    let named = ["dependencies install", "git merge", "git merge-abort", "git merge-continue", "venv venv-create"];
    assert_eq!(
        gauges(&tracker).into_iter().collect::<std::collections::BTreeSet<_>>(),
        named.map(str::to_owned).into()
    );
}
