//! What is wrong with a policy that its schema cannot see: what Prometheus would refuse, or its operator would leave out in silence.

use regex::Regex;

use super::{Form, Outputs};
use crate::api::ScrapePolicySpec;
use crate::api::scrape_policy::{RelabelAction, Relabeling};
use crate::resources::Fault;

/// A label's name, with groups of the regular expression in it (prometheus-operator, `LabelConfigValidator`).
const LABEL: &str = r"^(?:(?:[a-zA-Z_]|\$(?:\{\w+\}|\w+))+\w*)+$";

/// All of it.
pub(super) fn faults(spec: &ScrapePolicySpec, outputs: Outputs) -> Vec<Fault> {
    let mut faults = Vec::new();
    for (field, steps) in [("relabelings", &spec.relabelings), ("metricRelabelings", &spec.metric_relabelings)] {
        for (i, step) in steps.iter().enumerate() {
            relabeling(&format!("spec.{field}[{i}]"), step, &mut faults);
        }
    }
    let forms = [outputs.pods, outputs.static_targets];
    if forms.contains(&Some(Form::ConfigMap)) {
        if spec.oauth2.is_some() {
            let message = "a plain scrape configuration takes the client id in clear, not from a Secret";
            let remedy =
                "set output to PodMonitor or ScrapeConfig, with prometheus-operator, or use basicAuth or authorization";
            faults.push(Fault::value("spec.oauth2", message, remedy));
        }
        if spec.scrape_class.is_some() {
            let message = "a plain scrape configuration has no scrape classes, they are prometheus-operator's";
            let remedy = "remove it, or set output to PodMonitor or ScrapeConfig, with prometheus-operator";
            faults.push(Fault::value("spec.scrapeClass", message, remedy));
        }
    }
    if forms.contains(&Some(Form::ScrapeConfig)) && !spec.follow_redirects {
        let message = "a ScrapeConfig of prometheus-operator cannot refuse redirects";
        let remedy = "remove it, or move the static targets to a policy of their own, or set output to ConfigMap";
        faults.push(Fault::value("spec.followRedirects", message, remedy));
    }
    faults
}

fn relabeling(path: &str, step: &Relabeling, faults: &mut Vec<Fault>) {
    use RelabelAction::{
        Drop, DropEqual, HashMod, Keep, KeepEqual, LabelDrop, LabelKeep, LabelMap, Lowercase, Replace, Uppercase,
    };
    let mut fault = |field: &str, message: String, remedy: &str| {
        faults.push(Fault::value(format!("{path}.{field}"), message, remedy));
    };
    if let Some(Err(error)) = step.regex.as_deref().map(|regex| Regex::new(&format!("^(?s:{regex})$"))) {
        let why = match &error {
            regex::Error::CompiledTooBig(_) => "it is too large".to_owned(),
            // The last line says what, those before draw where.
            other => other.to_string().lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned(),
        };
        fault("regex", format!("is no regular expression: {why}"), "correct it; the syntax is RE2's");
    }
    let label = |text: &str| Regex::new(LABEL).is_ok_and(|label| label.is_match(text));
    let name = |text: &str| label(text) && !text.contains('$');
    let target = step.target_label.as_deref();
    let good = match step.action {
        Replace => target.is_none_or(label),
        KeepEqual | DropEqual | HashMod | Lowercase | Uppercase => target.is_none_or(name),
        Keep | Drop | LabelMap | LabelDrop | LabelKeep => true,
    };
    if !good {
        fault("targetLabel", "is no name of a label".to_owned(), "use letters, digits and _, and with replace ${1}");
    }
    if step.action == LabelMap && step.replacement.as_deref().is_some_and(|text| !label(text)) {
        fault("replacement", "is no name of a label".to_owned(), "use letters, digits, _ and ${1}");
    }
    let others = |fields: &[(&'static str, bool)]| -> Vec<&'static str> {
        fields.iter().filter(|(_, set)| *set).map(|(field, _)| *field).collect()
    };
    let separator = ("separator", step.separator.as_deref().is_some_and(|text| text != ";"));
    let replacement = ("replacement", step.replacement.as_deref().is_some_and(|text| text != "$1"));
    let extra = match step.action {
        LabelDrop | LabelKeep => {
            let sources = ("sourceLabels", !step.source_labels.is_empty());
            others(&[sources, separator, ("targetLabel", target.is_some()), replacement])
        }
        KeepEqual | DropEqual => {
            let regex = ("regex", step.regex.as_deref().is_some_and(|text| text != "(.*)"));
            others(&[separator, regex, replacement])
        }
        Lowercase | Uppercase => others(&[replacement]),
        Replace | Keep | Drop | HashMod | LabelMap => Vec::new(),
    };
    for field in extra {
        fault(field, "means nothing to this action, and Prometheus refuses it".to_owned(), "remove it");
    }
}
