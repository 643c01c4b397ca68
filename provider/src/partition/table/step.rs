//! What to do with one row in one pass: pure (chapter 01 §5.3.3, §5.3.5, §5.3.6).

use durabletask_core::Timestamp;

use super::row::LeaseRow;
use crate::partition::drain::DrainState;

/// What to do with a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step<'a> {
    /// Not ours to touch; in balancing it counts for that worker.
    Count(&'a str),
    /// Not ours to touch, and counts for nobody.
    Leave,
    /// It was promised to us: wait for its owner.
    Wait,
    /// Its owner is shutting down: ask for it.
    Ask,
    /// We asked for it and are stopping: take the wish back (R5-17).
    Withdraw,
    /// Free, expired or handed over to us: take it.
    Claim,
    /// Ours: renew, and read the queue.
    Renew,
    /// Ours and wanted: renew while sessions finish.
    Drain,
    /// Ours, wanted and drained: give it away.
    Release,
}

/// Decides for the worker `me` at `now`.
pub(super) fn step<'a>(
    row: &'a LeaseRow,
    me: &str,
    now: Timestamp,
    drain: DrainState,
    stopping: bool,
) -> Step<'a> {
    let ours = row.current_owner.as_deref() == Some(me);
    if ours && (stopping || !expired(row, now)) {
        // A drain once begun is carried through, even if the asker took its wish back.
        let keep = !stopping && row.next_owner.is_none() && drain == DrainState::None;
        return match drain {
            _ if keep => Step::Renew,
            DrainState::Done => Step::Release,
            DrainState::None | DrainState::Running => Step::Drain,
        };
    }
    let wanted_by_me = row.next_owner.as_deref() == Some(me);
    if stopping {
        // A draining row without a wish would look like a shutdown drain to everybody.
        let withdraw = wanted_by_me && !row.is_draining;
        return if withdraw {
            Step::Withdraw
        } else {
            Step::Leave
        };
    }
    match (row.current_owner.as_deref(), row.next_owner.as_deref()) {
        _ if expired(row, now) => Step::Claim,
        (None, None) => Step::Claim,
        (None, Some(_)) if wanted_by_me => Step::Claim,
        (Some(_), Some(_)) if wanted_by_me => Step::Wait,
        (_, Some(next)) => Step::Count(next),
        (Some(_), None) if row.is_draining => Step::Ask,
        (Some(owner), None) => Step::Count(owner),
    }
}

fn expired(row: &LeaseRow, now: Timestamp) -> bool {
    row.expires_at.is_some_and(|end| now >= end)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::partition::PartitionId;

    const NOW: i64 = 1_000;

    fn row(current: Option<&str>, next: Option<&str>, draining: bool, expires: i64) -> LeaseRow {
        let mut row = LeaseRow::free(PartitionId::new(0), "h-control-00".to_owned());
        row.current_owner = current.map(str::to_owned);
        row.next_owner = next.map(str::to_owned);
        row.is_draining = draining;
        row.expires_at = (expires > 0).then(|| Timestamp::from_ticks(expires));
        row
    }

    fn decide(row: &LeaseRow, drain: DrainState, stopping: bool) -> Step<'_> {
        step(row, "me", Timestamp::from_ticks(NOW), drain, stopping)
    }

    #[test]
    fn every_state_of_a_row_has_its_step() {
        use DrainState::{Done, None as No, Running};
        let (me, a, b) = (Some("me"), Some("a"), Some("b"));
        let live = NOW + 1;
        for (current, next, draining, expires, drain, expected) in [
            (None, None, false, 0, No, Step::Claim),
            (None, None, false, live, No, Step::Claim),
            (None, me, false, live, No, Step::Claim),
            (None, a, false, live, No, Step::Count("a")),
            (None, a, false, NOW, No, Step::Claim),
            (a, None, false, live, No, Step::Count("a")),
            (a, None, false, NOW, No, Step::Claim),
            (a, b, true, live, No, Step::Count("b")),
            (a, me, false, live, No, Step::Wait),
            (a, me, true, live, No, Step::Wait),
            (a, None, true, live, No, Step::Ask),
            (me, None, false, live, No, Step::Renew),
            (me, None, true, live, No, Step::Renew),
            (me, None, false, NOW, No, Step::Claim),
            (me, a, false, live, No, Step::Drain),
            (me, a, true, live, Running, Step::Drain),
            (me, a, true, live, Done, Step::Release),
            (me, None, true, live, Running, Step::Drain),
            (me, None, true, live, Done, Step::Release),
        ] {
            let row = row(current, next, draining, expires);
            assert_eq!(decide(&row, drain, false), expected, "{row:?}");
        }
    }

    #[test]
    fn a_stopping_worker_only_gives_away() {
        use DrainState::{Done, None as No, Running};
        let (me, a) = (Some("me"), Some("a"));
        let live = NOW + 1;
        for (current, next, draining, expires, drain, expected) in [
            (None, None, false, 0, No, Step::Leave),
            (a, None, false, NOW, No, Step::Leave),
            (a, None, true, live, No, Step::Leave),
            (a, me, false, live, No, Step::Withdraw),
            (None, me, false, live, No, Step::Withdraw),
            (a, me, true, live, No, Step::Leave),
            (me, None, false, live, No, Step::Drain),
            (me, None, true, NOW, Running, Step::Drain),
            (me, None, true, live, Done, Step::Release),
        ] {
            let row = row(current, next, draining, expires);
            assert_eq!(decide(&row, drain, true), expected, "{row:?}");
        }
    }
}
