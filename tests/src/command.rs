//! Runs programs and keeps what they said.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use anyhow::{Context as _, Result, bail};

/// What a program did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ran {
    /// Exit code; -1 when a signal ended it.
    pub code: i32,
    /// Standard output, lossy.
    pub stdout: String,
    /// Standard error, lossy.
    pub stderr: String,
}

/// Root of the checkout.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Whether a program of this name is on `PATH`.
pub fn exists(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

/// Runs a program to its end, whatever its exit code, with `stdin` as its input.
pub fn run_with(program: &str, arguments: &[&str], stdin: &str) -> Result<Ran> {
    let mut child = Command::new(program)
        .args(arguments)
        .current_dir(root())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("failed to start {program}"))?;
    if let Some(mut input) = child.stdin.take() {
        // A program that does not read its input has closed the pipe: its exit code tells more than this error.
        let _ = input.write_all(stdin.as_bytes());
    }
    let Output { status, stdout, stderr } =
        child.wait_with_output().with_context(|| format!("failed to run {program}"))?;
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Ok(Ran { code: status.code().unwrap_or(-1), stdout: text(stdout), stderr: text(stderr) })
}

/// Runs a program that must succeed. Its standard output.
pub fn run(program: &str, arguments: &[&str]) -> Result<String> {
    run_in(program, arguments, "")
}

/// Runs a program that must succeed, with `stdin` as its input. Its standard output.
pub fn run_in(program: &str, arguments: &[&str], stdin: &str) -> Result<String> {
    let ran = run_with(program, arguments, stdin)?;
    if ran.code != 0 {
        bail!("{program} {} ended with {}: {}{}", arguments.join(" "), ran.code, ran.stderr, ran.stdout);
    }
    Ok(ran.stdout)
}
