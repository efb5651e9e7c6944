//! The command line shows what the node agents serve.

use std::path::PathBuf;
use std::time::Duration;

use fleetscope_tests::command::{self, Ran};
use fleetscope_tests::{exposition, skip};

use crate::scene::{FLEET, Scene, rules};

/// The program, in `FLEETSCOPE_BIN`; if it is not there, the test is skipped.
fn program(test: &str) -> Option<String> {
    let path = PathBuf::from(std::env::var_os("FLEETSCOPE_BIN").unwrap_or_default()).join("fleetscope");
    if path.is_file() {
        return Some(path.to_string_lossy().into_owned());
    }
    skip::skip(
        &format!("e2e::beside::cli::{test}"),
        "FLEETSCOPE_BIN names no folder with the program fleetscope: run the suite by make e2e",
    );
    None
}

fn run(program: &str, arguments: &[&str]) -> Ran {
    let ran = command::run_with(program, arguments, "").unwrap();
    assert_eq!(ran.code, 0, "{arguments:?}: {ran:?}");
    ran
}

/// Words of the lines that contain `word`.
fn rows<'a>(text: &'a str, word: &str) -> Vec<Vec<&'a str>> {
    let lines = text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    lines.filter(|words| words.contains(&word)).collect()
}

#[tokio::test]
#[ignore = "needs a cluster: make e2e"]
async fn tasks_agents_status_and_metrics_show_the_fleet() {
    let Some(fleetscope) = program("tasks_agents_status_and_metrics_show_the_fleet") else { return };
    let scene = Scene::open("cli").await;
    scene.fleet(rules()).await;
    scene.pod("load", &["run", "120", "8"], None).await;
    scene.truth(1, Duration::from_mins(1)).await;
    let samples = scene.counted(120).await;
    let namespace = scene.namespace();

    let tasks = run(&fleetscope, &["tasks", "-n", namespace, "--fleet", FLEET, "--no-color"]).stdout;
    let row = rows(&tasks, "end").first().cloned().unwrap_or_else(|| panic!("no row of the task: {tasks}"));
    assert!(row.contains(&"load"), "the group: {tasks}");
    assert!(row.contains(&"120"), "how many have finished: {tasks}");
    let json: serde_json::Value =
        serde_json::from_str(&run(&fleetscope, &["tasks", "-n", namespace, "-o", "json"]).stdout).unwrap();
    assert!(json.to_string().contains("\"conflict\""), "{json}");

    let slow = run(&fleetscope, &["slow", "-n", namespace, "--kind", "task", "-o", "json"]).stdout;
    let slow: serde_json::Value = serde_json::from_str(&slow).unwrap();
    let end = slow["items"].as_array().unwrap().iter().find(|item| item["name"] == "end");
    assert_eq!(end.unwrap_or_else(|| panic!("no such task: {slow}"))["durationSeconds"]["count"], 120, "{slow}");

    let agents = run(&fleetscope, &["agents", "-n", namespace, "--no-color"]).stdout;
    assert_eq!(rows(&agents, "load").len(), 1, "one agent, of that name: {agents}");

    let metrics = run(&fleetscope, &["metrics", "-n", namespace, "--raw", "--match", "fleetscope_tasks_total"]).stdout;
    let raw = exposition::parse(
        &metrics.lines().filter(|line| line.starts_with("fleetscope_")).collect::<Vec<_>>().join("\n"),
    )
    .unwrap();
    let by = ["task", "result", "exit"];
    assert_eq!(
        exposition::sum_by(&raw, "fleetscope_tasks_total", &by),
        exposition::sum_by(&samples, "fleetscope_tasks_total", &by),
        "{metrics}"
    );

    let status = run(&fleetscope, &["status", "-n", namespace, "--no-color"]).stdout;
    assert!(status.contains(FLEET), "{status}");
}

#[tokio::test]
#[ignore = "needs a cluster: make e2e"]
async fn render_prints_what_the_operator_makes() {
    let Some(fleetscope) = program("render_prints_what_the_operator_makes") else { return };
    let rendered = run(&fleetscope, &["render", "-f", "examples/fleet.yaml"]).stdout;
    assert!(rendered.contains("kind: PodMonitor"), "{rendered}");
    let nonsense = command::run_with(&fleetscope, &["render", "-f", "examples/no-such-file.yaml"], "").unwrap();
    assert_eq!(nonsense.code, 1, "{nonsense:?}");
}
