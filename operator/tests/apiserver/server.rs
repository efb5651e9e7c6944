//! A real API server for one test: etcd and kube-apiserver on loopback, on free ports, in a temporary folder; gone on drop.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use fleetscope_tests::audit::{self, Request};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use serde_json::json;

/// Who the operator is to the API server. It has the roles that the chart gives it, and nothing else.
pub(crate) const OPERATOR: &str = "fleetscope-operator";
/// Operators that the audit log can tell apart, with the same role.
pub(crate) const CANDIDATES: [&str; 4] =
    ["fleetscope-operator-1", "fleetscope-operator-2", "fleetscope-operator-3", "fleetscope-operator-4"];

/// The group of all of them.
pub(crate) const GROUP_OF_OPERATORS: &str = "fleetscope-operators";

/// A process that ends with its owner.
pub(crate) struct Process(pub(crate) Child);

/// An API server.
pub(crate) struct Server {
    apiserver: Option<Process>,
    etcd: Option<Process>,
    pub(crate) folder: PathBuf,
    port: u16,
}

// === impl Process ===

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

// === impl Server ===

impl Server {
    /// Starts one and waits until it is ready.
    pub(crate) async fn start() -> (Self, Client) {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("fleetscope-apiserver-{}-{number}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let [client, peer, port] = free_ports();
        let mut server = Self { apiserver: None, etcd: None, folder, port };
        server.files();
        let url = |port: u16| format!("http://127.0.0.1:{port}");
        server.etcd = Some(server.spawn(
            "etcd",
            &[
                format!("--data-dir={}", server.path("etcd")),
                format!("--listen-client-urls={}", url(client)),
                format!("--advertise-client-urls={}", url(client)),
                format!("--listen-peer-urls={}", url(peer)),
                format!("--initial-advertise-peer-urls={}", url(peer)),
                format!("--initial-cluster=default={}", url(peer)),
                "--unsafe-no-fsync".to_owned(),
            ],
        ));
        server.apiserver = Some(server.spawn(
            "kube-apiserver",
            &[
                format!("--etcd-servers={}", url(client)),
                "--bind-address=127.0.0.1".to_owned(),
                format!("--secure-port={port}"),
                format!("--cert-dir={}", server.path("certs")),
                format!("--token-auth-file={}", server.path("tokens.csv")),
                "--authorization-mode=RBAC".to_owned(),
                "--service-account-issuer=https://kubernetes.default.svc".to_owned(),
                format!("--service-account-key-file={}", server.path("sa.key")),
                format!("--service-account-signing-key-file={}", server.path("sa.key")),
                "--service-cluster-ip-range=10.213.0.0/24".to_owned(),
                // There is no controller that would make service accounts for pods.
                "--disable-admission-plugins=ServiceAccount".to_owned(),
                format!("--audit-policy-file={}", server.path("audit.yaml")),
                format!("--audit-log-path={}", server.path("audit.log")),
            ],
        ));
        let client = server.client("admin").await;
        let ready = async || {
            for process in [&mut server.etcd, &mut server.apiserver] {
                let ended = process.as_mut().expect("both were started").0.try_wait().unwrap();
                assert_eq!(ended, None, "etcd and the API server run; logs: {}", server.folder.display());
            }
            client.request_text(get("/readyz")).await.ok().filter(|answer| answer == "ok")
        };
        eventually(Duration::from_mins(2), "the API server to be ready", ready).await;
        (server, client)
    }

    /// A client of a user.
    pub(crate) async fn client(&self, user: &str) -> Client {
        Client::try_from(self.config(user).await).unwrap()
    }

    /// The configuration of a user's client.
    pub(crate) async fn config(&self, user: &str) -> Config {
        let kubeconfig = Kubeconfig::read_from(self.kubeconfig(user)).unwrap();
        Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.unwrap()
    }

    /// The kubeconfig of a user.
    pub(crate) fn kubeconfig(&self, user: &str) -> PathBuf {
        self.folder.join(format!("{user}.conf"))
    }

    /// Runs kubectl as admin: whether it succeeded, and what it said.
    pub(crate) fn kubectl(&self, args: &[impl AsRef<OsStr>]) -> (bool, String) {
        let output =
            Command::new(binary("kubectl")).args(args).env("KUBECONFIG", self.kubeconfig("admin")).output().unwrap();
        let text = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8_lossy(&text).into_owned())
    }

    /// The operators' requests, in the order of their arrival.
    pub(crate) fn requests(&self) -> Vec<Request> {
        let users = [&[OPERATOR], CANDIDATES.as_slice()].concat();
        let mut requests = audit::requests(&self.folder.join("audit.log"), &users).unwrap();
        requests.sort_by(|a, b| a.received.cmp(&b.received));
        requests
    }

    /// The verbs by which the operators read a resource, each once.
    pub(crate) fn reads(&self, resource: &str) -> Vec<String> {
        let reads = self.requests().into_iter().filter(|request| request.resource == resource);
        reads.map(|request| request.verb).collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// Those that write, without leader election and Events.
    pub(crate) fn written(&self) -> Vec<Request> {
        let other = |request: &Request| matches!(request.resource.as_str(), "leases" | "events");
        self.requests().into_iter().filter(|request| request.writes() && !other(request)).collect()
    }

    /// The same, as `verb resource/name`.
    pub(crate) fn writes(&self) -> Vec<String> {
        self.written().iter().map(|r| format!("{} {}/{}", r.verb, r.resource, r.name)).collect()
    }

    /// The operators' requests that the API server refused for lack of a right.
    pub(crate) fn forbidden(&self) -> Vec<String> {
        self.requests().into_iter().filter(|request| request.code == 403).map(|request| request.uri).collect()
    }

    fn files(&self) {
        let write = |name: &str, text: String| fs::write(self.folder.join(name), text).unwrap();
        let operators = [&[OPERATOR], CANDIDATES.as_slice()].concat();
        let tokens = operators.iter().map(|user| format!("{user},{user},{user},{GROUP_OF_OPERATORS}\n"));
        write("tokens.csv", format!("admin,admin,1,system:masters\n{}", tokens.collect::<String>()));
        write(
            "audit.yaml",
            "apiVersion: audit.k8s.io/v1\nkind: Policy\nomitStages: [RequestReceived]\nrules: [{level: Metadata}]\n"
                .to_owned(),
        );
        for user in [&["admin"], operators.as_slice()].concat() {
            let cluster =
                json!({ "server": format!("https://127.0.0.1:{}", self.port), "insecure-skip-tls-verify": true });
            let config = json!({
                "apiVersion": "v1", "kind": "Config", "current-context": "test",
                "clusters": [{ "name": "test", "cluster": cluster }],
                "users": [{ "name": user, "user": { "token": user } }],
                "contexts": [{ "name": "test", "context": { "cluster": "test", "user": user } }],
            });
            write(&format!("{user}.conf"), config.to_string());
        }
        let key = self.path("sa.key");
        let made =
            Command::new("openssl").args(["genrsa", "-out", &key, "2048"]).stderr(Stdio::null()).status().unwrap();
        assert!(made.success(), "openssl genrsa");
    }

    /// The path of a file in the server's folder.
    pub(crate) fn path(&self, name: &str) -> String {
        self.folder.join(name).to_string_lossy().into_owned()
    }

    fn spawn(&self, name: &str, args: &[String]) -> Process {
        let log = fs::File::create(self.folder.join(format!("{name}.log"))).unwrap();
        let mut command = Command::new(binary(name));
        // They live for seconds: a fifth of the API server's start is garbage collection otherwise.
        command.args(args).env("GOGC", "400").current_dir(&self.folder).stdout(Stdio::null()).stderr(log);
        Process(command.spawn().unwrap())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("logs of the failed test: {}", self.folder.display());
        }
        self.apiserver = None;
        self.etcd = None;
        if !std::thread::panicking() {
            fs::remove_dir_all(&self.folder).unwrap();
        }
    }
}

/// Three ports that nobody listens on, and that no other test was given: it may not listen on them yet.
fn free_ports() -> [u16; 3] {
    static GIVEN: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());
    let mut given = GIVEN.lock().unwrap();
    // Held until all are known.
    let mut held = Vec::new();
    [(); 3].map(|()| {
        loop {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let port = listener.local_addr().unwrap().port();
            held.push(listener);
            if given.insert(port) {
                return port;
            }
        }
    })
}

/// Where `make setup` puts the cluster's binaries and definitions.
pub(crate) fn cache() -> PathBuf {
    let home = || PathBuf::from(std::env::var_os("HOME").expect("HOME is set")).join(".cache");
    let xdg = || std::env::var_os("XDG_CACHE_HOME").map_or_else(home, PathBuf::from).join("fleetscope");
    std::env::var_os("FLEETSCOPE_CACHE").map_or_else(xdg, PathBuf::from).join("bin")
}

fn binary(name: &str) -> PathBuf {
    let path = cache().join(name);
    assert!(path.exists(), "{} is missing: make setup", path.display());
    path
}

/// A request without a body.
pub(crate) fn get(path: &str) -> http::Request<Vec<u8>> {
    http::Request::get(path).body(Vec::new()).unwrap()
}

/// Asks until there is an answer, and gives it with the time that it took.
pub(crate) async fn eventually<T>(
    limit: Duration,
    what: &str,
    mut ask: impl AsyncFnMut() -> Option<T>,
) -> (T, Duration) {
    let start = Instant::now();
    loop {
        if let Some(answer) = ask().await {
            return (answer, start.elapsed());
        }
        assert!(start.elapsed() < limit, "waited {limit:?} for {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// The root of the repository.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}
