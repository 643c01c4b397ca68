//! Settings that work but are probably not what was meant.

use std::collections::BTreeMap;
use std::time::Duration;

use durabletask_core::time_span;

use super::HubSettings;
use super::limits::ROOT;
use super::sources::Keys;

/// Groups and keys of a Functions host that mean nothing to this program.
const WITHOUT_EFFECT: [&str; 5] = [
    "notifications:",
    "localrpcendpointenabled",
    "tracing:allowverboselinuxtelemetry",
    "tracing:distributedtracingprotocol",
    "tracing:version",
];

/// Something that the user should know; `Display` is one sentence.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SettingsWarning {
    /// No reader knows the key.
    #[error("{ROOT}.{key} is unknown and ignored{hint}")]
    UnknownKey {
        /// The path below `extensions.durableTask`.
        key: String,
        /// Empty, or where the key belongs.
        hint: String,
    },
    /// A Functions host knows the key, this program does nothing about it.
    #[error("{ROOT}.{0} has no effect here")]
    NoEffect(String),
    /// A Functions host would refuse the file.
    #[error("{ROOT}.{key} is {value}; a Functions host accepts no less than 00:01:00")]
    ShortVisibility {
        /// The path below `extensions.durableTask`.
        key: &'static str,
        /// The value.
        value: String,
    },
    /// The buffer cannot hold one batch.
    #[error(
        "{ROOT}.storageProvider.controlQueueBatchSize is larger than controlQueueBufferThreshold"
    )]
    BatchAboveThreshold,
}

/// Everything to warn about.
pub(super) fn collect(
    settings: &HubSettings,
    keys: &Keys,
    known: &BTreeMap<String, String>,
) -> Vec<SettingsWarning> {
    let mut warnings = about_keys(keys, known);
    for (key, value) in [
        (
            "storageProvider.controlQueueVisibilityTimeout",
            settings.control_queue_visibility_timeout,
        ),
        (
            "storageProvider.workItemQueueVisibilityTimeout",
            settings.work_item_queue_visibility_timeout,
        ),
    ] {
        if value < Duration::from_secs(60) {
            let value = time_span::text(value);
            warnings.push(SettingsWarning::ShortVisibility { key, value });
        }
    }
    if settings.control_queue_batch_size > settings.control_queue_buffer_threshold {
        warnings.push(SettingsWarning::BatchAboveThreshold);
    }
    warnings
}

fn about_keys(keys: &Keys, known: &BTreeMap<String, String>) -> Vec<SettingsWarning> {
    let mut warnings = Vec::new();
    for (path, entry) in &keys.entries {
        if known.contains_key(path) {
            continue;
        }
        let key = entry.spelling.clone();
        if WITHOUT_EFFECT.iter().any(|start| path.starts_with(start)) {
            warnings.push(SettingsWarning::NoEffect(key));
            continue;
        }
        // A key in the wrong group is the usual slip, and the flat shape of extension 1.x.
        let last = path.rsplit(':').next().unwrap_or(path);
        let same_name = |known: &&String| known.rsplit(':').next() == Some(last);
        let elsewhere = known
            .keys()
            .find(same_name)
            .and_then(|path| known.get(path));
        let hint = elsewhere.map(|known| format!("; did you mean {known}?"));
        let hint = hint.unwrap_or_default();
        warnings.push(SettingsWarning::UnknownKey { key, hint });
    }
    warnings
}
