//! What outlives an agent: connections keep their names over a restart, and where that cannot be, none is wrong.

use std::process::Command;
use std::time::Instant;

use fleetscope_core::rpc::Unnamed;
use fleetscope_ebpf::{pulse, verdict};
use fleetscope_node_agent::probes::Options;
use fleetscope_node_agent::probes::capabilities::{self, Dropped};

use crate::agent::{Agent, PINS, Scene, both, indexed, inserting, options};
use crate::http2::{Connection, PLAIN, response};

/// Says to `keeps_what_it_may` that it runs as a child of another test, which has taken capabilities away from it: the folder of the pins.
const CHILD: &str = "FLEETSCOPE_TEST_PERSIST";
/// Nanoseconds of a second.
const SECOND: u64 = 1_000_000_000;

#[test]
#[ignore = "needs CAP_BPF: make test-kernel"]
fn names_of_open_connections_are_kept_over_a_restart() {
    let scene = Scene::new();
    let agent = scene.first();
    assert_eq!(agent.began, ("new", "first", 0));
    let mut connection = scene.connection();
    // In flight while the agent ends.
    connection.client(&indexed(3, 1));
    let begun = Instant::now();
    assert_eq!(agent.stop(), both(&[(1, "a.B/C", "OK")]));
    // Nobody is there.
    for stream in (5..=23).step_by(2) {
        connection.client(&indexed(stream, 1)).server(&response(stream, 5, "0"));
    }
    connection.client(&inserting(25, "/a.B/D"));
    let mut other = Connection::new(&scene.group, PLAIN);
    other.open().client(&inserting(1, "/x.Y/Z")).server(&response(1, 5, "5"));
    let mut agent = scene.agent();
    assert_eq!(agent.began, ("restored", "", 2), "both ends of one connection");
    assert_eq!(agent.calls.tracker.counts().in_flight, 2);
    assert_eq!(agent.calls.ended(), both(&[(10, "a.B/C", "OK"), (1, "x.Y/Z", "NOT_FOUND")]));
    connection.server(&response(3, 5, "0")).server(&response(25, 5, "13"));
    connection.client(&indexed(27, 3)).server(&response(27, 5, "0")).client(&indexed(29, 1));
    let longest = u64::try_from(begun.elapsed().as_nanos()).unwrap();
    agent.calls.durations.clear();
    let expected = both(&[(2, "a.B/C", "OK"), (1, "a.B/D", "INTERNAL")]);
    assert_eq!(agent.calls.ended(), expected);
    assert!(agent.calls.durations.iter().all(|took| *took <= longest), "{:?}", agent.calls.durations);
    let counts = *agent.calls.tracker.counts();
    assert_eq!((counts.gaps, counts.faults, counts.in_flight), (0, 0, 2), "{counts:?}");
    assert_eq!((counts.started, counts.finished), (32, 30), "of both agents: {counts:?}");
    agent.stop();
}

#[test]
#[ignore = "needs CAP_BPF: make test-kernel"]
fn after_an_agent_that_was_killed_names_are_unknown_and_none_is_wrong() {
    let scene = Scene::new();
    let mut agent = scene.first();
    let mut connection = scene.connection();
    assert_eq!(agent.calls.ended(), both(&[(1, "a.B/C", "OK")]));
    drop(agent);
    let mut agent = scene.agent();
    assert_eq!(agent.began, ("no_checkpoint", "none", 0));
    connection.client(&indexed(3, 1)).server(&response(3, 5, "0"));
    connection.client(&inserting(5, "/a.B/D")).server(&response(5, 5, "0"));
    connection.client(&indexed(7, 1)).server(&response(7, 5, "0")).client(&indexed(9, 3)).server(&response(9, 5, "0"));
    let expected = both(&[(2, "_OTHER", "OK"), (2, "a.B/D", "OK")]);
    assert_eq!(agent.calls.ended(), expected);
    let counts = *agent.calls.tracker.counts();
    assert_eq!((counts.unnamed(Unnamed::Joined), counts.gaps, counts.lost), (4, 0, [0; 8]), "{counts:?}");
}

#[test]
#[ignore = "needs CAP_BPF: make test-kernel"]
fn what_another_version_left_is_removed_first() {
    let scene = Scene::new();
    let agent = scene.first();
    let mut connection = scene.connection();
    agent.stop();
    let abi = scene.pulse().get(&pulse::ABI, 0).unwrap();
    scene.pulse().set(pulse::ABI, abi ^ 1, 0).unwrap();
    let mut agent = scene.agent();
    assert_eq!(agent.began, ("new", "other_abi", 0));
    assert_eq!((scene.pulse().get(&pulse::ABI, 0).unwrap(), scene.bpffs.pins()), (abi, PINS));
    agent.session.verdict(&scene.group, verdict::RPC);
    connection.client(&indexed(3, 1)).server(&response(3, 5, "0"));
    let ended = agent.calls.after(60 * SECOND).ended();
    assert!(ended.iter().all(|line| line.contains("_OTHER")), "{ended:?}");
    assert_eq!(agent.calls.tracker.counts().unnamed(Unnamed::Joined), ended.len() as u64);
    // A buffer of another size is no more of use.
    agent.stop();
    let agent = Agent::start(&Options { frames_bytes: 1 << 20, ..scene.options() });
    assert_eq!(agent.began, ("new", "other_abi", 0));
    drop(agent);
    // Nor is a part.
    std::fs::remove_file(scene.bpffs.folder().join("fleetscope_prog_hook_recv")).unwrap();
    let agent = scene.agent();
    assert_eq!((agent.began, scene.bpffs.pins()), (("new", "incomplete", 0), PINS));
}

#[test]
#[ignore = "needs CAP_BPF: make test-kernel"]
fn without_an_agent_for_two_minutes_nothing_is_looked_at_and_connections_are_joined_anew() {
    let scene = Scene::new();
    let agent = scene.first();
    let (mut spoke, mut silent) = (Connection::new(&scene.group, PLAIN), Connection::new(&scene.group, PLAIN));
    for connection in [&mut spoke, &mut silent] {
        connection.open().client(&inserting(1, "/a.B/C")).server(&response(1, 5, "0"));
    }
    agent.stop();
    scene.let_pass_two_minutes();
    // What the table holds after that is not what was known.
    spoke.client(&inserting(3, "/a.B/D")).server(&response(3, 5, "0"));
    let mut agent = scene.agent();
    assert_eq!(agent.began, ("no_checkpoint", "missed", 0));
    for connection in [&mut spoke, &mut silent] {
        connection.client(&indexed(5, 1)).server(&response(5, 5, "0"));
        connection.client(&inserting(7, "/a.B/E")).server(&response(7, 5, "0"));
        connection.client(&indexed(9, 1)).server(&response(9, 5, "0"));
    }
    let ended = agent.calls.after(120 * SECOND).ended();
    assert!(
        ended.contains(&"4 x client a.B/E OK".to_owned()) && ended.contains(&"4 x server a.B/E OK".to_owned()),
        "{ended:?}"
    );
    assert!(ended.iter().all(|line| line.contains("a.B/E OK") || line.contains("_OTHER")), "{ended:?}");
}

#[test]
#[ignore = "needs CAP_BPF: make test-kernel"]
fn an_agent_that_paused_for_two_minutes_does_not_go_on_with_old_names() {
    let scene = Scene::new();
    let mut agent = scene.first();
    let mut connection = scene.connection();
    assert_eq!(agent.calls.ended(), both(&[(1, "a.B/C", "OK")]));
    scene.let_pass_two_minutes();
    connection.client(&inserting(3, "/a.B/D")).server(&response(3, 5, "0"));
    assert_eq!(agent.calls.ended(), Vec::<String>::new());
    agent.session.maps().beat().unwrap();
    connection.client(&indexed(5, 1)).server(&response(5, 5, "0"));
    connection.client(&inserting(7, "/a.B/E")).server(&response(7, 5, "0"));
    connection.client(&indexed(9, 1)).server(&response(9, 5, "0"));
    let ended = agent.calls.after(120 * SECOND).ended();
    assert!(ended.iter().all(|line| line.contains("a.B/E OK") || line.contains("_OTHER")), "{ended:?}");
    assert!(ended.contains(&"2 x client a.B/E OK".to_owned()), "{ended:?}");
    let counts = agent.calls.tracker.counts();
    assert_eq!((counts.gaps, counts.in_flight), (4, 0), "each direction of each end: {counts:?}");
}

#[test]
#[ignore = "needs CAP_BPF: make test-kernel"]
fn what_passed_unseen_behind_the_last_reading_is_the_next_agents_to_notice() {
    let scene = Scene::new();
    let mut agent = scene.first();
    let mut connection = scene.connection();
    assert_eq!(agent.calls.ended(), both(&[(1, "a.B/C", "OK")]));
    let missed = agent.session.maps().missed().unwrap();
    scene.let_pass_two_minutes();
    connection.client(&inserting(3, "/a.B/D"));
    agent.leave(missed);
    assert_eq!(scene.agent().began, ("no_checkpoint", "missed", 0));
}

#[test]
#[ignore = "needs CAP_BPF: make test-kernel"]
fn groups_that_are_made_while_no_agent_is_there_are_looked_at() {
    let scene = Scene::new();
    let agent = scene.first();
    agent.stop();
    let child = scene.group.child("pod");
    let mut connection = Connection::new(&child, PLAIN);
    connection.open().client(&inserting(1, "/a.B/C")).server(&response(1, 5, "0"));
    connection.client(&indexed(3, 1)).server(&response(3, 5, "0"));
    let mut agent = scene.agent();
    assert_eq!(agent.began, ("restored", "", 0));
    assert_eq!(agent.calls.ended(), both(&[(2, "a.B/C", "OK")]));
    agent.stop();
    // Two minutes later nobody is awaited any more.
    scene.let_pass_two_minutes();
    let late = scene.group.child("late");
    let mut agent = scene.agent();
    assert_eq!(agent.session.maps().verdict(late.id()).unwrap(), None);
}

/// Not a test by itself: an agent with the capabilities that a pod has, which gives them up as the agent does, and ends as it does.
#[test]
#[ignore = "needs CAP_BPF: make test-kernel"]
fn keeps_what_it_may() {
    let Some(folder) = std::env::var_os(CHILD) else { return };
    let mut agent = Agent::start(&options(folder.into()));
    println!("began {} {}", agent.began.0, agent.began.1);
    let names: Vec<String> = agent.session.probes.program_stats().into_iter().map(|stats| stats.program).collect();
    assert!(names.iter().any(|name| name == "hook_send"), "the dispatchers' cost can be told: {names:?}");
    std::thread::spawn(move || {
        assert_eq!(capabilities::drop_all(|| agent.session.maps().beat().is_ok()).unwrap(), Dropped::All);
        agent.stop();
    })
    .join()
    .unwrap();
}

#[test]
#[ignore = "needs CAP_BPF: make test-kernel"]
fn bpf_and_perfmon_suffice_and_none_is_needed_to_leave() {
    let scene = Scene::new();
    for began in ["began new first", "began restored"] {
        let mut command = Command::new("setpriv");
        command.args(["--inh-caps=-all", "--bounding-set=-all,+cap_38,+cap_39", "--"]);
        command.arg(std::env::current_exe().unwrap()).args(["--exact", "--ignored", "--nocapture"]);
        let output = command.arg("restart::keeps_what_it_may").env(CHILD, scene.bpffs.folder()).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success() && text.contains(began), "{text}{errors}");
    }
}
