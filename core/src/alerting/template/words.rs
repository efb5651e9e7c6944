//! Words of an action of Go's text/template.

use super::TemplateError;

/// A word.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Word<'a> {
    /// A keyword or function.
    Name(&'a str),
    /// A variable with its `$`.
    Variable(&'a str),
    /// `.a.b`, after a space.
    Field,
    /// `.a.b`, right after something.
    Path,
    /// `.`.
    Dot,
    /// A string.
    Text,
    /// A number, a character, `true` or `false`.
    Literal,
    /// `nil`.
    Nil,
    /// `|`.
    Bar,
    /// `(`.
    Open,
    /// `)`.
    Close,
    /// `:=`.
    Declare,
    /// `=`.
    Assign,
    /// `,`.
    Comma,
}

/// The words up to the end of the action, and what is behind it.
pub(super) fn words(text: &str) -> Result<(Vec<Word<'_>>, &str), TemplateError> {
    let mut words = Vec::new();
    let mut rest = text;
    // A word that needs something else than a word before it.
    let mut apart = true;
    loop {
        let trimmed = rest.trim_start_matches([' ', '\t', '\r', '\n']);
        let spaced = trimmed.len() != rest.len();
        apart |= spaced;
        if let Some(after) = trimmed.strip_prefix("}}") {
            return Ok((words, after));
        }
        if let Some(after) = trimmed.strip_prefix("-}}") {
            return if spaced { Ok((words, after)) } else { Err(wrong(trimmed)) };
        }
        let (word, len) = word(trimmed, apart)?;
        let joins = matches!(
            word,
            Word::Bar | Word::Open | Word::Close | Word::Declare | Word::Assign | Word::Comma | Word::Path
        );
        if !joins && !apart {
            return Err(wrong(trimmed));
        }
        // Only a path may follow a word, or a closing parenthesis, without a space.
        apart = matches!(word, Word::Bar | Word::Open | Word::Declare | Word::Assign | Word::Comma);
        words.push(word);
        rest = &trimmed[len..];
    }
}

/// The first word, and its bytes.
fn word(text: &str, apart: bool) -> Result<(Word<'_>, usize), TemplateError> {
    let first = text.chars().next().ok_or(TemplateError::Open)?;
    let single = |word| Ok((word, first.len_utf8()));
    match first {
        '|' => single(Word::Bar),
        '(' => single(Word::Open),
        ')' => single(Word::Close),
        ',' => single(Word::Comma),
        ':' if text.starts_with(":=") => Ok((Word::Declare, 2)),
        '=' => single(Word::Assign),
        '"' | '\'' => quoted(text, first),
        '`' => text[1..].find('`').map(|end| (Word::Text, end + 2)).ok_or(TemplateError::Open),
        '$' => {
            let len = 1 + name(&text[1..]);
            Ok((Word::Variable(&text[..len]), len))
        }
        '.' if text[1..].starts_with(|c: char| c.is_ascii_digit()) => number(text),
        '.' => match path(text) {
            0 if apart => single(Word::Dot),
            0 => Err(wrong(text)),
            len => Ok((if apart { Word::Field } else { Word::Path }, len)),
        },
        '+' | '-' | '0'..='9' => number(text),
        _ => match name(text) {
            0 => Err(wrong(text)),
            len => {
                let word = match &text[..len] {
                    "true" | "false" => Word::Literal,
                    "nil" => Word::Nil,
                    name => Word::Name(name),
                };
                Ok((word, len))
            }
        },
    }
}

/// A string in double quotes, or a character: no line break, and only escapes that Go has.
fn quoted(text: &str, quote: char) -> Result<(Word<'_>, usize), TemplateError> {
    let mut chars = text.char_indices().skip(1);
    let mut inside = 0_usize;
    while let Some((i, c)) = chars.next() {
        match c {
            c if c == quote => {
                let whole = quote == '"' || inside == 1;
                let word = if quote == '"' { Word::Text } else { Word::Literal };
                return if whole { Ok((word, i + 1)) } else { Err(wrong(text)) };
            }
            '\n' => return Err(TemplateError::Open),
            '\\' => match chars.next() {
                Some((_, escaped)) if escaped == quote || r"abfnrtv\".contains(escaped) => inside += 1,
                _ => return Err(wrong(text)),
            },
            _ => inside += 1,
        }
    }
    Err(TemplateError::Open)
}

/// Letters, digits and `_`, of which the first is no digit: bytes of it.
fn name(text: &str) -> usize {
    if text.starts_with(|c: char| c.is_ascii_digit()) {
        return 0;
    }
    text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(text.len())
}

/// `.a.b`: bytes of it.
fn path(text: &str) -> usize {
    let mut len = 0;
    while let Some(field) = text[len..].strip_prefix('.') {
        match name(field) {
            0 => break,
            more => len += 1 + more,
        }
    }
    len
}

fn number(text: &str) -> Result<(Word<'_>, usize), TemplateError> {
    let digits = text.trim_start_matches(['+', '-']);
    let sign = text.len() - digits.len();
    let mut len = 0;
    for (i, c) in digits.char_indices() {
        let exponent = matches!(c, '+' | '-') && digits[..i].ends_with(['e', 'E']);
        if !c.is_ascii_digit() && !matches!(c, '.' | 'e' | 'E') && !exponent {
            break;
        }
        len = i + 1;
    }
    let is_number = sign <= 1 && digits[..len].parse::<f64>().is_ok() && !octal(&digits[..len]);
    if is_number { Ok((Word::Literal, sign + len)) } else { Err(wrong(text)) }
}

/// Go reads a leading zero as the mark of another base.
fn octal(digits: &str) -> bool {
    digits.len() > 1 && digits.starts_with('0') && !digits.starts_with("0.")
}

fn wrong(text: &str) -> TemplateError {
    let end = text.find("}}").unwrap_or(text.len());
    TemplateError::Word { text: text[..end].trim().chars().take(40).collect() }
}
