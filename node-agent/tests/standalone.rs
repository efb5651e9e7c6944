//! The real program with `--standalone` on the real kernel: processes in groups of their own, and what is served of them.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use client::{Answer, eventually, get};
use flate2::read::GzDecoder;
use fleetscope_core::expose::proto::{Counter, MetricFamily};
use prost::Message as _;
use rustix::process::{Pid, Signal, kill_process};

mod client;

const LIMIT: Duration = Duration::from_secs(20);

/// The agent; ends with the test.
struct Agent {
    process: Child,
    address: SocketAddr,
}

impl Agent {
    fn start() -> Self {
        let mut process = Command::new(env!("CARGO_BIN_EXE_fleetscope-node-agent"))
            .args(["--standalone", "--listen", "127.0.0.1:0", "--log-format", "json"])
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let mut log = BufReader::new(process.stderr.take().expect("piped"));
        let mut said = String::new();
        let address = loop {
            let mut line = String::new();
            assert!(log.read_line(&mut line).expect("log") > 0, "the agent ended:\n{said}");
            said.push_str(&line);
            let entry: serde_json::Value = serde_json::from_str(&line).expect("a log line is JSON");
            if entry["message"] == "Serving" {
                break entry["address"].as_str().and_then(|address| address.parse().ok()).expect("an address");
            }
        };
        // The pipe is read to its end, so that the agent never waits for it.
        std::thread::spawn(move || std::io::copy(&mut log, &mut std::io::stderr()));
        Self { process, address }
    }

    fn get(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        get(self.address, path, headers)
    }

    fn stop(mut self) -> Option<i32> {
        let pid = Pid::from_child(&self.process);
        kill_process(pid, Signal::TERM).expect("it runs");
        let code = eventually(LIMIT, "the agent's end", || {
            self.process.try_wait().expect("our child").ok_or_else(|| "it runs".to_owned())
        });
        code.code()
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        if matches!(self.process.try_wait(), Ok(None)) {
            let _ = self.process.kill();
            let _ = self.process.wait();
        }
    }
}

/// A cgroup of the test's own.
struct Group {
    name: String,
    path: PathBuf,
}

impl Group {
    fn new(name: &str) -> Self {
        let root = ["/sys/fs/cgroup/unified", "/sys/fs/cgroup"].map(Path::new);
        let root = root.into_iter().find(|root| root.join("cgroup.procs").is_file()).expect("a cgroup2 tree");
        let name = format!("fleetscope-{name}-{}.service", std::process::id());
        let path = root.join(&name);
        fs::create_dir(&path).expect("a group of our own");
        Self { name, path }
    }

    /// Runs a script of `sh` in the group.
    fn sh(&self, script: &str) -> Child {
        let procs = self.path.join("cgroup.procs");
        Command::new("sh").arg("-c").arg(format!("echo $$ > {}; {script}", procs.display())).spawn().expect("sh")
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let _ = fs::write(self.path.join("cgroup.kill"), "1");
        let path = self.path.clone();
        eventually(LIMIT, "the group's removal", || fs::remove_dir(&path).map_err(|error| error.to_string()));
    }
}

/// Value by the labels of a series that matter here, of one metric and one group, from a text exposition.
fn series(text: &str, metric: &str, group: &str, labels: &[&str]) -> BTreeMap<String, f64> {
    let start = format!("{metric}{{");
    let lines = text.lines().filter(|line| line.starts_with(&start) && line.contains(&format!("pod=\"{group}\"")));
    lines
        .map(|line| {
            let label = |name: &str| {
                let at =
                    line.find(&format!("{name}=\"")).unwrap_or_else(|| panic!("no {name} in {line}")) + name.len() + 2;
                line[at..].split('"').next().unwrap_or_default().to_owned()
            };
            let key: Vec<String> = labels.iter().map(|name| label(name)).collect();
            (key.join(" "), line.rsplit(' ').next().and_then(|value| value.parse().ok()).expect("a number"))
        })
        .collect()
}

fn expect(pairs: &[(&str, f64)]) -> BTreeMap<String, f64> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), *value)).collect()
}

fn comm(pid: u32) -> String {
    fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default().trim().to_owned()
}

#[test]
#[ignore = "needs CAP_BPF: make test-kernel"]
fn tasks_of_a_group_are_counted_exactly_and_served_in_every_format() {
    let before = Group::new("before");
    let mut sleeper = before.sh("exec sleep 1000");
    eventually(LIMIT, "sleep", || if comm(sleeper.id()) == "sleep" { Ok(()) } else { Err(comm(sleeper.id())) });

    let agent = Agent::start();
    eventually(LIMIT, "readiness", || {
        let answer = agent.get("/readyz", &[]);
        if answer.status == 200 { Ok(()) } else { Err(answer.text()) }
    });
    let running = |text: &str| series(text, "fleetscope_tasks_running", &before.name, &["task"]);
    let text = agent.get("/metrics", &[]).text();
    assert_eq!(running(&text), expect(&[("sleep", 1.0)]), "alive before the agent");

    let group = Group::new("exact");
    let script = "i=0; while [ $i -lt 40 ]; do true_; i=$((i+1)); done; for i in 1 2 3 4 5 6 7; do bash -c 'exit 42'; done; \
        for i in 1 2 3 4 5; do bash -c 'kill -9 $$'; done; for i in 1 2 3; do /bin/false; done; (:); (:); exit 0";
    let status = group.sh(&script.replace("true_", "/bin/true")).wait().expect("sh ends");
    assert!(status.success());
    sleeper.kill().expect("it sleeps");
    sleeper.wait().expect("our child");

    let text = agent.get("/metrics", &[]).text();
    let totals = |text: &str, group: &str| {
        let mut all = series(text, "fleetscope_tasks_total", group, &["task", "exit"]);
        // The shell moved here from the group of this test; it is where it was when it was started.
        all.retain(|key, _| !key.starts_with("sh "));
        all
    };
    let exact = expect(&[("bash other", 7.0), ("bash sigkill", 5.0), ("false 1", 3.0), ("true 0", 40.0)]);
    assert_eq!(totals(&text, &group.name), exact);
    assert_eq!(totals(&text, &before.name), expect(&[("sleep sigkill", 1.0)]));
    assert_eq!(running(&text), expect(&[("sleep", 0.0)]));
    let count = series(&text, "fleetscope_task_duration_seconds_count", &group.name, &["task", "result"]);
    assert_eq!((count.get("true success"), count.get("bash failed")), (Some(&40.0), Some(&12.0)), "{count:?}");

    let open = agent.get("/metrics", &[("Accept", "application/openmetrics-text;version=1.0.0")]);
    assert_eq!(open.header("content-type"), "application/openmetrics-text; version=1.0.0; charset=utf-8");
    assert!(open.text().ends_with("# EOF\n"));
    assert_eq!(totals(&open.text(), &group.name), exact);

    let protobuf = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited";
    let protobuf = agent.get("/metrics", &[("Accept", protobuf), ("Accept-Encoding", "gzip")]);
    assert_eq!(protobuf.header("content-encoding"), "gzip");
    let mut unpacked = Vec::new();
    GzDecoder::new(protobuf.body.as_slice()).read_to_end(&mut unpacked).expect("gzip");
    assert_eq!(protobuf_total(&unpacked, &group.name, "true").to_string(), "40");

    let other = agent.get("/metrics?namespace=none&fleet=none", &[]);
    assert_eq!((other.status, other.text().as_str()), (200, ""));
    assert_eq!(agent.stop(), Some(0));
}

/// Total of one task in a group, from the protobuf exposition.
fn protobuf_total(mut bytes: &[u8], group: &str, task: &str) -> f64 {
    let mut total = 0.0;
    while !bytes.is_empty() {
        let family = MetricFamily::decode_length_delimited(&mut bytes).expect("a family");
        for metric in family.metric.iter().filter(|_| family.name() == "fleetscope_tasks_total") {
            let has = |name: &str, value: &str| {
                metric.label.iter().any(|label| label.name() == name && label.value() == value)
            };
            if has("pod", group) && has("task", task) {
                total += metric.counter.as_ref().map_or(0.0, Counter::value);
            }
        }
    }
    total
}
