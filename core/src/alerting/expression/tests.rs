use proptest::prelude::*;

use super::*;
use crate::alerting::scan::{MAX_OPERATORS, MAX_PATTERNS, fill};

fn error(text: &str) -> String {
    parse(text).unwrap_err().to_string()
}

fn restricted(text: &str) -> (String, bool) {
    let Restricted { text, whole } = restrict(text, &[], "fleet!=\"\"", "and on (namespace, fleet) member").unwrap();
    (text, whole)
}

#[test]
fn what_is_wrong_is_told_with_its_place() {
    for (text, expected) in [
        ("up{a=\"b}", "failed to parse PromQL: the string at character 6 has no end"),
        ("sum(up", "failed to parse PromQL: the ( at character 4 has no counterpart"),
        ("sum(up))", "failed to parse PromQL: the ) at character 8 has no counterpart"),
        ("up{a=\"b\"]", "failed to parse PromQL: the ] at character 9 has no counterpart"),
        ("é + up[5m", "failed to parse PromQL: the [ at character 7 has no counterpart"),
        ("rate(up)", "failed to parse PromQL: expected type matrix in call to function 'rate', got vector"),
        ("nope(up)", "failed to parse PromQL: unknown function with name 'nope'"),
    ] {
        assert_eq!(error(text), expected, "{text}");
    }
    assert!(error("up{a=~\"\\d+\"}").contains("the string at character 7 has an escape"));
    assert!(error("topk(3, rate(x[5m]) by (model))").starts_with("failed to parse PromQL: "));
}

#[test]
fn backquotes_have_no_escapes_and_comments_no_meaning() {
    for text in
        ["up{a=~`\\d+\"'`}", "up # it's \"fine\" (\n > 0", "# only\nup", "label_replace(up, 'a', '$1', 'b', '(.*)')"]
    {
        assert!(parse(text).is_ok(), "{text}: {:?}", parse(text));
    }
}

#[test]
fn what_prometheus_has_only_when_it_is_told_to_is_refused_as_are_numbers_that_it_cannot_hold() {
    for text in [
        "info(up)",
        "max_over_time(up[5m]) * step()",
        "limitk(3, up)",
        "sort_by_label(up, \"a\")",
        "a + fill(0) b",
        "1e3001",
        "99999y",
        "99999999991h30m",
        "up @ -1e300",
        "up @ 1e18",
    ] {
        assert!(parse(text).is_err(), "{text}");
    }
    for text in ["sum(limitk)", "info > 0", "fill", "up @ 1.7e9", "1e300", "up[1y]", "metric_1e3001"] {
        assert!(parse(text).is_ok(), "{text}: {:?}", parse(text));
    }
}

#[test]
fn what_makes_the_parser_panic_or_takes_its_stack_never_reaches_it() {
    for text in [
        "up[1e300]",
        "up[1e300:]",
        "up offset 1e300",
        "up offset -1e300",
        "up OFFSET\n1e99",
        "up offset 99999999999999999999999999999999999",
        "up[99999999999]",
        "up{a=\"\\é\"}",
        "up offset 0x7fffffffffffffff",
        "up offset -inf",
        "up OFFSET # a comment\nNaN",
        "up[0]",
        "up[5m:0s]",
    ] {
        assert!(parse(text).is_err(), "{text}");
    }
    for deep in ["(".repeat(4_000) + "up" + &")".repeat(4_000), "up+".repeat(4_000) + "up", "-".repeat(8_000) + "up"] {
        assert_eq!(parse(&deep), Err(ExpressionError::TooLarge { most: MAX_OPERATORS, what: "operators and calls" }));
    }
    let words = "up or ".repeat(MAX_OPERATORS) + "up";
    assert!(parse(&words).is_ok());
    assert!(parse(&format!("{words} or up")).is_err());
    let patterns: Vec<String> = (0..=MAX_PATTERNS).map(|i| format!("a{i}=~\"x\"")).collect();
    assert!(parse(&format!("up{{{}}}", patterns.join(","))).is_err());
}

#[test]
fn metrics_are_found_in_every_corner() {
    let expr = parse(
        "topk(scalar(n), rate(a[5m])) + on (x) {__name__=\"b\"} unless max_over_time(c[1h:5m]) or -d > bool 1 and {__name__=~\"e.*\"}",
    )
    .unwrap();
    assert_eq!(metrics(&expr), BTreeSet::from(["a", "b", "c", "d", "n"].map(str::to_owned)));
}

#[test]
fn placeholders_are_filled_in_outside_of_strings_only() {
    let values = [("fleets", "fleet!=\"\""), ("window", "5m")];
    let text = "rate(x{$fleets,a=\"$fleets\"}[$window]) # $nothing\n+ label_replace(y{$fleets}, 'a', '$1', 'b', '')";
    assert_eq!(
        fill(text, &values).unwrap(),
        "rate(x{fleet!=\"\",a=\"$fleets\"}[5m]) # $nothing\n+ label_replace(y{fleet!=\"\"}, 'a', '$1', 'b', '')"
    );
    let known = "placeholders are $fleets and $window".to_owned();
    assert_eq!(
        fill("x > $limit", &values),
        Err(ExpressionError::Placeholder { name: "limit".to_owned(), known: known.clone() })
    );
    assert_eq!(fill("x > $", &values), Err(ExpressionError::Placeholder { name: String::new(), known }));
    assert_eq!(fill("sum($fleets)", &values), Err(ExpressionError::OutsideBraces));
}

#[test]
fn selectors_with_fleets_are_held_to_the_condition_and_others_are_not() {
    let held = |inner: &str| format!("({inner} and on (namespace, fleet) member)");
    let x = "x{fleet!=\"\"}";
    for (text, expected) in [
        ("x{$fleets}", held(x)),
        ("sum(x{$fleets}) / sum(y)", format!("sum({}) / sum(y)", held(x))),
        ("sum by (a) (rate(x{$fleets}[5m]))", format!("sum by (a) ({})", held(&format!("rate({x}[5m])")))),
        ("max_over_time(x{$fleets}[1h:5m])", format!("max_over_time({}[1h:5m])", held(x))),
        ("timestamp(x{$fleets})", held(&format!("timestamp({x})"))),
        (
            "quantile_over_time(0.9, (x{$fleets}[5m] offset 1d))",
            held(&format!("quantile_over_time(0.9, ({x}[5m] offset 1d))")),
        ),
        ("topk(scalar(k{$fleets}), y)", format!("topk(scalar({}), y)", held("k{fleet!=\"\"}"))),
        ("y > 1", "y > 1".to_owned()),
    ] {
        assert_eq!(restricted(text), (expected, true), "{text}");
    }
    assert_eq!(
        restricted("absent_over_time(x{$fleets}[5m])"),
        ("absent_over_time(x{fleet!=\"\"}[5m])".to_owned(), false)
    );
}

fn expressions() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("x{$fleets}".to_owned()),
        Just("rate(x_total{$fleets,a=~\"b|c\"}[5m])".to_owned()),
        Just("y".to_owned()),
        Just("vector(1.5)".to_owned()),
        Just("last_over_time(z{$fleets,q=\"\\\"\\\\\"}[1d] offset 1h)".to_owned()),
    ];
    leaf.prop_recursive(4, 24, 2, |inner| {
        prop_oneof![
            (
                inner.clone(),
                inner.clone(),
                prop::sample::select(vec![
                    "+",
                    "/",
                    "> bool",
                    "and",
                    "or",
                    "unless on (a)",
                    "* ignoring (b) group_left (c)"
                ])
            )
                .prop_map(|(a, b, operator)| format!("({a}) {operator} ({b})")),
            inner.clone().prop_map(|a| format!("sum by (namespace, fleet) ({a})")),
            inner.clone().prop_map(|a| format!("topk(3, {a})")),
            inner.clone().prop_map(|a| format!("-{a}")),
            inner.clone().prop_map(|a| format!("max_over_time(({a})[1h:1m])")),
            inner.prop_map(|a| format!("label_replace({a}, \"a\", \"$1\", \"b\", \"(.*)\")")),
        ]
    })
}

proptest! {
    #[test]
    fn a_held_expression_parses_and_names_the_same_metrics(text in expressions()) {
        let (held, whole) = restricted(&text);
        prop_assert!(whole, "{held}");
        let mut names = metrics(&parse(&fill(&text, &[("fleets", "fleet!=\"\"")]).unwrap()).unwrap());
        let of_held = metrics(&parse(&held).unwrap());
        if text.contains("$fleets") {
            names.insert("member".to_owned());
        }
        prop_assert_eq!(of_held, names);
        prop_assert!(!held.contains(MARK));
    }

    #[test]
    fn any_text_is_parsed_or_refused_without_a_panic(
        text in "(up|sum|by|rate|offset|and|or|\\$fleets|[0-9]{1,4}|[smhdwy]|1e[0-9]{1,3}|[-+*/%^<>=!~(){}\\[\\],:@.#'\"`\\\\ éxuU\n]){0,40}"
    ) {
        let _: Result<Expr, ExpressionError> = parse(&text);
        let _: Result<Restricted, ExpressionError> = restrict(&text, &[], "fleet!=\"\"", "and on (namespace, fleet) member");
    }
}
