//! Bodies of answers: made here, or passed on from the API server, straight or disturbed.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use http::{Response, StatusCode, header};
use hyper::body::{Body, Bytes, Frame, SizeHint};
use serde_json::json;
use tokio::time::{Sleep, sleep};

/// A body.
pub(super) enum Answer {
    /// Made here; none when it was said.
    Text(Option<Bytes>),
    /// Passed on.
    Passed(kube::client::Body),
    /// A watch that ends with 410 Gone.
    Expiring {
        /// The watch's events; none when it is over.
        events: Option<kube::client::Body>,
        /// When it ends.
        end: Pin<Box<Sleep>>,
        /// Whether all events so far were whole: one that is cut would be another fault.
        whole: bool,
    },
    /// One that says nothing at first.
    Held {
        /// What it has to say.
        text: kube::client::Body,
        /// Ends when it begins to speak; none since then.
        until: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    },
}

// === impl Answer ===

impl Answer {
    /// A watch that ends with 410 Gone after so long.
    pub(super) fn expiring(events: kube::client::Body, after: Duration) -> Self {
        Self::Expiring { events: Some(events), end: Box::pin(sleep(after)), whole: true }
    }

    /// One that says nothing until then.
    pub(super) fn held(text: kube::client::Body, until: impl Future<Output = ()> + Send + 'static) -> Self {
        Self::Held { text, until: Some(Box::pin(until)) }
    }

    /// The API server's way to say that something failed.
    pub(super) fn failure(code: StatusCode, reason: &str) -> Response<Self> {
        let mut response = Response::new(Self::Text(Some(status(code, reason).to_string().into())));
        *response.status_mut() = code;
        response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/json"));
        if code == StatusCode::TOO_MANY_REQUESTS {
            response.headers_mut().insert(header::RETRY_AFTER, header::HeaderValue::from_static("1"));
        }
        response
    }
}

fn status(code: StatusCode, reason: &str) -> serde_json::Value {
    json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": format!("a fault that was asked for: {reason}"), "reason": reason, "code": code.as_u16(),
    })
}

impl Body for Answer {
    type Data = Bytes;
    type Error = kube::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, kube::Error>>> {
        match &mut *self {
            Self::Text(text) => Poll::Ready(text.take().map(|text| Ok(Frame::data(text)))),
            Self::Passed(body) => Pin::new(body).poll_frame(cx),
            Self::Expiring { events, end, whole } => {
                let Some(body) = events else { return Poll::Ready(None) };
                if *whole && end.as_mut().poll(cx).is_ready() {
                    *events = None;
                    let event = json!({ "type": "ERROR", "object": status(StatusCode::GONE, "Expired") });
                    return Poll::Ready(Some(Ok(Frame::data(format!("{event}\n").into()))));
                }
                let frame = Pin::new(body).poll_frame(cx);
                if let Poll::Ready(Some(Ok(frame))) = &frame
                    && let Some(data) = frame.data_ref()
                {
                    *whole = data.ends_with(b"\n");
                }
                frame
            }
            Self::Held { text, until } => {
                if let Some(held) = until {
                    if held.as_mut().poll(cx).is_pending() {
                        return Poll::Pending;
                    }
                    *until = None;
                }
                Pin::new(text).poll_frame(cx)
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Text(text) => text.is_none(),
            Self::Passed(body) => body.is_end_stream(),
            Self::Expiring { events, .. } => events.is_none(),
            Self::Held { .. } => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Text(text) => SizeHint::with_exact(text.as_ref().map_or(0, |text| text.len() as u64)),
            Self::Passed(body) => body.size_hint(),
            Self::Expiring { .. } | Self::Held { .. } => SizeHint::default(),
        }
    }
}
