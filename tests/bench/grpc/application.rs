//! What a server and its clients notice of the node agent: the same load on the same server without it and with it.
//!
//! One in a hundred of a server's processor time is far less than what a machine's moods change. So the server has one processor to itself and all else
//! another one; a slice of load is short; each slice with a node agent lies between two without, whose mean it is compared with, so that what changes
//! slowly is not in the difference; and of many such differences the table has the estimate and its interval. Beside it stands another figure
//! that owes nothing to the first: how long the programs ran by the kernel's own statistics.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use fleetscope_tests::exposition::sum;

use crate::figures::{change, float, median};
use crate::load::{Load, Outcome};
use crate::node_agent::{Mode, NodeAgent};
use crate::scene::{Scene, Serving, cpu, on, processors};
use crate::statistics::Statistics;

/// A round, in which each mode has a neighbour without a node agent on both sides.
const ROUND: [Mode; 5] = [Mode::Without, Mode::Sockets, Mode::Without, Mode::Syscalls, Mode::Without];
const ROUNDS: usize = 12;
/// In every how many rounds the programs are timed too.
const TIMED: usize = 4;
/// Loads, and in every how many rounds each is made: only of one there is a bar to resolve.
const LOADS: [(Load, usize); 3] = [(Load::THOUSAND, 4), (Load::TEN_THOUSAND, 1), (Load::SATURATION, 3)];
/// How long a load goes on.
const SLICE: Duration = Duration::from_millis(1_200);
/// Requests of a trial. What is slower than these a second every machine makes.
const TRIAL: u64 = 10_000;

/// One load on one server for the time of a slice.
struct Slice {
    outcome: Outcome,
    /// Seconds of the server, per 10,000 requests.
    server: f64,
    /// Percent of one processor.
    agent: f64,
}

/// What one server made of one load.
#[derive(Default)]
struct Runs {
    /// By the place in [`ROUND`], in the order of the rounds.
    slices: [Vec<Slice>; ROUND.len()],
    /// Seconds in the programs per 10,000 requests, by the place.
    programs: [Vec<f64>; ROUND.len()],
}

pub(crate) fn print() {
    let (own, others) = processors();
    let scene = Scene::new();
    let servers = on(&own, || scene.servers());
    on(&others, || compare(&scene, &servers));
}

fn compare(scene: &Scene, servers: &[Serving]) {
    let requests: Vec<_> =
        servers.iter().map(|server| LOADS.map(|(load, _)| requests(scene, server, load, SLICE))).collect();
    let mut all: BTreeMap<(usize, usize), Runs> = BTreeMap::new();
    for round in 0..ROUNDS {
        for (place, mode) in ROUND.into_iter().enumerate() {
            let agent = NodeAgent::start(scene, mode);
            for (of, server) in servers.iter().enumerate() {
                for (at, (load, _)) in LOADS.iter().enumerate().filter(|(_, (_, every))| round % every == 0) {
                    let runs = all.entry((of, at)).or_default();
                    let requests = requests[of][at];
                    runs.slices[place].push(Slice::of(scene, server, *load, requests));
                    if let (Some(agent), 0) = (&agent, round % TIMED) {
                        runs.programs[place].push(programs(scene, server, *load, requests, agent));
                    }
                }
            }
        }
    }
    table(servers, &all);
}

/// How many requests a load is: what this machine makes of it in that time.
pub(crate) fn requests(scene: &Scene, server: &Serving, load: Load, time: Duration) -> u64 {
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
    rate * u64::try_from(time.as_millis()).unwrap() / 1_000
}

/// Seconds in the node agent's programs per 10,000 requests. The statistics cost something themselves, so no slice is taken meanwhile.
fn programs(scene: &Scene, server: &Serving, load: Load, requests: u64, agent: &NodeAgent) -> f64 {
    let _statistics = Statistics::on();
    let ran = || sum(&agent.samples(), "fleetscope_bpf_run_time_seconds_total", &[]);
    let before = ran();
    load.run(&scene.client, server.server.address(), requests);
    (ran() - before) * 10_000.0 / float(requests)
}

// === impl Slice ===

impl Slice {
    fn of(scene: &Scene, server: &Serving, load: Load, requests: u64) -> Self {
        let before = (cpu(&scene.server), cpu(&scene.agent));
        let start = Instant::now();
        let outcome = load.run(&scene.client, server.server.address(), requests);
        let wall = start.elapsed().as_secs_f64();
        let (own, agent) = (cpu(&scene.server) - before.0, cpu(&scene.agent) - before.1);
        Self { outcome, server: own * 10_000.0 / float(outcome.requests), agent: 100.0 * agent / wall }
    }
}

// === impl Runs ===

impl Runs {
    /// A figure of each slice at a place.
    fn each(&self, place: usize, figure: fn(&Slice) -> f64) -> Vec<f64> {
        self.slices[place].iter().map(figure).collect()
    }

    /// The figure of a place: its median, and for a node agent's by how much it is more than its neighbours'.
    fn cell(&self, place: usize, digits: usize, figure: fn(&Slice) -> f64) -> String {
        let own = self.each(place, figure);
        let text = format!("{:.digits$}", median(&own));
        if ROUND[place] == Mode::Without {
            return text;
        }
        let neighbours = self.each(place - 1, figure).into_iter().zip(self.each(place + 1, figure));
        let base: Vec<f64> = neighbours.map(|(before, after)| f64::midpoint(before, after)).collect();
        format!("{text} {}", change(&own, &base))
    }
}

fn table(servers: &[Serving], all: &BTreeMap<(usize, usize), Runs>) {
    println!(
        "| server | load | node agent | slices | requests/s | server's CPU, s per 10,000 requests | time in the programs, % of that | latency: mean, us \
         | p50, us | p99, us | CPU of the node agent, % of one |\n|---|---|---|---|---|---|---|---|---|---|---|"
    );
    for (&(of, at), runs) in all {
        let server = median(&runs.each(0, |slice| slice.server));
        for (place, mode) in ROUND.into_iter().enumerate().filter(|(place, mode)| *place == 0 || *mode != Mode::Without)
        {
            let (programs, agent) = if mode == Mode::Without {
                (String::new(), String::new())
            } else {
                let agent = median(&runs.each(place, |slice| slice.agent));
                (format!("{:.1}", 100.0 * median(&runs.programs[place]) / server), format!("{agent:.1}"))
            };
            println!(
                "| {} | {} | {} | {} | {} | {} | {programs} | {} | {} | {} | {agent} |",
                servers[of].name,
                LOADS[at].0.name,
                mode.name(),
                runs.slices[place].len(),
                runs.cell(place, 0, |slice| slice.outcome.rate),
                runs.cell(place, 3, |slice| slice.server),
                runs.cell(place, 0, |slice| slice.outcome.mean),
                runs.cell(place, 0, |slice| slice.outcome.p50),
                runs.cell(place, 0, |slice| slice.outcome.p99),
            );
        }
    }
    println!(
        "\nMedians of slices of {:.1} s. In bold by how much a slice with a node agent is more than the mean of the two without one that lie around it: the \
         Hodges-Lehmann estimate of these differences, and its interval, which has the true value in it in 95 of 100 cases (of fewer than six slices \
         it is all there is). The server, which alone is in an observed group, has a processor to itself; h2load, from outside, and the node agent have the \
         others. A server's processor time is its cgroup's, the programs in the kernel included. *Time in the programs* is another estimate of \
         the same, by the kernel's statistics in slices of their own: of all programs of the node agent, also where h2load runs them, and with two reads of a clock \
         per run; what they push out of caches is not in it. Latency is h2load's, from the request's submission to the response's end.",
        SLICE.as_secs_f64()
    );
}
