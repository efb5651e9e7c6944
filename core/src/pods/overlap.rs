//! Whether two selectors can take the same object. Pure.

use std::collections::BTreeSet;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;

/// What a selector asks of one label.
#[derive(Clone, Debug, PartialEq)]
enum Asks<'a> {
    /// One of these values.
    OneOf(BTreeSet<&'a str>),
    /// None of these values; the label may be missing.
    NoneOf(BTreeSet<&'a str>),
    /// Any value.
    Some,
    /// That it is missing.
    Missing,
}

/// Whether no object can be taken by both: they ask different things of one label. If not, there may be one.
pub fn disjoint(one: &LabelSelector, other: &LabelSelector) -> bool {
    let other = asks(other);
    asks(one).iter().any(|(key, a)| other.iter().any(|(other_key, b)| key == other_key && contradict(a, b)))
}

fn asks(selector: &LabelSelector) -> Vec<(&str, Asks<'_>)> {
    let equal = selector.match_labels.iter().flatten();
    let equal = equal.map(|(key, value)| (key.as_str(), Asks::OneOf(BTreeSet::from([value.as_str()]))));
    let rest = selector.match_expressions.iter().flatten().filter_map(|requirement| {
        let values = || requirement.values.iter().flatten().map(String::as_str).collect();
        let asks = match requirement.operator.as_str() {
            "In" => Asks::OneOf(values()),
            "NotIn" => Asks::NoneOf(values()),
            "Exists" => Asks::Some,
            "DoesNotExist" => Asks::Missing,
            _ => return None,
        };
        Some((requirement.key.as_str(), asks))
    });
    equal.chain(rest).collect()
}

fn contradict(a: &Asks<'_>, b: &Asks<'_>) -> bool {
    match (a, b) {
        (Asks::OneOf(a), Asks::OneOf(b)) => a.is_disjoint(b),
        (Asks::OneOf(values), Asks::NoneOf(not)) | (Asks::NoneOf(not), Asks::OneOf(values)) => values.is_subset(not),
        (Asks::Missing, Asks::OneOf(_) | Asks::Some) | (Asks::OneOf(_) | Asks::Some, Asks::Missing) => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::pods::selects;

    fn selector(value: &Value) -> LabelSelector {
        serde_json::from_value(value.clone()).unwrap()
    }

    fn expression(key: &str, operator: &str, values: &[&str]) -> Value {
        json!({ "matchExpressions": [{ "key": key, "operator": operator, "values": values }] })
    }

    /// Selectors over a label that may be `x`, `y`, something else, or missing.
    fn selectors() -> Vec<Value> {
        vec![
            json!({}),
            json!({ "matchLabels": { "a": "x" } }),
            json!({ "matchLabels": { "a": "y" } }),
            json!({ "matchLabels": { "b": "x" } }),
            expression("a", "In", &["x", "y"]),
            expression("a", "NotIn", &["x"]),
            expression("a", "NotIn", &["x", "y"]),
            expression("a", "Exists", &[]),
            expression("a", "DoesNotExist", &[]),
        ]
    }

    #[test]
    fn two_selectors_are_disjoint_exactly_if_no_object_is_taken_by_both() {
        let labels = |pairs: &[(&str, &str)]| pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let objects: Vec<std::collections::BTreeMap<String, String>> = vec![
            labels(&[("b", "x")]),
            labels(&[("a", "x"), ("b", "x")]),
            labels(&[("a", "y"), ("b", "x")]),
            labels(&[("a", "z"), ("b", "x")]),
        ];
        for one in selectors() {
            for other in selectors() {
                let (a, b) = (selector(&one), selector(&other));
                let shared = objects.iter().any(|labels| selects(&a, labels) && selects(&b, labels));
                assert_eq!(disjoint(&a, &b), !shared, "{one} and {other}");
            }
        }
    }
}
