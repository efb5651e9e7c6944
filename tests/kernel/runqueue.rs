//! Run-queue latency, beside the kernel's own account in `/proc/PID/schedstat`.

use fleetscope_ebpf::{Counters, RunqueueHistogram, verdict};
use fleetscope_node_agent::probes::Options;
use fleetscope_node_agent::probes::programs::RUNQUEUE;

use crate::group::Group;
use crate::session::Session;

fn histogram(session: &mut Session, group: u64) -> Option<RunqueueHistogram> {
    session.maps().runqueue().unwrap().into_iter().find_map(|(id, histogram)| (id == group).then_some(histogram))
}

#[test]
#[ignore = "needs CAP_BPF: make test-kernel"]
fn waits_are_those_that_the_kernel_accounts() {
    let (mut session, group) = (Session::with(&Options::default()), Group::new());
    assert!(session.probes.attached(RUNQUEUE));
    session.verdict(&group, verdict::TASKS | verdict::RUNQUEUE);
    // More of them than processors, so that they wait for one another and are preempted.
    let at_once = (2 * std::thread::available_parallelism().unwrap().get()).to_string();
    let printed = group.run(&["delayed", &at_once, "400"]);
    let (mut delay, mut runs) = (0_u64, 0_u64);
    for line in printed.lines() {
        let fields: Vec<u64> = line.split(' ').map(|field| field.parse().unwrap()).collect();
        delay += fields[1];
        runs += fields[2];
    }
    assert!(delay > 100_000_000, "they waited for one another: {delay} ns");
    let histogram = histogram(&mut session, group.id()).expect("its threads ran");
    let count: u64 = histogram.buckets.iter().sum();
    println!(
        "kernel {delay} ns in {runs} runs; measured {} ns in {count} waits: {:?}",
        histogram.sum, histogram.buckets
    );
    let off = histogram.sum.abs_diff(delay);
    assert!(off * 20 <= delay, "kernel {delay} ns, measured {} ns", histogram.sum);
    // A few runs are before the process is in the group or after it read its account.
    assert!(count.abs_diff(runs) * 20 <= runs + 400, "kernel {runs} runs, measured {count} waits");
    let lower: u64 =
        (0..).zip(&histogram.buckets).map(|(i, count)| if i == 0 { 0 } else { count * (1000 << (2 * (i - 1))) }).sum();
    assert!(lower <= histogram.sum, "the buckets' lower bounds add up to {lower}, the sum is {}", histogram.sum);
}

#[test]
#[ignore = "needs CAP_BPF: make test-kernel"]
fn only_groups_with_the_verdict_are_measured_and_a_removed_group_keeps_its_histogram_until_it_is_taken() {
    let (mut session, group, other) = (Session::with(&Options::default()), Group::new(), Group::new());
    session.verdict(&group, verdict::RUNQUEUE);
    session.verdict(&other, verdict::TASKS);
    let child = group.child("child");
    let id = child.id();
    for group in [&child, &other] {
        group.run(&["spawn", "5", "1", "/bin/true"]);
    }
    child.remove();
    assert_eq!(histogram(&mut session, other.id()), None);
    assert_eq!(session.take().execs().len(), 5, "of the other one: without the verdict TASKS there are no records");
    assert!(histogram(&mut session, id).is_some_and(|histogram| histogram.buckets.iter().sum::<u64>() > 5));
    session.maps().remove_runqueue(id).unwrap();
    session.maps().remove_runqueue(id).expect("removing twice is no error");
    assert_eq!(histogram(&mut session, id), None);
}

#[test]
#[ignore = "needs CAP_BPF: make test-kernel"]
fn a_full_map_of_histograms_is_counted() {
    let (mut session, first, second) =
        (Session::with(&Options { runqueue_max: 1, ..Options::default() }), Group::new(), Group::new());
    session.verdict(&first, verdict::RUNQUEUE);
    // Children of a process that lives in the group: the process itself may never wait after it has entered.
    first.run(&["spawn", "5", "1", "/bin/true"]);
    assert!(histogram(&mut session, first.id()).is_some(), "the first group has the only entry");
    assert_eq!(session.counters(), Counters::default());
    session.verdict(&second, verdict::RUNQUEUE);
    second.run(&["spawn", "5", "1", "/bin/true"]);
    assert!(session.counters().runqueue_full >= 5, "{:?}", session.counters());
    assert_eq!(histogram(&mut session, second.id()), None);
    assert!(histogram(&mut session, first.id()).is_some());
}
