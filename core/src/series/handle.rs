//! A series that is put into again and again.

use std::sync::Arc;

use super::entry::Labels;
use super::identity::{Id, Identity};
use super::layout::Layout;
use super::registry::Registry;
use super::value::Change;
use crate::metrics::Metric;

/// Names a series, and remembers where it is: putting into it hashes no names and allocates nothing while the series is there.
/// It never goes stale: a series that was dropped meanwhile begins again.
#[derive(Debug)]
pub struct Handle {
    metric: &'static Metric,
    identity: Arc<Identity>,
    labels: Labels,
    layout: Layout,
    place: Option<(Id, u64)>,
}

// === impl Handle ===

impl Handle {
    /// For a series, which need not be there yet. A histogram begins with this layout.
    pub fn new(metric: &'static Metric, identity: &Arc<Identity>, labels: &[&str], layout: &Layout) -> Self {
        let labels = labels.iter().map(|label| Box::from(*label)).collect();
        Self { metric, identity: Arc::clone(identity), labels, layout: layout.clone(), place: None }
    }
}

impl Registry {
    /// As [`Registry::observe`].
    pub fn observe_at(&mut self, handle: &mut Handle, value: f64) {
        self.put_at(handle, &Change::Observe(value));
    }

    /// As [`Registry::set`], for gauges and counters.
    pub fn set_at(&mut self, handle: &mut Handle, to: f64) {
        self.put_at(handle, &Change::Set(to));
    }

    fn put_at(&mut self, handle: &mut Handle, change: &Change<'_>) {
        let Handle { metric, identity, labels, layout, place } = handle;
        if let Some((id, hash)) = *place
            && self.identities.is(id, identity)
            && self.apply_at(metric, id, hash, labels, change)
        {
            return;
        }
        let names: Vec<&str> = labels.iter().map(|label| &**label).collect();
        self.put(metric, Some(identity), &names, change, layout);
        *place = self.place_of(metric, identity, &names);
    }
}
