//! Messages become events (chapter 04 §1.5, §1.6).

use std::collections::BTreeSet;

use super::state::{TaskKind, answer_to};
use super::{DiscardReason, RuntimeState};
use crate::{EventKind, HistoryEvent, OrchestrationStatus, TaskMessage};

/// The messages that the execution has to hear about, in the order in which it does: positions
/// in `messages`. Everything else is dropped, and deleted with the batch.
///
/// Where we better .NET: the start goes in front of whatever overtook it even if it has a parent,
/// because .NET discards such a batch and with it the child; and answers that history holds
/// already are dropped instead of recorded a second time.
pub(super) fn accepted(
    state: &RuntimeState,
    messages: &[TaskMessage],
    keeps_duplicates: bool,
) -> Result<Vec<usize>, DiscardReason> {
    use OrchestrationStatus::{Pending, Running, Suspended};
    if !matches!(state.status(), Running | Pending | Suspended) {
        return Err(DiscardReason::Finished);
    }
    let start = if state.started().is_some() {
        None
    } else if !state.events().is_empty() {
        return Err(DiscardReason::InvalidHistory);
    } else {
        let position = messages
            .iter()
            .position(|message| message.event.as_started().is_some());
        Some(position.ok_or(DiscardReason::NoSuchInstance)?)
    };
    let execution = start
        .and_then(|position| messages.get(position)?.event.as_started())
        .or_else(|| state.started())
        .and_then(|started| started.instance.execution_id.as_deref());
    let mut answered = BTreeSet::new();
    let others = messages
        .iter()
        .enumerate()
        .filter(|(_, message)| {
            is_for(message, execution)
                && (is_new(state, &mut answered, &message.event)
                    || (keeps_duplicates && message.event.answered_task().is_some()))
        })
        .map(|(position, _)| position);
    let accepted: Vec<_> = start.into_iter().chain(others).collect();
    if accepted.is_empty() && !state.needs_episode() {
        return Err(DiscardReason::NothingNew);
    }
    Ok(accepted)
}

/// Whether a message reaches this execution: it names it, or none.
fn is_for(message: &TaskMessage, execution: Option<&str>) -> bool {
    match message.target.execution_id.as_deref().map(str::trim) {
        None | Some("") => true,
        Some(target) => Some(target) == execution,
    }
}

fn is_new(
    state: &RuntimeState,
    answered: &mut BTreeSet<(TaskKind, i32)>,
    event: &HistoryEvent,
) -> bool {
    match event.kind {
        // The start of this execution is placed first by the caller, others are second starts;
        // and Core's own rewind is never sent by clients of this provider (chapter 04 §6.5).
        EventKind::ExecutionStarted(_) | EventKind::ExecutionRewound(_) => false,
        _ => {
            answer_to(event).is_none_or(|task| !state.holds_answer(event) && answered.insert(task))
        }
    }
}
