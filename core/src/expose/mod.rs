//! Prometheus' exposition formats: which one a scraper wants, and a snapshot written in it.
//!
//! A histogram's bounds read the same in all of them (`le="1.0"`, as Prometheus itself writes bounds of the protobuf format),
//! so a change of the format never starts new series.

mod float;
mod negotiate;
pub mod proto;
mod protobuf;
mod text;

#[cfg(test)]
mod tests;

pub use negotiate::negotiate;

use crate::series::Snapshot;

/// An exposition format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Format {
    /// Prometheus' text format 0.0.4: what a scraper gets that asks for nothing in particular.
    Text004,
    /// `OpenMetrics` text 1.0.0.
    OpenMetrics100,
    /// `OpenMetrics` text under its first version number, by which older scrapers ask for it; the same bytes as 1.0.0.
    OpenMetrics001,
    /// Length-delimited `io.prometheus.client.MetricFamily` messages.
    Protobuf,
}

/// The value of the header `Content-Type`.
///
/// Without the parameter `escaping`: no name of the metric table needs escaping, so all its schemes give the same bytes.
pub fn content_type(format: Format) -> &'static str {
    match format {
        Format::Text004 => "text/plain; version=0.0.4; charset=utf-8",
        Format::OpenMetrics100 => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        Format::OpenMetrics001 => "application/openmetrics-text; version=0.0.1; charset=utf-8",
        Format::Protobuf => {
            "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited"
        }
    }
}

/// Writes a snapshot. The same series give the same bytes.
pub fn encode(snapshot: &Snapshot, format: Format) -> Vec<u8> {
    match format {
        Format::Text004 => text::encode(snapshot, text::Dialect::Prometheus),
        Format::OpenMetrics100 | Format::OpenMetrics001 => text::encode(snapshot, text::Dialect::OpenMetrics),
        Format::Protobuf => protobuf::encode(snapshot),
    }
}

/// Values of the label `le` of a bucket with this bound: as text format 0.0.4 writes it, and, where that is another, as `OpenMetrics`
/// and the protobuf format do. Prometheus keeps the first up to its version 3, which makes one of both, and the second otherwise.
pub(crate) fn bounds_of(bound: f64) -> Vec<String> {
    let text = |write: fn(&mut Vec<u8>, f64)| {
        let mut out = Vec::new();
        write(&mut out, bound);
        String::from_utf8_lossy(&out).into_owned()
    };
    let mut all = vec![text(float::write), text(float::write_float)];
    all.dedup();
    all
}
