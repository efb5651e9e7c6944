//! Are the books balanced: calls that were made beside those that were counted and those that are known to be lost.

use std::time::{Duration, Instant};

use fleetscope_tests::exposition::{Sample, matching, sum};

use crate::application::requests;
use crate::load::Load;
use crate::node_agent::{Mode, NodeAgent};
use crate::scene::{Scene, Serving};

const LOADS: [Load; 3] = [Load::TEN_THOUSAND, Load::HUNDRED_THOUSAND, Load::SATURATION];
/// How long a load goes on.
const TIME: Duration = Duration::from_secs(3);
/// What is late is waited for so long.
const LIMIT: Duration = Duration::from_secs(10);

/// What a node agent has counted, of both ends of all calls.
#[derive(Clone, Copy, Default)]
struct Books {
    server: f64,
    client: f64,
    lost: f64,
    /// Frames, closes and sockets that did not come up from the kernel.
    events: f64,
    in_flight: f64,
}

pub(crate) fn print() {
    let scene = Scene::new();
    let mut servers = scene.servers();
    println!(
        "| server | load | node agent | requests/s | calls, by the server's account | counted as server | counted as client | calls lost, both ends | \
         in flight | 2 x made - counted - lost | frames lost in the kernel |\n|---|---|---|---|---|---|---|---|---|---|---|"
    );
    let cases = [Mode::Sockets, Mode::Syscalls].into_iter().flat_map(|mode| LOADS.map(|load| (mode, load)));
    for (mode, load) in cases.chain([(Mode::Small, Load::SATURATION)]) {
        for serving in &mut servers {
            // A new one each time, so that none waits for the end of what an earlier one has lost.
            if let Some(agent) = NodeAgent::start(&scene, mode) {
                row(&scene, serving, &agent, mode, load);
            }
        }
    }
    println!(
        "\nBoth ends of each call are in observed groups on this machine, so each call is to be counted twice. A rate that h2load and the server cannot \
         make here is as fast as they get."
    );
}

fn row(scene: &Scene, serving: &mut Serving, agent: &NodeAgent, node_agent: Mode, load: Load) {
    let requests = requests(scene, serving, load, TIME);
    let (made, before) = (serving.made(), Books::of(&agent.samples()));
    let outcome = load.run(&scene.observed, serving.server.address(), requests);
    let start = Instant::now();
    let (made, mut found) = loop {
        let made = serving.made() - made;
        let found = Books::of(&agent.samples()).since(&before);
        if (made == requests && found.rest(made) <= 0.0) || start.elapsed() > LIMIT {
            break (made, found);
        }
        std::thread::sleep(Duration::from_millis(200));
    };
    // -0 looks like something.
    found.lost += 0.0;
    println!(
        "| {} | {} | {} | {:.0} | {made} | {} | {} | {} | {} | **{}** | {} |",
        serving.name,
        load.name,
        node_agent.name(),
        outcome.rate,
        found.server,
        found.client,
        found.lost,
        found.in_flight,
        found.rest(made),
        found.events,
    );
}

// === impl Books ===

impl Books {
    fn of(samples: &[Sample]) -> Self {
        let all = |name| sum(samples, name, &[]);
        let events = matching(samples, "fleetscope_events_lost_total", &[]);
        let http2 =
            events.filter(|sample| sample.labels.get("reason").is_some_and(|reason| reason.starts_with("http2")));
        Self {
            server: all("rpc_server_call_duration_seconds_count"),
            client: all("rpc_client_call_duration_seconds_count"),
            lost: all("fleetscope_rpc_calls_lost_total"),
            events: http2.map(|sample| sample.value).sum(),
            in_flight: all("fleetscope_rpc_calls_in_flight"),
        }
    }

    fn since(self, before: &Self) -> Self {
        Self {
            server: self.server - before.server,
            client: self.client - before.client,
            lost: self.lost - before.lost,
            events: self.events - before.events,
            in_flight: self.in_flight,
        }
    }

    /// Calls of either end that are neither counted nor lost.
    fn rest(&self, made: u64) -> f64 {
        2.0 * crate::figures::float(made) - self.server - self.client - self.lost
    }
}
