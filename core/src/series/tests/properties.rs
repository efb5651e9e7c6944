//! What holds whatever is observed: sums, bounds, order.

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::collection::vec;
use proptest::prelude::*;

use super::{identity, refused, rows, rows_of};
use crate::expose::{Format, encode};
use crate::metrics::{ALL, EVENTS, Metric, RUNQUEUE_LATENCY, TASK_DURATION, TASKS, TASKS_RUNNING};
use crate::series::{Family, Filter, Identity, Limits, Registry, Value};

#[derive(Clone, Debug)]
enum Step {
    Task { id: (u8, u8), name: u8, exit: u8, by: u32 },
    Duration { id: (u8, u8), name: u8, seconds: u32 },
    Running { id: (u8, u8), name: u8, by: i32 },
    SetRunning { id: (u8, u8), name: u8, to: u32 },
    RunQueue { id: (u8, u8), counts: [u8; 13], sum: u32 },
    Event(u8),
    Remove { id: (u8, u8), name: u8 },
    Retire((u8, u8)),
    Revive((u8, u8)),
    Sweep,
}

/// Fleet 3 and pod 5 are those that stand for folded ones, and so is name 6: a caller may use these, too.
fn who((fleet, pod): (u8, u8)) -> Arc<Identity> {
    let fleet = if fleet == 3 { "_OTHER".to_owned() } else { format!("f{fleet}") };
    if pod == 5 {
        let other: Arc<str> = "_OTHER".into();
        let [namespace, fleet] = ["ns", &*fleet].map(Arc::from);
        return Arc::new(Identity { namespace, fleet, pod: other.clone(), container: other.clone(), workload: other });
    }
    identity("ns", &fleet, &format!("p{pod}"))
}

fn name(name: u8) -> String {
    if name == 6 { "_OTHER".to_owned() } else { format!("t{name}") }
}

fn apply(registry: &mut Registry, step: &Step) {
    match step {
        Step::Task { id, name: task, exit, by } => {
            registry.add(&TASKS, Some(&who(*id)), &[&exit.to_string(), "g", "r", &name(*task)], f64::from(*by));
        }
        Step::Duration { id, name: task, seconds } => {
            registry.observe(&TASK_DURATION, Some(&who(*id)), &["g", "r", &name(*task)], f64::from(*seconds));
        }
        Step::Running { id, name: task, by } => {
            registry.add(&TASKS_RUNNING, Some(&who(*id)), &[&name(*task), &name(*task)], f64::from(*by));
        }
        Step::SetRunning { id, name: task, to } => {
            registry.set(&TASKS_RUNNING, Some(&who(*id)), &[&name(*task), &name(*task)], f64::from(*to));
        }
        Step::RunQueue { id, counts, sum } => {
            registry.set_histogram(&RUNQUEUE_LATENCY, Some(&who(*id)), &[], &counts.map(u64::from), f64::from(*sum));
        }
        Step::Event(kind) => registry.add(&EVENTS, None, &[&kind.to_string()], 1.0),
        Step::Remove { id, name: task } => {
            registry.remove(&TASKS_RUNNING, Some(&who(*id)), &[&name(*task), &name(*task)]);
        }
        Step::Retire(id) => registry.retire(&who(*id), 1),
        Step::Revive(id) => registry.revive(&who(*id)),
        Step::Sweep => {
            registry.sweep(1);
        }
    }
}

fn ids() -> impl Strategy<Value = (u8, u8)> {
    (0..4_u8, 0..6_u8)
}

/// Observations that only add.
fn adding() -> impl Strategy<Value = Step> {
    prop_oneof![
        (ids(), 0..7_u8, 0..3_u8, 0..100_u32).prop_map(|(id, name, exit, by)| Step::Task { id, name, exit, by }),
        (ids(), 0..7_u8, 0..9000_u32).prop_map(|(id, name, seconds)| Step::Duration { id, name, seconds }),
        (0..9_u8).prop_map(Step::Event),
    ]
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        adding(),
        (ids(), 0..7_u8, -5..5_i32).prop_map(|(id, name, by)| Step::Running { id, name, by }),
        (ids(), 0..7_u8, 0..9_u32).prop_map(|(id, name, to)| Step::SetRunning { id, name, to }),
        (ids(), any::<[u8; 13]>(), 0..99_u32).prop_map(|(id, counts, sum)| Step::RunQueue { id, counts, sum }),
        (ids(), 0..7_u8).prop_map(|(id, name)| Step::Remove { id, name }),
        ids().prop_map(Step::Retire),
        ids().prop_map(Step::Revive),
        Just(Step::Sweep),
    ]
}

fn limits() -> impl Strategy<Value = Limits> {
    (0..40_usize, 0..200_usize).prop_map(|(per_metric_and_fleet, total)| Limits { per_metric_and_fleet, total })
}

/// Sum of the numbers, or count and sum of the histograms, of all series of a metric.
fn total(registry: &Registry, metric: &'static Metric) -> (u64, f64) {
    let snapshot = registry.snapshot(&Filter { name_prefix: Some(metric.name.into()), ..Filter::default() });
    let mut totals = (0, 0.0);
    for series in snapshot.families().iter().flat_map(Family::series) {
        match &series.value {
            Value::Number(number) => totals.1 += number,
            Value::Histogram { counts, sum, .. } => {
                totals.0 += counts.iter().sum::<u64>();
                totals.1 += sum;
            }
        }
    }
    totals
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn what_was_added_is_the_sum_over_all_series_under_any_limits(limits in limits(), steps in vec(adding(), 0..400)) {
        let mut registry = Registry::new(limits);
        let (mut tasks, mut durations, mut events) = (0.0, (0, 0.0), 0.0);
        for step in &steps {
            apply(&mut registry, step);
            match step {
                Step::Task { by, .. } => tasks += f64::from(*by),
                Step::Duration { seconds, .. } => durations = (durations.0 + 1, durations.1 + f64::from(*seconds)),
                _ => events += 1.0,
            }
        }
        prop_assert_eq!(total(&registry, &TASKS), (0, tasks));
        prop_assert_eq!(total(&registry, &TASK_DURATION), durations);
        prop_assert_eq!(total(&registry, &EVENTS), (0, events));
        for exit in 0..3_u8 {
            let of_exit = |step: &Step| matches!(step, Step::Task { exit: of, .. } if *of == exit);
            let put = steps.iter().filter(|step| of_exit(step)).count();
            let found = rows(&registry).iter().any(|row| row.starts_with("fleetscope_tasks_total") && row.contains(&format!(" {exit}/")));
            prop_assert!(put > 0 || !found, "an exit that never was");
        }
    }

    #[test]
    fn gauges_add_up_to_their_last_values(
        cap in 21..30_usize,
        steps in vec((0..6_u8, 0..7_u8, 0..9_u32, any::<bool>(), 0..9_u8), 0..300),
    ) {
        // At most 6 x 7 = 42 names of one fleet: 21 series and 21 remembered shares are enough for all.
        let mut registry = Registry::new(Limits { per_metric_and_fleet: cap, total: 1000 });
        let mut last: BTreeMap<(u8, u8), f64> = BTreeMap::new();
        for (pod, task, number, set, remove) in steps {
            let id = (0, pod);
            if remove == 0 {
                apply(&mut registry, &Step::Remove { id, name: task });
                last.remove(&(pod, task));
            } else if set {
                apply(&mut registry, &Step::SetRunning { id, name: task, to: number });
                last.insert((pod, task), f64::from(number));
            } else {
                apply(&mut registry, &Step::Running { id, name: task, by: 1 });
                *last.entry((pod, task)).or_default() += 1.0;
            }
            prop_assert_eq!(total(&registry, &TASKS_RUNNING), (0, last.values().sum()));
        }
        prop_assert!(refused(&registry).iter().all(|row| row.contains("/cap ")));
    }

    #[test]
    fn the_books_are_right_and_bounded_after_any_history(limits in limits(), steps in vec(any_step(), 0..400)) {
        let mut registry = Registry::new(limits);
        for step in &steps {
            apply(&mut registry, step);
        }
        registry.assert_books();
        let held = rows(&registry).len();
        prop_assert!(held <= limits.total + limits.total / 8 * 3 + ALL.len(), "{held} series");
        for fleet in 0..3_u8 {
            for id in (0..6).map(|pod| who((fleet, pod))) {
                registry.retire(&id, 5);
            }
        }
        registry.sweep(5);
        registry.assert_books();
        // The caller's own series of whole fleets go with the last pod, too.
        let left = rows(&registry);
        prop_assert!(!left.iter().any(|row| row.contains(" ns/f")), "{left:?}");
    }

    #[test]
    fn the_same_history_gives_the_same_snapshot_and_bytes(limits in limits(), steps in vec(any_step(), 0..200)) {
        // Two registries have different hash seeds, so no order of a table can show.
        let (mut one, mut two) = (Registry::new(limits), Registry::new(limits));
        for step in &steps {
            apply(&mut one, step);
            apply(&mut two, step);
        }
        let (one, two) = (one.snapshot(&Filter::default()), two.snapshot(&Filter::default()));
        prop_assert_eq!(rows_of(&one, true), rows_of(&two, true));
        prop_assert_eq!(&one, &two);
        for format in [Format::Text004, Format::OpenMetrics100, Format::Protobuf] {
            prop_assert!(encode(&one, format) == encode(&two, format));
        }
    }
}

impl Registry {
    /// Counts everything again and compares it with what is kept count of.
    fn assert_books(&self) {
        let mut by_identity: BTreeMap<u32, usize> = BTreeMap::new();
        let mut by_fleet: BTreeMap<(String, usize), (usize, usize)> = BTreeMap::new();
        let (mut series, mut shares) = (0, 0);
        for (index, entries) in self.entries.iter().enumerate() {
            let mut of_metric = 0;
            for entry in entries.all() {
                let share = usize::from(entry.folded.is_some());
                series += 1 - share;
                of_metric += 1 - share;
                shares += share;
                *by_identity.entry(entry.id).or_default() += 1;
                let identity = &self.identities[entry.id].identity;
                let held = by_fleet.entry((format!("{}/{}", identity.namespace, identity.fleet), index)).or_default();
                held.0 += 1 - share;
                held.1 += share;
                let expected = self.identities.held(entry.id, index);
                assert!(expected.series >= held.0 && expected.shares >= held.1);
            }
            assert_eq!(entries.series(), of_metric);
        }
        assert_eq!((self.series, self.shares), (series, shares));
        self.identities.assert_entries(&by_identity);
    }
}
