//! Patterns of names (of methods, of models), where `*` stands for any run of characters.

/// A pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Glob(Box<[u8]>);

// === impl Glob ===

impl Glob {
    pub(crate) fn new(pattern: &str) -> Self {
        Self(pattern.as_bytes().into())
    }

    /// Whether all of `text` matches. Takes at most length of pattern times length of text steps: only the last `*` is ever tried again.
    pub(crate) fn matches(&self, text: &str) -> bool {
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

    /// Whether there is a text that both match. Takes length times length of the two steps.
    pub(crate) fn meets(&self, other: &Self) -> bool {
        let (one, other) = (&*self.0, &*other.0);
        // For the rest of `one` from where we are, and of `other` from each place: whether they meet. The last row is that of no rest.
        let mut meet: Vec<bool> = vec![true; other.len() + 1];
        for (j, byte) in other.iter().enumerate().rev() {
            meet[j] = meet[j + 1] && *byte == b'*';
        }
        for own in one.iter().rev() {
            let below = meet.clone();
            meet[other.len()] = below[other.len()] && *own == b'*';
            for (j, byte) in other.iter().enumerate().rev() {
                meet[j] = match (*own, *byte) {
                    // A star takes nothing, or what the other has next.
                    (b'*', _) | (_, b'*') => below[j] || meet[j + 1],
                    (own, byte) => own == byte && below[j + 1],
                };
            }
        }
        meet[0]
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

    #[test]
    fn patterns_meet_where_a_text_matches_both() {
        for (one, other, wanted) in [
            ("a", "a", true),
            ("a", "b", false),
            ("gpt-*-mini", "gpt-4*", true),
            ("gpt-*", "claude-*", false),
            ("*a", "b*", true),
            ("a*", "*", true),
            ("", "*", true),
            ("", "a", false),
        ] {
            assert_eq!(Glob::new(one).meets(&Glob::new(other)), wanted, "{one} {other}");
        }
    }

    /// The same by its definition, for the few texts that short patterns can tell apart.
    fn meets_naive(one: &[u8], other: &[u8]) -> bool {
        match (one.split_first(), other.split_first()) {
            (None, _) => other.iter().all(|byte| *byte == b'*'),
            (_, None) => one.iter().all(|byte| *byte == b'*'),
            (Some((b'*', rest)), _) => (0..=other.len()).any(|taken| meets_naive(rest, &other[taken..])),
            (_, Some((b'*', rest))) => (0..=one.len()).any(|taken| meets_naive(&one[taken..], rest)),
            (Some((a, rest)), Some((b, others))) => a == b && meets_naive(rest, others),
        }
    }

    proptest! {
        #[test]
        fn meeting_is_what_the_definition_says(one in "[ab*]{0,6}", other in "[ab*]{0,6}") {
            prop_assert_eq!(Glob::new(&one).meets(&Glob::new(&other)), meets_naive(one.as_bytes(), other.as_bytes()));
        }

        #[test]
        fn patterns_that_match_one_text_meet(one in "[ab*]{0,6}", other in "[ab*]{0,6}", text in "[ab]{0,6}") {
            let (one, other) = (Glob::new(&one), Glob::new(&other));
            if one.matches(&text) && other.matches(&text) {
                proptest::prop_assert!(one.meets(&other) && other.meets(&one));
            }
        }

        #[test]
        fn matching_is_what_the_definition_says(pattern in "[ab*]{0,8}", text in "[ab]{0,10}") {
            prop_assert_eq!(Glob::new(&pattern).matches(&text), naive(pattern.as_bytes(), text.as_bytes()));
        }
    }
}
