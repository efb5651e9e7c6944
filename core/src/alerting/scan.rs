//! An expression before it is parsed: where its strings and comments are, its placeholders, and that it is small and plain
//! enough for the parser.
//!
//! The parser (promql-parser 0.11) builds a tree without a bound on its depth, and some numbers in durations and some escapes
//! make it panic. In a process that aborts on a panic, one custom resource could end the operator; so what comes in here is
//! looked at first.

use thiserror::Error;

/// Most operators, calls and parentheses in an expression: the tree is no deeper than that.
pub(super) const MAX_OPERATORS: usize = 500;
/// Most patterns in an expression: each is compiled when it is parsed.
pub(super) const MAX_PATTERNS: usize = 64;
/// Operators that are words.
const WORDS: [&str; 5] = ["and", "or", "unless", "atan2", "offset"];

/// What is wrong with the text of an expression.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub(super) enum ExpressionError {
    /// A string without an end.
    #[error("failed to parse PromQL: the string at character {at} has no end")]
    OpenString {
        /// Where it begins, from 1.
        at: usize,
    },
    /// An escape that PromQL does not know.
    #[error(
        "failed to parse PromQL: the string at character {at} has an escape that is none of PromQL's; in double quotes \\d is written \\\\d"
    )]
    Escape {
        /// Where the string begins, from 1.
        at: usize,
    },
    /// A bracket that is not closed, or was not opened.
    #[error("failed to parse PromQL: the {bracket} at character {at} has no counterpart")]
    Bracket {
        /// The bracket.
        bracket: char,
        /// Where it is, from 1.
        at: usize,
    },
    /// Too much of something.
    #[error("failed to parse PromQL: it has more than {most} {what}")]
    TooLarge {
        /// How many there may be.
        most: usize,
        /// Of what.
        what: &'static str,
    },
    /// A number where only a duration can be.
    #[error("failed to parse PromQL: {text} is no duration")]
    Duration {
        /// The number.
        text: String,
    },
    /// Something that Prometheus has only when it is told to.
    #[error(
        "failed to parse PromQL: {name} is experimental, and a Prometheus that is not told to have it refuses the whole file"
    )]
    Experimental {
        /// Its name.
        name: String,
    },
    /// A number that is too large for what it stands for.
    #[error("failed to parse PromQL: {text} is too large")]
    Number {
        /// The number.
        text: String,
    },
    /// A placeholder that does not exist here.
    #[error("failed to fill in ${name}: {known}")]
    Placeholder {
        /// Its name.
        name: String,
        /// Which ones exist, as a sentence.
        known: String,
    },
    /// `$fleets` where no label matchers can be.
    #[error(
        "failed to fill in $fleets: it stands for label matchers, so its place is inside of braces: metric{{$fleets}}"
    )]
    OutsideBraces,
    /// A range or a string.
    #[error("failed to make a rule of PromQL: the result is a range or a string, not a vector")]
    NoVector,
    /// What the parser says.
    #[error("failed to parse PromQL: {message}")]
    Syntax {
        /// Its words.
        message: String,
    },
}

/// A piece of an expression.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Piece<'a> {
    /// Neither string nor comment.
    Code(&'a str),
    /// A string with its quotes.
    Quoted(&'a str),
    /// From `#` to the end of the line.
    Comment(&'a str),
}

/// The pieces in order; together they are the text.
pub(super) fn pieces(text: &str) -> Result<Vec<Piece<'_>>, ExpressionError> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some(start) = rest.find(['"', '\'', '`', '#']) {
        let (code, tail) = rest.split_at(start);
        if !code.is_empty() {
            pieces.push(Piece::Code(code));
        }
        let at = text[..text.len() - tail.len()].chars().count() + 1;
        let (piece, after) = if tail.starts_with('#') {
            let (comment, after) = tail.split_at(tail.find(['\n', '\r']).unwrap_or(tail.len()));
            (Piece::Comment(comment), after)
        } else {
            let (quoted, after) = tail.split_at(end_of_string(tail, at)?);
            (Piece::Quoted(quoted), after)
        };
        pieces.push(piece);
        rest = after;
    }
    if !rest.is_empty() {
        pieces.push(Piece::Code(rest));
    }
    Ok(pieces)
}

/// Length in bytes of the string with which `text` begins.
fn end_of_string(text: &str, at: usize) -> Result<usize, ExpressionError> {
    let mut chars = text.char_indices();
    let quote = chars.next().map_or('"', |(_, c)| c);
    while let Some((i, c)) = chars.next() {
        if c == quote {
            return Ok(i + 1);
        }
        if c == '\\' && quote != '`' {
            let escaped = chars.next().map_or(' ', |(_, c)| c);
            if escaped != quote && !r"abfnrtvxuU\01234567".contains(escaped) {
                return Err(ExpressionError::Escape { at });
            }
        }
    }
    Err(ExpressionError::OpenString { at })
}

/// Holds the limits: to be asked before the parser is.
pub(super) fn limits(pieces: &[Piece<'_>]) -> Result<(), ExpressionError> {
    let mut open: Vec<(char, usize)> = Vec::new();
    let (mut operators, mut patterns, mut at) = (0_usize, 0_usize, 0_usize);
    for piece in pieces {
        let (Piece::Code(text) | Piece::Quoted(text) | Piece::Comment(text)) = *piece;
        let Piece::Code(code) = *piece else {
            at += text.chars().count();
            continue;
        };
        let mut before = ' ';
        for c in code.chars() {
            at += 1;
            let inside_braces = open.last().is_some_and(|(bracket, _)| *bracket == '{');
            match c {
                '(' | '[' | '{' => open.push((c, at)),
                ')' | ']' | '}' => {
                    let opened = open.pop().map(|(bracket, _)| bracket);
                    if opened != Some(counterpart(c)) {
                        return Err(ExpressionError::Bracket { bracket: c, at });
                    }
                }
                _ => {}
            }
            match c {
                '~' if inside_braces => patterns += 1,
                '(' | '[' | '+' | '-' | '*' | '/' | '%' | '^' | '<' | '>' | '!' if !inside_braces => operators += 1,
                '=' if before == '=' => operators += 1,
                _ => {}
            }
            before = c;
        }
        let words = code.split(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != ':');
        operators += words.filter(|word| WORDS.iter().any(|operator| operator.eq_ignore_ascii_case(word))).count();
    }
    if let Some((bracket, at)) = open.pop() {
        return Err(ExpressionError::Bracket { bracket, at });
    }
    if operators > MAX_OPERATORS {
        return Err(ExpressionError::TooLarge { most: MAX_OPERATORS, what: "operators and calls" });
    }
    if patterns > MAX_PATTERNS {
        return Err(ExpressionError::TooLarge { most: MAX_PATTERNS, what: "patterns (=~ and !~)" });
    }
    durations(pieces)
}

const fn counterpart(closing: char) -> char {
    match closing {
        ')' => '(',
        ']' => '[',
        _ => '{',
    }
}

/// Where a duration stands, in square brackets and after `offset`, the parser makes a length of time of any number, and panics
/// if it is too large for one.
fn durations(pieces: &[Piece<'_>]) -> Result<(), ExpressionError> {
    let code: String = pieces.iter().map(|piece| if let Piece::Code(code) = piece { code } else { " " }).collect();
    let mut rest = code.as_str();
    while let Some(start) = rest.find('[') {
        let inside = &rest[start + 1..];
        let inside = &inside[..inside.find(']').unwrap_or(inside.len())];
        let mut parts = inside.split(|c: char| c.is_ascii_whitespace() || c == ':').filter(|part| !part.is_empty());
        parts.try_for_each(
            |part| if part.contains(|c| matches!(c, '1'..='9')) { duration(part) } else { Err(none(part)) },
        )?;
        rest = &rest[start + 1..];
    }
    numbers(&code)?;
    let lower = code.to_ascii_lowercase();
    for (i, _) in lower.match_indices("offset") {
        let after =
            lower[i + "offset".len()..].trim_start_matches(|c: char| c.is_ascii_whitespace() || c == '+' || c == '-');
        let end = after.find(|c: char| !c.is_ascii_alphanumeric() && c != '.').unwrap_or(after.len());
        let word = &after[..end];
        if word.starts_with(|c: char| c.is_ascii_digit() || c == '.') || matches!(word, "inf" | "nan") {
            // An exponent's sign ends the word here, but not for the parser.
            duration(word)?;
        }
    }
    Ok(())
}

/// Digits with a unit each, or plain seconds, none of more than nine digits.
fn duration(text: &str) -> Result<(), ExpressionError> {
    let plain = text.chars().all(|c| c.is_ascii_digit() || "ywdhms".contains(c));
    let short = text.split(|c: char| !c.is_ascii_digit()).all(|digits| digits.len() <= 9);
    if plain && short { Ok(()) } else { Err(none(text)) }
}

/// Numbers that Prometheus cannot hold: durations of more than 290 years, times in another era, more than floating-point takes.
fn numbers(code: &str) -> Result<(), ExpressionError> {
    /// Prometheus counts time in milliseconds, as 64 bits.
    const MOST_SECONDS: f64 = 9.2e15;
    let mut before = ' ';
    for word in code.split_inclusive(|c: char| !c.is_ascii_alphanumeric() && !matches!(c, '_' | '.' | ':')) {
        let text = word.trim_end_matches(|c: char| !c.is_ascii_alphanumeric() && !matches!(c, '_' | '.' | ':'));
        if text.starts_with(|c: char| c.is_ascii_digit()) {
            let number = text.to_ascii_lowercase().parse::<f64>();
            let of_time = before == '@' && number.as_ref().is_ok_and(|seconds| *seconds > MOST_SECONDS);
            let years =
                text.split_once('y').is_some_and(|(years, _)| years.parse::<u32>().is_ok_and(|years| years > 290));
            if number.is_err() && text.chars().all(|c| c.is_ascii_digit() || "ywdhms".contains(c)) {
                duration(text)?;
            }
            if number.is_ok_and(f64::is_infinite) || of_time || years {
                return Err(ExpressionError::Number { text: text.to_owned() });
            }
        }
        let mark = word.trim_end().chars().next_back().unwrap_or(before);
        if !matches!(mark, '+' | '-') {
            before = mark;
        }
    }
    Ok(())
}

fn none(text: &str) -> ExpressionError {
    ExpressionError::Duration { text: text.to_owned() }
}

/// The text for the parser: it takes backslashes in backquotes for escapes, which PromQL does not.
pub(super) fn without_backquotes(pieces: &[Piece<'_>]) -> String {
    let text = |piece: &Piece<'_>| match *piece {
        Piece::Quoted(quoted) if quoted.starts_with('`') => super::promql::quote(quoted.trim_matches('`')),
        Piece::Code(text) | Piece::Quoted(text) => text.to_owned(),
        Piece::Comment(_) => String::new(),
    };
    pieces.iter().map(text).collect()
}

/// Puts values in the place of placeholders: `$name` outside of strings and comments.
pub(super) fn fill(text: &str, values: &[(&str, &str)]) -> Result<String, ExpressionError> {
    let mut filled = String::with_capacity(text.len() + 64);
    let mut braces = 0_usize;
    for piece in pieces(text)? {
        let Piece::Code(mut code) = piece else {
            let (Piece::Code(text) | Piece::Quoted(text) | Piece::Comment(text)) = piece;
            filled.push_str(text);
            continue;
        };
        while let Some(mark) = code.find('$') {
            let (before, after) = code.split_at(mark);
            braces = depth(before, braces);
            filled.push_str(before);
            let after = &after[1..];
            let (name, rest) =
                after.split_at(after.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(after.len()));
            let Some((_, value)) = values.iter().find(|(known, _)| *known == name) else {
                let known: Vec<String> = values.iter().map(|(name, _)| format!("${name}")).collect();
                let known = format!("placeholders are {}", known.join(" and "));
                return Err(ExpressionError::Placeholder { name: name.to_owned(), known });
            };
            if name == "fleets" && braces == 0 {
                return Err(ExpressionError::OutsideBraces);
            }
            filled.push_str(value);
            code = rest;
        }
        braces = depth(code, braces);
        filled.push_str(code);
    }
    Ok(filled)
}

fn depth(code: &str, before: usize) -> usize {
    (before + code.matches('{').count()).saturating_sub(code.matches('}').count())
}

/// Whether a placeholder stands in the text outside of strings and comments.
pub(super) fn names(text: &str, placeholder: &str) -> bool {
    let marked = format!("${placeholder}");
    pieces(text)
        .is_ok_and(|pieces| pieces.iter().any(|piece| matches!(piece, Piece::Code(code) if code.contains(&marked))))
}
