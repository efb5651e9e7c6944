//! Text of `PromQL`: strings, patterns and numbers as they stand in an expression.

/// A text in double quotes.
pub(crate) fn quote(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        match c {
            '\\' => quoted.push_str("\\\\"),
            '"' => quoted.push_str("\\\""),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            _ => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

/// A pattern of RE2 that matches one of these texts and nothing else. Prometheus anchors patterns at both ends.
pub(crate) fn one_of<'a>(texts: impl IntoIterator<Item = &'a str>) -> String {
    let mut pattern = String::new();
    for (i, text) in texts.into_iter().enumerate() {
        if i > 0 {
            pattern.push('|');
        }
        for c in text.chars() {
            if r"\.+*?()|[]{}^$".contains(c) {
                pattern.push('\\');
            }
            pattern.push(c);
        }
    }
    pattern
}

/// A number of digits and at most one point, without leading zeros: Prometheus reads `010` as eight.
pub(crate) fn number(decimal: &str) -> String {
    let (whole, fraction) = decimal.split_once('.').unwrap_or((decimal, ""));
    let whole = whole.trim_start_matches('0');
    let fraction = fraction.trim_end_matches('0');
    let whole = if whole.is_empty() { "0" } else { whole };
    if fraction.is_empty() { whole.to_owned() } else { format!("{whole}.{fraction}") }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn numbers_lose_their_useless_zeros() {
        for (decimal, expected) in [
            ("010", "10"),
            ("0", "0"),
            ("000.500", "0.5"),
            ("12.000", "12"),
            ("99.9", "99.9"),
            ("0.00000001", "0.00000001"),
        ] {
            assert_eq!(number(decimal), expected);
        }
    }

    #[test]
    fn a_pattern_of_names_has_its_dots_escaped() {
        assert_eq!(one_of(["a.b", "c-d"]), r"a\.b|c-d");
        assert_eq!(quote(&one_of(["a.b"])), r#""a\\.b""#);
    }

    proptest! {
        #[test]
        fn a_decimal_keeps_its_value(text in "[0-9]{1,15}([.][0-9]{1,8})?") {
            prop_assert_eq!(number(&text).parse::<f64>().unwrap().to_bits(), text.parse::<f64>().unwrap().to_bits());
        }

        #[test]
        fn a_pattern_matches_its_texts_and_no_others(texts in prop::collection::vec("\\PC{1,12}", 1..5), other in "\\PC{1,12}") {
            let pattern = regex::Regex::new(&format!("^(?s:{})$", one_of(texts.iter().map(String::as_str)))).unwrap();
            for text in &texts {
                prop_assert!(pattern.is_match(text), "{pattern} {text}");
            }
            prop_assert_eq!(pattern.is_match(&other), texts.contains(&other));
        }

        #[test]
        fn a_quoted_text_is_read_back(text in "\\PC{0,40}|[\\n\\t\\r\"\\\\a]{0,9}") {
            let parsed = promql_parser::parser::parse(&format!("x{{a={}}}", quote(&text))).unwrap();
            let promql_parser::parser::Expr::VectorSelector(selector) = parsed else { panic!("{parsed:?}") };
            prop_assert_eq!(&selector.matchers.matchers[0].value, &text);
        }
    }
}
