//! `fleetscope render`: the objects that the operator would make of fleets and policies in files. Offline: no cluster is asked.
//!
//! In: YAML or JSON. Out: what the operator's own builders make of it, or every fault with its file, line and field. All or
//! nothing, so that a pipe into `kubectl apply` never applies half of it.

use std::io::{self, Read};
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use fleetscope_core::api::AgentFleet;
use fleetscope_core::api::agent_fleet::ScrapeOutput;
use fleetscope_core::api::alerting::RuleOutput;
use fleetscope_core::api::scrape_policy::ScrapePolicyOutput;
use fleetscope_core::resources::{Installed, Site};
use kube::ResourceExt as _;
use serde_json::{Value, json};

use super::Answer;
use crate::args::ScopeArgs;
use crate::cluster::DEFAULT_SYSTEM_NAMESPACE;
use crate::exit::{Outcome, Problem};
use crate::objects::make::{self, Made};
use crate::objects::{Objects, Placed};
use crate::output;
use crate::output::text::escape;

/// Options of `render`.
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
Examples:
  fleetscope render -f fleet.yaml                          the monitor and the recordings that the fleet asks for
  fleetscope render -f fleetscope/                         fleets and policies of a folder, for GitOps
  fleetscope render -f fleetscope/ --output ConfigMap      plain files, without prometheus-operator
  kubectl get agentfleets -A -o yaml | fleetscope render -f - -o json

Policies are for the fleets among the files. A cluster-wide policy that selects
namespaces by labels finds them in the Namespace documents among the files; the label
kubernetes.io/metadata.name needs none. Where two fleets select a pod, or two policies a
fleet, the elder one has it: the one with the earlier metadata.creationTimestamp, which
files mostly have not, then the one whose name comes first. Faults are told as FILE:LINE;
if there is one, nothing is printed on standard output, and the exit code is 1.")]
pub(crate) struct RenderArgs {
    /// A file, a folder (its *.yaml, *.yml and *.json), or - for standard input. May be given several times.
    #[arg(short = 'f', long = "filename", value_name = "PATH", required = true)]
    pub(crate) files: Vec<PathBuf>,

    /// Which objects, whatever the fleets and policies say. Default: what they say; Auto is the kinds of prometheus-operator then, as no cluster
    /// tells which are installed.
    #[arg(long, value_name = "KIND", ignore_case = true)]
    pub(crate) output: Option<Kind>,

    /// Form of the answer.
    #[arg(short = 'o', long, value_name = "FORM", default_value = "yaml")]
    pub(crate) format: Form,

    /// Label on every object, as key=value, as the operator's option of the same name. May be given several times.
    #[arg(long, value_name = "KEY=VALUE", value_parser = label)]
    pub(crate) monitor_label: Vec<(String, String)>,

    /// Dashboards as GrafanaDashboards, for grafana-operator. Default: as ConfigMaps, for Grafana's sidecar.
    #[arg(long)]
    pub(crate) grafana_dashboard: bool,

    /// Label of the instances of Grafana that a GrafanaDashboard is for, as the operator's option of the same name. May be given several times.
    #[arg(long, value_name = "KEY=VALUE", value_parser = label, requires = "grafana_dashboard")]
    pub(crate) grafana_label: Vec<(String, String)>,
}

/// Which objects are made.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum Kind {
    /// PodMonitors, and the other kinds of prometheus-operator.
    #[value(name = "PodMonitor")]
    PodMonitor,
    /// ServiceMonitors of fleets, and the other kinds of prometheus-operator.
    #[value(name = "ServiceMonitor")]
    ServiceMonitor,
    /// Plain configuration in ConfigMaps.
    #[value(name = "ConfigMap")]
    ConfigMap,
}

/// Form of the answer.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum Form {
    /// Documents, each after a comment that says what it is made from.
    Yaml,
    /// One List.
    Json,
}

/// Reads, checks and builds.
pub(crate) fn run(args: &RenderArgs, scope: &ScopeArgs) -> Answer {
    render(args, scope, &mut io::stdin())
}

fn render(args: &RenderArgs, scope: &ScopeArgs, stdin: &mut dyn Read) -> Answer {
    let mut faults = Vec::new();
    let namespace = scope.namespace.as_deref().unwrap_or("default");
    let mut objects = Objects::read(&args.files, stdin, namespace, &mut faults);
    let site = Site {
        namespace: scope.system_namespace.clone().unwrap_or_else(|| DEFAULT_SYSTEM_NAMESPACE.to_owned()),
        monitor_labels: args.monitor_label.iter().cloned().collect(),
        sidecar: !args.grafana_dashboard,
        grafana_labels: args.grafana_label.iter().cloned().collect(),
    };
    if objects.ours == 0 && faults.is_empty() {
        faults.push(Problem::new(
            "there is no fleet and no policy in what was read",
            "name files with documents of apiVersion fleetscope.io/v1alpha1",
        ));
    }
    if let Some(kind) = args.output {
        say(&mut objects, kind);
    }
    if let Some(name) = &scope.fleet {
        let named = |fleet: &mut Placed<AgentFleet>| fleet.object.name_any() != *name;
        objects.left_out = objects.fleets.extract_if(.., named).collect();
    }
    let makings = make::make(&objects, &site, Installed::all(), &mut faults);
    if !faults.is_empty() {
        return Answer { text: String::new(), problems: faults, outcome: Outcome::Error };
    }
    let mut notes = makings.warnings;
    if !objects.skipped.is_empty() {
        let kinds: Vec<String> =
            objects.skipped.iter().map(|(kind, count)| format!("{count} {}", escape(kind))).collect();
        notes.push(Problem::new(
            format!("documents of other kinds are skipped: {}", kinds.join(", ")),
            "nothing, if they are not meant for Fleetscope",
        ));
    }
    match text(&makings.made, args.format) {
        Ok(text) => Answer { text, problems: notes, outcome: Outcome::Done },
        Err(error) => {
            let problem = Problem::new(format!("failed to write the objects: {error}"), "use the other form of -o");
            Answer { text: String::new(), problems: vec![problem], outcome: Outcome::Error }
        }
    }
}

/// Has everything made as this kind.
fn say(objects: &mut Objects, kind: Kind) {
    let (fleets, scrapes, rules) = match kind {
        Kind::PodMonitor => (ScrapeOutput::PodMonitor, ScrapePolicyOutput::Auto, RuleOutput::PrometheusRule),
        Kind::ServiceMonitor => (ScrapeOutput::ServiceMonitor, ScrapePolicyOutput::Auto, RuleOutput::PrometheusRule),
        Kind::ConfigMap => (ScrapeOutput::ConfigMap, ScrapePolicyOutput::ConfigMap, RuleOutput::ConfigMap),
    };
    objects.fleets.iter_mut().for_each(|placed| placed.object.spec.scrape.output = fleets);
    objects.scrape_policies.iter_mut().for_each(|placed| placed.object.spec.output = scrapes);
    objects.alert_policies.iter_mut().for_each(|placed| placed.object.spec.alerting.output = rules);
    objects.cluster_alert_policies.iter_mut().for_each(|placed| placed.object.spec.alerting.output = rules);
}

fn text(objects: &[Made], form: Form) -> Result<String, output::OutputError> {
    match form {
        Form::Json => {
            let items: Vec<&Value> = objects.iter().map(|made| &made.object).collect();
            output::json(&json!({ "apiVersion": "v1", "kind": "List", "items": items }))
        }
        Form::Yaml => {
            let mut text = String::new();
            for made in objects {
                text.extend(["---\n# ", &escape(&made.origin), "\n", &output::yaml(&made.object)?]);
            }
            Ok(text)
        }
    }
}

fn label(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() && key.len() <= 317 && value.len() <= 63 => {
            Ok((key.to_owned(), value.to_owned()))
        }
        _ => Err("must be key=value, the value of at most 63 characters".to_owned()),
    }
}

#[cfg(test)]
mod tests;
