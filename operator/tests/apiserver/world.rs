//! A cluster with our definition in it, the operator as a process, and objects by name.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use fleetscope_core::api::{AgentFleet, GROUP, VERSION};
use fleetscope_core::resources::ChildKind;
use fleetscope_operator::children::api_resource;
use fleetscope_operator::owner::OwnerKind;
use fleetscope_tests::faults::{Plan, Proxy};
use fleetscope_tests::release;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use kube::core::{ApiResource, DynamicObject, GroupVersionKind};
use kube::{Api, Client};
use serde_json::{Value, json};

use crate::operator::Operator;
use crate::server::{GROUP_OF_OPERATORS, OPERATOR, Process, Server, cache, eventually, root};

/// Namespace of the fleets.
pub(crate) const NAMESPACE: &str = "agents";
/// What everything has to happen in, when no shorter time is promised.
pub(crate) const LIMIT: Duration = Duration::from_secs(30);
/// More than a status that only counts differently may wait, and a policy of all namespaces for its turn: 1 s each, one after the other.
const QUIET: Duration = Duration::from_millis(2_500);

/// The cluster.
pub(crate) struct World {
    pub(crate) server: Server,
    pub(crate) client: Client,
}

// === impl World ===

impl World {
    /// A cluster with our definition, the roles that the chart gives the operator, and the namespaces.
    pub(crate) async fn start() -> Self {
        let world = Self::bare().await;
        world.namespace(NAMESPACE);
        world.roles(&[]);
        world
    }

    /// A cluster with nothing of ours in it.
    pub(crate) async fn none() -> Self {
        let (server, client) = Server::start().await;
        Self { server, client }
    }

    /// A cluster with our definition and the namespace of the operator, which has no role.
    pub(crate) async fn bare() -> Self {
        let world = Self::none().await;
        world.define();
        world.namespace(release::NAMESPACE);
        world
    }

    /// Installs our definitions.
    pub(crate) fn define(&self) {
        self.apply(&[root().join("crds")]);
        self.established(&OwnerKind::ALL.map(OwnerKind::crd));
    }

    pub(crate) fn namespace(&self, name: &str) {
        let (made, said) = self.server.kubectl(&["create", "namespace", name]);
        assert!(made, "{said}");
    }

    /// Makes the roles that the chart makes for the operator when it is to look at these namespaces, for the users of these tests.
    pub(crate) fn roles(&self, namespaces: &[&str]) {
        let users = json!([{ "kind": "Group", "apiGroup": "rbac.authorization.k8s.io", "name": GROUP_OF_OPERATORS }]);
        let mut objects = release::objects(&json!({ "namespaces": namespaces })).unwrap();
        objects.retain(|object| {
            object["apiVersion"] == "rbac.authorization.k8s.io/v1"
                && object["metadata"]["labels"]["app.kubernetes.io/component"] == "operator"
        });
        for object in &mut objects {
            if !object["subjects"].is_null() {
                object["subjects"] = users.clone();
            }
        }
        let list = json!({ "apiVersion": "v1", "kind": "List", "items": objects });
        let file = self.server.folder.join("roles.json");
        std::fs::write(&file, list.to_string()).unwrap();
        self.apply(&[file]);
    }

    /// Gives the users of these tests the roles that the chart made, where it is installed itself.
    pub(crate) fn bind(&self) {
        let group = format!("--group={GROUP_OF_OPERATORS}");
        let role = "fleetscope-operator";
        let everywhere = ["create", "clusterrolebinding", "tests", &format!("--clusterrole={role}"), &group];
        let own = ["-n", release::NAMESPACE, "create", "rolebinding", "tests", &format!("--role={role}"), &group];
        for binding in [everywhere.as_slice(), &own] {
            let (made, said) = self.server.kubectl(binding);
            assert!(made, "{said}");
        }
    }

    pub(crate) fn apply(&self, files: &[PathBuf]) {
        let files = files.iter().map(|file| format!("--filename={}", file.display()));
        let args: Vec<String> = ["apply", "--server-side"].map(str::to_owned).into_iter().chain(files).collect();
        let (applied, said) = self.server.kubectl(&args);
        assert!(applied, "{said}");
    }

    /// Installs prometheus-operator's definitions of the two monitors.
    pub(crate) fn install_monitors(&self) {
        self.install(&["podmonitors", "servicemonitors"]);
    }

    /// Installs all kinds of prometheus-operator that we make objects of.
    pub(crate) fn install_children(&self) {
        let of_it = |kind: &&ChildKind| kind.crd().is_some() && **kind != ChildKind::GrafanaDashboard;
        let kinds: Vec<&str> = ChildKind::ALL.iter().filter(of_it).map(|kind| kind.plural()).collect();
        self.install(&kinds);
    }

    /// Installs grafana-operator's definition of dashboards.
    pub(crate) fn install_dashboards(&self) {
        self.apply(&[cache().join("grafana-operator-crds/grafana.integreatly.org_grafanadashboards.yaml")]);
        self.established(ChildKind::GrafanaDashboard.crd().as_slice());
    }

    /// Installs prometheus-operator's definitions of these kinds.
    pub(crate) fn install(&self, plurals: &[&str]) {
        let file = |plural| cache().join(format!("prometheus-operator-crds/monitoring.coreos.com_{plural}.yaml"));
        self.apply(&plurals.iter().map(file).collect::<Vec<_>>());
        self.established(&plurals.iter().map(|plural| format!("{plural}.monitoring.coreos.com")).collect::<Vec<_>>());
    }

    /// Removes them, and with them all monitors.
    pub(crate) fn remove_monitors(&self) {
        let (removed, said) = self.server.kubectl(&[
            "delete",
            "crd",
            "podmonitors.monitoring.coreos.com",
            "servicemonitors.monitoring.coreos.com",
        ]);
        assert!(removed, "{said}");
    }

    pub(crate) fn established(&self, crds: &[impl AsRef<str>]) {
        let start = Instant::now();
        let wait = ["wait", "--for=condition=Established", "--timeout=60s", "crd"].into_iter();
        let wait: Vec<&str> = wait.chain(crds.iter().map(AsRef::as_ref)).collect();
        loop {
            // A definition that has no status yet is an error to kubectl.
            let (done, said) = self.server.kubectl(&wait);
            if done {
                return;
            }
            assert!(start.elapsed() < LIMIT, "{said}");
        }
    }

    /// Starts an operator; it takes part in the leader election under `name`.
    pub(crate) fn operator(&self, name: &str, args: &[&str]) -> Operator {
        self.operator_with(&self.server.kubeconfig(OPERATOR), name, args)
    }

    /// A proxy before the API server at which requests fail by plan, as the operator.
    pub(crate) async fn proxy(&self, plan: Plan) -> Proxy {
        Proxy::start(self.server.config(OPERATOR).await, plan).await.unwrap()
    }

    /// Starts an operator behind a proxy.
    pub(crate) fn operator_behind(&self, proxy: &Proxy, name: &str, args: &[&str]) -> Operator {
        let kubeconfig = self.server.folder.join(format!("{name}-proxy.conf"));
        std::fs::write(&kubeconfig, proxy.kubeconfig()).unwrap();
        self.operator_with(&kubeconfig, name, args)
    }

    /// Starts an operator with a kubeconfig.
    pub(crate) fn operator_with(&self, kubeconfig: &Path, name: &str, args: &[&str]) -> Operator {
        let log = self.server.folder.join(format!("{name}.log"));
        let mut command = Command::new(env!("CARGO_BIN_EXE_fleetscope-operator"));
        command
            .args([
                "run",
                "--listen=127.0.0.1:0",
                "--monitor-label=release=kps",
                "--log-level=info,fleetscope_operator=debug",
            ])
            .args(args)
            .env("KUBECONFIG", kubeconfig)
            .env("POD_NAME", name)
            .env("POD_NAMESPACE", "fleetscope-system")
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(&log).unwrap());
        Operator { process: Process(command.spawn().unwrap()), name: name.to_owned(), log }
    }

    /// Makes a fleet.
    pub(crate) async fn fleet(&self, name: &str, scrape: Value) -> AgentFleet {
        let fleet = json!({
            "apiVersion": "fleetscope.io/v1alpha1", "kind": "AgentFleet", "metadata": { "name": name },
            "spec": { "selector": { "matchLabels": { "app": name } }, "scrape": scrape },
        });
        self.fleets().create(&PostParams::default(), &serde_json::from_value(fleet).unwrap()).await.unwrap()
    }

    pub(crate) fn fleets(&self) -> Api<AgentFleet> {
        Api::namespaced(self.client.clone(), NAMESPACE)
    }

    pub(crate) fn children(&self, kind: ChildKind) -> Api<DynamicObject> {
        Api::namespaced_with(self.client.clone(), NAMESPACE, &api_resource(kind))
    }

    /// Waits for a fleet's object, and tells how long that took.
    pub(crate) async fn child(&self, kind: ChildKind, fleet: &str) -> (DynamicObject, Duration) {
        self.object(kind, &format!("{fleet}-scrape")).await
    }

    /// Waits until a fleet's object is gone.
    pub(crate) async fn no_child(&self, kind: ChildKind, fleet: &str) -> Duration {
        let (api, name) = (self.children(kind), format!("{fleet}-scrape"));
        let gone = async || api.get_opt(&name).await.ok().is_some_and(|o| o.is_none()).then_some(());
        eventually(LIMIT, &format!("{} {name} to go", kind.as_str()), gone).await.1
    }

    /// Waits until a condition has a status and a reason.
    pub(crate) async fn condition(&self, fleet: &str, wanted: &str) -> AgentFleet {
        self.condition_within(LIMIT, fleet, wanted).await
    }

    /// As [`World::condition`], with a limit of its own.
    pub(crate) async fn condition_within(&self, limit: Duration, fleet: &str, wanted: &str) -> AgentFleet {
        let object = self.condition_of(OwnerKind::AgentFleet, fleet, wanted, limit).await;
        serde_json::from_value(serde_json::to_value(object).unwrap()).unwrap()
    }

    /// The same of an object of any of our kinds.
    pub(crate) async fn condition_of(
        &self,
        kind: OwnerKind,
        name: &str,
        wanted: &str,
        limit: Duration,
    ) -> DynamicObject {
        let api = self.owners(kind);
        let (mut last, mut told) = (Vec::new(), String::new());
        let start = Instant::now();
        while start.elapsed() < limit {
            let object = api.get(name).await.unwrap();
            told = object.data["status"].to_string();
            let conditions = object.data.pointer("/status/conditions").and_then(Value::as_array);
            let text = |condition: &Value, field: &str| condition[field].as_str().unwrap_or_default().to_owned();
            last = conditions
                .into_iter()
                .flatten()
                .map(|c| format!("{}={} {}", text(c, "type"), text(c, "status"), text(c, "reason")))
                .collect();
            if last.iter().any(|have| have == wanted) {
                return object;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("waited for {wanted} of {} {name}, which has {last:?}: {told}", kind.as_str());
    }

    /// Waits until the status of an object of ours is about this generation.
    pub(crate) async fn observed(&self, kind: OwnerKind, name: &str, generation: i64) {
        let api = self.owners(kind);
        let observed = async || {
            let object = api.get(name).await.ok()?;
            (object.data["status"]["observedGeneration"] == generation).then_some(())
        };
        eventually(LIMIT, &format!("generation {generation} of {} {name} to be observed", kind.as_str()), observed)
            .await;
    }

    /// Objects of one of our kinds, in the namespace of the fleets.
    pub(crate) fn owners(&self, kind: OwnerKind) -> Api<DynamicObject> {
        let gvk = GroupVersionKind::gvk(GROUP, VERSION, kind.as_str());
        let plural = kind.crd().split('.').next().unwrap();
        let resource = ApiResource::from_gvk_with_plural(&gvk, plural);
        if kind.namespaced() {
            Api::namespaced_with(self.client.clone(), NAMESPACE, &resource)
        } else {
            Api::all_with(self.client.clone(), &resource)
        }
    }

    /// Makes an object of one of our kinds.
    pub(crate) async fn make(&self, kind: OwnerKind, name: &str, spec: Value) -> DynamicObject {
        let object = json!({
            "apiVersion": format!("{GROUP}/{VERSION}"), "kind": kind.as_str(), "metadata": { "name": name }, "spec": spec,
        });
        self.owners(kind).create(&PostParams::default(), &serde_json::from_value(object).unwrap()).await.unwrap()
    }

    /// Changes one.
    pub(crate) async fn change(&self, kind: OwnerKind, name: &str, spec: Value) {
        let patch = Patch::Merge(json!({ "spec": spec }));
        self.owners(kind).patch(name, &PatchParams::default(), &patch).await.unwrap();
    }

    /// Waits for an object by its name, and tells how long that took.
    pub(crate) async fn object(&self, kind: ChildKind, name: &str) -> (DynamicObject, Duration) {
        let api = self.children(kind);
        eventually(LIMIT, &format!("{} {name}", kind.as_str()), async || api.get_opt(name).await.ok().flatten()).await
    }

    /// Waits until an object is gone.
    pub(crate) async fn no_object(&self, kind: ChildKind, name: &str) {
        let api = self.children(kind);
        let gone = async || api.get_opt(name).await.ok().is_some_and(|o| o.is_none()).then_some(());
        eventually(LIMIT, &format!("{} {name} to go", kind.as_str()), gone).await;
    }

    /// Makes a Secret with these keys, or gives one these keys.
    pub(crate) fn secret(&self, name: &str, keys: &[&str]) {
        let data: serde_json::Map<String, Value> =
            keys.iter().map(|key| ((*key).to_owned(), json!("dmFsdWU="))).collect();
        let secret = json!({ "apiVersion": "v1", "kind": "Secret", "metadata": { "name": name, "namespace": NAMESPACE }, "data": data });
        let file = self.server.folder.join("secret.json");
        std::fs::write(&file, secret.to_string()).unwrap();
        self.apply(&[file]);
    }

    pub(crate) async fn patch(&self, fleet: &str, patch: Value) {
        self.fleets().patch(fleet, &PatchParams::default(), &Patch::Merge(patch)).await.unwrap();
    }

    pub(crate) async fn delete(&self, kind: ChildKind, fleet: &str) {
        self.children(kind).delete(&format!("{fleet}-scrape"), &DeleteParams::default()).await.unwrap();
    }

    /// Watches until the operators have written nothing for [`QUIET`], and gives all that they wrote.
    pub(crate) async fn quiet(&self) -> Vec<String> {
        let begun = Instant::now();
        let (mut last, mut since) = (self.server.writes(), begun);
        while since.elapsed() < QUIET {
            assert!(begun.elapsed() < LIMIT * 4, "still written: {:?}", last.last());
            tokio::time::sleep(Duration::from_millis(250)).await;
            let now = self.server.writes();
            if now != last {
                (last, since) = (now, Instant::now());
            }
        }
        last
    }
}
