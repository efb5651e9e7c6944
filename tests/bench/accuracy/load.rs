//! Programs that are not ours: nghttp2's client and server, and Python's HTTP server.

use std::io::{BufRead as _, BufReader};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use fleetscope_tests::command;

/// A server; it ends with this value.
pub(crate) struct Web {
    process: Child,
    pub(crate) address: String,
}

/// Why a program of this name cannot be started, if so.
pub(crate) fn lacks(programs: &[&'static str]) -> Option<String> {
    let missing: Vec<_> = programs.iter().copied().filter(|program| !command::exists(program)).collect();
    (!missing.is_empty()).then(|| format!("{} not installed (setup/setup.sh --only peers)", missing.join(", ")))
}

/// A command that joins a group before it becomes the program.
fn inside(folder: &Path, program: &str, arguments: &[&str]) -> Command {
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", r#"echo $$ >"$0/cgroup.procs" && exec "$@""#]).arg(folder).arg(program).args(arguments);
    shell
}

/// Runs h2load; how many of its requests were answered, whatever with.
pub(crate) fn h2load(folder: &Path, arguments: &[&str]) -> Result<u64> {
    let output = inside(folder, "h2load", arguments).output().context("failed to start h2load")?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    ensure!(output.status.success(), "h2load: {}: {text}{}", output.status, String::from_utf8_lossy(&output.stderr));
    // requests: 100 total, 100 started, 100 done, 100 succeeded, 0 failed, 0 errored, 0 timeout
    let line = text.lines().find_map(|line| line.strip_prefix("requests: ")).context("h2load says what it did")?;
    let of = |word: &str| {
        let part = line.split(", ").find_map(|part| part.trim().strip_suffix(word));
        part.and_then(|number| number.trim().parse::<u64>().ok()).with_context(|| format!("{word} in {line:?}"))
    };
    ensure!(of("errored")? == 0 && of("timeout")? == 0, "h2load: {line}");
    of("done")
}

impl Web {
    /// nghttpd, without TLS.
    pub(crate) fn nghttpd(folder: &Path, documents: &Path) -> Result<Self> {
        // It takes no port 0: one that was free a moment ago.
        let port = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port().to_string();
        let documents = documents.to_str().context("it is text")?;
        let process = inside(folder, "nghttpd", &["--no-tls", "-a", "127.0.0.1", "-d", documents, &port])
            .stdout(Stdio::null())
            .spawn()
            .context("failed to start nghttpd")?;
        let this = Self { process, address: format!("127.0.0.1:{port}") };
        let start = Instant::now();
        while TcpStream::connect(&this.address).is_err() {
            ensure!(start.elapsed() < Duration::from_secs(20), "nghttpd does not listen");
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(this)
    }

    /// Python's, which speaks HTTP/1.
    pub(crate) fn python(folder: &Path, documents: &Path) -> Result<Self> {
        let documents = documents.to_str().context("it is text")?;
        let arguments = ["-u", "-m", "http.server", "--bind", "127.0.0.1", "--directory", documents, "0"];
        let mut process = inside(folder, "python3", &arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .context("failed to start python3")?;
        let mut line = String::new();
        BufReader::new(process.stdout.take().context("it is piped")?).read_line(&mut line)?;
        // Serving HTTP on 127.0.0.1 port 40001 (http://127.0.0.1:40001/) ...
        let port = line.split(' ').nth(5).with_context(|| format!("it says its port: {line:?}"))?;
        let address = format!("127.0.0.1:{port}");
        Ok(Self { process, address })
    }
}

impl Drop for Web {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
