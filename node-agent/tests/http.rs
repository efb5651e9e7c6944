//! The agent's HTTP answers, with a real engine that has no eBPF object: what does not need the kernel serves all the same.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use client::{ask, eventually, get};
use fleetscope_core::metrics::{
    ALL, BPF_RUN_TIME, BPF_RUNS, BUILD_INFO, EVENTS_LOST, PROBE_INFO, SCRAPE_DURATION, SERIES, Scope,
};
use fleetscope_core::series::Limits;
use fleetscope_node_agent::engine::handle::Handle;
use fleetscope_node_agent::engine::restart::Restart;
use fleetscope_node_agent::engine::{Changes, Engine, Settings};
use fleetscope_node_agent::http::App;
use fleetscope_node_agent::info;
use fleetscope_node_agent::mounts::{Mounts, Paths};
use fleetscope_node_agent::probes::{Options, Probes};
use fleetscope_node_agent::readiness::Readiness;
use fleetscope_node_agent::sampling::Sampling;
use fleetscope_serve::{listen, serve};
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use tokio::sync::{mpsc, watch};

mod client;

/// A served agent; ends with the test.
struct Served {
    address: SocketAddr,
    _runtime: Runtime,
    _stop: [watch::Sender<bool>; 2],
}

/// Serves an agent without an eBPF object, on a machine whose cgroups are not there.
fn serve_without_probes() -> Served {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("runtime");
    let mut probes = Probes::load_object(&Options::default(), &[]);
    let nowhere = Some("/nowhere".into());
    let mounts = Mounts::find(Paths { cgroup_root: nowhere.clone(), proc_root: nowhere, ..Paths::default() });
    let readiness = Arc::new(Readiness::new(false));
    let (ready, reason) = info::probes_reason(probes.report());
    readiness.set(fleetscope_node_agent::readiness::Part::Probes, ready, reason);
    let settings = Settings {
        node: "node-1".to_owned(),
        standalone: false,
        runqueue: true,
        rpc: true,
        some_namespaces: false,
        series: Limits::default(),
        series_grace: Duration::from_mins(5),
        pending_timeout: Duration::from_secs(30),
    };
    let (handle, questions) = Handle::new();
    let ((pods_out, pods), (fleets_out, fleets)) = (mpsc::channel(1), mpsc::channel(1));
    let ((stop_engine, engine_stop), (stop_http, http_stop)) = (watch::channel(false), watch::channel(false));
    let restart = Restart::take(&mut probes);
    let engine = Engine::new(settings, probes, mounts, Arc::clone(&readiness), restart);
    let app = App::new(handle, Sampling::new(None), readiness, json!({ "version": info::VERSION }));
    let address = runtime.block_on(async {
        let listener = listen(SocketAddr::from(([127, 0, 0, 1], 0))).expect("loopback");
        let address = listener.local_addr().expect("bound");
        tokio::spawn(async move {
            engine.run(Changes { pods, fleets }, questions, engine_stop).await;
            drop((pods_out, fleets_out));
        });
        let told = app.told();
        tokio::spawn(serve(listener, app.router(), told, http_stop));
        address
    });
    Served { address, _runtime: runtime, _stop: [stop_engine, stop_http] }
}

fn parsed(body: &[u8]) -> Value {
    serde_json::from_slice(body).expect("JSON")
}

#[test]
fn an_agent_without_probes_says_why_it_is_not_ready_and_serves_the_rest() {
    let served = serve_without_probes();
    let report = eventually(Duration::from_secs(10), "the engine's first scan", || {
        let answer = get(served.address, "/readyz", &[]);
        assert_eq!((answer.status, answer.header("content-type")), (503, "application/json"));
        let report = parsed(&answer.body);
        if report["conditions"][1]["reason"] == "the agent is starting" { Err(report.to_string()) } else { Ok(report) }
    });
    assert_eq!(report["ready"], json!(false));
    let reason = |at: usize| report["conditions"][at]["reason"].as_str().unwrap_or_default().to_owned();
    assert!(reason(0).contains("built without the eBPF object") && reason(0).contains("make build"), "{report}");
    assert!(reason(1).contains("--cgroup-root"), "{report}");

    assert_eq!(get(served.address, "/healthz", &[]).status, 200);
    assert_eq!(parsed(&get(served.address, "/info", &[]).body), json!({ "version": info::VERSION }));
    assert_eq!(parsed(&get(served.address, "/agents", &[]).body), json!([]));
    for path in ["/api/v1/tasks", "/api/v1/grpc", "/api/v1/grpc?namespace=a&fleet=b"] {
        let answer = get(served.address, path, &[]);
        assert_eq!((answer.header("content-type"), parsed(&answer.body)), ("application/json", json!([])), "{path}");
    }
    let text = get(served.address, "/metrics", &[]).text();
    assert!(text.contains("fleetscope_probe_info{mode=\"tp_btf\",probe=\"tasks\""), "{text}");
}

#[test]
fn every_self_metric_is_served_from_the_first_scrape_on() {
    let served = serve_without_probes();
    let families = |path: &str| -> Vec<String> {
        let text = get(served.address, path, &[]).text();
        text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next().map(str::to_owned)).collect()
    };
    families("/metrics?scope=self");
    let shown = families("/metrics?scope=self");
    // The kernel's statistics need programs: the kernel suite looks at them.
    let needs_programs = [BPF_RUN_TIME.name, BPF_RUNS.name];
    let own = ALL.iter().filter(|metric| metric.scope == Scope::NodeAgent && !needs_programs.contains(&metric.name));
    let missing: Vec<&str> =
        own.map(|metric| metric.name).filter(|name| !shown.contains(&(*name).to_owned())).collect();
    let needed_by_fleets = [fleetscope_core::metrics::SERIES_DROPPED.name];
    let missing: Vec<&str> = missing.into_iter().filter(|name| !needed_by_fleets.contains(name)).collect();
    assert_eq!(missing, Vec::<&str>::new());
    for metric in [&BUILD_INFO, &PROBE_INFO, &EVENTS_LOST, &SCRAPE_DURATION, &SERIES] {
        assert!(shown.contains(&metric.name.to_owned()), "{}", metric.name);
    }
    assert!(
        ALL.iter().filter(|metric| metric.scope == Scope::Fleet).all(|metric| !shown.contains(&metric.name.to_owned()))
    );
}

#[test]
fn what_is_not_there_or_does_not_fit_is_refused_with_a_sentence() {
    let served = serve_without_probes();
    let answer = get(served.address, "/metricz", &[]);
    assert_eq!(
        (answer.status, answer.text().contains("/metrics"), answer.text().contains("/api/v1/grpc")),
        (404, true, true)
    );
    let answer = ask(served.address, "POST", "/metrics", &[]);
    assert_eq!(
        (answer.status, answer.header("allow"), answer.text().as_str()),
        (405, "GET,HEAD", "only GET and HEAD are answered\n")
    );
    for path in ["/metrics?fleet=a", "/api/v1/tasks?fleet=a", "/api/v1/grpc?namespace=a"] {
        let answer = get(served.address, path, &[]);
        assert_eq!((answer.status, answer.text().as_str()), (400, "namespace and fleet go together\n"), "{path}");
    }
    assert_eq!(get(served.address, "/api/v1/grpc?namespace=a&fleeet=b", &[]).status, 400);
    let answer = get(served.address, "/metrics?namespace=a&fleet=b", &[]);
    assert_eq!((answer.status, answer.text().as_str()), (200, ""));
}

#[test]
fn head_has_the_headers_of_get_and_no_body() {
    let served = serve_without_probes();
    let head = ask(served.address, "HEAD", "/metrics?scope=self&match=fleetscope_build", &[]);
    let get = get(served.address, "/metrics?scope=self&match=fleetscope_build", &[]);
    assert_eq!((head.status, head.body.len()), (200, 0));
    assert_eq!(head.header("content-length"), get.body.len().to_string());
    assert_eq!(get.header("content-type"), "text/plain; version=0.0.4; charset=utf-8");
    assert_eq!(get.header("vary"), "Accept, Accept-Encoding");
}
