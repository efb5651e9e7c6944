//! Names that come from processes, made fit to be label values.

/// Most bytes of a label value that comes from outside: as many as a rule's name may have.
pub const MAX: usize = 63;

/// A bounded, printable, non-empty value for any bytes: letters and digits of any script, ASCII punctuation but quotes and
/// backslash; every other character, and every byte that is not UTF-8, becomes `_`. What is longer than [`MAX`] bytes loses its end.
///
/// Different bytes may give the same value: hostile names then share a series, which is what a bound is for.
pub fn printable(bytes: &[u8]) -> String {
    let mut value = String::with_capacity(bytes.len().min(MAX));
    for chunk in bytes.utf8_chunks() {
        let valid = chunk.valid().chars().map(|c| if is_fit(c) { c } else { '_' });
        let invalid = chunk.invalid().iter().map(|_| '_');
        for c in valid.chain(invalid) {
            if value.len() + c.len_utf8() > MAX {
                return value;
            }
            value.push(c);
        }
    }
    if value.is_empty() { "unknown".to_owned() } else { value }
}

fn is_fit(c: char) -> bool {
    if c.is_ascii() { c.is_ascii_graphic() && !matches!(c, '"' | '\'' | '`' | '\\') } else { c.is_alphanumeric() }
}

/// The part of a path after its last `/`; of one that ends in `/`, nothing.
pub fn base_name(path: &[u8]) -> &[u8] {
    path.rsplit(|b| *b == b'/').next().unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn hostile_names_become_harmless() {
        let cases: [(&[u8], &str); 7] = [
            (b"git", "git"),
            (b"", "unknown"),
            (b"a\"b\\c\nd\0e f", "a_b_c_d_e_f"),
            (b"\xff\xfe", "__"),
            ("größe".as_bytes(), "größe"),
            ("a\u{202e}b\u{200b}".as_bytes(), "a_b_"),
            (b"#!x", "#!x"),
        ];
        for (bytes, expected) in cases {
            assert_eq!(printable(bytes), expected);
        }
        assert_eq!(printable(&[b'x'; 255]), "x".repeat(63));
        assert_eq!(printable("ü".repeat(40).as_bytes()), "ü".repeat(31));
    }

    #[test]
    fn base_names_follow_the_last_slash() {
        assert_eq!(
            [base_name(b"/usr/bin/git"), base_name(b"git"), base_name(b"/x/"), base_name(b"")],
            [&b"git"[..], b"git", b"", b""]
        );
    }

    proptest! {
        #[test]
        fn any_bytes_give_a_bounded_printable_value(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let value = printable(&bytes);
            prop_assert!((1..=MAX).contains(&value.len()));
            prop_assert!(value.chars().all(|c| !c.is_control() && c != '"' && c != '\\' && !c.is_whitespace()));
        }
    }
}
