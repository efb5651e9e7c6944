//! The program itself against an HTTP server on loopback: transport, exit codes, pipes. What it shows of a real cluster is
//! tested in `tests/e2e`.

mod api_server;

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Output, Stdio};

use api_server::{Answer, ApiServer, World, pod};
use serde_json::{Value, json};

const SYSTEM: &str = "fleetscope-system";

fn tasks(running: u64, success: u64) -> String {
    let mut counts = vec![0; fleetscope_core::metrics::TASK_BOUNDS.len() + 1];
    counts[0] = success;
    json!([{
        "namespace": "team-a", "fleet": "coders", "pod": "coder-1", "container": "agent", "workload": "coder",
        "task": "merge", "group": "git", "running": running,
        "finished": [{"result": "success", "exit": "0", "count": success}],
        "durations": [{"result": "success", "counts": counts, "sum": 1.0}],
    }])
    .to_string()
}

/// Node agents on the nodes `a`, `b`, ... with these answers.
fn world(answers: &[Answer]) -> World {
    let mut world = World::default();
    for (node, answer) in ('a'..).zip(answers) {
        let node = node.to_string();
        world.pods.push(pod("node-agent", SYSTEM, &node));
        world.answers.insert(format!("node-agent-{node}"), answer.clone());
    }
    world
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("UTF-8")
}

fn parts(output: &Output) -> (Option<i32>, String, String) {
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

#[test]
fn tasks_of_two_nodes_are_one_table() {
    let server = ApiServer::start(world(&[Answer::Text(tasks(1, 10)), Answer::Text(tasks(2, 20))]));
    let table = "\
NAMESPACE  FLEET   GROUP  TASK   RUNNING  FINISHED  SUCCESS  SUCCESS%    MEAN  P50    P99
team-a     coders  git    merge        3        30       30      100%  66.7ms  5ms  9.9ms
TOTAL                                  3        30       30      100%  66.7ms  5ms  9.9ms
";
    assert_eq!(parts(&server.run("tasks")), (Some(0), table.to_owned(), String::new()));
}

#[test]
fn a_node_that_is_not_reached_is_named_and_the_rest_is_shown() {
    let server = ApiServer::start(world(&[Answer::Text(tasks(1, 10)), Answer::Refused]));
    let (code, stdout, stderr) = parts(&server.run("tasks -o json"));
    let answer: Value = serde_json::from_str(&stdout).expect("JSON");
    assert_eq!((code, &answer["total"]["finished"]), (Some(4), &json!(10)));
    assert_eq!((&answer["nodes"]["asked"], &answer["nodes"]["answered"]), (&json!(2), &json!(1)));
    assert_eq!(
        stderr,
        "\
warning: node b: error trying to reach service: dial tcp 10.0.0.1:12345: connect: connection refused (HTTP 503)
  do: see `kubectl -n fleetscope-system logs node-agent-b`, and whether the API server reaches node b at port 12345
"
    );
}

#[test]
fn a_node_that_hangs_costs_the_time_limit_and_no_more() {
    let server = ApiServer::start(world(&[Answer::Hangs, Answer::Text(tasks(1, 10))]));
    let (code, stdout, stderr) = parts(&server.run("tasks --timeout 300ms"));
    assert_eq!(code, Some(4));
    assert!(stdout.contains("merge"), "{stdout}");
    assert!(stderr.starts_with("warning: node a: no answer within 300ms\n  do: see `kubectl get node a`"), "{stderr}");
}

#[test]
fn nothing_from_any_node_is_an_error() {
    let server = ApiServer::start(world(&[Answer::Text("<html>\u{1b}[31m".to_owned())]));
    let (code, _, stderr) = parts(&server.run("agents"));
    assert_eq!(code, Some(1));
    assert!(
        stderr.starts_with("error: node a: failed to understand the answer: expected value at line 1 column 1\n  do: "),
        "{stderr}"
    );
}

#[test]
fn a_node_agent_that_does_not_run_is_not_asked() {
    let mut world = world(&[Answer::Text(tasks(1, 10)), Answer::Text(tasks(1, 10))]);
    world.pods[1]["status"] = json!({"phase": "Pending", "containerStatuses": [{"name": "x", "image": "x", "imageID": "",
        "ready": false, "restartCount": 0, "state": {"waiting": {"reason": "ImagePullBackOff"}}}]});
    let server = ApiServer::start(world);
    let (code, _, stderr) = parts(&server.run("tasks"));
    assert_eq!(code, Some(4));
    assert_eq!(
        stderr,
        "warning: node b: its node agent does not run: its pod is Pending: ImagePullBackOff\n  \
         do: see `kubectl -n fleetscope-system describe pod node-agent-b`\n"
    );
    assert_eq!(server.queries(), ["node-agent-a:12345/api/v1/tasks"]);
}

#[test]
fn nodes_are_asked_together_but_not_all_at_once() {
    let nodes = 100;
    let mut world = World::default();
    for node in 0..nodes {
        world.pods.push(pod("node-agent", SYSTEM, &format!("n{node}")));
        world.answers.insert(format!("node-agent-n{node}"), Answer::TogetherWith(32, tasks(1, 1)));
    }
    let server = ApiServer::start(world);
    let (code, stdout, stderr) = parts(&server.run("tasks -o json --timeout 60s"));
    let answer: Value = serde_json::from_str(&stdout).expect("JSON");
    assert_eq!((code, &answer["total"]["running"], stderr.as_str()), (Some(0), &json!(nodes), ""));
    assert_eq!(server.most_waiting(), 32);
}

#[test]
fn where_pods_of_all_namespaces_are_forbidden_the_chart_s_default_is_tried() {
    let server = ApiServer::start(World { forbid_all: true, ..world(&[Answer::Text(tasks(1, 10))]) });
    assert_eq!(server.run("tasks").status.code(), Some(0));
}

#[test]
fn a_missing_right_is_named_with_who_grants_it() {
    let server = ApiServer::start(World { forbid_all: true, forbid_namespaces: true, ..world(&[Answer::Refused]) });
    assert_eq!(
        parts(&server.run("tasks")),
        (
            Some(1),
            String::new(),
            "error: failed to list pods in namespace fleetscope-system: forbidden\n  \
             do: `kubectl auth can-i list pods -n fleetscope-system` must say yes: ask for the Role fleetscope-cli \
             (value rbac.cliSubjects) of the chart, or name a namespace that you may read\n"
                .to_owned()
        )
    );
    let server = ApiServer::start(World { forbid_proxy: true, ..world(&[Answer::Refused]) });
    let (code, _, stderr) = parts(&server.run("agents"));
    assert_eq!(code, Some(1));
    assert!(
        stderr.starts_with("error: node a: not allowed to get pods/proxy in namespace fleetscope-system\n"),
        "{stderr}"
    );
}

#[test]
fn two_installations_are_not_added_up() {
    let mut world = world(&[Answer::Text(tasks(1, 10))]);
    world.pods.push(pod("node-agent", "other", "b"));
    world.answers.insert("node-agent-b".to_owned(), Answer::Text(tasks(1, 10)));
    let server = ApiServer::start(world);
    let (code, stdout, stderr) = parts(&server.run("tasks"));
    assert_eq!((code, stdout.as_str()), (Some(1), ""));
    assert!(stderr.contains("there are node agents in the namespaces fleetscope-system, other"), "{stderr}");
    assert_eq!(server.run("tasks --system-namespace other").status.code(), Some(0));
}

#[test]
fn without_node_agents_and_without_a_cluster_the_remedy_is_told() {
    let server = ApiServer::start(World::default());
    let (code, _, stderr) = parts(&server.run("tasks"));
    assert_eq!(code, Some(1));
    assert!(stderr.contains("failed to find node agents") && stderr.contains("helm upgrade --install"), "{stderr}");
    let mut command = server.command("tasks");
    drop(server);
    let (code, _, stderr) = parts(&command.output().expect("the program starts"));
    assert_eq!(code, Some(1));
    assert!(stderr.contains("failed to read the kubeconfig") && stderr.contains("--kubeconfig FILE"), "{stderr}");
}

fn calls(finished: u64) -> String {
    let mut counts = vec![0; fleetscope_core::metrics::RPC_BOUNDS.len() + 1];
    counts[9] = finished;
    json!([{
        "namespace": "team-a", "fleet": "coders", "pod": "coder-1", "container": "agent", "workload": "coder",
        "role": "server", "method": "plan.v1.Planner/Plan", "inFlight": 1, "bounds": fleetscope_core::metrics::RPC_BOUNDS,
        "finished": [{"status": "OK", "errorType": "", "count": finished, "counts": counts, "sum": 2.0}],
        "firstResponse": {"count": 0, "counts": [], "sum": 0.0},
    }])
    .to_string()
}

#[test]
fn rates_of_calls_are_between_two_looks_and_a_node_that_fails_is_asked_once() {
    let server = ApiServer::start(world(&[Answer::InTurn(vec![calls(10), calls(30)]), Answer::Refused]));
    let (code, stdout, stderr) = parts(&server.run("grpc --over 200ms -o json --fleet coders"));
    let answer: Value = serde_json::from_str(&stdout).expect("JSON");
    let number = |value: &Value| value.as_f64().expect("a number");
    let seconds = number(&answer["rateSeconds"]);
    assert!((0.2..20.0).contains(&seconds), "{answer}");
    // 20 calls are new; the product is them up to rounding.
    assert_eq!((number(&answer["items"][0]["callsPerSecond"]) * seconds).round().to_string(), "20");
    assert_eq!((code, &answer["totals"]["server"]["finished"]), (Some(4), &json!(30)));
    assert!(stderr.starts_with("warning: node b: error trying to reach service"), "{stderr}");
    let path = "api/v1/grpc?namespace=team-a&fleet=coders";
    let mut queries = server.queries();
    queries.sort();
    let wanted = ["a", "a", "b"].map(|node| format!("node-agent-{node}:12345/{path}"));
    assert_eq!(queries, wanted);
}

#[test]
fn rates_of_watch_are_between_rounds() {
    let server = ApiServer::start(world(&[Answer::InTurn(vec![calls(10), calls(30), calls(30)])]));
    let mut child = server
        .command("grpc -o json --watch --interval 100ms")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let lines = BufReader::new(child.stdout.take().expect("a pipe")).lines().take(3);
    let rates: Vec<Value> = lines
        .map(|line| {
            serde_json::from_str::<Value>(&line.expect("a line")).expect("JSON")["items"][0]["callsPerSecond"].clone()
        })
        .collect();
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(
        (&rates[0], &rates[2]),
        (&Value::Null, &json!(0.0)),
        "no look before the first; nothing new at the third"
    );
    assert!(rates[1].as_f64().is_some_and(|rate| rate > 0.0), "{rates:?}");
    assert_eq!((output.status.code(), text(&output.stderr)), (Some(0), String::new()));
}

#[test]
fn the_slowest_are_tasks_and_calls_also_when_a_node_agent_knows_no_calls() {
    let new = Answer::Paths(BTreeMap::from([("api/v1/tasks", tasks(0, 5)), ("api/v1/grpc", calls(10))]));
    let old = Answer::Paths(BTreeMap::from([("api/v1/tasks", tasks(0, 7))]));
    let server = ApiServer::start(world(&[new, old]));
    let table = "\
NAMESPACE  FLEET   KIND  GROUP/ROLE  NAME                  COUNT    P50    P99      MAX
team-a     coders  grpc  server      plan.v1.Planner/Plan     10  175ms  248ms  <=250ms
team-a     coders  task  git         merge                    12    5ms  9.9ms   <=10ms
";
    let warning = "\
warning: node b: its node agent has no /api/v1/grpc
  do: use the fleetscope of the node agents' version: `kubectl -n fleetscope-system get pod node-agent-b -o wide` names its image
";
    assert_eq!(parts(&server.run("slow")), (Some(4), table.to_owned(), warning.to_owned()));
    assert_eq!(server.run("slow --kind task").status.code(), Some(0));
    let (code, stdout, stderr) = parts(&server.run("slow --kind grpc"));
    assert_eq!((code, stdout.contains("plan.v1.Planner/Plan"), stderr.as_str()), (Some(4), true, warning));
}

fn exposition(samples: usize) -> String {
    let mut text = "# HELP fleetscope_tasks_running Now.\n# TYPE fleetscope_tasks_running gauge\n".to_owned();
    for i in 0..samples {
        text.extend([
            "fleetscope_tasks_running{namespace=\"team-a\",fleet=\"coders\",pod=\"p",
            &i.to_string(),
            "\"} 1\n",
        ]);
    }
    text
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let server = ApiServer::start(world(&[Answer::Text(exposition(50_000))]));
    let mut child = server
        .command("metrics --raw")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let mut first = [0; 40];
    child.stdout.take().expect("a pipe").read_exact(&mut first).expect("some output");
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(text(&first), "# node a (fleetscope-system/node-agent-a)"[..40]);
    assert_eq!((output.status.code(), text(&output.stderr)), (Some(0), String::new()));
}

#[test]
fn raw_metrics_are_the_node_s_own_lines_and_matching_ones_only() {
    let server = ApiServer::start(world(&[Answer::Text(exposition(3)), Answer::Text(exposition(1))]));
    let (code, stdout, _) = parts(&server.run("metrics --raw --match {pod=\"p0\"} --fleet coders"));
    let lines = "# HELP fleetscope_tasks_running Now.\n# TYPE fleetscope_tasks_running gauge\n\
                 fleetscope_tasks_running{namespace=\"team-a\",fleet=\"coders\",pod=\"p0\"} 1\n";
    let wanted =
        format!("# node a (fleetscope-system/node-agent-a)\n{lines}# node b (fleetscope-system/node-agent-b)\n{lines}");
    assert_eq!((code, stdout), (Some(0), wanted));
    let mut queries = server.queries();
    queries.sort();
    assert_eq!(
        queries,
        [
            "node-agent-a:12345/metrics?namespace=team-a&fleet=coders",
            "node-agent-b:12345/metrics?namespace=team-a&fleet=coders"
        ]
    );
}

#[test]
fn metrics_of_all_nodes_are_one_line_per_family() {
    let server = ApiServer::start(world(&[Answer::Text(exposition(3)), Answer::Text(exposition(1))]));
    let table = "\
METRIC                    TYPE   NODES  SERIES  TOTAL  MEAN  P99
fleetscope_tasks_running  gauge      2       4      4     -    -
";
    assert_eq!(parts(&server.run("metrics")), (Some(0), table.to_owned(), String::new()));
}

#[test]
fn watch_repeats_and_ends_with_its_reader() {
    let server = ApiServer::start(world(&[Answer::Text(tasks(1, 10))]));
    let mut child = server
        .command("tasks -o json --watch --interval 100ms")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let lines = BufReader::new(child.stdout.take().expect("a pipe")).lines().take(3);
    let totals: Vec<Value> = lines
        .map(|line| serde_json::from_str::<Value>(&line.expect("a line")).expect("JSON")["total"]["finished"].clone())
        .collect();
    assert_eq!(totals, [json!(10), json!(10), json!(10)]);
    let output = child.wait_with_output().expect("it ends");
    assert_eq!((output.status.code(), text(&output.stderr)), (Some(0), String::new()));
}

fn fleet(ready: &str) -> Value {
    json!({
        "apiVersion": "fleetscope.io/v1alpha1", "kind": "AgentFleet",
        "metadata": {"name": "coders", "namespace": "team-a", "generation": 1, "creationTimestamp": "2026-01-01T00:00:00Z"},
        "spec": {"selector": {}},
        "status": {"observedGeneration": 1, "targets": 1, "agents": {"total": 1, "discovered": 0, "running": 1, "stopped": 0, "failed": 0},
            "nodes": {"total": 1, "covered": 1, "summary": "1/1"},
            "conditions": [{"type": "Ready", "status": ready, "reason": "NodesNotReady", "message": "m",
                "lastTransitionTime": "2026-01-01T00:00:00Z"}]},
    })
}

/// Status of a node agent and an operator whose Lease the user may not read.
fn status_of(ready: &str) -> (Option<i32>, Value) {
    let info = json!({"version": "0.1.0", "kernel": "6.8", "unknown": 1, "probes": [{"probe": "tasks", "program": "exit", "state": "attached"}]});
    let mut world = world(&[Answer::Paths(BTreeMap::from([("info", info.to_string())]))]);
    world.pods.push(pod("operator", SYSTEM, "a"));
    world.fleets.push(fleet(ready));
    let server = ApiServer::start(world);
    let (code, stdout, stderr) = parts(&server.run("status -A -o json"));
    assert_eq!(stderr, "");
    (code, serde_json::from_str(&stdout).expect("JSON"))
}

#[test]
fn status_ends_with_3_when_a_fleet_is_not_ready_and_with_0_when_all_is_well() {
    let (code, status) = status_of("False");
    assert_eq!(
        (code, &status["hints"][0]["problem"]),
        (Some(3), &json!("fleet team-a/coders is not ready: NodesNotReady: m"))
    );
    let (code, status) = status_of("True");
    assert_eq!((code, &status["hints"], &status["operator"]["leaderKnown"]), (Some(0), &json!([]), &json!(false)));
}

#[test]
fn the_command_line_s_faults_end_with_2() {
    let server = ApiServer::start(World::default());
    for line in [
        "tasks --sort nothing",
        "tasks -A -n x",
        "metrics --match /(/",
        "frobnicate",
        "tasks -n ../..",
        "grpc --watch --over 2s",
        "slow --top 0",
        "slow --kind nothing",
    ] {
        assert_eq!(server.run(line).status.code(), Some(2), "{line}");
    }
}

#[test]
fn completions_and_version_need_no_cluster() {
    let server = ApiServer::start(World::default());
    let (code, stdout, _) = parts(&server.run("version"));
    assert_eq!((code, stdout), (Some(0), format!("fleetscope {}\n", env!("CARGO_PKG_VERSION"))));
    let (code, stdout, _) = parts(&server.run("completions bash"));
    assert_eq!(code, Some(0));
    assert!(
        ["_fleetscope()", "fleetscope__subcmd__grpc", "fleetscope__subcmd__slow"]
            .iter()
            .all(|word| stdout.contains(word)),
        "{stdout}"
    );
}
