//! History and instance rows: loading, committing, reading status (chapter 03).

pub(crate) mod commit;
pub(crate) mod history;
pub(crate) mod load;
pub(crate) mod purge;
pub(crate) mod repair;
pub(crate) mod rewind;
pub(crate) mod status;
mod unknown;
