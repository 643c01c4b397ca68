//! Code that disagrees with its history (chapter 04 §2.4).

use std::fmt;

use super::{CallSite, Pending};
use crate::text::equal_ignoring_case;
use crate::{Action, EventKind, FailureDetails, HistoryEvent};

/// History says one thing, the code did another. Fails the orchestration.
///
/// The text begins like .NET's; both sides and the line of the call are named, because the one
/// who reads it has to find what was changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("Non-Deterministic workflow detected: {0}")]
pub struct NonDeterminism(String);

impl NonDeterminism {
    /// The failure as Core writes it.
    pub fn to_failure(&self) -> FailureDetails {
        FailureDetails::new(
            "DurableTask.Core.Exceptions.NonDeterministicOrchestrationException",
            self.to_string(),
        )
    }
}

/// What is compared: the kind of a durable call, and its name if it has one.
struct Call<'a> {
    kind: &'static str,
    name: Option<&'a str>,
    /// More about it, for people only.
    about: String,
}

const ACTIVITY: &str = "an activity task";
const TIMER: &str = "a timer task";
const CHILD: &str = "a sub-orchestration task";
const EVENT: &str = "a send event task";

impl<'a> Call<'a> {
    fn recorded(event: &'a HistoryEvent) -> Option<Self> {
        let text = |text: &'a Option<String>| text.as_deref().unwrap_or_default();
        Some(match &event.kind {
            EventKind::TaskScheduled(task) => Self {
                about: format!(" (version '{}')", text(&task.version)),
                ..Self::of(ACTIVITY, Some(text(&task.name)))
            },
            EventKind::TimerCreated { fire_at } => Self {
                about: format!(" (due {fire_at})"),
                ..Self::of(TIMER, None)
            },
            EventKind::SubOrchestrationCreated(child) => Self {
                about: format!(
                    " (version '{}', instance ID '{}')",
                    text(&child.version),
                    text(&child.instance_id)
                ),
                ..Self::of(CHILD, Some(text(&child.name)))
            },
            EventKind::EventSent {
                instance_id, name, ..
            } => Self {
                about: format!(" (instance ID '{}')", text(instance_id)),
                ..Self::of(EVENT, Some(event_name(text(instance_id), text(name))))
            },
            _ => return None,
        })
    }

    fn made(action: &'a Action) -> Self {
        match action {
            Action::ScheduleTask { name, .. } => Self::of(ACTIVITY, Some(name)),
            Action::CreateTimer { .. } => Self::of(TIMER, None),
            Action::CreateSubOrchestration { name, .. } => Self::of(CHILD, Some(name)),
            Action::SendEvent { target, name, .. } => {
                Self::of(EVENT, Some(event_name(&target.instance_id, name)))
            }
            Action::Complete(_) => Self::of("the end of the orchestration", None),
        }
    }

    const fn of(kind: &'static str, name: Option<&'a str>) -> Self {
        Self {
            kind,
            name,
            about: String::new(),
        }
    }

    fn agrees_with(&self, made: &Self) -> bool {
        self.kind == made.kind
            && equal_ignoring_case(self.name.unwrap_or_default(), made.name.unwrap_or_default())
    }
}

impl fmt::Display for Call<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind)?;
        if let Some(name) = self.name {
            write!(f, " named '{name}'")?;
        }
        f.write_str(&self.about)
    }
}

/// The part of an event's name that a replay can reproduce: the name of a signal that is sent to
/// an entity at a set time ends in that time, which .NET may cut relative to its wall clock.
fn event_name<'a>(target: &str, name: &'a str) -> &'a str {
    match name.split_once('@') {
        Some((operation, _)) if target.starts_with('@') => operation,
        _ => name,
    }
}

/// Compares a recorded decision with what the code decided under the same id. Inputs, versions,
/// times, child ids and targets are not compared, as with .NET.
pub(super) fn check(
    event: &HistoryEvent,
    pending: Option<&Pending>,
    last_call: Option<CallSite>,
) -> Result<(), NonDeterminism> {
    let Some(recorded) = Call::recorded(event) else {
        return Ok(());
    };
    let id = event.event_id;
    let place = |at: Option<CallSite>| at.map(|at| format!(" ({at})")).unwrap_or_default();
    let instead = if let Some(pending) = pending {
        let made = Call::made(&pending.action);
        if recorded.agrees_with(&made) {
            return Ok(());
        }
        let at = place(pending.at);
        format!("orchestration replay instead scheduled {made}{at} with this sequence number")
    } else {
        let at = place(last_call);
        format!("replay execution{at} hasn't (yet?) scheduled this task")
    };
    Err(NonDeterminism(format!(
        "A previous execution of this orchestration scheduled {recorded} with sequence number \
         {id}, but the current {instead}. Was a change made to the orchestrator code after this \
         instance had already started running?"
    )))
}
