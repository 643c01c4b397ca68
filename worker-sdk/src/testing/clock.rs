//! Time that only passes when it is told to.

use std::time::Duration;

use durabletask_core::Timestamp;
use durabletask_core::episode::Stamps;

/// Where a clock starts: 2026-01-01T00:00:00Z, in ticks of 100 ns since the year 1.
const START_TICKS: i64 = 639_028_224_000_000_000;

/// Time and ids of a test.
#[derive(Debug)]
pub(super) struct Clock {
    now: Timestamp,
    executions: u64,
}

impl Clock {
    pub(super) const fn new() -> Self {
        Self {
            now: Timestamp::from_ticks(START_TICKS),
            executions: 0,
        }
    }

    pub(super) const fn time(&self) -> Timestamp {
        self.now
    }

    /// An execution id that was not given before.
    pub(super) fn new_execution_id(&mut self) -> String {
        self.executions += 1;
        format!("{:032x}", self.executions)
    }

    pub(super) fn advance_to(&mut self, time: Timestamp) {
        self.now = self.now.max(time);
    }
}

impl Stamps for Clock {
    fn now(&mut self) -> Timestamp {
        self.now = self.now.saturating_add(Duration::from_nanos(100));
        self.now
    }
}
