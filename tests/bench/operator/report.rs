//! The tables, in the order in which they were begun, and the bars beside what was measured.

use std::collections::BTreeMap;

use fleetscope_tests::cluster::kubectl;

use crate::figures::float;
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

/// See the module.
pub(crate) struct Report {
    head: String,
    order: Vec<&'static str>,
    tables: BTreeMap<&'static str, Table>,
    current: &'static str,
    phases: usize,
    /// All other calls than the leader election's, per minute.
    pub(crate) idle: f64,
    /// The 99th percentiles of edits without faults: how they came, and microseconds.
    pub(crate) edits: Vec<(String, u64)>,
    /// Seconds until the next one writes.
    pub(crate) failover: Vec<f64>,
    /// Writes of one that led, after the first write of the next one.
    pub(crate) late: usize,
    /// The most that any operator had, in MiB, settled and ever.
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
        Self {
            head,
            order: Vec::new(),
            tables: BTreeMap::new(),
            current: "",
            phases: 0,
            idle: f64::NAN,
            edits: Vec::new(),
            failover: Vec::new(),
            late: 0,
            memory: 0.0,
            peak: 0.0,
        }
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
        println!("\n### Bars\n\n| what | bar | this run |\n|---|---|---|");
        for (what, bar, figure) in self.bars() {
            println!("| {what} | {bar} | {figure} |");
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

    fn bars(&self) -> [(&'static str, &'static str, String); 5] {
        let none = || "not measured".to_owned();
        let longest = self.failover.iter().copied().reduce(f64::max);
        let edits: Vec<String> =
            self.edits.iter().map(|(how, us)| format!("{:.0} ms {how}", float(*us) / 1_000.0)).collect();
        [
            (
                "from an edit to the change in its child, p99",
                "under 1 s",
                if edits.is_empty() { none() } else { edits.join(", ") },
            ),
            (
                "calls when nothing happens, without the leader election",
                "about 0",
                if self.idle.is_nan() { none() } else { format!("{:.1} a minute", self.idle) },
            ),
            (
                "memory (RSS)",
                "at most 150 MiB",
                format!("{:.1} MiB settled, {:.1} MiB at its peak", self.memory, self.peak),
            ),
            ("leader failover", "under 20 s", longest.map_or_else(none, |s| format!("{s:.1} s"))),
            (
                "writes of one that led, after the next one's first",
                "0",
                if self.failover.is_empty() { none() } else { self.late.to_string() },
            ),
        ]
    }
}
