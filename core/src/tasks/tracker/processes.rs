//! Processes: which run, and what they are called. How they end is in `exits.rs`.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use super::containers::{Cid, OwnedExec, State, Waiting, nobody};
use super::fleets::{Fid, NOBODY};
use super::identities::Iid;
use super::lost::LostReason;
use super::{SETTLE, Tracker, runtime};
use crate::metrics::{TASK_DURATION, TASKS};
use crate::records::{Exec, Exit, Process as Who};
use crate::tasks::exit::End;
use crate::tasks::rules::{Named, Program};

/// Nanoseconds of a tick of `/proc/PID/stat` (`USER_HZ` is 100 on every architecture with eBPF).
const TICK: u64 = 10_000_000;

/// A process that a scan of `/proc` found: it runs, and has exec'd.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SeededProcess {
    /// The cgroup2 id of its group.
    pub cgroup: u64,
    /// Process id in the host's pid namespace.
    pub tgid: u32,
    /// When it was forked, nanoseconds of `CLOCK_BOOTTIME`: field 22 of `/proc/PID/stat` times 10 ms.
    pub start: u64,
    /// Command name, any bytes.
    pub comm: Vec<u8>,
    /// `/proc/PID/cmdline`, its first 512 bytes at most; any bytes.
    pub cmdline: Vec<u8>,
}

/// Who a process is. `/proc` tells a start in ticks of 10 ms only; no pid is used twice within one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key(u32, u64);

/// What is known of a process.
#[derive(Debug)]
pub(super) enum Process {
    Running(Running),
    /// It ended, and its exec was not seen.
    Ended(Box<Exit>),
    /// It was counted: what else comes of it changes nothing.
    Done,
}

/// A process that runs.
#[derive(Debug)]
pub(super) struct Running {
    pub(super) cid: Cid,
    fid: Fid,
    /// None: a rule ignores it.
    pub(super) task: Option<(Iid, Arc<Named>)>,
    pub(super) began: u64,
    last_exec: u64,
    /// The last scan that found it.
    seen: u32,
}

/// All processes.
#[derive(Debug)]
pub(super) struct Processes {
    pub(super) table: HashMap<Key, Process>,
    running: usize,
    pub(super) done: VecDeque<(Key, u64)>,
    /// Exits without exec, first for [`SETTLE`], then for the rest of [`Tracker::window`].
    pub(super) ended: VecDeque<(Key, u64)>,
    pub(super) unclaimed: VecDeque<(Key, u64)>,
    /// Not found by a scan, to be looked at again at this time.
    suspects: Vec<Key>,
    suspects_at: u64,
    /// Exec records that were reported lost and whose exits were not seen yet.
    pub(super) lost_execs: u64,
}

// === impl Key ===

impl Key {
    fn new(tgid: u32, start: u64) -> Self {
        Self(tgid, start / TICK)
    }

    pub(super) fn of(who: &Who) -> Self {
        Self::new(who.tgid, who.start)
    }
}

// === impl Processes ===

impl Processes {
    pub(super) fn new() -> Self {
        Self {
            table: HashMap::new(),
            running: 0,
            done: VecDeque::new(),
            ended: VecDeque::new(),
            unclaimed: VecDeque::new(),
            suspects: Vec::new(),
            suspects_at: 0,
            lost_execs: 0,
        }
    }

    #[cfg(test)]
    pub(super) fn sizes(&self) -> [usize; 4] {
        [self.table.len(), self.running, self.done.len(), self.ended.len() + self.unclaimed.len()]
    }

    fn runs(&mut self, key: Key) -> Option<&mut Running> {
        match self.table.get_mut(&key) {
            Some(Process::Running(running)) => Some(running),
            _ => None,
        }
    }
}

impl Tracker {
    pub(super) fn exec(&mut self, exec: &Exec<'_>, now: u64) {
        if runtime::is_init(exec) {
            return;
        }
        let key = Key::of(&exec.process);
        match self.processes.table.get(&key) {
            Some(Process::Done) => return,
            Some(Process::Running(_)) => return self.rename(key, exec, now),
            Some(Process::Ended(_)) | None => {}
        }
        let Some(cid) = self.container_of(exec.cgroup, now) else { return };
        self.exec_in(cid, exec, now);
    }

    pub(super) fn exec_in(&mut self, cid: Cid, exec: &Exec<'_>, now: u64) {
        let key = Key::of(&exec.process);
        match self.processes.table.get(&key) {
            Some(Process::Done) => return,
            Some(Process::Running(_)) => return self.rename(key, exec, now),
            Some(Process::Ended(_)) | None => {}
        }
        let Some(container) = self.containers.all.get(cid) else { return };
        match container.state {
            State::Ignored | State::Foreign => {}
            State::Known { iid, fid } => self.begin(cid, iid, fid, exec, now),
            State::Provisional { iid, fid, reason } => {
                reason.count(&mut self.registry, 1);
                self.begin(cid, iid, fid, exec, now);
            }
            State::Waiting => {
                if !self.wait(cid, Waiting::Exec(Box::new(OwnedExec::new(exec))), now) {
                    self.under_nobody(1, |this, iid| this.begin(cid, iid, NOBODY, exec, now), now);
                } else if let Some(Process::Ended(_)) = self.processes.table.get(&key)
                    && let Some(Process::Ended(exit)) = self.processes.table.remove(&key)
                    && !self.wait(cid, Waiting::Exit(exit.clone()), now)
                {
                    self.processes.table.insert(key, Process::Ended(exit));
                }
            }
        }
    }

    /// Does something for a record that finds no room to wait, under the identity of nobody.
    fn under_nobody(&mut self, count: usize, act: impl FnOnce(&mut Self, Iid), now: u64) {
        LostReason::PendingFull.count(&mut self.registry, count);
        let iid = self.identities.acquire(nobody(), &mut self.registry);
        act(self, iid);
        self.identities.release(iid, &mut self.registry, now + self.limits.grace);
    }

    /// A record moves to the container that its group turned out to belong to.
    pub(super) fn take_over(&mut self, cid: Cid, record: Waiting, since: u64, now: u64) {
        match record {
            Waiting::Exec(exec) => self.exec_in(cid, &exec.borrow(), now),
            Waiting::Exit(exit) => self.exit(&exit, now),
            Waiting::Seed(seed) => self.seed_in(cid, &seed, now),
        }
        if let Some(container) = self.containers.all.get_mut(cid) {
            container.pending_since = container.pending_since.min(since);
        }
    }

    fn begin(&mut self, cid: Cid, iid: Iid, fid: Fid, exec: &Exec<'_>, now: u64) {
        let began = began(exec);
        let named = self.fleets.get_mut(fid).and_then(|fleet| fleet.name(&Program::of(exec)));
        self.enter(Key::of(&exec.process), cid, iid, fid, named, (began, exec.time), now);
    }

    #[expect(clippy::too_many_arguments, reason = "all of them are what a running process is")]
    fn enter(
        &mut self,
        key: Key,
        cid: Cid,
        iid: Iid,
        fid: Fid,
        named: Option<Arc<Named>>,
        (began, last_exec): (u64, u64),
        now: u64,
    ) {
        if let Some(Process::Ended(exit)) = self.processes.table.get(&key) {
            let (time, end) = (exit.time, End::new(exit.status, exit.oom));
            if let Some(named) = named {
                self.count(iid, &named, began, time, end);
            }
            return self.done(key, now);
        }
        if self.processes.running >= self.limits.processes {
            self.processes.lost_execs += 1;
            return LostReason::ProcessesFull.count(&mut self.registry, 1);
        }
        if let Some(named) = &named {
            self.identities.hold(iid);
            self.identities.begin(iid, named, &mut self.registry);
        }
        if let Some(container) = self.containers.all.get_mut(cid) {
            container.live += 1;
        }
        let seen = self.scan();
        let task = named.map(|named| (iid, named));
        self.processes.table.insert(key, Process::Running(Running { cid, fid, task, began, last_exec, seen }));
        self.processes.running += 1;
    }

    /// A running process replaced its program: it is the same task, under its last name.
    fn rename(&mut self, key: Key, exec: &Exec<'_>, now: u64) {
        let Some(running) = self.processes.runs(key) else { return };
        running.began = running.began.min(began(exec));
        if exec.time < running.last_exec {
            return;
        }
        running.last_exec = exec.time;
        let (cid, fid) = (running.cid, running.fid);
        let own = running.task.as_ref().map(|(iid, _)| *iid);
        let of_container = self.containers.all.get(cid).and_then(|container| match container.state {
            State::Known { iid, .. } | State::Provisional { iid, .. } => Some(iid),
            State::Waiting | State::Ignored | State::Foreign => None,
        });
        let Some(fleet) = self.fleets.get_mut(fid) else { return };
        let Some(iid) = own.or(of_container) else { return };
        let named = fleet.name(&Program::of(exec));
        let Some(running) = self.processes.runs(key) else { return };
        let before = std::mem::replace(&mut running.task, named.clone().map(|named| (iid, named)));
        if let Some(named) = &named {
            self.identities.hold(iid);
            self.identities.begin(iid, named, &mut self.registry);
        }
        if let Some((iid, named)) = before {
            self.end(iid, &named, now);
        }
    }

    pub(super) fn forget_running(&mut self, cid: Cid) {
        self.processes.running -= 1;
        if let Some(container) = self.containers.all.get_mut(cid) {
            container.live = container.live.saturating_sub(1);
        }
    }

    pub(super) fn end(&mut self, iid: Iid, named: &Named, now: u64) {
        self.identities.end(iid, named, &mut self.registry);
        self.identities.release(iid, &mut self.registry, now + self.limits.grace);
    }

    #[expect(clippy::cast_precision_loss, reason = "nanoseconds of 100 days still have microseconds then")]
    pub(super) fn count(&mut self, iid: Iid, named: &Named, began: u64, ended: u64, end: End) {
        let Some(identity) = self.identities.get(iid) else { return };
        let result = named.results.of(end);
        let (group, task) = (&*named.group, &*named.task);
        self.registry.add(&TASKS, Some(identity), &[end.label(), group, result, task], 1.0);
        let seconds = ended.saturating_sub(began) as f64 / 1e9;
        self.registry.observe(&TASK_DURATION, Some(identity), &[group, result, task], seconds);
    }

    /// A process was found by a scan. What is known of it already stays.
    pub fn seed(&mut self, seed: &SeededProcess, now: u64) {
        self.now = self.now.max(now);
        if runtime::is_helper(&seed.comm) {
            return;
        }
        let scan = self.scan();
        match self.processes.table.get_mut(&Key::new(seed.tgid, seed.start)) {
            Some(Process::Done) => return,
            Some(Process::Running(running)) => {
                running.seen = scan;
                return;
            }
            Some(Process::Ended(_)) | None => {}
        }
        let Some(cid) = self.container_of(seed.cgroup, now) else { return };
        self.seed_in(cid, seed, now);
    }

    pub(super) fn seed_in(&mut self, cid: Cid, seed: &SeededProcess, now: u64) {
        let key = Key::new(seed.tgid, seed.start);
        if matches!(self.processes.table.get(&key), Some(Process::Done | Process::Running(_))) {
            return;
        }
        let Some(container) = self.containers.all.get(cid) else { return };
        match container.state {
            State::Ignored | State::Foreign => {}
            State::Known { iid, fid } => self.begin_seed(cid, iid, fid, seed, now),
            State::Provisional { iid, fid, reason } => {
                reason.count(&mut self.registry, 1);
                self.begin_seed(cid, iid, fid, seed, now);
            }
            State::Waiting => {
                if !self.wait(cid, Waiting::Seed(Box::new(seed.clone())), now) {
                    self.under_nobody(1, |this, iid| this.begin_seed(cid, iid, NOBODY, seed, now), now);
                }
            }
        }
    }

    fn begin_seed(&mut self, cid: Cid, iid: Iid, fid: Fid, seed: &SeededProcess, now: u64) {
        let program = Program::found(&seed.comm, &seed.cmdline);
        let named = self.fleets.get_mut(fid).and_then(|fleet| fleet.name(&program));
        self.enter(Key::new(seed.tgid, seed.start), cid, iid, fid, named, (seed.start, 0), now);
    }

    /// Those that ran before the scan and that it did not find: their exits may still come, so they are looked at later.
    pub(super) fn suspect_processes(&mut self, now: u64) {
        let (scan, at) = (self.scan(), self.scan_at);
        let missed = |running: &Running| running.seen < scan && running.last_exec < at && running.began < at;
        let missed = self
            .processes
            .table
            .iter()
            .filter(|(_, process)| matches!(process, Process::Running(running) if missed(running)));
        self.processes.suspects = missed.map(|(key, _)| *key).collect();
        self.processes.suspects_at = now;
    }

    pub(super) fn drop_suspects(&mut self, now: u64) {
        if self.processes.suspects.is_empty() || now.saturating_sub(self.processes.suspects_at) < SETTLE {
            return;
        }
        let scan = self.scan();
        for key in std::mem::take(&mut self.processes.suspects) {
            if self.processes.runs(key).is_some_and(|running| running.seen < scan) {
                self.drop_process(key, true, now);
            }
        }
    }

    /// Forgets the running processes of a container: its group is gone (`missing`), or it belongs to someone else now.
    pub(super) fn drop_processes(&mut self, cid: Cid, missing: bool, now: u64) {
        if self.containers.all.get(cid).is_none_or(|container| container.live == 0) {
            return;
        }
        let of_it = |process: &Process| matches!(process, Process::Running(running) if running.cid == cid);
        let keys: Vec<Key> =
            self.processes.table.iter().filter(|(_, process)| of_it(process)).map(|(key, _)| *key).collect();
        for key in keys {
            self.drop_process(key, missing, now);
        }
    }

    fn drop_process(&mut self, key: Key, missing: bool, now: u64) {
        let Some(Process::Running(running)) = self.processes.table.remove(&key) else { return };
        self.forget_running(running.cid);
        if let Some((iid, named)) = running.task {
            self.end(iid, &named, now);
            if missing {
                LostReason::ExitMissing.count(&mut self.registry, 1);
            }
        }
    }

    /// The running processes of a stand-in belong to the container that it stood for.
    pub(super) fn move_processes(&mut self, from: Cid, to: Cid) {
        let mut moved = 0;
        for process in self.processes.table.values_mut() {
            if let Process::Running(running) = process
                && running.cid == from
            {
                running.cid = to;
                moved += 1;
            }
        }
        for (cid, by) in [(from, -moved), (to, moved)] {
            if let Some(container) = self.containers.all.get_mut(cid) {
                container.live = container.live.saturating_add_signed(by);
            }
        }
    }
}

/// When a process began: at its fork, but of one whose fork was the runtime's doing, at its exec.
fn began(exec: &Exec<'_>) -> u64 {
    if exec.parent_tracked { exec.process.start } else { exec.time }
}
