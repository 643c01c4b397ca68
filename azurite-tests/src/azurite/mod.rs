//! Azurite for tests: one that is named by `AZURITE_CONNECTION`, or one of our own that lives as
//! long as this process.
//!
//! Test runners that start a process per test would start an Azurite per test; wrap them:
//! `cargo run -p azurite-tests --bin azurite -- run cargo nextest run -p azurite-tests`.

mod install;
mod process;

use std::sync::OnceLock;

pub use install::VERSION;
pub use process::Azurite;

/// The environment variable that names a running Azurite by its connection string.
pub const CONNECTION_VARIABLE: &str = "AZURITE_CONNECTION";

/// Azurite could not be made to run. The text says what to do.
#[derive(Debug, thiserror::Error)]
pub enum AzuriteError {
    /// A program is not there.
    #[error(
        "Azurite needs `{program}`, which cannot be started: install Node.js 20 or later with npm, \
         or name a running Azurite in AZURITE_CONNECTION"
    )]
    NoProgram {
        /// `node` or `npm`.
        program: &'static str,
        /// Why.
        source: std::io::Error,
    },
    /// `npm install` failed.
    #[error("npm could not install azurite@{VERSION} into {folder}: {reason}")]
    Install {
        /// The cache folder.
        folder: String,
        /// The end of npm's own words.
        reason: String,
    },
    /// Azurite did not come up.
    #[error("Azurite did not start: {0}")]
    Start(String),
    /// Files or pipes failed.
    #[error("Azurite could not be set up")]
    Io(#[from] std::io::Error),
}

/// The connection string of the Azurite that this process's tests share. The first call starts it
/// if `AZURITE_CONNECTION` names none, and installs it before if it never was; that blocks the
/// thread for about a second, or for as long as npm takes.
///
/// Panics if there is no Azurite to be had: tests cannot go on without.
#[allow(
    clippy::unused_async,
    reason = "callers need not know that starting blocks"
)]
#[allow(clippy::panic, reason = "tests cannot go on without Azurite")]
pub async fn connection() -> String {
    static SHARED: OnceLock<Result<Azurite, AzuriteError>> = OnceLock::new();
    if let Ok(given) = std::env::var(CONNECTION_VARIABLE)
        && !given.trim().is_empty()
    {
        return given;
    }
    match SHARED.get_or_init(Azurite::start) {
        Ok(azurite) => azurite.connection().to_owned(),
        Err(error) => panic!("{}", explain(error)),
    }
}

/// The error with its causes.
pub fn explain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        cause = inner.source();
    }
    text
}
