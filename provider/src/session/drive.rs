//! One session at work: batch by batch, load, judge, run, commit.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use durabletask_core::episode::{RuntimeState, is_later_generation};
use durabletask_core::{EventKind, HistoryEvent};
use futures::FutureExt;

use super::Loaded;
use super::judge::{self, Judged};
use super::start::StartVerdict;
use super::store::{Batch, Work};
use crate::dispatch::{Pending, WorkerContext};
use crate::error::TaskHubError;
use crate::hub::Protections;
use crate::queue::inbound::Inbound;

/// Works off the messages of one instance. One at a time per instance.
pub(crate) struct Driver {
    pub(super) context: Arc<WorkerContext>,
    pub(super) instance_id: String,
    /// Deletes and put-backs of this instance's messages. No history is written and no other
    /// driver begins before they have ended (design.md §6).
    pub(super) settling: Pending,
}

/// What a batch leaves behind.
#[derive(Default)]
pub(super) struct Left {
    /// The session, if the next batch may go on from memory.
    pub(super) loaded: Option<Box<Loaded>>,
    /// Messages for somebody else, to be routed again.
    pub(super) deferred: Vec<Inbound>,
}

/// A batch with what storage says about its instance.
struct Prepared {
    loaded: Box<Loaded>,
    messages: Vec<Inbound>,
}

impl Driver {
    pub(crate) fn new(context: Arc<WorkerContext>, instance_id: String) -> Self {
        Self {
            context,
            instance_id,
            settling: Pending::default(),
        }
    }

    /// Works until the instance has no messages.
    pub(crate) async fn drive(self) {
        let context = self.context.clone();
        loop {
            // Closed only when the worker is gone.
            let Ok(slot) = context.orchestration_slots.acquire().await else {
                return;
            };
            if let Some(work) = context.sessions.next(&self.instance_id) {
                self.attempt(work).await;
                continue;
            }
            drop(slot);
            self.settling.finished().await;
            if context.sessions.park(&self.instance_id) {
                return;
            }
        }
    }

    /// Works off one batch; after a failure its messages are put back.
    async fn attempt(&self, work: Work) {
        let messages = work.batch.messages.clone();
        let worked = AssertUnwindSafe(self.work_off(work)).catch_unwind().await;
        let left = match worked {
            Ok(Ok(left)) => left,
            Ok(Err(error)) => {
                self.report(&messages, &error.to_string());
                self.put_back(messages);
                Left::default()
            }
            Err(panic) => {
                self.report(&messages, "a session panicked");
                self.context.fail_all(messages, &*panic, &self.settling);
                Left::default()
            }
        };
        let sessions = &self.context.sessions;
        sessions.release(&self.instance_id, left.loaded, left.deferred);
    }

    fn report(&self, messages: &[Inbound], error: &str) {
        let message_ids: Vec<&str> = messages.iter().map(|m| m.held.id.as_str()).collect();
        tracing::error!(
            instance_id = self.instance_id,
            message_ids = message_ids.join(", "),
            error,
            "an instance could not be worked on; its messages are put back"
        );
    }

    /// Deletes messages in the background.
    pub(super) fn delete(&self, messages: Vec<Inbound>) {
        self.context.delete(messages, &self.settling);
    }

    /// Puts messages back with back-off, in the background.
    pub(super) fn put_back(&self, messages: Vec<Inbound>) {
        self.context.abandon_all(messages, &self.settling);
    }

    /// Makes messages visible at once, for the partition's owner.
    pub(super) fn hand_back(&self, messages: Vec<Inbound>) {
        for inbound in messages {
            self.context.hand_back(inbound, &self.settling);
        }
    }

    /// Every message of the batch is settled or deferred; those that are neither when this fails
    /// are put back by the caller.
    async fn work_off(&self, work: Work) -> Result<Left, TaskHubError> {
        let Work {
            partition,
            batch,
            loaded,
        } = work;
        if !self.context.ownership.is_fresh(partition) {
            self.hand_back(batch.messages);
            return Ok(Left::default());
        }
        let execution = batch.execution.clone();
        let prepared = match loaded {
            Some(loaded) => Prepared {
                loaded,
                messages: batch.messages,
            },
            None => match self.prepare(batch).await? {
                Ok(prepared) => prepared,
                Err(left) => return Ok(left),
            },
        };
        self.identify(&prepared.loaded, execution.as_deref());
        let Prepared { loaded, messages } = self.confirm(execution.as_deref(), prepared).await?;
        self.identify(&loaded, execution.as_deref());
        let Judged {
            accepted,
            early,
            known,
        } = judge::judge(
            &loaded.state,
            messages,
            self.context.hub.settings().protections,
        );
        let revives = judge::revives(&loaded.state, &early, &known);
        self.put_back(early);
        if accepted.is_empty() && !revives {
            return self.leave_alone(loaded, known).await;
        }
        if accepted.is_empty() || judge::is_executable(&loaded.state, &accepted) {
            return self
                .run_and_commit(partition, loaded, accepted, known)
                .await;
        }
        self.delete(known);
        self.refuse(execution.as_deref(), loaded, accepted).await
    }

    /// Tells the store which execution is at work, so that messages for it join, and its size.
    fn identify(&self, loaded: &Loaded, asked_for: Option<&str>) {
        let execution = loaded.state.execution_id().or(asked_for);
        let sessions = &self.context.sessions;
        sessions.identify(&self.instance_id, execution, loaded.held_bytes());
    }

    /// Loads what a batch asks for, and judges its start message meanwhile. The inner error says
    /// that there is nothing to work on.
    async fn prepare(&self, batch: Batch) -> Result<Result<Prepared, Left>, TaskHubError> {
        let hub = &self.context.hub;
        let mut messages = batch.messages;
        let load = hub.load_session(&self.instance_id, batch.execution.as_deref());
        let is_judged = hub.settings().protections.start_deduplication;
        // Starts by orchestrations are not weeded out: they have no row yet.
        let client_start = messages.iter().enumerate().find_map(|(index, inbound)| {
            let started = inbound.message().event.as_started()?;
            (is_judged && started.parent.is_none()).then_some((index, started))
        });
        let Some((index, started)) = client_start else {
            let loaded = self.load(&messages, load).await?;
            return self.unless_followed(Prepared { loaded, messages }).await;
        };
        let judged = hub.judge_start(&messages[index], started);
        let (loaded, judged) = futures::future::join(load, judged).await;
        let (verdict, row) = judged?;
        let why = match verdict {
            StartVerdict::Process => {
                let mut loaded = loaded?;
                loaded.see_row(row);
                return self.unless_followed(Prepared { loaded, messages }).await;
            }
            StartVerdict::Discard => "a duplicate start message is dropped",
            StartVerdict::Defer => "a start message came before its instance row and is put back",
        };
        let (instance_id, message_id) = (&self.instance_id, &messages[index].held.id);
        tracing::info!(instance_id, message_id, "{why}");
        let mut left = Left::default();
        if verdict == StartVerdict::Discard {
            self.delete(vec![messages.remove(index)]);
            left.deferred = messages;
        } else {
            // What came with the start is for it, and waits for it.
            self.put_back(messages);
        }
        Ok(Err(left))
    }

    /// Drops a start message that came back after its execution has continued as new: it would run
    /// that execution once more over the one that followed it, whose progress would be lost. The
    /// row, which may not show the follower yet, is repaired. One table query more, only where
    /// another execution is stored.
    async fn unless_followed(
        &self,
        prepared: Prepared,
    ) -> Result<Result<Prepared, Left>, TaskHubError> {
        let Prepared { loaded, messages } = prepared;
        let start = messages.iter().position(Inbound::is_start);
        let hub = &self.context.hub;
        let is_other = loaded.state.events().is_empty()
            && loaded.sentinel.is_some()
            && hub.settings().protections.start_deduplication;
        let (Some(start), true) = (start, is_other) else {
            return Ok(Ok(Prepared { loaded, messages }));
        };
        let stored = hub.load_with_row(&self.instance_id, None).await?;
        if !is_followed_by(&messages[start].message().event, &stored.state) {
            return Ok(Ok(Prepared { loaded, messages }));
        }
        let (instance_id, message_id) = (&self.instance_id, &messages[start].held.id);
        tracing::info!(
            instance_id,
            message_id,
            "a start message whose execution has continued as new is dropped"
        );
        let mut deferred = messages;
        let known = vec![deferred.remove(start)];
        let left = self.leave_alone(stored, known).await?;
        Ok(Err(Left { deferred, ..left }))
    }

    /// Loads the instance row beside the history; not for the start of a child without history,
    /// which has no row yet: the price of a child stays what it is.
    async fn load(
        &self,
        messages: &[Inbound],
        load: impl Future<Output = Result<Box<Loaded>, TaskHubError>>,
    ) -> Result<Box<Loaded>, TaskHubError> {
        let row = || self.context.hub.instance_row(&self.instance_id, false);
        if !messages.iter().any(Inbound::is_start) {
            let (mut loaded, row) = futures::future::try_join(load, row()).await?;
            loaded.see_row(row);
            return Ok(loaded);
        }
        let mut loaded = load.await?;
        if loaded.sentinel.is_some() {
            loaded.see_row(row().await?);
        }
        Ok(loaded)
    }

    /// A cached session may only move forward: any verdict against a message is passed again on a
    /// fresh load (design.md §7.1).
    async fn confirm(
        &self,
        execution: Option<&str>,
        prepared: Prepared,
    ) -> Result<Prepared, TaskHubError> {
        let Prepared { loaded, messages } = prepared;
        let protections = self.context.hub.settings().protections;
        if loaded.is_fresh
            || !protections.fresh_verdicts
            || moves_forward(&loaded, &messages, protections)
        {
            return Ok(Prepared { loaded, messages });
        }
        drop(loaded);
        let hub = &self.context.hub;
        let loaded = hub.load_with_row(&self.instance_id, execution).await?;
        Ok(Prepared { loaded, messages })
    }

    /// What stays in memory of a session that was loaded, or went on, and has not ended.
    pub(super) fn keep(&self, mut loaded: Box<Loaded>) -> Left {
        let is_kept = self.context.hub.settings().keeps_sessions()
            && loaded.state.started().is_some()
            && !loaded.state.status().is_terminal();
        loaded.is_fresh = false;
        loaded.read_row = None;
        Left {
            loaded: is_kept.then_some(loaded),
            deferred: Vec::new(),
        }
    }
}

/// Whether the stored execution came about by continue-as-new from the one that this message starts
/// (directly or over others). Our ids tell, and a child's names the same task of the same parent
/// execution. Times would not: clocks differ. So a client's start whose execution was continued by a
/// .NET worker may run again, as it does there.
fn is_followed_by(start: &HistoryEvent, stored: &RuntimeState) -> bool {
    let (Some(asked), Some(own)) = (start.as_started(), stored.started()) else {
        return false;
    };
    let ids = (&own.instance.execution_id, &asked.instance.execution_id);
    let is_of_same_task = match (&asked.parent, &own.parent) {
        (Some(asked), Some(own)) => {
            asked.task_schedule_id == own.task_schedule_id && asked.instance == own.instance
        }
        _ => false,
    };
    is_of_same_task || matches!(ids, (Some(own), Some(asked)) if is_later_generation(own, asked))
}

/// Whether a cached session takes these messages without any verdict against one.
fn moves_forward(loaded: &Loaded, messages: &[Inbound], protections: Protections) -> bool {
    let is_rewind = |m: &Inbound| {
        matches!(m.message().event.kind, EventKind::Generic { .. }) && m.execution_id().is_none()
    };
    let judged = judge::judge(&loaded.state, messages.to_vec(), protections);
    judged.early.is_empty()
        && !messages.iter().any(is_rewind)
        && (judged.accepted.is_empty() || judge::is_executable(&loaded.state, &judged.accepted))
}
