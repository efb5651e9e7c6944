//! `ModelPriceList`: whether its prices make sense. Nothing is made of it, and nothing counts cost with it yet: that takes telemetry of
//! agents, which this version does not receive.

use fleetscope_core::api::conditions::{ConditionType, merge, policy_ready};
use fleetscope_core::api::{ModelPriceList, ModelPriceListStatus};
use fleetscope_core::prices;
use fleetscope_core::resources::{Desired, Site};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use super::kind::{Decision, Kind, Told, count};
use crate::context::Context;
use crate::owner::{OwnerKey, OwnerKind};

/// The controller of `ModelPriceList`.
pub(crate) struct Prices;

impl Kind for Prices {
    type Object = ModelPriceList;
    type Status = ModelPriceListStatus;
    type Seen = ();

    const KIND: OwnerKind = OwnerKind::ModelPriceList;

    fn enter(_: &Context, _: &OwnerKey, _: Option<&ModelPriceList>) {}

    fn known(_: &Context, _: &ModelPriceList) -> bool {
        true
    }

    fn suspended(_: &ModelPriceList) -> bool {
        false
    }

    fn decide(_: &Context, _: &OwnerKey, list: &ModelPriceList) -> Decision<()> {
        Decision { faults: prices::check(&list.spec), desired: Vec::new(), seen: () }
    }

    fn label_field(_: &ModelPriceList) -> String {
        String::new()
    }

    fn beyond_namespace(_: &Site, _: &Desired) -> bool {
        false
    }

    fn status_of(list: &ModelPriceList) -> Option<ModelPriceListStatus> {
        list.status.clone()
    }

    fn conditions(status: &ModelPriceListStatus) -> &[Condition] {
        &status.conditions
    }

    fn conditions_mut(status: &mut ModelPriceListStatus) -> &mut [Condition] {
        &mut status.conditions
    }

    fn status(
        _: &Context,
        _: &OwnerKey,
        list: &ModelPriceList,
        told: Told<'_, ModelPriceListStatus, ()>,
    ) -> Option<ModelPriceListStatus> {
        let models = list.spec.models.len();
        // It has no objects: whether these are in place is no question.
        let mut facts = told.facts;
        facts.retain(|fact| fact.kind == ConditionType::Accepted);
        facts.insert(0, policy_ready(&facts, false, &kept(models)));
        Some(ModelPriceListStatus {
            observed_generation: told.generation,
            conditions: merge(&told.before.conditions, &facts, told.generation, told.now),
            models: Some(count(models)),
        })
    }

    fn unreadable(
        _: ModelPriceListStatus,
        conditions: Vec<Condition>,
        generation: Option<i64>,
    ) -> ModelPriceListStatus {
        ModelPriceListStatus { observed_generation: generation, conditions, models: None }
    }
}

/// What `Ready` says of a list that makes sense.
fn kept(models: usize) -> String {
    let entries = if models == 1 { "1 entry is".to_owned() } else { format!("{models} entries are") };
    format!("{entries} kept; this version receives no telemetry of agents, so it counts no cost with them")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_that_is_kept_says_that_nothing_is_counted_with_it() {
        let rest = "kept; this version receives no telemetry of agents, so it counts no cost with them";
        assert_eq!((kept(1), kept(2)), (format!("1 entry is {rest}"), format!("2 entries are {rest}")));
    }
}
