//! A rolling update of the node agents: calls on connections that stay open keep their names, and are counted whether a node agent ran or not.

use std::collections::BTreeMap;
use std::process::{Command, Stdio};
use std::time::Duration;

use fleetscope_core::metrics::OTHER;
use fleetscope_tests::cluster::kubectl;
use fleetscope_tests::exposition::{self, Sample};
use fleetscope_tests::wait::{eventually, until};
use fleetscope_tests::{node_agents, peers, release};
use serde_json::json;

use crate::alone::grpc::{CLIENT, SERVER, counts, image};
use crate::conversation::{Calls, Conversation};
use crate::scene::{FLEET, Scene};

/// The node agents.
const DAEMON_SET: &str = "daemonset/fleetscope-node-agent";
/// How long the node agents may take to be gone, or to be replaced.
const LIMIT: Duration = Duration::from_mins(2);

/// Counts of all node agents that go on from one to the next.
#[derive(Debug, PartialEq, Eq)]
struct Books {
    finished: u64,
    /// Calls without a name or a status, calls that were lost, and gaps.
    doubtful: u64,
}

impl Books {
    async fn of(scene: &Scene) -> Self {
        // A pod that is being replaced may be listed without an address, or with one that nobody has any more.
        let all = async || node_agents::scrape(&scene.cluster, "", "").await.map(Some);
        let (samples, _) = eventually(Duration::from_secs(20), "every node agent answers", all).await.unwrap();
        let count = |name: &str, labels: &[(&str, &str)]| whole(exposition::sum(&samples, name, labels));
        let doubtful = [
            "fleetscope_rpc_unnamed_calls_total",
            "fleetscope_rpc_unknown_status_calls_total",
            "fleetscope_rpc_calls_lost_total",
            "fleetscope_rpc_gaps_total",
            "fleetscope_rpc_faults_total",
        ];
        Self {
            finished: count("fleetscope_rpc_calls_total", &[("event", "finished")]),
            doubtful: doubtful.iter().map(|name| count(name, &[])).sum(),
        }
    }
}

/// No node agent on any node, until this goes.
struct Absence;

impl Absence {
    /// The node agents are told to end, and are gone when this returns.
    async fn begin(scene: &Scene) -> Self {
        let this = Self;
        Self::select("\"nowhere\"").unwrap();
        until(LIMIT, "no node agent is there", async || {
            Ok(scene.cluster.pods(release::NAMESPACE, node_agents::LABELS).await?.is_empty())
        })
        .await
        .unwrap();
        this
    }

    /// The node agents are back.
    fn end(self) {
        drop(self);
        kubectl(&["rollout", "status", DAEMON_SET, "-n", release::NAMESPACE, "--timeout=120s"]).unwrap();
    }

    /// Has the DaemonSet select nodes by a label that none has, or not.
    fn select(value: &str) -> anyhow::Result<String> {
        let patch = format!(r#"{{"spec":{{"template":{{"spec":{{"nodeSelector":{{"fleetscope-e2e":{value}}}}}}}}}}}"#);
        kubectl(&["patch", DAEMON_SET, "-n", release::NAMESPACE, "--type=merge", "-p", &patch])
    }
}

impl Drop for Absence {
    fn drop(&mut self) {
        let _ = Self::select("null");
    }
}

fn whole(count: f64) -> u64 {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "counts are whole and small")]
    let whole = count as u64;
    whole
}

/// How long the calls took that the pod made.
fn seconds(samples: &[Sample], pod: &str) -> f64 {
    exposition::sum(samples, &format!("{CLIENT}_sum"), &[("pod", pod)])
}

/// What is in the first and not in the second.
fn less(calls: &Calls, before: &Calls) -> Calls {
    let left = calls.iter().map(|(key, count)| (key.clone(), count.saturating_sub(*before.get(key).unwrap_or(&0))));
    left.filter(|(_, count)| *count > 0).collect()
}

/// Waits until the ends that pods served are counted as `served`, and those that they made as `made`; gives the series.
async fn counted(scene: &Scene, served: &Calls, made: &Calls) -> Vec<Sample> {
    let (samples, _) = eventually(Duration::from_secs(20), "both ends of all calls are counted", async || {
        let samples = node_agents::scrape(&scene.cluster, scene.namespace(), FLEET).await?;
        for (metric, expected) in [(SERVER, served), (CLIENT, made)] {
            let found = counts(&samples, metric);
            let (missing, more) = (less(expected, &found), less(&found, expected));
            anyhow::ensure!(found == *expected, "{metric}: missing {missing:?}, too many {more:?}");
        }
        Ok(Some(samples))
    })
    .await
    .unwrap();
    samples
}

/// A fleet whose pods have made a first round of calls, which the node agents know of.
async fn talk(scene: &Scene, image: String) -> (Conversation, Calls) {
    scene.fleet(json!({"unmatched": "Ignore"})).await;
    let mut conversation = Conversation::open(scene, image).await;
    conversation.round().await;
    let first = conversation.calls().await;
    counted(scene, &first, &first).await;
    (conversation, first)
}

/// Every node agent says that it began so.
async fn began(scene: &Scene, state: &str, reason: &str, connections: &BTreeMap<String, usize>) {
    for agent in node_agents::all(&scene.cluster).await.unwrap() {
        let own = agent.scrape(&scene.cluster, "", "").await.unwrap();
        let labels = [("state", state), ("reason", reason)];
        let info: Vec<&Sample> = exposition::matching(&own, "fleetscope_rpc_restart_info", &[]).collect();
        assert_eq!(exposition::sum(&own, "fleetscope_rpc_restart_info", &labels).to_string(), "1", "{info:?}");
        let restored = whole(exposition::sum(&own, "fleetscope_rpc_restored_connections", &[]));
        let held = connections.get(&agent.node).copied().unwrap_or_default();
        assert!(restored >= held as u64, "{}: {restored} of {held} connections", agent.node);
    }
}

/// A rolling update, and calls until it is done.
async fn roll(conversation: &mut Conversation) {
    kubectl(&["rollout", "restart", DAEMON_SET, "-n", release::NAMESPACE]).unwrap();
    let mut rollout = Command::new("kubectl")
        .args(["rollout", "status", DAEMON_SET, "-n", release::NAMESPACE, "--timeout=120s"])
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let status = loop {
        conversation.round().await;
        if let Some(status) = rollout.try_wait().unwrap() {
            break status;
        }
    };
    assert!(status.success(), "the rollout is not done: {status}");
}

#[tokio::test]
#[ignore = "needs a cluster: make e2e"]
async fn calls_on_open_connections_keep_their_names_over_a_rolling_update_and_none_is_missed() {
    let test = "alone::rollout::calls_on_open_connections_keep_their_names_over_a_rolling_update_and_none_is_missed";
    let Some(image) = image(test) else { return };
    release::ensure_with(&json!({"nodeAgent": {"persist": true, "maxUnavailable": 1}})).await.unwrap();
    let scene = Scene::open_as_installed("rollout").await;
    let (before, old) = (Books::of(&scene).await, node_agents::all(&scene.cluster).await.unwrap());
    let (mut conversation, first) = talk(&scene, image).await;
    assert_eq!(first.len(), 4 * 17, "four methods, each with every status: {first:?}");

    roll(&mut conversation).await;
    let new = node_agents::all(&scene.cluster).await.unwrap();
    assert!(new.len() == old.len() && new.iter().all(|agent| old.iter().all(|other| other.uid != agent.uid)));
    began(&scene, "restored", "", &conversation.connections).await;
    // Old and new ones together know of every call: what one had counted when it ended is in what it left.
    let rolled = conversation.calls().await;
    let books = |calls: &Calls| Books {
        finished: before.finished + 2 * calls.values().sum::<u64>(),
        doubtful: before.doubtful,
    };
    until(Duration::from_secs(20), "the books have all calls", async || {
        let found = Books::of(&scene).await;
        anyhow::ensure!(found == books(&rolled), "{found:?}, expected {:?}", books(&rolled));
        Ok(true)
    })
    .await
    .unwrap();

    let begun = scene.scrape().await;
    conversation.round().await;
    let more = less(&conversation.calls().await, &rolled);
    let add = |metric: &str| {
        let mut sum = counts(&begun, metric);
        for (key, count) in &more {
            *sum.entry(key.clone()).or_default() += count;
        }
        sum
    };
    let (server, client) = (add(SERVER), add(CLIENT));
    counted(&scene, &server, &client).await;
    assert!(server.keys().chain(client.keys()).all(|(method, status)| method != OTHER && status != OTHER));
}

#[tokio::test]
#[ignore = "needs a cluster: make e2e"]
async fn calls_without_a_node_agent_are_counted_under_their_names_by_the_next_one() {
    let test = "alone::rollout::calls_without_a_node_agent_are_counted_under_their_names_by_the_next_one";
    let Some(image) = image(test) else { return };
    release::ensure_with(&json!({"nodeAgent": {"persist": true, "maxUnavailable": 1}})).await.unwrap();
    let scene = Scene::open_as_installed("absence").await;
    let before = Books::of(&scene).await;
    let (mut conversation, first) = talk(&scene, image).await;

    // A call that begins before the node agents end, and ends when it does.
    let mut lasting = conversation.lasting(&scene).await;
    lasting.begin().unwrap();
    scene
        .scraped(Duration::from_secs(20), "both ends of the lasting call are known to begin", |seen| {
            exposition::sum(seen, "fleetscope_rpc_calls_in_flight", &[]).to_string() == "2"
        })
        .await;

    let open = conversation.connections.clone();
    let absence = Absence::begin(&scene).await;
    conversation.round().await;
    // A pod, and with it a group, that no node agent saw begin.
    let node = open.keys().next().unwrap().clone();
    conversation.client(&scene, "late", &node).await;
    conversation.round().await;
    absence.end();
    began(&scene, "restored", "", &open).await;
    conversation.round().await;
    let account = lasting.finish().await.unwrap();
    conversation.clients.push((lasting, peers::counts(&account)));
    // The series of the old ones ended with `first`.
    let all = conversation.calls().await;
    let since = less(&all, &first);
    let samples = counted(&scene, &since, &since).await;
    let late = exposition::sum(&samples, &format!("{CLIENT}_count"), &[("pod", "late")]);
    assert_eq!(whole(late), 2 * 4 * 68, "two rounds of the pod that came meanwhile");
    let (own, took) = (account.values().map(|calls| calls.sum).sum::<f64>(), seconds(&samples, "lasting"));
    assert!((own - took).abs() < 0.5, "the lasting call took {own} s, not {took}");
    let books = Books { finished: before.finished + 2 * all.values().sum::<u64>(), doubtful: before.doubtful };
    assert_eq!(Books::of(&scene).await, books);
}

#[tokio::test]
#[ignore = "needs a cluster: make e2e"]
async fn without_persist_a_rolling_update_takes_the_names_of_open_connections() {
    let test = "alone::rollout::without_persist_a_rolling_update_takes_the_names_of_open_connections";
    let Some(image) = image(test) else { return };
    let scene = Scene::open("forgetful").await;
    let (mut conversation, _) = talk(&scene, image).await;

    roll(&mut conversation).await;
    began(&scene, "not_persistent", "off", &BTreeMap::new()).await;
    conversation.round().await;
    scene
        .scraped(Duration::from_secs(20), "calls without names are counted, and none with one", |seen| {
            [SERVER, CLIENT].iter().all(|metric| {
                let calls = counts(seen, metric);
                !calls.is_empty() && calls.keys().all(|(method, _)| method == OTHER)
            })
        })
        .await;
}
