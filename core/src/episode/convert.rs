//! Decisions become events and messages (chapter 04 §1.8).
#[derive(Debug, Default)]
pub(super) struct Outboxes;
