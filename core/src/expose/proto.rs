//! Prometheus' `io.prometheus.client` messages, as far as they are used here.
//!
//! After `io/prometheus/client/metrics.proto` of `prometheus/client_model`: the same numbers and types; fields that are never
//! written (exemplars, summaries, negative buckets, timestamps of samples) are left out, and skipped when read.

/// Name and value of a label.
#[derive(Clone, PartialEq, prost::Message)]
pub struct LabelPair {
    /// Its name.
    #[prost(string, optional, tag = "1")]
    pub name: Option<String>,
    /// Its value.
    #[prost(string, optional, tag = "2")]
    pub value: Option<String>,
}

/// What a metric is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, prost::Enumeration)]
#[repr(i32)]
pub enum MetricType {
    /// Only grows.
    Counter = 0,
    /// Goes up and down.
    Gauge = 1,
    /// Never written.
    Summary = 2,
    /// Never written.
    Untyped = 3,
    /// Cumulative buckets.
    Histogram = 4,
    /// Never written.
    GaugeHistogram = 5,
}

/// A gauge's number.
#[derive(Clone, Copy, PartialEq, prost::Message)]
pub struct Gauge {
    /// The number.
    #[prost(double, optional, tag = "1")]
    pub value: Option<f64>,
}

/// A time, as `google.protobuf.Timestamp`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, prost::Message)]
pub struct Timestamp {
    /// Seconds since the Unix epoch.
    #[prost(int64, tag = "1")]
    pub seconds: i64,
    /// Nanoseconds of the second.
    #[prost(int32, tag = "2")]
    pub nanos: i32,
}

/// A counter's number.
#[derive(Clone, Copy, PartialEq, prost::Message)]
pub struct Counter {
    /// The number.
    #[prost(double, optional, tag = "1")]
    pub value: Option<f64>,
    /// When it was zero.
    #[prost(message, optional, tag = "3")]
    pub created_timestamp: Option<Timestamp>,
}

/// A histogram with classic buckets, and with native ones where they were asked for.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Histogram {
    /// Number of observations.
    #[prost(uint64, optional, tag = "1")]
    pub sample_count: Option<u64>,
    /// Their sum.
    #[prost(double, optional, tag = "2")]
    pub sample_sum: Option<f64>,
    /// By rising bound, without `+Inf`, which is `sample_count`.
    #[prost(message, repeated, tag = "3")]
    pub bucket: Vec<Bucket>,
    /// Resolution of the native buckets: 2^schema per power of two.
    #[prost(sint32, optional, tag = "5")]
    pub schema: Option<i32>,
    /// Values up to it count as zero.
    #[prost(double, optional, tag = "6")]
    pub zero_threshold: Option<f64>,
    /// Observations that count as zero.
    #[prost(uint64, optional, tag = "7")]
    pub zero_count: Option<u64>,
    /// Runs of native buckets.
    #[prost(message, repeated, tag = "12")]
    pub positive_span: Vec<BucketSpan>,
    /// Count of each native bucket of the runs, less that of the one before.
    #[prost(sint64, repeated, packed = "false", tag = "13")]
    pub positive_delta: Vec<i64>,
    /// When it was empty.
    #[prost(message, optional, tag = "15")]
    pub created_timestamp: Option<Timestamp>,
}

/// A run of native buckets.
#[derive(Clone, Copy, PartialEq, prost::Message)]
pub struct BucketSpan {
    /// Buckets between the end of the run before (of the first: bucket 0) and this one.
    #[prost(sint32, optional, tag = "1")]
    pub offset: Option<i32>,
    /// How many buckets.
    #[prost(uint32, optional, tag = "2")]
    pub length: Option<u32>,
}

/// A bucket of a histogram.
#[derive(Clone, Copy, PartialEq, prost::Message)]
pub struct Bucket {
    /// Observations up to the bound, those of lower buckets included.
    #[prost(uint64, optional, tag = "1")]
    pub cumulative_count: Option<u64>,
    /// The bound; it belongs to the bucket.
    #[prost(double, optional, tag = "2")]
    pub upper_bound: Option<f64>,
}

/// One series.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Metric {
    /// Its labels.
    #[prost(message, repeated, tag = "1")]
    pub label: Vec<LabelPair>,
    /// Set for a gauge.
    #[prost(message, optional, tag = "2")]
    pub gauge: Option<Gauge>,
    /// Set for a counter.
    #[prost(message, optional, tag = "3")]
    pub counter: Option<Counter>,
    /// Set for a histogram.
    #[prost(message, optional, tag = "7")]
    pub histogram: Option<Histogram>,
}

/// All series of a metric.
#[derive(Clone, PartialEq, prost::Message)]
pub struct MetricFamily {
    /// The metric's name, with `_total`.
    #[prost(string, optional, tag = "1")]
    pub name: Option<String>,
    /// Its help.
    #[prost(string, optional, tag = "2")]
    pub help: Option<String>,
    /// A [`MetricType`].
    #[prost(enumeration = "MetricType", optional, tag = "3")]
    pub r#type: Option<i32>,
    /// Its series.
    #[prost(message, repeated, tag = "4")]
    pub metric: Vec<Metric>,
    /// Its unit, if it has one.
    #[prost(string, optional, tag = "5")]
    pub unit: Option<String>,
}
