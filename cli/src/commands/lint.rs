//! `fleetscope lint`: what the API server and the operator would find wrong with objects in files, each fault with its line. Offline.

use std::io::{self, Read};
use std::path::PathBuf;

use clap::Args;
use fleetscope_core::resources::{Installed, Site};

use super::Answer;
use crate::args::ScopeArgs;
use crate::cluster::DEFAULT_SYSTEM_NAMESPACE;
use crate::exit::{Outcome, Problem};
use crate::objects::{Objects, make};

/// Options of `lint`.
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
Examples:
  fleetscope lint -f fleetscope/                 all files of a folder
  fleetscope lint -f policy.yaml --strict        warnings count as faults
  kubectl get alertpolicies -A -o yaml | fleetscope lint -f -

It says what the API server would refuse (unknown fields, bounds, rules across
fields) and what the operator would not accept (PromQL that does not parse, alerts
that the catalogue does not have, thresholds that are no bound of a histogram,
prices that contradict each other), as FILE:LINE: OBJECT: FIELD: fault. Whether a
Secret and its key are there, only a cluster knows. Exit code 1 says that
something is wrong.")]
pub(crate) struct LintArgs {
    /// A file, a folder (its *.yaml, *.yml and *.json), or - for standard input. May be given several times.
    #[arg(short = 'f', long = "filename", value_name = "PATH", required = true)]
    pub(crate) files: Vec<PathBuf>,

    /// Warnings are faults, too: rules over metrics that nothing emits, alerts of which nobody is told, namespaces whose labels are not known, objects that are
    /// suspended.
    #[arg(long)]
    pub(crate) strict: bool,
}

/// Reads and checks.
pub(crate) fn run(args: &LintArgs, scope: &ScopeArgs) -> Answer {
    lint(args, scope, &mut io::stdin())
}

fn lint(args: &LintArgs, scope: &ScopeArgs, stdin: &mut dyn Read) -> Answer {
    let mut problems = Vec::new();
    let namespace = scope.namespace.as_deref().unwrap_or("default");
    let objects = Objects::read(&args.files, stdin, namespace, &mut problems);
    let site = Site { namespace: DEFAULT_SYSTEM_NAMESPACE.to_owned(), ..Site::default() };
    let warnings = make::make(&objects, &site, Installed::all(), &mut problems).warnings;
    if objects.ours == 0 && problems.is_empty() {
        problems.push(Problem::new(
            "there is no object of fleetscope.io in what was read",
            "name files with documents of apiVersion fleetscope.io/v1alpha1",
        ));
    }
    let faults = problems.len();
    let text = summary(&objects, faults, warnings.len());
    let wrong = faults > 0 || (args.strict && !warnings.is_empty());
    problems.extend(warnings);
    Answer { text, problems, outcome: if wrong { Outcome::Error } else { Outcome::Done } }
}

fn summary(objects: &Objects, faults: usize, warnings: usize) -> String {
    let count = |number: usize, what: &str| if number == 1 { format!("1 {what}") } else { format!("{number} {what}s") };
    let others: usize = objects.skipped.values().sum();
    let others =
        if others == 0 { String::new() } else { format!(" ({} of other kinds skipped)", count(others, "document")) };
    format!("{}{others}, {}, {}\n", count(objects.ours, "object"), count(faults, "fault"), count(warnings, "warning"))
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::args::{Cli, Command};

    fn linted(line: &str, stdin: &str) -> Answer {
        let cli = Cli::try_parse_from(format!("fleetscope lint -f - {line}").split_whitespace()).unwrap();
        let Command::Lint(args) = cli.command else { panic!("lint") };
        lint(&args, &cli.scope, &mut stdin.as_bytes())
    }

    const POLICY: &str = "\
apiVersion: fleetscope.io/v1alpha1
kind: AlertPolicy
metadata: {name: a, namespace: team-a}
spec:
  rules:
    - alert: Good
      expr: up == 0
    - alert: Odd
      expr: fleetscope_taks_total > 1
";

    #[test]
    fn faults_have_file_line_object_field_and_remedy() {
        let bad =
            POLICY.replace("up == 0", "sum by (a) up ==").replace("fleetscope_taks_total", "fleetscope_tasks_total");
        let Answer { text, problems, outcome } = linted("", &bad);
        assert_eq!((text.as_str(), outcome), ("1 object, 1 fault, 0 warnings\n", Outcome::Error));
        let problem = &problems[0];
        assert!(
            problem.problem.starts_with("standard input:7: AlertPolicy team-a/a: spec.rules[0].expr: "),
            "{problem:?}"
        );
        assert!(!problem.remedy.is_empty());
    }

    #[test]
    fn warnings_are_faults_only_when_asked_for() {
        let Answer { text, problems, outcome } = linted("", POLICY);
        assert_eq!((text.as_str(), outcome), ("1 object, 0 faults, 1 warning\n", Outcome::Done));
        assert!(problems[0].problem.contains("fleetscope_taks_total"), "{problems:?}");
        assert_eq!(linted("--strict", POLICY).outcome, Outcome::Error);
    }

    #[test]
    fn what_the_api_server_would_refuse_is_told_with_its_line() {
        let bad = POLICY.replace("    - alert: Odd", "    - alert: Odd\n      severty: info");
        let Answer { text, problems, .. } = linted("", &bad);
        assert_eq!(text, "1 object, 1 fault, 0 warnings\n");
        assert_eq!(problems[0].problem, "standard input:9: AlertPolicy team-a/a: spec.rules[1].severty: unknown field");
    }

    #[test]
    fn prices_that_contradict_each_other_are_faults() {
        let list = "\
apiVersion: fleetscope.io/v1alpha1
kind: ModelPriceList
metadata: {name: p}
spec:
  models:
    - {model: m, perMillion: {input: '1', output: '1'}}
    - {model: m, perMillion: {input: '2', output: '1'}}
";
        let problems = linted("", list).problems;
        assert!(problems[0].problem.starts_with("standard input:7: ModelPriceList p: spec.models[1]"), "{problems:?}");
    }

    #[test]
    fn nothing_of_ours_is_a_fault() {
        assert_eq!(linted("", "kind: ConfigMap\n").outcome, Outcome::Error);
    }
}
