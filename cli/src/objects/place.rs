//! Where an object stands: file and line, as editors and terminals follow them.

use std::fmt;
use std::sync::Arc;

use super::lines::Lines;
use crate::output::text::escape;

/// Where an object stands.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    file: String,
    lines: Arc<Lines>,
    /// Path of the object in its document; empty for the document itself.
    within: String,
}

// === impl Place ===

impl Place {
    /// A document of a file.
    pub(super) fn new(file: &str, lines: Lines) -> Self {
        Self { file: file.to_owned(), lines: Arc::new(lines), within: String::new() }
    }

    /// An item of a List.
    pub(super) fn item(&self, index: usize) -> Self {
        Self { within: format!("items[{index}]"), ..self.clone() }
    }

    /// `file:line` of a field.
    pub(crate) fn at(&self, path: &str) -> String {
        let path = if self.within.is_empty() { path.to_owned() } else { format!("{}.{path}", self.within) };
        match self.lines.line(&path) {
            Some(line) => format!("{}:{line}", escape(&self.file)),
            None => escape(&self.file),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.at(""))
    }
}
