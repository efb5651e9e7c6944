//! `ModelPriceList`: prices of LLM calls, per provider, model and kind of token, from which day on. Nothing counts cost with them yet: that
//! takes telemetry of agents, which this version does not receive.
#![expect(unreachable_pub, reason = "kube's KubeSchema derives each struct a second time, inside a function")]
#![expect(clippy::duplicated_attributes, reason = "each printer column has a type and a path")]

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

use super::scalars::Decimal;
use super::schema;

/// Prices of LLM calls.
#[derive(CustomResource, KubeSchema, Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[kube(
    group = "fleetscope.io",
    version = "v1alpha1",
    kind = "ModelPriceList",
    plural = "modelpricelists",
    singular = "modelpricelist",
    shortname = "prices",
    category = "fleetscope",
    status = "ModelPriceListStatus",
    derive = "Default",
    derive = "PartialEq",
    doc = "Prices of LLM calls per provider, model and kind of token, from a day on. This version checks and keeps them. It counts no cost with them: that takes telemetry of agents, which it does not receive yet.",
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].status"),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].reason"),
    printcolumn(name = "Currency", type_ = "string", json_path = ".spec.currency"),
    printcolumn(name = "Models", type_ = "integer", json_path = ".status.models"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
pub struct ModelPriceListSpec {
    /// The currency of all prices, as three capital letters. Default USD.
    #[serde(default = "usd")]
    #[schemars(length(min = 3, max = 3), regex(pattern = r"^[A-Z]{3}$"))]
    pub currency: String,
    /// The prices. Of all entries that match a call's provider and model and are in force at its time, the one with the most characters
    /// beside `*` is meant (model before provider), then the latest. Two that are equal in all of this are a fault. Required.
    #[schemars(length(min = 1, max = 1000))]
    pub models: Vec<ModelPrice>,
}

fn usd() -> String {
    "USD".to_owned()
}

/// Prices of the models that a pattern matches.
#[derive(KubeSchema, Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(self.from) || !has(self.until) || self.from < self.until").message("from is before until").field_path(".until"))]
pub struct ModelPrice {
    /// The provider as `gen_ai.provider.name` has it, for example `anthropic`; `*` stands for any characters. Default `*`.
    #[serde(default = "any")]
    #[schemars(length(min = 1, max = 128), regex(pattern = r"^[!-~]+$"))]
    pub provider: String,
    /// The model as `gen_ai.request.model` has it; `*` stands for any characters: `claude-sonnet-*`. Required.
    #[schemars(length(min = 1, max = 256), regex(pattern = r"^[!-~]+$"))]
    pub model: String,
    /// First day on which the prices hold (UTC), as `2026-01-31`. Default: always.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 10, max = 10), regex(pattern = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"))]
    pub from: Option<String>,
    /// First day on which they hold no more (UTC). Default: for ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 10, max = 10), regex(pattern = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"))]
    pub until: Option<String>,
    /// Prices per million tokens. Required.
    pub per_million: TokenPrices,
}

fn any() -> String {
    "*".to_owned()
}

/// Prices per million tokens, by kind of token.
#[derive(KubeSchema, Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TokenPrices {
    /// Of tokens that are sent. Required.
    pub input: Decimal,
    /// Of tokens that are generated. Required.
    pub output: Decimal,
    /// Of tokens that are read from the provider's cache. Default: as `input`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_read: Option<Decimal>,
    /// Of tokens that are written to the provider's cache. Default: as `input`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_write: Option<Decimal>,
    /// Of tokens of reasoning, where the provider counts them apart. Default: as `output`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reasoning: Option<Decimal>,
}

/// What the operator observed of a list.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ModelPriceListStatus {
    /// The `metadata.generation` that this status is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub observed_generation: Option<i64>,
    /// `Ready`, `Accepted`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::conditions")]
    pub conditions: Vec<Condition>,
    /// Entries.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub models: Option<i32>,
}
