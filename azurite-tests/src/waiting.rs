//! Waiting for something to become true, instead of sleeping and hoping.

use std::future::Future;
use std::panic::Location;
use std::time::Duration;

use durabletask_storage::Env;

const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_millis(250);

/// Asks `probe` again and again until it has a value, with growing pauses of at most 250 ms.
///
/// Panics with the caller's line when `deadline` has passed: this is for tests.
#[track_caller]
pub fn eventually<T, F, A>(deadline: Duration, mut probe: F) -> impl Future<Output = T>
where
    F: FnMut() -> A,
    A: Future<Output = Option<T>>,
{
    let caller = Location::caller();
    let env = Env::system();
    async move {
        let began = env.monotonic();
        let mut pause = FIRST_PAUSE;
        loop {
            if let Some(value) = probe().await {
                return value;
            }
            let elapsed = env.monotonic().saturating_sub(began);
            assert!(elapsed < deadline, "{caller}: not so within {deadline:?}");
            env.sleep(pause.min(deadline.saturating_sub(elapsed))).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_value_is_returned_once_it_is_there() {
        let mut asked = 0;
        let value = eventually(Duration::from_secs(5), || {
            asked += 1;
            let answer = (asked == 3).then_some(asked);
            async move { answer }
        });
        assert_eq!(value.await, 3);
    }

    #[tokio::test]
    #[should_panic(expected = "waiting.rs")]
    async fn waiting_in_vain_names_the_caller() {
        eventually(Duration::from_millis(20), || async { None::<()> }).await;
    }
}
