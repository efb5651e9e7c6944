//! Text from elsewhere, made harmless for a terminal: names, labels and messages may hold any character.
//!
//! What could move the cursor, colour, hide or reorder text is shown as an escape. Nothing here is for JSON or YAML, which
//! keep every character.

use std::fmt::Write as _;

use unicode_width::UnicodeWidthChar as _;
use unicode_width::UnicodeWidthStr as _;

/// Whether a terminal may do something else with a character than show it: control characters, and format characters that
/// hide or reorder text (Unicode TR #36, bidirectional and zero-width ones, tags).
pub(crate) fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{180e}'
            | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{3164}' | '\u{feff}' | '\u{ffa0}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
}

/// The text with unsafe characters as `\n`, `\t`, `\x1b` or `\u{202e}`.
pub(crate) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if !is_unsafe(c) => out.push(c),
            // Writing to a String cannot fail.
            c if u32::from(c) < 0x100 => drop(write!(out, "\\x{:02x}", u32::from(c))),
            c => drop(write!(out, "\\u{{{:x}}}", u32::from(c))),
        }
    }
    out
}

/// The same, but line breaks and tabs stay: for whole texts such as an exposition on a terminal.
pub(crate) fn escape_lines(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for (i, line) in text.split('\n').enumerate() {
        if i > 0 {
            out.push('\n');
        }
        out.push_str(&escape(line));
    }
    out
}

/// Columns that a text takes on a terminal.
pub(crate) fn width(text: &str) -> usize {
    text.width()
}

/// At most `columns` columns of an escaped text, the last one `…` when something is missing.
pub(crate) fn cut(text: &str, columns: usize) -> String {
    // Combining marks take no column; without a bound a name could still flood the screen with them.
    let most_chars = columns.saturating_mul(4);
    if width(text) <= columns && text.chars().count() <= most_chars {
        return text.to_owned();
    }
    let mut out = String::new();
    let mut used = 0;
    for c in text.chars().take(most_chars) {
        let wide = c.width().unwrap_or(0);
        if used + wide + 1 > columns {
            break;
        }
        used += wide;
        out.push(c);
    }
    out.push('…');
    out
}

/// The same, but the end stays and the first column is `…`: for names whose last part tells them apart.
pub(crate) fn cut_start(text: &str, columns: usize) -> String {
    let reversed: String = text.chars().rev().collect();
    cut(&reversed, columns).chars().rev().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_and_terminal_sequences_are_shown_not_obeyed() {
        assert_eq!(escape("a\u{1b}[31mred\u{7}\r\n\tb"), "a\\x1b[31mred\\x07\\r\\n\\tb");
        assert_eq!(escape("\u{9b}2J\u{7f}\0"), "\\x9b2J\\x7f\\x00");
    }

    #[test]
    fn characters_that_hide_or_reorder_text_are_shown() {
        assert_eq!(escape("user\u{202e}nimda"), "user\\u{202e}nimda");
        assert_eq!(escape("a\u{200b}b\u{feff}\u{e0041}"), "a\\u{200b}b\\u{feff}\\u{e0041}");
    }

    #[test]
    fn letters_of_all_scripts_and_backslashes_stay() {
        assert_eq!(escape(r"größe 日本 العربية c:\x"), r"größe 日本 العربية c:\x");
    }

    #[test]
    fn lines_stay_lines() {
        assert_eq!(escape_lines("a{l=\"\u{1b}c\"} 1\nb 2\n"), "a{l=\"\\x1bc\"} 1\nb 2\n");
    }

    #[test]
    fn cut_counts_columns_not_characters() {
        assert_eq!(cut("abcdef", 6), "abcdef");
        assert_eq!(cut("abcdefg", 6), "abcde…");
        assert_eq!(cut("日本語日本語", 6), "日本…");
        assert_eq!(width(&cut("日本語日本語", 7)), 7);
    }

    #[test]
    fn a_cut_start_keeps_the_end() {
        assert_eq!(cut_start("abcdef", 6), "abcdef");
        assert_eq!(cut_start("package.Service/Method", 10), "…ce/Method");
    }

    #[test]
    fn combining_marks_are_bounded() {
        let flood = format!("a{}", "\u{301}".repeat(100_000));
        assert!(cut(&flood, 10).chars().count() <= 41);
    }
}
