//! Placeholders of expressions: `$` and lower-case letters.
//!
//! `$1` and `${1}` are none: they are groups of a regular expression, and stay.

/// Why an expression could not be filled in.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum PlaceholderError {
    /// It has a placeholder that there is no value for.
    #[error("failed to fill in the placeholder ${name}: there is no value for it")]
    Unknown {
        /// The placeholder, without `$`.
        name: String,
    },
}

/// `text` with every placeholder replaced by its value.
pub(super) fn fill<'a>(text: &str, value: impl Fn(&str) -> Option<&'a str>) -> Result<String, PlaceholderError> {
    let mut filled = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        let (before, from) = (&rest[..at], &rest[at + 1..]);
        let name = &from[..from.find(|c: char| !c.is_ascii_lowercase()).unwrap_or(from.len())];
        filled.push_str(before);
        if name.is_empty() {
            filled.push('$');
        } else {
            let unknown = || PlaceholderError::Unknown { name: name.to_owned() };
            filled.push_str(value(name).ok_or_else(unknown)?);
        }
        rest = &from[name.len()..];
    }
    filled.push_str(rest);
    Ok(filled)
}

/// Whether `text` has the placeholder.
pub(super) fn has(text: &str, name: &str) -> bool {
    // A value for every other one: what is left over is this one.
    fill(text, |other| (other != name).then_some("")).is_err()
}

#[cfg(test)]
mod tests {
    use super::{PlaceholderError, fill, has};

    fn value(name: &str) -> Option<&'static str> {
        [("fleets", r#"namespace="a""#), ("window", "5m")].into_iter().find(|(key, _)| *key == name).map(|(_, v)| v)
    }

    #[test]
    fn placeholders_give_way_to_their_values_and_groups_stay() {
        let filled = fill(r#"label_replace(x{$fleets,a="b"}[$window], "c", "$1-${2}$", "d", "(.*)")"#, value);
        assert_eq!(filled.unwrap(), r#"label_replace(x{namespace="a",a="b"}[5m], "c", "$1-${2}$", "d", "(.*)")"#);
    }

    #[test]
    fn a_value_is_not_filled_in_again() {
        assert_eq!(fill("$a$a", |_| Some("$a")).unwrap(), "$a$a");
    }

    #[test]
    fn a_placeholder_without_a_value_is_an_error() {
        let refused = fill("x{$fleets} > $treshold", value);
        assert_eq!(refused, Err(PlaceholderError::Unknown { name: "treshold".to_owned() }));
    }

    #[test]
    fn placeholders_are_found_by_their_whole_name() {
        assert!(has("x > $minimum", "minimum") && !has("x > $minimumlike", "minimum") && !has("x", "minimum"));
    }
}
