//! Timers longer than a queue can hold a message back (chapter 04 §3.2).

use std::time::Duration;

use super::Flavour;
use crate::Timestamp;

const CHUNK: Duration = Duration::from_secs(3 * 86_400);
const IN_PROCESS_LIMIT: Duration = Duration::from_secs(6 * 86_400);

/// A timer as the series of plain timers that a flavour makes of it: create one for each due time
/// that [`LongTimer::next`] names, await it, ask again with the orchestrator's time.
#[derive(Debug, Clone)]
pub struct LongTimer {
    fire_at: Timestamp,
    flavour: Flavour,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    First,
    Chunks,
    Over,
}

impl LongTimer {
    /// A timer that is due at that time.
    pub const fn new(flavour: Flavour, fire_at: Timestamp) -> Self {
        Self {
            fire_at,
            flavour,
            state: State::First,
        }
    }

    /// When the next plain timer is due, or `None` when the last one was the last.
    pub fn next(&mut self, now: Timestamp) -> Option<Timestamp> {
        let rest = self.fire_at.saturating_since(now);
        let (due, state) = match (self.flavour, self.state) {
            (_, State::Over) => return None,
            // Rust and isolated: chunks while more than one is left, then always a last timer,
            // even if it is already due.
            (Flavour::Rust | Flavour::Isolated, _) if rest > CHUNK => {
                (now.saturating_add(CHUNK), State::Chunks)
            }
            // In process: chunks only beyond six days, then until the time has come.
            (Flavour::InProc, State::First) if rest > IN_PROCESS_LIMIT => {
                (now.saturating_add(CHUNK), State::Chunks)
            }
            (Flavour::InProc, State::Chunks) => {
                if rest.is_zero() {
                    self.state = State::Over;
                    return None;
                }
                let due = if rest < CHUNK {
                    self.fire_at
                } else {
                    now.saturating_add(CHUNK)
                };
                (due, State::Chunks)
            }
            _ => (self.fire_at, State::Over),
        };
        self.state = state;
        Some(due)
    }
}
