//! A mailbox that remembers every note: none may get lost, and none may double without a reason.

use std::collections::BTreeSet;

use durabletask_azurestorage::InstanceStatus;
use durabletask_core::OrchestrationStatus;
use durabletask_worker::prelude::*;
use serde::{Deserialize, Serialize};

use crate::dice::Dice;

/// Notes of one mailbox, at most.
const MAX_NOTES: u64 = 6;

/// A mailbox, as far as it has come.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Notes {
    /// Notes 0 to that one, exclusive, will come.
    pub(crate) wanted: u32,
    /// Notes taken by one execution.
    per_execution: u32,
    /// Those that came, in order.
    seen: Vec<u32>,
}

impl Notes {
    /// A mailbox that has yet to begin.
    pub(crate) fn random(dice: &mut Dice) -> Self {
        let below = |dice: &mut Dice, limit| u32::try_from(dice.below(limit)).unwrap_or(0);
        Self {
            wanted: 1 + below(dice, MAX_NOTES),
            per_execution: 1 + below(dice, 3),
            seen: Vec::new(),
        }
    }

    /// As input of an orchestration.
    pub(crate) fn to_input(&self) -> Option<String> {
        serde_json::to_string(self).ok()
    }

    fn is_complete(&self) -> bool {
        (0..self.wanted).all(|n| self.seen.contains(&n))
    }

    /// What is wrong with the end of such a mailbox.
    pub(crate) fn fault_of(&self, status: &InstanceStatus, may_double: bool) -> Option<String> {
        let output = status.output.as_deref().unwrap_or_default();
        let seen: Option<Vec<u32>> = serde_json::from_str(output).ok();
        let seen = seen.filter(|_| status.runtime_status == OrchestrationStatus::Completed);
        let Some(seen) = seen else {
            let is = status.runtime_status;
            return Some(format!("notes are {is} with {output}"));
        };
        let distinct: BTreeSet<u32> = seen.iter().copied().collect();
        let wanted: BTreeSet<u32> = (0..self.wanted).collect();
        if distinct != wanted {
            return Some(format!("notes are {seen:?}, not those of {wanted:?}"));
        }
        (seen.len() > distinct.len() && !may_double).then(|| {
            format!("a note doubled without an unknown put, crash or stand-still: {seen:?}")
        })
    }
}

/// Takes notes until all have come.
#[orchestrator(name = "Notes")]
pub(crate) async fn notes(ctx: OrchestrationContext, mut notes: Notes) -> Result<Vec<u32>> {
    for _ in 0..notes.per_execution {
        if notes.is_complete() {
            break;
        }
        notes.seen.push(ctx.wait_event("Note").await?);
        let _: String = ctx.call_by_name("SayHello", "note").await?;
    }
    if notes.is_complete() {
        return Ok(notes.seen);
    }
    ctx.continue_as_new(notes)
}
