//! A reader of the text formats that shares nothing with their writer.

use std::collections::BTreeMap;

/// Name and labels of a line.
pub(super) type Key = (String, BTreeMap<String, String>);

/// What a text says.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Exposition {
    pub(super) samples: BTreeMap<Key, f64>,
    /// By family.
    pub(super) types: BTreeMap<String, String>,
    pub(super) ended: bool,
}

/// Reads a text; panics where it is not well formed, a family is split, or a line is there twice.
pub(super) fn parse(text: &str) -> Exposition {
    let mut read = Exposition::default();
    let mut family = String::new();
    for line in text.split_terminator('\n') {
        assert!(!read.ended, "a line after the end: {line}");
        if line == "# EOF" {
            read.ended = true;
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap();
            assert_eq!(read.types.insert(name.to_owned(), kind.to_owned()), None, "a family is described twice");
            name.clone_into(&mut family);
        } else if !line.starts_with('#') {
            let (key, value) = sample(line);
            assert!(key.0.starts_with(&family), "{line} is outside of its family {family}");
            assert_eq!(read.samples.insert(key, value), None, "a series is there twice: {line}");
        }
    }
    assert!(text.is_empty() || text.ends_with('\n'));
    read
}

fn sample(line: &str) -> (Key, f64) {
    let end = line.find(['{', ' ']).unwrap();
    let name = line[..end].to_owned();
    let mut labels = BTreeMap::new();
    let mut rest = &line[end..];
    if let Some(inside) = rest.strip_prefix('{') {
        rest = inside;
        loop {
            let (label, after) = rest.split_once("=\"").unwrap();
            let mut value = String::new();
            let mut letters = after.char_indices();
            let close = loop {
                match letters.next().unwrap() {
                    (at, '"') => break at,
                    (_, '\\') => value.push(match letters.next().unwrap().1 {
                        'n' => '\n',
                        other @ ('\\' | '"') => other,
                        other => panic!("unknown escape {other:?}"),
                    }),
                    (_, letter) => value.push(letter),
                }
            };
            assert_eq!(labels.insert(label.to_owned(), value), None, "a label is there twice: {line}");
            rest = &after[close + 1..];
            if let Some(end) = rest.strip_prefix('}') {
                rest = end;
                break;
            }
            rest = rest.strip_prefix(',').unwrap();
        }
    }
    let number = rest.strip_prefix(' ').unwrap();
    let number = if number == "+Inf" { f64::INFINITY } else { number.parse().unwrap() };
    ((name, labels), number)
}
