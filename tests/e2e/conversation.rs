//! A gRPC server and its clients in pods, whose connections stay open while a test does something to the node agents.

use std::collections::BTreeMap;
use std::time::Duration;

use fleetscope_tests::peers;
use fleetscope_tests::pod_peer::PodPeer;
use fleetscope_tests::wait::until;

use crate::scene::Scene;

/// Connections of each client.
const CONNECTIONS: usize = 2;

/// Calls by method and status.
pub(crate) type Calls = BTreeMap<(String, String), u64>;

/// A server and two clients in pods, on two nodes where there are two, whose connections stay open.
pub(crate) struct Conversation {
    server: PodPeer,
    pub(crate) clients: Vec<(PodPeer, Calls)>,
    target: String,
    image: String,
    /// By node, those of both ends.
    pub(crate) connections: BTreeMap<String, usize>,
}

// === impl Conversation ===

impl Conversation {
    pub(crate) async fn open(scene: &Scene, image: String) -> Self {
        let nodes = scene.cluster.nodes().await.unwrap();
        let arguments = ["server", "--listen", "0.0.0.0:50051"];
        let node = Some(&*nodes[0]);
        let server =
            PodPeer::start(&scene.cluster, scene.namespace(), "server", &image, &arguments, node).await.unwrap();
        let target = format!("{}:50051", server.address().await.unwrap());
        let mut this = Self { server, clients: Vec::new(), target, image, connections: BTreeMap::new() };
        for number in 0..2 {
            this.client(scene, &format!("client-{number}"), &nodes[(number + 1) % nodes.len()]).await;
            *this.connections.entry(nodes[0].clone()).or_default() += CONNECTIONS;
        }
        this
    }

    /// One more client.
    pub(crate) async fn client(&mut self, scene: &Scene, name: &str, node: &str) {
        let connections = CONNECTIONS.to_string();
        let arguments = [
            ["client", "--hold", "--target", &self.target, "--connections", &connections],
            ["--kind", "unary,client,server,bidi", "--calls", "68", "--concurrency", "8"],
            ["--status", "mix", "--messages", "2", "--delay-ms", "3"],
        ]
        .concat();
        let client = PodPeer::start(&scene.cluster, scene.namespace(), name, &self.image, &arguments, Some(node)).await;
        self.clients.push((client.unwrap(), Calls::new()));
        *self.connections.entry(node.to_owned()).or_default() += CONNECTIONS;
    }

    /// A client whose one call lasts as long as a rollout, more or less.
    pub(crate) async fn lasting(&self, scene: &Scene) -> PodPeer {
        let arguments = ["client", "--hold", "--target", &self.target, "--kind", "bidi", "--end-delay-ms", "10000"];
        PodPeer::start(&scene.cluster, scene.namespace(), "lasting", &self.image, &arguments, None).await.unwrap()
    }

    /// Every client makes its calls once more, on the connections that it has.
    pub(crate) async fn round(&mut self) {
        for (client, calls) in &mut self.clients {
            *calls = peers::counts(&client.round().await.unwrap());
        }
    }

    /// All calls so far, as both ends say.
    pub(crate) async fn calls(&mut self) -> Calls {
        let mut all = Calls::new();
        for (key, count) in self.clients.iter().flat_map(|(_, calls)| calls) {
            *all.entry(key.clone()).or_default() += count;
        }
        let server = &mut self.server;
        until(Duration::from_secs(10), "the server's account is the clients'", async || {
            Ok(peers::counts(&server.account().await?) == all)
        })
        .await
        .unwrap();
        all
    }
}
