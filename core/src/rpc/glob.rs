//! Patterns of method names, where `*` stands for any run of characters.

/// A pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Glob(Box<[u8]>);

// === impl Glob ===

impl Glob {
    pub(super) fn new(pattern: &str) -> Self {
        Self(pattern.as_bytes().into())
    }

    /// Whether all of `text` matches. Takes at most length of pattern times length of text steps: only the last `*` is ever tried again.
    pub(super) fn matches(&self, text: &str) -> bool {
        let (pattern, text) = (&*self.0, text.as_bytes());
        let (mut at, mut from) = (0, 0);
        let mut star = None;
        while from < text.len() {
            match pattern.get(at) {
                Some(b'*') => {
                    at += 1;
                    star = Some((at, from));
                }
                Some(byte) if *byte == text[from] => (at, from) = (at + 1, from + 1),
                _ => {
                    let Some((after, taken)) = star else { return false };
                    star = Some((after, taken + 1));
                    (at, from) = (after, taken + 1);
                }
            }
        }
        pattern[at..].iter().all(|byte| *byte == b'*')
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{prop_assert_eq, proptest};

    use super::*;

    #[test]
    fn a_star_stands_for_any_run_of_characters() {
        for (pattern, text, wanted) in [
            ("a.B/C", "a.B/C", true),
            ("a.B/C", "a.B/Cd", false),
            ("a.B/C", "a.B/", false),
            ("a.*", "a.B/C", true),
            ("*/Get*", "a.B/GetAll", true),
            ("*/Get*", "a.B/ListGet", false),
            ("*ab*ab", "ababab", true),
            ("*ab*ab", "ab", false),
            ("*", "x", true),
            ("**", "", true),
            ("", "", true),
            ("", "a", false),
        ] {
            assert_eq!(Glob::new(pattern).matches(text), wanted, "{pattern} {text}");
        }
    }

    /// The same by its definition.
    fn naive(pattern: &[u8], text: &[u8]) -> bool {
        match pattern.split_first() {
            None => text.is_empty(),
            Some((b'*', rest)) => (0..=text.len()).any(|taken| naive(rest, &text[taken..])),
            Some((byte, rest)) => text.first() == Some(byte) && naive(rest, &text[1..]),
        }
    }

    proptest! {
        #[test]
        fn matching_is_what_the_definition_says(pattern in "[ab*]{0,8}", text in "[ab]{0,10}") {
            prop_assert_eq!(Glob::new(&pattern).matches(&text), naive(pattern.as_bytes(), text.as_bytes()));
        }
    }
}
