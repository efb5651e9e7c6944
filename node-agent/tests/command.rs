//! The program's own answers: what it says before it serves anything.

use std::process::{Command, Output};

fn agent(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_fleetscope-node-agent"))
        .args(arguments)
        .env_clear()
        .output()
        .expect("the program starts")
}

#[test]
fn without_a_nodes_name_it_ends_with_one_sentence_that_names_the_remedy() {
    let output = agent(&["--log-format", "json", "--listen", "127.0.0.1:0"]);
    assert_eq!(output.status.code(), Some(1));
    let log: serde_json::Value = serde_json::from_slice(&output.stderr).expect("one JSON line");
    assert_eq!(
        log["error"],
        "failed to tell which node this is: set NODE_NAME from spec.nodeName, or run with --standalone"
    );
}

#[test]
fn a_log_filter_that_is_none_is_refused_with_what_to_write() {
    let output = agent(&["--standalone", "--log-level", "x=y=z"]);
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).expect("UTF-8");
    assert!(said.starts_with("failed to parse log filter `x=y=z`: write error, warn, info"), "{said}");
}

#[test]
fn the_version_is_that_of_the_package() {
    let output = agent(&["--version"]);
    assert_eq!(
        String::from_utf8(output.stdout).expect("UTF-8"),
        format!("fleetscope-node-agent {}\n", env!("CARGO_PKG_VERSION"))
    );
}
