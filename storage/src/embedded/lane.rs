//! Ways to a connection: called in line under a mutex, or through a thread that carries out
//! several requests per commit.

use std::sync::{Mutex, PoisonError};

use futures::channel::oneshot;
use rusqlite::Connection;
use tokio::sync::mpsc;

use super::failure::{Failure, Result};
use crate::ErrorKind;

/// Requests that wait for a thread; more wait in their callers.
const MAX_WAITING_REQUESTS: usize = 256;
/// Requests that share one commit.
const MAX_GROUP_REQUESTS: usize = 64;

/// What a lane's transactions are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    /// No transaction: each request reads with one statement that matters.
    Read,
    /// An IMMEDIATE transaction, so that a busy file is met before anything is done.
    Write,
}

#[derive(Debug)]
pub(super) enum Lane {
    Inline(Mutex<Connection>),
    Thread(mpsc::Sender<Box<dyn Request>>),
}

impl Lane {
    pub(super) fn inline(connection: Connection) -> Self {
        Self::Inline(Mutex::new(connection))
    }

    /// The thread ends when the lane is dropped, after the requests it already has.
    pub(super) fn thread(connection: Connection, mode: Mode) -> Result<Self> {
        let (sender, receiver) = mpsc::channel(MAX_WAITING_REQUESTS);
        let name = match mode {
            Mode::Read => "store-reader",
            Mode::Write => "store-writer",
        };
        std::thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || serve(&connection, mode, receiver))
            .map_err(|error| {
                Failure::new(ErrorKind::Other, "Thread").with_detail(error.to_string())
            })?;
        Ok(Self::Thread(sender))
    }

    /// Carries out `act`, all or nothing in [`Mode::Write`], and returns after the commit. Once
    /// sent to a thread it is carried out even if the caller goes away.
    pub(super) async fn call<T, F>(&self, mode: Mode, act: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T> + Send + 'static,
    {
        match self {
            Self::Inline(connection) => {
                let connection = connection.lock().unwrap_or_else(PoisonError::into_inner);
                match mode {
                    Mode::Read => act(&connection),
                    Mode::Write => in_transaction(&connection, act),
                }
            }
            Self::Thread(requests) => {
                let (answer, answered) = oneshot::channel();
                let request = Box::new(Job {
                    act: Some(act),
                    outcome: None,
                    answer,
                });
                let gone = || Failure::new(ErrorKind::Other, "ThreadGone");
                requests.send(request).await.map_err(|_| gone())?;
                answered.await.map_err(|_| gone())?
            }
        }
    }
}

fn in_transaction<T>(
    connection: &Connection,
    act: impl FnOnce(&Connection) -> Result<T>,
) -> Result<T> {
    let transaction = Rollback::begin(connection)?;
    let output = act(connection)?;
    transaction.commit()?;
    Ok(output)
}

/// An open IMMEDIATE transaction, rolled back unless committed, also by a panic.
struct Rollback<'a>(&'a Connection);

impl<'a> Rollback<'a> {
    fn begin(connection: &'a Connection) -> Result<Self> {
        run(connection, "BEGIN IMMEDIATE")?;
        Ok(Self(connection))
    }

    fn commit(self) -> Result<()> {
        run(self.0, "COMMIT").map_err(|error| Failure::of_commit(&error))
    }
}

impl Drop for Rollback<'_> {
    fn drop(&mut self) {
        if !self.0.is_autocommit() {
            let _ = run(self.0, "ROLLBACK");
        }
    }
}

fn run(connection: &Connection, statement: &str) -> rusqlite::Result<()> {
    connection.prepare_cached(statement)?.execute([])?;
    Ok(())
}

/// A request of any type on its way through a thread.
pub(super) trait Request: Send {
    /// Does the work and keeps the outcome; false if it must be undone.
    fn carry_out(&mut self, connection: &Connection) -> bool;
    /// Sends the outcome, or the failure of the transaction it was part of.
    fn answer(self: Box<Self>, group_failure: Option<&Failure>);
}

impl std::fmt::Debug for dyn Request {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Request")
    }
}

struct Job<T, F> {
    act: Option<F>,
    outcome: Option<Result<T>>,
    answer: oneshot::Sender<Result<T>>,
}

impl<T, F> Request for Job<T, F>
where
    T: Send,
    F: FnOnce(&Connection) -> Result<T> + Send,
{
    fn carry_out(&mut self, connection: &Connection) -> bool {
        self.outcome = self.act.take().map(|act| act(connection));
        matches!(self.outcome, Some(Ok(_)))
    }

    fn answer(self: Box<Self>, group_failure: Option<&Failure>) {
        let outcome = match (group_failure, self.outcome) {
            // Refusals, too: what they met may have been written by the same group.
            (Some(failure), _) => Err(failure.clone()),
            (None, Some(outcome)) => outcome,
            (None, None) => Err(Failure::new(ErrorKind::Other, "NotCarriedOut")),
        };
        let _ = self.answer.send(outcome);
    }
}

fn serve(connection: &Connection, mode: Mode, mut requests: mpsc::Receiver<Box<dyn Request>>) {
    while let Some(mut first) = requests.blocking_recv() {
        match mode {
            Mode::Read => {
                first.carry_out(connection);
                first.answer(None);
            }
            Mode::Write => {
                let mut group = Vec::new();
                let failure = carry_out_group(connection, first, &mut requests, &mut group).err();
                for request in group {
                    request.answer(failure.as_ref());
                }
            }
        }
    }
}

/// Carries out `first` and whatever else is waiting by then in one transaction. A disk flush is
/// what a durable write costs; sharing it is what makes many writers fast.
fn carry_out_group(
    connection: &Connection,
    first: Box<dyn Request>,
    requests: &mut mpsc::Receiver<Box<dyn Request>>,
    group: &mut Vec<Box<dyn Request>>,
) -> Result<()> {
    group.push(first);
    let transaction = Rollback::begin(connection)?;
    for index in 0..MAX_GROUP_REQUESTS {
        if index == group.len() {
            match requests.try_recv() {
                Ok(next) => group.push(next),
                Err(_) => break,
            }
        }
        run(connection, "SAVEPOINT request")?;
        let keep = group[index].carry_out(connection);
        if connection.is_autocommit() {
            // A full disk, for one, makes SQLite roll back everything by itself.
            return Err(Failure::new(ErrorKind::Other, "RolledBack"));
        }
        if !keep {
            run(connection, "ROLLBACK TO request")?;
        }
        run(connection, "RELEASE request")?;
    }
    transaction.commit()
}
