//! What `AlertPolicy` and `ClusterAlertPolicy` have in common: their share of the fleets, what is made of them, and their status.

use fleetscope_core::alerting::{Policy, Rendered, SelectedFleet, of_policy};
use fleetscope_core::api::alerting::PolicyStatus;
use fleetscope_core::api::conditions::{ConditionType, Fact, Reason, merge, policy_ready};
use fleetscope_core::api::receivers::secret_contents;
use jiff::Timestamp;

use super::guard::Unreadable;
use super::kind::{Decision, Told, count, cut, listed};
use crate::context::{Context, lock};
use crate::owner::{OwnerKey, OwnerKind};
use crate::policies::PolicyClaim;
use crate::precedence::{self, Claims};
use crate::secrets::Named;

/// Warnings in a status, at most, and their length.
const WARNINGS: usize = 32;
const WARNING_BYTES: usize = 1_024;
/// How a warning ends about a rule over a series that nobody has.
const UNKNOWN_METRIC: &str = "nothing emits the metric";

/// What was made of a policy.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Made {
    alerts: usize,
    recordings: usize,
    receivers: usize,
    warnings: Vec<String>,
}

/// How the fleets are shared out.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
struct Counts {
    decided: usize,
    yielded: usize,
    /// Those that yield to an older policy of the same kind: that policy, and the fleets.
    elders: Vec<(String, Vec<String>)>,
}

/// Notes a policy, and wakes those whom that concerns.
pub(super) fn enter(ctx: &Context, key: &OwnerKey, claim: Option<PolicyClaim>) {
    let mut claims = lock(&ctx.claims);
    // Whether it is accepted, and what was before, is what the last turn said.
    let known = claims.policies.get(key).cloned();
    let claim = claim.map(|claim| match known {
        Some(PolicyClaim { uid, accepted, last_good, .. }) if uid == claim.uid => {
            PolicyClaim { accepted, last_good, ..claim }
        }
        _ => claim,
    });
    let change = claims.policies.set(key, claim);
    wake(ctx, claims, key, change);
}

/// Notes a policy that cannot be read: as one that is not accepted.
pub(super) fn enter_unreadable(ctx: &Context, key: &OwnerKey, unreadable: &Unreadable) {
    let uid = unreadable.metadata.uid.as_deref();
    if lock(&ctx.claims).policies.get(key).is_none_or(|known| Some(known.uid.as_str()) != uid) {
        enter(ctx, key, PolicyClaim::of_unreadable(&unreadable.metadata, &unreadable.spec, &unreadable.status));
    }
    accepted(ctx, key, None);
}

/// Notes the claim of a policy that was found to make sense, or that it does not, and wakes those whom that concerns.
pub(super) fn accepted(ctx: &Context, key: &OwnerKey, good: Option<PolicyClaim>) {
    let mut claims = lock(&ctx.claims);
    let change = claims.policies.accepted(key, good, Timestamp::now().as_second());
    wake(ctx, claims, key, change);
}

fn wake(
    ctx: &Context,
    claims: std::sync::MutexGuard<'_, Claims>,
    key: &OwnerKey,
    change: Option<crate::policies::PolicyChange>,
) {
    let concerned = change.map(|change| precedence::of_policy(&claims, key, &change));
    drop(claims);
    ctx.requeue.push(concerned.into_iter().flatten());
}

/// Whether enough is known to decide.
pub(super) fn known(ctx: &Context) -> bool {
    let kinds = [OwnerKind::AgentFleet, OwnerKind::AlertPolicy, OwnerKind::ClusterAlertPolicy];
    kinds.into_iter().all(|kind| ctx.listed(kind)) && ctx.children.known()
}

/// Keys of Secrets that a policy's receivers name.
pub(super) fn secret_keys(policy: Policy<'_>) -> Vec<Named> {
    let named = |(key, content)| Named { path: "spec.receivers".to_owned(), key, content: Some(content) };
    secret_contents(&policy.alerting().routing.receivers).into_iter().map(named).collect()
}

/// The rules and receivers of a policy.
pub(super) fn decide(ctx: &Context, key: &OwnerKey, policy: Policy<'_>) -> Decision<Made> {
    let fleets = selected(&lock(&ctx.claims), key);
    match of_policy(policy, &fleets, &ctx.site, ctx.children.installed()) {
        Ok(Rendered { objects, alerts, recordings, receivers, warnings }) => {
            let seen = Made { alerts, recordings, receivers, warnings };
            Decision { faults: Vec::new(), desired: objects, seen }
        }
        Err(faults) => Decision { faults, desired: Vec::new(), seen: Made::default() },
    }
}

/// The fleets of a policy as they are when its spec makes sense, which is what is to be found out.
fn selected(claims: &Claims, key: &OwnerKey) -> Vec<SelectedFleet> {
    let Some(claim) = claims.policies.get(key) else { return Vec::new() };
    let share = claims.share(key, &PolicyClaim { accepted: true, ..claim.clone() });
    let fleet = |(fleet, decides): &(precedence::Fleet<'_>, bool)| SelectedFleet {
        namespace: fleet.namespace.to_owned(),
        name: fleet.name.to_owned(),
        profile: fleet.claim.profile.as_str().to_owned(),
        decides: *decides,
        call_bounds: fleet.claim.call_bounds.clone(),
    };
    share.selected.iter().map(fleet).collect()
}

fn counts(claims: &Claims, key: &OwnerKey) -> Counts {
    let Some(claim) = claims.policies.get(key) else { return Counts::default() };
    let share = claims.share(key, claim);
    let elders = share.yielded.iter().filter(|(other, _)| other.kind == key.kind);
    let names = |fleets: &[precedence::Fleet<'_>]| {
        let name = |fleet: &precedence::Fleet<'_>| match key.kind {
            OwnerKind::AlertPolicy => fleet.name.to_owned(),
            _ => format!("{}/{}", fleet.namespace, fleet.name),
        };
        fleets.iter().map(name).collect()
    };
    Counts {
        decided: share.decided.len(),
        yielded: share.yielded.values().map(Vec::len).sum(),
        elders: elders.map(|(other, fleets)| (other.name.clone(), names(fleets))).collect(),
    }
}

/// The next status of a policy.
pub(super) fn status(
    ctx: &Context,
    key: &OwnerKey,
    suspended: bool,
    told: Told<'_, PolicyStatus, Made>,
) -> PolicyStatus {
    let counts = counts(&lock(&ctx.claims), key);
    status_of(suspended, &counts, told)
}

fn status_of(suspended: bool, counts: &Counts, told: Told<'_, PolicyStatus, Made>) -> PolicyStatus {
    let Told { before, generation, mut facts, programmed, seen: made, now } = told;
    facts.push(degraded(counts, &made.warnings));
    let decided = if counts.decided == 1 { "1 fleet".to_owned() } else { format!("{} fleets", counts.decided) };
    let left = facts.iter_mut().find(|fact| fact.reason == Reason::NotAccepted && counts.decided > 0);
    if let Some(Fact { message, .. }) = left {
        *message = format!("{message}, and decides the catalogue's alerts of {decided}");
    }
    let good = format!("{} alerting and {} recording rules, decides {decided}", made.alerts, made.recordings);
    facts.insert(0, policy_ready(&facts, suspended, &good));
    let conditions = merge(&before.conditions, &facts, generation, now);
    let next = PolicyStatus {
        observed_generation: generation,
        conditions,
        fleets: Some(count(counts.decided)),
        yielded: Some(count(counts.yielded)),
        ..before.clone()
    };
    // What is in place is what was counted before.
    let Some(programmed) = programmed else { return next };
    let short = |text: &String| text[..text.floor_char_boundary(WARNING_BYTES)].to_owned();
    PolicyStatus {
        alerts: Some(count(made.alerts)),
        recordings: Some(count(made.recordings)),
        receivers: Some(count(made.receivers)),
        warnings: made.warnings.iter().take(WARNINGS).map(short).collect(),
        objects: listed(programmed.objects),
        ..next
    }
}

fn degraded(counts: &Counts, warnings: &[String]) -> Fact {
    let kind = ConditionType::Degraded;
    if !counts.elders.is_empty() {
        let elders = counts.elders.iter().map(|(elder, fleets)| format!("{elder}: {}", cut(fleets, ", ")));
        let elders: Vec<String> = elders.collect();
        let message =
            format!("older policies decide the catalogue's alerts of fleets of this one; {}", cut(&elders, "; "));
        return Fact::new(kind, true, Reason::PolicyOverlap, message);
    }
    let unknown: Vec<String> = warnings.iter().filter(|warning| warning.contains(UNKNOWN_METRIC)).cloned().collect();
    if !unknown.is_empty() {
        return Fact::new(kind, true, Reason::UnknownMetric, cut(&unknown, "; "));
    }
    Fact::new(kind, false, Reason::AsExpected, "nothing is wrong")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controllers::program::Programmed;
    use fleetscope_core::api::agent_fleet::ObjectStatus;

    fn facts(accepted: bool) -> Vec<Fact> {
        vec![
            Fact::new(ConditionType::Accepted, accepted, Reason::Valid, ""),
            Fact::new(ConditionType::Programmed, accepted, Reason::Applied, ""),
        ]
    }

    fn programmed() -> Programmed {
        let object = ObjectStatus { kind: "PrometheusRule".to_owned(), name: "p-alerts".to_owned() };
        Programmed { fact: facts(true)[1].clone(), objects: vec![object], retry: false, passing: false }
    }

    fn made() -> Made {
        let warnings = vec!["spec.rules[0]: nothing emits the metric x".to_owned()];
        Made { alerts: 5, recordings: 7, receivers: 1, warnings }
    }

    fn words(status: &PolicyStatus) -> Vec<String> {
        status.conditions.iter().map(|c| format!("{}={} {}", c.type_, c.status, c.reason)).collect()
    }

    fn told(before: &PolicyStatus, generation: i64, accepted: bool) -> Told<'_, PolicyStatus, Made> {
        let (programmed, seen) = if accepted { (Some(programmed()), made()) } else { (None, Made::default()) };
        let (facts, now) = (facts(accepted), Timestamp::UNIX_EPOCH);
        Told { before, generation: Some(generation), facts, programmed, seen, now }
    }

    #[test]
    fn a_policy_shows_its_rules_its_fleets_and_what_is_odd() {
        let counts = Counts { decided: 2, yielded: 1, elders: Vec::new() };
        let status = status_of(false, &counts, told(&PolicyStatus::default(), 3, true));
        assert_eq!(
            words(&status),
            ["Ready=True Observed", "Accepted=True Valid", "Programmed=True Applied", "Degraded=True UnknownMetric",]
        );
        assert_eq!(status.conditions[0].message, "5 alerting and 7 recording rules, decides 2 fleets");
        assert_eq!(
            (status.fleets, status.yielded, status.alerts, status.recordings),
            (Some(2), Some(1), Some(5), Some(7))
        );
        assert_eq!((status.warnings.len(), status.objects.len()), (1, 1));
    }

    #[test]
    fn one_that_yields_names_the_elder_and_the_fleets() {
        let elders = vec![("old".to_owned(), vec!["a".to_owned(), "b".to_owned()])];
        let fact = degraded(&Counts { decided: 0, yielded: 2, elders }, &made().warnings);
        assert_eq!(fact.reason, Reason::PolicyOverlap);
        assert_eq!(fact.message, "older policies decide the catalogue's alerts of fleets of this one; old: a, b");
    }

    #[test]
    fn one_that_is_not_accepted_keeps_what_is_in_place() {
        let counts = Counts { decided: 1, ..Counts::default() };
        let good = status_of(false, &counts, told(&PolicyStatus::default(), 1, true));
        let bad = status_of(false, &Counts::default(), told(&good, 2, false));
        assert_eq!(words(&bad)[0], "Ready=False NotAccepted");
        assert_eq!((bad.alerts, bad.recordings, bad.objects.len()), (Some(5), Some(7), 1));
        assert_eq!((bad.fleets, bad.observed_generation), (Some(0), Some(2)));
    }
}
