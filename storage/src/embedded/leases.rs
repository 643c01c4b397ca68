//! Blob leases: available, held until a time or for ever, or run out but not yet taken.

use std::time::Duration;

use durabletask_core::Timestamp;
use uuid::Uuid;

use super::failure::{Failure, Result};
use crate::ErrorKind;

/// Shortest lease that ends, in seconds.
const MIN_LEASE_SECONDS: u32 = 15;
/// Longest lease that ends, in seconds.
const MAX_LEASE_SECONDS: u32 = 60;

/// A blob's lease. Without an id there is none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Lease {
    pub(super) id: Option<Uuid>,
    /// Its length; `None` is for ever.
    pub(super) seconds: Option<u32>,
    /// When it runs out; `None` is never.
    pub(super) until: Option<Timestamp>,
}

pub(super) fn parse_id(text: &str) -> Result<Uuid> {
    Uuid::try_parse(text)
        .map_err(|_| Failure::invalid("InvalidHeaderValue", "a lease id is a UUID"))
}

impl Lease {
    pub(super) fn is_held(&self, now: Timestamp) -> bool {
        self.id.is_some() && self.until.is_none_or(|until| until > now)
    }

    fn taken(id: Uuid, seconds: Option<u32>, now: Timestamp) -> Self {
        let until =
            seconds.map(|seconds| now.saturating_add(Duration::from_secs(u64::from(seconds))));
        Self {
            id: Some(id),
            seconds,
            until,
        }
    }

    pub(super) fn acquire(self, id: Uuid, seconds: Option<u32>, now: Timestamp) -> Result<Self> {
        let legal = MIN_LEASE_SECONDS..=MAX_LEASE_SECONDS;
        if seconds.is_some_and(|seconds| !legal.contains(&seconds)) {
            return Err(Failure::invalid(
                "InvalidHeaderValue",
                format!("a lease lasts {MIN_LEASE_SECONDS} to {MAX_LEASE_SECONDS} s, or for ever"),
            ));
        }
        if self.is_held(now) && self.id != Some(id) {
            return Err(lost("LeaseAlreadyPresent"));
        }
        Ok(Self::taken(id, seconds, now))
    }

    /// Also after it has run out, as long as nobody took it or wrote the blob.
    pub(super) fn renew(self, id: Uuid, now: Timestamp) -> Result<Self> {
        self.owned_by(id)?;
        Ok(Self::taken(id, self.seconds, now))
    }

    pub(super) fn release(self, id: Uuid) -> Result<Self> {
        self.owned_by(id)?;
        Ok(Self::default())
    }

    /// Repeating the change is no error: the first answer may have been lost.
    pub(super) fn hand_over(self, id: Uuid, proposed: Uuid, now: Timestamp) -> Result<Self> {
        if !self.is_held(now) {
            return Err(lost("LeaseNotPresentWithLeaseOperation"));
        }
        if self.id != Some(proposed) {
            self.owned_by(id)?;
        }
        Ok(Self {
            id: Some(proposed),
            ..self
        })
    }

    /// Whether a write or delete with this lease id, or none, may go on.
    pub(super) fn check_write(&self, given: Option<Uuid>, now: Timestamp) -> Result<()> {
        match (self.is_held(now), given) {
            (true, None) => Err(lost("LeaseIdMissing")),
            (true, Some(id)) if self.id != Some(id) => {
                Err(lost("LeaseIdMismatchWithBlobOperation"))
            }
            (false, Some(_)) => Err(lost("LeaseLost")),
            (true, Some(_)) | (false, None) => Ok(()),
        }
    }

    fn owned_by(&self, id: Uuid) -> Result<()> {
        if self.id == Some(id) {
            Ok(())
        } else {
            Err(lost("LeaseIdMismatchWithLeaseOperation"))
        }
    }
}

fn lost(code: &'static str) -> Failure {
    Failure::new(ErrorKind::LeaseLost, code)
}
