//! Templates in labels and annotations: whether Prometheus will read them.
//!
//! A rule with a template that does not parse makes Prometheus, and prometheus-operator before it, refuse the whole file, so one slip
//! in an annotation would end all alerts of a policy. What Go's `text/template` takes is checked here: delimiters, words, functions
//! (Prometheus' own and Go's), variables, and that blocks end. What is refused here may be valid in a corner of Go's language that
//! nobody needs in an alert.

use thiserror::Error;

mod words;

use words::{Word, words};

/// What is wrong with a template.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub(super) enum TemplateError {
    /// `{{` without `}}`.
    #[error("failed to parse template: an action {{{{ has no end }}}}")]
    Open,
    /// Something that is no word of the language.
    #[error("failed to parse template: {text} makes no sense in {{{{ }}}}")]
    Word {
        /// The text.
        text: String,
    },
    /// An action, or one of its parts, without a value.
    #[error("failed to parse template: a value is missing in {{{{{action}}}}}")]
    Missing {
        /// The action.
        action: String,
    },
    /// A function that neither Prometheus nor Go has.
    #[error("failed to parse template: there is no function {name}")]
    Function {
        /// Its name.
        name: String,
    },
    /// A variable that is not set.
    #[error(
        "failed to parse template: there is no variable {name}; Prometheus has $labels, $value, $externalLabels and $externalURL"
    )]
    Variable {
        /// Its name.
        name: String,
    },
    /// `end` or `else` where nothing is open, or something that is not ended.
    #[error("failed to parse template: {word} has no counterpart")]
    Block {
        /// The word.
        word: String,
    },
}

/// Variables that Prometheus sets.
const VARIABLES: [&str; 5] = ["$", "$labels", "$value", "$externalLabels", "$externalURL"];

/// Functions of Prometheus (docs "Template reference") and of Go's text/template.
const FUNCTIONS: [&str; 47] = [
    "and",
    "args",
    "call",
    "eq",
    "externalURL",
    "first",
    "ge",
    "graphLink",
    "gt",
    "html",
    "humanize",
    "humanize1024",
    "humanizeDuration",
    "humanizePercentage",
    "humanizeTimestamp",
    "index",
    "js",
    "label",
    "le",
    "len",
    "lt",
    "match",
    "ne",
    "not",
    "or",
    "parseDuration",
    "pathPrefix",
    "print",
    "printf",
    "println",
    "query",
    "reReplaceAll",
    "safeHtml",
    "slice",
    "sortByLabel",
    "stripDomain",
    "stripPort",
    "strvalue",
    "tableLink",
    "title",
    "tmpl",
    "toLower",
    "toTime",
    "toUpper",
    "urlquery",
    "value",
    "toDuration",
];

/// Deepest nesting of parentheses in an action.
const DEPTH: usize = 32;

/// Checks a template.
pub(super) fn check(text: &str) -> Result<(), TemplateError> {
    let mut checker = Checker { variables: VARIABLES.map(str::to_owned).to_vec(), open: Vec::new() };
    let mut rest = text;
    while let Some(start) = rest.find("{{") {
        let inside = &rest[start + 2..];
        let inside = inside.strip_prefix("- ").unwrap_or(inside);
        if let Some(comment) = inside.strip_prefix("/*") {
            let end = comment.find("*/").ok_or(TemplateError::Open)?;
            let after = &comment[end + 2..];
            let after = after.strip_prefix(" -").unwrap_or(after);
            rest = after.strip_prefix("}}").ok_or(TemplateError::Open)?;
            continue;
        }
        let (action, after) = words(inside)?;
        checker.action(&action, &inside[..inside.len() - after.len() - 2])?;
        rest = after;
    }
    match checker.open.pop() {
        Some(block) => Err(TemplateError::Block { word: block.word }),
        None => Ok(()),
    }
}

struct Block {
    word: String,
    /// How many variables there were before it.
    variables: usize,
    may_have_else: bool,
}

struct Checker {
    variables: Vec<String>,
    open: Vec<Block>,
}

impl Checker {
    fn action(&mut self, action: &[Word<'_>], text: &str) -> Result<(), TemplateError> {
        let [first, rest @ ..] = action else { return Err(TemplateError::Missing { action: text.to_owned() }) };
        let Word::Name(word) = *first else { return self.pipeline(action, text, false) };
        match word {
            "if" | "with" | "range" => {
                self.open.push(Block { word: word.to_owned(), variables: self.variables.len(), may_have_else: true });
                self.pipeline(rest, text, word == "range")
            }
            "else" => self.otherwise(rest, text),
            "end" => {
                let block = self.open.pop().filter(|_| rest.is_empty());
                let block = block.ok_or_else(|| TemplateError::Block { word: "end".to_owned() })?;
                self.variables.truncate(block.variables);
                Ok(())
            }
            "break" | "continue" => {
                let in_range = self.open.iter().any(|block| block.word == "range");
                if in_range && rest.is_empty() { Ok(()) } else { Err(TemplateError::Block { word: word.to_owned() }) }
            }
            "template" => match rest {
                [Word::Text] => Ok(()),
                [Word::Text, data @ ..] => self.pipeline(data, text, false),
                _ => Err(TemplateError::Missing { action: text.to_owned() }),
            },
            "define" | "block" => Err(TemplateError::Word { text: word.to_owned() }),
            _ => self.pipeline(action, text, false),
        }
    }

    fn otherwise(&mut self, rest: &[Word<'_>], text: &str) -> Result<(), TemplateError> {
        let wrong = || TemplateError::Block { word: "else".to_owned() };
        let block = self.open.last_mut().filter(|block| block.may_have_else).ok_or_else(wrong)?;
        self.variables.truncate(block.variables);
        match rest {
            [] => {
                block.may_have_else = false;
                Ok(())
            }
            [Word::Name("if"), condition @ ..] if block.word == "if" => self.pipeline(condition, text, false),
            _ => Err(wrong()),
        }
    }

    /// `$x := a b | c d`; a range has `$i, $x := a`, too.
    fn pipeline(&mut self, words: &[Word<'_>], text: &str, of_range: bool) -> Result<(), TemplateError> {
        let (new, words) = match words {
            [Word::Variable(name), Word::Declare, value @ ..] => (vec![*name], value),
            [Word::Variable(key), Word::Comma, Word::Variable(name), Word::Declare, value @ ..] if of_range => {
                (vec![*key, *name], value)
            }
            [Word::Variable(name), Word::Assign, value @ ..] => {
                self.variable(name)?;
                (Vec::new(), value)
            }
            _ => (Vec::new(), words),
        };
        let rest = self.commands(words, text, 0)?;
        if !rest.is_empty() {
            return Err(TemplateError::Word { text: ")".to_owned() });
        }
        self.variables.extend(new.into_iter().map(str::to_owned));
        Ok(())
    }

    /// Commands between bars, up to the end or a closing parenthesis, which stays.
    fn commands<'w, 't>(
        &self,
        words: &'w [Word<'t>],
        text: &str,
        depth: usize,
    ) -> Result<&'w [Word<'t>], TemplateError> {
        let missing = || TemplateError::Missing { action: text.to_owned() };
        if depth > DEPTH {
            return Err(TemplateError::Word { text: "(".to_owned() });
        }
        let (mut rest, mut operands, mut stage) = (words, 0_usize, 0_usize);
        while let [word, after @ ..] = rest {
            match word {
                Word::Close => break,
                Word::Bar => {
                    if operands == 0 {
                        return Err(missing());
                    }
                    (operands, stage, rest) = (0, stage + 1, after);
                    continue;
                }
                Word::Open => {
                    let inner = self.commands(after, text, depth + 1)?;
                    let [Word::Close, tail @ ..] = inner else { return Err(missing()) };
                    rest = if let [Word::Path, tail @ ..] = tail { tail } else { tail };
                    operands += 1;
                    continue;
                }
                Word::Name(name) if !FUNCTIONS.contains(name) => {
                    return Err(TemplateError::Function { name: (*name).to_owned() });
                }
                Word::Variable(name) => self.variable(name)?,
                Word::Name(_) | Word::Field => {}
                // What takes the value of the stage before it is called with it.
                Word::Text | Word::Literal | Word::Dot if stage == 0 || operands > 0 => {}
                Word::Nil if operands > 0 => {}
                _ => return Err(TemplateError::Word { text: text.trim().to_owned() }),
            }
            operands += 1;
            rest = if let (Word::Variable(_) | Word::Field, [Word::Path, tail @ ..]) = (word, after) {
                tail
            } else {
                after
            };
        }
        if operands == 0 { Err(missing()) } else { Ok(rest) }
    }

    fn variable(&self, name: &str) -> Result<(), TemplateError> {
        let known = self.variables.iter().any(|variable| variable == name);
        if known { Ok(()) } else { Err(TemplateError::Variable { name: name.to_owned() }) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_alerts_say_is_accepted() {
        for text in [
            "",
            "no template } { here }}",
            "{{ $value }}",
            "{{$value|humanize}}",
            "{{- $labels.fleet -}} x",
            "{{ $value | humanizePercentage }} of {{ $labels.namespace }}/{{ $labels.fleet }}",
            r#"{{ printf "%.2f" $value }} {{ printf `%s` .Labels.fleet }}"#,
            r#"{{ with query "up{job='a'}" }}{{ . | first | value | humanize }}{{ end }}"#,
            r#"{{ range query "up" }}{{ .Labels.instance }}={{ .Value }}{{ else }}none{{ end }}"#,
            r#"{{ if gt $value 0.5 }}a{{ else if eq $labels.x "b" }}b{{ else }}c{{ end }}"#,
            r#"{{ range $i, $s := query "up" }}{{ $i }}{{ break }}{{ end }}"#,
            r#"{{ $x := "a" }}{{ $x = "b" }}{{ $x }}"#,
            r#"{{ (query "up" | first).Value }}"#,
            "{{/* a comment }} */}}",
            r#"{{ index $labels "a" }} {{ . }} {{ true }} {{ 1e3 }} {{ 'x' }}"#,
            "{{ reReplaceAll \"a\" \"b\" $labels.c | toUpper | title }}",
        ] {
            assert_eq!(check(text), Ok(()), "{text}");
        }
    }

    #[test]
    fn what_prometheus_would_refuse_is_refused() {
        for text in [
            "{{ $value",
            "{{ }}",
            "{{}}",
            "{{ | humanize }}",
            "{{ $value | }}",
            "{{ $value | 3 }}",
            "{{ $valu }}",
            "{{ humanise $value }}",
            "{{ end }}",
            "{{ if $value }}",
            "{{ if $value }}{{ else }}{{ else }}{{ end }}",
            "{{ if }}{{ end }}",
            "{{ range query \"up\" }}{{ $x := 1 }}{{ end }}{{ $x }}",
            "{{ break }}",
            "{{ (query \"up\" }}",
            "{{ query \"up\") }}",
            "{{ \"open }}",
            "{{ $labels.fleet! }}",
            "{{ humanize.x }}",
            "{{ nil }}",
            "{{ $x = 1 }}",
            "{{ a := 1 }}",
            "{{ /* comment */ }}",
        ] {
            assert!(check(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_checked_without_a_panic(text in "(\\{\\{|\\}\\}|[-a-z$.|()\"`' :=,/*0-9]|if |end|ä){0,40}") {
            let _: Result<(), TemplateError> = check(&text);
        }
    }
}
