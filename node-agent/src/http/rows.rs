//! `/api/v1/tasks` and `/api/v1/grpc`: the series of tasks and of gRPC calls as rows, of all fleets or of one
//! (`?namespace=..&fleet=..`). The same series as at `/metrics`, so the same figures.

use std::sync::Arc;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::response::Response;
use fleetscope_core::metrics::{RPC_CLIENT_DURATION, RPC_FIRST_RESPONSE, RPC_IN_FLIGHT, RPC_SERVER_DURATION};
use fleetscope_core::series::{Filter, Selection, Snapshot};
use fleetscope_core::{rpc, tasks};
use serde::{Deserialize, Serialize};
use tokio::task::spawn_blocking;

use super::App;
use super::answer::{Refused, json_body};

/// What the names of all metrics of tasks begin with, and no other's.
const TASK_METRICS: &str = "fleetscope_task";
/// What rows of calls are made of.
const CALL_METRICS: [&str; 4] =
    [RPC_CLIENT_DURATION.name, RPC_FIRST_RESPONSE.name, RPC_IN_FLIGHT.name, RPC_SERVER_DURATION.name];

/// Whose rows. Other parameters are refused: a misspelt one must not answer with every fleet's.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Parameters {
    namespace: Option<String>,
    fleet: Option<String>,
}

// === impl Parameters ===

impl Parameters {
    fn selection(self) -> Result<Selection, Refused> {
        match (self.namespace, self.fleet) {
            (Some(namespace), Some(fleet)) => Ok(Selection::Fleet { namespace, fleet }),
            (None, None) => Ok(Selection::All),
            _ => Err(Refused::half_a_fleet()),
        }
    }
}

/// Answers with the rows of tasks.
pub async fn tasks<I: Serialize + Send + Sync + 'static>(
    State(app): State<Arc<App<I>>>,
    parameters: Result<Query<Parameters>, QueryRejection>,
) -> Result<Response, Refused> {
    let filter = Filter { name_prefix: Some(TASK_METRICS.to_owned()), ..Filter::default() };
    answer(&app, parameters, filter, tasks::rows::tasks).await.map_err(|refused| app.counted(refused))
}

/// Answers with the rows of gRPC calls.
pub async fn calls<I: Serialize + Send + Sync + 'static>(
    State(app): State<Arc<App<I>>>,
    parameters: Result<Query<Parameters>, QueryRejection>,
) -> Result<Response, Refused> {
    let filter = Filter { names: &CALL_METRICS, ..Filter::default() };
    answer(&app, parameters, filter, rpc::rows::calls).await.map_err(|refused| app.counted(refused))
}

async fn answer<I, R: Serialize + Send + 'static>(
    app: &App<I>,
    parameters: Result<Query<Parameters>, QueryRejection>,
    filter: Filter,
    rows: fn(&Snapshot) -> Vec<R>,
) -> Result<Response, Refused> {
    let Query(parameters) = parameters.map_err(|error| Refused::Parameters(error.body_text()))?;
    let filter = Filter { scope: parameters.selection()?, ..filter };
    let admitted = app.admission.admit().await?;
    let snapshot = app.engine.snapshot(filter).await.map_err(|_| Refused::Stopping)?;
    let (body, _admitted) = spawn_blocking(move || (serde_json::to_vec(&rows(&snapshot)), admitted))
        .await
        .map_err(|_| Refused::Stopping)?;
    app.admission.hold(body?).await.map(json_body)
}

#[cfg(test)]
mod tests {
    use fleetscope_core::metrics::{RPC_CALLS, RPC_SYSTEM};
    use fleetscope_core::series::{Identity, Limits, Registry};

    use super::*;

    #[test]
    fn rows_of_calls_need_no_other_metric() {
        let id = Arc::new(Identity::default());
        let mut registry = Registry::new(Limits::default());
        for metric in [&RPC_CLIENT_DURATION, &RPC_SERVER_DURATION] {
            registry.observe(metric, Some(&id), &["", "p.S/M", "OK", RPC_SYSTEM], 0.5);
        }
        registry.observe(&RPC_FIRST_RESPONSE, Some(&id), &["server", "p.S/M"], 0.25);
        registry.set(&RPC_IN_FLIGHT, Some(&id), &["client", "p.S/M"], 3.0);
        registry.add(&RPC_CALLS, None, &["started"], 1.0);
        let narrow = registry.snapshot(&Filter { names: &CALL_METRICS, ..Filter::default() });
        let rows = rpc::rows::calls(&registry.snapshot(&Filter::default()));
        assert_eq!((rows.len(), &rpc::rows::calls(&narrow), narrow.families().len()), (2, &rows, CALL_METRICS.len()));
    }
}
