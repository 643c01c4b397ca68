//! What a worker may have in memory, whatever happens.

use durabletask_azurestorage::Gauges;
use durabletask_azurestorage::hub::HubSettings;

/// Largest message of all workloads, in bytes.
const MAX_MESSAGE_BYTES: usize = 400_000;

fn count(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

/// What a worker with these settings has in memory beyond its limits.
pub(crate) fn excess(gauges: &Gauges, settings: &HubSettings) -> Option<String> {
    let received = count(settings.control_queue_batch_size) * count(settings.partition_count);
    // Each partition's reader may just have asked when there was room.
    let control_messages = count(settings.control_queue_buffer_threshold) - 1 + received;
    let activities = count(settings.max_concurrent_activities);
    let bytes = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
    let message_bytes =
        bytes(settings.control_queue_buffer_max_bytes).saturating_add(received * MAX_MESSAGE_BYTES);
    let session_bytes = bytes(settings.session_cache_max_bytes);
    let limits = [
        (
            "control messages",
            gauges.control_messages,
            control_messages,
        ),
        (
            "held messages",
            gauges.held_messages,
            gauges.control_messages + gauges.activities,
        ),
        ("renewals", gauges.planned_renewals, gauges.held_messages),
        ("activities", gauges.activities, activities),
        (
            "sessions",
            gauges.sessions,
            gauges.busy_sessions + gauges.idle_sessions,
        ),
        (
            "bytes of control messages",
            gauges.control_message_bytes,
            message_bytes,
        ),
        (
            "bytes of idle sessions",
            gauges.idle_bytes,
            session_bytes.saturating_sub(gauges.busy_bytes),
        ),
    ];
    let beyond = limits.into_iter().find(|(_, is, limit)| is > limit);
    beyond.map(|(what, is, limit)| format!("{is} {what}, {limit} are allowed; {gauges:?}"))
}
