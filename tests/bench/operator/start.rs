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
    row(site, report, &format!("{how}{}", way.suffix()), (since(first), since(last)), &requests, &operator).await;
    operator
}

async fn row(
    site: &Site,
    report: &mut Report,
    how: &str,
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
        "| {how} | {first:.1} | {last:.1} | {:.0} | {} | {} | {writes} | {} | {:.1} | {:.1} | {:.1} |",
        float(site.fleets.len() as u64) / (last - first).max(0.001),
        children.join(", "),
        requests.len(),
        listed(requests).split(", ").take(4).collect::<Vec<_>>().join(", "),
        operator.cpu(),
        operator.memory("VmRSS:"),
        operator.memory("VmHWM:"),
    ));
    report.memory = report.memory.max(operator.memory("VmRSS:"));
    report.peak = report.peak.max(operator.memory("VmHWM:"));
}

/// Stops the operator and starts another one, which finds all that there is to make.
pub(crate) async fn again(site: &Site, report: &mut Report, before: Operator, way: Way) -> Operator {
    before.end().await;
    let mut calls = Calls::from_now();
    let operator = Operator::start(&site.account(), way).await;
    operator.ready().await;
    let ready = operator.started.elapsed().as_secs_f64();
    operator.reconciled(site.fleets.len()).await;
    let all = operator.started.elapsed().as_secs_f64();
    let requests = calls.quiet(&operator.user).await;
    let how = format!("all children: looked at, nothing to write{}", way.suffix());
    row(site, report, &how, (ready, all), &requests, &operator).await;
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
    row(site, report, "the same process, when these kinds were installed", (0.0, took), &requests, &operator).await;
    operator
}

/// All of it but `late`, behind proxies at which requests fail.
pub(crate) async fn with_faults(site: &Site, report: &mut Report) {
    let way = Way::Faulty;
    fleets::reset(site).await;
    let operator = cold(site, report, "nothing", way).await;
    edits::measure(site, report, &operator, way).await;
    let counts = operator.faults();
    let faults: Vec<String> = counts.faults.iter().map(|(fault, count)| format!("{count} {fault}")).collect();
    report.note(&format!(
        "Of {} requests of the operator that is told to have faults, these failed: {}. Every watch ended with 410 Gone after 10 to 50 s.",
        counts.requests,
        faults.join(", ")
    ));
    let operator = again(site, report, operator, way).await;
    calls::idle(site, report, &operator, way).await;
    failover::measure(site, report, operator, way).await.end().await;
}
