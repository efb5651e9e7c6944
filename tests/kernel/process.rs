//! The processes that the kernel suite measures: `kernel-process FOLDER VERB ...`. It moves itself into the cgroup whose folder is the first
//! argument (`-`: stays), so that everything that it starts is born there, and does what the verb says. It links nothing of the project.
#![expect(
    unsafe_code,
    reason = "fork without exec, exit of a leading thread, empty argument vectors: no library has these as safe calls"
)]
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "the suite reads standard output")]

use std::ffi::CString;
use std::fmt::Write as _;
use std::io::Read as _;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Command, exit};
use std::time::{Duration, Instant};

fn main() {
    let arguments: Vec<String> = std::env::args_os().skip(1).map(|a| a.to_string_lossy().into_owned()).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let Some((folder, verb)) = arguments.split_first() else {
        eprintln!("kernel-process FOLDER VERB ...");
        exit(64);
    };
    if *folder != "-" {
        std::fs::write(format!("{folder}/cgroup.procs"), std::process::id().to_string())
            .expect("the group takes the process");
    }
    run(verb);
}

fn number<T: std::str::FromStr>(text: &str) -> T {
    text.parse().unwrap_or_else(|_| panic!("not a number: {text}"))
}

fn run(verb: &[&str]) {
    match verb {
        ["exit", code] => exit(number(code)),
        ["signal", signal] => raise(number(signal)),
        // With a core limit, so that the kernel sets the flag; the core goes to the folder.
        ["core", folder, signal] => {
            std::env::set_current_dir(folder).expect("the folder is there");
            let limit = libc::rlimit { rlim_cur: 1 << 20, rlim_max: 1 << 20 };
            // SAFETY: the structure lives across the call.
            assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_CORE, &raw const limit) }, 0, "the limit can be lowered");
            raise(number(signal));
        }
        ["sleep", ms] => std::thread::sleep(Duration::from_millis(number(ms))),
        // Waits for the end of standard input.
        ["hold", code] => {
            std::io::stdin().read_to_end(&mut Vec::new()).expect("standard input can be read");
            exit(number(code));
        }
        ["threads", count] => {
            let threads: Vec<_> = (0..number(count)).map(|_| std::thread::spawn(std::thread::yield_now)).collect();
            for thread in threads {
                thread.join().expect("the thread does not panic");
            }
        }
        ["leader", code] => leader_first(number(code)),
        ["race", threads] => exit_at_once(number(threads)),
        ["fork", count, code] => fork(number(count), number(code)),
        ["exec", path, rest @ ..] => fail(&Command::new(path).args(rest).exec()),
        ["exec-empty", path] => exec_empty(path),
        ["exec-long", path, bytes] => {
            // One string may have 128 KiB (MAX_ARG_STRLEN).
            let (chunk, count) = ("x".repeat(100 << 10), number::<usize>(bytes) / (100 << 10));
            fail(&Command::new(path).args(std::iter::repeat_n(chunk, count)).exec());
        }
        ["eat"] => eat(),
        // Prints the kernel's account of the time that it waited for a processor, as of now.
        ["burn", ms] => {
            burn(Duration::from_millis(number(ms)));
            print_account();
        }
        ["delayed", at_once, ms] => {
            spawn(number(at_once), number(at_once), &["burn", ms]);
            print_account();
        }
        ["thread-exec", path, rest @ ..] => std::thread::scope(|scope| {
            scope.spawn(|| fail(&Command::new(path).args(rest).exec()));
        }),
        ["spawn", count, at_once, rest @ ..] => spawn(number(count), number(at_once), rest),
        ["timed", count, rest @ ..] => timed(number(count), rest),
        ["rate", per_second, seconds, rest @ ..] => rate(number(per_second), number(seconds), rest),
        ["mix", count] => mix(number(count)),
        ["every", folder] => every(folder),
        _ => panic!("unknown verb {verb:?}"),
    }
}

fn fail(error: &std::io::Error) -> ! {
    eprintln!("{error}");
    exit(126)
}

fn raise(signal: i32) {
    // SAFETY: the default action of the signal ends the process; Rust's handler for SIGSEGV is put away first.
    unsafe {
        libc::signal(signal, libc::SIG_DFL);
        libc::kill(libc::getpid(), signal);
        libc::pause();
    }
}

/// The leading thread ends with status 9 while another one goes on, and ends the process.
fn leader_first(code: i32) {
    let leader = std::process::id();
    std::thread::spawn(move || {
        // Behind the command name in parentheses stands the state; Z: it has ended, and waits for the others.
        let ended = || {
            let stat = std::fs::read_to_string(format!("/proc/{leader}/task/{leader}/stat"));
            stat.is_ok_and(|stat| stat.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with('Z')))
        };
        while !ended() {
            std::thread::yield_now();
        }
        exit(code);
    });
    // SAFETY: ends this thread alone; nothing on its stack is used by the other one.
    unsafe { libc::syscall(libc::SYS_exit, 9) };
}

/// All threads end at once, each by itself: the last two race to be the last.
fn exit_at_once(threads: usize) {
    let barrier = std::sync::Arc::new(std::sync::Barrier::new(threads + 1));
    for _ in 0..threads {
        let barrier = barrier.clone();
        std::thread::spawn(move || {
            barrier.wait();
            // SAFETY: ends this thread alone.
            unsafe { libc::syscall(libc::SYS_exit, 0) };
        });
    }
    barrier.wait();
    // SAFETY: as above; whichever thread is the last ends the process.
    unsafe { libc::syscall(libc::SYS_exit, 0) };
}

fn fork(count: usize, code: i32) {
    for _ in 0..count {
        // SAFETY: the process has one thread, and the child does nothing but exit.
        match unsafe { libc::fork() } {
            // SAFETY: ends the child without running anything of the parent's.
            0 => unsafe { libc::_exit(code) },
            child => {
                let mut status = 0;
                // SAFETY: the status lives across the call.
                assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child, "the child can be waited for");
            }
        }
    }
}

fn exec_empty(path: &str) {
    let path = CString::new(path).expect("no NUL in a path");
    let none = [std::ptr::null()];
    // SAFETY: both vectors end with a null pointer.
    unsafe { libc::execve(path.as_ptr(), none.as_ptr(), none.as_ptr()) };
    fail(&std::io::Error::last_os_error());
}

/// Touches memory until the kernel kills the process.
fn eat() {
    let mut all = Vec::new();
    loop {
        all.push(vec![1_u8; 1 << 20]);
    }
}

fn burn(time: Duration) {
    let start = Instant::now();
    while start.elapsed() < time {
        std::hint::spin_loop();
    }
}

/// `/proc/self/schedstat`: time on a processor, time that it waited for one, how often it ran.
fn print_account() {
    print!("{}", std::fs::read_to_string("/proc/self/schedstat").expect("the kernel accounts it"));
}

fn child(verb: &[&str]) -> Command {
    // A verb that starts with a slash is a program of its own.
    if verb[0].starts_with('/') {
        let mut command = Command::new(verb[0]);
        command.args(&verb[1..]);
        return command;
    }
    let mut command = Command::new("/proc/self/exe");
    command.arg0("kernel-process").arg("-").args(verb);
    command
}

fn spawn(count: usize, at_once: usize, verb: &[&str]) {
    let mut left = count;
    while left > 0 {
        let batch = left.min(at_once);
        left -= batch;
        let children: Vec<_> = (0..batch).map(|_| child(verb).spawn().expect("the child starts")).collect();
        for mut child in children {
            child.wait().expect("the child can be waited for");
        }
    }
}

/// One after another; prints the nanoseconds from before the spawn to after the wait, summed up.
fn timed(count: usize, verb: &[&str]) {
    // Before others, so that what is measured is not how long this process waited for a processor after each wait.
    // SAFETY: a call without pointers.
    unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, -15) };
    let mut sum = Duration::ZERO;
    for _ in 0..count {
        let start = Instant::now();
        child(verb).status().expect("the child runs");
        sum += start.elapsed();
    }
    println!("{}", sum.as_nanos());
}

/// Starts so many processes a second, a hundredth of them every 10 ms, or as fast as it can; prints how many.
fn rate(per_second: usize, seconds: u64, verb: &[&str]) {
    let (start, batch) = (Instant::now(), per_second.div_ceil(100));
    let mut ticks = 0;
    while start.elapsed() < Duration::from_secs(seconds) {
        spawn(batch, batch, verb);
        ticks += 1;
        std::thread::sleep(Duration::from_millis(10 * ticks).saturating_sub(start.elapsed()));
    }
    println!("{}", batch * usize::try_from(ticks).expect("a few thousand"));
}

/// `count` processes that end in eight ways by turns; prints the wait status of each as it was seen here.
fn mix(count: usize) {
    let shell = |script: &str| {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script]);
        command
    };
    let mut out = String::new();
    for i in 0..count {
        let mut command = match i % 8 {
            0..=2 => Command::new("/bin/true"),
            3 => Command::new("/bin/false"),
            4 => shell("exit 2"),
            5 => shell("exit 127"),
            6 => shell("kill -KILL $$"),
            _ => shell("kill -TERM $$"),
        };
        let status = command.status().expect("the child runs").into_raw();
        writeln!(out, "{status}").expect("a string takes everything");
    }
    print!("{out}");
}

/// Runs every file of a folder once.
fn every(folder: &str) {
    for entry in std::fs::read_dir(folder).expect("the folder can be read") {
        let path = entry.expect("the folder can be read").path();
        Command::new(path).status().expect("the program runs");
    }
}
