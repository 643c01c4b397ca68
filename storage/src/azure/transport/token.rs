//! Entra tokens, cached: one refresh at a time, begun before the old token ends.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use azure_core_1::credentials::TokenCredential;
use azure_core_1::error::ErrorKind as IdentityErrorKind;
use tokio::sync::Semaphore;

use crate::env::Env;
use crate::error::{ErrorKind, StorageError};

/// What a token for storage is asked for.
pub(super) const STORAGE_SCOPE: &str = "https://storage.azure.com/.default";
/// A token is replaced this long before it ends; tokens live for an hour at least.
const REFRESH_AHEAD_SECONDS: u64 = 300;
/// A token this near to its end is no longer sent.
const UNUSABLE_BEFORE_END_SECONDS: u64 = 20;
/// After a failed refresh ahead of time, the old token is used this long before trying again.
const REFRESH_PAUSE_SECONDS: u64 = 30;

/// The tokens of one identity for one service.
pub(crate) struct TokenCache {
    credential: Arc<dyn TokenCredential>,
    scope: String,
    held: Mutex<Held>,
    /// Lets one request fetch while the others wait for its result or use the old token.
    turn: Semaphore,
    env: Env,
    fetch_limit: Duration,
}

#[derive(Default)]
struct Held {
    /// `Bearer …`
    header: Option<Arc<str>>,
    /// Seconds since 1970.
    ends_at_seconds: u64,
    /// Not before this time is a refresh ahead of time tried again.
    refresh_at_seconds: u64,
}

impl TokenCache {
    pub(crate) fn new(
        credential: Arc<dyn TokenCredential>,
        scope: &str,
        env: Env,
        fetch_limit: Duration,
    ) -> Self {
        Self {
            credential,
            scope: scope.to_owned(),
            held: Mutex::default(),
            turn: Semaphore::new(1),
            env,
            fetch_limit,
        }
    }

    /// The `Authorization` header.
    pub(super) async fn authorization(&self) -> Result<Arc<str>, StorageError> {
        if let Some(header) = self.fresh() {
            return Ok(header);
        }
        let _turn = match self.turn.try_acquire() {
            Ok(turn) => turn,
            Err(_) => match self.usable() {
                Some(header) => return Ok(header),
                None => self.turn.acquire().await.map_err(|closed| {
                    failure(ErrorKind::Other, "the token cache is closed").with_source(closed)
                })?,
            },
        };
        // Whoever had the turn before may have fetched it.
        if let Some(header) = self.fresh() {
            return Ok(header);
        }
        self.fetch().await
    }

    /// Forgets the token, because storage refused it.
    pub(super) fn invalidate(&self) {
        self.lock().header = None;
    }

    async fn fetch(&self) -> Result<Arc<str>, StorageError> {
        let scopes = [self.scope.as_str()];
        let asked = self
            .env
            .timeout(self.fetch_limit, self.credential.get_token(&scopes, None))
            .await;
        let error = match asked {
            Ok(Ok(token)) => {
                let header: Arc<str> = format!("Bearer {}", token.token.secret()).into();
                let ends_at = u64::try_from(token.expires_on.unix_timestamp()).unwrap_or(0);
                let mut held = self.lock();
                held.header = Some(Arc::clone(&header));
                held.ends_at_seconds = ends_at;
                held.refresh_at_seconds = ends_at.saturating_sub(REFRESH_AHEAD_SECONDS);
                return Ok(header);
            }
            Ok(Err(error)) => refused(error),
            Err(elapsed) => failure(
                ErrorKind::Unreachable,
                "no token came from Entra ID in time",
            )
            .with_source(elapsed),
        };
        match self.usable() {
            Some(header) => {
                self.lock().refresh_at_seconds = self.now_seconds() + REFRESH_PAUSE_SECONDS;
                tracing::warn!(%error, "token not refreshed; the old one is still good");
                Ok(header)
            }
            None => Err(error),
        }
    }

    /// A token that need not be refreshed yet.
    fn fresh(&self) -> Option<Arc<str>> {
        let now = self.now_seconds();
        let held = self.lock();
        (now < held.refresh_at_seconds && !ending(&held, now))
            .then(|| held.header.clone())
            .flatten()
    }

    /// A token that storage will still take.
    fn usable(&self) -> Option<Arc<str>> {
        let now = self.now_seconds();
        let held = self.lock();
        (!ending(&held, now)).then(|| held.header.clone()).flatten()
    }

    fn now_seconds(&self) -> u64 {
        self.env.now().to_unix().as_secs()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn ending(held: &Held, now_seconds: u64) -> bool {
    now_seconds + UNUSABLE_BEFORE_END_SECONDS >= held.ends_at_seconds
}

fn refused(error: azure_core_1::Error) -> StorageError {
    let (kind, detail) = match error.kind() {
        IdentityErrorKind::Io | IdentityErrorKind::Connection => (
            ErrorKind::Unreachable,
            "the service that gives out tokens cannot be reached",
        ),
        _ => (
            ErrorKind::Unauthorized,
            "no token could be got for this identity; check the identity settings, or sign in with `az login`",
        ),
    };
    failure(kind, detail).with_source(error)
}

fn failure(kind: ErrorKind, detail: &str) -> StorageError {
    StorageError::new(kind, "authorize", "Entra ID").with_detail(detail)
}

impl fmt::Debug for TokenCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenCache").finish_non_exhaustive()
    }
}
