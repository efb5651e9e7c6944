//! From a start to all fleets Ready: with nothing there, with all there, without prometheus-operator's kinds at first, with requests that fail.

use std::time::{Duration, Instant};

use fleetscope_tests::audit::Request;
use fleetscope_tests::cluster::kubectl;

use crate::calls::{Calls, counts, listed};
use crate::figures::float;
use crate::process::{Operator, Way};
use crate::report::Report;
use crate::site::{Site, install_monitoring};
use crate::{calls, edits, failover, fleets, objects};

/// How long it may take until all fleets are Ready.
const LIMIT: Duration = Duration::from_mins(15);
const KINDS: [&str; 5] = ["podmonitors", "servicemonitors", "prometheusrules", "scrapeconfigs", "alertmanagerconfigs"];

/// Starts an operator that finds fleets, and nothing of what it makes.
pub(crate) async fn cold(site: &Site, report: &mut Report, how: &str, way: Way) -> Operator {
    site.followed.begin();
    let mut calls = Calls::from_now();
    let operator = Operator::start(&site.account(), way).await;
    let (first, last) = site.followed.ready(site.fleets.len(), LIMIT).await;
    let requests = calls.quiet(&operator.user).await;
    let since = |moment: Option<Instant>| moment.map_or(0.0, |moment| (moment - operator.started).as_secs_f64());
    row(site, report, (how, way), (since(first), since(last)), &requests, &operator).await;
    operator
}

async fn row(
    site: &Site,
    report: &mut Report,
    (how, way): (&str, Way),
    (first, last): (f64, f64),
    requests: &[Request],
    operator: &Operator,
) {
    let children = objects::children(&site.cluster).await;
    let children: Vec<String> = children.iter().map(|(kind, count)| format!("{count} {kind}")).collect();
    let writes = requests.iter().filter(|request| counts(request)).count();
    report.table(
        "Start",
        "| what is there | first fleet Ready, s | all, s | fleets/s | children | requests | of these writes | most of them | CPU, s | memory after, MiB | peak |",
    );
    report.row(&format!(
        "| {how}{} | {first:.1} | {last:.1} | {:.0} | {} | {} | {writes} | {} | {:.1} | {:.1} | {:.1} |",
        way.suffix(),
        float(site.fleets.len() as u64) / (last - first).max(0.001),
        children.join(", "),
        requests.len(),
        listed(requests).split(", ").take(4).collect::<Vec<_>>().join(", "),
        operator.cpu(),
        operator.memory("VmRSS:"),
        operator.memory("VmHWM:"),
    ));
    let figures = report.figures(way);
    figures.memory = figures.memory.max(operator.memory("VmRSS:"));
    figures.peak = figures.peak.max(operator.memory("VmHWM:"));
}

/// Starts an operator that finds all there, and waits until it has looked at it.
pub(crate) async fn fresh(site: &Site) -> Operator {
    let operator = Operator::start(&site.account(), Way::Straight).await;
    operator.ready().await;
    operator.reconciled(site.fleets.len()).await;
    Calls::from_now().quiet(&operator.user).await;
    operator
}

/// Stops the operator when it has nothing left to do, and starts another one, which finds all that there is to make.
pub(crate) async fn again(site: &Site, report: &mut Report, before: Operator, way: Way) -> Operator {
    Calls::from_now().quiet(&before.user).await;
    before.end().await;
    let mut calls = Calls::from_now();
    let operator = Operator::start(&site.account(), way).await;
    operator.ready().await;
    let ready = operator.started.elapsed().as_secs_f64();
    operator.reconciled(site.fleets.len()).await;
    let all = operator.started.elapsed().as_secs_f64();
    let requests = calls.quiet(&operator.user).await;
    row(site, report, ("all children: looked at, nothing to write", way), (ready, all), &requests, &operator).await;
    report.note("A start with all children there: in the place of Ready stands that the operator is ready, and that it has looked at all fleets. Memory is the process's resident set when nothing has been written for ten seconds.");
    operator
}

/// Starts without prometheus-operator's kinds, which come when all fleets are there.
pub(crate) async fn late(site: &Site, report: &mut Report, before: Operator) -> Operator {
    before.end().await;
    let kinds = KINDS.map(|kind| format!("{kind}.monitoring.coreos.com"));
    let mut delete = vec!["delete", "crd", "--ignore-not-found"];
    delete.extend(kinds.iter().map(String::as_str));
    kubectl(&delete).unwrap();
    fleets::reset(site).await;
    let operator = cold(site, report, "nothing, and no kind of prometheus-operator", Way::Straight).await;
    let mut calls = Calls::from_now();
    let installed = Instant::now();
    install_monitoring();
    let last = site.followed.scraped_by("PodMonitor", site.fleets.len(), LIMIT).await;
    let took = last.map_or(0.0, |last| (last - installed).as_secs_f64());
    let requests = calls.quiet(&operator.user).await;
    row(
        site,
        report,
        ("the same process, when these kinds were installed", Way::Straight),
        (0.0, took),
        &requests,
        &operator,
    )
    .await;
    operator
}

/// All of it but `late`, behind proxies at which requests fail; and edits and idling where all watches expire, besides.
pub(crate) async fn with_faults(site: &Site, report: &mut Report) {
    fleets::reset(site).await;
    let operator = cold(site, report, "nothing", Way::Faulty).await;
    edits::measure(site, report, &operator, Way::Faulty).await;
    told(report, &operator, Way::Faulty);
    let operator = again(site, report, operator, Way::Faulty).await;
    calls::idle(site, report, &operator, Way::Faulty).await;
    let operator = failover::measure(site, report, operator, Way::Faulty).await;
    let operator = again(site, report, operator, Way::Expiring).await;
    edits::measure(site, report, &operator, Way::Expiring).await;
    told(report, &operator, Way::Expiring);
    calls::idle(site, report, &operator, Way::Expiring).await;
    operator.end().await;
}

fn told(report: &mut Report, operator: &Operator, way: Way) {
    let counts = operator.faults();
    let faults: Vec<String> = counts.faults.iter().map(|(fault, count)| format!("{count} {fault}")).collect();
    let watches = match way {
        Way::Expiring => " Every watch ended with 410 Gone after 10 to 50 s.",
        _ => "",
    };
    report.note(&format!(
        "Of {} requests of the operator in the rows \"{}\", these failed: {}.{watches}",
        counts.requests,
        way.suffix().trim_start_matches("; "),
        faults.join(", ")
    ));
}
