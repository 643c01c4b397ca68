//! Names of orchestrations: an instance, one execution of it, its parent.

use crate::Tags;

/// An orchestration by its instance id, and perhaps one execution (generation) of it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct OrchestrationInstance {
    /// Stable across restarts and continue-as-new; raw, never escaped.
    pub instance_id: String,
    /// One generation; `None` addresses whichever runs when a message arrives. 32 lower-case hex
    /// digits when Core or this project made it.
    pub execution_id: Option<String>,
}

impl OrchestrationInstance {
    /// Names one execution.
    pub fn new(instance_id: impl Into<String>, execution_id: impl Into<String>) -> Self {
        Self {
            instance_id: instance_id.into(),
            execution_id: Some(execution_id.into()),
        }
    }

    /// Names whichever execution is current.
    pub fn current(instance_id: impl Into<String>) -> Self {
        Self {
            instance_id: instance_id.into(),
            execution_id: None,
        }
    }

    /// Whether the id is an entity's (`@name@key`).
    pub fn is_entity(&self) -> bool {
        self.instance_id.starts_with('@')
    }
}

/// Who started a sub-orchestration and wants its result.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ParentInstance {
    /// The parent orchestrator's name.
    pub name: Option<String>,
    /// The parent, with its execution id at the time of the call.
    pub instance: OrchestrationInstance,
    /// The parent's task id of the call, answered by the child's completion.
    pub task_schedule_id: i32,
    /// The parent orchestrator's version.
    pub version: Option<String>,
}

/// Tag that keeps a child from reporting back to its parent (chapter 04 §6.6).
pub const FIRE_AND_FORGET_TAG: &str = "FireAndForget";

/// Tag of a child that is terminated when its parent is. Children inherit it, so that it covers
/// everything below them. Ours; .NET workers leave children alone (chapter 04 §6.2).
pub const TERMINATE_WITH_PARENT_TAG: &str = "durabletask.terminateWithParent";

/// Tags of a child: its own, then those of the parent that it lacks, without
/// [`FIRE_AND_FORGET_TAG`] (chapter 04 §1.8.3).
pub fn merge_tags(child: Option<&Tags>, parent: Option<&Tags>) -> Option<Tags> {
    let Some(parent) = parent else {
        return child.cloned();
    };
    let mut merged = child.cloned().unwrap_or_default();
    for (key, value) in parent.iter() {
        if key != FIRE_AND_FORGET_TAG && merged.get(key).is_none() {
            merged.insert(key, value);
        }
    }
    Some(merged)
}
