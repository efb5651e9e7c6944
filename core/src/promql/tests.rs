use std::collections::BTreeSet;

use proptest::prelude::*;

use super::{MAX_DEPTH, MAX_LENGTH, Promql, PromqlError};

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// Series `known` has the labels a, b and le; all others are not known.
fn labels(text: &str) -> Option<BTreeSet<String>> {
    Promql::parse(text).unwrap().labels(&|name| (name == "known").then(|| set(&["a", "b", "le"])))
}

#[test]
fn series_are_found_wherever_they_are_selected() {
    let text = r#"topk(scalar(k), sum by (x) (rate(a_total{b="c"}[5m]))) > 2 * max_over_time((b or -c)[1h:5m])
        unless on (x) {__name__="d"} offset 5m and {__name__=~"e.*"}"#;
    let all = Promql::parse(text).unwrap().series();
    assert_eq!(all, set(&["k", "a_total", "b", "c", "d"]));
}

#[test]
fn matchers_are_asked_of_every_selector() {
    let both = Promql::parse(r#"sum(a{fleet="x"}) / sum(rate(b{fleet!=""}[5m]))"#).unwrap();
    assert!(both.always_matches_on("fleet"));
    let one = Promql::parse(r#"sum(a{fleet="x"}) / sum(rate(b{namespace="y"}[5m]))"#).unwrap();
    assert!(!one.always_matches_on("fleet"));
}

#[test]
fn labels_of_results_follow_the_rules_of_prometheus() {
    let cases: &[(&str, Option<&[&str]>)] = &[
        ("known", Some(&["a", "b", "le"])),
        ("rate(known[5m]) > 3", Some(&["a", "b", "le"])),
        ("2 * known", Some(&["a", "b", "le"])),
        ("unknown", None),
        ("sum(unknown)", Some(&[])),
        ("sum by (x, y) (unknown)", Some(&["x", "y"])),
        ("sum without (a) (known)", Some(&["b", "le"])),
        ("sum without (a) (unknown)", None),
        ("topk(3, known)", Some(&["a", "b", "le"])),
        ("topk by (a) (3, known)", Some(&["a", "b", "le"])),
        (r#"count_values("v", known)"#, None),
        ("histogram_quantile(0.9, known)", Some(&["a", "b"])),
        ("histogram_quantile(0.9, sum by (x, le) (rate(unknown[5m])))", Some(&["x"])),
        (r#"label_replace(known, "new", "$1", "a", "(.*)")"#, Some(&["a", "b", "le", "new"])),
        ("quantile_over_time(0.9, known[5m])", Some(&["a", "b", "le"])),
        ("absent(known)", None),
        ("sum(absent(known))", Some(&[])),
        ("vector(1)", Some(&[])),
        ("known and on (a) unknown", Some(&["a", "b", "le"])),
        ("unknown unless known", None),
        ("known or sum by (c) (unknown)", Some(&["a", "b", "c", "le"])),
        ("known or unknown", None),
        ("unknown / on (x) unknown", Some(&["x"])),
        ("known / ignoring (a) unknown", Some(&["b", "le"])),
        ("known / unknown", Some(&["a", "b", "le"])),
        ("known * on (a) group_left (z) unknown", Some(&["a", "b", "le", "z"])),
        ("unknown * on (a) group_right (z) known", Some(&["a", "b", "le", "z"])),
        ("max_over_time(sum by (x) (unknown)[1h:5m])", Some(&["x"])),
        ("-known", Some(&["a", "b", "le"])),
        ("1 + 1", Some(&[])),
    ];
    for (text, wanted) in cases {
        assert_eq!(labels(text), wanted.map(set), "{text}");
    }
}

#[test]
fn what_is_no_promql_is_refused_with_a_reason() {
    for text in ["", "sum(", "topk(3, rate(a[5m]) by (b))", "a{b=c}", "rate(a)", "a + ", "$threshold"] {
        let refused = Promql::parse(text).unwrap_err();
        assert!(matches!(&refused, PromqlError::Syntax { reason } if !reason.is_empty()), "{text}: {refused}");
    }
}

#[test]
fn what_is_too_long_or_too_deep_is_refused() {
    let long = format!("{}a", "a+".repeat(MAX_LENGTH / 2));
    assert_eq!(Promql::parse(&long).unwrap_err(), PromqlError::TooLong { length: long.len() });
    for deep in ["(".repeat(4_000) + "a" + &")".repeat(4_000), "a+".repeat(4_000) + "a", "-".repeat(8_000) + "a"] {
        assert_eq!(Promql::parse(&deep).unwrap_err(), PromqlError::TooDeep);
    }
    let chain = "a or ".repeat(MAX_DEPTH - 1) + "a";
    assert_eq!(Promql::parse(&chain).unwrap().series(), set(&["a"]));
}

proptest! {
    #[test]
    fn any_text_is_parsed_or_refused(text in r#"[a-z(){}\[\]=~"<>!$,:.+*/ \-0-9]{0,60}"#) {
        if let Ok(promql) = Promql::parse(&text) {
            promql.series();
            promql.labels(&|_| None);
        }
    }
}
