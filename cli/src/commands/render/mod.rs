//! `fleetscope render`: the objects that the operator would make for fleets in files. Offline: no cluster is asked.
//!
//! In: YAML or JSON. Out: what `core::resources`, the operator's own builders, make of it, or every fault with its file,
//! document and field. All or nothing, so that a pipe into `kubectl apply` never applies half of it.

mod advice;
mod source;

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use fleetscope_core::api::AgentFleet;
use fleetscope_core::api::admission::admit_as;
use fleetscope_core::api::agent_fleet::ScrapeOutput;
use fleetscope_core::resources::{ChildKind, Site, scrape_object};
use kube::ResourceExt as _;
use serde_json::{Value, json};

use super::Answer;
use crate::args::ScopeArgs;
use crate::cluster::DEFAULT_SYSTEM_NAMESPACE;
use crate::exit::{Outcome, Problem};
use crate::output;
use crate::output::text::escape;
use source::Document;

/// Options of `render`.
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
Examples:
  fleetscope render -f fleet.yaml                          the monitor that the fleet asks for
  fleetscope render -f fleets/ --output ConfigMap          plain scrape configuration, without prometheus-operator
  kubectl get agentfleets -A -o yaml | fleetscope render -f - -o json
  fleetscope render -f fleets/ >/dev/null                  only check them: exit code 1 says that one is refused

Faults are told with file, number of the document in it (from 1; empty ones do not count)
and field. If there is one, nothing is printed on standard output.")]
pub(crate) struct RenderArgs {
    /// A file, a folder (its *.yaml, *.yml and *.json), or - for standard input. May be given several times.
    #[arg(short = 'f', long = "filename", value_name = "PATH", required = true)]
    pub(crate) files: Vec<PathBuf>,

    /// Which object, whatever spec.scrape.output says. Default: what it says; Auto is a PodMonitor then, as no cluster tells
    /// which kinds are installed.
    #[arg(long, value_name = "KIND", ignore_case = true)]
    pub(crate) output: Option<Kind>,

    /// Form of the answer.
    #[arg(short = 'o', long, value_name = "FORM", default_value = "yaml")]
    pub(crate) format: Form,

    /// Label on every object, as key=value, as the operator's option of the same name. May be given several times.
    #[arg(long, value_name = "KEY=VALUE", value_parser = label)]
    pub(crate) monitor_label: Vec<(String, String)>,
}

/// Which object carries the scrape configuration.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum Kind {
    /// A PodMonitor of prometheus-operator.
    #[value(name = "PodMonitor")]
    PodMonitor,
    /// A ServiceMonitor of prometheus-operator.
    #[value(name = "ServiceMonitor")]
    ServiceMonitor,
    /// The plain scrape configuration in a ConfigMap.
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
    let mut notes = Vec::new();
    let documents = source::read(&args.files, stdin, &mut faults);
    let site = Site {
        namespace: scope.system_namespace.clone().unwrap_or_else(|| DEFAULT_SYSTEM_NAMESPACE.to_owned()),
        monitor_labels: args.monitor_label.iter().cloned().collect(),
    };
    let mut seen: BTreeMap<(String, String), String> = BTreeMap::new();
    let mut skipped: BTreeMap<String, usize> = BTreeMap::new();
    let mut objects: Vec<(String, Value)> = Vec::new();
    for document in documents {
        let Some((place, mut fleet)) = fleet(document, scope, &mut faults, &mut skipped) else { continue };
        let (namespace, name) = (fleet.namespace().unwrap_or_default(), fleet.name_any());
        if scope.fleet.as_ref().is_some_and(|wanted| *wanted != name) {
            continue;
        }
        if let Some(first) = seen.insert((namespace.clone(), name.clone()), place.clone()) {
            faults.push(Problem::new(
                format!("{place}: fleet {namespace}/{name} is also in {first}"),
                "keep one of the two: the later one would overwrite the other".to_owned(),
            ));
        }
        if let Some(kind) = args.output {
            fleet.spec.scrape.output = kind.into();
        }
        match ChildKind::wanted(&fleet, |_| true) {
            Some(kind) => {
                objects.push((format!("fleet {namespace}/{name}, {place}"), scrape_object(kind, &fleet, &site)));
            }
            None if fleet.spec.suspend => notes.push(Problem::new(
                format!("{place}: fleet {namespace}/{name} is suspended, nothing is made for it"),
                "set spec.suspend to false to see what would be made".to_owned(),
            )),
            None => notes.push(Problem::new(
                format!("{place}: spec.scrape.output of fleet {namespace}/{name} is None, nothing is made for it"),
                "name a kind with --output to see it".to_owned(),
            )),
        }
    }
    if seen.is_empty() && faults.is_empty() {
        faults.push(Problem::new(
            "there is no AgentFleet in what was read".to_owned(),
            "name files with documents of apiVersion fleetscope.io/v1alpha1 and kind AgentFleet".to_owned(),
        ));
    }
    if !skipped.is_empty() {
        let kinds: Vec<String> = skipped.iter().map(|(kind, count)| format!("{count} {kind}")).collect();
        notes.push(Problem::new(
            format!("documents of other kinds are skipped: {}", kinds.join(", ")),
            "nothing, if they are no fleets: render knows the kind AgentFleet".to_owned(),
        ));
    }
    if !faults.is_empty() {
        return Answer { text: String::new(), problems: faults, outcome: Outcome::Error };
    }
    match text(&objects, args.format) {
        Ok(text) => Answer { text, problems: notes, outcome: Outcome::Done },
        Err(error) => {
            let problem = Problem::new(format!("failed to write the objects: {error}"), "use the other form of -o");
            Answer { text: String::new(), problems: vec![problem], outcome: Outcome::Error }
        }
    }
}

/// The fleet of a document, if it is one and has no fault, and its place.
fn fleet(
    document: Document,
    scope: &ScopeArgs,
    faults: &mut Vec<Problem>,
    skipped: &mut BTreeMap<String, usize>,
) -> Option<(String, AgentFleet)> {
    let Document { place, mut object } = document;
    match object.get("kind").and_then(Value::as_str) {
        Some("AgentFleet") => {}
        Some(kind) => {
            *skipped.entry(kind.to_owned()).or_default() += 1;
            return None;
        }
        None => {
            faults.push(Problem::new(
                format!("{place}: kind: required"),
                "begin with apiVersion: fleetscope.io/v1alpha1 and kind: AgentFleet",
            ));
            return None;
        }
    }
    let default = scope.namespace.as_deref().unwrap_or("default");
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.entry("namespace").or_insert_with(|| Value::from(default));
    }
    let name = |field: &str| object.pointer(field).and_then(Value::as_str).unwrap_or_default();
    let (namespace, name) = (name("/metadata/namespace").to_owned(), name("/metadata/name").to_owned());
    let before = faults.len();
    for (field, value, max, dots) in
        [("metadata.name", &name, 253, true), ("metadata.namespace", &namespace, 63, false)]
    {
        if !value.is_empty() && !is_name(value, max, dots) {
            faults.push(Problem::new(
                format!("{place}: {field}: `{value}` is not a name"),
                format!(
                    "use lower-case letters, digits and `-`{}, at most {max}, a letter or digit first and last",
                    if dots { " and `.`" } else { "" }
                ),
            ));
        }
    }
    match admit_as::<AgentFleet>(&object) {
        Ok(fleet) => (faults.len() == before).then_some((place, fleet)),
        Err(refused) => {
            let title = format!("{place} (AgentFleet {namespace}/{name})");
            faults.extend(refused.faults.iter().map(|fault| advice::problem(&title, fault)));
            None
        }
    }
}

/// A DNS label, or with `dots` a DNS subdomain, as Kubernetes' names are (apimachinery, `IsDNS1123Subdomain`).
fn is_name(text: &str, max: usize, dots: bool) -> bool {
    let part = |part: &str| {
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
        part.bytes().all(|b| plain(b) || b == b'-')
            && part.bytes().next().is_some_and(plain)
            && part.bytes().next_back().is_some_and(plain)
    };
    text.len() <= max && if dots { text.split('.').all(part) } else { part(text) }
}

fn text(objects: &[(String, Value)], form: Form) -> Result<String, output::OutputError> {
    match form {
        Form::Json => {
            let items: Vec<&Value> = objects.iter().map(|(_, object)| object).collect();
            output::json(&json!({ "apiVersion": "v1", "kind": "List", "items": items }))
        }
        Form::Yaml => {
            let mut text = String::new();
            for (origin, object) in objects {
                text.extend(["---\n# ", &escape(origin), "\n", &output::yaml(object)?]);
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

impl From<Kind> for ScrapeOutput {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::PodMonitor => Self::PodMonitor,
            Kind::ServiceMonitor => Self::ServiceMonitor,
            Kind::ConfigMap => Self::ConfigMap,
        }
    }
}

#[cfg(test)]
mod tests;
