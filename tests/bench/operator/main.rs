//! What the operator does with many fleets on a real API server: markdown tables on standard output, one section per argument, or all without any.
//!
//! - `start`: from no children to all Ready, and from all children there to all looked at; memory, processor time, calls
//! - `idle`: calls to the API server when nothing happens
//! - `edits`: from an edit of a fleet to the change in its child; and, before and after it, how long the same writes take without an operator
//! - `failover`: from the end of a leader to the first write of the next one
//! - `late`: prometheus-operator's kinds come when all fleets are there
//! - `faults`: all of these but `late` while 5 % of the requests fail; edits and idling where all watches expire besides
//!
//! `FLEETS` (5000) in namespaces of fifty; one pod per fleet on the fake nodes that are there. One `AlertPolicy` and one `ScrapePolicy` per namespace
//! where these kinds are installed. The operator is `FLEETSCOPE_OPERATOR`, as a process of this machine, under service accounts with the chart's own roles;
//! what it asked of the API server is from the audit log. Nothing here asserts a time: the figures are the machine's.
#![expect(clippy::print_stdout, reason = "the tables are what it is for")]
#![expect(clippy::print_stderr, reason = "how far it is")]
#![expect(clippy::unwrap_used, reason = "all of it is test code")]

#[path = "../grpc/figures.rs"]
#[expect(dead_code, reason = "the bench of gRPC uses more of it")]
mod figures;

mod calls;
mod editor;
mod edits;
mod failover;
mod fleets;
mod followed;
mod objects;
mod process;
mod report;
mod site;
mod start;

use std::time::Instant;

use process::Way;
use report::Report;
use site::Site;

const SECTIONS: [&str; 6] = ["start", "idle", "edits", "failover", "late", "faults"];

#[tokio::main]
async fn main() {
    // cargo adds `--bench`.
    let asked: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with("--")).collect();
    for name in &asked {
        assert!(SECTIONS.contains(&name.as_str()), "unknown section {name}");
    }
    check_12_thousands_of_fleets(&asked).await;
}

/// The sections that are asked for, or all. (The twelfth of the operator's checks, docs/development.md.)
async fn check_12_thousands_of_fleets(asked: &[String]) {
    let wants = |name: &str| asked.is_empty() || asked.iter().any(|other| other == name);
    let begun = Instant::now();
    let count = std::env::var("FLEETS").ok().filter(|text| !text.is_empty());
    let site = Site::open(count.map_or(5_000, |text| text.parse().expect("FLEETS is a number"))).await;
    let mut report = Report::new(&site).await;
    eprintln!("operator: {} fleets after {:.0} s", site.fleets.len(), begun.elapsed().as_secs_f64());
    // The first one is what the others go on from.
    let mut operator = start::cold(&site, &mut report, "nothing there", Way::Straight).await;
    for name in &SECTIONS[..5] {
        let start = Instant::now();
        match *name {
            _ if !wants(name) => continue,
            "start" => operator = start::again(&site, &mut report, operator, Way::Straight).await,
            "idle" => calls::idle(&site, &mut report, &operator, Way::Straight).await,
            "edits" => operator = edits::beside_none(&site, &mut report, operator).await,
            "failover" => operator = failover::measure(&site, &mut report, operator, Way::Straight).await,
            _ => operator = start::late(&site, &mut report, operator).await,
        }
        eprintln!("operator: {name} after {:.0} s", start.elapsed().as_secs_f64());
    }
    operator.end().await;
    if wants("faults") {
        let start = Instant::now();
        start::with_faults(&site, &mut report).await;
        eprintln!("operator: faults after {:.0} s", start.elapsed().as_secs_f64());
    }
    report.print();
    std::fs::remove_dir_all(&site.folder).unwrap();
    eprintln!("operator: all after {:.0} s", begun.elapsed().as_secs_f64());
}
