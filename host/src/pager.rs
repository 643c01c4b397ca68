//! Long tables on a terminal.

use std::io::{self, IsTerminal, Write};
use std::process::{Child, Command, Stdio};

use crate::output;

/// The environment variable that names another pager; empty or `cat` means none.
const PAGER_VARIABLE: &str = "PAGER";
const DEFAULT_PAGER: &str = "less";
/// What `less` is told unless the user has told it otherwise: leave what fits on one screen there,
/// cut no line, clear nothing.
const LESS_OPTIONS: (&str, &str) = ("LESS", "FRX");

/// Where lines go.
pub(crate) enum Sink {
    /// Straight to the standard output.
    Direct,
    /// To a program that shows them page by page. It reads no further than it is looked at, and so
    /// does whoever writes.
    Pager(Child),
}

impl Sink {
    /// A pager if the output goes to a terminal and a pager can be had.
    pub(crate) fn for_terminal() -> Self {
        if !io::stdout().is_terminal() || !io::stdin().is_terminal() {
            return Self::Direct;
        }
        let pager = std::env::var(PAGER_VARIABLE).unwrap_or_else(|_| DEFAULT_PAGER.to_owned());
        let mut words = pager.split_whitespace();
        let Some(program) = words.next().filter(|program| *program != "cat") else {
            return Self::Direct;
        };
        let mut command = Command::new(program);
        command.args(words).stdin(Stdio::piped());
        let (variable, options) = LESS_OPTIONS;
        if std::env::var_os(variable).is_none() {
            command.env(variable, options);
        }
        let Ok(pager) = command.spawn() else {
            return Self::Direct;
        };
        leave_interrupts_to_the_pager();
        Self::Pager(pager)
    }

    /// Writes a line; an error if nobody reads any more.
    pub(crate) fn line(&mut self, text: &str) -> io::Result<()> {
        match self {
            Self::Direct => output::line(&text),
            Self::Pager(pager) => match &mut pager.stdin {
                Some(input) => writeln!(input, "{text}"),
                None => Ok(()),
            },
        }
    }

    /// Waits until the user has read enough.
    pub(crate) fn end(&mut self) -> io::Result<()> {
        if let Self::Pager(pager) = self {
            drop(pager.stdin.take());
            pager.wait()?;
        }
        Ok(())
    }
}

/// The terminal sends an interrupt to both. To a pager it means to stop searching or reading; dying
/// of it would leave the pager and the shell to fight for the terminal.
fn leave_interrupts_to_the_pager() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        // From here on the signal has a handler, which does nothing.
        drop(signal(SignalKind::interrupt()));
    }
}

impl Drop for Sink {
    /// Also after an error, such as that the user has read enough: the terminal is the pager's
    /// until it ends.
    fn drop(&mut self) {
        let _ = self.end();
    }
}
