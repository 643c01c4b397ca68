//! What becomes of each message of a batch: taken up, put back or deleted
//! (chapter 02 §4.5 and §4.6, design.md §6).

use durabletask_core::EventKind;
use durabletask_core::episode::RuntimeState;

use crate::queue::inbound::Inbound;

/// Deliveries after which an answer without history is let through, to be deleted
/// (chapter 02 §4.5 b).
const MAX_HELD_BACK_DELIVERIES: u32 = 5;
/// Deliveries up to which a message for an instance that has not started is put back.
pub(crate) const MAX_PENDING_DELIVERIES: u32 = 6;

/// A batch, sorted out.
#[derive(Debug, Default)]
pub(crate) struct Judged {
    /// Input of the episode, in order.
    pub(crate) accepted: Vec<Inbound>,
    /// Answers that history does not expect yet; put back with back-off.
    pub(crate) early: Vec<Inbound>,
    /// Messages that history holds already; deleted.
    pub(crate) known: Vec<Inbound>,
}

/// Sorts a batch by what the loaded history says.
pub(crate) fn judge(state: &RuntimeState, batch: Vec<Inbound>) -> Judged {
    let mut judged = Judged::default();
    for inbound in batch {
        if is_early(state, &inbound) {
            judged.early.push(inbound);
        } else if is_known(state, &inbound) {
            judged.known.push(inbound);
        } else {
            judged.accepted.push(inbound);
        }
    }
    judged
}

/// Whether an answer came before the history that expects it: messages are sent before history is
/// committed.
fn is_early(state: &RuntimeState, inbound: &Inbound) -> bool {
    let Some(task) = inbound.message().event.answered_task() else {
        return false;
    };
    let is_stray =
        state.started().is_none() && inbound.held.dequeue_count() > MAX_HELD_BACK_DELIVERIES;
    !is_stray && !state.has_event_with_id(task)
}

/// Whether history holds the message already: it came back because its delete did not happen.
fn is_known(state: &RuntimeState, inbound: &Inbound) -> bool {
    let event = &inbound.message().event;
    if !is_for(state, inbound) {
        return false;
    }
    match &event.kind {
        EventKind::EventRaised(_)
        | EventKind::ExecutionSuspended { .. }
        | EventKind::ExecutionResumed { .. } => {
            inbound.held.dequeue_count() > 1 && state.holds_same_event(event)
        }
        _ => state.holds_answer(event),
    }
}

/// Whether the message may be for the loaded execution.
fn is_for(state: &RuntimeState, inbound: &Inbound) -> bool {
    let wanted = inbound.execution_id();
    wanted.is_none() || wanted == state.execution_id()
}

/// Whether the loaded history can take an episode with these messages (chapter 02 §4.6).
pub(crate) fn is_executable(state: &RuntimeState, accepted: &[Inbound]) -> bool {
    if state.started().is_none() {
        return state.events().is_empty() && accepted.iter().any(Inbound::is_start);
    }
    !state.status().is_terminal()
}

/// Splits messages that cannot be executed: those to delete, and those to route again because
/// they were not addressed to this execution (chapter 02 §4.6, "Not executable").
pub(crate) fn split_unexecutable(
    execution: Option<&str>,
    messages: Vec<Inbound>,
) -> (Vec<Inbound>, Vec<Inbound>) {
    let (own, others): (Vec<_>, Vec<_>) = messages
        .into_iter()
        .partition(|inbound| inbound.execution_id() == execution);
    if own.is_empty() {
        (others, Vec::new())
    } else {
        (own, others)
    }
}
