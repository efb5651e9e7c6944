//! Prices of made-up lists, and what holds for any.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn list(models: &Value) -> ModelPriceListSpec {
    serde_json::from_value(json!({ "currency": "EUR", "models": models })).unwrap()
}

fn entry(provider: &str, model: &str, input: &str) -> Value {
    json!({ "provider": provider, "model": model, "perMillion": { "input": input, "output": "15" } })
}

fn with(mut entry: Value, field: &str, day: &str) -> Value {
    entry[field] = json!(day);
    entry
}

fn day(text: &str) -> Date {
    date(text).unwrap()
}

fn faults(models: &Value) -> Vec<String> {
    check(&list(models)).iter().map(ToString::to_string).collect()
}

#[test]
fn a_date_that_is_none_is_a_fault() {
    let models =
        json!([with(entry("*", "m", "1"), "from", "2026-02-30"), with(entry("*", "n", "1"), "until", "2026-13-01")]);
    assert_eq!(
        faults(&models),
        [
            "spec.models[0].from: is no day of the calendar: write it as 2026-01-31",
            "spec.models[1].until: is no day of the calendar: write it as 2026-01-31",
        ]
    );
}

#[test]
fn a_period_without_a_day_is_a_fault() {
    let never = with(with(entry("*", "m", "1"), "from", "2026-02-01"), "until", "2026-02-01");
    assert_eq!(
        faults(&json!([never])),
        ["spec.models[0].until: is not after from, so that the prices never hold: exchange them"]
    );
}

#[test]
fn two_entries_of_which_none_is_the_more_specific_one_are_a_fault() {
    let says = |one: &str, other: &str| {
        format!(
            "spec.models[1]: neither it nor spec.models[0] is the more specific one: {one} and {other} match a same call from the same day on: remove one, make one more specific, or let it begin on another day (from)"
        )
    };
    assert_eq!(faults(&json!([entry("p", "m", "1"), entry("p", "m", "2")])), [says("p/m", "p/m")]);
    assert_eq!(
        faults(&json!([entry("*", "gpt-*-a", "1"), entry("*", "gpt-a-*", "2")])),
        [says("*/gpt-*-a", "*/gpt-a-*")]
    );
    let begun = |day: &str| with(entry("p", "m", "1"), "from", day);
    for fine in [
        json!([entry("p", "m", "1"), entry("q", "m", "2")]),
        json!([entry("p", "m-*", "1"), entry("p", "n-*", "2")]),
        json!([entry("p", "m", "1"), entry("*", "m", "2")]),
        json!([entry("p", "m", "1"), begun("2026-01-01"), begun("2026-02-01")]),
    ] {
        assert_eq!(faults(&fine), [""; 0], "{fine}");
    }
    assert_eq!(faults(&json!(vec![entry("p", "m", "1"); 1_000])).len(), 999);
}

fn any_entry() -> impl Strategy<Value = Value> {
    let day = || proptest::option::of("2026-0[1-3]-0[1-3]");
    ("p|q|[*]", "[ab*]{1,3}", day(), day()).prop_map(|(provider, model, from, until)| {
        let mut entry = entry(&provider, &model, "1");
        for (field, day) in [("from", from), ("until", until)] {
            if let Some(day) = day {
                entry[field] = json!(day);
            }
        }
        entry
    })
}

proptest! {
    /// For a call the most specific of the entries counts that match it and are in force.
    #[test]
    fn a_list_without_faults_has_at_most_one_entry_for_a_call(
        entries in proptest::collection::vec(any_entry(), 1..8), provider in "p|q|r", model in "[ab]{1,3}", on in "2026-0[1-3]-0[1-3]",
    ) {
        let spec = list(&json!(entries));
        let on = day(&on);
        let fits = |entry: &ModelPrice| {
            let (from, until) = period(entry).unwrap();
            let globs = Glob::new(&entry.model).matches(&model) && Glob::new(&entry.provider).matches(&provider);
            (globs && from <= on && until.is_none_or(|until| on < until)).then(|| rank(entry, from))
        };
        let ranks: Vec<Option<(usize, usize, Date)>> = spec.models.iter().map(fits).collect();
        let best = ranks.iter().flatten().max();
        if check(&spec).is_empty() {
            prop_assert!(ranks.iter().filter(|rank| rank.is_some() && rank.as_ref() == best).count() <= 1);
        }
    }
}
