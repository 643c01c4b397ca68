//! Names and versions that nobody here runs: told once each.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use durabletask_core::HTTP_ACTIVITY_NAME;

/// Distinct unknown names remembered, at most.
const MAX_REMEMBERED_NAMES: usize = 1_000;

/// Unknown names that were logged already.
#[derive(Debug, Default)]
pub(crate) struct UnknownNames(Mutex<BTreeSet<(&'static str, String)>>);

/// What to do about a name that is known not to be a user's.
pub(crate) fn hint_for(name: &str) -> Option<&'static str> {
    (name == HTTP_ACTIVITY_NAME).then_some(
        "Rust workers send the HTTP requests of orchestrators if `durable_http()` was called on \
         their builder.",
    )
}

impl UnknownNames {
    /// Logs that a message is for a name or version that is not run here, once for each, with the
    /// names that are.
    pub(crate) fn report(
        &self,
        kind: &'static str,
        name: &str,
        message_id: &str,
        registered: impl FnOnce() -> Vec<String>,
    ) {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_new = seen.len() < MAX_REMEMBERED_NAMES && seen.insert((kind, name.to_owned()));
        drop(seen);
        if is_new {
            tracing::warn!(
                kind,
                name,
                message_id,
                registered = registered().join(", "),
                hint = hint_for(name),
                "this worker does not run that; its messages are put back for others"
            );
        }
    }
}
