//! Start messages of clients: duplicates and early ones (chapter 02 §4.3).

use std::time::Duration;

use durabletask_core::{ExecutionStarted, OrchestrationStatus, Timestamp};

use crate::TaskHub;
use crate::error::TaskHubError;
use crate::queue::inbound::Inbound;
use crate::wire::instance_row::InstanceRow;

/// Pauses after which an instance row that is missing, or not yet replaced, is looked for again,
/// in milliseconds: the client writes it right after the message.
const ROW_RETRY_PAUSES_MS: [u64; 4] = [50, 100, 200, 400];
/// Deliveries after which a start without a row is thrown away (rule 3).
const MAX_START_DELIVERIES: u32 = 10;

/// What becomes of a start message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StartVerdict {
    /// It runs.
    Process,
    /// It is a duplicate, or its instance was terminated before it began: deleted.
    Discard,
    /// The row is not there yet: put back.
    Defer,
}

impl TaskHub {
    /// Judges a client's start message by the instance row; also the row, if there is one. One
    /// table transaction, up to five while the row is not the message's.
    pub(crate) async fn judge_start(
        &self,
        inbound: &Inbound,
        started: &ExecutionStarted,
    ) -> Result<(StartVerdict, Option<InstanceRow>), TaskHubError> {
        let instance_id = &inbound.message().target.instance_id;
        let arrival = Arrival {
            stamped: inbound.message().event.timestamp,
            dequeue_count: inbound.held.dequeue_count(),
            received: inbound
                .held
                .next_visible()
                .saturating_sub(Duration::from_secs(u64::from(
                    inbound.held.visibility_seconds(),
                ))),
        };
        let mut row = self.instance_row(instance_id, false).await?;
        let mut verdict = judge_start(row.as_ref(), started, arrival);
        for pause_ms in ROW_RETRY_PAUSES_MS {
            if verdict != StartVerdict::Defer {
                break;
            }
            self.env().sleep(Duration::from_millis(pause_ms)).await;
            row = self.instance_row(instance_id, false).await?;
            verdict = judge_start(row.as_ref(), started, arrival);
        }
        Ok((verdict, row))
    }
}

/// When and how often a start message came.
#[derive(Debug, Clone, Copy)]
struct Arrival {
    stamped: Timestamp,
    dequeue_count: u32,
    /// Time of this delivery by the service's clock.
    received: Timestamp,
}

fn judge_start(
    row: Option<&InstanceRow>,
    started: &ExecutionStarted,
    arrival: Arrival,
) -> StartVerdict {
    if let Some(row) = row {
        let is_own = match (&row.execution_id, &started.instance.execution_id) {
            (Some(row), Some(message)) => row.eq_ignore_ascii_case(message),
            (row, _) => row.is_none(),
        };
        // .NET runs an instance that was terminated before its scheduled start (§4.6.3).
        if is_own
            && row.execution_id.is_some()
            && row.runtime_status == Some(OrchestrationStatus::Terminated)
        {
            return StartVerdict::Discard;
        }
        let created = row.created_time.unwrap_or(Timestamp::MIN);
        let is_same_generation = started.generation == Some(row.generation.unwrap_or(0));
        // A commit of the execution that this one replaces may have put its id into the row that
        // the client had just written: stamps are distinct, so the time tells whose row it is.
        // .NET throws such a start away.
        if is_own || (is_same_generation && created == arrival.stamped) {
            return StartVerdict::Process;
        }
        let is_pending = row.runtime_status == Some(OrchestrationStatus::Pending);
        let is_scheduled_after = (created < arrival.stamped && is_pending)
            || (arrival.dequeue_count > 1 && arrival.received > created);
        if is_same_generation && is_scheduled_after {
            return StartVerdict::Discard;
        }
    }
    if arrival.dequeue_count >= MAX_START_DELIVERIES {
        StartVerdict::Discard
    } else {
        StartVerdict::Defer
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use durabletask_core::OrchestrationInstance;

    fn at(second: u32) -> Timestamp {
        format!("2026-01-01T00:00:{second:02}Z").parse().unwrap()
    }

    fn row(execution: &str, status: OrchestrationStatus) -> InstanceRow {
        InstanceRow {
            execution_id: Some(execution.to_owned()),
            runtime_status: Some(status),
            created_time: Some(at(10)),
            generation: Some(1),
            ..InstanceRow::default()
        }
    }

    fn verdict(row: Option<&InstanceRow>, stamped: u32, dequeue_count: u32) -> StartVerdict {
        let started = ExecutionStarted {
            instance: OrchestrationInstance::new("i", "MINE"),
            generation: Some(1),
            ..ExecutionStarted::default()
        };
        let arrival = Arrival {
            stamped: at(stamped),
            dequeue_count,
            received: at(stamped + 1),
        };
        judge_start(row, &started, arrival)
    }

    #[test]
    fn starts_are_judged_as_dotnet_does() {
        use OrchestrationStatus::{Pending, Running, Terminated};
        use StartVerdict::{Defer, Discard, Process};
        assert_eq!(verdict(None, 10, 1), Defer);
        assert_eq!(verdict(None, 10, 10), Discard);
        assert_eq!(verdict(Some(&row("mine", Pending)), 10, 1), Process);
        assert_eq!(verdict(Some(&row("mine", Running)), 10, 3), Process);
        assert_eq!(verdict(Some(&row("mine", Terminated)), 10, 1), Discard);
        assert_eq!(verdict(Some(&row("other", Pending)), 11, 1), Discard);
        assert_eq!(verdict(Some(&row("other", Pending)), 9, 1), Defer);
        assert_eq!(verdict(Some(&row("other", Running)), 10, 1), Process);
        assert_eq!(verdict(Some(&row("other", Running)), 11, 1), Defer);
        assert_eq!(verdict(Some(&row("other", Running)), 11, 2), Discard);
    }
}
