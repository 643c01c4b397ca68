//! What people see of long work while it goes on, on a terminal only.

use std::future::Future;
use std::io::Write;
use std::pin::pin;
use std::time::Duration;

use durabletask_storage::Env;

use crate::output::Output;

/// Pause between two drawings.
const REDRAW_INTERVAL: Duration = Duration::from_millis(100);
/// Time that has to pass before anything is drawn: most work is done by then.
const FIRST_DRAW: Duration = Duration::from_millis(300);
/// Characters of a whole bar.
const BAR_CHARS: u64 = 24;
/// Moves to the start of the line and clears it.
const CLEAR_LINE: &str = "\r\x1b[2K";

/// A line on the standard error that tells how far something has come; it is gone when this is
/// dropped. Nothing at all unless a person looks at it.
pub(crate) struct Progress {
    env: Env,
    is_shown: bool,
    label: String,
    began: Duration,
    drawn: Option<Duration>,
}

impl Progress {
    /// Begins to tell about something, such as `Purging`.
    pub(crate) fn new(output: Output, env: &Env, label: impl Into<String>) -> Self {
        Self {
            is_shown: output.has_person(),
            label: label.into(),
            began: env.monotonic(),
            drawn: None,
            env: env.clone(),
        }
    }

    /// `done` of `total`, if that is known, with more `words`.
    pub(crate) fn at(&mut self, done: u64, total: Option<u64>, words: &str) {
        if self.is_due() {
            let bar = total.map_or_else(String::new, |total| format!("{} ", bar(done, total)));
            let of = total.map_or_else(String::new, |total| format!(" of {total}"));
            self.draw(&format!("{bar}{done}{of} {words}"));
        }
    }

    /// Tells that time passes while `work` goes on.
    pub(crate) async fn during<T>(mut self, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        loop {
            let env = self.env.clone();
            if let Ok(outcome) = env.timeout(REDRAW_INTERVAL, work.as_mut()).await {
                return outcome;
            }
            if self.is_due() {
                self.draw("");
            }
        }
    }

    /// Makes room for other lines; the next step draws again.
    pub(crate) fn clear(&mut self) {
        if self.drawn.take().is_some() {
            // Without a terminal to draw on there is nothing to be done.
            let _ = write!(std::io::stderr().lock(), "{CLEAR_LINE}");
        }
    }

    fn is_due(&self) -> bool {
        let now = self.env.monotonic();
        let last = self.drawn.map_or_else(
            || self.began.saturating_add(FIRST_DRAW),
            |drawn| drawn.saturating_add(REDRAW_INTERVAL),
        );
        self.is_shown && now >= last
    }

    fn draw(&mut self, state: &str) {
        let now = self.env.monotonic();
        let seconds = now.saturating_sub(self.began).as_secs();
        let gap = if state.is_empty() { "" } else { ", " };
        let label = &self.label;
        let mut terminal = std::io::stderr().lock();
        let drawn = write!(terminal, "{CLEAR_LINE}{label}: {state}{gap}{seconds} s");
        let _ = drawn.and_then(|()| terminal.flush());
        self.drawn = Some(now);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.clear();
    }
}

fn bar(done: u64, total: u64) -> String {
    let full = BAR_CHARS * done.min(total) / total.max(1);
    let cells = (0..BAR_CHARS).map(|cell| if cell < full { '#' } else { '.' });
    format!("[{}]", cells.collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_are_full_at_the_end() {
        assert_eq!(bar(0, 0), format!("[{}]", ".".repeat(24)));
        assert_eq!(
            bar(5, 10),
            format!("[{}{}]", "#".repeat(12), ".".repeat(12))
        );
        assert_eq!(bar(11, 10), format!("[{}]", "#".repeat(24)));
    }
}
