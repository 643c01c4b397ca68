//! How many workers a hub needs, seen from its queues alone (chapter 01 §7).

mod recommend;

use std::time::Duration;

use durabletask_core::Timestamp;
use durabletask_storage::{Account, Env, Query, Result as StorageResult, StorageError};
use futures::future::{join, try_join_all};

use crate::hub::{HubError, HubSettings, TaskHubInfo};
use crate::wire::names::HubNames;
use recommend::{Polling, Window};
pub use recommend::{ScaleAction, ScaleRecommendation};

/// One recommendation in this many may take a worker away because none is busy.
const SHEDDING_ODDS: u64 = 10;

/// One look at the queues of a hub.
#[derive(Debug, Clone, PartialEq)]
pub struct Heartbeat {
    /// Control queues.
    pub partition_count: u32,
    /// Roughly how many messages each holds; 0 if none is visible.
    pub control_queue_lengths: Vec<u64>,
    /// Age of each one's first visible message; zero if there is none.
    pub control_queue_latencies: Vec<Duration>,
    /// Roughly how many activity messages wait; 0 if none is visible.
    pub work_item_queue_length: u64,
    /// Age of the first visible one; zero if there is none.
    pub work_item_queue_latency: Duration,
    /// How far the mean of the last five is from the oldest of them, relative to that; 0 before
    /// there are five.
    pub work_item_queue_latency_trend: f64,
    /// What follows from the last five looks.
    pub recommendation: ScaleRecommendation,
}

impl Heartbeat {
    /// Workers for target-based scaling (§7.5): enough for all waiting activities, and for the
    /// waiting control messages as far as partitions can be shared.
    pub fn target_workers(&self, max_activities: u32, max_orchestrators: u32) -> u64 {
        let activities = self
            .work_item_queue_length
            .div_ceil(u64::from(max_activities.max(1)));
        let waiting: u64 = self.control_queue_lengths.iter().sum();
        let busy = self
            .control_queue_lengths
            .iter()
            .filter(|length| **length > 0);
        let orchestrations = waiting.div_ceil(u64::from(max_orchestrators.max(1)));
        let busy = u64::try_from(busy.count()).unwrap_or(u64::MAX);
        activities.max(orchestrations.min(busy))
    }

    #[cfg(test)]
    fn of(work_items: u64, control: &[u64]) -> Self {
        let latencies = control.iter().map(|ms| Duration::from_millis(*ms));
        Self {
            partition_count: 4,
            control_queue_lengths: vec![0; control.len()],
            control_queue_latencies: latencies.collect(),
            work_item_queue_length: 0,
            work_item_queue_latency: Duration::from_millis(work_items),
            work_item_queue_latency_trend: 0.0,
            recommendation: unknown(),
        }
    }
}

/// Watches the queues of one hub; needs no worker and writes nothing. Look every few seconds: the
/// last five looks count.
#[derive(Debug)]
pub struct ScaleMonitor {
    account: Account,
    names: HubNames,
    /// If the hub does not tell.
    default_partition_count: u32,
    polling: Polling,
    env: Env,
    window: Window,
}

impl ScaleMonitor {
    /// A monitor of the hub that the settings name. Makes no request.
    pub fn new(account: &Account, settings: &HubSettings, env: &Env) -> Self {
        Self {
            account: account.clone(),
            names: settings.names(),
            default_partition_count: settings.partition_count,
            polling: Polling::new(settings.max_queue_polling_interval),
            env: env.clone(),
            window: Window::default(),
        }
    }

    /// Looks at all queues and says what to do while `workers` are running; `None` if a queue is
    /// missing, which leaves earlier looks as they were. Price: one list and one query of tables,
    /// or a blob read instead of the query; two queue requests per queue.
    pub async fn pulse(&mut self, workers: usize) -> Result<Option<Heartbeat>, HubError> {
        let partition_count = self.partition_count().await?;
        let control = (0..partition_count).map(|index| self.names.control_queue(index));
        let queues: Vec<String> = std::iter::once(self.names.work_item_queue())
            .chain(control)
            .collect();
        let looks = try_join_all(queues.iter().map(|queue| self.look(queue))).await;
        let mut looks = match looks {
            Ok(looks) => looks.into_iter(),
            Err(error) if error.is_not_found() => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let (work_item_queue_length, work_item_queue_latency) = looks.next().unwrap_or_default();
        let (control_queue_lengths, control_queue_latencies) = looks.unzip();
        let mut heartbeat = Heartbeat {
            partition_count,
            control_queue_lengths,
            control_queue_latencies,
            work_item_queue_length,
            work_item_queue_latency,
            work_item_queue_latency_trend: 0.0,
            recommendation: unknown(),
        };
        self.window.add(&heartbeat);
        heartbeat.work_item_queue_latency_trend = self.window.work_items.trend();
        let sheds = self.env.random_u64().is_multiple_of(SHEDDING_ODDS);
        heartbeat.recommendation = self.window.recommend(workers, self.polling, sheds);
        Ok(Some(heartbeat))
    }

    /// Rows of `{Hub}Partitions` if that table exists, else what `taskhub.json` says (§7.2). Where
    /// neither is there, .NET writes a `taskhub.json`; we only read.
    async fn partition_count(&self) -> Result<u32, HubError> {
        let table = self.names.partitions_table();
        let tables = self.account.tables.list_tables(&table).await?;
        if tables.contains(&table) {
            return Ok(self.count_rows(&table).await?);
        }
        let info = TaskHubInfo::load(&self.account, &self.names).await?;
        Ok(info.map_or(self.default_partition_count, |info| info.partition_count))
    }

    async fn count_rows(&self, table: &str) -> StorageResult<u32> {
        let mut query = Query {
            select: vec!["RowKey".to_owned()],
            ..Query::default()
        };
        let mut count = 0;
        loop {
            let page = self.account.tables.query(table, &query).await?;
            count += u32::try_from(page.rows.len()).unwrap_or(u32::MAX);
            query.continuation = page.continuation;
            if query.continuation.is_none() {
                return Ok(count);
            }
        }
    }

    /// Length and latency of a queue. Only visible messages are seen: a queue full of hidden ones
    /// counts as empty.
    async fn look(&self, queue: &str) -> Result<(u64, Duration), StorageError> {
        let queues = &self.account.queues;
        let (peeked, count) =
            join(queues.peek_messages(queue, 1), queues.count_messages(queue)).await;
        let (peeked, count) = (peeked?, count?);
        let now: Timestamp = self.account.clock.now();
        Ok(peeked.first().map_or((0, Duration::ZERO), |first| {
            (count, now.saturating_since(first.inserted))
        }))
    }
}

/// What to do with `workers` workers after these looks, oldest first, whoever made them (§7.4).
/// `longest_polling` is the hub's `maxQueuePollingInterval`.
pub fn recommend_scale(
    heartbeats: &[Heartbeat],
    workers: usize,
    longest_polling: Duration,
) -> ScaleRecommendation {
    if heartbeats.is_empty() {
        return unknown();
    }
    let mut window = Window::default();
    for heartbeat in heartbeats {
        window.add(heartbeat);
    }
    window.recommend(workers, Polling::new(longest_polling), false)
}

fn unknown() -> ScaleRecommendation {
    ScaleRecommendation {
        action: ScaleAction::None,
        keep_workers_alive: true,
        reason: "No heartbeat metrics".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // covers: R7-03
    #[test]
    fn targets_follow_the_queues() {
        let target = |work_items, control: &[u64]| {
            let heartbeat = Heartbeat {
                work_item_queue_length: work_items,
                control_queue_lengths: control.to_vec(),
                ..Heartbeat::of(0, &[])
            };
            heartbeat.target_workers(10, 5)
        };
        assert_eq!(target(0, &[0, 0]), 0);
        assert_eq!(target(21, &[0, 0]), 3);
        assert_eq!(target(0, &[100, 0, 0, 1]), 2);
        assert_eq!(target(0, &[3, 0, 0, 1]), 1);
        assert_eq!(recommend_scale(&[], 3, Duration::ZERO), unknown());
    }
}
