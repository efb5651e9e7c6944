//! A fleet's task rules, compiled: which process is which task.
//!
//! In: `AgentFleet.spec.tasks` and the rules of its profile once, then the path and arguments of each exec'd process, which are any bytes and may be cut.
//! Out: a [`Decision`]. The first rule that matches decides. A lookup costs one hash of the executable's name, one
//! comparison per rule whose executable ends in `*`, and the arguments of the rules that are left.

use std::collections::HashMap;
use std::sync::Arc;

use crate::api::agent_fleet::{TaskRule, TasksSpec, Unmatched};
use crate::records::{Argv, Exec};
use crate::tasks::exit::Results;
use crate::tasks::label;

/// Group of processes that no rule matches.
pub const OTHER_GROUP: &str = "other";

/// A name for tasks, as a rule gives it.
#[derive(Debug)]
pub struct Named {
    /// Value of the label `task`.
    pub task: Arc<str>,
    /// Value of the label `group`.
    pub group: Arc<str>,
    /// Value of the label `result` by how the process ended.
    pub results: Arc<Results>,
}

/// What a process is.
#[derive(Clone, Debug)]
pub enum Decision<'a> {
    /// A task that a rule names.
    Task(&'a Arc<Named>),
    /// A task named after its executable: these bytes, to be made a label and to be held under the cap.
    Unmatched(&'a [u8]),
    /// Not a task.
    Ignore,
}

/// What is known of the program of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Program<'a> {
    /// Base name of the executable; of a script, the script's. Any bytes.
    pub name: &'a [u8],
    /// The arguments after the executable, NUL separated; of a script, those after the script. Any bytes.
    arguments: &'a [u8],
    /// Whether there are arguments at all in `arguments`: an empty argument is one, too.
    any: bool,
    /// The last argument was cut by the limit: it never matches an exact argument.
    cut: bool,
    /// The name is a command name of 15 bytes: it may have been longer.
    short: bool,
}

/// Rules of one fleet.
#[derive(Debug)]
pub struct Rules {
    /// The fleet's own, then its profile's.
    list: Vec<Rule>,
    /// How many of them are the fleet's own.
    own: usize,
    /// Rules with a whole name, by it, in order.
    exact: HashMap<Box<[u8]>, Vec<usize>>,
    /// Rules whose name ends in `*`, in order, with what stands before it.
    prefixes: Vec<(Box<[u8]>, usize)>,
    ignore_unmatched: bool,
    max_unmatched: usize,
    results: Arc<Results>,
}

#[derive(Debug)]
struct Rule {
    arguments: Vec<Box<[u8]>>,
    /// None: ignored.
    named: Option<Arc<Named>>,
}

// === impl Program ===

impl<'a> Program<'a> {
    /// Reads the program of an exec.
    ///
    /// The name is the base name of the path that execve(2) got. Where that is not known (cut, or the record took the detour)
    /// or names a file descriptor (fexecve), it is the command name. A script's arguments begin with its interpreter: the
    /// kernel (`fs/binfmt_script.c`) puts the interpreter and its one argument before the script's path, which is how it is told.
    pub fn of(exec: &'a Exec<'_>) -> Self {
        let (argv, cut) = match exec.argv {
            Argv::Whole(argv) => (argv, false),
            // Cut exactly after a NUL, the last argument is whole.
            Argv::Cut(argv) => (argv, argv.last().is_some_and(|b| *b != 0)),
            Argv::Unknown => (&[][..], false),
        };
        let path = exec.path.filter(|path| !path.starts_with(b"/dev/fd/"));
        let named = path.map(label::base_name).filter(|name| !name.is_empty());
        let comm = exec.process.comm();
        let short = named.is_none() && comm.len() == fleetscope_ebpf::COMM_LEN - 1;
        let after = script(argv, path).or_else(|| skip(argv, 1));
        Self { name: named.unwrap_or(comm), arguments: after.unwrap_or_default(), any: after.is_some(), cut, short }
    }

    /// The program of a process that was found in `/proc`: its command name, and its `cmdline`.
    ///
    /// `cmdline` is what the process says of itself, so the first argument gives the name only where the command name
    /// confirms it.
    pub fn found(comm: &'a [u8], cmdline: &'a [u8]) -> Self {
        let arguments = || cmdline.strip_suffix(&[0]).unwrap_or(cmdline).split(|b| *b == 0).take(3);
        let full = arguments()
            .map(label::base_name)
            .find(|name| *name == comm || comm.len() == fleetscope_ebpf::COMM_LEN - 1 && name.starts_with(comm));
        let at = full.and_then(|full| arguments().position(|argument| label::base_name(argument) == full)).unwrap_or(0);
        let after = skip(cmdline, at + 1);
        let short = full.is_none() && comm.len() == fleetscope_ebpf::COMM_LEN - 1;
        Self {
            name: full.unwrap_or(comm),
            arguments: after.unwrap_or_default(),
            any: after.is_some(),
            cut: false,
            short,
        }
    }

    fn arguments(&self) -> impl Iterator<Item = (&'a [u8], bool)> {
        let whole = self.arguments.strip_suffix(&[0]).unwrap_or(self.arguments);
        let mut rest = self.any.then_some(whole);
        let cut = self.cut;
        std::iter::from_fn(move || {
            let all = rest?;
            let end = all.iter().position(|b| *b == 0);
            rest = end.map(|end| &all[end + 1..]);
            Some((&all[..end.unwrap_or(all.len())], cut && end.is_none()))
        })
    }
}

/// The arguments after a script's path, if this is a script.
fn script<'a>(argv: &'a [u8], path: Option<&[u8]>) -> Option<&'a [u8]> {
    let path = path?;
    let mut arguments = argv.split(|b| *b == 0);
    let interpreter = arguments.next()?;
    if interpreter == path || !interpreter.contains(&b'/') {
        return None;
    }
    let at = arguments.take(2).position(|argument| argument == path)?;
    Some(skip(argv, at + 2).unwrap_or_default())
}

/// What follows the first `count` arguments; none if there is no further argument.
fn skip(argv: &[u8], count: usize) -> Option<&[u8]> {
    let mut rest = argv;
    for _ in 0..count {
        let end = rest.iter().position(|b| *b == 0)?;
        rest = &rest[end + 1..];
    }
    (!rest.is_empty()).then_some(rest)
}

// === impl Rules ===

impl Rules {
    /// Compiles a fleet's rules, and behind them those of its profile. It cannot fail: what the API server would have refused
    /// matches nothing, or is made printable.
    pub fn new(spec: &TasksSpec, profile: &[TaskRule]) -> Self {
        let mut exact: HashMap<Box<[u8]>, Vec<usize>> = HashMap::new();
        let mut prefixes = Vec::new();
        let mut list = Vec::with_capacity(spec.rules.len() + profile.len());
        for (at, rule) in spec.rules.iter().chain(profile).enumerate() {
            let executable = rule.matches.executable.as_bytes();
            match executable.strip_suffix(b"*") {
                Some(prefix) => prefixes.push((Box::from(prefix), at)),
                None => exact.entry(Box::from(executable)).or_default().push(at),
            }
            list.push(Rule::new(rule));
        }
        Self {
            list,
            own: spec.rules.len(),
            exact,
            prefixes,
            ignore_unmatched: spec.unmatched == Unmatched::Ignore,
            max_unmatched: usize::try_from(spec.max_unmatched).unwrap_or(0),
            results: Arc::new(Results::default()),
        }
    }

    /// What the process with this program is.
    pub fn decide<'a>(&'a self, program: &Program<'a>) -> Decision<'a> {
        // A command name of 15 bytes may be the beginning of a longer name: no whole name is known to be it.
        let exact = if program.short { None } else { self.exact.get(program.name) };
        let mut exact = exact.into_iter().flatten().copied().peekable();
        let mut prefixes =
            self.prefixes.iter().filter(|(prefix, _)| program.name.starts_with(prefix)).map(|(_, at)| *at).peekable();
        loop {
            let next = match (exact.peek(), prefixes.peek()) {
                (Some(a), Some(b)) if a < b => exact.next(),
                (Some(_), None) => exact.next(),
                _ => prefixes.next(),
            };
            let Some(at) = next else { break };
            let rule = &self.list[at];
            if rule.takes(program) {
                return rule.named.as_ref().map_or(Decision::Ignore, Decision::Task);
            }
        }
        if self.ignore_unmatched { Decision::Ignore } else { Decision::Unmatched(program.name) }
    }

    /// Most different names that are taken from executables.
    pub fn max_unmatched(&self) -> usize {
        self.max_unmatched
    }

    /// Results of processes that no rule matches.
    pub fn unmatched_results(&self) -> &Arc<Results> {
        &self.results
    }

    /// The names that the fleet's own rules give, each once.
    pub fn names(&self) -> Vec<(&Arc<str>, &Arc<str>)> {
        names(&self.list[..self.own])
    }

    /// The names that the rules of its profile give, each once.
    pub fn profile_names(&self) -> Vec<(&Arc<str>, &Arc<str>)> {
        names(&self.list[self.own..])
    }
}

fn names(rules: &[Rule]) -> Vec<(&Arc<str>, &Arc<str>)> {
    let mut names: Vec<_> =
        rules.iter().filter_map(|rule| rule.named.as_ref()).map(|named| (&named.task, &named.group)).collect();
    names.sort();
    names.dedup();
    names
}

// === impl Rule ===

impl Rule {
    fn new(rule: &TaskRule) -> Self {
        let named = (!rule.ignore).then(|| {
            Arc::new(Named {
                task: label::printable(rule.name.as_bytes()).into(),
                group: label::printable(rule.group.as_bytes()).into(),
                results: Arc::new(Results::new(&rule.result_by_exit_code)),
            })
        });
        let arguments = rule.matches.arguments.iter().map(|argument| Box::from(argument.as_bytes())).collect();
        Self { arguments, named }
    }

    fn takes(&self, program: &Program<'_>) -> bool {
        let mut arguments = program.arguments();
        self.arguments.iter().all(|wanted| match arguments.next() {
            Some(_) if **wanted == *b"*" => true,
            None | Some((_, true)) => false,
            Some((argument, false)) => *argument == **wanted || *label::base_name(argument) == **wanted,
        })
    }
}

#[cfg(test)]
mod tests;
