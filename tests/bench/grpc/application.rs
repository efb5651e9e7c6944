//! What a server and its clients notice of the node agent: the same load without it and with it, one after the other, in several rounds.

use std::collections::BTreeMap;
use std::time::Instant;

use crate::figures::{Figures, float};
use crate::load::{Load, Outcome};
use crate::node_agent::{Mode, NodeAgent};
use crate::scene::{Scene, Serving, cpu};

const MODES: [Mode; 3] = [Mode::Without, Mode::Sockets, Mode::Syscalls];
const LOADS: [Load; 3] = [Load::THOUSAND, Load::TEN_THOUSAND, Load::SATURATION];
const ROUNDS: usize = 3;
/// How long a load goes on.
const SECONDS: u32 = 3;
/// Requests of a trial. What is slower than these a second every machine makes.
const TRIAL: u64 = 10_000;

/// One load on one server.
struct Run {
    outcome: Outcome,
    /// Of the server, per 10,000 requests.
    server: f64,
    /// Percent of one processor.
    agent: f64,
}

/// By server, load and mode, in the order of the rounds.
type Runs = BTreeMap<(usize, usize, usize), Vec<Run>>;

pub(crate) fn print() {
    let scene = Scene::new();
    let servers = scene.servers();
    let requests: Vec<Vec<u64>> =
        servers.iter().map(|server| LOADS.map(|load| requests(&scene, server, load)).into()).collect();
    let mut runs = Runs::new();
    for round in 0..ROUNDS {
        for turn in 0..MODES.len() {
            // Each mode is first, in the middle and last once.
            let mode = (round + turn) % MODES.len();
            let _agent = NodeAgent::start(&scene, MODES[mode]);
            for (of, server) in servers.iter().enumerate() {
                for (at, load) in LOADS.iter().enumerate() {
                    let run = run(&scene, server, *load, requests[of][at]);
                    runs.entry((of, at, mode)).or_default().push(run);
                }
            }
        }
    }
    table(&servers, &runs);
}

/// How many requests a load is: what this machine makes of it in [`SECONDS`].
pub(crate) fn requests(scene: &Scene, server: &Serving, load: Load) -> u64 {
    let trial = || {
        let start = Instant::now();
        Load { rate: None, ..load }.run(&scene.client, server.server.address(), TRIAL);
        TRIAL * 1_000 / u64::try_from(start.elapsed().as_millis()).unwrap().max(1)
    };
    let rate = match load.rate.map(u64::from) {
        Some(rate) if rate <= TRIAL => rate,
        Some(rate) => rate.min(trial()),
        None => trial(),
    };
    rate * u64::from(SECONDS)
}

fn run(scene: &Scene, server: &Serving, load: Load, requests: u64) -> Run {
    let before = (cpu(&scene.server), cpu(&scene.agent));
    let start = Instant::now();
    let outcome = load.run(&scene.client, server.server.address(), requests);
    let wall = start.elapsed().as_secs_f64();
    let (own, agent) = (cpu(&scene.server) - before.0, cpu(&scene.agent) - before.1);
    Run { outcome, server: own * 10_000.0 / float(outcome.requests), agent: 100.0 * agent / wall }
}

fn table(servers: &[Serving], runs: &Runs) {
    println!(
        "| server | load | node agent | requests/s | server's CPU, s per 10,000 requests | latency: mean, us | p50, us | p99, us | CPU of the \
         node agent, % of one |\n|---|---|---|---|---|---|---|---|---|"
    );
    for (&(of, at, mode), own) in runs {
        let base = &runs[&(of, at, 0)];
        let cell = |figure: fn(&Run) -> f64, digits| {
            let of = |runs: &[Run]| Figures(runs.iter().map(figure).collect());
            if mode == 0 { of(own).cell(digits) } else { of(own).beside(&of(base), digits) }
        };
        let agent = Figures(own.iter().map(|run| run.agent).collect());
        println!(
            "| {} | {} | {} | {} | {} | {} | {} | {} | {} |",
            servers[of].name,
            LOADS[at].name,
            MODES[mode].name(),
            cell(|run| run.outcome.rate, 0),
            cell(|run| run.server, 3),
            cell(|run| run.outcome.mean, 0),
            cell(|run| run.outcome.p50, 0),
            cell(|run| run.outcome.p99, 0),
            if mode == 0 { String::new() } else { agent.cell(1) },
        );
    }
    println!(
        "\nMedian of {ROUNDS} rounds of {SECONDS} s (least to most), and in bold the median of each round's difference to the same round without a node \
         agent. The server alone is in an observed group; h2load, from outside, shares the processors with it. A server's processor time is its cgroup's, \
         the programs in the kernel included. Latency is h2load's, from the request's submission to the response's end."
    );
}
