//! Ids that follow from an execution id, so that what is decided or sent twice is the same twice.

use uuid::Uuid;

use crate::ExecutionStarted;

/// Root of the ids that are derived from an execution id. Any constant would do; it must never
/// change, or a start that is sent again after an upgrade would run the child twice.
const DERIVED_IDS: Uuid = Uuid::from_u128(0x4d0c_51f2_8a6b_5e3c_9d27_71b0_c6e8_f1a4);
/// Generations that [`is_later_generation`] looks through.
const MAX_GENERATIONS_APART: usize = 1_000;

/// The namespace of everything that is derived from one execution.
pub(super) fn namespace_of(started: &ExecutionStarted) -> Uuid {
    let execution = started.instance.execution_id.as_deref().unwrap_or_default();
    Uuid::new_v5(&DERIVED_IDS, execution.as_bytes())
}

/// The execution id of the child that an execution starts as task `task`: the same whenever the
/// start is sent, so that the second message meets a start that is already there. .NET draws it at
/// random and runs the child twice (chapter 02 §8.6).
pub(super) fn child_execution_id(started: &ExecutionStarted, task: i32) -> String {
    Uuid::new_v5(&namespace_of(started), task.to_string().as_bytes())
        .simple()
        .to_string()
}

/// The execution id of the generation after `execution_id`: derived, so that a start message that
/// comes back can be told to be of an earlier generation. .NET draws it at random.
pub(super) fn next_execution_id(execution_id: &str) -> String {
    let namespace = Uuid::new_v5(&DERIVED_IDS, execution_id.as_bytes());
    Uuid::new_v5(&namespace, b"next").simple().to_string()
}

/// Whether `later` came about by continue-as-new from `earlier`, over 1,000 generations at most.
/// False for generations of .NET workers, whose ids say nothing.
pub fn is_later_generation(later: &str, earlier: &str) -> bool {
    std::iter::successors(Some(next_execution_id(earlier)), |id| {
        Some(next_execution_id(id))
    })
    .take(MAX_GENERATIONS_APART)
    .any(|id| id == later)
}

/// Whether an execution id was derived by us, as those of children and later generations are.
/// Random ones, of clients and of .NET, are of another version.
pub fn is_derived_id(execution_id: &str) -> bool {
    Uuid::try_parse(execution_id).is_ok_and(|id| id.get_version() == Some(uuid::Version::Sha1))
}
