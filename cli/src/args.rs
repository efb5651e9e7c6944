//! The command line: verbs, options, and the help that teaches them.
//!
//! Options that tell which cluster and which fleets are global, so they may stand before or after the verb; how the answer
//! is printed belongs to each verb.

use std::path::PathBuf;
use std::time::Duration;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::commands::{agents, grpc, lint, metrics, render, slow, status, tasks};

const AFTER_HELP: &str = "\
Examples:
  fleetscope status -A                     is everything well, and if not, what to do
  fleetscope tasks --fleet coders          its tasks: how many, how they ended, how long
  fleetscope grpc --fleet coders           its gRPC calls: how many, how many failed, how long
  fleetscope slow -A                       what takes longest
  fleetscope agents -n team-a -o wide      the pods of the fleets of one namespace
  fleetscope metrics --match 'fleetscope_task*'
  fleetscope render -f fleet.yaml          what the operator would make of it, without a cluster
  kubectl fleetscope status                the same program, named kubectl-fleetscope

Exit codes:
  0  done
  1  error: nothing, or not what was asked for, could be shown
  2  the command line was wrong
  3  status: something is not ready or has failed
  4  partial: some node agents did not answer; standard error names them, the rest is shown";

/// Shows what fleets of agents do: their tasks and their gRPC calls, measured in the kernel of each node.
///
/// Asks the node agents of the cluster through its API server, with the rights of your kubeconfig; needs no Prometheus.
#[derive(Debug, Parser)]
#[command(name = "fleetscope", version, max_term_width = 110, after_help = AFTER_HELP, arg_required_else_help = true)]
pub(crate) struct Cli {
    /// Which cluster, which fleets.
    #[command(flatten)]
    pub(crate) scope: ScopeArgs,
    /// The verb.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// The verbs.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Shows fleets, node agents and the operator, and what to do about whatever is wrong
    Status(status::StatusArgs),
    /// Lists the agents (pods) of the fleets
    Agents(agents::AgentsArgs),
    /// Shows tasks by fleet, group and name: running, finished by result, durations
    Tasks(tasks::TasksArgs),
    /// Shows gRPC calls by method and role: how many, rate, errors, durations, in flight
    Grpc(grpc::GrpcArgs),
    /// Shows the slowest tasks and gRPC calls, by their 99th percentile
    Slow(slow::SlowArgs),
    /// Shows the metrics of all nodes, merged, or as they are with --raw
    Metrics(metrics::MetricsArgs),
    /// Prints the objects that the operator would make of fleets and policies in files; needs no cluster
    Render(render::RenderArgs),
    /// Says what is wrong with fleets, policies and price lists in files, with the line; needs no cluster
    Lint(lint::LintArgs),
    /// Prints the completion script of a shell
    #[command(
        after_help = "Examples:\n  fleetscope completions bash > ~/.local/share/bash-completion/completions/fleetscope\n  \
        fleetscope completions zsh > \"${fpath[1]}/_fleetscope\""
    )]
    Completions {
        /// Which shell.
        shell: clap_complete::Shell,
    },
    /// Prints the version of this program
    Version,
}

/// Which cluster, which fleets.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Cluster and scope")]
pub(crate) struct ScopeArgs {
    /// Namespace of the fleets. Default: that of the kubeconfig's context.
    #[arg(short, long, global = true, value_name = "NAMESPACE", conflicts_with = "all_namespaces", value_parser = label_value)]
    pub(crate) namespace: Option<String>,

    /// Fleets of all namespaces.
    #[arg(short = 'A', long, global = true)]
    pub(crate) all_namespaces: bool,

    /// Only this fleet.
    #[arg(long, global = true, value_name = "NAME", value_parser = label_value)]
    pub(crate) fleet: Option<String>,

    /// Context of the kubeconfig. Default: its current one.
    #[arg(long, global = true, value_name = "NAME")]
    pub(crate) context: Option<String>,

    /// The kubeconfig. Default: $KUBECONFIG, else ~/.kube/config, else the service account of the pod.
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) kubeconfig: Option<PathBuf>,

    /// Namespace that Fleetscope is installed in. Default: pods are looked for in all namespaces, and where that is
    /// forbidden, in fleetscope-system.
    #[arg(long, global = true, value_name = "NAMESPACE", env = "FLEETSCOPE_SYSTEM_NAMESPACE", value_parser = label_value)]
    pub(crate) system_namespace: Option<String>,

    /// How long the API server and each node may take to answer: 100ms to 10m.
    #[arg(long, global = true, value_name = "DURATION", default_value = "5s", value_parser = duration)]
    pub(crate) timeout: Duration,

    /// No colours. The same as `NO_COLOR=1`; without a terminal there are none anyway.
    #[arg(long, global = true)]
    pub(crate) no_color: bool,
}

/// How an answer is printed.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Output")]
pub(crate) struct OutputArgs {
    /// Form of the answer.
    #[arg(short, long, value_name = "FORM", default_value = "table")]
    pub(crate) output: Format,

    /// Repeats until interrupted; a table redraws the screen.
    #[arg(short, long)]
    pub(crate) watch: bool,

    /// Time between two rounds of --watch: 100ms to 10m.
    #[arg(long, value_name = "DURATION", default_value = "5s", value_parser = duration, requires = "watch")]
    pub(crate) interval: Duration,
}

/// Form of an answer.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum Format {
    /// For people.
    Table,
    /// For people, with more columns.
    Wide,
    /// For programs; nothing is cut.
    Json,
    /// For programs and people; nothing is cut.
    Yaml,
}

/// A name as it stands in a label or in a path: no empty one, no control characters, at most 253 bytes.
fn label_value(text: &str) -> Result<String, String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
    if !text.is_empty() && text.len() <= 253 && text.chars().all(plain) {
        Ok(text.to_owned())
    } else {
        Err("must be a Kubernetes name: letters, digits, `-` and `.`, at most 253".to_owned())
    }
}

/// What is wrong with a command line, with the option that was meant where a path or the name of a fleet stands alone.
pub(crate) fn explained(mut error: clap::Error) -> clap::Error {
    if error.kind() == ErrorKind::UnknownArgument
        && let Some(ContextValue::String(found)) = error.get(ContextKind::InvalidArg)
        && !found.starts_with('-')
    {
        let takes_files = error.get(ContextKind::Usage).is_some_and(|usage| usage.to_string().contains("--filename"));
        let (option, what) = if takes_files { ("-f", "a file or folder") } else { ("--fleet", "a fleet") };
        let tip = format!("to name {what}, use '{option} {}'", found.escape_default());
        error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![tip.into()]));
    }
    error
}

/// Parses `500ms`, `30s` or `5m`, from 100 ms to 10 min.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("`{}` is not a duration: write 500ms, 30s or 5m", text.escape_default());
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().map_err(|_| wrong())?;
    let millis = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        _ => return Err(wrong()),
    };
    let value = Duration::from_millis(number.checked_mul(millis).ok_or_else(wrong)?);
    if (Duration::from_millis(100)..=Duration::from_mins(10)).contains(&value) {
        Ok(value)
    } else {
        Err("must be from 100ms to 10m".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn scope_may_stand_before_or_after_the_verb() {
        for line in ["fleetscope -n team tasks --fleet coders", "fleetscope tasks -n team --fleet coders"] {
            let cli = Cli::try_parse_from(line.split(' ')).unwrap();
            assert_eq!(
                (cli.scope.namespace.as_deref(), cli.scope.fleet.as_deref()),
                (Some("team"), Some("coders")),
                "{line}"
            );
        }
    }

    #[test]
    fn namespace_and_all_namespaces_exclude_each_other() {
        assert!(Cli::try_parse_from(["fleetscope", "status", "-A", "-n", "team"]).is_err());
    }

    #[test]
    fn interval_without_watch_is_refused() {
        assert!(Cli::try_parse_from(["fleetscope", "status", "--interval", "1s"]).is_err());
        assert!(Cli::try_parse_from(["fleetscope", "status", "--watch", "--interval", "1s"]).is_ok());
    }

    #[test]
    fn what_stands_alone_is_explained() {
        for (line, tip) in [
            ("lint a.yaml", Some("tip: to name a file or folder, use '-f a.yaml'")),
            ("render -f a.yaml b/", Some("tip: to name a file or folder, use '-f b/'")),
            ("tasks coders", Some("tip: to name a fleet, use '--fleet coders'")),
            ("tasks --fleets", None),
        ] {
            let line = ["fleetscope"].into_iter().chain(line.split(' '));
            let error = explained(Cli::try_parse_from(line).unwrap_err()).to_string();
            let found = error.lines().map(str::trim).find(|line| line.contains("tip: ") && line.contains(", use '-"));
            assert_eq!(found, tip, "{error}");
        }
    }

    #[test]
    fn names_that_would_change_a_path_or_a_selector_are_refused() {
        for name in ["", "a/b", "a?b", "a,b=c", "\u{1b}[31m", "ü"] {
            assert!(label_value(name).is_err(), "{name:?}");
        }
        assert_eq!(label_value("team-a.b"), Ok("team-a.b".to_owned()));
    }

    #[test]
    fn durations_take_one_unit_and_are_bounded() {
        assert_eq!(duration("1500ms"), Ok(Duration::from_millis(1500)));
        assert_eq!(duration("10m"), Ok(Duration::from_mins(10)));
        for wrong in
            ["", "5", "s", "-5s", "1h", "0s", "11m", "99999999999999999999s", "18446744073709551615m", "\u{1b}s"]
        {
            assert!(duration(wrong).is_err(), "{wrong:?}");
        }
    }
}
