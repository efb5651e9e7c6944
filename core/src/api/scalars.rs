//! Small values that several kinds have: durations, decimals, labels of series, references to Secrets.
#![expect(unreachable_pub, reason = "kube's KubeSchema derives each struct a second time, inside a function")]

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

/// A duration as Prometheus writes it: `30s`, `5m`, `1h30m`, `7d`; units from the largest to the smallest. Not zero.
#[derive(Clone, Debug, Default, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize, schemars::JsonSchema)]
#[serde(transparent)]
pub struct PromDuration(
    #[schemars(
        length(min = 2, max = 24),
        regex(pattern = r"^([0-9]{1,4}w)?([0-9]{1,4}d)?([0-9]{1,5}h)?([0-9]{1,5}m)?([0-9]{1,5}s)?$")
    )]
    pub String,
);

/// A decimal number as text, as custom resources have no exact fractions: `0.05`, `12`, `99.9`. Not negative.
#[derive(Clone, Debug, Default, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize, schemars::JsonSchema)]
#[serde(transparent)]
pub struct Decimal(
    #[schemars(length(min = 1, max = 24), regex(pattern = r"^[0-9]{1,15}([.][0-9]{1,8})?$"))] pub String,
);

/// A value of a series' label, or the text of an annotation, which may have Prometheus' templates: `{{ $value }}`.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize, schemars::JsonSchema)]
#[serde(transparent)]
pub struct TemplateText(#[schemars(length(max = 4096))] pub String);

/// An expression of `PromQL`.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize, schemars::JsonSchema)]
#[serde(transparent)]
pub struct Expression(#[schemars(length(min = 1, max = 8192))] pub String);

/// How urgent an alert is.
#[derive(
    Clone, Copy, Debug, Default, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Somebody has to act now.
    Critical,
    /// Somebody has to act within the day.
    #[default]
    Warning,
    /// To know.
    Info,
}

/// One key of a Secret, in the namespace of the policy that names it; for a `ClusterAlertPolicy`, in that of the operator.
#[derive(KubeSchema, Clone, Debug, Default, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SecretKey {
    /// The Secret's name. Required.
    #[schemars(
        length(min = 1, max = 253),
        regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*$")
    )]
    pub name: String,
    /// The key in the Secret's data. Required.
    #[schemars(length(min = 1, max = 253), regex(pattern = r"^([-_a-zA-Z0-9]|[.][-_a-zA-Z0-9])[-._a-zA-Z0-9]*$"))]
    pub key: String,
}

// === impl PromDuration ===

impl PromDuration {
    /// Length in seconds. None for a text that is no duration, which no schema lets through.
    pub fn seconds(&self) -> Option<u64> {
        let (mut total, mut number) = (0_u64, None);
        for c in self.0.chars() {
            if let Some(digit) = c.to_digit(10) {
                number = Some(number.unwrap_or(0_u64).checked_mul(10)?.checked_add(u64::from(digit))?);
                continue;
            }
            let unit = match c {
                'w' => 604_800,
                'd' => 86_400,
                'h' => 3_600,
                'm' => 60,
                's' => 1,
                _ => return None,
            };
            total = total.checked_add(number.take()?.checked_mul(unit)?)?;
        }
        if number.is_some() || self.0.is_empty() { None } else { Some(total) }
    }
}

impl From<&str> for PromDuration {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

// === impl Decimal ===

impl Decimal {
    /// As a floating-point number; zero for a text that is none, which no schema lets through.
    pub fn value(&self) -> f64 {
        self.0.parse().unwrap_or_default()
    }
}

impl From<&str> for Decimal {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

// === impl Severity ===

impl Severity {
    /// All of them, the most urgent first.
    pub const ALL: [Self; 3] = [Self::Critical, Self::Warning, Self::Info];

    /// Value of the label `severity`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Critical => "critical",
            Self::Warning => "warning",
            Self::Info => "info",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_sums_of_their_units() {
        let seconds = |text: &str| PromDuration::from(text).seconds();
        assert_eq!(seconds("30s"), Some(30));
        assert_eq!(seconds("1h30m"), Some(5_400));
        assert_eq!(seconds("1w1d"), Some(691_200));
        for wrong in ["", "5", "m", "5x", "99999999999999999999s"] {
            assert_eq!(seconds(wrong), None, "{wrong}");
        }
    }
}
