//! Calls whose time is over.
//!
//! The end of such a call has two clocks: the client's, from when it makes the call, and the server's, from when it reads grpc-timeout. A client
//! whose own clock ends the call always says `DEADLINE_EXCEEDED`, and sends a reset. What a server says depends on whether its clock or that reset is
//! first, so both of its words are compared together. A server whose clock is first ends the call by itself, and then two clients do not always say
//! `DEADLINE_EXCEEDED`: to C-core a reset by the server is `CANCELLED` in the very millisecond of its own deadline, and tonic's server answers
//! `CANCELLED`. Of a server that is stopped there is no clock: there each status of its clients has to be the same.

use anyhow::Result;
use fleetscope_tests::peers::{Client, Language, Role, Server};

use super::{Compared, Scene, at_servers_end, late};
use crate::Summary;
use crate::durations::{Measured, together, told};

/// Calls of each kind, all at once; they would go on for longer than their time.
const PLAN: &str = "--kind unary,client,server,bidi --calls 20 --concurrency 20 --deadline-ms 500 --delay-ms 3000";

// === impl Scene ===

impl Scene<'_> {
    /// Both clocks go.
    pub(super) fn deadlines(self, client: Language, server: Language, summary: &mut Summary) -> Result<()> {
        let serving = Server::start(server, Some(self.home.folder()), &[])?;
        let mut calling = self.caller(client, &serving)?;
        let of_client = told(&calling.round()?);
        let of_server = at_servers_end(&self.name, serving, calling, &of_client)?;
        let unlike = client == Language::Python || server == Language::Rust;
        let of_clients = if unlike { Compared::Clocks } else { Compared::Each };
        self.finish([&of_server, &of_client], [Compared::Clocks, of_clients], "", summary)
    }

    /// The client's clock alone: the server is stopped when the connection stands, and reads nothing of the calls.
    pub(super) fn deadlines_of_clients(self, client: Language, server: Language, summary: &mut Summary) -> Result<()> {
        let serving = Server::start(server, Some(self.home.folder()), &[])?;
        let mut calling = self.caller(client, &serving)?;
        let stopped = self.home.stopped()?;
        let of_client = told(&calling.round()?);
        // Its resets are on the wire. A client that is gone before leaves a connection that was closed.
        let made = together(&of_client).count;
        self.agent.scrape_when(|scrape| scrape.finished(&self.away.name, Role::Client) == made)?;
        calling.stop()?;
        // It is killed as it stands.
        drop(serving);
        drop(stopped);
        let besides = format!("DEADLINE_EXCEEDED of clients: {}", late(&of_client));
        self.finish([&Measured::new(), &of_client], [Compared::Each; 2], &besides, summary)
    }

    fn caller(&self, client: Language, server: &Server) -> Result<Client> {
        let arguments: Vec<&str> = PLAN.split(' ').collect();
        Client::connect(client, Some(self.away.folder()), server.address(), &arguments)
    }
}
