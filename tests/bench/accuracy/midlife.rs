//! Connections that were opened and used before the agent came.

use anyhow::Result;
use fleetscope_core::metrics::OTHER;
use fleetscope_core::rpc::Loss;
use fleetscope_tests::peers::{Account, Client, Language, Role, Server, difference};

use crate::agent::{Agent, Scrape};
use crate::durations::{Measured, merge, together, told, unlike};
use crate::{Own, Place, Summary};

/// A round: five names, so that a wrong one shows.
const ROUND: [&str; 8] = ["--calls", "60", "--methods", "5", "--connections", "2", "--concurrency", "4"];

/// A pair that was at work before the agent.
struct Couple {
    language: Language,
    home: Own,
    away: Own,
    server: Server,
    client: Client,
    /// Its calls before the agent.
    before: Account,
}

/// What the agent saw of one end of one round.
struct Seen {
    /// Finished, with any name and status.
    finished: u64,
    /// With a name.
    named: u64,
    /// With a name that so many calls did not have.
    wrong: u64,
}

/// The table.
pub(crate) fn table(
    start: &dyn Fn() -> Result<Agent>,
    place: &Place,
    languages: &[Language],
    summary: &mut Summary,
) -> Result<()> {
    println!(
        "| client, server | end | calls on connections older than the agent | finished | named | unnamed | wrong names | lost at both ends | after a reconnect: calls, named |"
    );
    println!("|---|---|---|---|---|---|---|---|---|");
    let server = *languages.first().expect("there is one");
    let mut couples = Vec::new();
    for language in languages {
        let (home, away) = (place.group("server"), place.group("client"));
        let server = Server::start(server, Some(home.folder()), &[])?;
        let mut client = Client::connect(*language, Some(away.folder()), server.address(), &ROUND)?;
        let before = client.round()?;
        couples.push(Couple { language: *language, home, away, server, client, before });
    }
    let agent = start()?;
    for couple in couples {
        couple.measure(&agent, server, summary)?;
    }
    Ok(())
}

// === impl Couple ===

impl Couple {
    fn measure(mut self, agent: &Agent, server: Language, summary: &mut Summary) -> Result<()> {
        let names = format!("{}, {}", self.language.name(), server.name());
        let before = agent.scrape()?;
        let known = self.client.round()?;
        let truth = told(&difference(&known, &self.before));
        let calls = together(&truth).count;
        let ends = [(self.home.name.clone(), Role::Server), (self.away.name.clone(), Role::Client)];
        // Each call at each end has finished, or is counted as lost.
        let lost = |scrape: &Scrape| scrape.own("fleetscope_rpc_calls_lost_total", &[]);
        let lost_before = lost(&before);
        let old = agent.scrape_when(|scrape| {
            let finished: u64 = ends.iter().map(|(pod, role)| scrape.finished(pod, *role)).sum();
            finished + lost(scrape) - lost_before == 2 * calls
        })?;
        let unnamed_before = before.own("fleetscope_rpc_unnamed_calls_total", &[("reason", "joined")]);
        let unnamed = old.own("fleetscope_rpc_unnamed_calls_total", &[("reason", "joined")]) - unnamed_before;
        let lost: Vec<(&str, u64)> = Loss::ALL
            .iter()
            .map(|loss| {
                let labels = [("reason", loss.as_str())];
                let name = "fleetscope_rpc_calls_lost_total";
                (loss.as_str(), old.own(name, &labels) - before.own(name, &labels))
            })
            .filter(|(_, count)| *count > 0)
            .collect();
        let lost_all: u64 = lost.iter().map(|(_, count)| count).sum();
        let lost_text: Vec<String> = lost.iter().map(|(reason, count)| format!("{count} {reason}")).collect();
        let lost_text = if lost.is_empty() { "0".to_owned() } else { lost_text.join(", ") };
        self.client.stop()?;
        let again = Client::run(self.language, Some(self.away.folder()), self.server.address(), &ROUND)?;
        let fresh_truth = told(&again);
        let fresh_calls = together(&fresh_truth).count;
        let fresh = agent.scrape_when(|scrape| {
            ends.iter().all(|(pod, role)| scrape.finished(pod, *role) == old.finished(pod, *role) + fresh_calls)
        })?;
        let mut made = told(&known);
        merge(&mut made, &fresh_truth);
        summary.compared(
            unlike(&told(&self.server.stop()?), &made).map(|how| format!("{names}, server and client: {how}")),
        );
        let (mut not_named, mut not_finished) = (0, 0);
        for (pod, role) in &ends {
            let which = if *role == Role::Server { "server" } else { "client" };
            let seen = Seen::of(&old.calls(pod, *role), &truth);
            let new = Seen::of(&fresh.grown(&old, pod, *role), &fresh_truth);
            not_named += seen.finished - seen.named;
            println!(
                "| {names} | {which} | {calls} | {} | {} | {} | {} | {lost_text} | {fresh_calls}, {} |",
                seen.finished,
                seen.named,
                seen.finished - seen.named,
                seen.wrong,
                new.named - new.wrong,
            );
            let what = format!("{names}, {which}");
            not_finished += calls - seen.finished;
            summary
                .compared((seen.finished != calls).then(|| format!("{what}: {} of {calls} finished", seen.finished)));
            summary.compared((seen.wrong > 0).then(|| format!("{what}: {} wrong names", seen.wrong)));
            if self.language == Language::Rust {
                summary.compared((seen.named != calls).then(|| format!("{what}: {} of {calls} are named", seen.named)));
            }
            let all = new.finished == fresh_calls && new.named == fresh_calls && new.wrong == 0;
            summary.compared(
                (!all).then(|| format!("{what}: {} of {fresh_calls} are named after the reconnect", new.named)),
            );
            summary.calls += calls + fresh_calls;
        }
        // Of a call at the kernel's first look at a connection the begin may be missing: it has no duration, and is counted all the same.
        summary.compared(
            (lost_all != not_finished)
                .then(|| format!("{names}: {not_finished} calls did not finish, {lost_all} are counted as lost")),
        );
        summary.compared(
            (unnamed != not_named).then(|| format!("{names}: {not_named} unnamed, {unnamed} counted by reason")),
        );
        Ok(())
    }
}

// === impl Seen ===

impl Seen {
    fn of(agent: &Measured, truth: &Measured) -> Self {
        let method = |all: &Measured, name: &str| -> u64 {
            all.iter().filter(|((method, _), _)| method == name).map(|(_, durations)| durations.count).sum()
        };
        let mut methods: Vec<&String> = agent.keys().map(|(name, _)| name).filter(|name| *name != OTHER).collect();
        methods.dedup();
        let wrong = methods.iter().map(|name| method(agent, name).saturating_sub(method(truth, name))).sum();
        let named = methods.iter().map(|name| method(agent, name)).sum();
        Self { finished: together(agent).count, named, wrong }
    }
}
