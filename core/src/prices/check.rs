//! What is wrong with a price list that its schema cannot see.

use jiff::civil::Date;

use super::{date, period, rank};
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
