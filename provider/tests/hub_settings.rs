//! `host.json`, `local.settings.json` and the environment, as a Functions host reads them.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]

use std::time::Duration;

use durabletask_azurestorage::hub::{
    ErrorMode, HubSettings, MessageEncoding, PartitionManagement, SettingsSources, SettingsWarning,
    StoreChoice, open_account,
};

const OVERRIDE: &str = "AzureFunctionsJobHost__extensions__durableTask__";

fn host_json(durable_task: &str) -> SettingsSources {
    SettingsSources::none().with_host_json(format!(
        r#"{{"version": "2.0", "extensions": {{"durableTask": {{{durable_task}}}}}}}"#
    ))
}

fn read(durable_task: &str) -> HubSettings {
    let (settings, warnings) = host_json(durable_task).read().unwrap();
    assert_eq!(warnings, [], "{durable_task}");
    settings
}

fn refusal(sources: &SettingsSources) -> String {
    sources.read().unwrap_err().to_string()
}

#[test]
fn nothing_configured_gives_the_defaults_of_a_functions_host() {
    let (settings, warnings) = SettingsSources::none().with_cpu_count(2).read().unwrap();
    assert_eq!(warnings, []);
    assert_eq!(settings.hub_name, "TestHubName");
    assert_eq!(settings.partition_count, 4);
    assert_eq!(settings.partition_management, PartitionManagement::Table);
    assert_eq!(settings.control_queue_buffer_threshold, 256);
    assert_eq!(
        settings.control_queue_visibility_timeout,
        Duration::from_secs(300)
    );
    assert_eq!(settings.max_queue_polling_interval, Duration::from_secs(30));
    assert_eq!(settings.max_concurrent_activities, 20);
    assert_eq!(settings.max_storage_operation_concurrency, 50);
    assert!(settings.use_app_lease && settings.sticky_sessions);
    let file = settings.embedded_file().unwrap();
    assert_eq!(file.to_str(), Some(".durabletask/testhubname.db"));
}

#[test]
fn the_samples_at_the_root_are_accepted_without_a_warning() {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
    let text = |name: &str| std::fs::read_to_string(format!("{root}/{name}")).unwrap();
    let sources = SettingsSources::none().with_host_json(text("host.json"));
    let (settings, warnings) = sources.read().unwrap();
    assert_eq!(warnings, []);
    assert!(matches!(
        settings.store,
        StoreChoice::Embedded { path: None }
    ));

    let sources = sources.with_local_settings(text("local.settings.example.json"));
    let (settings, warnings) = sources.read().unwrap();
    assert_eq!(warnings, []);
    assert!(matches!(
        settings.store,
        StoreChoice::Azure { tracking: None, .. }
    ));
}

#[test]
fn keys_ignore_case_and_values_may_be_texts() {
    let settings = read(
        r#""HUBNAME": "Orders", "StorageProvider": {"PartitionCount": "8",
           "controlQueueVisibilityTimeout": "00:10:00", "queueClientMessageEncoding": "base64",
           "useTablePartitionManagement": "False", "fetchLargeMessagesAutomatically": false},
           "extendedSessionsEnabled": true, "extendedSessionIdleTimeoutInSeconds": -1,
           "entityMessageReorderWindowInMinutes": 5,
           "rust": {"errorMode": "Exceptions", "poisonAfter": 7, "controlQueueBufferMaxBytes": 5000000000,
           "embeddedPath": ":memory:"}"#,
    );
    assert_eq!(settings.hub_name, "Orders");
    assert_eq!(settings.partition_count, 8);
    assert_eq!(
        settings.control_queue_visibility_timeout,
        Duration::from_secs(600)
    );
    assert_eq!(
        settings.queue_client_message_encoding,
        MessageEncoding::Base64
    );
    assert_eq!(settings.partition_management, PartitionManagement::Safe);
    assert!(!settings.fetch_large_messages_automatically);
    assert_eq!(settings.extended_session_idle_timeout, Duration::ZERO);
    assert_eq!(
        settings.entity_message_reorder_window,
        Duration::from_secs(300)
    );
    assert_eq!(settings.error_mode, ErrorMode::Exceptions);
    assert_eq!(settings.poison_after, 7);
    assert_eq!(settings.control_queue_buffer_max_bytes, 5_000_000_000);
    assert!(matches!(settings.store, StoreChoice::Memory));
}

#[test]
fn the_environment_wins_over_local_settings_over_host_json_and_overrides_over_all() {
    let key = |name: &str| format!("{OVERRIDE}{name}");
    let local = format!(
        r#"{{"Values": {{"{}": "5", "{}": "6", "{}": "7"}}}}"#,
        key("storageProvider__partitionCount"),
        key("storageProvider__controlQueueBatchSize"),
        key("maxConcurrentActivityFunctions"),
    );
    let file = r#""storageProvider": {"partitionCount": 2, "controlQueueBatchSize": 2},
        "maxConcurrentActivityFunctions": 2, "maxConcurrentEntityFunctions": 2"#;
    let sources = host_json(file)
        .with_local_settings(local)
        .with_variable(
            key("STORAGEPROVIDER__controlQueueBatchSize").to_uppercase(),
            "9",
        )
        .with_variable(key("maxConcurrentActivityFunctions"), "10")
        .with_override("MaxConcurrentActivityFunctions", "11");
    let (settings, warnings) = sources.read().unwrap();
    assert_eq!(warnings, []);
    assert_eq!(settings.partition_count, 5);
    assert_eq!(settings.control_queue_batch_size, 9);
    assert_eq!(settings.max_concurrent_activities, 11);
    assert_eq!(settings.max_concurrent_entities, 2);
}

/// Text, key, value, allowed range.
const REFUSALS: &[(&str, &str, &str, &str)] = &[
    (
        "\"storageProvider\": {\"partitionCount\": 17}",
        "storageProvider.partitionCount",
        "17",
        "from 1 to 16",
    ),
    (
        "\"storageProvider\": {\"partitionCount\": \"many\"}",
        "storageProvider.partitionCount",
        "many",
        "from 1 to 16",
    ),
    (
        "\"storageProvider\": {\"partitionCount\": -1}",
        "storageProvider.partitionCount",
        "-1",
        "from 1 to 16",
    ),
    (
        "\"storageProvider\": {\"controlQueueBatchSize\": 33}",
        "controlQueueBatchSize",
        "33",
        "from 1 to 32",
    ),
    (
        "\"storageProvider\": {\"controlQueueBatchSize\": 0}",
        "controlQueueBatchSize",
        "0",
        "from 1 to 32",
    ),
    (
        "\"storageProvider\": {\"controlQueueBufferThreshold\": 0}",
        "Threshold",
        "0",
        "from 1 to 1000",
    ),
    (
        "\"storageProvider\": {\"partitionTableOperationTimeout\": \"00:00:00\"}",
        "partitionTableOperationTimeout",
        "00:00:00",
        "above zero",
    ),
    (
        "\"storageProvider\": {\"controlQueueBufferThreshold\": 1001}",
        "Threshold",
        "1001",
        "from 1 to 1000",
    ),
    (
        "\"storageProvider\": {\"controlQueueVisibilityTimeout\": \"00:00:04\"}",
        "controlQueueVisibilityTimeout",
        "00:00:04",
        "\"00:00:05\" to \"01:00:00\"",
    ),
    (
        "\"storageProvider\": {\"workItemQueueVisibilityTimeout\": \"5\"}",
        "workItemQueueVisibilityTimeout",
        "5",
        "\"00:00:05\" to \"01:00:00\"",
    ),
    (
        "\"storageProvider\": {\"maxQueuePollingInterval\": \"24:00:00\"}",
        "maxQueuePollingInterval",
        "24:00:00",
        "above zero",
    ),
    (
        "\"maxConcurrentActivityFunctions\": 0",
        "maxConcurrentActivityFunctions",
        "0",
        "1 or more",
    ),
    ("\"useAppLease\": 1", "useAppLease", "1", "true or false"),
    (
        "\"appLeaseOptions\": {\"leaseInterval\": \"00:02:00\"}",
        "appLeaseOptions.leaseInterval",
        "00:02:00",
        "\"00:00:15\" to \"00:01:00\"",
    ),
    (
        "\"rust\": {\"controlQueueBufferMaxBytes\": 0}",
        "rust.controlQueueBufferMaxBytes",
        "0",
        "1 or more",
    ),
    (
        "\"rust\": {\"errorMode\": \"none\"}",
        "rust.errorMode",
        "none",
        "both, failureDetails or exceptions",
    ),
    (
        "\"hubName\": \"my-hub\"",
        "hubName",
        "my-hub",
        "3 to 49 letters",
    ),
    (
        "\"storageProvider\": {\"type\": \"mssql\"}",
        "storageProvider.type",
        "mssql",
        "AzureStorage",
    ),
];

#[test]
fn a_wrong_value_is_refused_with_key_value_and_range() {
    use PartitionManagement::{Legacy, Safe, Table};
    // covers: R4-03 R4-04 R4-05
    for (text, key, value, allowed) in REFUSALS {
        let error = refusal(&host_json(text));
        for part in [*key, *value, *allowed] {
            assert!(error.contains(part), "{text}: {error} lacks {part}");
        }
    }
    let both = r#""storageProvider": {"useTablePartitionManagement": true, "useLegacyPartitionManagement": true}"#;
    assert!(refusal(&host_json(both)).contains("both true"));
    let broken = SettingsSources::none().with_host_json("{\n\"extensions\": ");
    assert!(refusal(&broken).contains("host.json is not a JSON object"));
    let encrypted = SettingsSources::none().with_local_settings(r#"{"IsEncrypted": true}"#);
    assert!(refusal(&encrypted).contains("func settings decrypt"));
    // Leases that would run out between two renewals.
    for (management, is_valid) in [(Table, true), (Safe, false), (Legacy, false)] {
        let mut settings = HubSettings::new("TestHub", 1);
        settings.partition_management = management;
        settings.lease_renew_interval = settings.lease_interval;
        assert_eq!(settings.validate().is_ok(), is_valid, "{management:?}");
    }
}

#[test]
fn doubtful_settings_are_warned_about() {
    let text = r#""partitionCount": 8, "notifications": {"eventGrid": {"topicEndpoint": "x"}},
        "storageProvider": {"controlQueueVisibilityTimeout": "00:00:30", "colour": "red",
        "controlQueueBatchSize": 32, "controlQueueBufferThreshold": 16}"#;
    let (settings, warnings) = host_json(text).read().unwrap();
    assert_eq!(settings.partition_count, 4);
    let texts: Vec<_> = warnings.iter().map(ToString::to_string).collect();
    let expected = [
        "extensions.durableTask.notifications.eventGrid.topicEndpoint has no effect here",
        "extensions.durableTask.partitionCount is unknown and ignored; did you mean storageProvider.partitionCount?",
        "extensions.durableTask.storageProvider.colour is unknown and ignored",
        "extensions.durableTask.storageProvider.controlQueueVisibilityTimeout is 00:00:30; a Functions host accepts no less than 00:01:00",
    ];
    assert_eq!(texts[..4], expected);
    assert_eq!(warnings[4..], [SettingsWarning::BatchAboveThreshold]);
}

#[test]
fn the_host_s_own_account_is_the_default_where_there_is_one() {
    let store = |text: &str, name: &str, value: &str| {
        let sources = host_json(text).with_variable(name, value);
        let (settings, warnings) = sources.read().unwrap();
        assert_eq!(warnings, []);
        settings.store
    };
    let emulator = "UseDevelopmentStorage=true";
    assert!(matches!(
        store("", "AzureWebJobsStorage", emulator),
        StoreChoice::Azure { tracking: None, .. }
    ));
    assert!(matches!(
        store("", "AzureWebJobsStorage__accountName", "acct"),
        StoreChoice::Azure { tracking: None, .. }
    ));
    assert!(matches!(
        store("", "AzureWebJobsStorage", ""),
        StoreChoice::Embedded { path: None }
    ));
    let embedded = r#""rust": {"embeddedPath": ":memory:"}"#;
    assert!(matches!(
        store(embedded, "AzureWebJobsStorage", emulator),
        StoreChoice::Memory
    ));
    let wrong = host_json("").with_variable("AzureWebJobsStorage", "nonsense");
    assert!(refusal(&wrong).contains("AzureWebJobsStorage cannot be used"));
}

const SECRET: &str = "c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0";

fn connection_string() -> String {
    format!(
        "DefaultEndpointsProtocol=https;AccountName=acct;AccountKey={SECRET};EndpointSuffix=core.windows.net"
    )
}

fn account_of(sources: &SettingsSources) -> String {
    let (settings, _) = sources.read().unwrap();
    assert!(!format!("{settings:?}").contains(SECRET));
    match settings.store {
        StoreChoice::Azure { main, .. } => main.account_name().to_owned(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_connection_name_is_looked_up_in_four_places() {
    // covers: R4-09
    let named = |name: &str| {
        host_json(&format!(
            "\"storageProvider\": {{\"connectionName\": \"{name}\"}}"
        ))
    };
    let text = connection_string();
    for (name, variable) in [
        ("Storage", "AzureWebJobsStorage"),
        ("AzureWebJobsStorage", "AzureWebJobsStorage"),
        ("Mine", "ConnectionStrings__AzureWebJobsMine"),
        ("Mine", "CONNECTIONSTRINGS:mine"),
        ("Mine", "MINE"),
    ] {
        assert_eq!(
            account_of(&named(name).with_variable(variable, &text)),
            "acct",
            "{name}"
        );
    }
    // Of several the first one wins, in this order.
    let four = [
        "ConnectionStrings__AzureWebJobsMine",
        "AzureWebJobsMine",
        "ConnectionStrings__Mine",
        "Mine",
    ];
    for first in 0..four.len() {
        let sources = (first..four.len()).fold(named("Mine"), |sources, at| {
            let text = text.replace("acct", &format!("acct{at}"));
            sources.with_variable(four[at], text)
        });
        assert_eq!(account_of(&sources), format!("acct{first}"));
    }
    let local = format!(r#"{{"ConnectionStrings": {{"Mine": {{"ConnectionString": "{text}"}}}}}}"#);
    assert_eq!(
        account_of(&named("Mine").with_local_settings(local)),
        "acct"
    );
    let missing = refusal(&named("Mine"));
    assert!(
        missing.contains("\"Mine\" has no value; set AzureWebJobsMine"),
        "{missing}"
    );
    let bad = refusal(&named("Mine").with_variable("Mine", format!("AccountKey={SECRET}")));
    assert!(
        bad.contains("Mine cannot be used") && !bad.contains(SECRET),
        "{bad}"
    );
}

#[test]
fn an_identity_needs_an_account_or_all_addresses() {
    let named = host_json(r#""storageProvider": {"connectionName": "Storage"}"#);
    let sources = named
        .clone()
        .with_variable("AzureWebJobsStorage__accountName", "ident");
    assert_eq!(account_of(&sources), "ident");
    let lacking = named.with_variable(
        "AzureWebJobsStorage__blobServiceUri",
        "https://b.example.org",
    );
    assert!(refusal(&lacking).contains("AzureWebJobsStorage cannot be used"));
}

#[test]
fn tables_and_blobs_are_in_the_tracking_account_and_queues_in_the_main_one() {
    // covers: R1-04
    let text = r#""storageProvider": {"connectionName": "A", "trackingStoreConnectionName": "B"}"#;
    let sources = host_json(text)
        .with_variable("A", connection_string().replace("acct", "queues"))
        .with_variable("B", connection_string().replace("acct", "tracking"));
    let settings = sources.read().unwrap().0;
    let account = open_account(&settings, &durabletask_storage::Env::system()).unwrap();
    let (tables, queues) = (
        format!("{:?}", account.tables),
        format!("{:?}", account.queues),
    );
    assert!(tables.contains("\"tracking\""), "{tables}");
    assert!(queues.contains("\"queues\""), "{queues}");
    let container = account.blobs.container_url("testhubname-leases");
    assert!(
        container.starts_with("https://tracking.blob."),
        "{container}"
    );
    assert_eq!(settings.names().history_table(), "DurableTaskHistory");
}

#[test]
fn the_later_spelling_of_a_connection_key_wins_and_tables_follow_the_tracking_store() {
    let text = r#""storageProvider": {"connectionName": "A", "connectionStringName": "B",
        "trackingStoreConnectionName": "A", "trackingStoreNamePrefix": "Shared"}"#;
    let sources = host_json(text)
        .with_variable("A", "UseDevelopmentStorage=true")
        .with_variable("B", connection_string());
    assert_eq!(account_of(&sources), "acct");
    let names = sources.read().unwrap().0.names();
    assert_eq!(names.history_table(), "SharedHistory");
    assert_eq!(names.partitions_table(), "TestHubNamePartitions");
    let reversed = text
        .replace("connectionName\": \"A\"", "connectionStringName\": \"B\"")
        .replacen(
            "\"connectionStringName\": \"B\",\n        \"tr",
            "\"connectionName\": \"A\",\n        \"tr",
            1,
        );
    let sources = host_json(&reversed)
        .with_variable("A", "UseDevelopmentStorage=true")
        .with_variable("B", connection_string());
    assert_eq!(account_of(&sources), "devstoreaccount1");
}

#[test]
fn the_platform_sets_defaults() {
    let sources = SettingsSources::none()
        .with_variable("WEBSITE_SKU", "dynamic")
        .with_variable("WEBSITE_SITE_NAME", "my-app")
        .with_variable("WEBSITE_CURRENT_STAMPNAME", "stamp")
        .with_variable("RoleInstanceId", "7");
    let (settings, _) = sources.read().unwrap();
    assert_eq!(settings.hub_name, "myapp");
    assert_eq!(settings.app_name, "my-app");
    assert_eq!(settings.worker_id.as_deref(), Some("stamp:7"));
    assert_eq!(settings.control_queue_buffer_threshold, 128);
    assert_eq!(settings.max_concurrent_orchestrators, 5);
}

#[test]
fn typed_changes_are_checked_like_files() {
    let settings = HubSettings::new("Orders", 1).with_partition_count(0);
    let error = settings.validate().unwrap_err().to_string();
    assert!(error.contains("partitionCount is \"0\""), "{error}");
    let mut settings = HubSettings::new("Orders", 1);
    settings.lease_interval = settings.lease_acquire_interval;
    assert!(settings.validate().is_err());
}

#[test]
fn upkeep_is_off_until_it_is_asked_for() {
    let off = read("");
    assert!(off.retention.ages().is_empty() && !off.sweeper.enabled);
    let on = read(
        r#""rust": {"retention": {"completed": "30.00:00:00", "interval": "06:00:00"},
                    "sweeper": {"enabled": true, "maxItemsPerSecond": 5}}"#,
    );
    let ages: Vec<_> = on
        .retention
        .ages()
        .into_iter()
        .map(|(_, age)| age)
        .collect();
    assert_eq!(ages, [Duration::from_secs(30 * 86_400)]);
    assert_eq!(on.retention.interval, Duration::from_secs(6 * 3_600));
    assert!(on.sweeper.enabled);
    assert_eq!(on.sweeper.max_items_per_second, 5);
    let zero = refusal(&host_json(
        r#""rust": {"sweeper": {"interval": "00:00:00"}}"#,
    ));
    assert!(zero.contains("rust.sweeper.interval"), "{zero}");
}

#[test]
fn workers_without_a_name_get_one_that_nobody_has() {
    // covers: R5-18 R6-01 R6-02
    let (env, settings) = (durabletask_storage::Env::system(), read(""));
    let (one, two) = (settings.worker_id(&env), settings.worker_id(&env));
    assert_ne!(one, two);
    let (host, unique) = one.split_once(':').unwrap();
    assert!(!host.is_empty() && unique.len() == 8, "{one}");
    let named = settings.with_worker_id("stable");
    assert_eq!(named.worker_id(&env), named.worker_id(&env));
    assert!(named.with_worker_id("").validate().is_err());
}
