//! The expressions of recordings: that they parse, and that they ask for what there is.

use promql_parser::label::{MatchOp, Matcher};
use promql_parser::parser::{self, Expr, VectorSelector};
use promql_parser::util::{ExprVisitor, walk_expr};
use proptest::prelude::*;

use super::*;
use crate::metrics;
use crate::metrics::telemetry::TELEMETRY;
use crate::profiles::rules::{GROUP, INTERVAL, file, group, matchers};

/// The selectors of an expression.
#[derive(Default)]
struct Selectors(Vec<VectorSelector>);

impl ExprVisitor for Selectors {
    type Error = String;

    fn pre_visit(&mut self, expr: &Expr) -> Result<bool, String> {
        match expr {
            Expr::VectorSelector(selector) => self.0.push(selector.clone()),
            Expr::MatrixSelector(selector) => self.0.push(selector.vs.clone()),
            _ => {}
        }
        Ok(true)
    }
}

fn selectors(expr: &str) -> Vec<VectorSelector> {
    let parsed = parser::parse(expr).unwrap_or_else(|error| panic!("{expr}: {error}"));
    let mut found = Selectors::default();
    walk_expr(&mut found, &parsed).unwrap();
    found.0
}

/// Source of a series and its own labels; none if nothing emits it.
fn series(name: &str) -> Option<(Source, &'static [&'static str])> {
    let part = |base: &str| matches!(name.strip_prefix(base), Some("_bucket" | "_sum" | "_count"));
    let is = |base: &str, kind: metrics::Kind| match kind {
        metrics::Kind::Histogram(_) => part(base),
        _ => base == name,
    };
    let ours = metrics::ALL.iter().filter(|metric| metric.scope == metrics::Scope::Fleet);
    let ours = ours.map(|metric| (metric.name, metric.kind, Source::Kernel, metric.labels));
    let theirs = TELEMETRY.iter().filter(|metric| metric.scope == metrics::Scope::Fleet);
    let theirs = theirs.map(|metric| (metric.name, metric.kind, Source::Telemetry, metric.labels));
    ours.chain(theirs).find(|(base, kind, ..)| is(base, *kind)).map(|(_, _, source, labels)| (source, labels))
}

fn rules_of(profile: &Profile) -> Vec<(&Recording, Value)> {
    let matchers = matchers("ai", "f");
    profile.recordings.iter().flat_map(|own| own.rules(&matchers).into_iter().map(move |rule| (own, rule))).collect()
}

#[test]
fn expressions_ask_for_series_of_the_one_fleet_that_something_emits() {
    for (recording, rule) in all().iter().flat_map(rules_of) {
        let expr = rule["expr"].as_str().unwrap();
        assert!(!expr.contains("$fleets") && !expr.contains("$part"), "{expr}");
        let found = selectors(expr);
        assert!(!found.is_empty(), "{expr}");
        for selector in found {
            let name = selector.name.clone().unwrap();
            let Some((source, labels)) = series(&name) else { panic!("{}: nothing emits {name}", recording.record) };
            assert_eq!(source, recording.source, "{}: {name}", recording.record);
            let own = &selector.matchers.matchers;
            for (label, value) in [("namespace", "ai"), ("fleet", "f")] {
                assert!(own.contains(&Matcher::new(MatchOp::Equal, label, value)), "{}: {expr}", recording.record);
            }
            for matcher in own {
                let known = metrics::IDENTITY_LABELS.iter().chain(labels).any(|label| *label == matcher.name);
                assert!(known, "{}: {name} has no label {}", recording.record, matcher.name);
            }
        }
    }
}

#[test]
fn counters_keep_what_tells_their_sources_apart() {
    for (recording, rule) in all().iter().flat_map(rules_of).filter(|(recording, _)| recording.kind != Kind::Gauge) {
        let parsed = parser::parse(rule["expr"].as_str().unwrap()).unwrap();
        let kept = match &parsed {
            Expr::Aggregate(sum) => match &sum.modifier {
                Some(parser::LabelModifier::Exclude(labels)) => {
                    let sources = ["namespace", "fleet", "pod", "container", "workload", "instance", "job"];
                    sum.op.to_string() == "sum" && !labels.labels.iter().any(|label| sources.contains(&label.as_str()))
                }
                _ => false,
            },
            Expr::VectorSelector(_) => true,
            Expr::Call(call) => call.func.name == "label_replace",
            _ => false,
        };
        assert!(kept, "{}: {}", recording.record, rule["expr"]);
    }
}

#[test]
fn results_have_the_fleet_s_labels() {
    for (recording, rule) in all().iter().flat_map(rules_of) {
        let text = rule["expr"].as_str().unwrap();
        let by = text.matches("by (").count();
        assert_eq!(text.matches("by (namespace, fleet").count(), by, "{}: {text}", recording.record);
    }
}

#[test]
fn names_are_valid_and_no_two_rules_make_the_same_series() {
    let valid = regex::Regex::new("^[a-z_][a-z0-9_]*(:[a-z0-9_]+)*$").unwrap();
    for profile in all() {
        let mut seen = BTreeSet::new();
        for (recording, rule) in rules_of(profile) {
            let name = rule["record"].as_str().unwrap();
            assert!(valid.is_match(name), "{name}");
            assert!(seen.insert((name.to_owned(), recording.labels.clone())), "{}: {name} twice", profile.name);
            let counts = name.ends_with("_total") || recording.kind == Kind::Histogram;
            // What breaks the convention says so.
            let said = recording.note.as_ref().is_some_and(|note| note.contains("_total"));
            assert!(counts == (recording.kind != Kind::Gauge) || said, "{name}");
        }
    }
}

#[test]
fn a_histogram_is_three_rules() {
    let expr = "sum without (a) (x$part{$fleets})\n".to_owned();
    let labels = BTreeMap::from([("stage".to_owned(), "total".to_owned())]);
    let recording = Recording {
        record: "h".to_owned(),
        kind: Kind::Histogram,
        source: Source::Kernel,
        covers: Vec::new(),
        labels,
        expr,
        note: None,
    };
    let rule = |part| json!({ "record": format!("h{part}"), "expr": format!("sum without (a) (x{part}{{f=\"1\"}})"), "labels": { "stage": "total" } });
    assert_eq!(recording.rules("f=\"1\""), ["_bucket", "_sum", "_count"].map(rule));
}

#[test]
fn a_profile_without_recordings_has_no_group() {
    let generic = get(ProfileName::Generic);
    assert_eq!((group(generic, "ai", "f"), file(generic, "ai", "f")), (None, json!({ "groups": [] })));
    let atoll = group(get(ProfileName::Atoll), "ai", "f").unwrap();
    assert_eq!((atoll["name"].as_str(), atoll["interval"].as_str()), (Some(GROUP), Some(INTERVAL)));
    assert_eq!(atoll["rules"].as_array().unwrap().len(), rules_of(get(ProfileName::Atoll)).len());
}

proptest! {
    #[test]
    fn matchers_are_promql_whatever_a_name_is(namespace in ".{0,20}", fleet in ".{0,20}") {
        let parsed = selectors(&format!("up{{{}}}", matchers(&namespace, &fleet)));
        let expected = [Matcher::new(MatchOp::Equal, "namespace", &namespace), Matcher::new(MatchOp::Equal, "fleet", &fleet)];
        prop_assert_eq!(&parsed[0].matchers.matchers[..], &expected[..]);
    }
}
