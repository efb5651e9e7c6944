//! The protobuf format: one length-delimited `MetricFamily` per metric.

use std::num::NonZeroU64;
use std::sync::Arc;

use prost::Message as _;
use prost::encoding::{WireType, encode_key, encode_varint, message};

use super::proto;
use crate::metrics::{IDENTITY_LABELS, Kind, Metric};
use crate::series::{Identity, Native, Series, Snapshot, Span, Value};

/// Fields that messages are written into one by one, as io/prometheus/client/metrics.proto numbers them.
mod field {
    pub(super) const METRIC: u32 = 4;
    pub(super) const LABEL: u32 = 1;
    pub(super) const GAUGE: u32 = 2;
    pub(super) const COUNTER: u32 = 3;
    pub(super) const HISTOGRAM: u32 = 7;
}

/// Messages and buffers that are used again for each series.
#[derive(Default)]
struct Writer {
    label: proto::LabelPair,
    histogram: proto::Histogram,
    /// The identity labels of the last series, for the next one with the same identity.
    identity: (Option<Arc<Identity>>, Vec<u8>),
    /// The current series.
    series: Vec<u8>,
}

/// Series go from the snapshot straight into the buffer: a family of 100,000 series as one tree of messages would be a million strings.
pub(super) fn encode(snapshot: &Snapshot) -> Vec<u8> {
    let mut out = Vec::with_capacity(snapshot.len() * 160);
    let mut body = Vec::new();
    let mut writer = Writer::default();
    for family in snapshot.families() {
        body.clear();
        head(family.metric).encode(&mut body).expect("a Vec takes all bytes");
        for series in family.series() {
            writer.set(family.metric, series);
            encode_key(field::METRIC, WireType::LengthDelimited, &mut body);
            encode_varint(writer.series.len() as u64, &mut body);
            body.extend_from_slice(&writer.series);
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

// === impl Writer ===

impl Writer {
    /// Writes a series into [`Self::series`], as a `Metric` without its length.
    fn set(&mut self, metric: &Metric, series: &Series) {
        self.series.clear();
        if let Some(identity) = &series.identity {
            let (last, bytes) = &mut self.identity;
            if last.as_ref().is_none_or(|last| !Arc::ptr_eq(last, identity)) {
                bytes.clear();
                for (name, value) in IDENTITY_LABELS.iter().zip(identity.values()) {
                    write_label(bytes, &mut self.label, name, value);
                }
                *last = Some(Arc::clone(identity));
            }
            self.series.extend_from_slice(bytes);
        }
        for (name, value) in metric.labels.iter().zip(series.labels.iter()) {
            write_label(&mut self.series, &mut self.label, name, value);
        }
        match (&series.value, metric.kind) {
            (Value::Number(number), Kind::Counter) => {
                let created_timestamp = series.start.map(timestamp);
                let counter = proto::Counter { value: Some(*number), created_timestamp };
                message::encode(field::COUNTER, &counter, &mut self.series);
            }
            (Value::Number(number), _) => {
                message::encode(field::GAUGE, &proto::Gauge { value: Some(*number) }, &mut self.series);
            }
            (Value::Histogram { counts, sum, native, .. }, kind) => {
                let histogram = &mut self.histogram;
                histogram.bucket.clear();
                let mut total = 0_u64;
                for (bound, count) in series.value.bounds(kind).iter().zip(counts) {
                    total = total.saturating_add(*count);
                    histogram.bucket.push(proto::Bucket { cumulative_count: Some(total), upper_bound: Some(*bound) });
                }
                histogram.sample_count = Some(total.saturating_add(counts.last().copied().unwrap_or(0)));
                histogram.sample_sum = Some(*sum);
                set_native(histogram, native.as_deref());
                histogram.created_timestamp = series.start.map(timestamp);
                message::encode(field::HISTOGRAM, histogram, &mut self.series);
            }
        }
    }
}

fn set_native(histogram: &mut proto::Histogram, native: Option<&Native>) {
    histogram.schema = native.map(Native::schema);
    histogram.zero_threshold = native.map(|_| Native::ZERO_THRESHOLD);
    histogram.zero_count = native.map(Native::zero);
    let (spans, deltas) = native.map(Native::spans).unwrap_or_default();
    histogram.positive_span = spans
        .into_iter()
        .map(|Span { offset, length }| proto::BucketSpan { offset: Some(offset), length: Some(length) })
        .collect();
    histogram.positive_delta = deltas;
}

fn timestamp(milliseconds: NonZeroU64) -> proto::Timestamp {
    let (seconds, rest) = (milliseconds.get() / 1_000, milliseconds.get() % 1_000);
    proto::Timestamp {
        seconds: i64::try_from(seconds).expect("a thousandth of 64 bits fits into 63"),
        nanos: i32::try_from(rest * 1_000_000).expect("below 1e9"),
    }
}

fn write_label(out: &mut Vec<u8>, label: &mut proto::LabelPair, name: &str, value: &str) {
    replace(&mut label.name, name);
    replace(&mut label.value, value);
    message::encode(field::LABEL, label, out);
}

fn replace(text: &mut Option<String>, with: &str) {
    let text = text.get_or_insert_default();
    text.clear();
    text.push_str(with);
}
