//! Settings of what keeps a hub tidy by itself (`rust.retention…`, `rust.sweeper…`). All of it is
//! off unless it is asked for.

use std::time::Duration;

use durabletask_core::OrchestrationStatus;

/// How long finished instances are kept (`rust.retention…`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetentionSettings {
    /// Time since the last change after which Completed instances are purged
    /// (`rust.retention.completed`). Default: never.
    pub completed: Option<Duration>,
    /// The same for Failed ones (`rust.retention.failed`); they cannot be rewound any more then.
    pub failed: Option<Duration>,
    /// The same for Terminated and Canceled ones (`rust.retention.terminated`).
    pub terminated: Option<Duration>,
    /// Pause between two looks (`rust.retention.interval`). Each look scans the Instances table
    /// once per status. Default 1 h.
    pub interval: Duration,
    /// Instances purged per second, at most (`rust.retention.maxInstancesPerSecond`). Default 20.
    pub max_instances_per_second: u32,
}

impl RetentionSettings {
    /// The statuses that are purged, with the age of each.
    pub fn ages(&self) -> Vec<(Vec<OrchestrationStatus>, Duration)> {
        use OrchestrationStatus::{Canceled, Completed, Failed, Terminated};
        let ages = [
            (vec![Completed], self.completed),
            (vec![Failed], self.failed),
            (vec![Terminated, Canceled], self.terminated),
        ];
        let given = ages.into_iter();
        given
            .filter_map(|(statuses, age)| Some((statuses, age?)))
            .collect()
    }
}

impl Default for RetentionSettings {
    fn default() -> Self {
        Self {
            completed: None,
            failed: None,
            terminated: None,
            interval: Duration::from_secs(3_600),
            max_instances_per_second: 20,
        }
    }
}

/// Whether a worker looks for damage and repairs it (`rust.sweeper…`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SweeperSettings {
    /// Whether it does so by itself (`rust.sweeper.enabled`). Default false.
    pub enabled: bool,
    /// Pause between two sweeps (`rust.sweeper.interval`). Default 30 min.
    pub interval: Duration,
    /// Instances and blobs looked at per second, at most (`rust.sweeper.maxItemsPerSecond`); one
    /// or two storage transactions each. Default 20.
    pub max_items_per_second: u32,
}

impl Default for SweeperSettings {
    fn default() -> Self {
        Self {
            enabled: false,
            interval: Duration::from_secs(30 * 60),
            max_items_per_second: 20,
        }
    }
}
