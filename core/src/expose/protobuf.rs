//! The protobuf format: one length-delimited `MetricFamily` per metric.

use prost::Message as _;
use prost::encoding::{encode_varint, message};

use super::proto;
use crate::metrics::{IDENTITY_LABELS, Kind, Metric};
use crate::series::{Series, Snapshot, Value};

/// The field `metric` of `MetricFamily`.
const METRIC: u32 = 4;

/// Series go from the snapshot through one message that is used again for each, straight into the buffer: a family of 100,000
/// series as one tree of messages would be a million strings.
pub(super) fn encode(snapshot: &Snapshot) -> Vec<u8> {
    let mut out = Vec::with_capacity(snapshot.len() * 160);
    let mut body = Vec::new();
    let mut scratch = proto::Metric::default();
    for family in snapshot.families() {
        body.clear();
        head(family.metric).encode(&mut body).expect("a Vec takes all bytes");
        for series in family.series() {
            fill(&mut scratch, family.metric, series);
            message::encode(METRIC, &scratch, &mut body);
        }
        encode_varint(body.len() as u64, &mut out);
        out.extend_from_slice(&body);
    }
    out
}

fn head(metric: &Metric) -> proto::MetricFamily {
    let kind = match metric.kind {
        Kind::Counter => proto::MetricType::Counter,
        Kind::Gauge | Kind::Info => proto::MetricType::Gauge,
        Kind::Histogram(_) => proto::MetricType::Histogram,
    };
    proto::MetricFamily {
        name: Some(metric.name.to_owned()),
        help: Some(metric.help.to_owned()),
        r#type: Some(kind.into()),
        metric: Vec::new(),
        unit: (!metric.unit.is_empty()).then(|| metric.unit.to_owned()),
    }
}

fn fill(into: &mut proto::Metric, metric: &Metric, series: &Series) {
    let identity = series.identity.as_ref().map(|identity| identity.values());
    let of_identity = IDENTITY_LABELS.into_iter().zip(identity.into_iter().flatten());
    let own = metric.labels.iter().copied().zip(series.labels.iter().map(|value| &**value));
    let mut count = 0;
    for (name, value) in of_identity.chain(own) {
        if into.label.len() == count {
            into.label.push(proto::LabelPair::default());
        }
        let pair = &mut into.label[count];
        replace(&mut pair.name, name);
        replace(&mut pair.value, value);
        count += 1;
    }
    into.label.truncate(count);
    into.gauge = None;
    into.counter = None;
    match (&series.value, metric.kind) {
        (Value::Number(number), Kind::Counter) => into.counter = Some(proto::Counter { value: Some(*number) }),
        (Value::Number(number), _) => into.gauge = Some(proto::Gauge { value: Some(*number) }),
        (Value::Histogram { counts, sum }, Kind::Histogram(bounds)) => {
            let histogram = into.histogram.get_or_insert_default();
            histogram.bucket.clear();
            let mut total = 0_u64;
            for (bound, count) in bounds.iter().zip(counts) {
                total = total.saturating_add(*count);
                histogram.bucket.push(proto::Bucket { cumulative_count: Some(total), upper_bound: Some(*bound) });
            }
            histogram.sample_count = Some(total.saturating_add(counts.last().copied().unwrap_or(0)));
            histogram.sample_sum = Some(*sum);
        }
        (Value::Histogram { .. }, _) => {}
    }
    if matches!(series.value, Value::Number(_)) {
        into.histogram = None;
    }
}

fn replace(text: &mut Option<String>, with: &str) {
    let text = text.get_or_insert_default();
    text.clear();
    text.push_str(with);
}
