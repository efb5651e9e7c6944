//! In which line of its file each field of a document stands.
//!
//! In: the text of a YAML (or JSON) file. Out, per document, a tree of lines that is asked by paths such as
//! `spec.tasks.rules[0].name`, as `core::api::admission` gives them.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_saphyr::Spanned;

/// A node and what is below it.
#[derive(Debug, Default)]
pub(super) struct Lines(Option<Spanned<Node>>);

/// What of a document matters here: its shape.
#[derive(Debug)]
enum Node {
    Scalar,
    List(Vec<Spanned<Node>>),
    Map(BTreeMap<String, Spanned<Node>>),
}

// === impl Lines ===

impl Lines {
    /// Of each document of a file that can be read; a file that cannot has none.
    pub(super) fn of(bytes: &[u8]) -> Vec<Self> {
        let mut reader = bytes;
        serde_saphyr::read::<_, Spanned<Node>>(&mut reader).map(|document| Self(document.ok())).collect()
    }

    /// The line of a path; of a field that is not there, that of the nearest one around it. From 1.
    pub(super) fn line(&self, path: &str) -> Option<u64> {
        let mut node = self.0.as_ref()?;
        for part in parts(path) {
            let inner = match (&node.value, part) {
                (Node::Map(fields), Part::Field(name)) => fields.get(name),
                (Node::List(items), Part::Index(index)) => items.get(index),
                _ => None,
            };
            match inner {
                Some(inner) => node = inner,
                None => break,
            }
        }
        Some(node.referenced.line())
    }
}

/// One step of a path.
enum Part<'a> {
    Field(&'a str),
    Index(usize),
}

fn parts(path: &str) -> impl Iterator<Item = Part<'_>> {
    path.split(['.', '[']).filter(|part| !part.is_empty()).map(|part| match part.strip_suffix(']') {
        Some(index) => Part::Index(index.parse().unwrap_or(usize::MAX)),
        None => Part::Field(part),
    })
}

// === impl Node ===

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Shape)
    }
}

struct Shape;

macro_rules! scalars {
    ($($visit:ident: $type:ty),*) => {
        $(fn $visit<E>(self, _: $type) -> Result<Node, E> { Ok(Node::Scalar) })*
    };
}

impl<'de> Visitor<'de> for Shape {
    type Value = Node;

    scalars!(visit_bool: bool, visit_i64: i64, visit_i128: i128, visit_u64: u64, visit_u128: u128, visit_f64: f64, visit_str: &str, visit_bytes: &[u8]);

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("YAML")
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::Scalar)
    }

    fn visit_none<E>(self) -> Result<Node, E> {
        Ok(Node::Scalar)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        Node::deserialize(deserializer)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Node, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = list.next_element()? {
            items.push(item);
        }
        Ok(Node::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node, A::Error> {
        let mut fields = BTreeMap::new();
        while let Some(Key(name)) = map.next_key()? {
            match name {
                Some(name) => drop(fields.insert(name, map.next_value()?)),
                None => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(Node::Map(fields))
    }
}

/// A key that is a text; others name no field.
struct Key(Option<String>);

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|name| Self(Some(name)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "\
# a comment
kind: AgentFleet
spec:
  tasks:
    rules:
      - name: a
        match: {executable: git,
          arguments: [merge]}
      - name: b
---
kind: List
items:
- kind: A
- kind: B
";

    #[test]
    fn each_field_has_its_line_and_one_that_is_missing_that_around_it() {
        let documents = Lines::of(FILE.as_bytes());
        let line = |path: &str| documents[0].line(path);
        assert_eq!(line("kind"), Some(2));
        assert_eq!(line("spec.tasks.rules[0].match.arguments[0]"), Some(8));
        assert_eq!(line("spec.tasks.rules[1].name"), Some(9));
        assert_eq!(line("spec.tasks.rules[1].match"), Some(9));
        assert_eq!(line("spec.tasks.rules[7]"), Some(6));
        assert_eq!(line("spec.selector"), Some(4));
        assert_eq!((documents[1].line("items[0].kind"), documents[1].line("items[1]")), (Some(13), Some(14)));
    }

    #[test]
    fn what_cannot_be_read_has_no_lines() {
        assert_eq!(Lines::of(b"a: [1").first().and_then(|lines| lines.line("a")), None);
        assert_eq!(Lines::default().line("a"), None);
    }
}
