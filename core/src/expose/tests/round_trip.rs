//! All formats say what was put in, and the same.

use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::prelude::*;
use prost::Message as _;

use super::identity;
use super::parser::{Exposition, Key, parse};
use crate::expose::{Format, encode, proto};
use crate::metrics::{AGENT_MEMORY, IDENTITY_LABELS, Kind, TASK_BOUNDS, TASK_DURATION, TASKS};
use crate::series::{Filter, Limits, Registry};

fn labels(own: &[(&str, &str)], pod: &str) -> BTreeMap<String, String> {
    let identity = IDENTITY_LABELS.into_iter().zip(["ns", "f", pod, "c", "w"]);
    identity.chain(own.iter().copied()).map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// What the lines of a histogram have to be for values that were observed.
fn histogram_lines(own: &[(&str, &str)], pod: &str, values: &[f64]) -> Vec<(Key, f64)> {
    let line = |suffix: &str, le: Option<String>| {
        let mut labels = labels(own, pod);
        labels.extend(le.map(|le| ("le".to_owned(), le)));
        (format!("{}{suffix}", TASK_DURATION.name), labels)
    };
    let below = |bound: f64| u32::try_from(values.iter().filter(|value| **value <= bound).count()).unwrap();
    let buckets =
        TASK_BOUNDS.iter().map(|bound| (line("_bucket", Some(format!("{bound:?}"))), f64::from(below(*bound))));
    let count = f64::from(below(f64::INFINITY));
    let sum = values.iter().sum();
    let rest =
        [(line("_bucket", Some("+Inf".into())), count), (line("_sum", None), sum), (line("_count", None), count)];
    buckets.chain(rest).collect()
}

/// The lines that a reader of the protobuf format makes of it.
fn lines_of_protobuf(mut bytes: &[u8]) -> BTreeMap<Key, f64> {
    let mut lines = BTreeMap::new();
    while !bytes.is_empty() {
        let family = proto::MetricFamily::decode_length_delimited(&mut bytes).unwrap();
        let name = family.name.unwrap();
        for metric in family.metric {
            let labels: BTreeMap<String, String> =
                metric.label.into_iter().map(|pair| (pair.name.unwrap(), pair.value.unwrap())).collect();
            if let Some(counter) = metric.counter {
                lines.insert((name.clone(), labels.clone()), counter.value.unwrap());
            }
            if let Some(gauge) = metric.gauge {
                lines.insert((name.clone(), labels.clone()), gauge.value.unwrap());
            }
            if let Some(histogram) = metric.histogram {
                #[expect(clippy::cast_precision_loss, reason = "counts of a test are small")]
                let count = histogram.sample_count.unwrap() as f64;
                let with = |le: String| labels.clone().into_iter().chain([("le".to_owned(), le)]).collect();
                for bucket in histogram.bucket {
                    #[expect(clippy::cast_precision_loss, reason = "counts of a test are small")]
                    let count = bucket.cumulative_count.unwrap() as f64;
                    lines.insert((format!("{name}_bucket"), with(format!("{:?}", bucket.upper_bound.unwrap()))), count);
                }
                lines.insert((format!("{name}_bucket"), with("+Inf".into())), count);
                lines.insert((format!("{name}_count"), labels.clone()), count);
                lines.insert((format!("{name}_sum"), labels.clone()), histogram.sample_sum.unwrap());
            }
        }
    }
    lines
}

fn own_lines(read: Exposition) -> BTreeMap<Key, f64> {
    read.samples.into_iter().filter(|((name, _), _)| !name.starts_with("fleetscope_series")).collect()
}

proptest! {
    #[test]
    fn every_format_reads_back_as_what_was_put_in(
        tasks in proptest::collection::btree_map((any::<String>(), any::<String>(), "p[0-3]"), 0.0..1e15_f64, 0..20),
        memory in proptest::collection::btree_map("p[0-9]", any::<f64>().prop_filter("finite", |number| number.is_finite()), 0..10),
        durations in vec(0.0..10_000.0_f64, 1..30),
    ) {
        let mut registry = Registry::new(Limits::default());
        let mut expected: BTreeMap<Key, f64> = BTreeMap::new();
        for ((group, task, pod), count) in &tasks {
            registry.add(&TASKS, Some(&identity(pod)), &["0", group, "success", task], *count);
            let own = [("exit", "0"), ("group", group), ("result", "success"), ("task", task)];
            expected.insert((TASKS.name.to_owned(), labels(&own, pod)), *count);
        }
        for (pod, bytes) in &memory {
            registry.set(&AGENT_MEMORY, Some(&identity(pod)), &[], *bytes);
            expected.insert((AGENT_MEMORY.name.to_owned(), labels(&[], pod)), *bytes);
        }
        for seconds in &durations {
            registry.observe(&TASK_DURATION, Some(&identity("p")), &["g", "success", "t"], *seconds);
        }
        expected.extend(histogram_lines(&[("group", "g"), ("result", "success"), ("task", "t")], "p", &durations));
        let snapshot = registry.snapshot(&Filter::default());

        let text = parse(std::str::from_utf8(&encode(&snapshot, Format::Text004)).unwrap());
        prop_assert!(!text.ended);
        prop_assert_eq!(text.types.len(), snapshot.families().len());
        prop_assert_eq!(&own_lines(text), &expected);

        let openmetrics = parse(std::str::from_utf8(&encode(&snapshot, Format::OpenMetrics100)).unwrap());
        prop_assert!(openmetrics.ended);
        prop_assert_eq!(openmetrics.types.get("fleetscope_task_duration_seconds").map(String::as_str), Some("histogram"));
        prop_assert_eq!(&own_lines(openmetrics), &expected);

        let mut protobuf = lines_of_protobuf(&encode(&snapshot, Format::Protobuf));
        protobuf.retain(|(name, _), _| !name.starts_with("fleetscope_series"));
        prop_assert_eq!(&protobuf, &expected);
    }
}

#[test]
fn bounds_of_tasks_read_the_same_in_rust_and_prometheus() {
    // The expectations above write bounds with `{:?}`, which is only right between 1e-4 and 1e6.
    assert!(TASK_BOUNDS.iter().all(|bound| (1e-4..1e6).contains(bound)));
    assert!(matches!(TASK_DURATION.kind, Kind::Histogram(_)));
}
