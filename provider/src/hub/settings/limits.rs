//! Ranges of settings, checked wherever a value came from.

use std::ops::RangeInclusive;
use std::time::Duration;

use durabletask_core::time_span;

use super::super::error::SettingsError;
use super::{HubSettings, PartitionManagement, hub_name};

/// All keys of `host.json` are below this one.
pub(super) const ROOT: &str = "extensions.durableTask";

/// One setting's range.
struct Limit {
    /// Path below [`ROOT`]; a field's name for settings without a key.
    key: &'static str,
    value: String,
    holds: bool,
    allowed: String,
}

impl Limit {
    fn number<N: Into<u64>>(key: &'static str, value: N, range: RangeInclusive<u64>) -> Self {
        let (value, low, high) = (value.into(), *range.start(), *range.end());
        Self {
            key,
            value: value.to_string(),
            holds: range.contains(&value),
            allowed: match high {
                u64::MAX => format!("a whole number, {low} or more"),
                _ => format!("a whole number from {low} to {high}"),
            },
        }
    }

    fn span(key: &'static str, value: Duration, low: Duration, high: Duration) -> Self {
        let (from, to) = (time_span::text(low), time_span::text(high));
        Self {
            key,
            value: time_span::text(value),
            holds: (low..=high).contains(&value),
            allowed: format!("a duration from \"{from}\" to \"{to}\""),
        }
    }

    fn positive(key: &'static str, value: Duration) -> Self {
        Self {
            key,
            value: time_span::text(value),
            holds: !value.is_zero(),
            allowed: "a duration above zero, such as \"00:00:30\"".to_owned(),
        }
    }
}

impl HubSettings {
    /// Checks the hub name and all ranges; the first violation is the error.
    pub fn validate(&self) -> Result<(), SettingsError> {
        hub_name::validate(&self.hub_name)?;
        let broken = self.limits().into_iter().find(|limit| !limit.holds);
        broken.map_or(Ok(()), |limit| {
            Err(SettingsError::Value {
                key: format!("{ROOT}.{}", limit.key),
                value: limit.value,
                allowed: limit.allowed,
            })
        })
    }

    /// The range of a key, for errors about values that have not even the right type.
    pub(super) fn allowed(&self, key: &str) -> Option<String> {
        let limit = self.limits().into_iter().find(|limit| limit.key == key);
        limit.map(|limit| limit.allowed)
    }

    fn limits(&self) -> Vec<Limit> {
        let mut limits = self.counts();
        limits.extend(self.spans());
        limits.push(Limit {
            key: "rust.workerId",
            value: self.worker_id.clone().unwrap_or_default(),
            // Owner columns with an empty name belong to somebody called "" (§5.3.1).
            holds: self
                .worker_id
                .as_ref()
                .is_none_or(|id| !id.trim().is_empty()),
            allowed: "a name that no other live worker has".to_owned(),
        });
        limits
    }

    fn counts(&self) -> Vec<Limit> {
        let any = 1..=u64::MAX;
        let number = Limit::number::<u32>;
        vec![
            number(
                "storageProvider.partitionCount",
                self.partition_count,
                1..=16,
            ),
            number(
                "storageProvider.controlQueueBatchSize",
                self.control_queue_batch_size,
                1..=32,
            ),
            number(
                "storageProvider.controlQueueBufferThreshold",
                self.control_queue_buffer_threshold,
                1..=1000,
            ),
            Limit::number(
                "rust.controlQueueBufferMaxBytes",
                self.control_queue_buffer_max_bytes,
                any.clone(),
            ),
            number(
                "max_storage_operation_concurrency",
                self.max_storage_operation_concurrency,
                any.clone(),
            ),
            number(
                "maxConcurrentActivityFunctions",
                self.max_concurrent_activities,
                any.clone(),
            ),
            number(
                "maxConcurrentOrchestratorFunctions",
                self.max_concurrent_orchestrators,
                any.clone(),
            ),
            number(
                "maxConcurrentEntityFunctions",
                self.max_concurrent_entities,
                any.clone(),
            ),
            number(
                "maxEntityOperationBatchSize",
                self.max_entity_operation_batch_size,
                any.clone(),
            ),
            number(
                "maxGrpcMessageSizeInBytes",
                self.max_grpc_message_size_bytes,
                any.clone(),
            ),
            number(
                "rust.retention.maxInstancesPerSecond",
                self.retention.max_instances_per_second,
                any.clone(),
            ),
            number(
                "rust.sweeper.maxItemsPerSecond",
                self.sweeper.max_items_per_second,
                any,
            ),
            number("rust.poisonAfter", self.poison_after, 0..=u64::MAX),
        ]
    }

    fn spans(&self) -> Vec<Limit> {
        let seconds = Duration::from_secs;
        let blobs = self.partition_management != PartitionManagement::Table;
        // Blob leases last 15 to 60 s on the service; a lease must outlast the pause between two
        // renewals.
        let longest_pause = if blobs {
            self.lease_acquire_interval.max(self.lease_renew_interval)
        } else {
            self.lease_acquire_interval
        };
        let shortest = longest_pause.saturating_add(Duration::from_millis(1));
        let (low, high) = if blobs {
            (shortest.max(seconds(15)), seconds(60))
        } else {
            (shortest, seconds(3_600))
        };
        vec![
            Limit::span(
                "storageProvider.controlQueueVisibilityTimeout",
                self.control_queue_visibility_timeout,
                seconds(5),
                seconds(3_600),
            ),
            Limit::span(
                "storageProvider.workItemQueueVisibilityTimeout",
                self.work_item_queue_visibility_timeout,
                seconds(5),
                seconds(3_600),
            ),
            Limit::positive(
                "storageProvider.maxQueuePollingInterval",
                self.max_queue_polling_interval,
            ),
            Limit::positive(
                "storageProvider.partitionTableOperationTimeout",
                self.partition_table_operation_timeout,
            ),
            Limit::positive("rust.retention.interval", self.retention.interval),
            Limit::positive("rust.sweeper.interval", self.sweeper.interval),
            Limit::positive("lease_acquire_interval", self.lease_acquire_interval),
            Limit::positive("lease_renew_interval", self.lease_renew_interval),
            Limit::span("lease_interval", self.lease_interval, low, high),
            Limit::positive(
                "appLeaseOptions.renewInterval",
                self.app_lease_renew_interval,
            ),
            Limit::positive(
                "appLeaseOptions.acquireInterval",
                self.app_lease_acquire_interval,
            ),
            Limit::span(
                "appLeaseOptions.leaseInterval",
                self.app_lease_interval,
                seconds(15),
                seconds(60),
            ),
            Limit::positive("grpcHttpClientTimeout", self.grpc_http_client_timeout),
        ]
    }
}
