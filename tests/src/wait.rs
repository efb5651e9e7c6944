//! Waiting for what comes true by itself: with a limit, and with the name of what was waited for.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

/// Time between two looks. Short, as some limits are a second.
const PERIOD: Duration = Duration::from_millis(50);

/// Calls `look` until it returns `Some`, at most for `limit`. Its last error is part of the message when the limit is reached.
/// How long it took comes with the value.
pub async fn eventually<T>(
    limit: Duration,
    what: &str,
    mut look: impl AsyncFnMut() -> Result<Option<T>>,
) -> Result<(T, Duration)> {
    let start = Instant::now();
    loop {
        let seen = look().await;
        let waited = start.elapsed();
        match seen {
            Ok(Some(value)) if waited <= limit => return Ok((value, waited)),
            Ok(Some(_)) => bail!("{what}: only after {waited:.1?}, the limit is {limit:?}"),
            Ok(None) if waited > limit => bail!("{what}: not within {limit:?}"),
            Err(error) if waited > limit => return Err(error).with_context(|| format!("{what}: not within {limit:?}")),
            Ok(None) | Err(_) => tokio::time::sleep(PERIOD).await,
        }
    }
}

/// As [`eventually`], for a condition.
pub async fn until(limit: Duration, what: &str, mut holds: impl AsyncFnMut() -> Result<bool>) -> Result<Duration> {
    let (_unit, waited) = eventually(limit, what, async || Ok(holds().await?.then_some(()))).await?;
    Ok(waited)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn limit_names_what_was_waited_for_and_the_last_error() {
        let error = until(Duration::from_millis(1), "the moon", async || bail!("too far")).await.unwrap_err();
        assert_eq!(format!("{error:#}"), "the moon: not within 1ms: too far");
    }

    #[tokio::test]
    async fn condition_that_holds_at_once_is_not_waited_for() {
        let mut looks = 0;
        let seen = eventually(Duration::from_secs(1), "it", async || {
            looks += 1;
            Ok((looks == 2).then_some(looks))
        });
        assert_eq!(seen.await.unwrap().0, 2);
    }
}
