//! Relabelings, as Prometheus has them (its documentation, `relabel_config`).
#![expect(unreachable_pub, reason = "kube's KubeSchema derives each struct a second time, inside a function")]

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

/// One change of labels.
#[derive(KubeSchema, Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!(self.action in ['replace', 'hashmod', 'lowercase', 'uppercase', 'keepequal', 'dropequal']) || has(self.targetLabel)")
    .message("this action takes targetLabel").field_path(".targetLabel"))]
#[x_kube(validation = Rule::new("(self.action == 'hashmod') == has(self.modulus)").message("modulus goes with hashmod alone").field_path(".modulus"))]
#[x_kube(validation = Rule::new("!has(self.targetLabel) || !(self.targetLabel in ['namespace', 'fleet'])")
    .message("namespace and fleet say whose a series is, and stay").field_path(".targetLabel"))]
pub struct Relabeling {
    /// What is done. Default replace.
    #[serde(default)]
    pub action: RelabelAction,
    /// Labels whose values are joined. Default none.
    #[serde(default)]
    #[schemars(length(max = 16), inner(length(min = 1, max = 256), regex(pattern = r"^[a-zA-Z_][a-zA-Z0-9_]*$")))]
    pub source_labels: Vec<String>,
    /// What stands between them. Default `;`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16))]
    pub separator: Option<String>,
    /// What the joined values must match, as a whole (RE2). Default `(.*)`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub regex: Option<String>,
    /// The label that is written. Default none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256), regex(pattern = r"^[a-zA-Z_$][a-zA-Z0-9_${}]*$"))]
    pub target_label: Option<String>,
    /// What is written. Default `$1`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub replacement: Option<String>,
    /// Modulus of `hashmod`. Default none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub modulus: Option<i64>,
}

/// What a relabeling does.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum RelabelAction {
    /// Writes `replacement` into `targetLabel` where `regex` matches.
    #[default]
    Replace,
    /// Keeps what matches.
    Keep,
    /// Drops what matches.
    Drop,
    /// Keeps what equals `targetLabel`.
    KeepEqual,
    /// Drops what equals `targetLabel`.
    DropEqual,
    /// Writes a hash modulo `modulus`.
    HashMod,
    /// Copies labels whose names match.
    LabelMap,
    /// Drops labels whose names match.
    LabelDrop,
    /// Keeps labels whose names match.
    LabelKeep,
    /// Writes the value in lower case.
    Lowercase,
    /// Writes the value in upper case.
    Uppercase,
}
