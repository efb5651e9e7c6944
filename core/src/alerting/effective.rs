//! The catalogue's alerts as a policy has them: what an override says counts before what the fleet's profile says, and that before
//! what the catalogue says.
//!
//! In: rows of the catalogue, profiles, overrides. Out: instances, each for fleets of some profiles: fleets of a profile that changes an
//! alert have an instance of their own, with the label `profile`, as one rule has one threshold.

use super::ProfileAlerts;
use super::checker::Checker;
use super::input::Audience;
use super::nearest::nearest;
use super::rule::Texts;
use crate::api::alerting::{AlertOverride, CatalogueSpec};
use crate::api::conditions::Reason;
use crate::api::scalars::{Decimal, PromDuration, Severity};
use crate::catalogue::Alert;
use crate::promql::text::number;

/// Labels that our alerts have by themselves; a user's label of the same name would hide what tells two alerts apart.
pub(super) const OWN_LABELS: [&str; 9] =
    ["budget", "catalogue", "currency", "invariant", "model", "profile", "provider", "slo", "workload"];

/// An alert of the catalogue as it is written.
#[derive(Clone, Debug)]
pub(super) struct Instance<'a> {
    pub(super) row: &'a Alert,
    /// The profile whose fleets it is for; none: those of all profiles that do not change the alert.
    pub(super) profile: Option<&'a str>,
    /// The profiles that do change it, if it is for those of all others.
    pub(super) except: Vec<&'a str>,
    pub(super) values: Values,
    pub(super) labels: Texts,
    pub(super) annotations: Texts,
    pub(super) runbook_url: Option<&'a str>,
}

/// What can differ.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Values {
    pub(super) severity: Severity,
    pub(super) hold: String,
    pub(super) keep_firing_for: String,
    pub(super) window: Option<String>,
    pub(super) threshold: Option<String>,
    pub(super) minimum: Option<String>,
}

/// The instances of a policy's catalogue alerts. `profiles` are those of its fleets.
pub(super) fn instances<'a>(
    rows: &'a [Alert],
    profiles: &'a [ProfileAlerts<'a>],
    audience: Audience,
    spec: &'a CatalogueSpec,
    checker: &mut Checker<'_>,
) -> Vec<Instance<'a>> {
    check_overrides(rows, audience, spec, checker);
    for key in spec.labels.keys().filter(|key| OWN_LABELS.contains(&key.as_str())) {
        refuse_label(&format!("spec.catalogue.labels.{key}"), key, checker);
    }
    let mut instances = Vec::new();
    for row in rows.iter().filter(|row| audience.hears(row)) {
        let mut overrides = spec.overrides.iter().enumerate().filter(|(_, over)| over.alert == row.name).peekable();
        if overrides.peek().is_none() {
            of_row(row, None, "", profiles, spec, checker, &mut instances);
        }
        for (i, over) in overrides {
            of_row(row, Some(over), &format!("spec.catalogue.overrides[{i}]"), profiles, spec, checker, &mut instances);
        }
    }
    refuse_twins(&instances, checker);
    instances
}

/// One alert under one override: for fleets of profiles that change it, and for all others.
fn of_row<'a>(
    row: &'a Alert,
    over: Option<&'a AlertOverride>,
    path: &str,
    profiles: &'a [ProfileAlerts<'a>],
    spec: &'a CatalogueSpec,
    checker: &mut Checker<'_>,
    instances: &mut Vec<Instance<'a>>,
) {
    let mut labels: Texts = spec.labels.iter().map(|(name, value)| (name.clone(), value.0.clone())).collect();
    let mut annotations = Texts::new();
    if let Some(over) = over {
        labels.extend(over.labels.iter().map(|(name, value)| (name.clone(), value.0.clone())));
        annotations.extend(over.annotations.iter().map(|(name, value)| (name.clone(), value.0.clone())));
    }
    let runbook_url = over.and_then(|over| over.runbook_url.as_deref());
    let common = effective(row, None, over);
    let mut except = Vec::new();
    for profile in profiles {
        let values = effective(row, Some(profile), over);
        if values == common {
            continue;
        }
        except.push(profile.name);
        if let Some(values) = values {
            let (labels, annotations) = (labels.clone(), annotations.clone());
            let profile = Some(profile.name);
            instances.push(Instance { row, profile, except: Vec::new(), values, labels, annotations, runbook_url });
        }
    }
    if let Some(values) = common {
        instances.push(Instance { row, profile: None, except, values, labels, annotations, runbook_url });
    }
    for key in spec.labels.keys().filter(|key| row.by.contains(key)) {
        refuse_label(&format!("spec.catalogue.labels.{key}"), key, checker);
    }
    for key in over.iter().flat_map(|over| over.labels.keys()) {
        if row.by.contains(key) || OWN_LABELS.contains(&key.as_str()) {
            refuse_label(&format!("{path}.labels.{key}"), key, checker);
        }
    }
}

/// The values for fleets of a profile; None if there the alert is off.
fn effective(row: &Alert, profile: Option<&ProfileAlerts<'_>>, over: Option<&AlertOverride>) -> Option<Values> {
    let of_profile = profile.and_then(|profile| profile.alerts.get(row.name.as_str()));
    let by_default = of_profile.and_then(|alert| alert.enabled).unwrap_or(row.default_enabled);
    let on = over.map_or(by_default, |over| over.enabled.unwrap_or(by_default || says_something(over)));
    if !on {
        return None;
    }
    let text = |over: Option<&String>, profile: Option<&String>, row: &str| {
        over.or(profile).map_or_else(|| row.to_owned(), Clone::clone)
    };
    let duration = |field: fn(&AlertOverride) -> &Option<PromDuration>| {
        over.and_then(|over| field(over).as_ref()).map(|duration| &duration.0)
    };
    let decimal = |field: fn(&AlertOverride) -> &Option<Decimal>, profile: Option<&String>, row: Option<&str>| {
        let over = over.and_then(|over| field(over).as_ref()).map(|decimal| &decimal.0);
        row.map(|row| number(&text(over, profile, row)))
    };
    Some(Values {
        severity: over
            .and_then(|over| over.severity)
            .or_else(|| of_profile.and_then(|alert| alert.severity))
            .unwrap_or(row.severity),
        hold: text(duration(|over| &over.hold), of_profile.and_then(|alert| alert.hold.as_ref()), &row.hold),
        keep_firing_for: text(duration(|over| &over.keep_firing_for), None, &row.keep_firing_for),
        window: row.window.as_ref().map(|window| text(duration(|over| &over.window), None, window)),
        threshold: decimal(
            |over| &over.threshold,
            of_profile.and_then(|alert| alert.threshold.as_ref()),
            row.threshold.as_ref().map(|threshold| threshold.value.as_str()),
        ),
        minimum: decimal(
            |over| &over.minimum,
            of_profile.and_then(|alert| alert.minimum.as_ref()),
            row.minimum.as_ref().map(|minimum| minimum.value.as_str()),
        ),
    })
}

/// Whether an override says anything but whether the alert is on.
fn says_something(over: &AlertOverride) -> bool {
    let nothing = AlertOverride { alert: over.alert.clone(), enabled: over.enabled, ..AlertOverride::default() };
    *over != nothing
}

fn check_overrides(rows: &[Alert], audience: Audience, spec: &CatalogueSpec, checker: &mut Checker<'_>) {
    for (i, over) in spec.overrides.iter().enumerate() {
        let path = format!("spec.catalogue.overrides[{i}]");
        let Some(row) = rows.iter().find(|row| row.name == over.alert) else {
            let remedy = match nearest(&over.alert, rows.iter().map(|row| row.name.as_str())) {
                Some(near) => format!("did you mean {near}? docs/alerts.md lists all"),
                None => "docs/alerts.md lists all alerts".to_owned(),
            };
            let message = format!("the catalogue has no alert {}", over.alert);
            checker.fault(Reason::RefNotFound, format!("{path}.alert"), message, remedy);
            continue;
        };
        if !audience.may_hear(row) {
            let message = format!("{} is about Fleetscope itself, not about a fleet", row.name);
            checker.value(format!("{path}.alert"), message, "override it in a ClusterAlertPolicy");
        }
        check_values(row, over, &path, checker);
        for (list, texts) in [("labels", &over.labels), ("annotations", &over.annotations)] {
            for (name, text) in texts {
                checker.template(&format!("{path}.{list}.{name}"), &text.0);
            }
        }
    }
    for (name, text) in &spec.labels {
        checker.template(&format!("spec.catalogue.labels.{name}"), &text.0);
    }
}

fn check_values(row: &Alert, over: &AlertOverride, path: &str, checker: &mut Checker<'_>) {
    if let Some(threshold) = &over.threshold {
        match &row.threshold {
            None => checker.value(
                format!("{path}.threshold"),
                format!("{} compares with no threshold", row.name),
                "remove threshold",
            ),
            Some(bounds) => {
                let (least, most) = (bounds.min.parse().unwrap_or(f64::MIN), bounds.max.parse().unwrap_or(f64::MAX));
                if !(least..=most).contains(&threshold.value()) {
                    let message = format!("{} is not from {} to {}", threshold.0, bounds.min, bounds.max);
                    checker.value(format!("{path}.threshold"), message, "set a value within these bounds");
                }
            }
        }
    }
    if over.minimum.is_some() && row.minimum.is_none() {
        let message = format!("{} has no minimum of traffic", row.name);
        checker.value(format!("{path}.minimum"), message, "remove minimum");
    }
    if let Some(window) = &over.window {
        if row.window.is_none() {
            let message = format!("{} has no window of its own: it looks at a recording", row.name);
            checker.value(format!("{path}.window"), message, "remove window");
        } else if window.seconds().is_none_or(|seconds| seconds == 0) {
            checker.value(
                format!("{path}.window"),
                format!("{:?} is no time to look over", window.0),
                "set for example 5m",
            );
        }
    }
}

fn refuse_label(path: &str, key: &str, checker: &mut Checker<'_>) {
    checker.value(path, format!("the label {key} tells alerts apart"), "give the label another name");
}

/// Two overrides of one alert with different severities are two alerts; if one of them leaves the severity as it is, the two may be
/// the same all the same.
fn refuse_twins(instances: &[Instance<'_>], checker: &mut Checker<'_>) {
    for (i, one) in instances.iter().enumerate() {
        let twin = instances[..i].iter().any(|other| {
            other.row.name == one.row.name
                && other.profile == one.profile
                && other.values.severity == one.values.severity
                && other.labels == one.labels
        });
        if twin {
            let message = format!("{} has the severity {} twice", one.row.name, one.values.severity.as_str());
            checker.value(
                "spec.catalogue.overrides",
                message,
                "set a different severity in each override of one alert",
            );
        }
    }
}

#[cfg(test)]
mod tests;
