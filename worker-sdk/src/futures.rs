//! What durable calls return.

use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use durabletask_core::replay::TaskOutcome;
use serde::de::DeserializeOwned;

use crate::shared::{Answer, Key, Shared};
use crate::{Failure, Result, payload};

/// What a durable future is: a call that was made and has an answer to come, or one that could
/// not be made.
enum Pending {
    /// Answered, or called after the run had ended: there will be no answer.
    Never,
    Failed(Option<Failure>),
    Waiting(Waiting),
}

struct Waiting {
    shared: Arc<Shared>,
    key: Key,
    is_timer: bool,
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.shared.forget(self.key, self.is_timer);
    }
}

impl Pending {
    fn new(shared: &Arc<Shared>, key: Option<Key>, is_timer: bool) -> Self {
        key.map_or(Self::Never, |key| {
            Self::Waiting(Waiting {
                shared: Arc::clone(shared),
                key,
                is_timer,
            })
        })
    }

    fn poll(&mut self, context: &Context<'_>) -> Poll<Result<Answer>> {
        let answer = match self {
            Self::Never => return Poll::Pending,
            Self::Failed(failure) => match failure.take() {
                Some(failure) => Err(failure),
                None => return Poll::Pending,
            },
            Self::Waiting(waiting) => Ok(ready!(waiting.shared.poll(waiting.key, context))),
        };
        *self = Self::Never;
        Poll::Ready(answer)
    }
}

/// The result of an activity or child orchestration, to come.
///
/// The call was made when the context returned this. Dropping it does not take the call back:
/// the task runs, and keeps the orchestration from completing until it has answered.
#[must_use = "the task was called; await its result, or drop it knowingly"]
pub struct Call<T> {
    pending: Pending,
    output: PhantomData<fn() -> T>,
    name: String,
}

impl<T> Call<T> {
    pub(crate) fn new(shared: &Arc<Shared>, key: Option<Key>, name: &str) -> Self {
        Self {
            pending: Pending::new(shared, key, false),
            output: PhantomData,
            name: name.to_owned(),
        }
    }

    pub(crate) fn failed(failure: Failure) -> Self {
        Self {
            pending: Pending::Failed(Some(failure)),
            output: PhantomData,
            name: String::new(),
        }
    }
}

impl<T: DeserializeOwned + 'static> Future for Call<T> {
    type Output = Result<T>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<T>> {
        self.pending.poll(context).map(|answer| match answer? {
            Answer::Task(TaskOutcome::Completed(result)) => {
                payload::read(result.as_deref(), || {
                    format!("the result of '{}'", self.name)
                })
            }
            Answer::Task(TaskOutcome::Failed(failed)) => Err(Failure::of_task(*failed)),
            Answer::Task(TaskOutcome::Fired) | Answer::Event(_) => Err(Failure::new(
                "durabletask::HistoryError",
                format!("history answers '{}' with what is no result", self.name),
            )),
        })
    }
}

/// A durable timer. Dropping it cancels it.
#[must_use = "a timer that is not kept is cancelled"]
pub struct Timer(Pending);

impl Timer {
    pub(crate) fn new(shared: &Arc<Shared>, key: Option<Key>) -> Self {
        Self(Pending::new(shared, key, true))
    }
}

impl Future for Timer {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        self.0.poll(context).map(drop)
    }
}

/// The next external event of a name, to come. Dropping it cancels the wait, and an event that it
/// has not handed out goes to the next one.
#[must_use = "a wait that is not kept is cancelled"]
pub struct EventWait<T> {
    pending: Pending,
    payload: PhantomData<fn() -> T>,
    name: String,
}

impl<T> EventWait<T> {
    pub(crate) fn new(shared: &Arc<Shared>, key: Option<Key>, name: &str) -> Self {
        Self {
            pending: Pending::new(shared, key, false),
            payload: PhantomData,
            name: name.to_owned(),
        }
    }
}

impl<T: DeserializeOwned + 'static> Future for EventWait<T> {
    type Output = Result<T>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<T>> {
        self.pending.poll(context).map(|answer| {
            let input = match answer? {
                Answer::Event(input) => input,
                Answer::Task(_) => None,
            };
            payload::read(input.as_deref(), || format!("event '{}'", self.name))
        })
    }
}

impl<T> fmt::Debug for Call<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Call({})", self.name)
    }
}

impl fmt::Debug for Timer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Timer")
    }
}

impl<T> fmt::Debug for EventWait<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EventWait({})", self.name)
    }
}
