//! Real gRPC servers and clients with their own account of their calls: the programs of `tests/peers`, whose README has their command line.
//!
//! They are started inside a cgroup when one is given, say on standard output what they have done, and are killed when they are dropped. Nothing
//! here waits for time to pass: each step waits for a line that the program prints, with a limit.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, bail, ensure};

use crate::image;

/// How long a program may take to print what is due; a round of calls may take as long.
const LIMIT: Duration = Duration::from_mins(2);

/// Upper bounds of the buckets in seconds; one more bucket has no bound.
pub const BOUNDS: [f64; 20] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, 30.0, 60.0,
    300.0,
];

/// A language, and with it a gRPC library.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Language {
    /// grpc-go
    Go,
    /// grpcio, on C-core
    Python,
    /// grpc-java, with netty
    Java,
    /// @grpc/grpc-js
    Node,
    /// tonic
    Rust,
}

/// Whose view of a call it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// It sent the request.
    Client,
    /// It sent the status.
    Server,
}

/// The calls of one method that ended with one status.
#[derive(Debug, Clone, PartialEq)]
pub struct Calls {
    /// How many.
    pub count: u64,
    /// Seconds, together.
    pub sum: f64,
    /// How many per bucket of [`BOUNDS`]; not cumulative.
    pub buckets: [u64; BOUNDS.len() + 1],
    /// Half took at most so many seconds.
    pub p50: f64,
    /// 99 of 100 took at most so many seconds.
    pub p99: f64,
}

/// What a program knows of all its calls so far, by role, full method name and status.
pub type Account = BTreeMap<(Role, String, String), Calls>;

/// A running server.
#[derive(Debug)]
pub struct Server {
    program: Program,
    address: String,
}

/// A client whose connections stand, and that makes its calls when it is told to.
#[derive(Debug)]
pub struct Client {
    program: Program,
}

/// A program of `tests/peers`, with standard input and output in our hands.
#[derive(Debug)]
struct Program {
    name: String,
    child: Child,
    input: Option<ChildStdin>,
    lines: Receiver<String>,
}

// === impl Language ===

impl Language {
    /// All five.
    pub const ALL: [Self; 5] = [Self::Go, Self::Python, Self::Java, Self::Node, Self::Rust];

    /// What the scripts call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Go => "go",
            Self::Python => "python",
            Self::Java => "java",
            Self::Node => "node",
            Self::Rust => "rust",
        }
    }

    /// The program, or why there is none: a test that needs it is skipped with that reason.
    pub fn program(self) -> Result<PathBuf, String> {
        let cache = std::env::var_os("FLEETSCOPE_CACHE").map(PathBuf::from);
        let of_user = || {
            let base = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
            let base = base.or_else(|| std::env::home_dir().map(|home| home.join(".cache")));
            base.unwrap_or_default().join("fleetscope")
        };
        let program = cache.unwrap_or_else(of_user).join("peers").join(self.name()).join("peer");
        if program.is_file() {
            Ok(program)
        } else {
            Err(format!("the gRPC peer in {} is not built (tests/peers/build.sh {})", self.name(), self.name()))
        }
    }
}

// === impl Server ===

impl Server {
    /// Starts one in the cgroup with that folder, or in the caller's. Without `--listen` among the arguments it takes a free port of 127.0.0.1.
    pub fn start(language: Language, cgroup: Option<&Path>, arguments: &[&str]) -> Result<Self> {
        let mut program = Program::start(language, "server", cgroup, arguments)?;
        let address = program.awaited("listening ")?;
        Ok(Self { program, address })
    }

    /// Where it listens, as a client takes it.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The process.
    pub fn pid(&self) -> u32 {
        self.program.child.id()
    }

    /// All calls that have ended so far, as the server has counted them; a client may know of an end a moment earlier.
    pub fn account(&mut self) -> Result<Account> {
        self.program.tell("account")?;
        self.program.account()
    }

    /// Lets the calls end that are going on, and then the server.
    pub fn stop(mut self) -> Result<Account> {
        self.program.input = None;
        let account = self.program.account()?;
        self.program.ended()?;
        Ok(account)
    }
}

// === impl Client ===

impl Client {
    /// Opens the connections, and makes no call yet. The calls are those that the arguments describe.
    pub fn connect(language: Language, cgroup: Option<&Path>, target: &str, arguments: &[&str]) -> Result<Self> {
        let mut all = vec!["--target", target, "--hold"];
        all.extend_from_slice(arguments);
        let mut program = Program::start(language, "client", cgroup, &all)?;
        program.awaited("connected ")?;
        Ok(Self { program })
    }

    /// The process.
    pub fn pid(&self) -> u32 {
        self.program.child.id()
    }

    /// Makes the calls and waits for all to end. The account is of all rounds so far: [`difference`].
    pub fn round(&mut self) -> Result<Account> {
        self.begin()?;
        self.finish()
    }

    /// Begins a round of calls.
    pub fn begin(&mut self) -> Result<()> {
        self.program.tell("go")
    }

    /// Waits for the end of the round that was begun.
    pub fn finish(&mut self) -> Result<Account> {
        self.program.account()
    }

    /// Closes the connections.
    pub fn stop(mut self) -> Result<()> {
        self.program.input = None;
        self.program.ended()
    }

    /// Connects, makes the calls once, and closes the connections.
    pub fn run(language: Language, cgroup: Option<&Path>, target: &str, arguments: &[&str]) -> Result<Account> {
        let mut client = Self::connect(language, cgroup, target, arguments)?;
        let account = client.round()?;
        client.stop()?;
        Ok(account)
    }
}

// === impl Program ===

impl Program {
    fn start(language: Language, verb: &str, cgroup: Option<&Path>, arguments: &[&str]) -> Result<Self> {
        let name = format!("{} {verb}", language.name());
        let path = language.program().map_err(|reason| anyhow!(reason))?;
        let mut command = match cgroup {
            // It joins the group before it becomes the program, so that all that it does is done there.
            Some(folder) => {
                let mut shell = Command::new("/bin/sh");
                shell
                    .args(["-c", r#"echo $$ >"$0/cgroup.procs" && exec "$@""#])
                    .args([folder.as_os_str(), path.as_os_str()]);
                shell
            }
            None => Command::new(&path),
        };
        command.args([verb].iter().chain(arguments).map(OsStr::new)).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().with_context(|| format!("failed to start the {name}"))?;
        let (input, output) = (child.stdin.take(), child.stdout.take().context("standard output is piped")?);
        let (send, lines) = channel();
        // Ends with the program's output.
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if send.send(line).is_err() {
                    return;
                }
            }
        });
        Ok(Self { name, child, input, lines })
    }

    fn tell(&mut self, line: &str) -> Result<()> {
        let input = self.input.as_mut().context("standard input is open until the end")?;
        writeln!(input, "{line}").with_context(|| format!("failed to tell the {} to {line}", self.name))
    }

    fn line(&mut self, until: Instant) -> Result<String> {
        match self.lines.recv_timeout(until.saturating_duration_since(Instant::now())) {
            Ok(line) => Ok(line),
            Err(RecvTimeoutError::Timeout) => bail!("the {} did not say within {LIMIT:?} what it had to", self.name),
            Err(RecvTimeoutError::Disconnected) => bail!("the {} ended: {}", self.name, self.child.wait()?),
        }
    }

    /// What stands behind the words that a line begins with.
    fn awaited(&mut self, words: &str) -> Result<String> {
        let until = Instant::now() + LIMIT;
        loop {
            if let Some(rest) = self.line(until)?.strip_prefix(words) {
                return Ok(rest.to_owned());
            }
        }
    }

    fn account(&mut self) -> Result<Account> {
        let (until, mut lines) = (Instant::now() + LIMIT, Vec::new());
        loop {
            match self.line(until)?.as_str() {
                "end" => return parse(&lines),
                line => lines.push(line.to_owned()),
            }
        }
    }

    /// Waits for the end of its output, and of the process.
    fn ended(&mut self) -> Result<()> {
        let until = Instant::now() + LIMIT;
        loop {
            match self.lines.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(_) => {}
                Err(RecvTimeoutError::Timeout) => bail!("the {} did not end within {LIMIT:?}", self.name),
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        let status = self.child.wait()?;
        ensure!(status.success(), "the {}: {status}", self.name);
        Ok(())
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // Fails when it has ended, which is as well.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

// === accounts ===

/// Calls by method and status, without the role and the durations: what client, server and kernel have to agree on.
pub fn counts(account: &Account) -> BTreeMap<(String, String), u64> {
    account.iter().map(|((_, method, status), calls)| ((method.clone(), status.clone()), calls.count)).collect()
}

/// The calls of `later` that are not in `earlier`, an account of the same program. Percentiles stay those of `later`.
pub fn difference(later: &Account, earlier: &Account) -> Account {
    let subtract = |(key, calls): (&(Role, String, String), &Calls)| {
        let mut calls = calls.clone();
        if let Some(before) = earlier.get(key) {
            calls.count -= before.count;
            calls.sum -= before.sum;
            calls.buckets.iter_mut().zip(before.buckets).for_each(|(bucket, before)| *bucket -= before);
        }
        (calls.count > 0).then(|| (key.clone(), calls))
    };
    later.iter().filter_map(subtract).collect()
}

/// An image with the program of a language that is one file, which is Go's; made and imported once per run.
pub fn image(language: Language) -> Result<String> {
    let program = language.program().map_err(|reason| anyhow!(reason))?;
    image::of(&format!("peer-{}", language.name()), &program)
}

/// The lines of truth among those that a program printed.
pub fn parse<L: AsRef<str>>(lines: impl IntoIterator<Item = L>) -> Result<Account> {
    let mut account = Account::new();
    for line in lines {
        let line = line.as_ref();
        let Some(entry) = line.strip_prefix("truth\t") else { continue };
        let (key, calls) = calls(entry).with_context(|| format!("not a line of truth: {line:?}"))?;
        ensure!(account.insert(key, calls).is_none(), "said twice: {line:?}");
    }
    Ok(account)
}

fn calls(entry: &str) -> Result<((Role, String, String), Calls)> {
    let fields: Vec<&str> = entry.split('\t').collect();
    let [role, method, status, count, sum, buckets @ .., p50, p99] = &fields[..] else { bail!("it is too short") };
    let role = match *role {
        "client" => Role::Client,
        "server" => Role::Server,
        other => bail!("unknown role {other}"),
    };
    let buckets = buckets.iter().map(|bucket| bucket.parse()).collect::<Result<Vec<u64>, _>>()?;
    let buckets: [u64; BOUNDS.len() + 1] =
        buckets.try_into().map_err(|other: Vec<u64>| anyhow!("it has {} buckets", other.len()))?;
    let calls = Calls { count: count.parse()?, sum: sum.parse()?, buckets, p50: p50.parse()?, p99: p99.parse()? };
    ensure!(calls.count == calls.buckets.iter().sum::<u64>(), "its buckets do not add up");
    Ok(((role, (*method).to_owned(), (*status).to_owned()), calls))
}

#[cfg(test)]
mod tests;
