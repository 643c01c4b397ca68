//! Writes down every call, for tests that compare what was asked of storage.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

use super::Operation;
use super::layered::{Call, Layer, wrap};
use crate::{Account, ErrorKind, PutCondition, Query, Result, Write};

/// What was asked of an account, in the order in which the calls were made. Holds payloads: for
/// tests only.
#[derive(Debug)]
pub struct Recording {
    limit_calls: usize,
    calls: Mutex<Calls>,
}

#[derive(Debug, Default)]
struct Calls {
    kept: VecDeque<RecordedCall>,
    next_sequence: u64,
    missed: u64,
}

/// One call.
#[derive(Debug, Clone, PartialEq)]
pub struct RecordedCall {
    /// Counted from 0 over all calls to the account.
    pub sequence: u64,
    /// What was asked.
    pub operation: Operation,
    /// Queue, table, container, or container and blob; the prefix of a list.
    pub resource: String,
    /// With what.
    pub arguments: Arguments,
    /// What came back; `None` if nothing did so far, or the caller gave up.
    pub outcome: Option<Outcome>,
}

/// What a call was given besides its resource.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
#[allow(missing_docs, reason = "named as in the methods of the services")]
pub enum Arguments {
    None,
    Put {
        text: String,
        invisible_seconds: Option<u32>,
    },
    Get {
        count: u32,
        invisible_seconds: u32,
    },
    Peek {
        count: u32,
    },
    Update {
        id: String,
        text: Option<String>,
        invisible_seconds: u32,
    },
    Delete {
        id: String,
    },
    Keys {
        partition_key: String,
        row_key: String,
    },
    Query(Query),
    /// One for `write`, all of them for `transact`.
    Writes(Vec<Write>),
    Blob {
        content: Bytes,
        condition: PutCondition,
        lease: Option<String>,
    },
    List {
        prefix: String,
        marker: Option<String>,
    },
    Lease {
        lease: String,
    },
    AcquireLease {
        lease: String,
        seconds: Option<u32>,
    },
    ChangeLease {
        lease: String,
        proposed: String,
    },
}

impl Arguments {
    pub(super) fn lease(lease: &str) -> Self {
        let lease = lease.to_owned();
        Self::Lease { lease }
    }
}

/// What came back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// How many messages, rows, writes, names or blobs; 1 or 0 for made or there before, removed
    /// or not there, found or not found.
    Done(usize),
    /// A refusal or failure.
    Failed(ErrorKind),
}

impl Outcome {
    pub(super) fn of<T>(result: &Result<T>, count: impl Fn(&T) -> usize) -> Self {
        match result {
            Ok(value) => Self::Done(count(value)),
            Err(error) => Self::Failed(error.kind()),
        }
    }
}

impl Recording {
    /// The account, recorded, and its recording: the first `limit_calls` calls since the start or
    /// the last [`Recording::take`].
    pub fn wrap(account: Account, limit_calls: usize) -> (Account, Arc<Self>) {
        let recording = Arc::new(Self {
            limit_calls,
            calls: Mutex::default(),
        });
        (wrap(account, &recording), recording)
    }

    /// Removes and returns what was recorded. Outcomes of calls under way are lost.
    pub fn take(&self) -> Vec<RecordedCall> {
        let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        calls.missed = 0;
        std::mem::take(&mut calls.kept).into()
    }

    /// Calls that came after the limit was reached. Look at this before trusting a comparison.
    pub fn missed_calls(&self) -> u64 {
        let calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        calls.missed
    }
}

impl Layer for Recording {
    /// The sequence number.
    type Ticket = u64;

    async fn start(&self, call: Call<'_>) -> u64 {
        // Made before the lock is taken, because it may copy much.
        let arguments = (call.arguments)();
        let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        let sequence = calls.next_sequence;
        calls.next_sequence += 1;
        if calls.kept.len() < self.limit_calls {
            calls.kept.push_back(RecordedCall {
                sequence,
                operation: call.operation,
                resource: call.resource.to_owned(),
                arguments,
                outcome: None,
            });
        } else {
            calls.missed += 1;
        }
        sequence
    }

    async fn end(&self, sequence: u64, outcome: Outcome) {
        let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        let found = calls
            .kept
            .binary_search_by_key(&sequence, |call| call.sequence);
        if let Ok(index) = found {
            calls.kept[index].outcome = Some(outcome);
        }
    }
}
