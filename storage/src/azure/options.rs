//! How hard and how often storage is asked.

use std::num::NonZeroUsize;
use std::time::Duration;

/// Limits of one account's client. `Default` is right for production.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AzureOptions {
    /// Requests in flight at once over all three services, leases excepted
    /// (`maxStorageOperationConcurrency`, chapter 02 §6.3): 25 per core. Held across retries.
    pub max_concurrency: usize,
    /// Longest time for one connection to be made: 5 s.
    pub connect_limit: Duration,
    /// Longest time for one attempt, from sending to the last byte of the answer: 30 s.
    pub attempt_limit: Duration,
    /// The same for lease operations, which are worthless when late: 10 s.
    pub lease_attempt_limit: Duration,
    /// When to stop repeating.
    pub retry: RetryLimits,
}

/// How long a request is repeated. Pauses double from the first to the longest, each varied by a
/// quarter up or down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetryLimits {
    /// Attempts in all, the first included: 7, which is about 16 s of pauses.
    pub max_attempts: u32,
    /// Attempts in all while no connection could be made, so that nothing was ever sent: 4, which
    /// is about 2 s of pauses.
    pub max_connect_attempts: u32,
    /// Pause after the first attempt: 250 ms.
    pub first_pause: Duration,
    /// Longest pause of our own choice: 8 s. A longer `Retry-After` is honoured if it ends in time.
    pub longest_pause: Duration,
    /// No attempt begins later than this after the first: 90 s.
    pub total_limit: Duration,
    /// The same for lease operations: 15 s.
    pub lease_total_limit: Duration,
}

/// Requests in flight per core.
const CONCURRENCY_PER_CORE: usize = 25;

impl Default for AzureOptions {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        Self {
            max_concurrency: CONCURRENCY_PER_CORE * cores,
            connect_limit: Duration::from_secs(5),
            attempt_limit: Duration::from_secs(30),
            lease_attempt_limit: Duration::from_secs(10),
            retry: RetryLimits::default(),
        }
    }
}

impl Default for RetryLimits {
    fn default() -> Self {
        Self {
            max_attempts: 7,
            max_connect_attempts: 4,
            first_pause: Duration::from_millis(250),
            longest_pause: Duration::from_secs(8),
            total_limit: Duration::from_secs(90),
            lease_total_limit: Duration::from_secs(15),
        }
    }
}
