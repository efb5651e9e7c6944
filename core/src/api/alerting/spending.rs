//! Budgets: how much LLM calls may cost in a time.
#![expect(unreachable_pub, reason = "kube's KubeSchema derives each struct a second time, inside a function")]

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use super::super::scalars::{Decimal, Severity};

/// A limit of what LLM calls may cost in a time (`fleetscope_llm_cost_total`).
#[derive(KubeSchema, Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Budget {
    /// Its name, which its series and alerts have as the label `budget`. Required.
    #[schemars(length(min = 1, max = 63), regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))]
    pub name: String,
    /// The most that may be spent in a period, in `currency`. Required.
    #[x_kube(validation = Rule::new("double(self) > 0.0").message("a limit is above 0"))]
    pub limit: Decimal,
    /// The currency, as three capital letters. Default USD.
    #[serde(default = "usd")]
    #[schemars(length(min = 3, max = 3), regex(pattern = r"^[A-Z]{3}$"))]
    pub currency: String,
    /// The period, which slides: the last day, the last 7 days, or the last 30 days. Default Day.
    #[serde(default)]
    pub period: BudgetPeriod,
    /// Whose spending is compared with the limit: `Fleet` (each fleet's), `Model` (each model's in a fleet), `AgentType` (each workload's of a fleet), or
    /// `Policy` (that of all the policy's fleets together). Default Fleet.
    #[serde(default)]
    pub per: BudgetShare,
    /// Share of the limit in percent at which the soft alert fires; 0 for none. Default 80.
    #[serde(default = "eighty")]
    #[schemars(range(min = 0, max = 99))]
    pub soft_percent: i32,
    /// How urgent the soft alert is. Default warning.
    #[serde(default)]
    pub soft_severity: Severity,
    /// How urgent it is when the limit is reached. Default critical.
    #[serde(default = "critical")]
    pub hard_severity: Severity,
    /// Alerts, too, when a period at the pace of the last six hours would end above the limit. Default true.
    #[serde(default = "on")]
    pub forecast: bool,
}

fn usd() -> String {
    "USD".to_owned()
}

fn eighty() -> i32 {
    80
}

fn critical() -> Severity {
    Severity::Critical
}

fn on() -> bool {
    true
}

/// The period of a budget, which slides.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize, schemars::JsonSchema)]
pub enum BudgetPeriod {
    /// The last 24 hours.
    #[default]
    Day,
    /// The last 7 days.
    Week,
    /// The last 30 days.
    Month,
}

/// Whose spending is compared with the limit.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize, schemars::JsonSchema)]
pub enum BudgetShare {
    /// Each fleet's.
    #[default]
    Fleet,
    /// Each model's in a fleet.
    Model,
    /// Each workload's of a fleet.
    AgentType,
    /// That of all the policy's fleets together.
    Policy,
}

impl BudgetPeriod {
    /// Its days.
    pub const fn days(self) -> u32 {
        match self {
            Self::Day => 1,
            Self::Week => 7,
            Self::Month => 30,
        }
    }
}
