//! Calls whose time is over.
//!
//! The end of such a call has two clocks: the client's, from when it makes the call, and the server's, from when it reads grpc-timeout. A client
//! whose own clock ends the call always says `DEADLINE_EXCEEDED`, and sends a reset. What a server says depends on whether its clock or that reset is
//! first, so both of its words are compared together. A server whose clock is first ends the call by itself, and then two clients do not always say
//! `DEADLINE_EXCEEDED`: to C-core a reset by the server is `CANCELLED` in the very millisecond of its own deadline, and tonic's server answers
//! `CANCELLED`. Of a server that is stopped there is no clock: there each status of its clients has to be the same.

use anyhow::Result;
use fleetscope_tests::peers::{Client, Language, Server, difference};

use super::{Compared, Scene, knows, late};
use crate::Summary;
use crate::durations::{Measured, together, told};

/// Calls of each kind, all at once; they would go on for longer than their time.
const PLAN: &str = "--kind unary,client,server,bidi --calls 20 --concurrency 20 --deadline-ms 500 --delay-ms 3000";

// === impl Scene ===

impl Scene<'_> {
    /// Three rounds of the same calls: one that is not compared, as a program's first calls may be written long after their grpc-timeout (a JVM
    /// loads its classes meanwhile); one while both clocks go; and one with a server that is stopped, which reads nothing of it.
    pub(super) fn deadlines(mut self, client: Language, server: Language, summary: &mut Summary) -> Result<()> {
        let mut serving = Server::start(server, Some(self.home.folder()), &[])?;
        let arguments: Vec<&str> = PLAN.split(' ').collect();
        let mut calling = Client::connect(client, Some(self.away.folder()), serving.address(), &arguments)?;
        let first = calling.round()?;
        let first_there = knows(&self.name, &mut serving, together(&told(&first)).count)?;
        self.found([&told(&first_there), &told(&first)])?;

        let second = calling.round()?;
        let second_there = knows(&self.name, &mut serving, together(&told(&second)).count)?;
        let truth = [told(&difference(&second_there, &first_there)), told(&difference(&second, &first))];
        let unlike = client == Language::Python || server == Language::Rust;
        let of_clients = if unlike { Compared::Clocks } else { Compared::Each };
        self.finish(truth.each_ref(), [Compared::Clocks, of_clients], "", summary)?;

        self.name = self.name.replacen("deadlines", "deadlines, server stopped", 1);
        let _stopped = self.home.stopped()?;
        let of_client = told(&difference(&calling.round()?, &second));
        let besides = format!("DEADLINE_EXCEEDED of clients: {}", late(&of_client));
        // The agent has seen all resets then: a client that is gone before leaves a connection that was closed.
        self.finish([&Measured::new(), &of_client], [Compared::Each; 2], &besides, summary)?;
        calling.stop()
    }
}
