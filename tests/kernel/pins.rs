//! Pins and their folder: one agent at a time, nothing of anybody else's, and nothing left when they are removed.

use std::fs::{self, File};
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use aya::maps::{HashMap, Map, MapData};
use aya::programs::{ProgramInfo, loaded_programs};
use fleetscope_ebpf::program;
use fleetscope_node_agent::probes::checkpoint::Left;
use fleetscope_node_agent::probes::persist::PersistError;
use fleetscope_node_agent::probes::pin_folder::unpin;
use fleetscope_node_agent::probes::{Options, Probes, Rpc};
use rustix::fs::inotify;
use rustix::io::Errno;

use crate::agent::{Agent, PINS, Scene, both, indexed, options};
use crate::bpffs::Bpffs;
use crate::http2::response;

/// Not an eBPF object.
const DAMAGED: [u8; 8] = [0x7f, b'E', b'L', b'F', 2, 1, 1, 0];

/// Programs that stay when an agent ends, by their number.
fn hooks(bpffs: &Bpffs) -> Vec<u32> {
    let names = [program::HOOK_SEND, program::HOOK_RECV, program::HOOK_STATE, program::HOOK_MKDIR];
    let info = |name| ProgramInfo::from_pin(bpffs.folder().join(format!("fleetscope_prog_{name}"))).unwrap();
    names.map(|name| info(name).id()).to_vec()
}

fn loaded(programs: &[u32]) -> usize {
    loaded_programs().filter_map(Result::ok).filter(|program| programs.contains(&program.id())).count()
}

/// The kernel frees programs when every processor has left them.
fn wait_for_end(programs: &[u32]) {
    let start = Instant::now();
    while loaded(programs) > 0 {
        assert!(start.elapsed() < Duration::from_secs(10), "{} of {programs:?} are loaded", loaded(programs));
        thread::yield_now();
    }
}

/// Tells how often the folder was opened since this was made.
struct Opens(OwnedFd);

impl Opens {
    fn of(folder: &Path) -> Self {
        let watch = inotify::init(inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK).unwrap();
        inotify::add_watch(&watch, folder, inotify::WatchFlags::OPEN).unwrap();
        Self(watch)
    }

    fn wait_for(&self, count: usize) {
        let (start, mut seen, mut buffer) = (Instant::now(), 0, [MaybeUninit::uninit(); 512]);
        let mut events = inotify::Reader::new(&self.0, &mut buffer);
        while seen < count {
            assert!(start.elapsed() < Duration::from_secs(10), "the folder was opened {seen} times, {count} awaited");
            match events.next() {
                Ok(_) => seen += 1,
                Err(Errno::AGAIN) => thread::yield_now(),
                Err(error) => panic!("{error}"),
            }
        }
    }
}

#[test]
#[ignore = "needs CAP_BPF: make test-kernel"]
fn nothing_is_left_after_unpin() {
    let Scene { bpffs, group: _group } = &Scene::new();
    let agent = Agent::start(&options(bpffs.folder()));
    let hooks = hooks(bpffs);
    assert_eq!((loaded(&hooks), bpffs.pins()), (4, PINS));
    // One at a time.
    assert!(matches!(unpin(&bpffs.folder()), Err(PersistError::Busy { .. })));
    let second = Agent::start(&options(bpffs.folder()));
    assert_eq!(second.began, ("not_persistent", "busy", 0));
    drop(second);
    agent.stop();
    assert_eq!(loaded(&hooks), 4, "they stay");
    let strange = bpffs.folder().join("somebody");
    fs::create_dir(&strange).unwrap();
    assert_eq!(unpin(&bpffs.folder()).unwrap(), PINS);
    assert!(strange.exists(), "what is not ours is not touched");
    fs::remove_dir(&strange).unwrap();
    assert_eq!(unpin(&bpffs.folder()).unwrap(), 0);
    assert!(!bpffs.folder().exists());
    wait_for_end(&hooks);
    assert_eq!(unpin(&bpffs.folder()).unwrap(), 0);
}

#[test]
#[ignore = "needs CAP_BPF: make test-kernel"]
fn an_agent_works_on_when_its_pins_are_removed() {
    let scene = Scene::new();
    let mut agent = scene.first();
    let mut connection = scene.connection();
    let hooks = hooks(&scene.bpffs);
    fs::remove_dir_all(scene.bpffs.folder()).unwrap();
    connection.client(&indexed(3, 1)).server(&response(3, 5, "0"));
    assert_eq!(agent.calls.ended(), both(&[(2, "a.B/C", "OK")]));
    assert_eq!(loaded(&hooks), 4);
    agent.stop();
    wait_for_end(&hooks);
}

#[test]
#[ignore = "needs CAP_BPF: make test-kernel"]
fn an_agent_waits_for_one_that_is_about_to_end() {
    let scene = Scene::new();
    let first = scene.first();
    let opens = Opens::of(&scene.bpffs.folder());
    let began = thread::scope(|scope| {
        let second = scope.spawn(|| scene.agent().began);
        // Its first try was in vain then.
        opens.wait_for(2);
        first.stop();
        second.join().unwrap()
    });
    assert_eq!(began, ("restored", "", 0));
}

#[test]
#[ignore = "needs CAP_BPF: make test-kernel"]
fn a_folder_that_is_removed_by_whoever_held_it_is_made_anew() {
    let scene = Scene::new();
    scene.first().stop();
    let folder = scene.bpffs.folder();
    let lock = File::open(&folder).unwrap();
    lock.try_lock().unwrap();
    let opens = Opens::of(&folder);
    let began = thread::scope(|scope| {
        let second = scope.spawn(|| scene.agent().began);
        opens.wait_for(2);
        fs::remove_dir_all(&folder).unwrap();
        drop(lock);
        second.join().unwrap()
    });
    assert_eq!((began, scene.bpffs.pins()), (("new", "first", 0), PINS));
}

#[test]
#[ignore = "needs CAP_BPF: make test-kernel"]
fn where_nothing_can_be_kept_the_agent_says_so_and_goes_on() {
    let bpffs = Bpffs::new();
    let mode = |mode| fs::Permissions::from_mode(mode);
    let began = |options: &Options| Agent::start(options).began;
    let at = |folder: &Path| began(&options(folder.to_owned()));
    assert_eq!(began(&Options { persist: None, ..options(bpffs.folder()) }), ("not_persistent", "off", 0));
    assert_eq!(began(&Options { rpc: Rpc::Syscalls, ..options(bpffs.folder()) }), ("not_persistent", "mode", 0));
    let disk = std::env::temp_dir().join(format!("fleetscope-disk-{}", std::process::id()));
    assert_eq!(at(&disk), ("not_persistent", "not_bpffs", 0));
    assert!(!disk.exists(), "nothing is made there");
    assert_eq!(at(&disk.join("deep")), ("not_persistent", "folder", 0));
    let open = bpffs.root().join("open");
    fs::create_dir(&open).unwrap();
    fs::set_permissions(&open, mode(0o777)).unwrap();
    assert_eq!(at(&open), ("not_persistent", "foreign", 0));
    // Whoever may write to the folder above could put another one in its place.
    assert_eq!(at(&open.join("pins")), ("not_persistent", "foreign", 0));
    fs::set_permissions(&open, mode(0o1777)).unwrap();
    assert_eq!(at(&open.join("pins")), ("new", "first", 0));
    std::os::unix::fs::symlink(open.join("pins"), bpffs.root().join("link")).unwrap();
    for link in ["link", "link/", "link/."] {
        assert_eq!(at(&bpffs.root().join(link)), ("not_persistent", "folder", 0), "{link}");
    }
    fs::set_permissions(bpffs.root(), mode(0o700)).unwrap();
    assert_eq!(at(bpffs.root()), ("new", "first", 0), "a bpffs of its own");
    assert_eq!(bpffs.pins(), 0);
}

#[test]
#[ignore = "needs CAP_BPF: make test-kernel"]
fn without_probes_the_reason_is_theirs_and_what_is_pinned_stays() {
    let scene = Scene::new();
    scene.first();
    let began = |options: &Options, object: &[u8]| {
        let beginning = Probes::load_object(options, object).beginning().clone();
        (beginning.state, beginning.reason, beginning.detail)
    };
    for (object, why) in [(&[][..], "built without the eBPF object"), (&DAMAGED, "failed to load the eBPF object")] {
        let (state, reason, detail) = began(&scene.options(), object);
        assert_eq!((state, reason), ("not_persistent", "probes"), "{detail}");
        assert!(detail.contains(why), "{detail}");
        let without = Options { persist: None, ..scene.options() };
        assert_eq!(began(&without, object), ("not_persistent", "off", String::new()));
    }
    assert_eq!(scene.bpffs.pins(), PINS);
    assert_eq!(scene.agent().began, ("no_checkpoint", "none", 0));
}

#[test]
#[ignore = "needs CAP_BPF: make test-kernel"]
fn a_large_checkpoint_is_whole_and_a_part_is_none() {
    let scene = Scene::new();
    let mut agent = scene.first();
    let pieces = || {
        let map = MapData::from_pin(scene.bpffs.folder().join("fleetscope_CHECKPOINT")).unwrap();
        HashMap::<_, u32, [u8; 2048]>::try_from(Map::from_map_data(map).unwrap()).unwrap()
    };
    let bytes: Vec<u8> = (0..10_000_019_u32).map(|at| at.wrapping_mul(2_654_435_761).to_le_bytes()[3]).collect();
    let left = Left { missed: 7, lost: 9, bytes };
    agent.session.probes.leave(&left).unwrap();
    assert!(agent.session.probes.take_left().unwrap() == Some(left.clone()), "as it was");
    assert_eq!(pieces().keys().count(), 0, "its memory is given back");
    assert_eq!(agent.session.probes.take_left().unwrap(), None, "once");
    // An agent that is killed while it writes: the head comes last.
    agent.session.probes.leave(&left).unwrap();
    pieces().remove(&0).unwrap();
    assert_eq!(agent.session.probes.take_left().unwrap(), None);
    assert_eq!(pieces().keys().count(), 0);
    // And one that is killed while it reads another one's.
    agent.session.probes.leave(&left).unwrap();
    pieces().remove(&77).unwrap();
    assert!(agent.session.probes.take_left().is_err());
    assert_eq!(pieces().keys().count(), 0);
    assert_eq!(agent.session.probes.take_left().unwrap(), None);
    // A smaller one leaves nothing of a larger one.
    agent.session.probes.leave(&left).unwrap();
    agent.session.probes.leave(&Left { bytes: vec![1; 2049], ..left }).unwrap();
    assert_eq!(pieces().keys().count(), 3);
}
