//! The two text formats: Prometheus' 0.0.4 and `OpenMetrics` 1.0.0.

use std::io::Write as _;
use std::sync::Arc;

use super::float;
use crate::metrics::{IDENTITY_LABELS, Kind, Metric};
use crate::series::{Identity, Series, Snapshot, Value};

/// Which of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialect {
    Prometheus,
    OpenMetrics,
}

/// What all lines of a metric share, written once.
struct Writer<'a> {
    out: Vec<u8>,
    metric: &'a Metric,
    dialect: Dialect,
    /// `le` of each bucket, `+Inf` included, and the bounds that they are written from.
    bounds: (Vec<f64>, Vec<Vec<u8>>),
    /// The identity labels of the last series, for the next one with the same identity.
    identity: (Option<Arc<Identity>>, Vec<u8>),
    /// All labels of the current series, without braces.
    labels: Vec<u8>,
}

/// Rough size of a line, to grow the buffer once instead of twenty times.
const LINE: usize = 160;

pub(super) fn encode(snapshot: &Snapshot, dialect: Dialect) -> Vec<u8> {
    let mut out = Vec::with_capacity(snapshot.lines() * LINE);
    for family in snapshot.families() {
        let mut writer = Writer::new(out, family.metric, dialect);
        writer.head();
        for series in family.series() {
            writer.series(series);
        }
        out = writer.out;
    }
    if dialect == Dialect::OpenMetrics {
        out.extend_from_slice(b"# EOF\n");
    }
    out
}

// === impl Writer ===

impl<'a> Writer<'a> {
    fn new(out: Vec<u8>, metric: &'a Metric, dialect: Dialect) -> Self {
        Self {
            out,
            metric,
            dialect,
            bounds: (Vec::new(), Vec::new()),
            identity: (None, Vec::new()),
            labels: Vec::new(),
        }
    }

    /// The lines that describe the metric: in 0.0.4 by the name of its series, in `OpenMetrics` by that of its family.
    fn head(&mut self) {
        let Metric { name, kind, unit, help, .. } = *self.metric;
        let (name, kind) = match (self.dialect, kind) {
            (Dialect::OpenMetrics, Kind::Counter) => (name.strip_suffix("_total").unwrap_or(name), "counter"),
            (Dialect::OpenMetrics, Kind::Info) => (name.strip_suffix("_info").unwrap_or(name), "info"),
            (Dialect::Prometheus, Kind::Counter) => (name, "counter"),
            (Dialect::Prometheus, Kind::Info) | (_, Kind::Gauge) => (name, "gauge"),
            (_, Kind::Histogram(_)) => (name, "histogram"),
        };
        let openmetrics = self.dialect == Dialect::OpenMetrics;
        let out = &mut self.out;
        for part in ["# HELP ", name, " "] {
            out.extend_from_slice(part.as_bytes());
        }
        escape(out, help, openmetrics);
        for part in ["\n# TYPE ", name, " ", kind, "\n"] {
            out.extend_from_slice(part.as_bytes());
        }
        if openmetrics && !unit.is_empty() {
            for part in ["# UNIT ", name, " ", unit, "\n"] {
                out.extend_from_slice(part.as_bytes());
            }
        }
    }

    fn series(&mut self, series: &Series) {
        self.set_labels(series);
        match &series.value {
            Value::Number(number) => {
                self.line("", None);
                self.number(*number);
            }
            Value::Histogram { counts, sum, .. } => {
                self.set_bounds(series.value.bounds(self.metric.kind));
                let mut total = 0_u64;
                for (bucket, count) in counts.iter().enumerate() {
                    total = total.saturating_add(*count);
                    self.line("_bucket", Some(bucket));
                    self.count(total);
                }
                self.line("_sum", None);
                self.number(*sum);
                self.line("_count", None);
                self.count(total);
            }
        }
    }

    fn set_bounds(&mut self, bounds: &[f64]) {
        let (last, texts) = &mut self.bounds;
        if *last == bounds && !texts.is_empty() {
            return;
        }
        bounds.clone_into(last);
        texts.clear();
        texts.extend(bounds.iter().chain(&[f64::INFINITY]).map(|bound| {
            let mut text = Vec::new();
            float::write_float(&mut text, *bound);
            text
        }));
    }

    fn set_labels(&mut self, series: &Series) {
        self.labels.clear();
        if let Some(identity) = &series.identity {
            let (last, text) = &mut self.identity;
            if last.as_ref().is_none_or(|last| !Arc::ptr_eq(last, identity)) {
                text.clear();
                for (name, value) in IDENTITY_LABELS.iter().zip(identity.values()) {
                    write_label(text, name, value);
                }
                *last = Some(Arc::clone(identity));
            }
            self.labels.extend_from_slice(text);
        }
        for (name, value) in self.metric.labels.iter().zip(series.labels.iter()) {
            write_label(&mut self.labels, name, value);
        }
    }

    /// Name and labels of a line, up to the blank before the number.
    fn line(&mut self, suffix: &str, bucket: Option<usize>) {
        let out = &mut self.out;
        out.extend_from_slice(self.metric.name.as_bytes());
        out.extend_from_slice(suffix.as_bytes());
        if !self.labels.is_empty() || bucket.is_some() {
            out.push(b'{');
            out.extend_from_slice(&self.labels);
            if let Some(bucket) = bucket {
                if !self.labels.is_empty() {
                    out.push(b',');
                }
                out.extend_from_slice(b"le=\"");
                out.extend_from_slice(&self.bounds.1[bucket]);
                out.push(b'"');
            }
            out.push(b'}');
        }
        out.push(b' ');
    }

    fn number(&mut self, number: f64) {
        match self.dialect {
            Dialect::Prometheus => float::write(&mut self.out, number),
            Dialect::OpenMetrics => float::write_float(&mut self.out, number),
        }
        self.out.push(b'\n');
    }

    fn count(&mut self, count: u64) {
        writeln!(self.out, "{count}").expect("a Vec takes all bytes");
    }
}

fn write_label(out: &mut Vec<u8>, name: &str, value: &str) {
    if !out.is_empty() {
        out.push(b',');
    }
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"=\"");
    escape(out, value, true);
    out.push(b'"');
}

/// Escapes backslash and line feed, and quotes where the text stands in quotes (in `OpenMetrics` in help, too).
fn escape(out: &mut Vec<u8>, text: &str, quotes: bool) {
    let mut rest = text.as_bytes();
    while let Some(at) = rest.iter().position(|byte| matches!(byte, b'\\' | b'\n') || (quotes && *byte == b'"')) {
        out.extend_from_slice(&rest[..at]);
        out.push(b'\\');
        out.push(if rest[at] == b'\n' { b'n' } else { rest[at] });
        rest = &rest[at + 1..];
    }
    out.extend_from_slice(rest);
}
