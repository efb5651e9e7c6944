//! A connection's stream: what it is doing, for whoever has to make room, and a time limit for writing an answer.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Sleep, sleep};

use crate::{Cut, Told};

/// What a connection is doing, and since when.
pub(super) struct Activity {
    state: Mutex<State>,
    told: Told,
}

#[derive(Debug)]
struct State {
    /// A request is worked on.
    answering: bool,
    /// An answer is not written in full.
    writing: bool,
    /// When it began to wait for a request, or to be busy with one.
    since: Instant,
    /// What was not written is thrown away when it is closed.
    cut: bool,
}

// === impl Activity ===

impl Activity {
    /// Of a new connection, which waits for its first request.
    pub(super) fn new(told: Told) -> Arc<Self> {
        let state = State { answering: false, writing: false, since: Instant::now(), cut: false };
        Arc::new(Self { state: Mutex::new(state), told })
    }

    /// Busy until the guard is dropped.
    pub(super) fn answer(self: &Arc<Self>) -> Answering {
        self.change(|state| state.answering = true);
        Answering(Arc::clone(self))
    }

    /// Whether it has a request in progress, and since when or since when not: what is less is the better one to close.
    pub(super) fn rank(&self) -> (bool, Instant) {
        let state = self.state();
        (state.answering || state.writing, state.since)
    }

    /// Tells why it is to be closed, and lets the kernel throw away then what it has not sent.
    pub(super) fn cut(&self, why: Cut) {
        (self.told)(why);
        self.state().cut = true;
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.state();
        let before = state.answering || state.writing;
        change(&mut state);
        if before != (state.answering || state.writing) {
            state.since = Instant::now();
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request is worked on while this is held.
pub(super) struct Answering(Arc<Activity>);

impl Drop for Answering {
    fn drop(&mut self) {
        self.0.change(|state| state.answering = false);
    }
}

/// The stream of a connection. Writing fails when an answer was not taken in full within a time limit, however much of it was.
pub(super) struct Stream {
    inner: TcpStream,
    activity: Arc<Activity>,
    limit: Duration,
    /// Of the answer that is being written.
    deadline: Option<Pin<Box<Sleep>>>,
}

// === impl Stream ===

impl Stream {
    /// Gives each answer `limit`.
    pub(super) fn new(inner: TcpStream, activity: Arc<Activity>, limit: Duration) -> Self {
        Self { inner, activity, limit, deadline: None }
    }

    /// Looks at what became of a write; ready with an error when the time is over.
    fn written(&mut self, context: &mut Context<'_>, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        let Self { activity, limit, deadline, .. } = self;
        let deadline = deadline.get_or_insert_with(|| {
            activity.change(|state| state.writing = true);
            Box::pin(sleep(*limit))
        });
        if written.is_pending() {
            ready!(deadline.as_mut().poll(context));
            self.activity.cut(Cut::Unread);
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        written
    }
}

impl AsyncRead for Stream {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(context, buf)
    }
}

impl AsyncWrite for Stream {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.inner).poll_write(context, buf);
        self.written(context, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.inner).poll_write_vectored(context, bufs);
        self.written(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    /// Asked for by hyper once all of an answer is written.
    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.inner).poll_flush(context))?;
        if self.deadline.take().is_some() {
            self.activity.change(|state| state.writing = false);
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(context)
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        if self.activity.state().cut {
            // Best effort: without it the kernel keeps what was not read until its own time limit.
            let _ = self.inner.set_zero_linger();
        }
    }
}
