//! The tables, in the order in which they were begun, and the bars beside what was measured.

use std::collections::BTreeMap;

use fleetscope_tests::cluster::kubectl;

use crate::figures::float;
use crate::process::Way;
use crate::site::Site;

/// What others have published, as far as it can be compared at all.
const OTHERS: [(&str, &str, &str); 5] = [
    (
        "KubeRay (Go), kwok, 100 nodes, concurrency 10",
        "100 RayClusters with 100 pods each in 3 min 20 s, about 50 creates/s",
        "ray-project/kuberay#3907",
    ),
    (
        "NVSentinel's operator (Go), kwok",
        "10,000 pods: 3.1 GiB settled, 4.7 GiB at restart; 10,000 nodes: 1.1 and 2.2 GiB",
        "NVIDIA/NVSentinel#1512",
    ),
    (
        "prometheus-operator (Go)",
        "2.4 s per reconcile in the mean (165.5 s in 70), as a metrics dump has it",
        "prometheus-community/helm-charts, pull request 2615",
    ),
    (
        "linkerd's policy controller (Rust, kube)",
        "16 GiB were too little for 1,000 HTTPRoutes, until statuses were written only when they change",
        "linkerd/linkerd2#12104",
    ),
    (
        "a kube controller that owns a kind that is absent",
        "half of all reconciles over 32.9 s late, one in a hundred over 62.7 s",
        "measured for this project, docs/architecture.md",
    ),
];

const BARS: [(&str, &str); 5] = [
    ("from an edit to the change in its child, p99", "under 1 s"),
    ("calls when nothing happens, without the leader election", "about 0"),
    ("memory (RSS)", "at most 150 MiB"),
    ("leader failover", "under 20 s"),
    ("writes of one that led, after the next one's first", "0"),
];

/// See the module.
pub(crate) struct Report {
    head: String,
    order: Vec<&'static str>,
    tables: BTreeMap<&'static str, Table>,
    current: &'static str,
    phases: usize,
    /// What the bars are about.
    figures: BTreeMap<Way, Figures>,
}

/// What the bars are about.
#[derive(Default)]
pub(crate) struct Figures {
    /// All other calls than the leader election's, per minute.
    pub(crate) idle: Option<f64>,
    /// The 99th percentiles of edits: how they came, and microseconds.
    pub(crate) edits: Vec<(String, u64)>,
    /// Seconds until the next one writes, where the leader does not leave by itself.
    pub(crate) failover: Vec<f64>,
    /// Writes of one that led, after the first write of the next one.
    pub(crate) late: usize,
    /// The most that an operator had, in MiB, settled and ever.
    pub(crate) memory: f64,
    pub(crate) peak: f64,
}

#[derive(Default)]
struct Table {
    columns: String,
    rows: Vec<String>,
    notes: Vec<String>,
}

// === impl Report ===

impl Report {
    pub(crate) async fn new(site: &Site) -> Self {
        let version = site.cluster.client.apiserver_version().await.unwrap().git_version;
        let nodes = kubectl(&["get", "nodes", "-o", "name"]).unwrap().lines().count();
        let policies = if site.policies.is_empty() {
            "no policies, whose kinds are not installed".to_owned()
        } else {
            format!("one {} per namespace", site.policies.join(" and one "))
        };
        let head = format!(
            "Kubernetes {version}, {} processors for all of it (etcd, API server, controller manager, kwok, operator and bench). {} fleets in {} \
             namespaces; {policies}; {} pods, one per fleet, on {nodes} nodes of kwok. More pods than one per fleet would measure kwok and the API server, \
             which make some hundred of them a second here: the operator keeps a few words of each.",
            std::thread::available_parallelism().unwrap(),
            site.fleets.len(),
            site.namespaces().len(),
            site.pods,
        );
        Self { head, order: Vec::new(), tables: BTreeMap::new(), current: "", phases: 0, figures: BTreeMap::new() }
    }

    /// Figures of an operator that reaches the API server that way.
    pub(crate) fn figures(&mut self, way: Way) -> &mut Figures {
        self.figures.entry(way).or_default()
    }

    /// A word that no phase had before.
    pub(crate) fn phase(&mut self) -> String {
        self.phases += 1;
        format!("p{}", self.phases)
    }

    /// Goes on with a table, which may be a new one.
    pub(crate) fn table(&mut self, title: &'static str, columns: &str) {
        if !self.order.contains(&title) {
            self.order.push(title);
            self.tables.insert(title, Table { columns: columns.to_owned(), ..Table::default() });
        }
        self.current = title;
    }

    /// A row of the table that was gone on with last.
    pub(crate) fn row(&mut self, row: &str) {
        eprintln!("operator: {row}");
        self.tables.get_mut(self.current).expect("a table was begun").rows.push(row.to_owned());
    }

    /// A sentence below it, once.
    pub(crate) fn note(&mut self, note: &str) {
        let notes = &mut self.tables.get_mut(self.current).expect("a table was begun").notes;
        if !notes.iter().any(|have| have == note) {
            notes.push(note.to_owned());
        }
    }

    pub(crate) fn print(&self) {
        println!("{}", self.head);
        let (first, second) = (Way::Straight.name(), Way::Faulty.name());
        println!("\n### Bars\n\n| what | bar | {first} | {second} |\n|---|---|---|---|");
        let (straight, faulty) = (bars(self.figures.get(&Way::Straight)), bars(self.figures.get(&Way::Faulty)));
        for ((what, bar), (straight, faulty)) in BARS.iter().zip(straight.iter().zip(&faulty)) {
            println!("| {what} | {bar} | {straight} | {faulty} |");
        }
        println!("\n| beside it | published | where |\n|---|---|---|");
        for (who, what, source) in OTHERS {
            println!("| {who} | {what} | {source} |");
        }
        for title in &self.order {
            let table = &self.tables[title];
            println!("\n### {title}\n\n{}", table.columns);
            println!("{}", "|---".repeat(table.columns.matches('|').count() - 1) + "|");
            for row in &table.rows {
                println!("{row}");
            }
            for note in &table.notes {
                println!("\n{note}");
            }
        }
    }
}

/// How the figures stand beside [`BARS`].
fn bars(figures: Option<&Figures>) -> [String; BARS.len()] {
    let none = || "not measured".to_owned();
    let Some(figures) = figures else { return [(); BARS.len()].map(|()| none()) };
    let longest = figures.failover.iter().copied().reduce(f64::max);
    let edits: Vec<String> =
        figures.edits.iter().map(|(how, us)| format!("{:.0} ms {how}", float(*us) / 1_000.0)).collect();
    [
        if edits.is_empty() { none() } else { edits.join(", ") },
        figures.idle.map_or_else(none, |idle| format!("{idle:.1} a minute")),
        format!("{:.1} MiB settled, {:.1} MiB at its peak", figures.memory, figures.peak),
        longest.map_or_else(none, |s| format!("{s:.1} s")),
        if figures.failover.is_empty() { none() } else { figures.late.to_string() },
    ]
}
