//! From an edit of a fleet's spec to the change in its child, and to the status that says so.

use std::time::{Duration, Instant};

use fleetscope_core::api::AgentFleet;
use fleetscope_tests::faults::Random;
use kube::Api;
use kube::api::{Patch, PatchParams};
use serde_json::json;
use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;

use crate::calls::Calls;
use crate::figures::{float, percentile};
use crate::fleets::Fleet;
use crate::followed::{LABEL, Took};
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

/// Sends an edit. A fleet that is edited by two at once has only the later one's.
async fn edit(client: kube::Client, fleet: Fleet, value: String) {
    let api = Api::<AgentFleet>::namespaced(client, &fleet.namespace);
    let change = json!({ "spec": { "scrape": { "labels": { LABEL: value } } } });
    api.patch(&fleet.name, &PatchParams::default(), &Patch::Merge(change)).await.unwrap();
}

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
async fn steady(site: &Site, phase: &str, count: usize) -> (Took, Took) {
    let (fleets, mut ticks) = (shuffled(site, 0), every(PACE));
    let mut sent = tokio::task::JoinSet::new();
    for (number, fleet) in fleets.iter().cycle().take(count).enumerate() {
        ticks.tick().await;
        let value = format!("{phase}-{number}");
        site.followed.awaits(fleet, &value);
        sent.spawn(edit(site.cluster.client.clone(), fleet.clone(), value));
    }
    sent.join_all().await;
    site.followed.took(LIMIT).await
}

async fn one_by_one(site: &Site, phase: &str, count: usize) -> (Took, Took) {
    for (number, fleet) in shuffled(site, 0).iter().cycle().take(count).enumerate() {
        let value = format!("{phase}-{number}");
        site.followed.awaits(fleet, &value);
        edit(site.cluster.client.clone(), fleet.clone(), value).await;
        let shown = async || Ok(!site.followed.waits());
        // An edit that does not show, or is not told, is counted at the end.
        let _ = fleetscope_tests::wait::until(LIMIT, "the edit shows", shown).await;
    }
    site.followed.took(Duration::ZERO).await
}

/// Edits other fleets until it is ended.
pub(crate) fn others(site: &Site, phase: &str) -> JoinHandle<()> {
    let (client, fleets, phase) = (site.cluster.client.clone(), shuffled(site, 1), phase.to_owned());
    tokio::spawn(async move {
        let mut ticks = every(OTHERS);
        for (number, fleet) in fleets.iter().cycle().enumerate() {
            ticks.tick().await;
            tokio::spawn(edit(client.clone(), fleet.clone(), format!("{phase}-{number}")));
        }
    })
}

/// Edits that come in three ways.
pub(crate) async fn measure(site: &Site, report: &mut Report, operator: &Operator, way: Way) {
    let (phase, suffix) = (report.phase(), way.suffix());
    report.table("Edits", "| edits | number | p50, ms | p90, ms | p99, ms | longest, ms | not shown | told p50, ms | told p99, ms | not told | CPU of the operator, % of one | its requests per edit |");
    let begun = Begun::now(operator);
    let figures = one_by_one(site, &format!("a{phase}"), ALONE).await;
    told(report, way, "one after another".to_owned(), &figures.0);
    row(report, &format!("one after another{suffix}"), &figures, &begun.until_now(operator, 1.0));
    let begun = Begun::now(operator);
    let figures = steady(site, &format!("b{phase}"), STEADY).await;
    told(report, way, format!("at {PACE} a second"), &figures.0);
    row(report, &format!("{PACE} a second{suffix}"), &figures, &begun.until_now(operator, 1.0));
    let begun = Begun::now(operator);
    let busy = others(site, &format!("c{phase}"));
    let figures = steady(site, &format!("d{phase}"), STEADY).await;
    busy.abort();
    told(report, way, format!("at {} a second in all", PACE + OTHERS), &figures.0);
    let all = float(PACE + OTHERS) / float(PACE);
    let what = format!("{PACE} a second, while others are edited {OTHERS} a second{suffix}");
    row(report, &what, &figures, &begun.until_now(operator, all));
    report.note(
        "From before the edit is sent until a watch shows the change in the fleet's PodMonitor, and told: until the status is about it. The edit's own way \
         to the API server is in both.",
    );
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

fn row(report: &mut Report, what: &str, (applied, told): &(Took, Took), (cpu, requests): &(f64, f64)) {
    let ms = |took: &Took, percent| float(percentile(&took.times, percent)) / 1_000.0;
    let count = applied.times.len() + applied.left;
    report.row(&format!(
        "| {what} | {count} | {:.1} | {:.1} | {:.1} | {:.1} | {} | {:.1} | {:.1} | {} | {cpu:.1} | {:.1} |",
        ms(applied, 50),
        ms(applied, 90),
        ms(applied, 99),
        ms(applied, 100),
        applied.left,
        ms(told, 50),
        ms(told, 99),
        told.left,
        requests / float(count as u64),
    ));
}
