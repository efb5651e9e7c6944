//! Reads Prometheus' text format 0.0.4, strictly: what does not parse fails the test.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, bail, ensure};

/// Labels of a series.
pub type Labels = BTreeMap<String, String>;

/// One line of an exposition, or one element of Prometheus' answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// Name of the metric, with the suffix of a histogram's part.
    pub name: String,
    /// Labels.
    pub labels: Labels,
    /// Value.
    pub value: f64,
}

/// Parses an exposition.
pub fn parse(text: &str) -> Result<Vec<Sample>> {
    text.lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(|line| parse_line(line).with_context(|| format!("failed to parse line {line:?}")))
        .collect()
}

/// The sum of all series of `name` whose labels include `labels`; 0 if there is none.
pub fn sum(samples: &[Sample], name: &str, labels: &[(&str, &str)]) -> f64 {
    // The sum of nothing is -0.0 in Rust, which reads as "-0".
    matching(samples, name, labels).map(|sample| sample.value).fold(0.0, |sum, value| sum + value)
}

/// The series of `name` whose labels include `labels`.
pub fn matching<'a>(
    samples: &'a [Sample],
    name: &'a str,
    labels: &'a [(&'a str, &'a str)],
) -> impl Iterator<Item = &'a Sample> {
    samples.iter().filter(move |sample| {
        sample.name == name && labels.iter().all(|(key, value)| sample.labels.get(*key).is_some_and(|v| v == value))
    })
}

/// Sums by the values of the labels `by`, for comparison with a truth.
pub fn sum_by(samples: &[Sample], name: &str, by: &[&str]) -> BTreeMap<Vec<String>, f64> {
    let mut sums = BTreeMap::new();
    for sample in matching(samples, name, &[]) {
        let key = by.iter().map(|label| sample.labels.get(*label).cloned().unwrap_or_default()).collect();
        *sums.entry(key).or_insert(0.0) += sample.value;
    }
    sums
}

fn parse_line(line: &str) -> Result<Sample> {
    let name_end = line.find(['{', ' ']).context("no value")?;
    let (name, rest) = line.split_at(name_end);
    ensure!(!name.is_empty(), "no name");
    let (labels, rest) = match rest.strip_prefix('{') {
        Some(rest) => parse_labels(rest)?,
        None => (Labels::new(), rest),
    };
    let value = rest.trim_start().split(' ').next().context("no value")?;
    let value = match value {
        "+Inf" => f64::INFINITY,
        "-Inf" => f64::NEG_INFINITY,
        other => other.parse().with_context(|| format!("{other:?} is not a number"))?,
    };
    Ok(Sample { name: name.to_owned(), labels, value })
}

/// The labels up to `}`, and what follows it.
fn parse_labels(mut rest: &str) -> Result<(Labels, &str)> {
    let mut labels = Labels::new();
    loop {
        rest = rest.trim_start_matches(',');
        if let Some(after) = rest.strip_prefix('}') {
            return Ok((labels, after));
        }
        let (key, after) = rest.split_once("=\"").context("a label has no value")?;
        let mut value = String::new();
        let mut characters = after.char_indices();
        let end = loop {
            match characters.next().context("a label's value does not end")? {
                (at, '"') => break at + 1,
                (_, '\\') => match characters.next().context("a label's value does not end")?.1 {
                    'n' => value.push('\n'),
                    c @ ('\\' | '"') => value.push(c),
                    c => bail!("unknown escape \\{c}"),
                },
                (_, c) => value.push(c),
            }
        };
        ensure!(labels.insert(key.to_owned(), value).is_none(), "label {key} is there twice");
        rest = &after[end..];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_labels_escapes_and_values_are_read() {
        let text =
            "# HELP a b\n# TYPE a counter\na{x=\"1\",y=\"q\\\"\\\\\\n,}\"} 3\nb 2.5\nc_bucket{le=\"+Inf\"} +Inf 12\n";
        let labels = |pairs: &[(&str, &str)]| pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        assert_eq!(
            parse(text).unwrap(),
            [
                Sample { name: "a".into(), labels: labels(&[("x", "1"), ("y", "q\"\\\n,}")]), value: 3.0 },
                Sample { name: "b".into(), labels: labels(&[]), value: 2.5 },
                Sample { name: "c_bucket".into(), labels: labels(&[("le", "+Inf")]), value: f64::INFINITY },
            ]
        );
    }

    #[test]
    fn lines_that_are_not_text_format_are_refused() {
        for line in ["a", "{x=\"1\"} 1", "a{x=\"1} 1", "a{x=1} 1", "a x", "a{x=\"\\q\"} 1", "a{x=\"1\",x=\"2\"} 1"] {
            assert!(parse(line).is_err(), "{line}");
        }
    }

    #[test]
    fn sums_go_by_the_named_labels() {
        let samples = parse("t{k=\"a\",p=\"1\"} 1\nt{k=\"a\",p=\"2\"} 2\nt{k=\"b\",p=\"1\"} 4\nu 8\n").unwrap();
        assert_eq!(
            sum_by(&samples, "t", &["k"]),
            BTreeMap::from([(vec!["a".to_owned()], 3.0), (vec!["b".to_owned()], 4.0)])
        );
        assert!((sum(&samples, "t", &[("p", "1")]) - 5.0).abs() < f64::EPSILON);
    }
}
