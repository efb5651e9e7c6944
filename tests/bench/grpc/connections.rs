//! What the node agent needs for very many connections: memory and processor time, with nothing said on them and with a little.
//!
//! h2load opens a thousand connections a second, each of which makes a request at once and then one every 20 s: ten seconds of opening at 1,000
//! requests a second, ten seconds in which nothing is said, and again 1,000 requests a second over all connections.

use std::time::{Duration, Instant};

use fleetscope_ebpf::http2;
use fleetscope_tests::exposition::sum;

use crate::load::{File, arguments, url};
use crate::node_agent::{Mode, NodeAgent};
use crate::scene::{Scene, command, cpu};

const CONNECTIONS: u32 = 10_000;
/// Connections that h2load opens in a second.
const OPENED: u32 = 1_000;
/// Seconds between two requests of a connection: two phases.
const EVERY: f64 = 20.0;

pub(crate) fn print() {
    let (limit, _) = limits();
    // Some are of the program's own.
    let connections = CONNECTIONS.min(u32::try_from(limit.saturating_sub(200)).unwrap_or(u32::MAX));
    if connections < CONNECTIONS {
        println!("The limit of open files is {limit}: {connections} connections.\n");
    }
    println!(
        "| server | node agent | connections | state | memory of the node agent (RSS), MiB | more than at the start, bytes per connection | its own account, bytes \
         per connection | CPU of the node agent, % of one | calls counted in the phase |\n|---|---|---|---|---|---|---|---|---|"
    );
    for mode in [Mode::Sockets, Mode::Syscalls] {
        // The last one listed is the leaner one.
        let scene = Scene::new();
        let Some(serving) = scene.servers().pop() else { return };
        let Some(agent) = NodeAgent::start(&scene, mode) else { return };
        let idle = agent.settled();
        println!("| {} | {} | 0 | started | {idle:.1} | | | | |", serving.name, mode.name());
        let body = File::body();
        let mut h2load = command(&scene.client, "h2load");
        h2load.args(arguments(connections, u64::from(connections) * 3, &body)).arg(url(serving.server.address()));
        h2load.args(["-r", &OPENED.to_string(), "--rps", &(1.0 / EVERY).to_string()]);
        let mut child = h2load.spawn().unwrap();
        let phase = Duration::from_secs_f64(EVERY / 2.0);
        let begin = Instant::now();
        for (number, state) in (1..).zip(["opening, 1,000 calls/s", "nothing is said", "1,000 calls/s"]) {
            let counted = || sum(&agent.samples(), "rpc_server_call_duration_seconds_count", &[]);
            let calls = counted();
            let (used, start) = (cpu(&scene.agent), Instant::now());
            // The last fifth of a phase is left out: what is slow to open is in it.
            std::thread::sleep((begin + phase * (number - 1) + phase * 4 / 5).saturating_duration_since(start));
            let used = 100.0 * (cpu(&scene.agent) - used) / start.elapsed().as_secs_f64();
            std::thread::sleep((begin + phase * number).saturating_duration_since(Instant::now()));
            let samples = agent.samples();
            let held = sum(&samples, "fleetscope_rpc_connections", &[]);
            let own = sum(&samples, "fleetscope_rpc_state_bytes", &[]);
            let memory = agent.memory("VmRSS:");
            let calls = counted() - calls;
            println!(
                "| {} | {} | {held} | {state} | {memory:.1} | {:.0} | {:.0} | {used:.2} | {calls} |",
                serving.name,
                mode.name(),
                (memory - idle) * f64::from(1 << 20) / held.max(1.0),
                own / held.max(1.0),
            );
        }
        let _ = child.kill();
        let _ = child.wait();
        println!("| {} | {} | | peak | {:.1} | | | | |", serving.name, mode.name(), agent.memory("VmHWM:"));
    }
    println!(
        "\nThe server alone is observed. The first peak of a node agent is the loading of its programs. In the kernel a connection takes {} bytes of socket \
         storage, and the head of its element.",
        size_of::<http2::Connection>()
    );
}

/// Soft and hard limit of open files, which the programs that are started inherit; the script that starts this raises it.
fn limits() -> (u64, u64) {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    (limit.current.unwrap_or(u64::MAX), limit.maximum.unwrap_or(u64::MAX))
}
