//! What ends calls early, many calls at once, and what is no gRPC or cannot be read.

mod deadlines;

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use fleetscope_tests::peers::{Account, Client, Language, Role, Server};

use crate::agent::{Agent, Scrape};
use crate::durations::{Measured, together, told, unlike};
use crate::load::{Web, h2load, lacks};
use crate::{Own, Place, Summary};

/// Calls that end when their client wants.
const CANCELLATIONS: &str =
    "--kind unary,client,server,bidi --calls 20 --concurrency 20 --cancel-after-ms 150 --delay-ms 3000";
/// Calls on one connection, all at once.
const STREAMS: &str = "--kind bidi --calls 1000 --concurrency 1000 --connections 1 --delay-ms 1500 --messages 2";
/// Calls of h2load, on so many connections with so many at once.
const LOAD: [&str; 6] = ["-n", "10000", "-c", "4", "-m", "20"];
/// What makes h2load a client of gRPC: a body with a directive (`tests/peers/README.md`).
const DIRECTIVE: &str = "status=0 trailers_only=0 delay_ms=0 end_delay_ms=0 messages=1 bytes=0 metadata_bytes=0";

/// How long a server may take to know of all ends, and between two looks.
const LIMIT: Duration = Duration::from_secs(20);
const PERIOD: Duration = Duration::from_millis(20);

/// What of the statuses is compared.
#[derive(Clone, Copy, PartialEq)]
enum Compared {
    /// Each by itself.
    Each,
    /// `CANCELLED` and `DEADLINE_EXCEEDED` together: which of them it is depends on whose clock was first.
    Clocks,
}

/// Both ends of a scenario.
struct Scene<'a> {
    agent: &'a Agent,
    home: Own,
    away: Own,
    /// When the last row was printed, or the scene began.
    before: Scrape,
    name: String,
}

/// The table.
pub(crate) fn table(agent: &Agent, place: &Place, languages: &[Language], summary: &mut Summary) -> Result<()> {
    println!(
        "| scenario | client, server | server's calls: truth, agent | client's calls: truth, agent | counts | besides |"
    );
    println!("|---|---|---|---|---|---|");
    let scene = |name: String| Scene::new(agent, place, name);
    let crossed = [(Language::Go, Language::Python), (Language::Python, Language::Go)];
    let there = |pair: &(Language, Language)| languages.contains(&pair.0) && languages.contains(&pair.1);
    let same = languages.iter().map(|language| (*language, *language));
    let pairs: Vec<_> = same.chain(crossed.into_iter().filter(there)).collect();
    for (client, server) in &pairs {
        let names = format!("{}, {}", client.name(), server.name());
        scene(format!("deadlines | {names}"))?.deadlines(*client, *server, summary)?;
    }
    for (client, server) in &pairs {
        let names = format!("{}, {}", client.name(), server.name());
        scene(format!("cancellations | {names}"))?.cancellations(*client, *server, summary)?;
    }
    for (client, server) in &pairs {
        scene(format!("1,000 streams at once | {}, {}", client.name(), server.name()))?
            .many(*client, *server, summary)?;
    }
    if languages.contains(&Language::Go) {
        scene("TLS | go, go".to_owned())?.encrypted(summary)?;
    }
    if let Some(reason) = lacks(&["h2load", "nghttpd", "python3"]) {
        println!("\nskipped: load, HTTP/2 that is not gRPC, and HTTP/1.1: {reason}");
        return Ok(());
    }
    for server in languages {
        scene(format!("load | h2load, {}", server.name()))?.loaded(*server, summary)?;
    }
    let documents = std::env::temp_dir().join(format!("fleetscope-accuracy-{}", std::process::id()));
    std::fs::create_dir_all(&documents)?;
    std::fs::write(documents.join("page"), "x".repeat(3000))?;
    let result = scene("HTTP/2 that is not gRPC | h2load, nghttpd".to_owned())?
        .other_http2(&documents, languages[0], summary)
        .and_then(|()| scene("HTTP/1.1 | h2load, python".to_owned())?.http1(&documents, languages[0], summary));
    std::fs::remove_dir_all(&documents)?;
    result
}

// === impl Scene ===

impl<'a> Scene<'a> {
    fn new(agent: &'a Agent, place: &Place, name: String) -> Result<Self> {
        let (home, away) = (place.group("server"), place.group("client"));
        Ok(Self { agent, home, away, before: agent.scrape()?, name })
    }

    fn cancellations(mut self, client: Language, server: Language, summary: &mut Summary) -> Result<()> {
        let mut serving = Server::start(server, Some(self.home.folder()), &[])?;
        let arguments: Vec<&str> = CANCELLATIONS.split(' ').collect();
        let mut calling = Client::connect(client, Some(self.away.folder()), serving.address(), &arguments)?;
        let of_client = told(&calling.round()?);
        // A client that is gone before its resets are written leaves a connection that was closed.
        knows(&self.name, &mut serving, together(&of_client).count)?;
        calling.stop()?;
        let of_server = told(&serving.stop()?);
        self.finish([&of_server, &of_client], [Compared::Each; 2], "", summary)
    }

    fn many(mut self, client: Language, server: Language, summary: &mut Summary) -> Result<()> {
        let serving = Server::start(server, Some(self.home.folder()), &[])?;
        let arguments: Vec<&str> = STREAMS.split(' ').collect();
        let mut calling = Client::connect(client, Some(self.away.folder()), serving.address(), &arguments)?;
        calling.begin()?;
        let (agent, mut peak) = (self.agent, 0);
        // Until a look after the peak sees fewer of them.
        let account = std::thread::scope(|scope| {
            let round = scope.spawn(|| calling.finish());
            while !round.is_finished() {
                peak = agent.scrape()?.in_flight(&self.home.name).max(peak);
                std::thread::sleep(Duration::from_millis(100));
            }
            round.join().expect("it does not panic")
        })?;
        calling.stop()?;
        let (of_server, of_client) = (told(&serving.stop()?), told(&account));
        let besides = format!("at once, of the server: {peak}");
        self.finish([&of_server, &of_client], [Compared::Each; 2], &besides, summary)
    }

    fn encrypted(mut self, summary: &mut Summary) -> Result<()> {
        let serving = Server::start(Language::Go, Some(self.home.folder()), &["--tls"])?;
        let arguments = ["--tls", "--calls", "50", "--connections", "2"];
        let account = Client::run(Language::Go, Some(self.away.folder()), serving.address(), &arguments)?;
        assert_eq!(together(&told(&account)).count, 50);
        serving.stop()?;
        let marks = self.mark(Language::Go)?;
        let connections = self.grown("fleetscope_rpc_connections_opaque_total", &[("reason", "tls")])?;
        summary.compared((connections != 4).then(|| format!("{}: {connections} for 4 ends are opaque", self.name)));
        let besides = format!("50 calls on 2 connections; ends counted as `tls`: {connections}; then one in the clear");
        self.finish(marks.each_ref(), [Compared::Each; 2], &besides, summary)
    }

    fn loaded(mut self, server: Language, summary: &mut Summary) -> Result<()> {
        let serving = Server::start(server, Some(self.home.folder()), &[])?;
        let body = std::env::temp_dir().join(format!("fleetscope-accuracy-{}.body", std::process::id()));
        let line = format!("{DIRECTIVE}\n");
        let length = u32::try_from(line.len())?.to_be_bytes();
        std::fs::write(&body, [&[0][..], &length, line.as_bytes()].concat())?;
        let url = format!("http://{}/fleetscope.peers.v1.Peer/Unary", serving.address());
        let body_name = body.display().to_string();
        let headers = ["-d", &body_name, "-H", "content-type: application/grpc", "-H", "te: trailers", &url];
        let done = h2load(self.away.folder(), &[&LOAD[..], &headers].concat());
        std::fs::remove_file(&body)?;
        let done = done?;
        let of_server = told(&serving.stop()?);
        // h2load knows no status of gRPC: its calls are as many as it says, with the server's word.
        let statuses: Vec<_> = of_server.keys().cloned().collect();
        summary.compared((statuses.len() != 1).then(|| format!("{}: statuses {statuses:?}", self.name)));
        summary.compared((together(&of_server).count != done).then(|| format!("{}: h2load did {done}", self.name)));
        let lost: u64 = self.grown("fleetscope_rpc_calls_lost_total", &[])?;
        let besides = format!("counted as lost: {lost}");
        self.finish([&of_server, &of_server], [Compared::Each; 2], &besides, summary)
    }

    fn other_http2(mut self, documents: &Path, language: Language, summary: &mut Summary) -> Result<()> {
        let web = Web::nghttpd(self.home.folder(), documents)?;
        let url = format!("http://{}/page", web.address);
        let done = h2load(self.away.folder(), &[&LOAD[..], &[url.as_str()]].concat())?;
        drop(web);
        let marks = self.mark(language)?;
        let others = self.grown("fleetscope_rpc_other_requests_total", &[])?;
        summary.compared((others != 2 * done).then(|| format!("{}: {others} of {done} at both ends", self.name)));
        let besides = format!("{done} requests; counted as other requests at both ends: {others}; then one call");
        self.finish(marks.each_ref(), [Compared::Each; 2], &besides, summary)
    }

    fn http1(mut self, documents: &Path, language: Language, summary: &mut Summary) -> Result<()> {
        let web = Web::python(self.home.folder(), documents)?;
        let url = format!("http://{}/page", web.address);
        let done = h2load(self.away.folder(), &["--h1", "-n", "200", "-c", "4", &url])?;
        drop(web);
        let marks = self.mark(language)?;
        let others = self.grown("fleetscope_rpc_other_requests_total", &[])?;
        summary.compared((others != 0).then(|| format!("{}: {others} other requests", self.name)));
        let besides = format!("{done} requests; counted as other requests: {others}; then one call");
        self.finish(marks.each_ref(), [Compared::Each; 2], &besides, summary)
    }

    /// One call in the same groups. When the agent tells of it, it has told of all that was before.
    fn mark(&self, language: Language) -> Result<[Measured; 2]> {
        let serving = Server::start(language, Some(self.home.folder()), &[])?;
        let of_client = told(&Client::run(language, Some(self.away.folder()), serving.address(), &[])?);
        let of_server = told(&serving.stop()?);
        let (home, away) = (&self.home.name, &self.away.name);
        self.agent.scrape_when(|scrape| {
            scrape.finished(home, Role::Server) == 1 && scrape.finished(away, Role::Client) == 1
        })?;
        Ok([of_server, of_client])
    }

    /// By how much a counter of the agent's own has grown.
    fn grown(&self, name: &str, labels: &[(&str, &str)]) -> Result<u64> {
        Ok(self.agent.scrape()?.own(name, labels) - self.before.own(name, labels))
    }

    /// What the agent tells of the calls since the last row, when it has told of as many as the truth has.
    fn found(&mut self, truth: [&Measured; 2]) -> Result<[Measured; 2]> {
        let ends = [(&self.home.name, Role::Server), (&self.away.name, Role::Client)];
        let grown = |scrape: &Scrape| ends.map(|(pod, role)| scrape.grown(&self.before, pod, role));
        let all = truth.map(|truth| together(truth).count);
        let scrape = self.agent.scrape_when(|scrape| {
            grown(scrape).each_ref().map(|found| together(found).count) == all
                && ends.iter().all(|(pod, _)| scrape.in_flight(pod) == 0)
        })?;
        let found = grown(&scrape);
        self.before = scrape;
        Ok(found)
    }

    /// Compares, and prints the row.
    fn finish(
        &mut self,
        truth: [&Measured; 2],
        compared: [Compared; 2],
        besides: &str,
        summary: &mut Summary,
    ) -> Result<()> {
        let all = truth.map(|truth| together(truth).count);
        let found = self.found(truth)?;
        let (home, away) = (&self.home.name, &self.away.name);
        let mut good = true;
        for side in [0, 1] {
            let [agent, peer] = [&found[side], truth[side]].map(|of| joined(of, compared[side]));
            let difference = unlike(&agent, &peer);
            good &= difference.is_none();
            let which = ["server", "client"][side];
            summary.compared(difference.map(|how| format!("{}, {which}: {how}", self.name)));
        }
        // Nobody is a server in a client's place, or the other way round.
        let strange = self.before.finished(home, Role::Client) + self.before.finished(away, Role::Server);
        summary.compared((strange > 0).then(|| format!("{}: {strange} calls in the wrong role", self.name)));
        let split = if compared[0] == Compared::Clocks {
            format!(
                "DEADLINE_EXCEEDED of servers: truth {}, agent {}; of clients: truth {}, agent {}",
                late(truth[0]),
                late(&found[0]),
                late(truth[1]),
                late(&found[1])
            )
        } else {
            besides.to_owned()
        };
        let counts = [0, 1].map(|side| format!("{}, {}", all[side], together(&found[side]).count));
        println!(
            "| {} | {} | {} | {} | {split} |",
            self.name,
            counts[0],
            counts[1],
            if good { "equal" } else { "DIFFER" }
        );
        summary.calls += all[0].max(all[1]);
        Ok(())
    }
}

/// The server's account as soon as it knows of so many ends.
fn knows(scene: &str, server: &mut Server, ends: u64) -> Result<Account> {
    let start = Instant::now();
    loop {
        let account = server.account()?;
        if together(&told(&account)).count >= ends {
            return Ok(account);
        }
        ensure!(start.elapsed() < LIMIT, "{scene}: the server does not know of all ends");
        std::thread::sleep(PERIOD);
    }
}

/// Statuses that are compared together are one.
fn joined(all: &Measured, compared: Compared) -> Measured {
    if compared == Compared::Each {
        return all.clone();
    }
    let mut sums = Measured::new();
    for ((method, status), durations) in all {
        let timer = ["CANCELLED", "DEADLINE_EXCEEDED"].contains(&status.as_str());
        let status = if timer { "CANCELLED or DEADLINE_EXCEEDED" } else { status };
        sums.entry((method.clone(), status.to_owned())).or_default().add(durations);
    }
    sums
}

/// How many calls ended as their time was over.
fn late(all: &Measured) -> u64 {
    all.iter().filter(|((_, status), _)| status == "DEADLINE_EXCEEDED").map(|(_, durations)| durations.count).sum()
}
