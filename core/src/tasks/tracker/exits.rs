//! Exits: of processes that run, and those that come before their exec or without one.

use super::cgroups::Place;
use super::containers::{Cid, State, Waiting};
use super::lost::LostReason;
use super::processes::{Key, Process};
use super::{SETTLE, Tracker, runtime};
use crate::records::{Exec, Exit};
use crate::tasks::exit::End;
use crate::tasks::rules::Program;

impl Tracker {
    pub(super) fn exit(&mut self, exit: &Exit, now: u64) {
        let key = Key::of(&exit.process);
        match self.processes.table.get(&key) {
            Some(Process::Done | Process::Ended(_)) => return,
            Some(Process::Running(_)) => return self.finish(key, exit, now),
            None => {}
        }
        let Some(cid) = self.container_of(exit.cgroup, now) else { return };
        self.note_end(cid, exit);
        let Some(state) = self.containers.all.get(cid).map(|container| container.state) else { return };
        match state {
            State::Ignored | State::Foreign => {}
            State::Waiting if self.wait(cid, Waiting::Exit(Box::new(*exit)), now) => {}
            _ => self.remember_exit(key, exit, now),
        }
    }

    fn remember_exit(&mut self, key: Key, exit: &Exit, now: u64) {
        let processes = &mut self.processes;
        while processes.ended.len() + processes.unclaimed.len() >= self.limits.ended {
            let Some((oldest, _)) = processes.unclaimed.pop_front().or_else(|| processes.ended.pop_front()) else {
                return;
            };
            if let Some(Process::Ended(_)) = processes.table.get(&oldest) {
                processes.table.remove(&oldest);
                LostReason::ExitsFull.count(&mut self.registry, 1);
            }
        }
        processes.table.insert(key, Process::Ended(Box::new(*exit)));
        processes.ended.push_back((key, now));
    }

    fn finish(&mut self, key: Key, exit: &Exit, now: u64) {
        let Some(Process::Running(running)) = self.processes.table.insert(key, Process::Done) else { return };
        self.forget_running(running.cid);
        self.note_end(running.cid, exit);
        self.processes.done.push_back((key, now));
        if let Some((iid, named)) = running.task {
            self.count(iid, &named, running.began, exit.time, End::new(exit.status, exit.oom));
            self.end(iid, &named, now);
        }
        self.bound_done(now);
    }

    /// Whatever the process was: also one whose exec nobody saw.
    fn note_end(&mut self, cid: Cid, exit: &Exit) {
        if let Some(container) = self.containers.all.get_mut(cid).filter(|container| container.last_end.0 <= exit.time)
        {
            container.last_end = (exit.time, exit.oom);
        }
    }

    pub(super) fn done(&mut self, key: Key, now: u64) {
        self.processes.table.insert(key, Process::Done);
        self.processes.done.push_back((key, now));
        self.bound_done(now);
    }

    /// What time brings: exits without exec are counted or not, and what is done is forgotten.
    pub(super) fn settle_processes(&mut self, now: u64) {
        while let Some((key, at)) = self.processes.ended.front().copied() {
            if now.saturating_sub(at) < SETTLE {
                break;
            }
            self.processes.ended.pop_front();
            if !self.count_without_exec(key, now) {
                self.processes.unclaimed.push_back((key, at));
            }
        }
        while let Some((key, at)) = self.processes.unclaimed.front().copied() {
            if now.saturating_sub(at) < self.window() {
                break;
            }
            self.processes.unclaimed.pop_front();
            if let Some(Process::Ended(_)) = self.processes.table.get(&key) {
                self.processes.table.remove(&key);
            }
        }
        self.drop_suspects(now);
        self.bound_done(now);
    }

    /// Counts an exit whose exec is not known, if the process was a task all the same: it exec'd before anybody looked, or
    /// its exec record was reported lost. Else it came into the group from outside, as a runtime's helper does, and never exec'd there.
    fn count_without_exec(&mut self, key: Key, now: u64) -> bool {
        let Some(Process::Ended(exit)) = self.processes.table.get(&key) else { return true };
        let exit = **exit;
        let Some(Place::Container(cid)) = self.cgroups.container(exit.cgroup) else { return false };
        let Some(container) = self.containers.all.get(*cid) else { return false };
        let (iid, fid, reason) = match container.state {
            State::Known { iid, fid } => (iid, fid, None),
            State::Provisional { iid, fid, reason } => (iid, fid, Some(reason)),
            State::Waiting | State::Ignored | State::Foreign => return false,
        };
        let before = exit.process.start < container.alive_before;
        if runtime::is_helper(exit.process.comm()) || !before && self.processes.lost_execs == 0 {
            return false;
        }
        if !before {
            self.processes.lost_execs -= 1;
        }
        let exec = Exec { process: exit.process, ..Exec::default() };
        if let Some(named) = self.fleets.get_mut(fid).and_then(|fleet| fleet.name(&Program::of(&exec))) {
            self.count(iid, &named, exit.process.start, exit.time, End::new(exit.status, exit.oom));
            if let Some(reason) = reason {
                reason.count(&mut self.registry, 1);
            }
        }
        self.done(key, now);
        true
    }

    fn bound_done(&mut self, now: u64) {
        while let Some((key, at)) = self.processes.done.front().copied() {
            if now.saturating_sub(at) < self.window() && self.processes.done.len() <= self.limits.done {
                break;
            }
            self.processes.done.pop_front();
            if let Some(Process::Done) = self.processes.table.get(&key) {
                self.processes.table.remove(&key);
            }
        }
    }
}
