//! Makes calls slow, fail, or lose their answers, as a test or the simulator decides.

use std::fmt::Debug;
use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::layered::{Call, Layer, Way, wrap};
use super::{Arguments, Operation, Outcome};
use crate::{Account, Env, ErrorKind, Result, StorageError};

/// Decides what becomes of each call.
pub trait Faults: Debug + Send + Sync + 'static {
    /// Asked when a call is made.
    fn fate(&self, call: &SeenCall<'_>) -> Fate;

    /// Told what the caller of the call with that number gets. A call that hangs has no end.
    fn done(&self, _sequence: u64, _outcome: Outcome) {}
}

/// A call that is about to be made.
pub struct SeenCall<'a> {
    /// Counted from 0 over all calls to the account.
    pub sequence: u64,
    /// What is asked.
    pub operation: Operation,
    /// Queue, table, container, or container and blob; the prefix of a list.
    pub resource: &'a str,
    arguments: &'a (dyn Fn() -> Arguments + Sync),
}

impl SeenCall<'_> {
    /// With what; copied.
    pub fn arguments(&self) -> Arguments {
        (self.arguments)()
    }
}

impl Debug for SeenCall<'_> {
    /// Without arguments, which may be secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {} {}", self.sequence, self.operation, self.resource)
    }
}

/// What becomes of a call.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Fate {
    /// Time on the way to storage.
    pub way_there: Duration,
    /// Time on the way back.
    pub way_back: Duration,
    /// What goes wrong.
    pub trouble: Trouble,
}

/// What goes wrong with a call.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Trouble {
    /// Nothing.
    #[default]
    None,
    /// It fails on the way there and has no effect.
    Before(ErrorKind),
    /// It has its effect, and the caller is told this instead of the answer.
    After(ErrorKind),
    /// It has its effect and never comes back.
    Hangs,
}

/// The layer that carries out what [`Faults`] decide.
#[derive(Debug)]
pub struct Faulty {
    env: Env,
    faults: Arc<dyn Faults>,
    sequence: AtomicU64,
}

impl Faulty {
    /// The account with these faults.
    pub fn wrap(account: Account, env: Env, faults: Arc<dyn Faults>) -> Account {
        let layer = Self {
            env,
            faults,
            sequence: AtomicU64::new(0),
        };
        wrap(account, &Arc::new(layer))
    }
}

/// A call on its way.
pub(super) struct Ticket {
    sequence: u64,
    resource: String,
    fate: Fate,
}

impl Layer for Faulty {
    type Ticket = Ticket;

    async fn start(&self, call: Call<'_>) -> Ticket {
        let sequence = self.sequence.fetch_add(1, Ordering::Relaxed);
        let fate = self.faults.fate(&SeenCall {
            sequence,
            operation: call.operation,
            resource: call.resource,
            arguments: call.arguments,
        });
        Ticket {
            sequence,
            resource: call.resource.to_owned(),
            fate,
        }
    }

    async fn travel(&self, ticket: &Ticket, operation: Operation, way: Way) -> Result<()> {
        let fate = ticket.fate;
        let time = match way {
            Way::There => fate.way_there,
            Way::Back => fate.way_back,
        };
        if !time.is_zero() {
            self.env.sleep(time).await;
        }
        match (way, fate.trouble) {
            (Way::There, Trouble::Before(kind)) | (Way::Back, Trouble::After(kind)) => {
                let error = StorageError::new(kind, operation.name(), ticket.resource.clone());
                Err(error.with_detail("as the test wants it"))
            }
            (Way::Back, Trouble::Hangs) => pending().await,
            _ => Ok(()),
        }
    }

    async fn end(&self, ticket: Ticket, outcome: Outcome) {
        self.faults.done(ticket.sequence, outcome);
    }
}
