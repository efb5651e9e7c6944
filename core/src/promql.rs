//! What can be known of a PromQL expression without evaluating it: that it parses, which series it selects, and which labels its
//! result has.
//!
//! Text in, names and labels out. Nothing here knows what a series means: who asks says which labels the series of a name have.

use std::collections::BTreeSet;

pub(crate) mod scan;
pub(crate) mod text;

use promql_parser::label::{METRIC_NAME, MatchOp};
use promql_parser::parser::token::{T_BOTTOMK, T_COUNT_VALUES, T_LIMIT_RATIO, T_LIMITK, T_LOR, T_TOPK};
use promql_parser::parser::value::ValueType;
use promql_parser::parser::{
    AggregateExpr, BinaryExpr, Call, Expr, LabelModifier, VectorMatchCardinality, VectorSelector,
};

use scan::ExpressionError;

/// The longest expression that is parsed, in bytes.
pub const MAX_LENGTH: usize = 8_192;
/// How deep an expression may be nested: what walks it recurses. A chain of operators nests as brackets do.
pub const MAX_DEPTH: usize = 256;

/// Why an expression cannot be used.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum PromqlError {
    /// It is not PromQL.
    #[error("failed to parse PromQL: {reason}")]
    Syntax {
        /// What the parser says.
        reason: String,
    },
    /// It is longer than [`MAX_LENGTH`].
    #[error("failed to parse PromQL: {length} bytes are more than {MAX_LENGTH}")]
    TooLong {
        /// Its bytes.
        length: usize,
    },
    /// It is nested deeper than [`MAX_DEPTH`].
    #[error("failed to parse PromQL: it is nested deeper than {MAX_DEPTH}")]
    TooDeep,
}

/// A parsed expression.
#[derive(Clone, Debug)]
pub struct Promql {
    expression: Expr,
}

// === impl Promql ===

impl Promql {
    /// Parses an expression.
    pub fn parse(text: &str) -> Result<Self, PromqlError> {
        if text.len() > MAX_LENGTH {
            return Err(PromqlError::TooLong { length: text.len() });
        }
        let wrong = |error: ExpressionError| match error {
            ExpressionError::TooLarge { .. } => PromqlError::TooDeep,
            ExpressionError::Syntax { message } => PromqlError::Syntax { reason: message },
            other => PromqlError::Syntax { reason: other.to_string() },
        };
        let expression = scan::parse(text).map_err(wrong)?;
        if depth(&expression) > MAX_DEPTH {
            return Err(PromqlError::TooDeep);
        }
        Ok(Self { expression })
    }

    /// Names of the series that it selects. A selector that names none by `=` has no part in it.
    pub fn series(&self) -> BTreeSet<String> {
        let mut names = BTreeSet::new();
        selectors(&self.expression, &mut |selector| names.extend(name(selector).map(str::to_owned)));
        names
    }

    /// Whether each of its selectors has a matcher on this label.
    pub fn always_matches_on(&self, label: &str) -> bool {
        let mut always = true;
        selectors(&self.expression, &mut |selector| {
            always &= selector.matchers.matchers.iter().any(|matcher| matcher.name == label);
        });
        always
    }

    /// Labels of its result, if they can be known: `of` says which labels the series of a name have, and `None` where they may
    /// have others too. A scalar has none.
    pub fn labels(&self, of: &dyn Fn(&str) -> Option<BTreeSet<String>>) -> Option<BTreeSet<String>> {
        labels(&self.expression, of)
    }
}

/// How deep an expression is nested, without recursion.
fn depth(expression: &Expr) -> usize {
    let (mut most, mut open) = (0, vec![(expression, 1)]);
    while let Some((expression, depth)) = open.pop() {
        most = most.max(depth);
        parts(expression, &mut |part| open.push((part, depth + 1)));
    }
    most
}

/// Gives each expression that this one is directly made of.
fn parts<'a>(expression: &'a Expr, each: &mut dyn FnMut(&'a Expr)) {
    match expression {
        Expr::Aggregate(aggregate) => {
            each(&aggregate.expr);
            if let Some(parameter) = &aggregate.param {
                each(parameter);
            }
        }
        Expr::Unary(unary) => each(&unary.expr),
        Expr::Paren(paren) => each(&paren.expr),
        Expr::Subquery(subquery) => each(&subquery.expr),
        Expr::Binary(binary) => {
            each(&binary.lhs);
            each(&binary.rhs);
        }
        Expr::Call(call) => call.args.args.iter().for_each(|argument| each(argument)),
        Expr::VectorSelector(_)
        | Expr::MatrixSelector(_)
        | Expr::NumberLiteral(_)
        | Expr::StringLiteral(_)
        | Expr::Extension(_) => {}
    }
}

fn name(selector: &VectorSelector) -> Option<&str> {
    let by_matcher = || {
        let own = selector.matchers.matchers.iter();
        own.filter(|matcher| matcher.name == METRIC_NAME && matcher.op == MatchOp::Equal)
            .map(|m| m.value.as_str())
            .next()
    };
    selector.name.as_deref().or_else(by_matcher)
}

fn selectors<'a>(expression: &'a Expr, each: &mut dyn FnMut(&'a VectorSelector)) {
    match expression {
        Expr::VectorSelector(selector) => each(selector),
        Expr::MatrixSelector(matrix) => each(&matrix.vs),
        other => parts(other, &mut |part| selectors(part, each)),
    }
}

fn labels(expression: &Expr, of: &dyn Fn(&str) -> Option<BTreeSet<String>>) -> Option<BTreeSet<String>> {
    match expression {
        Expr::VectorSelector(selector) => of(name(selector)?),
        Expr::MatrixSelector(matrix) => of(name(&matrix.vs)?),
        Expr::Aggregate(aggregate) => aggregated(aggregate, of),
        Expr::Unary(unary) => labels(&unary.expr, of),
        Expr::Paren(paren) => labels(&paren.expr, of),
        Expr::Subquery(subquery) => labels(&subquery.expr, of),
        Expr::Binary(binary) => combined(binary, of),
        Expr::Call(call) => called(call, of),
        Expr::NumberLiteral(_) | Expr::StringLiteral(_) => Some(BTreeSet::new()),
        Expr::Extension(_) => None,
    }
}

fn aggregated(aggregate: &AggregateExpr, of: &dyn Fn(&str) -> Option<BTreeSet<String>>) -> Option<BTreeSet<String>> {
    // topk and its like pass series on as they are; count_values adds a label of its own.
    match (aggregate.op.id(), &aggregate.modifier) {
        (T_COUNT_VALUES, _) => None,
        (T_TOPK | T_BOTTOMK | T_LIMITK | T_LIMIT_RATIO, _) => labels(&aggregate.expr, of),
        (_, Some(LabelModifier::Include(by))) => Some(by.labels.iter().cloned().collect()),
        (_, Some(LabelModifier::Exclude(without))) => Some(less(labels(&aggregate.expr, of)?, &without.labels)),
        (_, None) => Some(BTreeSet::new()),
    }
}

fn combined(binary: &BinaryExpr, of: &dyn Fn(&str) -> Option<BTreeSet<String>>) -> Option<BTreeSet<String>> {
    let is_scalar = |side: &Expr| side.value_type() == ValueType::Scalar;
    if is_scalar(&binary.lhs) {
        return labels(&binary.rhs, of);
    }
    let left = labels(&binary.lhs, of);
    if is_scalar(&binary.rhs) {
        return left;
    }
    if binary.op.id() == T_LOR {
        return Some(left?.union(&labels(&binary.rhs, of)?).cloned().collect());
    }
    // `and`, `unless`: the left side, as it is.
    if binary.op.is_set_operator() {
        return left;
    }
    let modifier = binary.modifier.as_ref();
    let many = |mut side: BTreeSet<String>, from_other: &[String]| {
        side.extend(from_other.iter().cloned());
        Some(side)
    };
    match modifier.map(|modifier| &modifier.card) {
        Some(VectorMatchCardinality::ManyToOne(include)) => return many(left?, &include.labels),
        Some(VectorMatchCardinality::OneToMany(include)) => return many(labels(&binary.rhs, of)?, &include.labels),
        _ => {}
    }
    match modifier.and_then(|modifier| modifier.matching.as_ref()) {
        Some(LabelModifier::Include(on)) => Some(on.labels.iter().cloned().collect()),
        Some(LabelModifier::Exclude(ignoring)) => Some(less(left?, &ignoring.labels)),
        // Both sides have the same labels where they match at all.
        None => left.or_else(|| labels(&binary.rhs, of)),
    }
}

fn called(call: &Call, of: &dyn Fn(&str) -> Option<BTreeSet<String>>) -> Option<BTreeSet<String>> {
    let vector =
        call.args.args.iter().find(|argument| !matches!(argument.value_type(), ValueType::Scalar | ValueType::String));
    let Some(vector) = vector else { return Some(BTreeSet::new()) };
    match call.func.name {
        "scalar" | "time" | "vector" => Some(BTreeSet::new()),
        // Labels come from the selector's matchers, or from the values of another series.
        "absent" | "absent_over_time" | "info" => None,
        "histogram_quantile" => Some(less(labels(vector, of)?, &["le".to_owned()])),
        "label_replace" | "label_join" => {
            let mut all = labels(vector, of)?;
            if let Some(Expr::StringLiteral(target)) = call.args.args.get(1).map(AsRef::as_ref) {
                all.insert(target.val.clone());
            }
            Some(all)
        }
        _ => labels(vector, of),
    }
}

fn less(mut all: BTreeSet<String>, without: &[String]) -> BTreeSet<String> {
    all.retain(|label| !without.contains(label));
    all
}

#[cfg(test)]
mod tests;
