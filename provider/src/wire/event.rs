//! The members of every event, for messages and rows alike (chapter 02 §1.7, chapter 03 §1.6).

use durabletask_core::HistoryEvent;

/// A history as .NET's history queries return it: a JSON array, enums as numbers, no `$type`
/// (chapter 03 §6.2).
pub fn history_json(history: &[HistoryEvent]) -> String {
    let _ = history;
    todo!()
}
