//! `spec.grpc`: whether the fleet's gRPC calls are observed, and under which names and buckets they are told.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

/// Whether the fleet's gRPC calls are observed, and how they are told.
#[derive(KubeSchema, Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct GrpcSpec {
    /// Looks at the sockets of the fleet's containers for gRPC calls. Default true.
    #[serde(default = "default_enabled")]
    pub enabled: bool,
    /// Most different methods, per node; calls of further ones are counted under the method `_OTHER`. Default 200.
    #[serde(default = "default_max_methods")]
    #[schemars(range(min = 0, max = 10000))]
    pub max_methods: i32,
    /// Methods that are observed, as `package.Service/Method`, where `*` stands for any characters: `shop.*`, `*/Get*`.
    /// Calls of other methods are not counted anywhere; those whose method cannot be known are, under `_OTHER`. Default: all methods.
    #[serde(default)]
    #[schemars(length(max = 64), inner(length(min = 1, max = 256), regex(pattern = r"^[!-~]*$")))]
    pub include_methods: Vec<String>,
    /// Methods that are not observed though `includeMethods` has them, for example `grpc.health.v1.Health/*`. Their calls
    /// are not counted anywhere. Default none.
    #[serde(default)]
    #[schemars(length(max = 64), inner(length(min = 1, max = 256), regex(pattern = r"^[!-~]*$")))]
    pub exclude_methods: Vec<String>,
    /// Upper bounds in seconds of the buckets of the calls' histograms, rising, from 0.000001 to 86400. When they change,
    /// these histograms start over. Default: the bounds in docs/metrics.md.
    #[serde(default)]
    #[schemars(length(max = 40), inner(range(min = 0.000_001, max = 86400.0)))]
    #[x_kube(validation = Rule::new("self.isSorted() && self.all(a, self.exists_one(b, b == a))")
        .message("bounds rise, and none is there twice"))]
    pub buckets: Vec<f64>,
    /// The calls' histograms have native (exponential) buckets, too, for a Prometheus that scrapes native histograms. When
    /// this changes, these histograms start over. Default false.
    #[serde(default)]
    pub native_histograms: bool,
}

impl Default for GrpcSpec {
    fn default() -> Self {
        Self {
            enabled: default_enabled(),
            max_methods: default_max_methods(),
            include_methods: Vec::new(),
            exclude_methods: Vec::new(),
            buckets: Vec::new(),
            native_histograms: false,
        }
    }
}

fn default_enabled() -> bool {
    true
}

fn default_max_methods() -> i32 {
    200
}
