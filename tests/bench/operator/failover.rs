//! From the end of a leader to the first write of the next one, while fleets are edited all the time.

use std::time::Instant;

use rustix::process::Signal;

use crate::calls::{Calls, counts};
use crate::editor::Editor;
use crate::edits;
use crate::process::{Operator, Way};
use crate::report::Report;
use crate::site::Site;

/// A leader that is killed, one that sleeps and wakes up, and one that is asked to stop. The operator that leads in the end.
pub(crate) async fn measure(site: &Site, report: &mut Report, leader: Operator, way: Way) -> Operator {
    report.table(
        "Leader failover",
        "| the leader | first write of the next one, s | writes of the old one after that | which then |",
    );
    let busy = edits::others(site, &Editor::alone(site), &report.phase());
    let next = change(site, report, leader, Signal::KILL, way).await;
    let next = change(site, report, next, Signal::STOP, way).await;
    let next = change(site, report, next, Signal::TERM, way).await;
    busy.abort();
    Calls::from_now().quiet(&next.user).await;
    report.note("Fleets are edited 20 times a second meanwhile, so that there is always something to write. From the audit log.");
    next
}

async fn change(site: &Site, report: &mut Report, mut leader: Operator, signal: Signal, way: Way) -> Operator {
    let how = match signal {
        Signal::KILL => "is killed (SIGKILL)",
        Signal::STOP => "sleeps (SIGSTOP), and wakes up when the next one leads",
        _ => "is asked to stop (SIGTERM)",
    };
    let next = Operator::start(&site.account(), way).await;
    next.ready().await;
    let (mut calls, mut old) = (Calls::from_now(), Calls::from_now());
    // It is at work when it goes.
    Calls::from_now().first_write(&leader.user).await;
    let gone = Instant::now();
    leader.signal(signal);
    let (first, seen) = calls.first_write(&next.user).await;
    let after = (seen - gone).as_secs_f64();
    if signal == Signal::STOP {
        leader.signal(Signal::CONT);
    }
    let success = leader.ended().await;
    let late = old.of(&leader.user).iter().filter(|write| counts(write) && write.received > first.received).count();
    let ended = match (signal, success) {
        (Signal::KILL, _) => "",
        (_, true) => "it ended in order",
        (_, false) => "it ended with a failure, as it should",
    };
    let figures = report.figures(way);
    figures.failover.extend((signal != Signal::TERM).then_some(after));
    figures.late += late;
    report.row(&format!("| {how}{} | {after:.1} | {late} | {ended} |", way.suffix()));
    next
}
