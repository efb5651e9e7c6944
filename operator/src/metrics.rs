//! The operator's own metrics: rows of `core::metrics`, held by `core::series`.

use std::sync::Mutex;
use std::time::{Duration, SystemTime};

use fleetscope_core::expose::{self, Format};
use fleetscope_core::metrics as table;
use fleetscope_core::resources::ChildKind;
use fleetscope_core::series::{Filter, Limits, Registry};
use fleetscope_serve::Cut;
use kube::runtime::watcher;

use crate::context::lock;
use crate::error::{told, told_of_watch};
use crate::owner::OwnerKind;

/// Kinds that are watched beside those that the operator acts on and those that it makes.
const WATCHED: [&str; 7] =
    ["Alertmanager", "CustomResourceDefinition", "Namespace", "Pod", "Prometheus", "PrometheusAgent", "ThanosRuler"];

/// The controller, in labels, of the policy that comes with the installation.
const INSTALLATION: &str = "installation";

/// How a reconcile ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Outcome {
    /// All is as the object says.
    Ok,
    /// So it is, but the status does not say it yet: the wait for a place to write it was given up. The object is looked at again.
    StatusPending,
    /// Something failed and is tried again.
    Error,
    /// Another process leads.
    Standby,
}

/// What became of a write.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Write {
    /// Applied.
    Applied,
    /// Deleted.
    Deleted,
    /// The object is somebody else's.
    Conflict,
    /// The API server refused, or could not be asked.
    Error,
}

/// All metrics.
#[derive(Debug)]
pub struct Metrics {
    registry: Mutex<Registry>,
}

// === impl Outcome ===

impl Outcome {
    const ALL: [Self; 4] = [Self::Ok, Self::StatusPending, Self::Error, Self::Standby];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::StatusPending => "status_pending",
            Self::Error => "error",
            Self::Standby => "standby",
        }
    }
}

// === impl Write ===

impl Write {
    const ALL: [Self; 4] = [Self::Applied, Self::Deleted, Self::Conflict, Self::Error];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Applied => "applied",
            Self::Deleted => "deleted",
            Self::Conflict => "conflict",
            Self::Error => "error",
        }
    }
}

// === impl Metrics ===

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::new(Limits::default());
        registry.set_clock(SystemTime::now);
        registry.set(&table::BUILD_INFO, None, &["operator", env!("CARGO_PKG_VERSION")], 1.0);
        registry.set(&table::LEADER, None, &[], 0.0);
        // Counters start at 0, so that their first increment shows in a rate.
        for kind in OwnerKind::ALL {
            registry.set(&table::BACKOFF, None, &[kind.controller()], 0.0);
            registry.add(&table::OPERATOR_WATCH_ERRORS, None, &[kind.as_str()], 0.0);
            for outcome in Outcome::ALL {
                registry.add(&table::RECONCILES, None, &[kind.controller(), outcome.as_str()], 0.0);
            }
        }
        registry.set(&table::BACKOFF, None, &[INSTALLATION], 0.0);
        for why in Cut::ALL {
            registry.add(&table::HTTP_DEGRADED, None, &[why.as_str()], 0.0);
        }
        for outcome in [Outcome::Ok, Outcome::Error] {
            registry.add(&table::RECONCILES, None, &[INSTALLATION, outcome.as_str()], 0.0);
        }
        for kind in ChildKind::ALL {
            for write in Write::ALL {
                registry.add(&table::CHILD_APPLIES, None, &[kind.as_str(), write.as_str()], 0.0);
            }
            registry.add(&table::OPERATOR_WATCH_ERRORS, None, &[kind.as_str()], 0.0);
            if kind.crd().is_some() {
                registry.set(&table::CRD_AVAILABLE, None, &[kind.as_str()], 0.0);
            }
        }
        for kind in WATCHED {
            registry.add(&table::OPERATOR_WATCH_ERRORS, None, &[kind], 0.0);
        }
        for write in [Write::Applied, Write::Error] {
            registry.add(&table::STATUS_WRITES, None, &[write.as_str()], 0.0);
        }
        Self { registry: Mutex::new(registry) }
    }
}

impl Metrics {
    /// The policy that comes with the installation is in place, or it is not and will be tried again.
    pub fn installed(&self, outcome: Outcome) {
        let mut registry = lock(&self.registry);
        registry.add(&table::RECONCILES, None, &[INSTALLATION, outcome.as_str()], 1.0);
        registry.set(&table::BACKOFF, None, &[INSTALLATION], if outcome == Outcome::Error { 1.0 } else { 0.0 });
    }

    /// A reconcile ended.
    pub fn reconciled(&self, kind: OwnerKind, outcome: Outcome, took: Duration, waiting: usize) {
        let controller = kind.controller();
        let mut registry = lock(&self.registry);
        registry.add(&table::RECONCILES, None, &[controller, outcome.as_str()], 1.0);
        registry.observe(&table::RECONCILE_DURATION, None, &[controller], took.as_secs_f64());
        #[expect(clippy::cast_precision_loss, reason = "a number of objects, far under 2^52")]
        registry.set(&table::BACKOFF, None, &[controller], waiting as f64);
    }

    /// A new generation was worked on for the first time, this long after it arrived.
    pub fn lag(&self, kind: OwnerKind, lag: Duration) {
        lock(&self.registry).observe(&table::RECONCILE_LAG, None, &[kind.controller()], lag.as_secs_f64());
    }

    /// A child was written.
    pub fn child(&self, kind: ChildKind, write: Write) {
        lock(&self.registry).add(&table::CHILD_APPLIES, None, &[kind.as_str(), write.as_str()], 1.0);
    }

    /// A status was written, or not.
    pub fn status(&self, write: Write) {
        lock(&self.registry).add(&table::STATUS_WRITES, None, &[write.as_str()], 1.0);
    }

    /// Leadership came.
    pub fn leading(&self) {
        lock(&self.registry).set(&table::LEADER, None, &[], 1.0);
    }

    /// A connection was cut off.
    pub fn cut_off(&self, why: Cut) {
        lock(&self.registry).add(&table::HTTP_DEGRADED, None, &[why.as_str()], 1.0);
    }

    /// An optional kind came or went.
    pub fn available(&self, kind: ChildKind, available: bool) {
        if kind.crd().is_some() {
            let value = if available { 1.0 } else { 0.0 };
            lock(&self.registry).set(&table::CRD_AVAILABLE, None, &[kind.as_str()], value);
        }
    }

    /// A watch failed; it is tried again.
    pub fn watch_error(&self, kind: &'static str, error: &watcher::Error) {
        tracing::warn!(kind, error = told_of_watch(error), "Watch failed");
        lock(&self.registry).add(&table::OPERATOR_WATCH_ERRORS, None, &[kind], 1.0);
    }

    /// A page of a watch's list failed; it is asked for again.
    pub fn page_error(&self, kind: &'static str, error: &kube::Error) {
        tracing::warn!(kind, error = told(error), "Page of a list failed");
        lock(&self.registry).add(&table::OPERATOR_WATCH_ERRORS, None, &[kind], 1.0);
    }

    /// All series, written in a format.
    pub fn encode(&self, format: Format) -> Vec<u8> {
        let snapshot = lock(&self.registry).snapshot(&Filter::default());
        expose::encode(&snapshot, format)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_exist_before_anything_happened() {
        let text = String::from_utf8(Metrics::default().encode(Format::Text004)).unwrap();
        for line in [
            "fleetscope_operator_leader 0",
            "fleetscope_operator_reconcile_total{controller=\"agentfleet\",outcome=\"error\"} 0",
            "fleetscope_operator_child_applies_total{kind=\"PodMonitor\",result=\"applied\"} 0",
            "fleetscope_operator_crd_available{kind=\"ServiceMonitor\"} 0",
            "fleetscope_operator_reconcile_total{controller=\"modelpricelist\",outcome=\"ok\"} 0",
            "fleetscope_operator_reconcile_total{controller=\"modelpricelist\",outcome=\"status_pending\"} 0",
            "fleetscope_operator_objects_in_backoff{controller=\"installation\"} 0",
            "fleetscope_operator_watch_errors_total{kind=\"Pod\"} 0",
        ] {
            assert!(text.lines().any(|have| have == line), "{line} is not in\n{text}");
        }
    }

    #[test]
    fn what_happens_is_counted() {
        let metrics = Metrics::default();
        metrics.reconciled(OwnerKind::AgentFleet, Outcome::Error, Duration::from_millis(3), 2);
        metrics.child(ChildKind::ConfigMap, Write::Conflict);
        metrics.leading();
        metrics.installed(Outcome::Error);
        let text = String::from_utf8(metrics.encode(Format::Text004)).unwrap();
        for line in [
            "fleetscope_operator_leader 1",
            "fleetscope_operator_objects_in_backoff{controller=\"agentfleet\"} 2",
            "fleetscope_operator_reconcile_total{controller=\"agentfleet\",outcome=\"error\"} 1",
            "fleetscope_operator_reconcile_total{controller=\"installation\",outcome=\"error\"} 1",
            "fleetscope_operator_objects_in_backoff{controller=\"installation\"} 1",
            "fleetscope_operator_child_applies_total{kind=\"ConfigMap\",result=\"conflict\"} 1",
        ] {
            assert!(text.lines().any(|have| have == line), "{line} is not in\n{text}");
        }
        metrics.installed(Outcome::Ok);
        let text = String::from_utf8(metrics.encode(Format::Text004)).unwrap();
        assert!(text.contains("fleetscope_operator_objects_in_backoff{controller=\"installation\"} 0"), "{text}");
    }
}
