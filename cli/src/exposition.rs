//! Prometheus' text exposition format 0.0.4, read: lines in, metadata and samples out.
//!
//! The format is what Prometheus documents in "Exposition formats"; a line that is not of it is an error with its number,
//! because a figure that is left out in silence would be a wrong total.

/// One line.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Line<'a> {
    /// `# HELP name text`, unescaped.
    Help(&'a str, String),
    /// `# TYPE name type`.
    Type(&'a str, &'a str),
    /// A sample.
    Sample(Sample<'a>),
    /// A comment or an empty line.
    Nothing,
}

/// Labels in the order of the line, unescaped.
type Labels<'a> = Vec<(&'a str, String)>;

/// One sample; a timestamp is dropped.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Sample<'a> {
    /// The metric's name, with `_bucket`, `_sum` or `_count` where there is one.
    pub(crate) name: &'a str,
    /// Its labels.
    pub(crate) labels: Labels<'a>,
    /// The value.
    pub(crate) value: f64,
}

/// A line that is not of the format.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("failed to read line {number} of the exposition: {wrong}")]
pub(crate) struct ParseError {
    /// Number of the line, from 1.
    pub(crate) number: usize,
    /// What is wrong with it.
    pub(crate) wrong: &'static str,
}

// === impl Sample ===

impl Sample<'_> {
    /// A label's value; an absent label is an empty one.
    pub(crate) fn label(&self, name: &str) -> &str {
        self.labels.iter().find(|(key, _)| *key == name).map_or("", |(_, value)| value.as_str())
    }
}

/// Reads an exposition line by line, with the text of each line.
pub(crate) fn parse(text: &str) -> impl Iterator<Item = Result<(&str, Line<'_>), ParseError>> {
    text.lines().enumerate().map(|(i, line)| match parse_line(line) {
        Ok(parsed) => Ok((line, parsed)),
        Err(wrong) => Err(ParseError { number: i + 1, wrong }),
    })
}

/// The name of a sample's family, given whether a name is that of a histogram or summary.
pub(crate) fn family(name: &str, is_family: impl Fn(&str) -> bool) -> &str {
    let base = ["_bucket", "_sum", "_count"].iter().find_map(|suffix| name.strip_suffix(suffix));
    base.filter(|base| is_family(base)).unwrap_or(name)
}

fn parse_line(line: &str) -> Result<Line<'_>, &'static str> {
    let line = line.trim_matches([' ', '\t', '\r']);
    if let Some(comment) = line.strip_prefix('#') {
        let mut words = comment.trim_start().splitn(3, [' ', '\t']);
        return Ok(match (words.next(), words.next(), words.next()) {
            (Some("HELP"), Some(name), text) => Line::Help(name, unescape(text.unwrap_or(""), false)),
            (Some("TYPE"), Some(name), Some(kind)) => Line::Type(name, kind.trim()),
            _ => Line::Nothing,
        });
    }
    if line.is_empty() {
        return Ok(Line::Nothing);
    }
    let end = line.find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '_' | ':'))).unwrap_or(line.len());
    let (name, rest) = line.split_at(end);
    if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
        return Err("it does not start with a metric's name");
    }
    let (labels, rest) = match rest.trim_start().strip_prefix('{') {
        Some(rest) => parse_labels(rest)?,
        None => (Vec::new(), rest),
    };
    let mut words = rest.split_ascii_whitespace();
    let value = words.next().ok_or("it has no value")?;
    let value = value.parse().map_err(|_| "its value is not a number")?;
    if words.next().is_some_and(|stamp| stamp.parse::<i64>().is_err()) || words.next().is_some() {
        return Err("something follows its value");
    }
    Ok(Line::Sample(Sample { name, labels, value }))
}

/// Labels after the `{`, and what follows the `}`.
fn parse_labels(mut rest: &str) -> Result<(Labels<'_>, &str), &'static str> {
    let mut labels = Vec::new();
    loop {
        rest = rest.trim_start_matches([' ', '\t', ',']);
        if let Some(after) = rest.strip_prefix('}') {
            return Ok((labels, after));
        }
        let (name, after) = rest.split_once('=').ok_or("a label has no value")?;
        let value = after.trim_start().strip_prefix('"').ok_or("a label's value is not in quotes")?;
        let end = closing_quote(value).ok_or("a label's value does not end")?;
        labels.push((name.trim(), unescape(&value[..end], true)));
        rest = &value[end + 1..];
    }
}

fn closing_quote(value: &str) -> Option<usize> {
    let mut escaped = false;
    value.bytes().position(|b| {
        let ends = b == b'"' && !escaped;
        escaped = b == b'\\' && !escaped;
        ends
    })
}

fn unescape(text: &str, quotes: bool) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some('n') => out.push('\n'),
                Some('"') if quotes => out.push('"'),
                Some('\\') | None => out.push('\\'),
                // Prometheus keeps an escape that is none.
                Some(other) => out.extend(['\\', other]),
            },
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(line: &str) -> Result<Line<'_>, &'static str> {
        parse_line(line)
    }

    #[test]
    fn lines_of_the_format_are_read_whole() {
        let text = "# HELP a_total Says \\\\ and\\n more.\n# TYPE a_total counter\n\n# a comment\n\
                    a_total{x=\"1\",y=\"a\\\"b\\\\c\\nd\"} 3 1700000000000\na_total 4e1\n";
        let lines: Vec<Line<'_>> = parse(text).map(|line| line.unwrap().1).collect();
        assert_eq!(
            lines,
            [
                Line::Help("a_total", "Says \\ and\n more.".to_owned()),
                Line::Type("a_total", "counter"),
                Line::Nothing,
                Line::Nothing,
                Line::Sample(Sample {
                    name: "a_total",
                    labels: vec![("x", "1".to_owned()), ("y", "a\"b\\c\nd".to_owned())],
                    value: 3.0
                }),
                Line::Sample(Sample { name: "a_total", labels: vec![], value: 40.0 }),
            ]
        );
    }

    #[test]
    fn special_values_and_spaces_are_read() {
        let Ok(Line::Sample(inf)) = sample("a { x = \"1\" , } +Inf") else { panic!("a sample") };
        assert_eq!((inf.label("x"), inf.label("absent"), inf.value), ("1", "", f64::INFINITY));
        let Ok(Line::Sample(nan)) = sample("a NaN") else { panic!("a sample") };
        assert!(nan.value.is_nan());
    }

    #[test]
    fn lines_that_are_not_of_the_format_are_errors() {
        for line in [
            "{x=\"1\"} 1",
            "1a 1",
            "a",
            "a{x=\"1\" 1",
            "a{x=1} 1",
            "a{x} 1",
            "a one",
            "a 1 2 3",
            "a 1 x",
            "a{x=\"1\\\"} 1",
        ] {
            assert!(sample(line).is_err(), "{line}");
        }
        assert_eq!(
            parse("a 1\nb\n").find_map(Result::err).map(|e| e.to_string()),
            Some("failed to read line 2 of the exposition: it has no value".to_owned())
        );
    }

    #[test]
    fn a_histogram_s_samples_are_of_its_family() {
        let is_family = |name: &str| name == "d_seconds";
        for name in ["d_seconds_bucket", "d_seconds_sum", "d_seconds_count", "d_seconds"] {
            assert_eq!(family(name, is_family), "d_seconds");
        }
        assert_eq!(family("other_count", is_family), "other_count");
    }
}
