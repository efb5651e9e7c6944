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

/// Price of input, and the entry, as `list[entry] price`.
fn input(lists: &[(&str, &ModelPriceListSpec)], provider: &str, model: &str, on: &str) -> String {
    let lists: Vec<PriceList<'_>> = lists.iter().map(|(name, spec)| PriceList { name, spec }).collect();
    match price(&lists, provider, model, day(on), Category::Input) {
        Some(price) => format!("{}[{}] {}", price.list, price.entry, price.per_million.0),
        None => "unpriced".to_owned(),
    }
}

fn faults(models: &Value) -> Vec<String> {
    check(&list(models)).iter().map(ToString::to_string).collect()
}

#[test]
fn every_kind_of_token_has_its_price_or_that_of_the_kind_it_is_counted_with() {
    let prices = |per_million: Value| {
        let spec = list(&json!([{ "provider": "*", "model": "m", "perMillion": per_million }]));
        let lists = [PriceList { name: "l", spec: &spec }];
        Category::ALL.map(|category| {
            let price = price(&lists, "p", "m", day("2026-01-01"), category).unwrap();
            assert_eq!((price.currency, price.list, price.entry), ("EUR", "l", 0));
            price.per_million.0.clone()
        })
    };
    assert_eq!(prices(json!({ "input": "3", "output": "15" })), ["3", "15", "3", "3", "15"]);
    let all = json!({ "input": "3", "output": "15", "cacheRead": "0.3", "cacheWrite": "3.75", "reasoning": "60" });
    assert_eq!(prices(all), ["3", "15", "0.3", "3.75", "60"]);
    assert_eq!(Category::ALL.map(Category::as_str), ["input", "output", "cache_read", "cache_write", "reasoning"]);
}

#[test]
fn the_most_specific_entry_counts_model_before_provider_then_the_latest() {
    let spec = list(&json!([
        entry("*", "*", "1"),
        entry("anthropic", "claude-*", "2"),
        entry("*", "claude-sonnet-*", "3"),
        entry("anthropic", "claude-sonnet-*", "4"),
        with(entry("anthropic", "claude-sonnet-*", "5"), "from", "2026-06-01"),
        with(entry("*", "claude-sonnet-4-5", "6"), "until", "2026-02-01"),
    ]));
    let of = |provider: &str, model: &str, on: &str| input(&[("l", &spec)], provider, model, on);
    assert_eq!(of("openai", "gpt-5", "2026-01-01"), "l[0] 1");
    assert_eq!(of("anthropic", "claude-opus-4", "2026-01-01"), "l[1] 2");
    assert_eq!(of("aws.bedrock", "claude-sonnet-4", "2026-01-01"), "l[2] 3");
    assert_eq!(of("anthropic", "claude-sonnet-4", "2026-05-31"), "l[3] 4");
    assert_eq!(of("anthropic", "claude-sonnet-4", "2026-06-01"), "l[4] 5");
    assert_eq!(of("anthropic", "claude-sonnet-4-5", "2026-01-31"), "l[5] 6");
    assert_eq!(of("anthropic", "claude-sonnet-4-5", "2026-02-01"), "l[3] 4");
}

#[test]
fn a_model_that_no_list_has_is_unpriced() {
    let spec = list(&json!([entry("openai", "gpt-*", "1"), with(entry("*", "old", "1"), "until", "2026-01-01")]));
    assert_eq!(input(&[("l", &spec)], "openai", "o3", "2026-01-01"), "unpriced");
    assert_eq!(input(&[("l", &spec)], "azure", "gpt-5", "2026-01-01"), "unpriced");
    assert_eq!(input(&[("l", &spec)], "x", "old", "2026-01-01"), "unpriced");
    assert_eq!(input(&[], "openai", "gpt-5", "2026-01-01"), "unpriced");
}

#[test]
fn of_several_lists_the_more_specific_entry_counts_and_then_the_first_by_name() {
    let wide = list(&json!([entry("*", "gpt-*", "1")]));
    let narrow = list(&json!([entry("*", "gpt-5", "2")]));
    assert_eq!(input(&[("a", &wide), ("b", &narrow)], "openai", "gpt-5", "2026-01-01"), "b[0] 2");
    assert_eq!(input(&[("z", &wide), ("b", &wide), ("c", &wide)], "openai", "gpt-5", "2026-01-01"), "b[0] 1");
}

#[test]
fn a_date_that_is_none_is_a_fault_and_never_in_force() {
    let models =
        json!([with(entry("*", "m", "1"), "from", "2026-02-30"), with(entry("*", "n", "1"), "until", "2026-13-01")]);
    assert_eq!(
        faults(&models),
        [
            "spec.models[0].from: is no day of the calendar: write it as 2026-01-31",
            "spec.models[1].until: is no day of the calendar: write it as 2026-01-31",
        ]
    );
    for model in ["m", "n"] {
        assert_eq!(input(&[("l", &list(&models))], "p", model, "2026-06-01"), "unpriced");
    }
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
    /// A list without faults has at most one entry for a call: none is as good as the one that counts.
    #[test]
    fn what_counts_is_in_force_matches_and_has_no_equal(
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
        let price = price(&[PriceList { name: "l", spec: &spec }], &provider, &model, on, Category::Output);
        prop_assert_eq!(price.as_ref().map(|price| ranks[price.entry].as_ref()), best.map(Some));
        if check(&spec).is_empty() {
            prop_assert!(ranks.iter().filter(|rank| rank.is_some() && rank.as_ref() == best).count() <= 1);
        }
    }

    #[test]
    fn the_order_of_lists_does_not_matter(
        one in proptest::collection::vec(any_entry(), 1..5), other in proptest::collection::vec(any_entry(), 1..5), model in "[ab]{1,3}",
    ) {
        let (one, other) = (list(&json!(one)), list(&json!(other)));
        let (a, b) = (PriceList { name: "a", spec: &one }, PriceList { name: "b", spec: &other });
        let of = |lists: &[PriceList<'_>]| {
            price(lists, "p", &model, day("2026-02-02"), Category::Input).map(|price| (price.list.to_owned(), price.entry))
        };
        prop_assert_eq!(of(&[a, b]), of(&[b, a]));
    }
}
