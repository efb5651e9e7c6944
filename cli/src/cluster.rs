//! The cluster: connecting to its API server, and listing with errors that say which right is missing and who grants it.

use std::error::Error as _;
use std::fmt;
use std::time::Duration;

use kube::api::ListParams;
use kube::config::{InferConfigError, KubeConfigOptions, Kubeconfig, KubeconfigError};
use kube::{Api, Client, Config, Resource};
use serde::de::DeserializeOwned;

use crate::args::ScopeArgs;

/// Where the chart is installed unless it is told otherwise.
pub(crate) const DEFAULT_SYSTEM_NAMESPACE: &str = "fleetscope-system";
/// Objects per page of a list: the page size of kubectl.
const PAGE: u32 = 500;
/// Most pages of one list; more is not a cluster.
const MAX_PAGES: usize = 1_000;

/// A connection and what it is used for.
pub(crate) struct Cluster {
    /// Speaks to the API server.
    pub(crate) client: Client,
    /// Which fleets.
    pub(crate) scope: Scope,
    /// Where Fleetscope itself is installed, if it was said.
    pub(crate) system_namespace: Option<String>,
    /// How long one answer may take.
    pub(crate) timeout: Duration,
}

/// Which fleets were asked for.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Scope {
    /// Those of this namespace; `None` is all namespaces.
    pub(crate) namespace: Option<String>,
    /// Only this one.
    pub(crate) fleet: Option<String>,
}

/// Why the cluster could not be asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClusterError {
    /// The kubeconfig is missing, unreadable or lacks the context.
    #[error("failed to read the kubeconfig")]
    Kubeconfig(#[from] KubeconfigError),
    /// Neither a kubeconfig nor a pod's service account.
    #[error("failed to find a cluster")]
    Infer(#[from] InferConfigError),
    /// The kubeconfig's certificates or credentials cannot be used.
    #[error("failed to prepare the connection to {server}")]
    Client {
        /// URL of the API server.
        server: String,
        /// What the client says.
        source: ApiFailure,
    },
    /// The user lacks a right.
    #[error("failed to {verb} {resource} {}: forbidden", place(namespace.as_deref()))]
    Forbidden {
        /// The verb that is not allowed.
        verb: &'static str,
        /// The resource, with its group.
        resource: String,
        /// Where; `None` is all namespaces.
        namespace: Option<String>,
        /// What of the chart grants it.
        grant: &'static str,
    },
    /// The resource's definition is not installed.
    #[error("failed to list {resource}: the cluster does not know it")]
    NotInstalled {
        /// The resource, with its group.
        resource: String,
    },
    /// No answer in time.
    #[error("failed to list {resource} {}: no answer within {timeout:?}", place(namespace.as_deref()))]
    Timeout {
        /// The resource, with its group.
        resource: String,
        /// Where; `None` is all namespaces.
        namespace: Option<String>,
        /// The limit.
        timeout: Duration,
    },
    /// Anything else that the API server or the way to it says.
    #[error("failed to list {resource} {}", place(namespace.as_deref()))]
    List {
        /// The resource, with its group.
        resource: String,
        /// Where; `None` is all namespaces.
        namespace: Option<String>,
        /// What went wrong.
        source: ApiFailure,
    },
}

/// An error of the client, as one sentence without types and debug output.
#[derive(Debug)]
pub(crate) struct ApiFailure(pub(crate) kube::Error);

// === impl ApiFailure ===

impl fmt::Display for ApiFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let kube::Error::Api(status) = &self.0 {
            return write!(f, "{} (HTTP {})", status.message, status.code);
        }
        // The last cause is the one that says something: connection refused, unknown issuer, ...
        let mut last = self.0.to_string();
        let mut source = self.0.source();
        while let Some(error) = source {
            last = error.to_string();
            source = error.source();
        }
        f.write_str(&last)
    }
}

impl std::error::Error for ApiFailure {}

// === impl ClusterError ===

impl ClusterError {
    /// What to do about it.
    pub(crate) fn remedy(&self) -> String {
        match self {
            Self::Kubeconfig(_) | Self::Infer(_) => {
                "name a kubeconfig with --kubeconfig FILE or $KUBECONFIG, and one of its contexts with --context; \
                 `kubectl config get-contexts` lists them"
                    .to_owned()
            }
            Self::Client { .. } => "check the certificates and credentials of the kubeconfig: `kubectl version` uses the same".to_owned(),
            Self::Forbidden { verb, resource, namespace, grant } => {
                let scope = namespace.as_ref().map_or_else(|| "-A".to_owned(), |ns| format!("-n {ns}"));
                format!(
                    "`kubectl auth can-i {verb} {resource} {scope}` must say yes: ask for {grant} of the chart, or name a \
                     namespace that you may read"
                )
            }
            Self::NotInstalled { .. } => {
                "install the chart: helm upgrade --install fleetscope charts/fleetscope -n fleetscope-system --create-namespace"
                    .to_owned()
            }
            Self::Timeout { .. } => "see whether `kubectl get --raw /readyz` answers, or give more time with --timeout".to_owned(),
            Self::List { .. } => "see whether `kubectl get --raw /readyz` answers; --context chooses another cluster".to_owned(),
        }
    }
}

// === impl Cluster ===

impl Cluster {
    /// Prepares a connection; nothing is sent yet.
    pub(crate) async fn connect(scope: &ScopeArgs) -> Result<Self, ClusterError> {
        let options = KubeConfigOptions { context: scope.context.clone(), ..KubeConfigOptions::default() };
        let mut config = match &scope.kubeconfig {
            Some(path) => Config::from_custom_kubeconfig(Kubeconfig::read_from(path)?, &options).await?,
            None if scope.context.is_some() => Config::from_kubeconfig(&options).await?,
            None => Config::infer().await?,
        };
        config.connect_timeout = Some(scope.timeout);
        // A node that does not answer is reported at once; retries would hide it for seconds.
        config.default_retry = false;
        let server = config.cluster_url.to_string();
        let namespace = scope.namespace.clone().or_else(|| Some(config.default_namespace.clone()));
        let client = Client::try_from(config).map_err(|e| ClusterError::Client { server, source: ApiFailure(e) })?;
        Ok(Self {
            client,
            scope: Scope { namespace: namespace.filter(|_| !scope.all_namespaces), fleet: scope.fleet.clone() },
            system_namespace: scope.system_namespace.clone(),
            timeout: scope.timeout,
        })
    }

    /// Lists a kind in a namespace, or in all of them, page by page. `grant` is what of the chart allows it.
    pub(crate) async fn list<K>(
        &self,
        namespace: Option<&str>,
        labels: &str,
        grant: &'static str,
    ) -> Result<Vec<K>, ClusterError>
    where
        K: Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>
            + Clone
            + DeserializeOwned
            + fmt::Debug,
    {
        let api: Api<K> = match namespace {
            Some(namespace) => Api::namespaced(self.client.clone(), namespace),
            None => Api::all(self.client.clone()),
        };
        let resource = match K::group(&()).as_ref() {
            "" => K::plural(&()).into_owned(),
            group => format!("{}.{group}", K::plural(&())),
        };
        let namespace = namespace.map(ToOwned::to_owned);
        match tokio::time::timeout(self.timeout, pages(&api, labels)).await {
            Ok(Ok(items)) => Ok(items),
            Ok(Err(kube::Error::Api(status))) if status.code == 403 => {
                Err(ClusterError::Forbidden { verb: "list", resource, namespace, grant })
            }
            // A list of a known resource is never 404: this is a path that is not served.
            Ok(Err(kube::Error::Api(status))) if status.code == 404 => Err(ClusterError::NotInstalled { resource }),
            Ok(Err(error)) => Err(ClusterError::List { resource, namespace, source: ApiFailure(error) }),
            Err(_) => Err(ClusterError::Timeout { resource, namespace, timeout: self.timeout }),
        }
    }
}

// === impl Scope ===

impl Scope {
    /// Whether a fleet is among those that were asked for.
    pub(crate) fn wants(&self, namespace: &str, fleet: &str) -> bool {
        self.namespace.as_deref().is_none_or(|wanted| wanted == namespace)
            && self.fleet.as_deref().is_none_or(|wanted| wanted == fleet)
    }

    /// A path of the node agents that answers for one fleet only when one was asked for; else for all, of which those of
    /// the scope are still to be picked.
    pub(crate) fn path(&self, path: &str) -> String {
        match (&self.namespace, &self.fleet) {
            // Both are Kubernetes names, which need no escape in a query.
            (Some(namespace), Some(fleet)) => format!("{path}?namespace={namespace}&fleet={fleet}"),
            _ => path.to_owned(),
        }
    }
}

async fn pages<K>(api: &Api<K>, labels: &str) -> Result<Vec<K>, kube::Error>
where
    K: Clone + DeserializeOwned + fmt::Debug,
{
    let mut params = ListParams::default().labels(labels).limit(PAGE);
    let mut items = Vec::new();
    for _ in 0..MAX_PAGES {
        let page = api.list(&params).await?;
        items.extend(page.items);
        match page.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => params = params.continue_token(&token),
            None => break,
        }
    }
    Ok(items)
}

/// `in namespace x` or `in all namespaces`.
pub(crate) fn place(namespace: Option<&str>) -> String {
    namespace.map_or_else(|| "in all namespaces".to_owned(), |ns| format!("in namespace {ns}"))
}
