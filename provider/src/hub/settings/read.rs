//! Keys of `host.json` into settings (chapter 01 §4.3, §4.4; design §9).

use std::collections::BTreeMap;
use std::time::Duration;

use super::super::connection::{StoreChoice, resolve_connection};
use super::super::error::SettingsError;
use super::limits::ROOT;
use super::sources::{AppSettings, Keys, SettingsSources};
use super::value::SettingValue;
use super::warning::{self, SettingsWarning};
use super::{HubSettings, PartitionManagement, RetentionSettings, SweeperSettings, hub_name};

/// The connection that a Functions host uses if none is named (chapter 01 §4.3), and the app
/// setting that it stands for.
const DEFAULT_CONNECTION: &str = "Storage";
const DEFAULT_CONNECTION_SETTING: &str = "AzureWebJobsStorage";
/// File name that means "in memory".
const MEMORY: &str = ":memory:";

impl SettingsSources {
    /// The settings, and what a user should know about them.
    pub fn read(&self) -> Result<(HubSettings, Vec<SettingsWarning>), SettingsError> {
        let app_settings = self.app_settings()?;
        let keys = self.keys(&app_settings)?;
        let mut reader = Reader {
            keys: &keys,
            known: BTreeMap::new(),
        };
        let mut configured_name: Option<String> = None;
        reader.read("hubName", &mut configured_name)?;
        let hub_name = hub_name::resolve(configured_name.as_deref(), &app_settings)?;
        let mut settings = HubSettings::new(hub_name, self.cpu_count);
        platform_defaults(&mut settings, &app_settings);
        reader.storage(&mut settings)?;
        reader.partitions(&mut settings)?;
        reader.concurrency(&mut settings)?;
        reader.behaviour(&mut settings)?;
        reader.ours(&mut settings)?;
        reader.store(&mut settings, &app_settings)?;
        settings.validate()?;
        let warnings = warning::collect(&settings, &keys, &reader.known);
        Ok((settings, warnings))
    }
}

/// Defaults that depend on where the process runs (chapter 01 §4.3, §4.4).
fn platform_defaults(settings: &mut HubSettings, app_settings: &AppSettings) {
    let site = app_settings.get("WEBSITE_SITE_NAME");
    site.unwrap_or_default().clone_into(&mut settings.app_name);
    let stamp = app_settings.get("WEBSITE_CURRENT_STAMPNAME");
    if let (Some(stamp), Some(instance)) = (stamp, app_settings.get("RoleInstanceId")) {
        settings.worker_id = Some(format!("{stamp}:{instance}"));
    }
    let sku = |name: &str| {
        let sku = app_settings.get("WEBSITE_SKU");
        sku.is_some_and(|sku| sku.eq_ignore_ascii_case(name))
    };
    if sku("FlexConsumption") {
        settings.max_queue_polling_interval = Duration::from_secs(1);
    }
    let in_container = app_settings.get("WEBSITE_INSTANCE_ID").is_none()
        && app_settings.get("CONTAINER_NAME").is_some();
    if in_container || sku("Dynamic") {
        settings.control_queue_buffer_threshold = 128;
        settings.max_concurrent_activities = 10;
        settings.max_concurrent_orchestrators = 5;
        settings.max_concurrent_entities = 10;
        settings.max_entity_operation_batch_size = 50;
        settings.max_storage_operation_concurrency = 25;
    }
}

/// Takes keys one by one and remembers which it knows.
struct Reader<'a> {
    keys: &'a Keys,
    /// Paths as in [`Keys`], with the spelling of the documentation.
    known: BTreeMap<String, String>,
}

impl Reader<'_> {
    /// Sets `field` if the key is there with a text that is not empty.
    fn read<T: SettingValue>(&mut self, key: &str, field: &mut T) -> Result<(), SettingsError> {
        let path = key.replace('.', ":").to_lowercase();
        let entry = self.keys.entries.get(&path);
        self.known.insert(path, key.to_owned());
        let Some(entry) = entry.filter(|entry| !entry.value.trim().is_empty()) else {
            return Ok(());
        };
        *field = T::parse(entry.value.trim()).ok_or_else(|| SettingsError::Value {
            key: format!("{ROOT}.{}", entry.spelling),
            value: entry.value.clone(),
            allowed: HubSettings::new("", 1)
                .allowed(key)
                .unwrap_or_else(|| T::ALLOWED.to_owned()),
        })?;
        Ok(())
    }

    /// Of two spellings of one setting the one that came later.
    fn read_later(&mut self, keys: [&str; 2]) -> Result<Option<String>, SettingsError> {
        let order = |key: &str| {
            let entry = self.keys.entries.get(&key.replace('.', ":").to_lowercase());
            entry.map(|entry| entry.order)
        };
        let [first, second] = keys;
        let (early, late) = if order(first) > order(second) {
            (second, first)
        } else {
            (first, second)
        };
        let mut value = None;
        self.read(early, &mut value)?;
        self.read(late, &mut value)?;
        Ok(value)
    }

    fn storage(&mut self, s: &mut HubSettings) -> Result<(), SettingsError> {
        let p = |key: &str| format!("storageProvider.{key}");
        let mut provider: Option<String> = None;
        self.read(&p("type"), &mut provider)?;
        if let Some(other) = provider.filter(|name| !name.eq_ignore_ascii_case("AzureStorage")) {
            return Err(SettingsError::Provider(other));
        }
        let default_polling = s.max_queue_polling_interval;
        self.read(&p("partitionCount"), &mut s.partition_count)?;
        self.read(
            &p("trackingStoreNamePrefix"),
            &mut s.tracking_store_name_prefix,
        )?;
        self.read(&p("controlQueueBatchSize"), &mut s.control_queue_batch_size)?;
        self.read(
            &p("controlQueueBufferThreshold"),
            &mut s.control_queue_buffer_threshold,
        )?;
        self.read(
            &p("controlQueueVisibilityTimeout"),
            &mut s.control_queue_visibility_timeout,
        )?;
        self.read(
            &p("workItemQueueVisibilityTimeout"),
            &mut s.work_item_queue_visibility_timeout,
        )?;
        self.read(
            &p("maxQueuePollingInterval"),
            &mut s.max_queue_polling_interval,
        )?;
        if s.max_queue_polling_interval.is_zero() {
            // Extension 3.x: exactly zero means "use the default".
            s.max_queue_polling_interval = default_polling;
        }
        self.read(
            &p("fetchLargeMessagesAutomatically"),
            &mut s.fetch_large_messages_automatically,
        )?;
        self.read(
            &p("allowReplayingTerminalInstances"),
            &mut s.allow_replaying_terminal_instances,
        )?;
        self.read(
            &p("queueClientMessageEncoding"),
            &mut s.queue_client_message_encoding,
        )?;
        self.read(&p("useInstanceTableEtag"), &mut s.use_instance_table_etag)
    }

    fn partitions(&mut self, s: &mut HubSettings) -> Result<(), SettingsError> {
        let (mut table, mut legacy) = (None, false);
        self.read("storageProvider.useTablePartitionManagement", &mut table)?;
        self.read("storageProvider.useLegacyPartitionManagement", &mut legacy)?;
        s.partition_management = match (table, legacy) {
            (Some(true), true) => return Err(SettingsError::TwoPartitionManagers),
            (_, true) => PartitionManagement::Legacy,
            (Some(false), false) => PartitionManagement::Safe,
            (None | Some(true), false) => PartitionManagement::Table,
        };
        self.read(
            "storageProvider.partitionTableOperationTimeout",
            &mut s.partition_table_operation_timeout,
        )?;
        self.read("useAppLease", &mut s.use_app_lease)?;
        self.read(
            "appLeaseOptions.renewInterval",
            &mut s.app_lease_renew_interval,
        )?;
        self.read(
            "appLeaseOptions.acquireInterval",
            &mut s.app_lease_acquire_interval,
        )?;
        self.read("appLeaseOptions.leaseInterval", &mut s.app_lease_interval)
    }

    fn concurrency(&mut self, s: &mut HubSettings) -> Result<(), SettingsError> {
        self.read(
            "maxConcurrentActivityFunctions",
            &mut s.max_concurrent_activities,
        )?;
        self.read(
            "maxConcurrentOrchestratorFunctions",
            &mut s.max_concurrent_orchestrators,
        )?;
        self.read(
            "maxConcurrentEntityFunctions",
            &mut s.max_concurrent_entities,
        )?;
        self.read(
            "maxEntityOperationBatchSize",
            &mut s.max_entity_operation_batch_size,
        )?;
        self.read("maxOrchestrationActions", &mut s.max_orchestration_actions)?;
        self.read(
            "maxGrpcMessageSizeInBytes",
            &mut s.max_grpc_message_size_bytes,
        )?;
        self.read("grpcHttpClientTimeout", &mut s.grpc_http_client_timeout)?;
        let mut minutes: Option<u32> = None;
        self.read("entityMessageReorderWindowInMinutes", &mut minutes)?;
        if let Some(minutes) = minutes {
            s.entity_message_reorder_window = Duration::from_secs(u64::from(minutes) * 60);
        }
        let mut idle_seconds: Option<i32> = None;
        self.read("extendedSessionIdleTimeoutInSeconds", &mut idle_seconds)?;
        if let Some(seconds) = idle_seconds {
            let seconds = u64::try_from(seconds).unwrap_or(0);
            s.extended_session_idle_timeout = Duration::from_secs(seconds);
        }
        // Accepted for the sake of shared files; `rust.stickySessions` decides.
        self.read("extendedSessionsEnabled", &mut false)
    }

    fn behaviour(&mut self, s: &mut HubSettings) -> Result<(), SettingsError> {
        self.read("useGracefulShutdown", &mut s.use_graceful_shutdown)?;
        self.read(
            "overridableExistingInstanceStates",
            &mut s.overridable_existing_instance_states,
        )?;
        self.read(
            "rollbackEntityOperationsOnExceptions",
            &mut s.rollback_entity_operations_on_exceptions,
        )?;
        self.read(
            "throwStatusExceptionsOnRaiseEvent",
            &mut s.throw_status_exceptions_on_raise_event,
        )?;
        self.read(
            "storeInputsInOrchestrationHistory",
            &mut s.store_inputs_in_orchestration_history,
        )?;
        self.read("defaultVersion", &mut s.default_version)?;
        self.read("versionMatchStrategy", &mut s.version_match_strategy)?;
        self.read("versionFailureStrategy", &mut s.version_failure_strategy)?;
        let mut sleep_millis: Option<u32> = None;
        self.read(
            "httpSettings.defaultAsyncRequestSleepTimeMilliseconds",
            &mut sleep_millis,
        )?;
        if let Some(millis) = sleep_millis {
            s.http_async_sleep = Duration::from_millis(millis.into());
        }
        self.read(
            "httpSettings.useForwardedHost",
            &mut s.http_use_forwarded_host,
        )?;
        self.read(
            "tracing.traceInputsAndOutputs",
            &mut s.trace_inputs_and_outputs,
        )?;
        self.read("tracing.traceReplayEvents", &mut s.trace_replay_events)?;
        self.read(
            "tracing.distributedTracingEnabled",
            &mut s.distributed_tracing_enabled,
        )
    }

    fn ours(&mut self, s: &mut HubSettings) -> Result<(), SettingsError> {
        self.read("rust.stickySessions", &mut s.sticky_sessions)?;
        self.read("rust.sessionCacheMaxBytes", &mut s.session_cache_max_bytes)?;
        self.read(
            "rust.controlQueueBufferMaxBytes",
            &mut s.control_queue_buffer_max_bytes,
        )?;
        self.read("rust.errorMode", &mut s.error_mode)?;
        self.read("rust.unregistered", &mut s.unregistered)?;
        self.read("rust.poisonAfter", &mut s.poison_after)?;
        self.read("rust.poisonedInstance", &mut s.poisoned_instance)?;
        self.read("rust.plain", &mut s.plain)?;
        self.read("rust.workerId", &mut s.worker_id)?;
        self.upkeep(&mut s.retention, &mut s.sweeper)?;
        self.read(
            "rust.allowPartitionCountChange",
            &mut s.allow_partition_count_change,
        )
    }

    fn upkeep(
        &mut self,
        retention: &mut RetentionSettings,
        sweeper: &mut SweeperSettings,
    ) -> Result<(), SettingsError> {
        self.read("rust.retention.completed", &mut retention.completed)?;
        self.read("rust.retention.failed", &mut retention.failed)?;
        self.read("rust.retention.terminated", &mut retention.terminated)?;
        self.read("rust.retention.interval", &mut retention.interval)?;
        self.read(
            "rust.retention.maxInstancesPerSecond",
            &mut retention.max_instances_per_second,
        )?;
        self.read("rust.sweeper.enabled", &mut sweeper.enabled)?;
        self.read("rust.sweeper.interval", &mut sweeper.interval)?;
        self.read(
            "rust.sweeper.maxItemsPerSecond",
            &mut sweeper.max_items_per_second,
        )
    }

    /// Connections, and the embedded store where there is none (design §9).
    fn store(&mut self, s: &mut HubSettings, app: &AppSettings) -> Result<(), SettingsError> {
        let main = self.read_later([
            "storageProvider.connectionName",
            "storageProvider.connectionStringName",
        ])?;
        let tracking = self.read_later([
            "storageProvider.trackingStoreConnectionName",
            "storageProvider.trackingStoreConnectionStringName",
        ])?;
        let mut file: Option<String> = None;
        self.read("rust.embeddedPath", &mut file)?;
        let main = main.or_else(|| {
            // The default of a Functions host, but only where it leads somewhere: without any
            // account there is still the embedded store.
            let is_default = file.is_none() && app.has(DEFAULT_CONNECTION_SETTING);
            is_default.then(|| DEFAULT_CONNECTION.to_owned())
        });
        s.store = match (main, file) {
            (Some(main), _) => StoreChoice::Azure {
                main: resolve_connection(app, &main)?,
                tracking: tracking
                    .map(|name| resolve_connection(app, &name))
                    .transpose()?,
            },
            (None, Some(file)) if file == MEMORY => StoreChoice::Memory,
            (None, file) => StoreChoice::Embedded {
                path: file.map(Into::into),
            },
        };
        Ok(())
    }
}
