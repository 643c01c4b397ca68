//! What becomes of each message of a batch: taken up, put back or deleted
//! (chapter 02 §4.5 and §4.6, design.md §6).

use durabletask_core::EventKind;
use durabletask_core::episode::RuntimeState;

use crate::hub::Protections;
use crate::queue::held::put_back_seconds;
use crate::queue::inbound::Inbound;

/// Deliveries after which a message without history is let through, to be deleted
/// (chapter 02 §4.5 b), if it has waited long enough by then.
const MAX_HELD_BACK_DELIVERIES: u32 = 5;
/// Visibility timeouts for which such a message waits at least: a worker that stands still between
/// sending and its first commit holds the start that long, and may commit just before it comes back.
const HELD_BACK_VISIBILITY_TIMEOUTS: u32 = 2;
/// Deliveries whose pauses are added up: more than the longest such wait, two hours, has.
const MAX_COUNTED_DELIVERIES: u32 = 24;

/// A batch, sorted out.
#[derive(Debug, Default)]
pub(crate) struct Judged {
    /// Input of the episode, in order.
    pub(crate) accepted: Vec<Inbound>,
    /// Answers that history does not expect yet; put back with back-off.
    pub(crate) early: Vec<Inbound>,
    /// Messages that history holds already, or held before a rewind; deleted.
    pub(crate) known: Vec<Inbound>,
}

/// Sorts a batch by what the loaded history says.
pub(crate) fn judge(state: &RuntimeState, batch: Vec<Inbound>, protections: Protections) -> Judged {
    let mut judged = Judged::default();
    let is_starting = batch.iter().any(Inbound::is_start);
    for inbound in batch {
        if state.is_rewound(&inbound.message().event, inbound.data.episode) {
            judged.known.push(inbound);
        } else if protections.held_back_answers && is_early(state, is_starting, &inbound) {
            judged.early.push(inbound);
        } else if protections.duplicate_drop && is_known(state, &inbound) {
            judged.known.push(inbound);
        } else {
            judged.accepted.push(inbound);
        }
    }
    judged
}

/// Whether an answer came before the history that expects it: messages are sent before history is
/// committed. One that comes with the start message of its execution answers what an episode sent
/// that was not committed and runs again.
fn is_early(state: &RuntimeState, is_starting: bool, inbound: &Inbound) -> bool {
    let Some(task) = inbound.message().event.answered_task() else {
        return false;
    };
    let is_stray = !is_starting && state.started().is_none() && has_waited(inbound);
    // What has ended expects nothing any more: its last episode may have run again without that
    // task. .NET puts such an answer back for ever.
    let has_ended = state.status().is_terminal();
    // A split timer answers no task; .NET writes it to force another episode.
    !is_stray && !has_ended && task >= 0 && !state.has_event_with_id(task)
}

/// Whether a message has waited for a history for as long as one may take to be committed.
pub(super) fn has_waited(inbound: &Inbound) -> bool {
    let deliveries = inbound.held.dequeue_count();
    let waits = HELD_BACK_VISIBILITY_TIMEOUTS.saturating_mul(inbound.held.visibility_seconds());
    let waited = (1..deliveries.min(MAX_COUNTED_DELIVERIES)).map(put_back_seconds);
    deliveries > MAX_HELD_BACK_DELIVERIES
        && (deliveries > MAX_COUNTED_DELIVERIES || waited.sum::<u32>() >= waits)
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

/// Whether an episode is due although no message is accepted: history was cut short, so that any
/// message may go on with it, even one that it knows. An answer that came early counts only if
/// history stops in the middle of an episode, whose lost rest it may be waiting for.
pub(crate) fn revives(state: &RuntimeState, early: &[Inbound], known: &[Inbound]) -> bool {
    state.needs_episode() && (!known.is_empty() || (!early.is_empty() && state.stops_mid_episode()))
}

/// Splits messages that cannot be executed: those to drop or put back, and those to route again
/// because the load that was made for others says nothing about them.
pub(crate) fn split_unexecutable(
    state: &RuntimeState,
    execution: Option<&str>,
    messages: Vec<Inbound>,
) -> (Vec<Inbound>, Vec<Inbound>) {
    let is_judged = state.started().is_some() || execution.is_none();
    messages
        .into_iter()
        .partition(|inbound| is_judged || inbound.execution_id().is_some())
}
