//! What a policy says that is neither targets, labels nor secrets, in the words of prometheus-operator.

use serde_json::{Map, Value, json};

use crate::api::ScrapePolicySpec;
use crate::api::scrape_policy::ScrapeProtocol;

/// Formats in the order that finds native histograms first; Prometheus' own order has them last.
const PROTOBUF_FIRST: [ScrapeProtocol; 5] = [
    ScrapeProtocol::PrometheusProto,
    ScrapeProtocol::OpenMetricsText100,
    ScrapeProtocol::OpenMetricsText001,
    ScrapeProtocol::PrometheusText100,
    ScrapeProtocol::PrometheusText004,
];

/// How a target is asked. A monitor says this for each endpoint.
pub(super) fn request(spec: &ScrapePolicySpec) -> Map<String, Value> {
    let mut fields = Map::new();
    if !spec.params.is_empty() {
        fields.insert("params".to_owned(), json!(spec.params));
    }
    for (name, said) in [
        ("honorLabels", spec.honor_labels.then_some(true)),
        ("honorTimestamps", (!spec.honor_timestamps).then_some(false)),
        ("followRedirects", (!spec.follow_redirects).then_some(false)),
    ] {
        fields.extend(said.map(|said| (name.to_owned(), json!(said))));
    }
    fields.extend(spec.proxy_url.iter().map(|url| ("proxyUrl".to_owned(), json!(url))));
    fields
}

/// What a target may give, and in which form. A monitor says this once.
pub(super) fn answer(spec: &ScrapePolicySpec) -> Map<String, Value> {
    let mut fields = Map::new();
    let limits = &spec.limits;
    for (name, limit) in [
        ("sampleLimit", limits.samples),
        ("targetLimit", limits.targets),
        ("labelLimit", limits.labels),
        ("labelNameLengthLimit", limits.label_name_length),
        ("labelValueLengthLimit", limits.label_value_length),
        ("keepDroppedTargets", limits.keep_dropped_targets),
    ] {
        if limit > 0 {
            fields.insert(name.to_owned(), json!(limit));
        }
    }
    if limits.body_size != "0" {
        fields.insert("bodySizeLimit".to_owned(), json!(limits.body_size));
    }
    let mut protocols = Vec::new();
    let asked: &[ScrapeProtocol] = match spec.scrape_protocols.as_slice() {
        [] if spec.native_histograms => &PROTOBUF_FIRST,
        own => own,
    };
    for protocol in asked {
        if !protocols.contains(protocol) {
            protocols.push(*protocol);
        }
    }
    if !protocols.is_empty() {
        fields.insert("scrapeProtocols".to_owned(), json!(protocols));
    }
    let fallback = spec.fallback_scrape_protocol.iter();
    fields.extend(fallback.map(|protocol| ("fallbackScrapeProtocol".to_owned(), json!(protocol))));
    if spec.native_histograms {
        fields.insert("scrapeClassicHistograms".to_owned(), json!(true));
    }
    fields.extend(spec.scrape_class.iter().map(|class| ("scrapeClass".to_owned(), json!(class))));
    fields
}
