//! The command line and the environment of the operator.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use fleetscope_core::resources::names::namespace as namespace_name;

/// Turns fleets and policies into what Prometheus, Alertmanager and Grafana follow, and reports on them.
#[derive(Clone, Debug, Parser)]
#[command(name = "fleetscope-operator", version, max_term_width = 110)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Watch fleets and act on them.
    Run(Box<RunArgs>),
    /// Print the custom resource definitions, or write them into a folder.
    Crds(CrdsArgs),
}

/// Options of `run`.
#[derive(Args, Clone, Debug)]
pub struct RunArgs {
    /// Address and port of /metrics, /healthz and /readyz. `[::]` takes IPv4, too, and IPv4 alone where there is no IPv6. Port 0 takes a free
    /// one, which the log names.
    #[arg(long, env = "FLEETSCOPE_LISTEN", value_name = "ADDRESS", default_value = "[::]:10981")]
    pub listen: SocketAddr,

    /// What is logged: error, warn, info, debug, trace, or a filter such as `info,kube=debug`.
    #[arg(long, env = "FLEETSCOPE_LOG_LEVEL", value_name = "FILTER", default_value = "info")]
    pub log_level: String,

    /// How log lines are written.
    #[arg(long, env = "FLEETSCOPE_LOG_FORMAT", value_name = "FORMAT", default_value = "text")]
    pub log_format: LogFormat,

    /// Label on every monitor, as key=value; repeat it, or separate by commas in the variable. What your Prometheus selects
    /// monitors by, for example release=kps.
    #[arg(long, env = "FLEETSCOPE_MONITOR_LABELS", value_name = "KEY=VALUE", value_delimiter = ',', value_parser = label)]
    pub monitor_label: Vec<(String, String)>,

    /// Put fleets' dashboards into ConfigMaps, for Grafana's sidecar, also where grafana-operator's kind `GrafanaDashboard` is installed.
    #[arg(long, env = "FLEETSCOPE_GRAFANA_SIDECAR")]
    pub grafana_sidecar: bool,

    /// Label of the instances of Grafana that a fleet's dashboard is for, where it is a `GrafanaDashboard`, as key=value; repeat it, or separate by commas in the variable. Without one, all instances.
    #[arg(long, env = "FLEETSCOPE_GRAFANA_LABELS", value_name = "KEY=VALUE", value_delimiter = ',', value_parser = label)]
    pub grafana_label: Vec<(String, String)>,

    /// File with the `ClusterAlertPolicy` of the installation, which is put into place when this process begins to lead. Without
    /// one, that of an earlier installation is removed.
    #[arg(long, env = "FLEETSCOPE_DEFAULT_POLICY", value_name = "FILE")]
    pub default_policy: Option<PathBuf>,

    /// Who this process is in the leader election. In a pod: fieldRef metadata.name.
    #[arg(long, env = "POD_NAME", value_name = "NAME", default_value = "fleetscope-operator")]
    pub pod_name: String,

    /// Namespace of the node agents and of the lease. In a pod: fieldRef metadata.namespace.
    #[arg(long, env = "POD_NAMESPACE", value_name = "NAMESPACE", default_value = "fleetscope-system")]
    pub pod_namespace: String,

    /// Name of the lease of the leader election.
    #[arg(long, env = "FLEETSCOPE_LEASE", value_name = "NAME", default_value = "fleetscope-operator")]
    pub lease: String,

    /// Namespace whose fleets and policies are acted on; repeat it, or separate by commas in the variable. This process's own is always looked at,
    /// too. Without one, all of them.
    #[arg(long = "namespace", env = "FLEETSCOPE_NAMESPACES", value_name = "NAME", value_delimiter = ',', value_parser = namespace_name)]
    pub namespaces: Vec<String>,

    /// How many objects are worked on at the same time, of all kinds together; a quarter as many statuses are written beside that.
    #[arg(long, env = "FLEETSCOPE_CONCURRENCY", value_name = "NUMBER", default_value = "16",
        value_parser = clap::value_parser!(u16).range(1..=256))]
    pub concurrency: u16,

    /// How often each object is looked at without cause, with a jitter of a tenth: for example 10m, 0 for never. Changes are
    /// seen by watches, whatever this says.
    #[arg(long, env = "FLEETSCOPE_RESYNC", value_name = "DURATION", default_value = "10m", value_parser = duration)]
    pub resync: Duration,
}

/// Options of `crds`.
#[derive(Args, Clone, Debug)]
pub struct CrdsArgs {
    /// Write one file per definition into this folder. Default: print all of them.
    #[arg(long, value_name = "FOLDER")]
    pub out_dir: Option<PathBuf>,
}

/// How log lines are written.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object per line.
    Json,
}

// === impl RunArgs ===

impl RunArgs {
    /// The labels of all monitors; the last of a key counts.
    pub fn monitor_labels(&self) -> BTreeMap<String, String> {
        self.monitor_label.iter().cloned().collect()
    }

    /// The labels of the instances of Grafana that dashboards are for; the last of a key counts.
    pub fn grafana_labels(&self) -> BTreeMap<String, String> {
        self.grafana_label.iter().cloned().collect()
    }
}

fn label(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or_else(|| format!("{text:?} is not of the form key=value"))?;
    if key.is_empty() || key.len() > 317 || value.len() > 63 {
        return Err(format!(
            "{text:?} is not a label: its key is empty or too long, or its value has over 63 characters"
        ));
    }
    Ok((key.to_owned(), value.to_owned()))
}

fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("{text:?} is not a duration such as 30s, 10m, 1h or 0");
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let split = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
    let (number, unit) = text.split_at(split);
    let number: u64 = number.parse().map_err(|_| wrong())?;
    let seconds = match unit {
        "s" => Some(number),
        "m" => number.checked_mul(60),
        "h" => number.checked_mul(3_600),
        _ => None,
    };
    seconds.map(Duration::from_secs).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn labels_repeat_and_the_last_counts() {
        let cli =
            Cli::parse_from(["op", "run", "--monitor-label=a=1", "--monitor-label", "b=x=y", "--monitor-label=a=2"]);
        let Command::Run(run) = cli.command else { panic!("not run") };
        let wanted = [("a", "2"), ("b", "x=y")].map(|(k, v)| (k.to_owned(), v.to_owned()));
        assert_eq!(run.monitor_labels(), BTreeMap::from(wanted));
    }

    #[test]
    fn a_label_without_a_value_is_refused() {
        assert!(Cli::try_parse_from(["op", "run", "--monitor-label=a"]).is_err());
        assert!(Cli::try_parse_from(["op", "run", "--monitor-label==b"]).is_err());
    }

    #[test]
    fn durations_have_a_unit_and_zero_is_never() {
        assert_eq!(duration("90s"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("2h"), Ok(Duration::from_hours(2)));
        assert_eq!(duration("0"), Ok(Duration::ZERO));
        for wrong in ["", "10", "m", "1d", "-1s", "99999999999999999999s", "18446744073709551615h"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }
}
