//! What a call may say besides its input.

use durabletask_core::Tags;

/// Options of an activity call.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[must_use]
pub struct CallOptions {
    pub(crate) version: Option<String>,
    pub(crate) tags: Option<Tags>,
}

impl CallOptions {
    /// None.
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks for that version of the activity.
    pub fn version(mut self, version: impl Into<String>) -> Self {
        self.version = Some(version.into());
        self
    }

    /// Adds a tag to the call.
    pub fn tag(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.tags.get_or_insert_default().insert(key, value);
        self
    }
}

/// Options of a child orchestration.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[must_use]
pub struct ChildOptions {
    pub(crate) instance_id: Option<String>,
    pub(crate) version: Option<String>,
    pub(crate) tags: Option<Tags>,
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

    /// Asks for that version of the orchestrator.
    pub fn version(mut self, version: impl Into<String>) -> Self {
        self.version = Some(version.into());
        self
    }

    /// Adds a tag to the child; it inherits its parent's besides.
    pub fn tag(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.tags.get_or_insert_default().insert(key, value);
        self
    }
}
