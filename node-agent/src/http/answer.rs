//! Answers that are not figures: JSON, and one sentence for what went wrong.

use axum::body::Bytes;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

/// What a request could not be answered with; the sentence says what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The parameters do not fit.
    #[error("{0}")]
    Parameters(String),
    /// No such path.
    #[error("there is nothing here: try /metrics, /healthz, /readyz, /info, /agents, /api/v1/tasks or /api/v1/grpc")]
    Path,
    /// Another method than GET and HEAD.
    #[error("only GET and HEAD are answered")]
    Method,
    /// More scrapes at once than are answered.
    #[error("too many scrapes at once: try again, or scrape less often")]
    Busy,
    /// It took too long.
    #[error("no answer in time: the node is overloaded; the next try may do")]
    Slow,
    /// The answer cannot be written as JSON.
    #[error("failed to write the answer as JSON")]
    Json,
    /// The agent ends.
    #[error("the agent is stopping")]
    Stopping,
}

impl Refused {
    /// A namespace without a fleet, or a fleet without its namespace.
    pub fn half_a_fleet() -> Self {
        Self::Parameters("namespace and fleet go together".to_owned())
    }

    fn status(&self) -> StatusCode {
        match self {
            Self::Parameters(_) => StatusCode::BAD_REQUEST,
            Self::Path => StatusCode::NOT_FOUND,
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::Json => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Busy | Self::Slow | Self::Stopping => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let mut response = (self.status(), format!("{self}\n")).into_response();
        if self.status() == StatusCode::SERVICE_UNAVAILABLE {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
        }
        response
    }
}

impl From<serde_json::Error> for Refused {
    fn from(_: serde_json::Error) -> Self {
        Self::Json
    }
}

/// A JSON answer that no one in between may keep.
pub fn json(status: StatusCode, value: &impl Serialize) -> Response {
    match serde_json::to_vec(value) {
        Ok(body) => (status, json_body(body.into())).into_response(),
        Err(error) => Refused::from(error).into_response(),
    }
}

/// The same of what is JSON already, with the status 200.
pub fn json_body(body: Bytes) -> Response {
    ([(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-store")], body).into_response()
}
