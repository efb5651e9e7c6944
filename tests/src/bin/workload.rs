//! What the pods of the end-to-end suite run: starts a known mix of processes and says what it started.
//!
//! - `workload run PROCESSES PARALLEL`: processes that last 40 to 160 ms and end in all ways of [`MIX`] in turn.
//! - `workload distinct PROCESSES`: as many processes, each from an executable of another name.
//! - `workload storm PROCESSES PARALLEL`: processes that end at once, as fast as they can be started.
//! - `workload hoard MEBIBYTES`: takes that much memory.
//! - `workload idle`: nothing.
//! - `workload end HOW MILLISECONDS`: one such process.
//!
//! The account is printed as lines `truth<TAB>task<TAB>exit<TAB>count<TAB>seconds`, then `settled`; then it idles, or, with the
//! variable `THEN=exit`, ends. Seconds are the truth to within some 0.1 ms per process: from just before the process is forked,
//! which the parent notes, to just before it ends, which the process itself notes, both by `CLOCK_BOOTTIME`.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "its output is what it is for")]

use std::collections::BTreeMap;
use std::os::unix::fs::symlink;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Command, ExitCode, ExitStatus, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use rustix::process::{Signal, getpid, kill_process};
use rustix::time::{ClockId, clock_gettime};

/// How the processes of `run` end, in turn.
const MIX: [&str; 12] = ["0", "0", "0", "0", "1", "2", "7", "126", "127", "sigkill", "sigterm", "sigusr1"];
/// Folder of the executables of `distinct`: a volume of the pod.
const FOLDER: &str = "/work";

/// Processes and nanoseconds by task and label `exit`.
type Account = BTreeMap<(&'static str, String), (u64, u64)>;

fn main() -> Result<ExitCode> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let account = match words[..] {
        ["end", how, milliseconds] => return end(how, milliseconds.parse()?),
        ["run", processes, parallel] => run_many("end", processes.parse()?, parallel.parse()?, |number| {
            (MIX[number as usize % MIX.len()], 40 + u64::from(number * 7 % 121))
        })?,
        ["storm", processes, parallel] => run_many("end", processes.parse()?, parallel.parse()?, |_| ("0", 0))?,
        ["distinct", processes] => distinct(processes.parse()?)?,
        ["hoard", mebibytes] => hoard(mebibytes.parse()?),
        ["idle"] => Account::new(),
        _ => bail!("unknown arguments {words:?}"),
    };
    for ((task, exit), (count, nanoseconds)) in account {
        println!("truth\t{task}\t{exit}\t{count}\t{:.6}", Duration::from_nanos(nanoseconds).as_secs_f64());
    }
    println!("settled");
    if std::env::var("THEN").is_ok_and(|then| then == "exit") {
        return Ok(ExitCode::SUCCESS);
    }
    loop {
        std::thread::park();
    }
}

/// Nanoseconds of `CLOCK_BOOTTIME`.
fn now() -> u64 {
    let time = clock_gettime(ClockId::Boottime);
    u64::try_from(time.tv_sec).expect("it counts from the boot") * 1_000_000_000
        + u64::try_from(time.tv_nsec).expect("it is below 1e9")
}

/// Lasts a while, says when that was over, and ends as told.
fn end(how: &str, milliseconds: u64) -> Result<ExitCode> {
    std::thread::sleep(Duration::from_millis(milliseconds));
    println!("{}", now());
    let signal = match how {
        "sigkill" => Signal::KILL,
        "sigterm" => Signal::TERM,
        "sigusr1" => Signal::USR1,
        code => return Ok(ExitCode::from(code.parse::<u8>().context("an exit code or a signal")?)),
    };
    kill_process(getpid(), signal)?;
    bail!("{how} did not end the process");
}

/// Takes memory, and writes to it so that it counts.
fn hoard(mebibytes: usize) -> Account {
    let taken: Vec<Vec<u8>> =
        (0..mebibytes).map(|number| vec![u8::try_from(number % 255).expect("below 255") + 1; 1 << 20]).collect();
    eprintln!("took {} MiB", taken.len());
    Account::new()
}

/// Runs `processes` of `workload end`, `parallel` at a time, each as `plan` says.
fn run_many(
    task: &'static str,
    processes: u32,
    parallel: u32,
    plan: impl Fn(u32) -> (&'static str, u64) + Sync,
) -> Result<Account> {
    let account = Mutex::new(Account::new());
    let next = AtomicU32::new(0);
    let work = || -> Result<()> {
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= processes {
                return Ok(());
            }
            let (how, milliseconds) = plan(number);
            let start = now();
            let mut command = Command::new("/workload");
            let mut child = command.args(["end", how, &milliseconds.to_string()]).stdout(Stdio::piped()).spawn()?;
            // Read when it has ended: a reader that waits would be woken by its last line, and keep it from ending.
            let status = child.wait()?;
            let said = std::io::read_to_string(child.stdout.take().context("it is piped")?)?;
            let end: u64 = said.trim().parse().context("no time of its end")?;
            let mut account = account.lock().expect("no thread panics while it holds the account");
            let entry = account.entry((task, label(status))).or_default();
            entry.0 += 1;
            entry.1 += end - start;
        }
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..parallel).map(|_| scope.spawn(work)).collect();
        threads.into_iter().try_for_each(|thread| thread.join().expect("no thread panics"))
    })?;
    Ok(account.into_inner().expect("no thread panicked"))
}

/// Runs `processes` executables of different names. The account has one entry for all of them.
fn distinct(processes: u32) -> Result<Account> {
    let mut account = Account::new();
    for number in 0..processes {
        let path = format!("{FOLDER}/tool-{number:05}");
        symlink("/workload", &path)?;
        let start = now();
        let status = Command::new(&path).args(["end", "0", "0"]).output()?.status;
        let entry = account.entry(("distinct", label(status))).or_default();
        entry.0 += 1;
        entry.1 += now() - start;
        std::fs::remove_file(&path)?;
        if number % 1000 == 999 {
            eprintln!("{} of {processes}", number + 1);
        }
    }
    Ok(account)
}

/// The value of the label `exit`.
fn label(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code @ (0 | 1 | 2 | 126 | 127)), _) => code.to_string(),
        (_, Some(9)) => "sigkill".to_owned(),
        (_, Some(15)) => "sigterm".to_owned(),
        _ => "other".to_owned(),
    }
}
