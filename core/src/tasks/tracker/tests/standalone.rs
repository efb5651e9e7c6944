//! Without Kubernetes: groups are agents.

use super::*;

#[test]
fn without_kubernetes_groups_are_agents() {
    let mut tracker =
        Tracker::standalone(TrackerLimits::default(), FleetView { name: "host".to_owned(), ..fleet("host") });
    tracker.scan_started(1);
    tracker.cgroup_found(10, 1, "/system.slice/nginx.service");
    tracker.cgroup_found(11, 10, "/system.slice/nginx.service/workers");
    tracker.scan_finished(1);
    exec(&mut tracker, 11, (7, SECOND), "/bin/git", b"git\0merge\0", SECOND);
    assert_eq!(shown(&tracker, &TASKS_RUNNING), one("nginx.service |git merge", 1.0));
    assert_eq!(
        tracker.containers().map(|own| (own.cgroup, own.path)).collect::<Vec<_>>(),
        [(10, "/system.slice/nginx.service")]
    );
}

#[test]
fn units_of_one_name_are_told_apart_by_whose_they_are() {
    let mut tracker = Tracker::standalone(TrackerLimits::default(), fleet("host"));
    let container = format!("/system.slice/docker-{}.scope", id(100));
    tracker.scan_started(1);
    let paths = [
        "/system.slice/git.service",
        "/user.slice/user-1.slice/user@1.service/app.slice/git.service",
        "/user.slice/user-2.slice/user@2.service/app.slice/git.service",
        &format!("{container}/system.slice/git.service"),
    ];
    for (group, path) in (10..).zip(paths) {
        tracker.cgroup_found(group, 1, path);
    }
    tracker.scan_finished(1);
    for (tgid, group) in (7..).zip(10..14) {
        exec(&mut tracker, group, (tgid, SECOND), "/bin/git", b"git\0merge\0", SECOND);
    }
    let pods = ["docker-000000000000", "git.service", "user@1.service/git.service", "user@2.service/git.service"];
    let expected: Vec<(String, f64)> = pods.map(|pod| (format!("{pod} |git merge"), 1.0)).into();
    assert_eq!(shown(&tracker, &TASKS_RUNNING), expected);
}
