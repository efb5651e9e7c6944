//! A receiver of webhooks in a pod: the binary `webhook` of this package in an image. It keeps what Alertmanager posts to it,
//! within bounds, and gives it back.

use std::collections::VecDeque;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, PostParams};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::cluster::Cluster;
use crate::image;
use crate::wait::eventually;

/// Most bytes of one request's body.
pub const BODY_MAX: usize = 1 << 20;
/// Most bytes of bodies that are kept: the oldest are forgotten first.
const KEPT_MAX: usize = 8 << 20;
const PORT: u16 = 8080;
/// How long the pod may take until it answers.
const LIMIT: Duration = Duration::from_mins(1);

/// A request that it got.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Received {
    /// Path of the URL, by which several receivers share one pod.
    pub path: String,
    /// The header `Authorization`, if there was one.
    pub authorization: Option<String>,
    /// The body: Alertmanager's JSON; what is not JSON, as a string.
    pub body: Value,
}

/// What it has: the answer to `GET /received`.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Record {
    /// Requests, the oldest first.
    pub received: VecDeque<Received>,
    /// Older ones that there was no room for.
    pub forgotten: u64,
    #[serde(skip)]
    lengths: VecDeque<usize>,
}

/// A pod with the receiver.
#[derive(Clone, Debug)]
pub struct Webhook {
    namespace: String,
    name: String,
    address: String,
}

// === impl Record ===

impl Record {
    /// Keeps a request whose body has these bytes, and forgets the oldest while there is no room.
    pub fn keep(&mut self, path: String, authorization: Option<String>, body: &[u8]) {
        let text = || Value::from(String::from_utf8_lossy(body));
        let body_value = serde_json::from_slice(body).unwrap_or_else(|_| text());
        self.received.push_back(Received { path, authorization, body: body_value });
        self.lengths.push_back(body.len());
        while self.lengths.iter().sum::<usize>() > KEPT_MAX {
            self.received.pop_front();
            self.lengths.pop_front();
            self.forgotten += 1;
        }
    }
}

// === impl Webhook ===

impl Webhook {
    /// Starts one from the program at `binary`, and waits until it answers.
    pub async fn start(cluster: &Cluster, namespace: &str, name: &str, binary: &str) -> Result<Self> {
        let pod = json!({
            "metadata": {"name": name, "labels": {"app": "webhook"}},
            "spec": {
                "terminationGracePeriodSeconds": 0,
                "automountServiceAccountToken": false,
                "containers": [{
                    "name": "webhook", "image": image::of("webhook", Path::new(binary))?, "imagePullPolicy": "IfNotPresent", "args": [PORT.to_string()],
                    "readinessProbe": {"httpGet": {"path": "/received", "port": PORT}, "periodSeconds": 1},
                    "resources": {"requests": {"cpu": "10m", "memory": "16Mi"}, "limits": {"memory": "64Mi"}},
                }],
            },
        });
        let pods = Api::<Pod>::namespaced(cluster.client.clone(), namespace);
        pods.create(&PostParams::default(), &serde_json::from_value(pod)?)
            .await
            .with_context(|| format!("failed to create pod {name}"))?;
        let (address, _) = eventually(LIMIT, &format!("the webhook {name} answers"), async || {
            let status = pods.get(name).await?.status.unwrap_or_default();
            let conditions = status.conditions.unwrap_or_default();
            let ready = conditions.iter().any(|c| c.type_ == "Ready" && c.status == "True");
            Ok(status.pod_ip.filter(|_| ready))
        })
        .await?;
        Ok(Self { namespace: namespace.to_owned(), name: name.to_owned(), address })
    }

    /// The URL of a receiver in it: any path, with a slash before it.
    pub fn url(&self, path: &str) -> String {
        let host = if self.address.contains(':') { format!("[{}]", self.address) } else { self.address.clone() };
        format!("http://{host}:{PORT}{path}")
    }

    /// What it got under a path so far, the oldest first. An error if there was more than it could keep.
    pub async fn received(&self, cluster: &Cluster, path: &str) -> Result<Vec<Received>> {
        let Self { namespace, name, .. } = self;
        let answer =
            cluster.get_json(&format!("/api/v1/namespaces/{namespace}/pods/{name}:{PORT}/proxy/received")).await?;
        let record: Record = serde_json::from_value(answer).context("not the answer of a webhook")?;
        ensure!(record.forgotten == 0, "the webhook {name} had no room for {} requests", record.forgotten);
        Ok(record.received.into_iter().filter(|received| received.path == path).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_kept_in_order_and_read_back() {
        let mut record = Record::default();
        record.keep("/a".to_owned(), Some("Bearer x".to_owned()), br#"{"status":"firing"}"#);
        record.keep("/b".to_owned(), None, b"no JSON");
        let answer = serde_json::to_value(&record).unwrap();
        assert_eq!(
            answer,
            json!({
                "received": [
                    {"path": "/a", "authorization": "Bearer x", "body": {"status": "firing"}},
                    {"path": "/b", "authorization": null, "body": "no JSON"},
                ],
                "forgotten": 0,
            })
        );
        assert_eq!(serde_json::from_value::<Record>(answer).unwrap().received, record.received);
    }

    #[test]
    fn oldest_requests_give_way() {
        let mut record = Record::default();
        let body = vec![b' '; BODY_MAX];
        for number in 0..10 {
            record.keep(format!("/{number}"), None, &body);
        }
        assert_eq!((record.received.len(), record.received[0].path.as_str(), record.forgotten), (8, "/2", 2));
    }

    #[test]
    fn urls_hold_addresses_of_both_families() {
        let url = |address: &str| {
            Webhook { namespace: String::new(), name: String::new(), address: address.to_owned() }.url("/team")
        };
        assert_eq!(
            (url("10.0.0.1"), url("fd00::1")),
            ("http://10.0.0.1:8080/team".to_owned(), "http://[fd00::1]:8080/team".to_owned())
        );
    }
}
