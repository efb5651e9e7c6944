//! Expressions of PromQL that users write: checked, their placeholders filled in, and held to the policy's fleets.
//!
//! In: the text, and what its placeholders stand for. Out: the text as Prometheus takes it, and the metrics that it names; or what
//! is wrong with it.

use std::collections::BTreeSet;

use promql_parser::label::{MatchOp, Matcher};
use promql_parser::parser::token::{T_LIMIT_RATIO, T_LIMITK, TokenId};
use promql_parser::parser::value::ValueType;
use promql_parser::parser::{self, BinaryExpr, Call, Expr, ParenExpr, VectorSelector};

use super::scan::{self, ExpressionError};

/// A label that marks what `$fleets` stood for, in a tree that never leaves this module.
const MARK: &str = "__fleets__";
/// Functions that look at the selector itself, not at its values: what they are given stays a selector.
const OF_SELECTORS: [&str; 1] = ["timestamp"];

/// Aggregations that Prometheus has only when it is told to.
const EXPERIMENTAL: [TokenId; 2] = [T_LIMITK, T_LIMIT_RATIO];

/// Parses an expression whose placeholders are filled in.
pub(super) fn parse(text: &str) -> Result<Expr, ExpressionError> {
    let pieces = scan::pieces(text)?;
    scan::limits(&pieces)?;
    let expr =
        parser::parse(&scan::without_backquotes(&pieces)).map_err(|message| ExpressionError::Syntax { message })?;
    let mut experimental = None;
    walk(&expr, &mut |expr| experimental = experimental.take().or_else(|| name_of_experiment(expr)));
    match experimental {
        Some(name) => Err(ExpressionError::Experimental { name }),
        None => Ok(expr),
    }
}

fn name_of_experiment(expr: &Expr) -> Option<String> {
    match expr {
        Expr::Call(call) if call.func.experimental => Some(call.func.name.to_owned()),
        Expr::Aggregate(aggregate) if EXPERIMENTAL.contains(&aggregate.op.id()) => Some(aggregate.op.to_string()),
        Expr::Binary(binary) => {
            let fills = binary.modifier.as_ref().map(|modifier| &modifier.fill_values);
            fills.is_some_and(|fill| fill.lhs.is_some() || fill.rhs.is_some()).then(|| "fill".to_owned())
        }
        _ => None,
    }
}

/// Whether a rule can have it: its result is a vector, or a number.
pub(super) fn is_of_a_rule(expr: &Expr) -> bool {
    matches!(expr.value_type(), ValueType::Vector | ValueType::Scalar)
}

/// The metrics that an expression names, those of patterns left out.
pub(super) fn metrics(expr: &Expr) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    walk(expr, &mut |expr| match expr {
        Expr::VectorSelector(selector) => names.extend(name(selector)),
        Expr::MatrixSelector(matrix) => names.extend(name(&matrix.vs)),
        _ => {}
    });
    names
}

/// Shows the expression and everything in it.
fn walk(expr: &Expr, see: &mut dyn FnMut(&Expr)) {
    see(expr);
    match expr {
        Expr::Aggregate(aggregate) => {
            walk(&aggregate.expr, see);
            if let Some(parameter) = &aggregate.param {
                walk(parameter, see);
            }
        }
        Expr::Unary(unary) => walk(&unary.expr, see),
        Expr::Binary(binary) => {
            walk(&binary.lhs, see);
            walk(&binary.rhs, see);
        }
        Expr::Paren(paren) => walk(&paren.expr, see),
        Expr::Subquery(subquery) => walk(&subquery.expr, see),
        Expr::Call(call) => call.args.args.iter().for_each(|argument| walk(argument, see)),
        Expr::VectorSelector(_)
        | Expr::MatrixSelector(_)
        | Expr::NumberLiteral(_)
        | Expr::StringLiteral(_)
        | Expr::Extension(_) => {}
    }
}

fn name(selector: &VectorSelector) -> Option<String> {
    let by_label = || {
        let of_name = selector.matchers.matchers.iter().find(|matcher| matcher.name == "__name__")?;
        matches!(of_name.op, MatchOp::Equal).then(|| of_name.value.clone())
    };
    selector.name.clone().or_else(by_label)
}

/// An expression held to some fleets.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Restricted {
    /// The expression.
    pub(super) text: String,
    /// Whether all of its selectors with `$fleets` are held to these fleets.
    pub(super) whole: bool,
}

/// Fills `$fleets` in with `matchers` and lets of each selector that has it only those series pass for which `condition`, such as
/// `and on (namespace, fleet) member`, holds. Selectors over a time are held where their function has made values of them.
pub(super) fn restrict(
    text: &str,
    others: &[(&str, &str)],
    matchers: &str,
    condition: &str,
) -> Result<Restricted, ExpressionError> {
    let fill = |fleets: &str| {
        let values: Vec<(&str, &str)> = [("fleets", fleets)].into_iter().chain(others.iter().copied()).collect();
        scan::fill(text, &values)
    };
    let plain = fill(matchers)?;
    let marked = parse(&fill(&format!("{matchers},{MARK}=\"1\""))?)?;
    // Printed once, its matchers are in the order in which the parser prints them.
    let condition = parse(&format!("x {condition}"))?.to_string();
    let Expr::Binary(condition) = parse(&condition)? else {
        return Ok(Restricted { text: plain, whole: false });
    };
    let mut walk = Walk { condition: &condition, whole: true };
    let (expr, left) = walk.expr(marked);
    let text = expr.to_string();
    // What the parser's own printer loses, it must not lose for us.
    if parse(&text).as_ref() == Ok(&expr) {
        Ok(Restricted { text, whole: walk.whole && !left })
    } else {
        Ok(Restricted { text: plain, whole: false })
    }
}

struct Walk<'a> {
    condition: &'a BinaryExpr,
    whole: bool,
}

impl Walk<'_> {
    /// The expression with its marks replaced by conditions; true if one is left for whoever makes values of it.
    fn expr(&mut self, expr: Expr) -> (Expr, bool) {
        match expr {
            Expr::VectorSelector(mut selector) => {
                let marked = unmark(&mut selector);
                let expr = Expr::VectorSelector(selector);
                (if marked { self.hold(expr) } else { expr }, false)
            }
            Expr::MatrixSelector(mut matrix) => {
                let marked = unmark(&mut matrix.vs);
                (Expr::MatrixSelector(matrix), marked)
            }
            Expr::Call(call) => self.call(call),
            Expr::Aggregate(mut aggregate) => {
                aggregate.expr = self.boxed(aggregate.expr);
                aggregate.param = aggregate.param.map(|parameter| self.boxed(parameter));
                (Expr::Aggregate(aggregate), false)
            }
            Expr::Unary(mut unary) => {
                unary.expr = self.boxed(unary.expr);
                (Expr::Unary(unary), false)
            }
            Expr::Binary(mut binary) => {
                binary.lhs = self.boxed(binary.lhs);
                binary.rhs = self.boxed(binary.rhs);
                (Expr::Binary(binary), false)
            }
            Expr::Paren(paren) => {
                let (inner, left) = self.expr(*paren.expr);
                (Expr::Paren(ParenExpr { expr: Box::new(inner) }), left)
            }
            Expr::Subquery(mut subquery) => {
                subquery.expr = self.boxed(subquery.expr);
                (Expr::Subquery(subquery), false)
            }
            Expr::NumberLiteral(_) | Expr::StringLiteral(_) | Expr::Extension(_) => (expr, false),
        }
    }

    fn boxed(&mut self, expr: Box<Expr>) -> Box<Expr> {
        let (expr, left) = self.expr(*expr);
        self.whole &= !left;
        Box::new(expr)
    }

    fn call(&mut self, mut call: Call) -> (Expr, bool) {
        let mut left = false;
        let of_selectors = OF_SELECTORS.contains(&call.func.name);
        for argument in &mut call.args.args {
            let expr = std::mem::replace(&mut **argument, Expr::NumberLiteral(parser::NumberLiteral::new(0.0)));
            let (expr, marked) = match expr {
                Expr::VectorSelector(mut selector) if of_selectors => {
                    let marked = unmark(&mut selector);
                    (Expr::VectorSelector(selector), marked)
                }
                other => self.expr(other),
            };
            **argument = expr;
            left |= marked;
        }
        // Its result has no labels of series that are not there.
        let absent = call.func.name == "absent_over_time";
        self.whole &= !(left && absent);
        let call = Expr::Call(call);
        (if left && !absent { self.hold(call) } else { call }, false)
    }

    fn hold(&self, expr: Expr) -> Expr {
        let held = BinaryExpr { lhs: Box::new(expr), ..self.condition.clone() };
        Expr::Paren(ParenExpr { expr: Box::new(Expr::Binary(held)) })
    }
}

/// Takes the mark away, and puts the matchers in the order in which the parser prints them; true if there was a mark.
fn unmark(selector: &mut VectorSelector) -> bool {
    let is_mark = |matcher: &Matcher| matcher.name == MARK;
    let lists = std::iter::once(&mut selector.matchers.matchers).chain(&mut selector.matchers.or_matchers);
    let mut found = false;
    for list in lists {
        let before = list.len();
        list.retain(|matcher| !is_mark(matcher));
        found |= list.len() != before;
    }
    selector.matchers.matchers.sort_by_cached_key(ToString::to_string);
    found
}

#[cfg(test)]
mod tests;
