//! Calls whose time is over.
//!
//! The end of such a call has two clocks: the client's, from when it makes the call, and the server's, from when it reads grpc-timeout. A client
//! whose own clock ends the call always says DEADLINE_EXCEEDED, and sends a reset. What a server says depends on whether its clock or that reset is
//! first, so both of its words are compared together. A server whose clock is first ends the call by itself, and then two clients do not always say
//! DEADLINE_EXCEEDED: to C-core a reset by the server is CANCELLED in the very millisecond of its own deadline, and tonic's server answers
//! CANCELLED. Where the server is stopped while time passes, only the client's clock is left: there each status has to be the same.

use anyhow::{Result, ensure};
use fleetscope_tests::peers::{Client, Language, Role, Server};

use super::{Compared, Scene, at_servers_end};
use crate::Summary;
use crate::agent::Scrape;
use crate::durations::told;

/// Calls of each kind, all at once, one kind after the other. They would go on for longer than their time.
const CALLS: u64 = 20;
const PLAN: &str = "--kind unary,client,server,bidi --calls 20 --concurrency 20 --delay-ms 3000 --deadline-ms";
/// While both clocks go.
const BOTH: &str = "500";
/// Within it the server has to have all calls of a kind, so that it can be stopped.
const ALONE: &str = "1000";

// === impl Scene ===

impl Scene<'_> {
    /// Both clocks go.
    pub(super) fn deadlines(self, client: Language, server: Language, summary: &mut Summary) -> Result<()> {
        let serving = Server::start(server, Some(self.home.folder()), &[])?;
        let mut calling = self.caller(client, &serving, BOTH)?;
        let of_client = told(&calling.round()?);
        let of_server = at_servers_end(&self.name, serving, calling, &of_client)?;
        let unlike = client == Language::Python || server == Language::Rust;
        let of_clients = if unlike { Compared::Clocks } else { Compared::Each };
        self.finish([&of_server, &of_client], [Compared::Clocks, of_clients], "", summary)
    }

    /// The client's clock alone.
    pub(super) fn deadlines_of_clients(self, client: Language, server: Language, summary: &mut Summary) -> Result<()> {
        let serving = Server::start(server, Some(self.home.folder()), &[])?;
        let mut calling = self.caller(client, &serving, ALONE)?;
        calling.begin()?;
        let ended = |scrape: &Scrape| {
            [scrape.finished(&self.home.name, Role::Server), scrape.finished(&self.away.name, Role::Client)]
        };
        for before in [0, 1, 2, 3].map(|kinds| kinds * CALLS) {
            self.agent
                .scrape_when(|scrape| ended(scrape) == [before; 2] && scrape.in_flight(&self.home.name) == CALLS)?;
            let _stopped = self.home.stopped()?;
            let at_stop = ended(&self.agent.scrape()?);
            ensure!(
                at_stop == [before; 2],
                "{}: of {before} calls have ended {at_stop:?} when the server was stopped",
                self.name
            );
            self.agent.scrape_when(|scrape| ended(scrape)[1] == before + CALLS)?;
        }
        let of_client = told(&calling.finish()?);
        let of_server = at_servers_end(&self.name, serving, calling, &of_client)?;
        self.finish([&of_server, &of_client], [Compared::Clocks, Compared::Each], "", summary)
    }

    fn caller(&self, client: Language, server: &Server, milliseconds: &str) -> Result<Client> {
        let arguments: Vec<&str> = PLAN.split(' ').chain([milliseconds]).collect();
        Client::connect(client, Some(self.away.folder()), server.address(), &arguments)
    }
}
