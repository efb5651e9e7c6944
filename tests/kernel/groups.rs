//! Cgroups that come and go below tracked ones.

use fleetscope_core::records::Record;
use fleetscope_ebpf::{CGROUP_PATH_MAX, verdict};
use fleetscope_node_agent::probes::Options;

use crate::group::Group;
use crate::session::Session;

#[test]
#[ignore = "needs CAP_BPF: make test-kernel"]
fn a_group_that_lives_for_one_process_is_seen_from_its_making_to_its_removal() {
    let (mut session, group) = (Session::new(), Group::new());
    session.track(&group);
    let short = group.child("short");
    let (id, path) = (short.id(), short.path());
    short.run(&["exec", "/bin/true"]);
    short.remove();
    let seen = session.take();
    let records: Vec<_> = seen.records().collect();
    let [Record::CgroupMade(made), Record::Exec(exec), Record::Exit(exit), Record::CgroupGone(gone)] = records[..]
    else {
        panic!("{}", seen.story())
    };
    assert_eq!((made.cgroup, made.parent, made.path), (id, group.id(), Some(path.as_bytes())));
    assert_eq!(made.verdict, Some(verdict::TASKS));
    assert_eq!((exec.cgroup, exit.cgroup), (id, id));
    assert_eq!((gone.cgroup, gone.parent), (id, group.id()));
    assert_eq!(session.maps().verdict(id).unwrap(), None, "its entry went with it");
    assert_eq!(session.maps().verdict(group.id()).unwrap(), Some(verdict::TASKS));
}

#[test]
#[ignore = "needs CAP_BPF: make test-kernel"]
fn descendants_inherit_the_verdict_whatever_it_is() {
    let (mut session, group) = (Session::new(), Group::new());
    for bits in [verdict::TASKS, verdict::IGNORE, verdict::TASKS | verdict::RUNQUEUE] {
        session.verdict(&group, bits);
        let child = group.child(&format!("child-{bits}"));
        let grandchild = child.child("grandchild");
        for made in [&child, &grandchild] {
            assert_eq!(session.maps().verdict(made.id()).unwrap(), Some(bits));
        }
        grandchild.run(&["exec", "/bin/true"]);
        let seen = session.take();
        let made: Vec<_> = seen
            .records()
            .filter_map(|record| {
                if let Record::CgroupMade(made) = record {
                    Some((made.cgroup, made.parent, made.verdict))
                } else {
                    None
                }
            })
            .collect();
        let expected = [(child.id(), group.id(), Some(bits)), (grandchild.id(), child.id(), Some(bits))];
        assert_eq!(made, expected, "{}", seen.story());
        assert_eq!(seen.execs().len(), usize::from(bits & verdict::TASKS != 0), "{}", seen.story());
    }
}

#[test]
#[ignore = "needs CAP_BPF: make test-kernel"]
fn groups_that_are_not_below_a_tracked_one_are_not_looked_at() {
    let (mut session, group) = (Session::new(), Group::new());
    let child = group.child("child");
    assert_eq!(session.maps().verdict(child.id()).unwrap(), None);
    child.remove();
    let seen = session.take();
    assert_eq!(seen.records().count(), 0, "{}", seen.story());
    // One that is forgotten does not hand its verdict down any more.
    session.track(&group);
    session.maps().remove_verdict(group.id()).unwrap();
    let child = group.child("child");
    assert_eq!(session.maps().verdict(child.id()).unwrap(), None);
    session.maps().remove_verdict(group.id()).expect("removing twice is no error");
}

#[test]
#[ignore = "needs CAP_BPF: make test-kernel"]
fn groups_of_other_hierarchies_are_not_mistaken_for_ours() {
    let memory = std::path::Path::new("/sys/fs/cgroup/memory");
    if !memory.join("cgroup.procs").exists() {
        fleetscope_tests::skip::skip("hierarchies", "there is no cgroup v1 hierarchy");
        return;
    }
    let (mut session, group) = (Session::new(), Group::new());
    // The v1 root has inode 1 as the cgroup2 root has: groups below it would inherit a verdict for id 1.
    session.maps().set_verdicts([(1, verdict::TASKS)]).unwrap();
    let v1 = memory.join(group.folder().file_name().unwrap());
    std::fs::create_dir(&v1).unwrap();
    std::fs::remove_dir(&v1).unwrap();
    session.maps().remove_verdict(1).unwrap();
    let name = group.path();
    let seen = session.take();
    let ours =
        seen.records().any(|record| matches!(record, Record::CgroupMade(made) if made.path == Some(name.as_bytes())));
    assert!(!ours, "{}", seen.story());
}

#[test]
#[ignore = "needs CAP_BPF: make test-kernel"]
fn a_path_that_is_too_long_is_cut_and_the_group_is_tracked_all_the_same() {
    let (mut session, group) = (Session::new(), Group::new());
    session.track(&group);
    let mut deepest = group.child(&"a".repeat(200));
    let mut groups = Vec::new();
    for letter in ["b", "c", "d"] {
        let next = deepest.child(&letter.repeat(200));
        groups.push(std::mem::replace(&mut deepest, next));
    }
    assert!(deepest.path().len() > CGROUP_PATH_MAX);
    let seen = session.take();
    let paths: Vec<_> = seen
        .records()
        .filter_map(
            |record| if let Record::CgroupMade(made) = record { Some(made.path.map(<[u8]>::len)) } else { None },
        )
        .collect();
    let base = group.path().len();
    assert_eq!(paths, [Some(base + 201), Some(base + 402), None, None], "{}", seen.story());
    deepest.run(&["exec", "/bin/true"]);
    assert_eq!(session.take().execs().len(), 1);
    // Innermost first, as a group with children cannot be removed.
    drop(deepest);
    groups.into_iter().rev().for_each(drop);
}

#[test]
#[ignore = "needs CAP_BPF: make test-kernel"]
fn a_full_map_of_groups_is_counted_and_user_space_can_add_the_group_later() {
    let options = Options { runqueue: false, cgroups_max: 2, ..Options::default() };
    let (mut session, group) = (Session::with(&options), Group::new());
    session.track(&group);
    let (_fits, more) = (group.child("fits"), group.child("more"));
    assert_eq!(session.counters().cgroups_full, 1);
    more.run(&["exec", "/bin/true"]);
    let seen = session.take();
    assert_eq!((seen.records().count(), seen.execs().len()), (2, 0), "both groups are told: {}", seen.story());
    let written = session.maps().set_verdicts([(more.id(), verdict::TASKS)]).unwrap();
    assert_eq!((written.written, written.refused), (0, 1));
    session.maps().remove_verdict(group.id()).unwrap();
    session.track(&more);
    more.run(&["exec", "/bin/true"]);
    assert_eq!(session.take().execs().len(), 1);
}
