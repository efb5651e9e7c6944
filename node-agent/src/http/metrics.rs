//! `/metrics`: the series of one fleet (`?namespace=..&fleet=..`), of the agent itself (`?scope=self`), or all.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::response::{IntoResponse as _, Response};
use fleetscope_core::expose::{content_type, negotiate};
use fleetscope_core::series::{Filter, Selection};
use serde::{Deserialize, Serialize};
use tokio::task::spawn_blocking;
use tokio::time::timeout;
use tracing::error;

use super::App;
use super::answer::Refused;
use super::encoding::{Coding, body, coding};

/// How long one scrape may take: Prometheus' default time limit.
const LIMIT: Duration = Duration::from_secs(10);

/// Parameters of `/metrics`. Others are refused: a misspelt one must not answer with every fleet's series.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Parameters {
    namespace: Option<String>,
    fleet: Option<String>,
    scope: Option<String>,
    #[serde(rename = "match")]
    matches: Option<String>,
}

// === impl Parameters ===

impl Parameters {
    fn filter(self) -> Result<Filter, Refused> {
        let scope = match (self.namespace, self.fleet, self.scope.as_deref()) {
            (Some(namespace), Some(fleet), None) => Selection::Fleet { namespace, fleet },
            (None, None, Some("self")) => Selection::SelfOnly,
            (None, None, None) => Selection::All,
            (None, None, Some(other)) => {
                return Err(Refused::Parameters(format!(
                    "scope is `self` or absent, not `{}`",
                    other.escape_default()
                )));
            }
            (_, _, Some(_)) => {
                return Err(Refused::Parameters("scope=self takes no namespace and no fleet".to_owned()));
            }
            _ => return Err(Refused::half_a_fleet()),
        };
        Ok(Filter { scope, name_prefix: self.matches, ..Filter::default() })
    }
}

/// Answers a scrape with what the kernel has recorded until now.
pub async fn answer<I: Serialize + Send + Sync + 'static>(
    State(app): State<Arc<App<I>>>,
    parameters: Result<Query<Parameters>, QueryRejection>,
    headers: HeaderMap,
) -> Result<Response, Refused> {
    scrape(&app, parameters, &headers).await.map_err(|refused| app.counted(refused))
}

async fn scrape<I>(
    app: &App<I>,
    parameters: Result<Query<Parameters>, QueryRejection>,
    headers: &HeaderMap,
) -> Result<Response, Refused> {
    let started = Instant::now();
    let Query(parameters) = parameters.map_err(|error| Refused::Parameters(error.body_text()))?;
    let filter = parameters.filter()?;
    let format = negotiate(whole(headers, &header::ACCEPT).as_deref());
    let coding = coding(whole(headers, &header::ACCEPT_ENCODING).as_deref());
    let admitted = app.admission.admit().await?;
    let work = async {
        if filter.scope != Selection::SelfOnly {
            app.sampling.refresh(&app.engine).await;
        }
        let snapshot = app.engine.snapshot(filter).await.map_err(|_| Refused::Stopping)?;
        match spawn_blocking(move || (body(&snapshot, format, coding), admitted)).await {
            Ok((Ok(body), admitted)) => Ok((body, admitted)),
            Ok((Err(error), _)) => {
                error!(%error, "Failed to compress a scrape");
                Err(Refused::Slow)
            }
            Err(_) => Err(Refused::Stopping),
        }
    };
    let (body, admitted) = timeout(LIMIT, work).await.map_err(|_| Refused::Slow)??;
    let body = app.admission.hold(body).await?;
    drop(admitted);
    app.engine.scraped(started.elapsed().as_secs_f64()).await.map_err(|_| Refused::Stopping)?;
    let mut response = body.into_response();
    let mut put = |name, value: &'static str| response.headers_mut().insert(name, HeaderValue::from_static(value));
    put(header::CONTENT_TYPE, content_type(format));
    put(header::VARY, "Accept, Accept-Encoding");
    put(header::CACHE_CONTROL, "no-store");
    if coding == Coding::Gzip {
        put(header::CONTENT_ENCODING, "gzip");
    }
    Ok(response)
}

/// A header that may come in several lines, as one.
fn whole(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    let lines: Vec<&str> = headers.get_all(name).iter().filter_map(|value| value.to_str().ok()).collect();
    (!lines.is_empty()).then(|| lines.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter(query: &str) -> Result<Filter, Refused> {
        let uri = format!("/metrics?{query}").parse().expect("a URI");
        let Query(parameters) =
            Query::<Parameters>::try_from_uri(&uri).map_err(|error| Refused::Parameters(error.body_text()))?;
        parameters.filter()
    }

    #[test]
    fn parameters_pick_a_fleet_the_agent_itself_or_all() {
        assert_eq!(filter(""), Ok(Filter::default()));
        assert_eq!(filter("scope=self"), Ok(Filter { scope: Selection::SelfOnly, ..Filter::default() }));
        assert_eq!(
            filter("namespace=a&fleet=b&match=fleetscope_tasks"),
            Ok(Filter {
                scope: Selection::Fleet { namespace: "a".to_owned(), fleet: "b".to_owned() },
                name_prefix: Some("fleetscope_tasks".to_owned()),
                ..Filter::default()
            })
        );
    }

    #[test]
    fn parameters_that_do_not_fit_never_answer_with_all() {
        for wrong in [
            "fleet=b",
            "namespace=a",
            "namespace=a&fleeet=b",
            "scope=all",
            "scope=self&fleet=b&namespace=a",
            "x=1",
            "fleet=a&fleet=b",
        ] {
            assert!(matches!(filter(wrong), Err(Refused::Parameters(_))), "{wrong}");
        }
    }
}
