//! An agent as far as calls go: its probes, and what it knows; and what outlives it.

use std::path::PathBuf;

use aya::maps::{Array, Map, MapData};
use fleetscope_ebpf::http2::frame::{flag, kind};
use fleetscope_ebpf::{pulse, verdict};
use fleetscope_node_agent::engine::restart::{self, Restart};
use fleetscope_node_agent::probes::programs::RPC;
use fleetscope_node_agent::probes::{Options, Rpc};

use crate::bpffs::Bpffs;
use crate::calls::Calls;
use crate::group::Group;
use crate::http2::{Connection, PLAIN, frame, response};
use crate::session::Session;

/// How many pins a complete agent has: ten maps, the checkpoint, four programs and their links.
pub(crate) const PINS: usize = 19;

/// A folder for pins, and a group whose calls are looked at.
pub(crate) struct Scene {
    pub(crate) bpffs: Bpffs,
    pub(crate) group: Group,
}

/// An agent that runs.
pub(crate) struct Agent {
    pub(crate) session: Session,
    pub(crate) calls: Calls,
    /// State, reason, and connections that were taken over.
    pub(crate) began: (&'static str, &'static str, usize),
}

// === impl Scene ===

impl Scene {
    pub(crate) fn new() -> Self {
        Self { bpffs: Bpffs::new(), group: Group::new() }
    }

    pub(crate) fn options(&self) -> Options {
        options(self.bpffs.folder())
    }

    pub(crate) fn agent(&self) -> Agent {
        Agent::start(&self.options())
    }

    /// An agent that says that calls of the group are looked at, which those behind it need not.
    pub(crate) fn first(&self) -> Agent {
        let mut agent = self.agent();
        agent.session.verdict(&self.group, verdict::RPC);
        agent
    }

    /// A connection on which one call of `a.B/C` was made, whose method the header table has.
    pub(crate) fn connection(&self) -> Connection {
        let mut connection = Connection::new(&self.group, PLAIN);
        connection.open().client(&inserting(1, "/a.B/C")).server(&response(1, 5, "0"));
        connection
    }

    /// What agents and the kernel's programs tell each other.
    pub(crate) fn pulse(&self) -> Array<MapData, u64> {
        let map = MapData::from_pin(self.bpffs.folder().join("fleetscope_PULSE")).unwrap();
        Array::try_from(Map::from_map_data(map).unwrap()).unwrap()
    }

    /// As if the last agent had been there two minutes ago.
    pub(crate) fn let_pass_two_minutes(&self) {
        let beat = self.pulse().get(&pulse::BEAT, 0).unwrap();
        self.pulse().set(pulse::BEAT, beat - pulse::LIFE - 10_000_000_000, 0).unwrap();
    }
}

// === impl Agent ===

impl Agent {
    pub(crate) fn start(options: &Options) -> Self {
        let mut session = Session::with(options);
        assert!(session.probes.attached(RPC));
        let restart = Restart::take(&mut session.probes);
        let began = (restart.report.state, restart.report.reason, restart.report.connections);
        let calls = Calls::with(&mut session, restart.tracker);
        Self { session, calls, began }
    }

    /// Ends as one that is told to.
    pub(crate) fn stop(mut self) -> Vec<String> {
        let ended = self.calls.ended();
        let missed = self.session.maps().missed().unwrap();
        self.leave(missed);
        ended
    }

    /// Ends with what it knew when [`pulse::MISSED`] was that.
    pub(crate) fn leave(mut self, missed: u64) {
        restart::leave(&mut self.session.probes, &self.calls.tracker, missed, 0);
    }
}

/// Of an agent for calls that keeps its pins there.
pub(crate) fn options(folder: PathBuf) -> Options {
    Options { runqueue: false, rpc: Rpc::Sockets, persist: Some(folder), ..Options::default() }
}

/// A request whose method and content type go into the header table (RFC 7541, 6.2.1): `:method: POST`, `:path`, `content-type`.
pub(crate) fn inserting(stream: u32, path: &str) -> Vec<u8> {
    let text = |text: &str| [&[u8::try_from(text.len()).unwrap()], text.as_bytes()].concat();
    let block = [&[0x83, 0x44][..], &text(path), &[0x5f], &text("application/grpc")].concat();
    frame(kind::HEADERS, flag::END_HEADERS | flag::END_STREAM, stream, &block)
}

/// A request whose method is `back` inserts old, and its content type one less (RFC 7541, 6.1).
pub(crate) fn indexed(stream: u32, back: u8) -> Vec<u8> {
    frame(kind::HEADERS, flag::END_HEADERS | flag::END_STREAM, stream, &[0x83, 0x80 | (62 + back), 0x80 | (61 + back)])
}

/// Lines of [`Calls::ended`] for calls of both roles: how many, their method and their status, sorted by the last two.
pub(crate) fn both(calls: &[(usize, &str, &str)]) -> Vec<String> {
    let lines = |role: &str| {
        let line = |(count, method, status): &(usize, &str, &str)| format!("{count} x {role} {method} {status}");
        calls.iter().map(line).collect::<Vec<_>>()
    };
    [lines("client"), lines("server")].concat()
}
