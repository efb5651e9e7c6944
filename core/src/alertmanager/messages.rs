//! What messages say unless the receiver has templates of its own: Alertmanager's templates, without `$(` in them.

use std::collections::BTreeMap;

use crate::api::receivers::EmailReceiver;

/// Title: `[FIRING:2] critical FleetTasksFail in fleet agents/review`, with what the alerts of the group have in common.
pub const TITLE: &str = "[{{ .Status | toUpper }}{{ if eq .Status \"firing\" }}:{{ .Alerts.Firing | len }}{{ end }}]\
{{ with .CommonLabels.severity }} {{ . }}{{ end }}\
{{ with .CommonLabels.alertname }} {{ . }}{{ end }}\
{{ with .CommonLabels.fleet }} in fleet {{ with $.CommonLabels.namespace }}{{ . }}/{{ end }}{{ . }}{{ end }}";

/// Text of each alert, in the markup of Slack.
pub const SLACK_TEXT: &str = "{{ range .Alerts }}{{ if eq .Status \"resolved\" }}Resolved: {{ end }}\
*{{ or .Annotations.summary .Labels.alertname }}*\
{{ with .Annotations.description }}\n{{ . }}{{ end }}\
{{ with .Annotations.runbook_url }}\n<{{ . }}|Runbook>{{ end }}\n\n{{ end }}";

/// Text of each alert, in the markup of Teams.
pub const TEAMS_TEXT: &str = "{{ range .Alerts }}{{ if eq .Status \"resolved\" }}Resolved: {{ end }}\
**{{ or .Annotations.summary .Labels.alertname }}**\
{{ with .Annotations.description }}\n\n{{ . }}{{ end }}\
{{ with .Annotations.runbook_url }}\n\n[Runbook]({{ . }}){{ end }}\n\n{{ end }}";

/// Text of each alert, without markup.
pub const PLAIN_TEXT: &str = "{{ range .Alerts }}{{ if eq .Status \"resolved\" }}Resolved: {{ end }}\
{{ or .Annotations.summary .Labels.alertname }}\
{{ with .Annotations.description }}\n{{ . }}{{ end }}\
{{ with .Annotations.runbook_url }}\n{{ . }}{{ end }}\n\n{{ end }}";

/// Severity of an incident of PagerDuty: the alerts' own, which PagerDuty knows by the same words. Where alerts of several are in
/// one group, the one in the middle.
pub const PAGERDUTY_SEVERITY: &str = "{{ with .CommonLabels.severity }}{{ . }}{{ else }}error{{ end }}";

/// Priority of an alert of OpsGenie. Where alerts of several severities are in one group, the one in the middle.
pub const OPSGENIE_PRIORITY: &str = "{{ if eq .CommonLabels.severity \"critical\" }}P1\
{{ else if eq .CommonLabels.severity \"info\" }}P5{{ else }}P3{{ end }}";

/// The headers of a mail: those that are given, and a subject if none of them is one.
pub(super) fn headers(email: &EmailReceiver) -> BTreeMap<&str, &str> {
    let given = email.headers.iter().map(|(name, value)| (name.as_str(), value.0.as_str()));
    std::iter::once(("Subject", TITLE)).chain(given).collect()
}
