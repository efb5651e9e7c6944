//! From an edit of a fleet's spec to the change in its child, and to the status that says so.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use fleetscope_core::resources::scrape_name;
use fleetscope_tests::faults::Random;
use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;

use crate::calls::Calls;
use crate::editor::Editor;
use crate::figures::float;
use crate::fleets::Fleet;
use crate::followed::Took;
use crate::process::{Operator, Way};
use crate::report::Report;
use crate::site::Site;
use crate::start;

/// Edits that are measured one after another, and at a steady pace.
const ALONE: usize = 100;
const STEADY: usize = 500;
/// Edits a second, of those that are measured and of all others.
const PACE: u64 = 10;
const OTHERS: u64 = 20;
/// More than this, in microseconds, is slow: the bar.
const SLOW: u64 = 1_000_000;
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
    columns(report);
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
         to the API server is in both. Answered 429: edits of which the proxy answered a write of the PodMonitor with 429 and `Retry-After: 1`, as API servers do; \
         who keeps to it takes a second and more.",
    );
}

/// [`measure`], with the same paces before it and after it without an operator. The operator that is there in the end.
pub(crate) async fn beside_none(site: &Site, report: &mut Report, operator: Operator) -> Operator {
    operator.end().await;
    floor(site, report, "before").await;
    let operator = start::fresh(site).await;
    measure(site, report, &operator, Way::Straight).await;
    operator.end().await;
    floor(site, report, "after").await;
    start::fresh(site).await
}

/// Whoever edits makes an operator's writes, as they come: what the API server makes of them by itself, on this machine and at the time. An operator that lets
/// some of them wait for others may be below.
async fn floor(site: &Site, report: &mut Report, when: &str) {
    columns(report);
    let (phase, editor) = (report.phase(), Editor::with_writes(site).await);
    let who = format!("no operator: whoever edits makes its writes, {when}");
    row(report, &format!("{PACE} a second; {who}"), &steady(site, &editor, &format!("e{phase}")).await, None);
    let busy = others(site, &editor, &format!("f{phase}"));
    let figures = steady(site, &editor, &format!("g{phase}")).await;
    busy.abort();
    row(report, &format!("{PACE} a second, while others are edited {OTHERS} a second; {who}"), &figures, None);
}

fn columns(report: &mut Report) {
    report.table(
        "Edits",
        "| edits | number | p50, ms | p90, ms | p99, ms | longest, ms | not shown | over 1 s | answered 429 | of these over 1 s | p99 of the others, ms \
         | told p50, ms | told p99, ms | not told | CPU of the operator, % of one | its requests per edit |",
    );
}

/// For the table of bars.
fn told(report: &mut Report, way: Way, how: String, applied: &Took) {
    report.figures(way).edits.push((how, applied.percentile(99, |_| true)));
}

/// What the operator had done when a phase began.
struct Begun {
    at: Instant,
    cpu: f64,
    calls: Calls,
}

/// What it did in the phase.
struct Own {
    /// Processor time in percent of one.
    cpu: f64,
    /// Requests for each edit that was measured, those of the others left out.
    requests: f64,
    /// Paths of writes that were answered 429; none where nothing fails.
    throttled: Option<HashSet<String>>,
}

// === impl Begun ===

impl Begun {
    fn now(operator: &Operator) -> Self {
        operator.throttled();
        Self { at: Instant::now(), cpu: operator.cpu(), calls: Calls::from_now() }
    }

    /// `all` is how many edits there were for each that was measured.
    fn until_now(mut self, operator: &Operator, all: f64) -> Own {
        let share = (operator.cpu() - self.cpu) / self.at.elapsed().as_secs_f64();
        let requests = self.calls.of(&operator.user).iter().filter(|request| request.resource != "leases").count();
        Own { cpu: 100.0 * share, requests: float(requests as u64) / all, throttled: operator.throttled() }
    }
}

fn row(report: &mut Report, what: &str, (applied, told): &(Took, Took), own: Option<Own>) {
    let ms = |micros| format!("{:.1}", float(micros) / 1_000.0);
    let all = |_: &Fleet| true;
    let count = applied.edits.len() + applied.left;
    let slow =
        |of: &dyn Fn(&Fleet) -> bool| applied.edits.iter().filter(|(took, fleet)| *took > SLOW && of(fleet)).count();
    let throttled = own.as_ref().and_then(|own| own.throttled.as_ref()).map_or_else(
        || "- | - | -".to_owned(),
        |paths| {
            let answered = |fleet: &Fleet| paths.contains(&monitor(fleet));
            let number = applied.edits.iter().filter(|(_, fleet)| answered(fleet)).count();
            format!("{number} | {} | {}", slow(&answered), ms(applied.percentile(99, |fleet| !answered(fleet))))
        },
    );
    let own = own.map_or_else(
        || "- | -".to_owned(),
        |own| format!("{:.1} | {:.1}", own.cpu, own.requests / float(count as u64)),
    );
    report.row(&format!(
        "| {what} | {count} | {} | {} | {} | {} | {} | {} | {throttled} | {} | {} | {} | {own} |",
        ms(applied.percentile(50, all)),
        ms(applied.percentile(90, all)),
        ms(applied.percentile(99, all)),
        ms(applied.percentile(100, all)),
        applied.left,
        slow(&all),
        ms(told.percentile(50, all)),
        ms(told.percentile(99, all)),
        told.left,
    ));
}

/// Where the operator writes the monitor of a fleet.
fn monitor(fleet: &Fleet) -> String {
    let Fleet { namespace, name } = fleet;
    format!("/apis/monitoring.coreos.com/v1/namespaces/{namespace}/podmonitors/{}", scrape_name(name))
}
