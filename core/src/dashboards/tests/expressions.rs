//! Every expression parses, names series that there are, and labels that they have.

use std::collections::BTreeSet;

use promql_parser::label::METRIC_NAME;
use promql_parser::parser::{self, Expr, LabelModifier, VectorMatchCardinality, VectorSelector};

use super::super::query::concrete;
use super::super::variables::Scope as Chosen;
use super::super::{annotations, queries};
use super::known;
use crate::catalogue::{self, Origin};
use crate::metrics::{Scope, Source};

/// What an expression names.
#[derive(Debug, Default)]
struct Named {
    series: BTreeSet<String>,
    labels: BTreeSet<String>,
}

// === impl Named ===

impl Named {
    fn of(expr: &str) -> Self {
        let mut named = Self::default();
        named.walk(&parser::parse(expr).unwrap_or_else(|error| panic!("{expr}: {error}")));
        named
    }

    fn selector(&mut self, selector: &VectorSelector) {
        self.series.insert(selector.name.clone().expect("a selector has a name"));
        let matchers = selector.matchers.matchers.iter().map(|matcher| matcher.name.clone());
        self.labels.extend(matchers.filter(|name| name != METRIC_NAME));
    }

    fn walk(&mut self, expr: &Expr) {
        match expr {
            Expr::Aggregate(aggregate) => {
                if let Some(LabelModifier::Include(labels) | LabelModifier::Exclude(labels)) = &aggregate.modifier {
                    self.labels.extend(labels.labels.iter().cloned());
                }
                self.walk(&aggregate.expr);
            }
            Expr::Binary(binary) => {
                if let Some(modifier) = &binary.modifier {
                    if let Some(LabelModifier::Include(labels) | LabelModifier::Exclude(labels)) = &modifier.matching {
                        self.labels.extend(labels.labels.iter().cloned());
                    }
                    if let VectorMatchCardinality::ManyToOne(labels) = &modifier.card {
                        self.labels.extend(labels.labels.iter().cloned());
                    }
                }
                self.walk(&binary.lhs);
                self.walk(&binary.rhs);
            }
            Expr::Paren(inner) => self.walk(&inner.expr),
            Expr::Unary(inner) => self.walk(&inner.expr),
            Expr::Subquery(inner) => self.walk(&inner.expr),
            Expr::Call(call) => call.args.args.iter().for_each(|argument| self.walk(argument)),
            Expr::VectorSelector(selector) => self.selector(selector),
            Expr::MatrixSelector(selector) => self.selector(&selector.vs),
            Expr::NumberLiteral(_) | Expr::StringLiteral(_) | Expr::Extension(_) => {}
        }
    }
}

/// Panics unless all that an expression and its legend name is known.
fn check(expr: &str, legend: &str) {
    let named = Named::of(&concrete(expr));
    assert!(!named.series.is_empty(), "{expr} names no series");
    let labels: BTreeSet<String> = named
        .series
        .iter()
        .flat_map(|series| known::labels(series).unwrap_or_else(|| panic!("{expr}: nothing gives {series}")))
        .collect();
    let legend = regex::Regex::new(r"\{\{(\w+)\}\}")
        .unwrap()
        .captures_iter(legend)
        .map(|found| found[1].to_owned())
        .collect::<Vec<_>>();
    for label in named.labels.iter().chain(&legend) {
        assert!(labels.contains(label), "{expr}: none of {:?} has the label {label}", named.series);
    }
}

#[test]
fn queries_parse_and_name_series_and_labels_that_there_are() {
    for board in super::super::boards() {
        for panel in board.panels() {
            for target in &panel.targets {
                check(&target.expr(&Chosen::Variables), target.legend);
            }
        }
    }
}

#[test]
fn a_dashboard_of_a_fleet_has_queries_that_parse_too() {
    let scope = Chosen::Fleet { namespace: "agents".to_owned(), name: "sample".to_owned() };
    for panel in super::super::overview::board().panels() {
        for target in &panel.targets {
            check(&target.expr(&scope), target.legend);
        }
    }
}

#[test]
fn expressions_of_marks_parse_and_name_series_that_there_are() {
    for expr in annotations::expressions(&Chosen::Variables) {
        check(&expr, "");
    }
}

#[test]
fn nothing_of_grafana_is_left_in_concrete_queries() {
    for query in queries() {
        assert!(!query.concrete().contains('$'), "{}", query.concrete());
        assert!(!query.expr.contains("$fleets"), "{}", query.expr);
    }
}

#[test]
fn queries_select_the_chosen_fleets_or_nodes() {
    for query in queries() {
        let named = Named::of(&query.concrete());
        let of_fleets = named.series.iter().all(|series| known::labels(series).unwrap().contains("fleet"));
        let chosen = if of_fleets {
            query.expr.matches(r#"namespace=~"$namespace",fleet=~"$fleet""#).count()
        } else {
            usize::MAX
        };
        let selectors = query.expr.matches('{').count();
        assert!(chosen >= selectors, "{}: {}", query.panel, query.expr);
    }
}

#[test]
fn what_a_query_lives_from_is_what_it_names() {
    for query in queries() {
        let named = Named::of(&query.concrete()).series;
        let telemetry = |series: &String| {
            let row = catalogue::recording(series);
            matches!(catalogue::known(series).map(|known| known.origin), Some(Origin::Telemetry(_)))
                || row.is_some_and(|row| row.source == Source::Telemetry)
        };
        let itself = |series: &String| match catalogue::known(series).map(|known| known.origin) {
            Some(Origin::Measured(scope)) => scope != Scope::Fleet,
            origin => origin == Some(Origin::Prometheus),
        };
        let of_agents = |series: &String| catalogue::known(series).is_none();
        let found = if named.iter().any(telemetry) {
            Source::Telemetry
        } else if named.iter().any(itself) {
            Source::Fleetscope
        } else if named.iter().any(of_agents) {
            Source::Scrape
        } else {
            Source::Kernel
        };
        assert_eq!(query.source, found, "{}", query.expr);
    }
}

#[test]
fn every_panel_lives_from_one_source_or_has_one_that_is_there() {
    for board in super::super::boards() {
        for panel in board.panels() {
            let first = panel.targets.first().unwrap().source;
            let same = panel.targets.iter().all(|target| target.source == first);
            assert!(same || first == Source::Kernel, "{}", panel.title);
        }
    }
}
