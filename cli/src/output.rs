//! Answers on standard output, in the form that was asked for; problems on standard error.
//!
//! An answer is one value: its JSON and YAML are the value, its table is drawn from it. Nothing is printed until all of it
//! is known, so a reader never sees half a table.

pub(crate) mod table;
pub(crate) mod text;
pub(crate) mod units;

use std::io::{self, IsTerminal as _, Write as _};

use serde::Serialize;

use crate::args::Format;
use crate::exit::{Outcome, Problem};
use table::Tone;
use text::{escape, is_unsafe};

/// An answer that can be drawn as a table.
pub(crate) trait View: Serialize {
    /// The tables, with colours; `wide` asks for more columns.
    fn draw(&self, wide: bool) -> String;
}

/// Why an answer could not be printed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OutputError {
    /// The answer could not be written as JSON.
    #[error("failed to write json")]
    Json(#[from] serde_json::Error),
    /// The answer could not be written as YAML.
    #[error("failed to write yaml")]
    Yaml(#[from] serde_saphyr::ser::Error),
    /// Standard output is gone, or full.
    #[error("failed to write to standard output")]
    Write(#[from] io::Error),
}

// === impl OutputError ===

impl OutputError {
    /// Whether the reader went away, as `head` does: no error to anybody.
    pub(crate) fn is_broken_pipe(&self) -> bool {
        matches!(self, Self::Write(error) if error.kind() == io::ErrorKind::BrokenPipe)
    }
}

/// The answer as text. `line` puts JSON on one line, which is what a reader of `--watch` wants.
pub(crate) fn format(view: &impl View, format: Format, line: bool) -> Result<String, OutputError> {
    Ok(match format {
        Format::Table => view.draw(false),
        Format::Wide => view.draw(true),
        Format::Json if line => harmless_json(&serde_json::to_string(view)?) + "\n",
        Format::Json => json(view)?,
        Format::Yaml => yaml(view)?,
    })
}

/// JSON of a value over several lines, ended by a line break.
pub(crate) fn json(value: &impl Serialize) -> Result<String, OutputError> {
    Ok(harmless_json(&serde_json::to_string_pretty(value)?) + "\n")
}

/// YAML of a value, ended by a line break.
pub(crate) fn yaml(value: &impl Serialize) -> Result<String, OutputError> {
    let mut text = serde_saphyr::to_string(value)?;
    if !text.ends_with('\n') {
        text.push('\n');
    }
    if text.chars().any(|c| c != '\n' && is_unsafe(c)) {
        // Only quoted text can have escapes, and JSON, which is YAML too, quotes all of it.
        let json = serde_json::to_string_pretty(value)?;
        text = harmless(&json, |c| format!("\\U{:08x}", u32::from(c))) + "\n";
    }
    Ok(text)
}

/// JSON with the characters that a terminal would obey written as `\u....`: the same JSON, harmless to look at.
fn harmless_json(json: &str) -> String {
    harmless(json, |c| {
        let units: Vec<String> = c.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}")).collect();
        units.concat()
    })
}

fn harmless(json: &str, escaped: impl Fn(char) -> String) -> String {
    let mut out = String::with_capacity(json.len());
    for c in json.chars() {
        // ASCII control characters outside strings are the line breaks of the layout; inside they are escaped already.
        if c == '\n' || !is_unsafe(c) {
            out.push(c);
        } else {
            out.push_str(&escaped(c));
        }
    }
    out
}

/// Writes an answer. With `redraw` a terminal's screen is cleared first.
pub(crate) fn print(text: &str, redraw: bool) -> Result<(), OutputError> {
    let mut out = anstream::stdout().lock();
    if redraw && io::stdout().is_terminal() {
        // Home, and clear to the end; the scroll-back stays.
        out.write_all(b"\x1b[H\x1b[J")?;
    }
    out.write_all(text.as_bytes())?;
    Ok(out.flush()?)
}

/// Whether standard output is a terminal, where raw bytes from elsewhere could do harm.
pub(crate) fn to_terminal() -> bool {
    io::stdout().is_terminal()
}

/// Names problems on standard error, each with its remedy. When standard error is gone there is nobody to tell.
pub(crate) fn complain(problems: &[Problem], outcome: Outcome) {
    let mut err = anstream::stderr().lock();
    for Problem { problem, remedy } in problems {
        let label = if outcome == Outcome::Error { Tone::Bad.paint("error:") } else { Tone::Warn.paint("warning:") };
        drop(writeln!(err, "{label} {}\n  {} {}", escape(problem), Tone::Dim.paint("do:"), escape(remedy)));
    }
}

/// Names the error that ended the program on standard error, with its causes and its remedy.
pub(crate) fn fail(error: &anyhow::Error, remedy: Option<&str>) {
    let mut err = anstream::stderr().lock();
    let mut text = String::new();
    for cause in error.chain().map(ToString::to_string) {
        // Some libraries put their cause into their own message.
        if !text.contains(&cause) {
            text.extend([if text.is_empty() { "" } else { ": " }, &cause]);
        }
    }
    drop(writeln!(err, "{} {}", Tone::Bad.paint("error:"), escape(&text)));
    if let Some(remedy) = remedy {
        drop(writeln!(err, "  {} {}", Tone::Dim.paint("do:"), escape(remedy)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_harmless_on_a_terminal_and_still_the_same_json() {
        let hostile = "\u{1b}[31m \u{9b}2J \u{202e} \u{e0041} \u{7f} ü";
        let json = harmless_json(&serde_json::to_string(&hostile).unwrap());
        assert_eq!(json, "\"\\u001b[31m \\u009b2J \\u202e \\udb40\\udc41 \\u007f ü\"");
        assert_eq!(serde_json::from_str::<String>(&json).unwrap(), hostile);
    }

    #[test]
    fn yaml_is_harmless_on_a_terminal_and_still_the_same_text() {
        let hostile = "\u{1b}[31m \u{9b}2J \u{202e} \u{e0041} \u{7f} ü";
        let text = yaml(&[hostile]).unwrap();
        assert!(text.chars().all(|c| c == '\n' || !is_unsafe(c)), "{text:?}");
        assert_eq!(serde_saphyr::from_str::<Vec<String>>(&text).unwrap(), [hostile]);
    }
}
