//! From an edit of a fleet's spec to the change in its child, and to the status that says so.

use std::time::{Duration, Instant};

use fleetscope_tests::faults::Random;
use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;

use crate::calls::Calls;
use crate::editor::Editor;
use crate::figures::{float, percentile};
use crate::fleets::Fleet;
use crate::followed::Took;
use crate::process::{Operator, Way};
use crate::report::Report;
use crate::site::Site;

/// Edits that are measured one after another, and at a steady pace.
const ALONE: usize = 100;
const STEADY: usize = 500;
/// Edits a second, of those that are measured and of all others.
const PACE: u64 = 10;
const OTHERS: u64 = 20;
/// How long an edit may take to show.
const LIMIT: Duration = Duration::from_mins(2);

fn every(per_second: u64) -> tokio::time::Interval {
    let mut ticks = tokio::time::interval(Duration::from_millis(1_000 / per_second));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

/// Fleets in an order that jumps between namespaces, of the even or of the odd ones, so that two who edit never meet.
fn shuffled(site: &Site, odd: usize) -> Vec<Fleet> {
    let mut fleets: Vec<Fleet> = site.fleets.iter().skip(odd).step_by(2).cloned().collect();
    let mut random = Random(7);
    for i in (1..fleets.len()).rev() {
        fleets.swap(i, usize::try_from(random.below(i as u64 + 1)).unwrap());
    }
    fleets
}

/// Edits fleets at a pace, each with a value of its own, and awaits each in its child. With as many fleets as edits none is edited twice.
async fn steady(site: &Site, editor: &Editor, phase: &str) -> (Took, Took) {
    let (fleets, mut ticks) = (shuffled(site, 0), every(PACE));
    let mut sent = tokio::task::JoinSet::new();
    for (number, fleet) in fleets.iter().cycle().take(STEADY).enumerate() {
        ticks.tick().await;
        let value = format!("{phase}-{number}");
        site.followed.awaits(fleet, &value);
        sent.spawn(editor.clone().edit(fleet.clone(), value));
    }
    sent.join_all().await;
    site.followed.took(LIMIT).await
}

async fn one_by_one(site: &Site, phase: &str) -> (Took, Took) {
    for (number, fleet) in shuffled(site, 0).iter().cycle().take(ALONE).enumerate() {
        let value = format!("{phase}-{number}");
        site.followed.awaits(fleet, &value);
        Editor::alone(site).edit(fleet.clone(), value).await;
        let shown = async || Ok(!site.followed.waits());
        // An edit that does not show, or is not told, is counted at the end.
        let _ = fleetscope_tests::wait::until(LIMIT, "the edit shows", shown).await;
    }
    site.followed.took(Duration::ZERO).await
}

/// Edits other fleets until it is ended.
pub(crate) fn others(site: &Site, editor: &Editor, phase: &str) -> JoinHandle<()> {
    let (editor, fleets, phase) = (editor.clone(), shuffled(site, 1), phase.to_owned());
    tokio::spawn(async move {
        let mut ticks = every(OTHERS);
        for (number, fleet) in fleets.iter().cycle().enumerate() {
            ticks.tick().await;
            tokio::spawn(editor.clone().edit(fleet.clone(), format!("{phase}-{number}")));
        }
    })
}

/// Edits that come in three ways.
pub(crate) async fn measure(site: &Site, report: &mut Report, operator: &Operator, way: Way) {
    let (phase, suffix, editor) = (report.phase(), way.suffix(), Editor::alone(site));
    report.table("Edits", "| edits | number | p50, ms | p90, ms | p99, ms | longest, ms | not shown | told p50, ms | told p99, ms | not told | CPU of the operator, % of one | its requests per edit |");
    let begun = Begun::now(operator);
    let figures = one_by_one(site, &format!("a{phase}")).await;
    told(report, way, "one after another".to_owned(), &figures.0);
    row(report, &format!("one after another{suffix}"), &figures, Some(begun.until_now(operator, 1.0)));
    let begun = Begun::now(operator);
    let figures = steady(site, &editor, &format!("b{phase}")).await;
    told(report, way, format!("at {PACE} a second"), &figures.0);
    row(report, &format!("{PACE} a second{suffix}"), &figures, Some(begun.until_now(operator, 1.0)));
    let begun = Begun::now(operator);
    let busy = others(site, &editor, &format!("c{phase}"));
    let figures = steady(site, &editor, &format!("d{phase}")).await;
    busy.abort();
    told(report, way, format!("at {} a second in all", PACE + OTHERS), &figures.0);
    let all = float(PACE + OTHERS) / float(PACE);
    let what = format!("{PACE} a second, while others are edited {OTHERS} a second{suffix}");
    row(report, &what, &figures, Some(begun.until_now(operator, all)));
    report.note(
        "From before the edit is sent until a watch shows the change in the fleet's PodMonitor, and told: until the status is about it. The edit's own way \
         to the API server is in both.",
    );
}

/// The same at the same paces without an operator: what none that makes these writes can be below, on this machine and at the time. After [`measure`].
pub(crate) async fn floor(site: &Site, report: &mut Report) {
    let (phase, editor) = (report.phase(), Editor::with_writes(site).await);
    let who = "no operator: whoever edits makes its writes";
    row(report, &format!("{PACE} a second; {who}"), &steady(site, &editor, &format!("e{phase}")).await, None);
    let busy = others(site, &editor, &format!("f{phase}"));
    let figures = steady(site, &editor, &format!("g{phase}")).await;
    busy.abort();
    row(report, &format!("{PACE} a second, while others are edited {OTHERS} a second; {who}"), &figures, None);
}

/// For the table of bars.
fn told(report: &mut Report, way: Way, how: String, applied: &Took) {
    report.figures(way).edits.push((how, percentile(&applied.times, 99)));
}

/// What the operator had done when a phase began.
struct Begun {
    at: Instant,
    cpu: f64,
    calls: Calls,
}

// === impl Begun ===

impl Begun {
    fn now(operator: &Operator) -> Self {
        Self { at: Instant::now(), cpu: operator.cpu(), calls: Calls::from_now() }
    }

    /// Processor time in percent of one, and requests; `all` is how many edits there were for each that was measured.
    fn until_now(mut self, operator: &Operator, all: f64) -> (f64, f64) {
        let share = (operator.cpu() - self.cpu) / self.at.elapsed().as_secs_f64();
        let requests = self.calls.of(&operator.user).iter().filter(|request| request.resource != "leases").count();
        (100.0 * share, float(requests as u64) / all)
    }
}

fn row(report: &mut Report, what: &str, (applied, told): &(Took, Took), own: Option<(f64, f64)>) {
    let ms = |took: &Took, percent| float(percentile(&took.times, percent)) / 1_000.0;
    let count = applied.times.len() + applied.left;
    let own = own.map_or_else(
        || "- | -".to_owned(),
        |(cpu, requests)| format!("{cpu:.1} | {:.1}", requests / float(count as u64)),
    );
    report.row(&format!(
        "| {what} | {count} | {:.1} | {:.1} | {:.1} | {:.1} | {} | {:.1} | {:.1} | {} | {own} |",
        ms(applied, 50),
        ms(applied, 90),
        ms(applied, 99),
        ms(applied, 100),
        applied.left,
        ms(told, 50),
        ms(told, 99),
        told.left,
    ));
}
