//! Switches that the simulator turns off to prove that it would notice.

/// What keeps a hub whole. All on, except where the simulator checks itself: with any of these off
/// instances get lost or run wrongly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "switches, one for each protection"
)]
pub struct Protections {
    /// History writes are fenced by the sentinel's `ETag`.
    pub sentinel_etag: bool,
    /// Messages that history answers already are dropped.
    pub duplicate_drop: bool,
    /// Answers that history does not expect yet are put back.
    pub held_back_answers: bool,
    /// Start messages are judged by the instance row and by what follows their execution.
    pub start_deduplication: bool,
    /// Messages are sent before history is written.
    pub commit_order: bool,
    /// History writes of unknown outcome are repeated, not taken for done.
    pub unknown_outcomes: bool,
    /// A session in memory is loaded anew before a message is judged against it.
    pub fresh_verdicts: bool,
}

impl Default for Protections {
    fn default() -> Self {
        Self {
            sentinel_etag: true,
            duplicate_drop: true,
            held_back_answers: true,
            start_deduplication: true,
            commit_order: true,
            unknown_outcomes: true,
            fresh_verdicts: true,
        }
    }
}
