//! Cases that prove the alerts: series that make each fire, with all that it then says, and series that come close and do not.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::Deserialize;

/// The case of one alert.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// Name of the alert.
    pub alert: String,
    /// Time between two samples of the series.
    pub interval: String,
    /// What makes it fire.
    pub fires: Fires,
    /// What does not.
    pub quiet: Quiet,
}

/// What makes an alert fire.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Fires {
    /// The series.
    pub series: Vec<InputSeries>,
    /// When it fires.
    pub at: String,
    /// Its labels, after namespace and fleet where it is about a fleet.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// Its value as its annotations print it. Absent if they do not.
    pub value: Option<String>,
}

/// What does not make an alert fire.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Quiet {
    /// The series.
    pub series: Vec<InputSeries>,
    /// When it does not fire.
    pub at: String,
}

/// One series that is given.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct InputSeries {
    /// Name and labels. `$fleet` stands for those of the fleet agents/review, `$agent` and `$other` for those of two of its agents.
    pub series: String,
    /// Its samples, in the notation of promtool.
    pub values: String,
}

/// Namespace and name of the fleet of all cases.
pub(super) const FLEET: (&str, &str) = ("agents", "review");

static CASES: LazyLock<Vec<Case>> = LazyLock::new(|| {
    FILES
        .iter()
        .flat_map(|text| serde_saphyr::from_str::<Vec<Case>>(text).expect("a test parses the embedded files"))
        .collect()
});

const FILES: [&str; 6] = [
    include_str!("../../catalogue/tests/tasks.yaml"),
    include_str!("../../catalogue/tests/agents.yaml"),
    include_str!("../../catalogue/tests/grpc.yaml"),
    include_str!("../../catalogue/tests/llm.yaml"),
    include_str!("../../catalogue/tests/tools.yaml"),
    include_str!("../../catalogue/tests/self.yaml"),
];

/// All of them.
pub fn cases() -> &'static [Case] {
    &CASES
}
