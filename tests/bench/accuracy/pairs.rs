//! Each client language against each server language, all four kinds of calls.

use std::fmt::Write as _;

use anyhow::Result;
use fleetscope_tests::peers::{Client, Language, Role, Server};

use crate::agent::Agent;
use crate::durations::{Measured, merge, of_method, together, told, unlike};
use crate::{Place, Summary};

/// What a client does one after the other: durations from a millisecond to half a second, all statuses, every second one of them without
/// headers before it, header blocks of up to 16 KiB each way, one to three connections with one to eight calls at once.
const ROUNDS: [&str; 4] = [
    "--kind unary,client,server,bidi --calls 102 --concurrency 8 --connections 3 --status mix --messages 3 --bytes 300 --delay-ms 1",
    "--kind unary,client,server,bidi --calls 34 --concurrency 8 --connections 2 --status mix --messages 5 --bytes 20000 --metadata-bytes 300 --delay-ms 8 --end-delay-ms 12",
    "--kind unary,client,server,bidi --calls 17 --concurrency 6 --connections 1 --status mix --messages 2 --metadata-bytes 16384 --delay-ms 40 --end-delay-ms 45",
    "--kind client,server,bidi --calls 8 --concurrency 8 --connections 2 --messages 4 --bytes 1000 --delay-ms 100 --end-delay-ms 300",
];

/// Kinds: what the table calls them, and their method.
const KINDS: [(&str, &str); 4] = [
    ("unary", "fleetscope.peers.v1.Peer/Unary"),
    ("client stream", "fleetscope.peers.v1.Peer/ClientStream"),
    ("server stream", "fleetscope.peers.v1.Peer/ServerStream"),
    ("bidi", "fleetscope.peers.v1.Peer/Bidi"),
];

/// The quantiles that are compared.
const QUANTILES: [f64; 2] = [0.5, 0.99];

/// Most milliseconds that the mean of a streaming call may be off.
const STREAM_MS: f64 = 5.0;

/// A table of all pairs.
pub(crate) fn table(agent: &Agent, place: &Place, languages: &[Language], summary: &mut Summary) -> Result<()> {
    println!(
        "| client, server | kind | calls | server's counts | client's counts | p50 agent, server | p99 agent, server | buckets apart: server, client | mean off, ms |"
    );
    println!("|---|---|---|---|---|---|---|---|---|");
    for client in languages {
        for server in languages {
            pair(agent, place, *client, *server, summary)?;
        }
    }
    summary.notes.extend(agent.scrape()?.doubts());
    Ok(())
}

fn pair(agent: &Agent, place: &Place, client: Language, server: Language, summary: &mut Summary) -> Result<()> {
    let (home, away) = (place.group("server"), place.group("client"));
    let mut serving = Server::start(server, Some(home.folder()), &[])?;
    let mut of_client = Measured::new();
    for round in ROUNDS {
        let arguments: Vec<&str> = round.split(' ').collect();
        let account = Client::run(client, Some(away.folder()), serving.address(), &arguments)?;
        merge(&mut of_client, &told(&account));
    }
    // For its own sake: what a server says on demand is what it says at its end, or less.
    serving.account()?;
    let of_server = told(&serving.stop()?);
    let (all_server, all_client) = (together(&of_server).count, together(&of_client).count);
    let scrape = agent.scrape_when(|scrape| {
        scrape.finished(&home.name, Role::Server) == all_server
            && scrape.finished(&away.name, Role::Client) == all_client
            && scrape.in_flight(&home.name) + scrape.in_flight(&away.name) == 0
    })?;
    let seen = [scrape.calls(&home.name, Role::Server), scrape.calls(&away.name, Role::Client)];
    let names = format!("{}, {}", client.name(), server.name());
    for (kind, method) in KINDS {
        let truth = [of_method(&of_server, method), of_method(&of_client, method)];
        let found = [of_method(&seen[0], method), of_method(&seen[1], method)];
        let verdicts = [0, 1].map(|side| unlike(&found[side], &truth[side]));
        let sums = [0, 1].map(|side| (together(&found[side]), together(&truth[side])));
        let mut cells = String::new();
        for quantile in QUANTILES {
            let [agent, server] = [&sums[0].0, &sums[0].1].map(|durations| durations.quantile(quantile) * 1e3);
            write!(cells, " {agent:.1}, {server:.1} ms |")?;
        }
        let apart = sums.each_ref().map(|(agent, peer)| {
            let distances = QUANTILES.map(|quantile| agent.bucket(quantile).abs_diff(peer.bucket(quantile)));
            distances.into_iter().max().unwrap_or(0)
        });
        let off = (sums[0].0.mean() - sums[0].1.mean()) * 1e3;
        let says = verdicts.each_ref().map(|verdict| if verdict.is_none() { "equal" } else { "DIFFER" });
        println!(
            "| {names} | {kind} | {} | {} | {} |{cells} {}, {} | {off:+.2} |",
            sums[0].1.count, says[0], says[1], apart[0], apart[1]
        );
        for (side, verdict) in ["server", "client"].iter().zip(verdicts) {
            summary.compared(verdict.map(|how| format!("{names}, {side}'s {how}")));
        }
        summary.calls += sums[0].1.count;
        summary.buckets_apart[0] = summary.buckets_apart[0].max(apart[0]);
        summary.buckets_apart[1] = summary.buckets_apart[1].max(apart[1]);
        if apart[0] > 1 || apart[1] > 1 {
            summary.notes.push(format!("{names}, {kind}: a quantile is {} and {} buckets apart", apart[0], apart[1]));
        }
        if kind != "unary" {
            summary.stream_ms = summary.stream_ms.max(off.abs());
            if off.abs() > STREAM_MS {
                summary.notes.push(format!("{names}, {kind}: the mean is off by {off:.1} ms"));
            }
        }
    }
    // What lies outside of the four methods must be nothing.
    for (side, found) in ["server", "client"].iter().zip(&seen) {
        let strange: Vec<_> =
            found.keys().filter(|(method, _)| KINDS.iter().all(|(_, known)| known != method)).collect();
        summary
            .compared((!strange.is_empty()).then(|| format!("{names}, {side}: calls that nobody made: {strange:?}")));
    }
    Ok(())
}
