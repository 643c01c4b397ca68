//! Everything that can be set about a task hub and its workers (chapter 01 §4, design §9).

mod hub_name;
mod json;
mod kinds;
mod limits;
mod protections;
mod read;
mod sources;

mod upkeep;
mod value;
mod warning;

use std::path::PathBuf;
use std::time::Duration;

use durabletask_storage::Env;

pub use kinds::{
    ErrorMode, MessageEncoding, OverridableStates, PartitionManagement, PoisonedInstance,
    Unregistered, VersionFailure, VersionMatch,
};

#[doc(hidden)]
pub use protections::Protections;
pub(in crate::hub) use sources::AppSettings;
pub use sources::SettingsSources;
pub use upkeep::{RetentionSettings, SweeperSettings};
pub use warning::SettingsWarning;

use super::connection::StoreChoice;
use crate::wire::names::HubNames;

/// Default of `rust.sessionCacheMaxBytes`.
const SESSION_CACHE_BYTES: u64 = 64 * 1024 * 1024;

/// Settings of one task hub as one process sees it. The names of `host.json` keys
/// (under `extensions.durableTask`) stand in parentheses; defaults and units are those of the
/// Functions host (extension 3.x) unless said otherwise.
///
/// Made by [`SettingsSources::read`] from files and environment, or by [`HubSettings::new`] from
/// nothing; then change fields at will. [`HubSettings::validate`] checks the ranges; creating a
/// hub calls it.
#[derive(Debug, Clone)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "they are the switches of host.json"
)]
pub struct HubSettings {
    /// Task hub name with its configured spelling (`hubName`): letter, then letters and digits,
    /// 3 to 49 characters. Default: `WEBSITE_SITE_NAME`, sanitised, else `TestHubName` (§1.3).
    pub hub_name: String,
    /// Where the hub lives (`storageProvider.connectionName`). Default: the embedded store.
    pub store: StoreChoice,
    /// Prefix of the history and instance tables in a tracking store
    /// (`storageProvider.trackingStoreNamePrefix`); without one it is ignored. Default
    /// `DurableTask`.
    pub tracking_store_name_prefix: String,
    /// Control queues (`storageProvider.partitionCount`), 1 to 16, default 4. The same for all
    /// workers and clients of a hub, for ever (R1-15).
    pub partition_count: u32,
    /// Start although the hub was made with another partition count, as .NET does
    /// (`rust.allowPartitionCountChange`). In-flight instances may be stranded. Default false.
    pub allow_partition_count_change: bool,
    /// How partitions are shared (`storageProvider.useTablePartitionManagement`,
    /// `.useLegacyPartitionManagement`). Default: table.
    pub partition_management: PartitionManagement,
    /// Time one pass over the partition table may take
    /// (`storageProvider.partitionTableOperationTimeout`). Default 2 s.
    pub partition_table_operation_timeout: Duration,
    /// Pause between passes of a partition manager. Default 10 s; no key, as in .NET.
    pub lease_acquire_interval: Duration,
    /// Pause between renewals of blob leases; unused by the table manager. Default 10 s; no key.
    pub lease_renew_interval: Duration,
    /// Length of a partition lease. Default 30 s, blob leases 15 to 60 s; no key.
    pub lease_interval: Duration,
    /// Whether only one app of several on this hub processes it (`useAppLease`). Default true.
    pub use_app_lease: bool,
    /// Identity for the app lease: `WEBSITE_SITE_NAME`, else empty (§5.8); letter case counts.
    pub app_name: String,
    /// Pause between renewals of the app lease (`appLeaseOptions.renewInterval`). Default 25 s.
    pub app_lease_renew_interval: Duration,
    /// Pause between attempts to take the app lease (`appLeaseOptions.acquireInterval`). Default
    /// 5 min.
    pub app_lease_acquire_interval: Duration,
    /// Length of the app lease (`appLeaseOptions.leaseInterval`), 15 to 60 s. Default 60 s.
    pub app_lease_interval: Duration,
    /// Name of this worker, unique among live workers even ignoring case (`rust.workerId`).
    /// Default: none, see [`HubSettings::worker_id`].
    pub worker_id: Option<String>,

    /// Messages one receive from a control queue asks for
    /// (`storageProvider.controlQueueBatchSize`), 1 to 32, default 32.
    pub control_queue_batch_size: u32,
    /// Control messages in memory at which receiving pauses, over all partitions
    /// (`storageProvider.controlQueueBufferThreshold`), 1 to 1000. Default 256; on a Consumption
    /// plan 128.
    pub control_queue_buffer_threshold: u32,
    /// Invisibility of received control messages
    /// (`storageProvider.controlQueueVisibilityTimeout`), 5 s to 60 min, default 5 min. A Functions
    /// host refuses less than 1 min.
    pub control_queue_visibility_timeout: Duration,
    /// Invisibility of received activity messages
    /// (`storageProvider.workItemQueueVisibilityTimeout`), 5 s to 60 min, default 5 min.
    pub work_item_queue_visibility_timeout: Duration,
    /// Upper end of the back-off of polls that find nothing
    /// (`storageProvider.maxQueuePollingInterval`), above 0; less than 50 ms acts as 50 ms.
    /// Default 30 s, on Flex Consumption 1 s.
    pub max_queue_polling_interval: Duration,
    /// How outgoing messages are written (`storageProvider.queueClientMessageEncoding`). Default
    /// UTF-8.
    pub queue_client_message_encoding: MessageEncoding,
    /// Whether status answers carry large values instead of blob addresses
    /// (`storageProvider.fetchLargeMessagesAutomatically`). Default true.
    pub fetch_large_messages_automatically: bool,
    /// Whether messages to finished instances run them again
    /// (`storageProvider.allowReplayingTerminalInstances`). Default false.
    pub allow_replaying_terminal_instances: bool,
    /// Whether instance rows are written under an `ETag` (`storageProvider.useInstanceTableEtag`).
    /// Default false.
    pub use_instance_table_etag: bool,
    /// Storage requests in flight at once, leases exempt. Default 25 per CPU, 25 on a Consumption
    /// plan; no key.
    pub max_storage_operation_concurrency: u32,

    /// Activities run at once (`maxConcurrentActivityFunctions`). Default 10 per CPU.
    pub max_concurrent_activities: u32,
    /// Orchestration episodes run at once (`maxConcurrentOrchestratorFunctions`). Default 10 per
    /// CPU.
    pub max_concurrent_orchestrators: u32,
    /// Entity batches run at once (`maxConcurrentEntityFunctions`). Default 10 per CPU.
    pub max_concurrent_entities: u32,
    /// Operations in one entity batch (`maxEntityOperationBatchSize`). Default 5000, on a
    /// Consumption plan 50.
    pub max_entity_operation_batch_size: u32,
    /// Time in which entity messages are put in order (`entityMessageReorderWindowInMinutes`); zero
    /// turns sorting off. Default 30 min.
    pub entity_message_reorder_window: Duration,
    /// Whether a failed entity operation leaves the state as it was
    /// (`rollbackEntityOperationsOnExceptions`). Default true.
    pub rollback_entity_operations_on_exceptions: bool,
    /// Idle time after which an extended session ends in .NET (`extendedSessionIdleTimeoutInSeconds`,
    /// negative = 0). Default 30 s. Sticky sessions go by bytes instead.
    pub extended_session_idle_timeout: Duration,
    /// Decisions one episode may take (`maxOrchestrationActions`). Default 100 000.
    pub max_orchestration_actions: u32,
    /// Whether a stop waits for running work (`useGracefulShutdown`). Default false.
    pub use_graceful_shutdown: bool,
    /// Which instances a start may replace (`overridableExistingInstanceStates`). Default
    /// finished ones.
    pub overridable_existing_instance_states: OverridableStates,
    /// Whether raising an event to a missing or finished instance is an error
    /// (`throwStatusExceptionsOnRaiseEvent`). Default: none, the caller decides.
    pub throw_status_exceptions_on_raise_event: Option<bool>,
    /// Whether history rows of activities and children keep their inputs
    /// (`storeInputsInOrchestrationHistory`). Default false.
    pub store_inputs_in_orchestration_history: bool,
    /// Version of orchestrations started without one (`defaultVersion`). Default none.
    pub default_version: Option<String>,
    /// Which versions this worker runs (`versionMatchStrategy`).
    pub version_match_strategy: VersionMatch,
    /// What happens to others (`versionFailureStrategy`).
    pub version_failure_strategy: VersionFailure,

    /// Pause of the HTTP API's asynchronous pattern
    /// (`httpSettings.defaultAsyncRequestSleepTimeMilliseconds`). Default 30 s.
    pub http_async_sleep: Duration,
    /// Whether management URLs follow `X-Forwarded-Host` (`httpSettings.useForwardedHost`).
    /// Default false.
    pub http_use_forwarded_host: bool,
    /// Whether inputs and outputs may be logged (`tracing.traceInputsAndOutputs`). Default false.
    pub trace_inputs_and_outputs: bool,
    /// Whether replays are logged (`tracing.traceReplayEvents`). Default false.
    pub trace_replay_events: bool,
    /// Whether trace contexts travel with messages (`tracing.distributedTracingEnabled`). Default
    /// false.
    pub distributed_tracing_enabled: bool,
    /// Largest gRPC message in bytes (`maxGrpcMessageSizeInBytes`). Default 4 MiB.
    pub max_grpc_message_size_bytes: u32,
    /// Time limit of gRPC calls (`grpcHttpClientTimeout`). Default 100 s.
    pub grpc_http_client_timeout: Duration,

    /// Whether sessions stay in memory between episodes (`rust.stickySessions`). Default true.
    pub sticky_sessions: bool,
    /// Memory for sessions, in bytes (`rust.sessionCacheMaxBytes`). Idle ones stay while there is
    /// room; while busy ones alone take more, receiving of control messages pauses. Default 64 MiB;
    /// 0 keeps no idle session, and busy ones have the default.
    pub session_cache_max_bytes: u64,
    /// Control messages in memory, in bytes of their texts and fetched blobs, at which receiving
    /// pauses, over all partitions (`rust.controlQueueBufferMaxBytes`), above 0. Default 64 MiB.
    pub control_queue_buffer_max_bytes: u64,
    /// How failures are written (`rust.errorMode`). Default both ways.
    pub error_mode: ErrorMode,
    /// What happens to work with unknown names (`rust.unregistered`). Default abandon.
    pub unregistered: Unregistered,
    /// Failures of a message, seen by one worker, after which that worker sets it aside
    /// (`rust.poisonAfter`). Default 0: never.
    pub poison_after: u32,
    /// What becomes of its instance then (`rust.poisonedInstance`). Default leave.
    pub poisoned_instance: PoisonedInstance,
    /// How long finished instances are kept. Default: for ever.
    pub retention: RetentionSettings,
    /// Whether damage is looked for and repaired. Default: only when asked.
    pub sweeper: SweeperSettings,
    /// All short cuts of design §7 off: message by message as .NET (`rust.plain`). Default false.
    pub plain: bool,
    /// For the simulator only.
    #[doc(hidden)]
    pub protections: Protections,
}

impl HubSettings {
    /// Defaults for a hub of that name in the embedded store, on a machine with
    /// `cpu_count` processors.
    pub fn new(hub_name: impl Into<String>, cpu_count: u32) -> Self {
        let per_cpu = cpu_count.max(1).saturating_mul(10);
        Self {
            hub_name: hub_name.into(),
            store: StoreChoice::Embedded { path: None },
            tracking_store_name_prefix: "DurableTask".to_owned(),
            partition_count: 4,
            allow_partition_count_change: false,
            partition_management: PartitionManagement::Table,
            partition_table_operation_timeout: Duration::from_secs(2),
            lease_acquire_interval: Duration::from_secs(10),
            lease_renew_interval: Duration::from_secs(10),
            lease_interval: Duration::from_secs(30),
            use_app_lease: true,
            app_name: String::new(),
            app_lease_renew_interval: Duration::from_secs(25),
            app_lease_acquire_interval: Duration::from_secs(300),
            app_lease_interval: Duration::from_secs(60),
            worker_id: None,
            control_queue_batch_size: 32,
            control_queue_buffer_threshold: 256,
            control_queue_visibility_timeout: Duration::from_secs(300),
            work_item_queue_visibility_timeout: Duration::from_secs(300),
            max_queue_polling_interval: Duration::from_secs(30),
            queue_client_message_encoding: MessageEncoding::Utf8,
            fetch_large_messages_automatically: true,
            allow_replaying_terminal_instances: false,
            use_instance_table_etag: false,
            max_storage_operation_concurrency: cpu_count.max(1).saturating_mul(25),
            max_concurrent_activities: per_cpu,
            max_concurrent_orchestrators: per_cpu,
            max_concurrent_entities: per_cpu,
            max_entity_operation_batch_size: 5_000,
            entity_message_reorder_window: Duration::from_secs(30 * 60),
            rollback_entity_operations_on_exceptions: true,
            extended_session_idle_timeout: Duration::from_secs(30),
            max_orchestration_actions: 100_000,
            use_graceful_shutdown: false,
            overridable_existing_instance_states: OverridableStates::NonRunningStates,
            throw_status_exceptions_on_raise_event: None,
            store_inputs_in_orchestration_history: false,
            default_version: None,
            version_match_strategy: VersionMatch::CurrentOrOlder,
            version_failure_strategy: VersionFailure::Reject,
            http_async_sleep: Duration::from_secs(30),
            http_use_forwarded_host: false,
            trace_inputs_and_outputs: false,
            trace_replay_events: false,
            distributed_tracing_enabled: false,
            max_grpc_message_size_bytes: 4 * 1024 * 1024,
            grpc_http_client_timeout: Duration::from_secs(100),
            sticky_sessions: true,
            session_cache_max_bytes: SESSION_CACHE_BYTES,
            control_queue_buffer_max_bytes: 64 * 1024 * 1024,
            error_mode: ErrorMode::Both,
            unregistered: Unregistered::Abandon,
            poison_after: 0,
            poisoned_instance: PoisonedInstance::Leave,
            retention: RetentionSettings::default(),
            sweeper: SweeperSettings::default(),
            plain: false,
            protections: Protections::default(),
        }
    }

    /// Keeps the hub in that storage.
    #[must_use]
    pub fn with_store(mut self, store: StoreChoice) -> Self {
        self.store = store;
        self
    }

    /// Uses that many control queues, 1 to 16.
    #[must_use]
    pub fn with_partition_count(mut self, count: u32) -> Self {
        self.partition_count = count;
        self
    }

    /// Names this worker; unique among live workers of the hub, even ignoring case.
    #[must_use]
    pub fn with_worker_id(mut self, worker_id: impl Into<String>) -> Self {
        self.worker_id = Some(worker_id.into());
        self
    }

    /// Turns all short cuts off (`rust.plain`).
    #[must_use]
    pub fn with_plain(mut self, plain: bool) -> Self {
        self.plain = plain;
        self
    }

    /// Whether sessions stay in memory between episodes.
    pub(crate) fn keeps_sessions(&self) -> bool {
        self.sticky_sessions && !self.plain && self.session_cache_max_bytes > 0
    }

    /// Memory for sessions, in bytes; never 0, for busy ones there have to be.
    pub(crate) fn session_budget_bytes(&self) -> u64 {
        match self.session_cache_max_bytes {
            0 => SESSION_CACHE_BYTES,
            bytes => bytes,
        }
    }

    /// Names of everything that makes up the hub, tracking prefix included (§1.2).
    pub fn names(&self) -> HubNames {
        let names = HubNames::new(self.hub_name.clone());
        match &self.store {
            StoreChoice::Azure {
                tracking: Some(_), ..
            } => names.with_tracking_prefix(self.tracking_store_name_prefix.clone()),
            _ => names,
        }
    }

    /// The configured worker name, else a new one on every call: `{host}:{8 hex digits}` (R6-02).
    /// A worker asks once and keeps the answer for its life.
    pub fn worker_id(&self, env: &Env) -> String {
        self.worker_id.clone().unwrap_or_else(|| {
            let unique = env.random_u64() & 0xffff_ffff;
            format!("{}:{unique:08x}", host_name())
        })
    }

    /// The embedded store's file: as configured, else `./.durabletask/{hub}.db`. `None` for other
    /// stores.
    pub fn embedded_file(&self) -> Option<PathBuf> {
        match &self.store {
            StoreChoice::Embedded { path: Some(path) } => Some(path.clone()),
            StoreChoice::Embedded { path: None } => Some(self.default_file()),
            StoreChoice::Memory | StoreChoice::Azure { .. } => None,
        }
    }

    pub(in crate::hub) fn default_file(&self) -> PathBuf {
        // Two spellings name one hub (R1-03), also where file names tell case apart.
        let file = format!("{}.db", self.hub_name.to_lowercase());
        PathBuf::from(".durabletask").join(file)
    }
}

/// The machine's name up to the first dot, as .NET's `Environment.MachineName`.
fn host_name() -> String {
    let from_file = || std::fs::read_to_string("/proc/sys/kernel/hostname").ok();
    let name = std::env::var("COMPUTERNAME")
        .or_else(|_| std::env::var("HOSTNAME"))
        .ok()
        .or_else(from_file)
        .unwrap_or_default();
    match name.trim().split('.').next() {
        Some(short) if !short.is_empty() => short.to_owned(),
        _ => "worker".to_owned(),
    }
}
