//! `--match`: which series are meant, by a glob or a regular expression on the name, or by a selector as in `PromQL`.

use std::fmt;
use std::str::FromStr;

use regex::{Regex, RegexBuilder};

/// Most bytes that a compiled expression may take.
const REGEX_MAX: usize = 1 << 20;

/// What `--match` says.
#[derive(Clone, Debug)]
pub(crate) struct Pattern {
    text: String,
    name: Option<Regex>,
    labels: Vec<Matcher>,
}

#[derive(Clone, Debug)]
struct Matcher {
    label: String,
    regex: Regex,
    negated: bool,
}

/// Why a pattern is none.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PatternError {
    /// Nothing, which would match nothing.
    #[error(
        "must not be empty: write a name such as fleetscope_tasks_total, `*` for any characters, or {{fleet=\"coders\"}}"
    )]
    Empty,
    /// The expression between the slashes, or of a `=~`.
    #[error("failed to read the regular expression")]
    Regex(#[from] regex::Error),
    /// The selector's braces.
    #[error("failed to read the selector: write name{{label=\"value\",other=~\"re.*\"}} with =, !=, =~ or !~")]
    Selector,
}

// === impl Pattern ===

impl Pattern {
    /// Whether a series is meant, by any of its names: that of its family, and with `_bucket`, `_sum` or `_count`.
    pub(crate) fn matches<'a>(&self, names: &[&str], label: impl Fn(&str) -> &'a str) -> bool {
        self.name.as_ref().is_none_or(|regex| names.iter().any(|name| regex.is_match(name)))
            && self.labels.iter().all(|m| m.regex.is_match(label(&m.label)) != m.negated)
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for Pattern {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<Self, PatternError> {
        let trimmed = text.trim();
        let (name, labels) = match trimmed.split_once('{') {
            _ if trimmed.is_empty() => return Err(PatternError::Empty),
            // A regular expression may contain braces.
            _ if is_regex(trimmed) => (trimmed, Vec::new()),
            Some((name, labels)) => {
                // The closing brace may be missing: what is typed is often the beginning of a series.
                (name.trim(), matchers(labels.trim_end().strip_suffix('}').unwrap_or(labels))?)
            }
            None => (trimmed, Vec::new()),
        };
        let name = match name {
            "" => None,
            name if is_regex(name) => Some(anchored(&name[1..name.len() - 1])?),
            glob => Some(anchored(&glob.split('*').map(regex::escape).collect::<Vec<_>>().join(".*"))?),
        };
        Ok(Self { text: trimmed.to_owned(), name, labels })
    }
}

fn is_regex(text: &str) -> bool {
    text.len() >= 2 && text.starts_with('/') && text.ends_with('/')
}

/// Matches whole values, as `PromQL` does.
fn anchored(pattern: &str) -> Result<Regex, regex::Error> {
    RegexBuilder::new(&format!("^(?:{pattern})$")).size_limit(REGEX_MAX).dot_matches_new_line(true).build()
}

fn matchers(mut rest: &str) -> Result<Vec<Matcher>, PatternError> {
    let mut all = Vec::new();
    loop {
        rest = rest.trim_start_matches([' ', ',']);
        if rest.is_empty() {
            return Ok(all);
        }
        let end = rest.find(['=', '!']).ok_or(PatternError::Selector)?;
        let (label, after) = rest.split_at(end);
        let (negated, is_regex, after) = match after.as_bytes() {
            [b'=', b'~', ..] => (false, true, &after[2..]),
            [b'!', b'~', ..] => (true, true, &after[2..]),
            [b'!', b'=', ..] => (true, false, &after[2..]),
            [b'=', ..] => (false, false, &after[1..]),
            _ => return Err(PatternError::Selector),
        };
        let value = after.trim_start().strip_prefix('"').ok_or(PatternError::Selector)?;
        let end = value.find('"').ok_or(PatternError::Selector)?;
        let pattern = if is_regex { value[..end].to_owned() } else { regex::escape(&value[..end]) };
        all.push(Matcher { label: label.trim().to_owned(), regex: anchored(&pattern)?, negated });
        rest = &value[end + 1..];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAME: &str = "fleetscope_tasks_total";

    fn matches(pattern: &str) -> bool {
        let label = |name: &str| match name {
            "fleet" => "coders",
            "result" => "failed",
            _ => "",
        };
        pattern.parse::<Pattern>().unwrap().matches(&[NAME], label)
    }

    #[test]
    fn globs_and_names_match_whole_names() {
        for (pattern, wanted) in [
            (NAME, true),
            ("fleetscope_tasks", false),
            ("fleetscope_task*", true),
            ("*tasks*", true),
            ("*", true),
            ("fleetscope.tasks.total", false),
        ] {
            assert_eq!(matches(pattern), wanted, "{pattern}");
        }
    }

    #[test]
    fn regular_expressions_stand_between_slashes_and_match_whole_names() {
        assert!(matches("/fleetscope_(tasks|agents)_total/"));
        assert!(matches("/[a-z_]{22}/"));
        assert!(!matches("/tasks/"));
    }

    #[test]
    fn selectors_compare_labels_as_promql_does() {
        for (pattern, wanted) in [
            ("fleetscope_tasks_total{fleet=\"coders\"}", true),
            ("fleetscope_tasks_total{fleet=\"coders\",result=~\"fail.*\"}", true),
            ("{fleet!=\"coders\"}", false),
            ("{result!~\"succ.*\", fleet=\"coders\",}", true),
            ("{absent=\"\"}", true),
            ("fleetscope_tasks_total{fleet=\"coders\"", true),
            ("fleetscope_task*{fleet=\"c.ders\"}", false),
        ] {
            assert_eq!(matches(pattern), wanted, "{pattern}");
        }
    }

    #[test]
    fn a_histogram_is_meant_by_its_family_and_by_its_parts() {
        for pattern in ["d_seconds", "d_seconds_bucket"] {
            assert!(
                pattern.parse::<Pattern>().unwrap().matches(&["d_seconds", "d_seconds_bucket"], |_| ""),
                "{pattern}"
            );
        }
    }

    #[test]
    fn patterns_that_are_none_are_refused() {
        for wrong in
            ["", "  ", "/(/", "a{b}", "a{b=c}", "a{b=\"c}", "a{b!\"c\"}", "a{b=~\"(\"}", "/(a{1000}){1000}{1000}/"]
        {
            assert!(wrong.parse::<Pattern>().is_err(), "{wrong}");
        }
    }
}
