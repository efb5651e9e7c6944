//! The test cluster's own promises: it runs beside another one, leaves nothing on the machine, also after a crash, and
//! touches no cluster that somebody uses.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use fleetscope_tests::cluster::Cluster;
use fleetscope_tests::command::{self, Ran};
use fleetscope_tests::skip;

const NAME: &str = "alone::second_cluster::crashed_cluster_leaves_nothing_behind_and_touches_no_other";
/// What `down.sh` has to cope with, all at once.
const KILLED: [&str; 4] = ["apiserver", "etcd", "containerd-1", "kubelet-1"];

/// A cluster of one node in a folder of its own; removed when the test ends, however it ends.
struct Second {
    state: PathBuf,
    kubeconfig: PathBuf,
}

impl Second {
    fn new() -> Self {
        let state = Path::new(env!("CARGO_TARGET_TMPDIR")).join("second-cluster");
        let kubeconfig = state.with_extension("kubeconfig");
        fs::write(&kubeconfig, "somebody's own").unwrap();
        Self { state, kubeconfig }
    }

    fn script(&self, script: &str, arguments: &[&str]) -> Ran {
        let state = format!("FLEETSCOPE_STATE={}", self.state.display());
        let kubeconfig = format!("KUBECONFIG={}", self.kubeconfig.display());
        let settings =
            ["-u", "FLEETSCOPE_KUBECONFIG", "FLEETSCOPE_CLUSTER=second", "NODES=1", &state, &kubeconfig, script];
        command::run_with("env", &[&settings, arguments].concat(), "").unwrap()
    }

    fn read(&self, file: &str) -> String {
        fs::read_to_string(self.state.join(file)).unwrap().trim().to_owned()
    }
}

impl Drop for Second {
    fn drop(&mut self) {
        self.script("tests/cluster/down.sh", &["--purge"]);
        let _ = fs::remove_file(&self.kubeconfig);
    }
}

/// Control groups of clusters in every hierarchy, and the indices that are taken.
fn groups_and_indices() -> Vec<PathBuf> {
    let entries = |folder: &Path| fs::read_dir(folder).into_iter().flatten().map(|entry| entry.unwrap().path());
    let hierarchies =
        entries(Path::new("/sys/fs/cgroup")).flat_map(|tree| [tree.clone()].into_iter().chain(entries(&tree)));
    let groups =
        hierarchies.filter(|path| path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"fs")));
    groups.chain(entries(Path::new("/run/fleetscope"))).collect()
}

/// What a cluster could leave on the machine, line by line: links, routes, mounts, rules of the firewall, control groups.
fn machine() -> BTreeSet<String> {
    let list = |program: &str, arguments: &[&str]| command::run(program, arguments).unwrap();
    let mut all = vec![
        list("ip", &["-brief", "link"]),
        list("ip", &["-o", "route", "show", "table", "all"]),
        list("ip", &["netns"]),
        list("nft", &["--stateless", "list", "ruleset"]),
        list("cut", &["-d", " ", "-f", "5", "/proc/self/mountinfo"]),
    ];
    all.extend(groups_and_indices().iter().map(|path| path.display().to_string()));
    all.iter().flat_map(|text| text.lines()).map(str::to_owned).collect()
}

#[tokio::test]
#[ignore = "needs a cluster: make e2e"]
async fn crashed_cluster_leaves_nothing_behind_and_touches_no_other() {
    let root = fs::metadata("/proc/self").is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0);
    if !root || !command::exists("hyperkube") || !command::exists("containerd") {
        skip::skip(NAME, "a cluster on this machine needs root and what make setup installs");
        return;
    }
    let first = Cluster::connect().await.unwrap();
    let before = machine();
    let second = Second::new();
    let up = second.script("tests/cluster/up.sh", &[]);
    assert_eq!(up.code, 0, "{up:?}");
    let index = second.read("index");
    let added: Vec<String> = machine().difference(&before).cloned().collect();
    let name = format!("fs{index}");
    for place in ["/sys/fs/cgroup", "/run/fleetscope", &name, "10.254."] {
        assert!(added.iter().any(|line| line.starts_with(place)), "nothing of {place} in {added:?}");
    }

    for daemon in KILLED {
        let pid = second.read(&format!("pid/{daemon}"));
        let own = fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap();
        assert!(own.contains(&format!("/{name}/")), "{daemon} is process {pid} in {own}");
        command::run("kill", &["-KILL", &pid]).unwrap();
    }
    let status = second.script("tests/cluster/status.sh", &[]);
    assert_eq!(status.code, 1, "{status:?}");
    assert!(status.stdout.contains("cluster second is not whole"), "{status:?}");

    let down = second.script("tests/cluster/down.sh", &["--purge"]);
    assert_eq!(down.code, 0, "{down:?}");
    assert!(!second.state.exists());
    let left: Vec<String> = machine().difference(&before).cloned().collect();
    assert_eq!(left, [""; 0], "left on the machine");
    assert_eq!(fs::read_to_string(&second.kubeconfig).unwrap(), "somebody's own");
    assert_eq!(before.difference(&machine()).collect::<Vec<_>>(), [""; 0], "of others taken from the machine");
    first.client.apiserver_version().await.unwrap();
}
