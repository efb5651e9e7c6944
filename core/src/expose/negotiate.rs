//! Content negotiation by the header `Accept` (RFC 9110, 12.5.1).

use super::Format;

/// The most that is read of a header's ranges: real scrapers send at most ten.
const MAX_RANGES: usize = 64;

/// Picks the format that a scraper likes best.
///
/// The most specific range that matches a format decides its weight; of the formats of the highest weight, the one that is
/// named most exactly wins, then the one that is named first. Who names none of them gets text format 0.0.4, as everywhere in
/// Prometheus' world: a scraper can do more with a text than with status 406.
pub fn negotiate(accept: Option<&str>) -> Format {
    const FORMATS: [Format; 4] = [Format::Text004, Format::OpenMetrics100, Format::OpenMetrics001, Format::Protobuf];
    let ranges: Vec<Range> = accept
        .map(|header| split(header, b',').take(MAX_RANGES).filter_map(Range::parse).collect())
        .unwrap_or_default();
    let mut best: Option<(Choice, Format)> = None;
    for format in FORMATS {
        let matching = ranges.iter().enumerate().filter_map(|(place, range)| {
            Some(Choice { exactness: range.exactness(format)?, weight: range.weight, place })
        });
        // For a format the most exact range decides, whatever its weight; the first of equals.
        let decisive = matching.reduce(|a, b| if b.exactness > a.exactness { b } else { a });
        let Some(choice) = decisive.filter(|choice| choice.weight > 0) else { continue };
        if best.as_ref().is_none_or(|(than, _)| choice.is_better(than)) {
            best = Some((choice, format));
        }
    }
    best.map_or(Format::Text004, |(_, format)| format)
}

struct Choice {
    weight: u16,
    exactness: u8,
    place: usize,
}

struct Range<'a> {
    kind: &'a str,
    version: Option<&'a str>,
    proto: Option<&'a str>,
    encoding: Option<&'a str>,
    /// Thousandths.
    weight: u16,
}

// === impl Choice ===

impl Choice {
    fn is_better(&self, than: &Self) -> bool {
        (self.weight, self.exactness).cmp(&(than.weight, than.exactness)).then(than.place.cmp(&self.place)).is_gt()
    }
}

// === impl Range ===

impl<'a> Range<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let mut parts = split(text, b';').map(str::trim);
        let kind = parts.next().filter(|kind| !kind.is_empty())?;
        let mut range = Self { kind, version: None, proto: None, encoding: None, weight: 1000 };
        for part in parts.filter(|part| !part.is_empty()) {
            let (name, value) = part.split_once('=')?;
            let value = value.trim();
            let value = value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).unwrap_or(value);
            match name.trim() {
                name if name.eq_ignore_ascii_case("version") => range.version = Some(value),
                name if name.eq_ignore_ascii_case("proto") => range.proto = Some(value),
                name if name.eq_ignore_ascii_case("encoding") => range.encoding = Some(value),
                name if name.eq_ignore_ascii_case("q") => range.weight = weight(value)?,
                // `charset`, `escaping`: all our names and bytes are the same under any of them.
                _ => {}
            }
        }
        Some(range)
    }

    /// How exactly the range names the format; none if it does not.
    fn exactness(&self, format: Format) -> Option<u8> {
        let is = |kind: &str| self.kind.eq_ignore_ascii_case(kind);
        let version = |wanted: &str| match self.version {
            None => Some(2),
            Some(version) => (version == wanted).then_some(3),
        };
        if is("*/*") {
            return Some(0);
        }
        match format {
            Format::Text004 if is("text/*") => Some(1),
            Format::Text004 if is("text/plain") => version("0.0.4"),
            Format::OpenMetrics100 if is("application/openmetrics-text") => version("1.0.0"),
            Format::OpenMetrics001 if is("application/openmetrics-text") => version("0.0.1"),
            Format::OpenMetrics100 | Format::Protobuf if is("application/*") => Some(1),
            Format::Protobuf if is("application/vnd.google.protobuf") => {
                let wanted =
                    self.proto == Some("io.prometheus.client.MetricFamily") && self.encoding == Some("delimited");
                wanted.then_some(3)
            }
            _ => None,
        }
    }
}

/// `qvalue` of RFC 9110, 12.4.2, in thousandths: 0 to 1 with at most three decimals.
fn weight(value: &str) -> Option<u16> {
    let (whole, decimals) = value.split_once('.').unwrap_or((value, ""));
    if decimals.len() > 3 || !decimals.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let thousandths = format!("{decimals:0<3}").parse().ok()?;
    match whole {
        "0" => Some(thousandths),
        "1" if thousandths == 0 => Some(1000),
        _ => None,
    }
}

/// Splits at a separator outside of quoted strings.
fn split(text: &str, at: u8) -> impl Iterator<Item = &str> {
    let (mut quoted, mut escaped) = (false, false);
    text.split(move |byte: char| {
        let was_escaped = std::mem::take(&mut escaped);
        match byte {
            '"' if !was_escaped => quoted = !quoted,
            '\\' if quoted && !was_escaped => escaped = true,
            _ => {}
        }
        !quoted && byte == char::from(at)
    })
}

#[cfg(test)]
mod tests {
    use super::{Format, negotiate};

    /// What Prometheus 3.16 sends by default, and to a target with `scrape_protocols: [PrometheusProto, PrometheusText0.0.4]`.
    const PROMETHEUS_3: &str = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.7,\
        application/openmetrics-text;version=0.0.1;q=0.6,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.5,\
        text/plain;version=0.0.4;q=0.4,*/*;q=0.3";
    const PROMETHEUS_3_PROTOBUF: &str = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;\
        encoding=delimited;q=0.7,text/plain;version=0.0.4;q=0.6,*/*;q=0.5";
    const PROTOBUF: &str =
        "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited";

    #[test]
    fn a_scraper_gets_what_it_likes_best() {
        let cases = [
            (PROMETHEUS_3, Format::OpenMetrics100),
            (PROMETHEUS_3_PROTOBUF, Format::Protobuf),
            (PROTOBUF, Format::Protobuf),
            ("application/openmetrics-text", Format::OpenMetrics100),
            ("application/openmetrics-text;version=1.0.0", Format::OpenMetrics100),
            ("application/openmetrics-text; version=0.0.1; charset=utf-8", Format::OpenMetrics001),
            ("application/openmetrics-text; version=\"1.0.0\"", Format::OpenMetrics100),
            ("APPLICATION/OpenMetrics-Text; Version=0.0.1", Format::OpenMetrics001),
            (
                "application/openmetrics-text;version=0.0.1,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
                Format::OpenMetrics001,
            ),
            ("application/openmetrics-text;version=2.0.0,text/plain;q=0.1", Format::Text004),
            ("text/plain;version=0.0.4", Format::Text004),
            ("text/plain", Format::Text004),
            ("text/*", Format::Text004),
            ("application/*", Format::OpenMetrics100),
            ("*/*", Format::Text004),
            ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", Format::Text004),
        ];
        for (accept, format) in cases {
            assert_eq!(negotiate(Some(accept)), format, "{accept}");
        }
    }

    #[test]
    fn weights_decide_then_exactness_then_order() {
        let cases = [
            ("text/plain;q=0.5,application/openmetrics-text;q=0.501", Format::OpenMetrics100),
            ("text/plain;q=0.5,application/openmetrics-text;q=0.5", Format::Text004),
            ("application/openmetrics-text;q=0.5,text/plain;q=0.5", Format::OpenMetrics100),
            ("*/*,application/openmetrics-text", Format::OpenMetrics100),
            ("*/*;q=0.9,application/openmetrics-text;q=0.1", Format::Text004),
            ("text/plain;q=0,*/*", Format::OpenMetrics100),
            ("text/plain;q=0,application/openmetrics-text;q=0,*/*;q=0.5", Format::Protobuf),
        ];
        for (accept, format) in cases {
            assert_eq!(negotiate(Some(accept)), format, "{accept}");
        }
    }

    #[test]
    fn who_names_nothing_that_there_is_gets_text() {
        let cases = [
            "",
            " ",
            ",",
            ";",
            ";;,;",
            "q=1",
            "text/html",
            "image/png;q=1",
            "\u{0}\u{1}",
            "application/json, application/yaml",
            "application/openmetrics-text;q=2",
            "application/openmetrics-text;q=-1",
            "application/openmetrics-text;q=0.0000",
            "application/openmetrics-text;q=NaN",
            "application/openmetrics-text;q",
            "*/*;q=0",
            "application/vnd.google.protobuf",
            "application/vnd.google.protobuf;proto=other;encoding=delimited",
            "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=text",
            "application/x;note=\"a,application/openmetrics-text",
            "text/html;x=\"\\\",application/openmetrics-text\"",
        ];
        assert_eq!(negotiate(None), Format::Text004);
        for accept in cases {
            assert_eq!(negotiate(Some(accept)), Format::Text004, "{accept}");
        }
        assert_eq!(
            negotiate(Some(&format!("{}application/openmetrics-text", "a/b,".repeat(100_000)))),
            Format::Text004
        );
    }
}
