//! Which way to calls of gRPC is taken, and why.

use fleetscope_ebpf::program;

use super::programs::{Offsets, PROGRAMS, Program, RPC, SOCKETS, SYSCALLS};
use super::report::State;
use super::{Options, Rpc};

/// Which way to calls of gRPC is taken.
pub(super) struct Choice {
    pub(super) taken: Option<&'static str>,
    /// Why the other one is not; empty when the user chose.
    why: String,
    /// The kernel has `bpf_loop`.
    bpf_loop: bool,
}

impl Choice {
    pub(super) fn new(options: &Options, offsets: &Offsets<'_>) -> Self {
        let lacks = || {
            let sockets = PROGRAMS.iter().filter(|program| program.mode == SOCKETS);
            sockets.map(|program| offsets.check(program)).find_map(Result::err)
        };
        let (taken, why) = match options.rpc {
            Rpc::Off => (None, String::new()),
            Rpc::Sockets => (Some(SOCKETS), "mode sockets was asked for".to_owned()),
            Rpc::Syscalls => (Some(SYSCALLS), "mode syscalls was asked for".to_owned()),
            Rpc::Auto => match lacks() {
                None => (Some(SOCKETS), "this kernel has the tracepoints of mode sockets, which cost less".to_owned()),
                Some(missing) => (Some(SYSCALLS), missing.to_string()),
            },
        };
        Self { taken, why, bpf_loop: options.bpf_loop && offsets.has_loop() }
    }

    /// The state of a program that is not loaded for that.
    pub(super) fn passes_over(&self, program: &Program) -> Option<State> {
        match self.taken {
            _ if program.probe != RPC => None,
            None => Some(State::Off),
            Some(taken) if taken == program.mode => match program.name {
                program::HTTP2_SYSCALL_LOOP if !self.bpf_loop => {
                    Some(State::Standby { reason: "this kernel has no bpf_loop".to_owned() })
                }
                program::HTTP2_SYSCALL_WALK if self.bpf_loop => {
                    Some(State::Standby { reason: "this kernel has bpf_loop, which goes further".to_owned() })
                }
                _ => None,
            },
            Some(_) => Some(State::Standby { reason: self.why.clone() }),
        }
    }
}
