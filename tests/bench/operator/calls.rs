//! What operators asked of the API server, from its audit log.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use fleetscope_tests::audit::{Log, Request};

use crate::figures::float;
use crate::process::{Operator, Way};
use crate::report::Report;
use crate::site::Site;

/// No write for so long is quiet.
const QUIET: Duration = Duration::from_secs(10);
/// How long it may take until it is.
const LIMIT: Duration = Duration::from_mins(15);
/// How often the log is read on.
const PERIOD: Duration = Duration::from_millis(20);

/// Reads the log on.
pub(crate) struct Calls(Log);

// === impl Calls ===

impl Calls {
    /// From now on.
    pub(crate) fn from_now() -> Self {
        let state = std::env::var("FLEETSCOPE_STATE").expect("FLEETSCOPE_STATE is set: make bench-operator");
        let mut log = Log::open(&PathBuf::from(state).join("log/audit.log"));
        log.skip().unwrap();
        Self(log)
    }

    /// What a user asked for since the last look.
    pub(crate) fn of(&mut self, user: &str) -> Vec<Request> {
        let mut requests = Vec::new();
        self.0.each(|request| requests.extend((request.user == user).then_some(request))).unwrap();
        requests
    }

    /// Waits until the users have written nothing for a while; what they wrote until then, with all else that they asked for.
    pub(crate) async fn quiet(&mut self, user: &str) -> Vec<Request> {
        let (mut all, mut last, start) = (Vec::new(), Instant::now(), Instant::now());
        while last.elapsed() < QUIET {
            assert!(start.elapsed() < LIMIT, "the operator has been writing for {LIMIT:?}");
            tokio::time::sleep(QUIET / 20).await;
            let new = self.of(user);
            if new.iter().any(counts) {
                last = Instant::now();
            }
            all.extend(new);
        }
        all
    }

    /// Waits for the first write of a user, and tells when it was seen.
    pub(crate) async fn first_write(&mut self, user: &str) -> (Request, Instant) {
        let start = Instant::now();
        loop {
            let first = self.of(user).into_iter().find(counts);
            if let Some(request) = first {
                return (request, Instant::now());
            }
            assert!(start.elapsed() < LIMIT, "{user} wrote nothing within {LIMIT:?}");
            tokio::time::sleep(PERIOD).await;
        }
    }
}

/// Whether a request is a write of objects, not one of the leader election.
pub(crate) fn counts(request: &Request) -> bool {
    request.writes() && request.resource != "leases"
}

/// Requests by verb and resource, as a cell: the most frequent first.
pub(crate) fn listed(requests: &[Request]) -> String {
    let mut kinds: BTreeMap<String, usize> = BTreeMap::new();
    for request in requests {
        *kinds.entry(format!("{} {}", request.verb, request.resource)).or_default() += 1;
    }
    let mut kinds: Vec<_> = kinds.into_iter().collect();
    kinds.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    kinds.iter().map(|(kind, count)| format!("{count} {kind}")).collect::<Vec<_>>().join(", ")
}

/// Counts what is asked when nothing happens.
pub(crate) async fn idle(site: &Site, report: &mut Report, operator: &Operator, way: Way) {
    let seconds = std::env::var("IDLE_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(120);
    let mut calls = Calls::from_now();
    calls.quiet(&operator.user).await;
    let cpu = operator.cpu();
    tokio::time::sleep(Duration::from_secs(seconds)).await;
    let (used, requests) = (operator.cpu() - cpu, calls.of(&operator.user));
    let (leases, other): (Vec<Request>, Vec<Request>) = requests.into_iter().partition(|r| r.resource == "leases");
    let minutes = float(seconds) / 60.0;
    let watches = other.iter().filter(|request| request.verb == "watch").count();
    let rest: Vec<Request> = other.into_iter().filter(|request| request.verb != "watch").collect();
    let per_minute = |count: usize| float(count as u64) / minutes;
    report.figures(way).idle = Some(per_minute(rest.len()));
    report.table("Idle", "| seconds | leader election, calls/min | watches begun anew, calls/min | all other calls/min | which | CPU, % of one | memory, MiB |");
    report.row(&format!(
        "| {seconds}{} | {:.1} | {:.1} | {:.1} | {} | {:.2} | {:.1} |",
        way.suffix(),
        per_minute(leases.len()),
        per_minute(watches),
        per_minute(rest.len()),
        listed(&rest),
        100.0 * used / float(seconds),
        operator.memory("VmRSS:"),
    ));
    report.note(&format!(
        "With {} fleets and {} pods that do not change. A watch is begun anew every five minutes.",
        site.fleets.len(),
        site.pods
    ));
}
