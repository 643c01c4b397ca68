//! What a call may say besides its input.

use durabletask_core::replay::SubOrchestrationCall;
use durabletask_core::{TERMINATE_WITH_PARENT_TAG, Tags};

use crate::RetryPolicy;

/// Options of an activity call.
#[derive(Debug, Clone, Default)]
#[must_use]
pub struct CallOptions {
    pub(crate) version: Option<String>,
    pub(crate) tags: Option<Tags>,
    pub(crate) retry: Option<RetryPolicy>,
}

impl CallOptions {
    /// None.
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks for that version of the activity. Without, it is the orchestration's own version
    /// (chapter 04 §7.2, as the isolated .NET SDK has it).
    pub fn version(mut self, version: impl Into<String>) -> Self {
        self.version = Some(version.into());
        self
    }

    /// Calls it again when it fails.
    pub fn retry(mut self, policy: RetryPolicy) -> Self {
        self.retry = Some(policy);
        self
    }

    /// Adds a tag to the call.
    pub fn tag(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.tags.get_or_insert_default().insert(key, value);
        self
    }
}

/// Options of a child orchestration.
#[derive(Debug, Clone, Default)]
#[must_use]
pub struct ChildOptions {
    pub(crate) instance_id: Option<String>,
    pub(crate) version: Option<String>,
    pub(crate) tags: Option<Tags>,
    pub(crate) retry: Option<RetryPolicy>,
}

impl ChildOptions {
    /// None: the child's instance id is derived from the parent's execution.
    pub fn new() -> Self {
        Self::default()
    }

    /// Gives the child that instance id.
    pub fn instance_id(mut self, id: impl Into<String>) -> Self {
        self.instance_id = Some(id.into());
        self
    }

    /// Asks for that version of the orchestrator. Without, it is the version that the
    /// orchestrator was declared with, else the hub's `defaultVersion`, else none.
    pub fn version(mut self, version: impl Into<String>) -> Self {
        self.version = Some(version.into());
        self
    }

    /// Starts it again when it fails: under the same instance id if it was given one, else under
    /// a new one each time.
    pub fn retry(mut self, policy: RetryPolicy) -> Self {
        self.retry = Some(policy);
        self
    }

    /// Adds a tag to the child; it inherits its parent's besides.
    pub fn tag(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.tags.get_or_insert_default().insert(key, value);
        self
    }

    /// Terminates the child when this orchestration is terminated, and everything that the child
    /// has called likewise. A tag, which the child's own children inherit. .NET workers do not
    /// know it.
    pub fn terminate_with_parent(self) -> Self {
        self.tag(TERMINATE_WITH_PARENT_TAG, "")
    }

    /// The call that it is an option of.
    pub(crate) fn into_call(
        self,
        name: &str,
        input: String,
        fire_and_forget: bool,
    ) -> SubOrchestrationCall {
        SubOrchestrationCall {
            name: name.to_owned(),
            version: self.version,
            instance_id: self.instance_id,
            input: Some(input),
            tags: self.tags,
            fire_and_forget,
        }
    }
}
