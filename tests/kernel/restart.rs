//! What outlives an agent: connections keep their names over a restart, and where that cannot be, none is wrong.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use aya::maps::{Array, Map, MapData};
use fleetscope_core::rpc::{Loss, Unnamed};
use fleetscope_ebpf::http2::frame::{flag, kind};
use fleetscope_ebpf::{pulse, verdict};
use fleetscope_node_agent::engine::restart::{self, Restart};
use fleetscope_node_agent::probes::capabilities::{self, Dropped};
use fleetscope_node_agent::probes::persist::{PersistError, unpin};
use fleetscope_node_agent::probes::programs::RPC;
use fleetscope_node_agent::probes::{Options, Rpc};

use crate::bpffs::Bpffs;
use crate::calls::Calls;
use crate::group::Group;
use crate::http2::{Connection, PLAIN, frame, response};
use crate::session::Session;

/// Says to `keeps_what_it_may` that it runs as a child of another test, which has taken capabilities away from it: the folder of the pins.
const CHILD: &str = "FLEETSCOPE_TEST_PERSIST";
/// Nanoseconds of a second.
const SECOND: u64 = 1_000_000_000;

fn options(bpffs: &Bpffs) -> Options {
    Options { runqueue: false, rpc: Rpc::Sockets, persist: Some(bpffs.folder()), ..Options::default() }
}

fn pulse_of(bpffs: &Bpffs) -> Array<MapData, u64> {
    let map = MapData::from_pin(bpffs.folder().join("fleetscope_PULSE")).unwrap();
    Array::try_from(Map::from_map_data(map).unwrap()).unwrap()
}

/// An agent: its probes, and what it knows of calls.
struct Agent {
    session: Session,
    calls: Calls,
    began: (&'static str, &'static str, usize),
}

impl Agent {
    fn start(options: &Options) -> Self {
        let mut session = Session::with(options);
        assert!(session.probes.attached(RPC));
        let restart = Restart::take(&mut session.probes);
        let began = (restart.report.state, restart.report.reason, restart.report.connections);
        let calls = Calls::with(&mut session, restart.tracker);
        Self { session, calls, began }
    }

    /// Ends as one that is told to.
    fn stop(mut self) -> Vec<String> {
        let ended = self.calls.ended();
        restart::leave(&mut self.session.probes, &self.calls.tracker, 0);
        ended
    }
}

/// A request whose method and content type go into the header table (RFC 7541, 6.2.1): `:method: POST`, `:path`, `content-type`.
fn inserting(stream: u32, path: &str) -> Vec<u8> {
    let text = |text: &str| [&[u8::try_from(text.len()).unwrap()], text.as_bytes()].concat();
    let block = [&[0x83, 0x44][..], &text(path), &[0x5f], &text("application/grpc")].concat();
    frame(kind::HEADERS, flag::END_HEADERS | flag::END_STREAM, stream, &block)
}

/// A request whose method is `back` inserts old, and its content type one less (RFC 7541, 6.1).
fn indexed(stream: u32, back: u8) -> Vec<u8> {
    frame(kind::HEADERS, flag::END_HEADERS | flag::END_STREAM, stream, &[0x83, 0x80 | (62 + back), 0x80 | (61 + back)])
}

fn both(count: usize, path: &str, status: &str) -> Vec<String> {
    ["client", "server"].map(|role| format!("{count} x {role} {path} {status}")).to_vec()
}

/// Loaded programs that stay when an agent ends.
fn dispatchers() -> usize {
    let names = aya::programs::loaded_programs().filter_map(Result::ok);
    names.filter(|program| program.name_as_str().is_some_and(|name| name.starts_with("hook_"))).count()
}

/// The kernel frees programs when every processor has left them.
fn wait_for_dispatchers(count: usize) {
    let start = Instant::now();
    while dispatchers() != count {
        assert!(start.elapsed() < Duration::from_secs(10), "{} dispatchers, {count} awaited", dispatchers());
        std::thread::yield_now();
    }
}

#[test]
#[ignore = "needs CAP_BPF: make test-kernel"]
fn names_of_open_connections_are_kept_over_a_restart() {
    let (bpffs, group) = (Bpffs::new(), Group::new());
    let mut agent = Agent::start(&options(&bpffs));
    assert_eq!(agent.began, ("new", "first", 0));
    agent.session.verdict(&group, verdict::RPC);
    let mut connection = Connection::new(&group, PLAIN);
    connection.open().client(&inserting(1, "/a.B/C")).server(&response(1, 5, "0"));
    // In flight while the agent ends.
    connection.client(&indexed(3, 1));
    let begun = Instant::now();
    assert_eq!(agent.stop(), both(1, "a.B/C", "OK"));
    // Nobody is there.
    for stream in (5..=23).step_by(2) {
        connection.client(&indexed(stream, 1)).server(&response(stream, 5, "0"));
    }
    connection.client(&inserting(25, "/a.B/D"));
    let mut other = Connection::new(&group, PLAIN);
    other.open().client(&inserting(1, "/x.Y/Z")).server(&response(1, 5, "5"));
    let mut agent = Agent::start(&options(&bpffs));
    assert_eq!(agent.began, ("restored", "", 2), "both ends of one connection");
    assert_eq!(agent.calls.tracker.counts().in_flight, 2);
    assert_eq!(
        agent.calls.ended(),
        ["10 x client a.B/C OK", "1 x client x.Y/Z NOT_FOUND", "10 x server a.B/C OK", "1 x server x.Y/Z NOT_FOUND",]
            .map(str::to_owned)
            .to_vec()
            .tap_sorted()
    );
    connection.server(&response(3, 5, "0")).server(&response(25, 5, "13"));
    connection.client(&indexed(27, 3)).server(&response(27, 5, "0")).client(&indexed(29, 1));
    let longest = u64::try_from(begun.elapsed().as_nanos()).unwrap();
    agent.calls.durations.clear();
    let expected = [both(2, "a.B/C", "OK"), both(1, "a.B/D", "INTERNAL")].concat().tap_sorted();
    assert_eq!(agent.calls.ended(), expected);
    assert!(agent.calls.durations.iter().all(|took| *took <= longest), "{:?}", agent.calls.durations);
    let counts = *agent.calls.tracker.counts();
    assert_eq!((counts.gaps, counts.faults, counts.in_flight), (0, 0, 2), "{counts:?}");
    assert_eq!((counts.started, counts.finished), (32, 30), "of both agents: {counts:?}");
    agent.stop();
    assert_eq!(unpin(&bpffs.folder()).unwrap(), 15);
}

#[test]
#[ignore = "needs CAP_BPF: make test-kernel"]
fn after_an_agent_that_was_killed_names_are_unknown_and_none_is_wrong() {
    let (bpffs, group) = (Bpffs::new(), Group::new());
    let mut agent = Agent::start(&options(&bpffs));
    agent.session.verdict(&group, verdict::RPC);
    let mut connection = Connection::new(&group, PLAIN);
    connection.open().client(&inserting(1, "/a.B/C")).server(&response(1, 5, "0"));
    assert_eq!(agent.calls.ended(), both(1, "a.B/C", "OK"));
    drop(agent);
    let mut agent = Agent::start(&options(&bpffs));
    assert_eq!(agent.began, ("no_checkpoint", "none", 0));
    connection.client(&indexed(3, 1)).server(&response(3, 5, "0"));
    connection.client(&inserting(5, "/a.B/D")).server(&response(5, 5, "0"));
    connection.client(&indexed(7, 1)).server(&response(7, 5, "0")).client(&indexed(9, 3)).server(&response(9, 5, "0"));
    let expected = [both(2, "_OTHER", "OK"), both(2, "a.B/D", "OK")].concat().tap_sorted();
    assert_eq!(agent.calls.ended(), expected);
    assert_eq!(agent.calls.tracker.counts().unnamed(Unnamed::Gap), 4);
    drop(agent);
    unpin(&bpffs.folder()).unwrap();
}

#[test]
#[ignore = "needs CAP_BPF: make test-kernel"]
fn what_another_version_left_is_removed_first() {
    let (bpffs, group) = (Bpffs::new(), Group::new());
    let mut agent = Agent::start(&options(&bpffs));
    agent.session.verdict(&group, verdict::RPC);
    let mut connection = Connection::new(&group, PLAIN);
    connection.open().client(&inserting(1, "/a.B/C")).server(&response(1, 5, "0"));
    agent.stop();
    let abi = pulse_of(&bpffs).get(&pulse::ABI, 0).unwrap();
    pulse_of(&bpffs).set(pulse::ABI, abi ^ 1, 0).unwrap();
    let mut agent = Agent::start(&options(&bpffs));
    assert_eq!(agent.began, ("new", "other_abi", 0));
    assert_eq!((pulse_of(&bpffs).get(&pulse::ABI, 0).unwrap(), bpffs.pins()), (abi, 15));
    agent.session.verdict(&group, verdict::RPC);
    connection.client(&indexed(3, 1)).server(&response(3, 5, "0"));
    let ended = agent.calls.after(60 * SECOND).ended();
    assert!(ended.iter().all(|line| line.contains("_OTHER")), "{ended:?}");
    assert_eq!(agent.calls.tracker.counts().unnamed(Unnamed::Joined), ended.len() as u64);
    // A buffer of another size is no more of use.
    agent.stop();
    let agent = Agent::start(&Options { frames_bytes: 1 << 20, ..options(&bpffs) });
    assert_eq!(agent.began, ("new", "other_abi", 0));
    drop(agent);
    // Nor is a part.
    std::fs::remove_file(bpffs.folder().join("fleetscope_prog_hook_recv")).unwrap();
    let agent = Agent::start(&options(&bpffs));
    assert_eq!((agent.began, bpffs.pins()), (("new", "incomplete", 0), 15));
    drop(agent);
    unpin(&bpffs.folder()).unwrap();
}

#[test]
#[ignore = "needs CAP_BPF: make test-kernel"]
fn without_an_agent_for_two_minutes_nothing_is_looked_at_and_connections_are_joined_anew() {
    let (bpffs, group) = (Bpffs::new(), Group::new());
    let mut agent = Agent::start(&options(&bpffs));
    agent.session.verdict(&group, verdict::RPC);
    let (mut spoke, mut silent) = (Connection::new(&group, PLAIN), Connection::new(&group, PLAIN));
    for connection in [&mut spoke, &mut silent] {
        connection.open().client(&inserting(1, "/a.B/C")).server(&response(1, 5, "0"));
    }
    agent.stop();
    let beat = pulse_of(&bpffs).get(&pulse::BEAT, 0).unwrap();
    // As if the last beat were long ago.
    pulse_of(&bpffs).set(pulse::BEAT, beat - pulse::LIFE - 10 * SECOND, 0).unwrap();
    // What the table holds after that is not what was known.
    spoke.client(&inserting(3, "/a.B/D")).server(&response(3, 5, "0"));
    let mut agent = Agent::start(&options(&bpffs));
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
    drop(agent);
    unpin(&bpffs.folder()).unwrap();
}

#[test]
#[ignore = "needs CAP_BPF: make test-kernel"]
fn an_agent_that_paused_for_two_minutes_does_not_go_on_with_old_names() {
    let (bpffs, group) = (Bpffs::new(), Group::new());
    let mut agent = Agent::start(&options(&bpffs));
    agent.session.verdict(&group, verdict::RPC);
    let mut connection = Connection::new(&group, PLAIN);
    connection.open().client(&inserting(1, "/a.B/C")).server(&response(1, 5, "0"));
    assert_eq!(agent.calls.ended(), both(1, "a.B/C", "OK"));
    let beat = pulse_of(&bpffs).get(&pulse::BEAT, 0).unwrap();
    pulse_of(&bpffs).set(pulse::BEAT, beat - pulse::LIFE - 10 * SECOND, 0).unwrap();
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
    drop(agent);
    unpin(&bpffs.folder()).unwrap();
}

#[test]
#[ignore = "needs CAP_BPF: make test-kernel"]
fn nothing_is_left_after_unpin() {
    let (bpffs, group) = (Bpffs::new(), Group::new());
    wait_for_dispatchers(0);
    let mut agent = Agent::start(&options(&bpffs));
    agent.session.verdict(&group, verdict::RPC);
    assert_eq!((dispatchers(), bpffs.pins()), (3, 15));
    // One at a time.
    assert!(matches!(unpin(&bpffs.folder()), Err(PersistError::Busy { .. })));
    let second = Agent::start(&options(&bpffs));
    assert_eq!(second.began, ("not_persistent", "busy", 0));
    drop(second);
    agent.stop();
    assert_eq!(dispatchers(), 3, "they stay");
    let strange = bpffs.folder().join("somebody");
    std::fs::create_dir(&strange).unwrap();
    assert_eq!(unpin(&bpffs.folder()).unwrap(), 15);
    assert!(strange.exists(), "what is not ours is not touched");
    std::fs::remove_dir(&strange).unwrap();
    assert_eq!(unpin(&bpffs.folder()).unwrap(), 0);
    assert!(!bpffs.folder().exists());
    wait_for_dispatchers(0);
    assert_eq!(unpin(&bpffs.folder()).unwrap(), 0);
}

#[test]
#[ignore = "needs CAP_BPF: make test-kernel"]
fn where_nothing_can_be_kept_the_agent_says_so_and_goes_on() {
    let bpffs = Bpffs::new();
    let began = |options: &Options| Agent::start(options).began;
    let at = |folder: &Path| Options { persist: Some(folder.to_owned()), ..options(&bpffs) };
    assert_eq!(began(&Options { persist: None, ..options(&bpffs) }), ("not_persistent", "off", 0));
    assert_eq!(began(&Options { rpc: Rpc::Syscalls, ..options(&bpffs) }), ("not_persistent", "mode", 0));
    let disk = std::env::temp_dir().join(format!("fleetscope-disk-{}", std::process::id()));
    assert_eq!(began(&at(&disk)), ("not_persistent", "not_bpffs", 0));
    assert!(!disk.exists(), "nothing is made there");
    assert_eq!(began(&at(&disk.join("deep"))), ("not_persistent", "folder", 0));
    let open = bpffs.root().join("open");
    std::fs::create_dir(&open).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o777);
    std::fs::set_permissions(&open, mode).unwrap();
    assert_eq!(began(&at(&open)), ("not_persistent", "foreign", 0));
    std::os::unix::fs::symlink("/sys/fs/bpf", bpffs.root().join("link")).unwrap();
    assert_eq!(began(&at(&bpffs.root().join("link"))), ("not_persistent", "folder", 0));
    assert_eq!(bpffs.pins(), 0);
}

/// Not a test by itself: an agent with the capabilities that a pod has, which gives them up as the agent does, and ends as it does.
#[test]
#[ignore = "needs CAP_BPF: make test-kernel"]
fn keeps_what_it_may() {
    let Some(folder) = std::env::var_os(CHILD) else { return };
    let options = Options { runqueue: false, rpc: Rpc::Sockets, persist: Some(folder.into()), ..Options::default() };
    let mut agent = Agent::start(&options);
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
    let bpffs = Bpffs::new();
    for began in ["began new first", "began restored"] {
        let mut command = Command::new("setpriv");
        command.args(["--inh-caps=-all", "--bounding-set=-all,+cap_38,+cap_39", "--"]);
        command.arg(std::env::current_exe().unwrap()).args(["--exact", "--ignored", "--nocapture"]);
        let output = command.arg("restart::keeps_what_it_may").env(CHILD, bpffs.folder()).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success() && text.contains(began), "{text}{errors}");
    }
    unpin(&bpffs.folder()).unwrap();
}

#[test]
#[ignore = "needs CAP_BPF: make test-kernel"]
fn a_large_checkpoint_is_whole() {
    let bpffs = Bpffs::new();
    let mut agent = Agent::start(&options(&bpffs));
    let bytes: Vec<u8> = (0..10_000_019_u32).map(|at| at.wrapping_mul(2_654_435_761).to_le_bytes()[3]).collect();
    let left = fleetscope_node_agent::probes::checkpoint::Left { missed: 7, lost: 9, bytes };
    agent.session.probes.leave(&left).unwrap();
    assert!(agent.session.probes.take_left().unwrap() == Some(left), "as it was");
    assert_eq!(agent.session.probes.take_left().unwrap(), None, "once");
    assert_eq!(agent.calls.tracker.counts().lost(Loss::Gap), 0);
    drop(agent);
    unpin(&bpffs.folder()).unwrap();
}

/// Sorted, as the calls that ended are given.
trait Sorted {
    fn tap_sorted(self) -> Self;
}

impl Sorted for Vec<String> {
    fn tap_sorted(mut self) -> Self {
        // Behind the count, as calls are sorted before they are counted.
        self.sort_by(|a, b| a.split_once(" x ").map(|(_, call)| call).cmp(&b.split_once(" x ").map(|(_, call)| call)));
        self
    }
}
