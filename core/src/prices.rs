//! What is wrong with a price list that its schema cannot see. Nothing counts cost with prices yet: that takes telemetry of agents.
//!
//! In: a list. Out: everything that would leave the price of a call open.

use jiff::civil::Date;

use crate::api::ModelPriceListSpec;
use crate::api::model_price_list::ModelPrice;
use crate::glob::Glob;
use crate::resources::Fault;

/// All of it: dates that are not in the calendar, periods that are empty, entries of which none would be the more specific one.
pub fn check(spec: &ModelPriceListSpec) -> Vec<Fault> {
    let mut faults = Vec::new();
    for (i, price) in spec.models.iter().enumerate() {
        let path = |field: &str| format!("spec.models[{i}].{field}");
        for (field, text) in [("from", &price.from), ("until", &price.until)] {
            if text.as_deref().is_some_and(|text| date(text).is_none()) {
                faults.push(Fault::value(path(field), "is no day of the calendar", "write it as 2026-01-31"));
            }
        }
        if let Some((from, Some(until))) = period(price)
            && from >= until
        {
            faults.push(Fault::value(
                path("until"),
                "is not after from, so that the prices never hold",
                "exchange them",
            ));
        }
        // The first of those before is told of: 1,000 equal entries give 999 faults, not half a million.
        if let Some((other, before)) = spec.models[..i].iter().enumerate().find(|(_, before)| ambiguous(before, price))
        {
            let message = format!(
                "neither it nor spec.models[{other}] is the more specific one: {} and {} match a same call from the same day on",
                shown(before),
                shown(price)
            );
            let remedy = "remove one, make one more specific, or let it begin on another day (from)";
            faults.push(Fault::value(format!("spec.models[{i}]"), message, remedy));
        }
    }
    faults
}

/// Whether a call could match both, with nothing that makes one of them count.
fn ambiguous(one: &ModelPrice, other: &ModelPrice) -> bool {
    let (Some(held), Some(held2)) = (period(one), period(other)) else { return false };
    let meet = |one: &str, other: &str| {
        // Most are plain names.
        if one.contains('*') || other.contains('*') { Glob::new(one).meets(&Glob::new(other)) } else { one == other }
    };
    rank(one, held.0) == rank(other, held2.0)
        && holds(held)
        && holds(held2)
        && meet(&one.provider, &other.provider)
        && meet(&one.model, &other.model)
}

fn holds((from, until): (Date, Option<Date>)) -> bool {
    until.is_none_or(|until| from < until)
}

fn shown(price: &ModelPrice) -> String {
    format!("{}/{}", price.provider, price.model)
}

/// How specific an entry is: characters of model and provider beside `*`, and its first day.
fn rank(price: &ModelPrice, from: Date) -> (usize, usize, Date) {
    let characters = |pattern: &str| pattern.chars().filter(|c| *c != '*').count();
    (characters(&price.model), characters(&price.provider), from)
}

/// First day, and first day after the last one. None if one of them is no date.
fn period(price: &ModelPrice) -> Option<(Date, Option<Date>)> {
    let from = match &price.from {
        Some(text) => date(text)?,
        None => Date::MIN,
    };
    let until = match &price.until {
        Some(text) => Some(date(text)?),
        None => None,
    };
    Some((from, until))
}

fn date(text: &str) -> Option<Date> {
    // A date alone: jiff would take `2026-01-31T10:00` too.
    text.parse().ok().filter(|_| text.len() == 10)
}

#[cfg(test)]
mod tests;
