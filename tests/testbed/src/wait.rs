//! Waiting for a condition instead of for a time.
//!
//! Nothing in the test bed sleeps for a fixed time and hopes. A condition is polled until it holds, each
//! look is bounded by what is left of the limit (a server that hangs must not hang the test), and when the
//! limit passes the error says what was seen last.

use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};

/// First pause between two looks; it doubles up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_millis(200);

/// Polls `look` until it answers `Ok` and returns that value.
///
/// An `Err` means *not yet*: its text is what the timeout reports as last seen, so it should say what was
/// there instead (`anyhow::ensure!` fits well).
///
/// ```no_run
/// # async fn example(dns: std::net::SocketAddr) -> anyhow::Result<()> {
/// use std::time::Duration;
/// use mcsdns_testbed::{dig, wait_until};
///
/// let answers = wait_until(Duration::from_secs(20), "the name to resolve", async || {
///     let answers = dig(dns, "echo.example.com", "A").await?;
///     anyhow::ensure!(answers == ["192.0.2.1"], "dig answered {answers:?}");
///     Ok(answers)
/// })
/// .await?;
/// # Ok(()) }
/// ```
pub async fn wait_until<T, F>(limit: Duration, what: &str, mut look: F) -> Result<T>
where
    F: AsyncFnMut() -> Result<T>,
{
    let started = Instant::now();
    let mut pause = FIRST_PAUSE;
    let mut last_seen = None;
    loop {
        let left = limit.saturating_sub(started.elapsed());
        match tokio::time::timeout(left, look()).await {
            Ok(Ok(value)) => return Ok(value),
            Ok(Err(seen)) => last_seen = Some(format!("{seen:#}")),
            // Keep what an earlier look saw: it says more than "no answer in the last moment".
            Err(_) => {
                last_seen.get_or_insert_with(|| "a look that did not come back".to_owned());
            }
        }
        let left = limit.saturating_sub(started.elapsed());
        if left.is_zero() {
            let seen = last_seen.unwrap_or_else(|| "nothing".to_owned());
            return Err(anyhow!("waited {limit:?} for {what}; last seen: {seen}"));
        }
        tokio::time::sleep(pause.min(left)).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// Checks again and again that `look` answers `Ok` for the whole of `length`; the first `Err` ends it.
///
/// For what must *not* happen (a name withdrawn, a write in a steady state): there is no event to wait for,
/// only a time in which it could have happened.
pub async fn stays<F>(length: Duration, what: &str, mut look: F) -> Result<()>
where
    F: AsyncFnMut() -> Result<()>,
{
    let started = Instant::now();
    loop {
        look().await.map_err(|seen| anyhow!("{what} did not hold after {:?}: {seen:#}", started.elapsed()))?;
        let left = length.saturating_sub(started.elapsed());
        if left.is_zero() {
            return Ok(());
        }
        tokio::time::sleep(LONGEST_PAUSE.min(left)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_timeout_says_what_was_seen_last() {
        let mut looks = 0;
        let error = wait_until(Duration::from_millis(50), "three", async || {
            looks += 1;
            anyhow::ensure!(looks < 0, "look number {looks}");
            Ok(())
        })
        .await
        .unwrap_err()
        .to_string();
        assert!(error.contains("for three; last seen: look number"), "{error}");
    }

    #[tokio::test]
    async fn a_look_that_hangs_does_not_hang_the_test() {
        let hang = wait_until::<(), _>(Duration::from_millis(20), "anything", async || std::future::pending().await);
        let error = hang.await.unwrap_err().to_string();
        assert!(error.contains("did not come back"), "{error}");
    }

    #[tokio::test]
    async fn stays_ends_at_the_first_failure() {
        let mut looks = 0;
        let error = stays(Duration::from_secs(60), "calm", async || {
            looks += 1;
            anyhow::ensure!(looks < 3, "look number {looks}");
            Ok(())
        });
        assert!(error.await.unwrap_err().to_string().contains("look number 3"));
    }
}
