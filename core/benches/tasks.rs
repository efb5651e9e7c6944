//! Throughput of the tracker: one exec and one exit of a short process in a container that is known, one element per event.
//!
//! - `rule`: a rule names the task
//! - `executable`: no rule matches, 50 different executables
//! - `hundred containers`: as `rule`, spread over 100 pods

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use fleetscope_core::api::agent_fleet::{TaskMatch, TaskRule, TasksSpec};
use fleetscope_core::pods::{ContainerState, ContainerView, PodView, Role};
use fleetscope_core::records::{Argv, CgroupMade, Exec, Exit, Process, Record};
use fleetscope_core::tasks::tracker::{FleetView, Tracker, TrackerLimits};

const MILLISECOND: u64 = 1_000_000;

fn tracker(pods: u64) -> Tracker {
    let mut tracker = Tracker::new(TrackerLimits::default());
    let rule = |executable: &str, argument: &str| TaskRule {
        name: argument.to_owned(),
        group: "git".to_owned(),
        matches: TaskMatch { executable: executable.to_owned(), arguments: vec![argument.to_owned()] },
        ..TaskRule::default()
    };
    let rules = ["clone", "commit", "rebase", "merge"].map(|argument| rule("git", argument));
    let tasks = TasksSpec { rules: rules.into(), ..TasksSpec::default() };
    let fleet = FleetView { namespace: "ai".to_owned(), name: "fleet".to_owned(), tasks, ..FleetView::default() };
    tracker.upsert_fleet(fleet, 1);
    tracker.pods_synced();
    tracker.fleets_synced();
    for n in 0..pods {
        let id = format!("{n:064x}");
        let container = ContainerView {
            name: "main".to_owned(),
            role: Role::Main,
            id: Some(id.clone()),
            last_id: None,
            image: "agent:1".to_owned(),
            state: ContainerState::Running { started: None },
            last: None,
            restarts: 0,
            ready: true,
            probed: false,
        };
        let uid = format!("uid-{n}");
        tracker.upsert_pod(
            PodView {
                cgroup_uid: uid.clone(),
                uid,
                namespace: "ai".to_owned(),
                name: format!("agent-{n}"),
                containers: vec![container],
                ..PodView::default()
            },
            1,
        );
        let path = format!("/kubepods/poduid-{n}/{id}");
        let made = CgroupMade { time: 1, cgroup: 100 + n, parent: 1, path: Some(path.as_bytes()), verdict: Some(1) };
        tracker.handle(Record::CgroupMade(made), 1);
    }
    tracker
}

fn run(criterion: &mut Criterion, name: &str, pods: u64, path: impl Fn(u64) -> String) {
    let mut tracker = tracker(pods);
    let paths: Vec<String> = (0..50).map(path).collect();
    let mut time = 1;
    let mut group = criterion.benchmark_group("tracker");
    group.throughput(Throughput::Elements(2));
    group.bench_function(name, |bencher| {
        bencher.iter(|| {
            time += 20 * MILLISECOND;
            let process = Process { tgid: 7, parent: 1, start: time, comm: *b"git\0\0\0\0\0\0\0\0\0\0\0\0\0" };
            let cgroup = 100 + time / MILLISECOND / 20 % pods;
            let path = paths[usize::try_from(time / MILLISECOND / 20 % 50).expect("below 50")].as_bytes();
            let argv = Argv::Whole(b"git\0merge\0feature/long-branch-name\0--no-edit\0");
            let exec = Exec { time, cgroup, process, parent_tracked: true, path: Some(path), argv };
            tracker.handle(black_box(Record::Exec(exec)), time);
            let ended = time + 10 * MILLISECOND;
            let exit = Exit { time: ended, cgroup, process, status: 0, oom: false };
            tracker.handle(black_box(Record::Exit(exit)), ended);
        });
    });
    group.finish();
}

fn tasks(criterion: &mut Criterion) {
    run(criterion, "rule", 1, |_| "/usr/bin/git".to_owned());
    run(criterion, "executable", 1, |n| format!("/usr/bin/tool-{n}"));
    run(criterion, "hundred containers", 100, |_| "/usr/bin/git".to_owned());
}

criterion_group!(benches, tasks);
criterion_main!(benches);
