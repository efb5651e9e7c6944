//! What tokens cost, by the cluster's price lists.
//!
//! In: price lists, and a call's provider, model and time. Out: the price per million tokens of a kind, with where it stands; or nothing, for a
//! model that no list has is unpriced, never free and never guessed.

mod check;

use jiff::civil::Date;

use crate::api::ModelPriceListSpec;
use crate::api::model_price_list::ModelPrice;
use crate::api::scalars::Decimal;
use crate::glob::Glob;
pub use check::check;

/// Kind of a token, as the label `category` has it.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Category {
    /// Sent.
    Input,
    /// Generated.
    Output,
    /// Read from the provider's cache.
    CacheRead,
    /// Written to the provider's cache.
    CacheWrite,
    /// Of reasoning, where the provider counts them apart.
    Reasoning,
}

/// A price list by its name.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PriceList<'a> {
    /// Name of the `ModelPriceList`.
    pub name: &'a str,
    /// Its prices.
    pub spec: &'a ModelPriceListSpec,
}

/// A price, and where it stands.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Price<'a> {
    /// Per million tokens.
    pub per_million: &'a Decimal,
    /// In this currency.
    pub currency: &'a str,
    /// Name of the list.
    pub list: &'a str,
    /// Number of the entry in the list, from 0.
    pub entry: usize,
}

// === impl Category ===

impl Category {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Input, Self::Output, Self::CacheRead, Self::CacheWrite, Self::Reasoning];

    /// Value of the label `category`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Input => "input",
            Self::Output => "output",
            Self::CacheRead => "cache_read",
            Self::CacheWrite => "cache_write",
            Self::Reasoning => "reasoning",
        }
    }

    fn of(self, entry: &ModelPrice) -> &Decimal {
        let prices = &entry.per_million;
        match self {
            Self::Input => &prices.input,
            Self::Output => &prices.output,
            Self::CacheRead => prices.cache_read.as_ref().unwrap_or(&prices.input),
            Self::CacheWrite => prices.cache_write.as_ref().unwrap_or(&prices.input),
            Self::Reasoning => prices.reasoning.as_ref().unwrap_or(&prices.output),
        }
    }
}

/// The price of a model's tokens on a day (UTC). Of all entries that match and are in force the most specific one counts: the one with the most
/// characters beside `*` in its model, then in its provider, then the one that began last; of several lists then the first by name. An entry
/// with a date that is none is never in force.
pub fn price<'a>(
    lists: &[PriceList<'a>],
    provider: &str,
    model: &str,
    on: Date,
    category: Category,
) -> Option<Price<'a>> {
    let entries = lists.iter().flat_map(|list| {
        let entries = list.spec.models.iter().enumerate();
        entries.map(move |(entry, price)| (list, entry, price))
    });
    let matching = entries.filter_map(|(list, entry, price)| {
        let (from, until) = period(price)?;
        let matches = Glob::new(&price.model).matches(model) && Glob::new(&price.provider).matches(provider);
        (matches && from <= on && until.is_none_or(|until| on < until)).then_some((list, entry, price, from))
    });
    let (list, entry, price, _) = matching.min_by(|(list, entry, price, from), (list2, entry2, price2, from2)| {
        let best_first = rank(price2, *from2).cmp(&rank(price, *from));
        best_first.then_with(|| (list.name, entry).cmp(&(list2.name, entry2)))
    })?;
    let (per_million, currency) = (category.of(price), list.spec.currency.as_str());
    Some(Price { per_million, currency, list: list.name, entry })
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
