//! What a worker may have in memory, whatever happens.

use durabletask_azurestorage::Gauges;
use durabletask_azurestorage::hub::HubSettings;

fn count(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

/// What a worker with these settings has in memory beyond its limits.
pub(crate) fn excess(gauges: &Gauges, settings: &HubSettings) -> Option<String> {
    // Each partition's reader may just have asked when there was room.
    let control_messages = count(settings.control_queue_buffer_threshold) - 1
        + count(settings.control_queue_batch_size) * count(settings.partition_count);
    let activities = count(settings.max_concurrent_activities);
    let idle_bytes = usize::try_from(settings.session_cache_max_bytes).unwrap_or(usize::MAX);
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
        ("bytes of idle sessions", gauges.idle_bytes, idle_bytes),
    ];
    let beyond = limits.into_iter().find(|(_, is, limit)| is > limit);
    beyond.map(|(what, is, limit)| format!("{is} {what}, {limit} are allowed; {gauges:?}"))
}
