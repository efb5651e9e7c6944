//! Names: those of children, as long as Kubernetes allows everywhere, and still one for each fleet; and what may be a namespace's.

/// The longest name that is also a label value, in bytes.
pub const MAX: usize = 63;

/// Digits of the hash in a name that was cut.
const DIGITS: usize = 8;

/// `name` if it has at most [`MAX`] bytes, else its start, `-` and eight digits of its hash. Names of Kubernetes objects
/// are ASCII; of others the start is cut between characters.
pub fn hashed(name: &str) -> String {
    if name.len() <= MAX {
        return name.to_owned();
    }
    let start = &name[..name.floor_char_boundary(MAX - 1 - DIGITS)];
    // A label value and a DNS label end with a letter or digit, and no part between dots may end with a dash.
    let start = start.trim_end_matches(['-', '.', '_']);
    format!("{start}-{}", digest(name))
}

/// Eight digits that stand for `text`, in names that have no room for it.
pub fn digest(text: &str) -> String {
    digits(fnv1a(text.as_bytes()))
}

/// A name made of several: the parts, each after a dash, cut where they are too long, and always eight digits of the hash of all of them, so that
/// neither `a-b` and `c` nor `a` and `b-c` take a name from each other.
pub fn joined(parts: &[&str]) -> String {
    let start = parts.join("-");
    let start = start[..start.floor_char_boundary(MAX - 1 - DIGITS)].trim_end_matches(['-', '.', '_']);
    // No part has a slash.
    format!("{start}-{}", digits(fnv1a(parts.join("/").as_bytes())))
}

/// The name of a namespace, or why it cannot be one: a DNS label (RFC 1123 2.1), 1 to 63 lower-case letters, digits and dashes, no dash first or last.
pub fn namespace(text: &str) -> Result<String, String> {
    let inside = text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    if !inside || text.starts_with('-') || text.ends_with('-') || !(1..=MAX).contains(&text.len()) {
        return Err(format!(
            "{text:?} is no namespace: that is 1 to {MAX} lower-case letters, digits and dashes, with no dash at its ends"
        ));
    }
    Ok(text.to_owned())
}

/// FNV-1a of 64 bits: stable between versions and machines, which std's hasher is not.
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

/// Forty bits in base 32, so that among 20,000 names a collision has a chance of 1 to 5,000; of hexadecimal digits it would be 1 to 20.
fn digits(hash: u64) -> String {
    let folded = hash ^ (hash >> 40);
    let digit = |i: usize| {
        let value = u8::try_from(folded >> (5 * i) & 31).expect("five bits are left");
        char::from(if value < 10 { b'0' + value } else { b'a' + value - 10 })
    };
    (0..DIGITS).map(digit).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_namespace_is_a_dns_label() {
        for name in ["a", "team-a", "0", &"x".repeat(63)] {
            assert_eq!(namespace(name), Ok(name.to_owned()));
        }
        for wrong in ["", "-a", "a-", "A", "a.b", "a b", "é", &"x".repeat(64)] {
            assert!(namespace(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_short_name_stays() {
        assert_eq!(hashed("review-fleet"), "review-fleet");
        assert_eq!(hashed(&"a".repeat(63)), "a".repeat(63));
    }

    #[test]
    fn a_long_name_is_cut_and_hashed_the_same_way_forever() {
        assert_eq!(hashed(&"a".repeat(64)), format!("{}-tsebop79", "a".repeat(54)));
    }

    #[test]
    fn names_that_differ_at_the_end_only_stay_apart() {
        let names: HashSet<String> = (0..20_000).map(|i| hashed(&format!("{}{i}", "x".repeat(240)))).collect();
        assert_eq!(names.len(), 20_000);
    }

    #[test]
    fn parts_are_told_apart_wherever_the_dashes_are() {
        let names = [["a-b", "c"], ["a", "b-c"], ["a", "b"], ["a-b", ""]].map(|parts| joined(&parts));
        assert_eq!(names.iter().collect::<HashSet<_>>().len(), 4, "{names:?}");
        assert_eq!(joined(&["policy", "review"]), "policy-review-lu3omg5m");
        assert_eq!(joined(&[&"p".repeat(100), "review"]).len(), MAX);
    }

    /// Names of objects: 1 to 253 characters (Kubernetes, "Object Names and IDs", "DNS Subdomain Names").
    fn any_name() -> impl Strategy<Value = String> {
        let long = "[a-z0-9]([-a-z0-9]{0,251}[a-z0-9])?";
        // Many that differ by little: of few letters, and with one beginning.
        prop_oneof![Just(long), Just("[ab]{1,3}"), Just("a(-a){0,125}[ab]"), Just("x{250}[a-c]{0,3}")]
            .prop_flat_map(|regex| proptest::string::string_regex(regex).expect("a regex"))
    }

    proptest! {
        #[test]
        fn check_05_names_that_differ_give_names_that_differ(names in prop::collection::hash_set(any_name(), 2..40)) {
            prop_assert!(names.iter().all(|name| (1..=253).contains(&name.len())));
            let given: HashSet<String> = names.iter().map(|name| hashed(&format!("{name}-scrape"))).collect();
            prop_assert_eq!(given.len(), names.len());
        }

        #[test]
        fn check_05_a_name_of_any_length_gives_a_valid_name(name in "[a-z0-9]([-a-z0-9]{0,30}[a-z0-9])?([.][a-z0-9]([-a-z0-9]{0,30}[a-z0-9])?){0,6}") {
            let hashed = hashed(&format!("{}-scrape", &name[..name.len().min(253)].trim_end_matches(['-', '.'])));
            prop_assert!((1..=MAX).contains(&hashed.len()));
            for part in hashed.split('.') {
                prop_assert!(part.starts_with(|c: char| c.is_ascii_alphanumeric()), "{hashed}");
                prop_assert!(part.ends_with(|c: char| c.is_ascii_alphanumeric()), "{hashed}");
                prop_assert!(part.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-'), "{hashed}");
            }
        }

        #[test]
        fn any_text_is_cut_without_a_panic(text in "\\PC{0,253}") {
            prop_assert!(hashed(&text).len() <= MAX);
        }
    }
}
