//! Layouts of histograms, and handles.

use std::sync::Arc;

use super::super::{Filter, Handle, Identity, Layout, Limits, Registry, Value};
use crate::metrics::{OTHER, RPC_FIRST_RESPONSE, RPC_IN_FLIGHT};

fn identity(fleet: &str, pod: &str) -> Arc<Identity> {
    let [namespace, fleet, pod, container, workload] = ["ai", fleet, pod, "main", "w"].map(Arc::from);
    Arc::new(Identity { namespace, fleet, pod, container, workload })
}

fn handle(id: &Arc<Identity>, method: &str, bounds: &[f64]) -> Handle {
    Handle::new(&RPC_FIRST_RESPONSE, id, &["server", method], &Layout::new(bounds, false))
}

/// Buckets of a series, and its bounds.
fn told(registry: &Registry, id: &Arc<Identity>, method: &str) -> Option<(Vec<u64>, Vec<f64>)> {
    let value = registry.get(&RPC_FIRST_RESPONSE, Some(id), &["server", method])?;
    let Value::Histogram { counts, .. } = &value else { return None };
    Some((counts.to_vec(), value.bounds(RPC_FIRST_RESPONSE.kind).to_vec()))
}

#[test]
fn a_histogram_has_the_bounds_that_it_began_with() {
    let mut registry = Registry::new(Limits::default());
    let id = identity("f", "a");
    registry.observe_at(&mut handle(&id, "m", &[0.1, 1.0]), 0.5);
    registry.observe_at(&mut handle(&id, "m", &[7.0]), 0.1);
    assert_eq!(told(&registry, &id, "m"), Some((vec![1, 1, 0], vec![0.1, 1.0])));
    registry.start_over(&RPC_FIRST_RESPONSE, "ai", "other");
    assert_eq!(told(&registry, &id, "m"), Some((vec![1, 1, 0], vec![0.1, 1.0])));
    registry.start_over(&RPC_FIRST_RESPONSE, "ai", "f");
    assert_eq!(told(&registry, &id, "m"), None);
    registry.observe_at(&mut handle(&id, "m", &[7.0]), 8.0);
    assert_eq!(told(&registry, &id, "m"), Some((vec![0, 1], vec![7.0])));
}

#[test]
fn a_handle_finds_its_series_though_it_was_dropped_or_its_number_is_anothers() {
    let mut registry = Registry::new(Limits::default());
    let (a, b) = (identity("f", "a"), identity("f", "b"));
    let mut of_a = Handle::new(&RPC_IN_FLIGHT, &a, &["server", "m"], &Layout::default());
    let mut of_b = Handle::new(&RPC_IN_FLIGHT, &b, &["server", "m"], &Layout::default());
    registry.set_at(&mut of_a, 1.0);
    registry.retire(&a, 5);
    assert_eq!(registry.sweep(5), 1);
    registry.set_at(&mut of_b, 2.0);
    registry.set_at(&mut of_a, 3.0);
    registry.set_at(&mut of_b, f64::NAN);
    let get = |id: &Arc<Identity>| registry.get(&RPC_IN_FLIGHT, Some(id), &["server", "m"]);
    assert_eq!((get(&a), get(&b)), (Some(Value::Number(3.0)), Some(Value::Number(2.0))));
}

#[test]
fn what_finds_no_room_keeps_the_bounds_within_its_fleet_only() {
    let mut registry = Registry::new(Limits { per_metric_and_fleet: 1, total: 2 });
    let (f, g) = (identity("f", "a"), identity("g", "a"));
    for (id, bounds) in [(&f, [0.1, 1.0].as_slice()), (&g, &[7.0])] {
        for method in ["m", "n", "o"] {
            registry.observe_at(&mut handle(id, method, bounds), 0.5);
        }
    }
    let mut counts = Vec::new();
    for family in
        registry.snapshot(&Filter { name_prefix: Some("fleetscope_rpc".to_owned()), ..Filter::default() }).families()
    {
        for series in family.series() {
            let Value::Histogram { counts: own, bounds, .. } = &series.value else { continue };
            let fleet = series.identity.as_ref().map_or("", |id| &*id.fleet).to_owned();
            counts.push((fleet, own.iter().sum::<u64>(), bounds.as_deref().map(<[f64]>::len)));
        }
    }
    counts.sort();
    // The second fleet finds no room at all.
    let wanted = [(OTHER.to_owned(), 3, None), ("f".to_owned(), 1, Some(2)), ("f".to_owned(), 2, Some(2))];
    assert_eq!(counts, wanted);
}
