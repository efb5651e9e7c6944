//! Which series there are: what a rule may name.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use super::{FLEET_INFO, Fleets, recordings};
use crate::metrics::telemetry::TELEMETRY;
use crate::metrics::{ALL, IDENTITY_LABELS, Kind, Scope};
use crate::promql::Promql;

/// Where the series of a name come from.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Origin {
    /// A node agent or the operator exposes them.
    Measured(Scope),
    /// Agents' telemetry; this version does not emit them yet.
    Telemetry(Scope),
    /// A recording rule of the catalogue.
    Recording,
    /// Prometheus itself makes them.
    Prometheus,
    /// kube-state-metrics, where it is installed.
    KubeStateMetrics,
}

/// What is known of the series of a name.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Known {
    /// Where they come from.
    pub origin: Origin,
    /// Their own labels, those of identity and `le` included. Prometheus adds its target's to them, but for recordings.
    pub labels: BTreeSet<String>,
}

/// Series that Prometheus makes of every target and alert.
const OF_PROMETHEUS: [&str; 9] = [
    "up",
    "ALERTS",
    "ALERTS_FOR_STATE",
    "scrape_duration_seconds",
    "scrape_samples_scraped",
    "scrape_samples_post_metric_relabeling",
    "scrape_series_added",
    "scrape_sample_limit",
    "scrape_timeout_seconds",
];
/// Series of kube-state-metrics that the catalogue uses.
const OF_KUBE_STATE_METRICS: [&str; 2] =
    ["kube_daemonset_status_desired_number_scheduled", "kube_daemonset_status_number_ready"];

static KNOWN: LazyLock<BTreeMap<String, Known>> = LazyLock::new(collect);

/// What is known of a series name as it stands in PromQL, with `_bucket`, `_sum` or `_count` for a histogram.
pub fn known(series: &str) -> Option<&'static Known> {
    KNOWN.get(series)
}

/// The labels of a series name, if they are exactly known: those of recordings. For [`Promql::labels`].
pub fn labels_of(series: &str) -> Option<BTreeSet<String>> {
    known(series).filter(|known| known.origin == Origin::Recording).map(|known| known.labels.clone())
}

fn collect() -> BTreeMap<String, Known> {
    let mut all = BTreeMap::new();
    let measured = ALL.iter().map(|metric| (metric.name, metric.kind, metric.scope, metric.labels, true));
    let telemetry = TELEMETRY.iter().map(|metric| (metric.name, metric.kind, metric.scope, metric.labels, false));
    for (name, kind, scope, labels, exists) in measured.chain(telemetry) {
        let origin = if exists { Origin::Measured(scope) } else { Origin::Telemetry(scope) };
        let identity: &[&str] = if scope == Scope::Fleet { &IDENTITY_LABELS } else { &[] };
        let labels: BTreeSet<String> = identity.iter().chain(labels).map(|label| (*label).to_owned()).collect();
        if let Kind::Histogram(_) = kind {
            for ending in ["_sum", "_count"] {
                all.insert(format!("{name}{ending}"), Known { origin, labels: labels.clone() });
            }
            let with_bound = labels.into_iter().chain(["le".to_owned()]).collect();
            all.insert(format!("{name}_bucket"), Known { origin, labels: with_bound });
        } else {
            all.insert(name.to_owned(), Known { origin, labels });
        }
    }
    for name in OF_PROMETHEUS {
        all.insert(name.to_owned(), Known { origin: Origin::Prometheus, labels: BTreeSet::new() });
    }
    for name in OF_KUBE_STATE_METRICS {
        let labels = BTreeSet::from(["daemonset".to_owned(), "namespace".to_owned()]);
        all.insert(name.to_owned(), Known { origin: Origin::KubeStateMetrics, labels });
    }
    of_recordings(&mut all);
    all
}

/// Their labels follow from their expressions, each of which uses only series above it.
fn of_recordings(all: &mut BTreeMap<String, Known>) {
    let info = ["fleet", "namespace", "profile"].map(str::to_owned);
    all.insert(FLEET_INFO.to_owned(), Known { origin: Origin::Recording, labels: BTreeSet::from(info) });
    for recording in recordings() {
        let of = |series: &str| {
            let known: Option<&Known> = all.get(series);
            known.filter(|known| known.origin == Origin::Recording).map(|known| known.labels.clone())
        };
        let expression = recording.expression(&Fleets::All.to_string()).ok();
        let labels = expression.and_then(|text| Promql::parse(&text).ok()).and_then(|promql| promql.labels(&of));
        let labels = labels.expect("a test finds the labels of each recording");
        all.insert(recording.record.clone(), Known { origin: Origin::Recording, labels });
    }
}
