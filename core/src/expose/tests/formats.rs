//! Each format's output for one sample.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use prost::Message as _;

use super::sample;
use crate::expose::{Format, content_type, encode, proto};
use crate::metrics::{RPC_FIRST_RESPONSE, TASKS};
use crate::series::{Filter, Handle, Identity, Layout, Limits, Registry, Selection};

const TEXT: &str = r#"# HELP fleetscope_tasks_running Tasks that run now, those that started before the node agent included.
# TYPE fleetscope_tasks_running gauge
fleetscope_tasks_running{ID,group="a\"b\\c\nd",task="Grüße	😀"} 2
# HELP fleetscope_runqueue_latency_seconds How long runnable threads waited for a processor.
# TYPE fleetscope_runqueue_latency_seconds histogram
fleetscope_runqueue_latency_seconds_bucket{ID,le="1e-06"} 0
fleetscope_runqueue_latency_seconds_bucket{ID,le="4e-06"} 1
fleetscope_runqueue_latency_seconds_bucket{ID,le="1.6e-05"} 1
fleetscope_runqueue_latency_seconds_bucket{ID,le="6.4e-05"} 1
fleetscope_runqueue_latency_seconds_bucket{ID,le="0.000256"} 1
fleetscope_runqueue_latency_seconds_bucket{ID,le="0.001024"} 1
fleetscope_runqueue_latency_seconds_bucket{ID,le="0.004096"} 1
fleetscope_runqueue_latency_seconds_bucket{ID,le="0.016384"} 1
fleetscope_runqueue_latency_seconds_bucket{ID,le="0.065536"} 1
fleetscope_runqueue_latency_seconds_bucket{ID,le="0.262144"} 1
fleetscope_runqueue_latency_seconds_bucket{ID,le="1.048576"} 1
fleetscope_runqueue_latency_seconds_bucket{ID,le="4.194304"} 2
fleetscope_runqueue_latency_seconds_bucket{ID,le="+Inf"} 3
fleetscope_runqueue_latency_seconds_sum{ID} 7.000002
fleetscope_runqueue_latency_seconds_count{ID} 3
# HELP fleetscope_agent_info The agent's image and node.
# TYPE fleetscope_agent_info gauge
fleetscope_agent_info{ID,image="img:1",node="node-1"} 1
# HELP fleetscope_agent_cpu_seconds_total CPU time that the container used.
# TYPE fleetscope_agent_cpu_seconds_total counter
fleetscope_agent_cpu_seconds_total{ID} 1.23456725e+06
# HELP fleetscope_build_info Version of this Fleetscope component.
# TYPE fleetscope_build_info gauge
fleetscope_build_info{component="node-agent",version="0.1.0"} 1
# HELP fleetscope_series Series that are held per metric.
# TYPE fleetscope_series gauge
fleetscope_series{metric="fleetscope_agent_cpu_seconds_total"} 1
fleetscope_series{metric="fleetscope_agent_info"} 1
fleetscope_series{metric="fleetscope_build_info"} 1
fleetscope_series{metric="fleetscope_runqueue_latency_seconds"} 1
fleetscope_series{metric="fleetscope_tasks_running"} 1
# HELP fleetscope_series_dropped_total Observations that did not reach their own series, by reason: cap or total (counted under _OTHER instead), full, value or labels (refused).
# TYPE fleetscope_series_dropped_total counter
fleetscope_series_dropped_total{metric="fleetscope_agent_cpu_seconds_total",reason="cap"} 0
fleetscope_series_dropped_total{metric="fleetscope_agent_info",reason="cap"} 0
fleetscope_series_dropped_total{metric="fleetscope_runqueue_latency_seconds",reason="cap"} 0
fleetscope_series_dropped_total{metric="fleetscope_tasks_running",reason="cap"} 0
"#;

fn with_identity(text: &str) -> String {
    text.replace("ID", r#"namespace="ns",fleet="f",pod="p",container="c",workload="w""#)
}

#[test]
fn text_004_is_what_prometheus_reads() {
    assert_eq!(String::from_utf8(encode(&sample(), Format::Text004)).unwrap(), with_identity(TEXT));
}

#[test]
fn openmetrics_names_families_and_units_and_ends_with_eof() {
    let heads = [
        (
            "# TYPE fleetscope_runqueue_latency_seconds histogram\n",
            "# UNIT fleetscope_runqueue_latency_seconds seconds\n",
        ),
        ("# TYPE fleetscope_agent_cpu_seconds counter\n", "# UNIT fleetscope_agent_cpu_seconds seconds\n"),
    ];
    let mut expected = with_identity(TEXT)
        .replace("# HELP fleetscope_agent_info", "# HELP fleetscope_agent")
        .replace("# TYPE fleetscope_agent_info gauge", "# TYPE fleetscope_agent info")
        .replace("# HELP fleetscope_build_info", "# HELP fleetscope_build")
        .replace("# TYPE fleetscope_build_info gauge", "# TYPE fleetscope_build info");
    for counter in ["agent_cpu_seconds", "series_dropped"] {
        for line in ["HELP", "TYPE"] {
            let line = format!("# {line} fleetscope_{counter}");
            expected = expected.replace(&format!("{line}_total"), &line);
        }
    }
    for (kind, unit) in heads {
        expected = expected.replace(kind, &format!("{kind}{unit}"));
    }
    // Numbers are floats; counts of a histogram are not.
    let lines = expected.lines().map(|line| match line.rsplit_once(' ') {
        Some((_, number)) if line.starts_with('#') || number.contains('.') => line.to_owned(),
        Some((series, _)) if series.contains("_bucket{") || series.contains("_count{") => line.to_owned(),
        _ => format!("{line}.0"),
    });
    let expected = lines.chain(["# EOF".into()]).fold(String::new(), |all, line| all + &line + "\n");
    assert_eq!(String::from_utf8(encode(&sample(), Format::OpenMetrics100)).unwrap(), expected);
    assert_eq!(encode(&sample(), Format::OpenMetrics001), encode(&sample(), Format::OpenMetrics100));
}

#[test]
fn protobuf_has_families_with_cumulative_buckets() {
    let bytes = encode(&sample(), Format::Protobuf);
    let mut rest = &*bytes;
    let mut families = Vec::new();
    while !rest.is_empty() {
        families.push(proto::MetricFamily::decode_length_delimited(&mut rest).unwrap());
    }
    let label = |(name, value): (&str, &str)| proto::LabelPair { name: Some(name.into()), value: Some(value.into()) };
    let identity =
        [("namespace", "ns"), ("fleet", "f"), ("pod", "p"), ("container", "c"), ("workload", "w")].map(label);
    let labelled = |own: &[(&str, &str)]| {
        identity.iter().cloned().chain(own.iter().copied().map(label)).collect::<Vec<proto::LabelPair>>()
    };
    let family = |name: &str, help: &str, kind: proto::MetricType, unit: Option<&str>, metric: proto::Metric| {
        let (name, help) = (Some(name.to_owned()), Some(help.to_owned()));
        proto::MetricFamily { name, help, r#type: Some(kind.into()), metric: vec![metric], unit: unit.map(Into::into) }
    };
    let gauge = |value| Some(proto::Gauge { value: Some(value) });
    let bounds = [
        1e-6, 4e-6, 1.6e-5, 6.4e-5, 2.56e-4, 0.001_024, 0.004_096, 0.016_384, 0.065_536, 0.262_144, 1.048_576,
        4.194_304,
    ];
    let counts = [0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 2];
    let bucket = |(bound, count): (f64, u64)| proto::Bucket { cumulative_count: Some(count), upper_bound: Some(bound) };
    let histogram = proto::Histogram {
        sample_count: Some(3),
        sample_sum: Some(7.000_002),
        bucket: bounds.into_iter().zip(counts).map(bucket).collect(),
        ..proto::Histogram::default()
    };
    let expected = [
        family(
            "fleetscope_tasks_running",
            "Tasks that run now, those that started before the node agent included.",
            proto::MetricType::Gauge,
            None,
            proto::Metric {
                label: labelled(&[("group", "a\"b\\c\nd"), ("task", "Grüße\t😀")]),
                gauge: gauge(2.0),
                ..proto::Metric::default()
            },
        ),
        family(
            "fleetscope_runqueue_latency_seconds",
            "How long runnable threads waited for a processor.",
            proto::MetricType::Histogram,
            Some("seconds"),
            proto::Metric { label: labelled(&[]), histogram: Some(histogram), ..proto::Metric::default() },
        ),
        family(
            "fleetscope_agent_info",
            "The agent's image and node.",
            proto::MetricType::Gauge,
            None,
            proto::Metric {
                label: labelled(&[("image", "img:1"), ("node", "node-1")]),
                gauge: gauge(1.0),
                ..proto::Metric::default()
            },
        ),
        family(
            "fleetscope_agent_cpu_seconds_total",
            "CPU time that the container used.",
            proto::MetricType::Counter,
            Some("seconds"),
            proto::Metric {
                label: labelled(&[]),
                counter: Some(proto::Counter { value: Some(1_234_567.25), created_timestamp: None }),
                ..proto::Metric::default()
            },
        ),
        family(
            "fleetscope_build_info",
            "Version of this Fleetscope component.",
            proto::MetricType::Gauge,
            None,
            proto::Metric {
                label: [("component", "node-agent"), ("version", "0.1.0")].map(label).to_vec(),
                gauge: gauge(1.0),
                ..proto::Metric::default()
            },
        ),
    ];
    assert_eq!(families[..5], expected);
    let tail: Vec<(&str, usize)> =
        families[5..].iter().map(|family| (family.name.as_deref().unwrap(), family.metric.len())).collect();
    assert_eq!(tail, [("fleetscope_series", 5), ("fleetscope_series_dropped_total", 4)]);
}

#[test]
fn nothing_is_written_for_no_series_but_the_end() {
    let filter = Filter { scope: Selection::Fleet { namespace: "n".into(), fleet: "f".into() }, ..Filter::default() };
    let empty = Registry::new(Limits::default()).snapshot(&filter);
    assert_eq!(encode(&empty, Format::Text004), b"");
    assert_eq!(encode(&empty, Format::OpenMetrics100), b"# EOF\n");
    assert_eq!(encode(&empty, Format::Protobuf), b"");
}

#[test]
fn the_content_type_names_format_and_version() {
    let all = [Format::Text004, Format::OpenMetrics100, Format::OpenMetrics001, Format::Protobuf].map(content_type);
    assert_eq!(
        all,
        [
            "text/plain; version=0.0.4; charset=utf-8",
            "application/openmetrics-text; version=1.0.0; charset=utf-8",
            "application/openmetrics-text; version=0.0.1; charset=utf-8",
            "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited",
        ]
    );
}

#[test]
fn native_buckets_are_in_protobuf_beside_the_classic_ones_of_the_series() {
    let mut registry = Registry::new(Limits::default());
    let id = Arc::new(Identity::default());
    let layout = Layout::new(&[0.5, 4.0], true);
    let mut handle = Handle::new(&RPC_FIRST_RESPONSE, &id, &["client", "a.B/C"], &layout);
    for value in [0.0, 0.5, 1.0, 1.05, 1.05, 2.0, 40.0] {
        registry.observe_at(&mut handle, value);
    }
    let filter = Filter { name_prefix: Some(RPC_FIRST_RESPONSE.name.to_owned()), ..Filter::default() };
    let snapshot = registry.snapshot(&filter);
    let bytes = encode(&snapshot, Format::Protobuf);
    let family = proto::MetricFamily::decode_length_delimited(&*bytes).unwrap();
    let bucket = |count, bound| proto::Bucket { cumulative_count: Some(count), upper_bound: Some(bound) };
    let span = |offset, length| proto::BucketSpan { offset: Some(offset), length: Some(length) };
    // Keys in schema 3: 0.5 is -8, 1 is 0, 1.05 is 1, 2 is 8, and 40 = 0.625 * 2^6 is 3 + 5 * 8 = 43.
    let wanted = proto::Histogram {
        sample_count: Some(7),
        sample_sum: Some(45.6),
        bucket: vec![bucket(2, 0.5), bucket(6, 4.0)],
        schema: Some(3),
        zero_threshold: Some(2_f64.powi(-128)),
        zero_count: Some(1),
        positive_span: vec![span(-8, 1), span(7, 2), span(6, 1), span(34, 1)],
        positive_delta: vec![1, 0, 1, -1, 0],
        created_timestamp: None,
    };
    assert_eq!(family.metric[0].histogram, Some(wanted));
    let text = String::from_utf8(encode(&snapshot, Format::Text004)).unwrap();
    let buckets: Vec<&str> = text.lines().filter_map(|line| line.split_once(",le=")).map(|(_, rest)| rest).collect();
    assert_eq!(buckets, ["\"0.5\"} 2", "\"4.0\"} 6", "\"+Inf\"} 7"]);
}

#[test]
fn start_is_in_protobuf_and_in_no_text() {
    let mut registry = Registry::new(Limits::default());
    registry.set_clock(|| SystemTime::UNIX_EPOCH + Duration::from_millis(1_795_704_202_345));
    let id = Arc::new(Identity::default());
    registry.add(&TASKS, Some(&id), &["0", "g", "success", "git"], 2.0);
    registry.observe(&RPC_FIRST_RESPONSE, Some(&id), &["client", "a.B/C"], 1.0);
    let snapshot = registry.snapshot(&Filter::default());
    let bytes = encode(&snapshot, Format::Protobuf);
    let mut left = &*bytes;
    let mut starts = Vec::new();
    while !left.is_empty() {
        let metric = proto::MetricFamily::decode_length_delimited(&mut left).unwrap().metric.remove(0);
        let of_counter = metric.counter.map(|counter| (counter.value, counter.created_timestamp));
        let of_histogram = metric.histogram.map(|histogram| (histogram.sample_sum, histogram.created_timestamp));
        starts.extend(of_counter.or(of_histogram));
    }
    let start = Some(proto::Timestamp { seconds: 1_795_704_201, nanos: 345_000_000 });
    assert_eq!(starts, [(Some(2.0), start), (Some(1.0), start), (Some(0.0), None)]);
    for format in [Format::Text004, Format::OpenMetrics100] {
        let text = String::from_utf8(encode(&snapshot, format)).unwrap();
        assert!(!text.contains("_created") && !text.contains("179570420"), "{text}");
    }
}
