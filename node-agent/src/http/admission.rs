//! Bounds on the memory of answers: how many are made at once, and how many bytes of them wait for their clients to read.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::answer::Refused;

/// Most requests at once that take a snapshot: each holds a copy of the series while it is written.
const SNAPSHOTS_MAX: usize = 4;
/// Most bytes of answers that their clients have not read. A single answer that is larger is written alone.
const UNREAD_BYTES_MAX: usize = 32 << 20;
/// How long a request waits for those before it.
const QUEUE: Duration = Duration::from_secs(5);
/// Bytes that one permit stands for.
const UNIT: usize = 1 << 10;

/// See the module.
#[derive(Debug)]
pub(super) struct Admission {
    snapshots: Arc<Semaphore>,
    /// One permit for each KiB.
    unread: Arc<Semaphore>,
    unread_units: usize,
    queue: Duration,
}

/// The right to take a snapshot and make an answer of it. Goes with the work, which goes on when nobody waits for it any more.
#[derive(Debug)]
pub(super) struct Admitted(#[expect(dead_code, reason = "held for its drop")] OwnedSemaphorePermit);

// === impl Admission ===

impl Default for Admission {
    fn default() -> Self {
        Self::new(SNAPSHOTS_MAX, UNREAD_BYTES_MAX, QUEUE)
    }
}

impl Admission {
    /// With these bounds.
    pub(super) fn new(snapshots: usize, unread_bytes: usize, queue: Duration) -> Self {
        let unread_units = unread_bytes.div_ceil(UNIT);
        let (snapshots, unread) = (Semaphore::new(snapshots), Semaphore::new(unread_units));
        Self { snapshots: Arc::new(snapshots), unread: Arc::new(unread), unread_units, queue }
    }

    /// Waits for its turn to take a snapshot; [`Refused::Busy`] if that takes too long.
    pub(super) async fn admit(&self) -> Result<Admitted, Refused> {
        self.permit(Arc::clone(&self.snapshots).acquire_owned()).await.map(Admitted)
    }

    /// Waits for room for an answer; [`Refused::Busy`] if that takes too long. The room is taken until the last of the bytes is
    /// dropped, which is when the kernel has them all.
    pub(super) async fn hold(&self, answer: Vec<u8>) -> Result<Bytes, Refused> {
        let units = answer.len().div_ceil(UNIT).min(self.unread_units);
        let units = u32::try_from(units).unwrap_or(u32::MAX);
        let room = self.permit(Arc::clone(&self.unread).acquire_many_owned(units)).await?;
        Ok(Bytes::from_owner(Held { answer, _room: room }))
    }

    async fn permit(
        &self,
        permit: impl Future<Output = Result<OwnedSemaphorePermit, AcquireError>>,
    ) -> Result<OwnedSemaphorePermit, Refused> {
        timeout(self.queue, permit).await.map_err(|_| Refused::Busy)?.map_err(|_| Refused::Stopping)
    }
}

/// An answer, with the room that it takes.
struct Held {
    answer: Vec<u8>,
    _room: OwnedSemaphorePermit,
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.answer
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: Duration = Duration::from_millis(20);

    #[tokio::test]
    async fn room_is_taken_until_the_last_byte_is_dropped() {
        let admission = Admission::new(1, 2 * UNIT, SHORT);
        let mut first = admission.hold(vec![1; UNIT + 1]).await.expect("room for two units");
        assert_eq!(admission.hold(vec![2]).await, Err(Refused::Busy));
        let rest = first.split_off(UNIT);
        drop(first);
        assert_eq!(admission.hold(vec![2]).await, Err(Refused::Busy), "a byte is left");
        drop(rest);
        assert_eq!(admission.hold(vec![2]).await.as_deref(), Ok([2].as_slice()));
    }

    #[tokio::test]
    async fn what_is_larger_than_all_room_takes_all_of_it() {
        let admission = Admission::new(1, UNIT, SHORT);
        let large = admission.hold(vec![0; 5 * UNIT]).await.expect("alone");
        assert_eq!(admission.hold(vec![0]).await, Err(Refused::Busy));
        drop(large);
        admission.hold(vec![0]).await.expect("room");
    }

    #[tokio::test]
    async fn who_waits_too_long_for_a_turn_is_refused() {
        let admission = Admission::new(1, UNIT, SHORT);
        let turn = admission.admit().await.expect("the first");
        assert_eq!(admission.admit().await.map(drop), Err(Refused::Busy));
        drop(turn);
        admission.admit().await.expect("the next");
    }
}
