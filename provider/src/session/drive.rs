//! One session at work: batch by batch, load, judge, run, commit.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use durabletask_core::EventKind;
use futures::FutureExt;

use super::Loaded;
use super::judge::{self, MAX_PENDING_DELIVERIES};
use super::start::StartVerdict;
use super::store::{Batch, Work};
use crate::dispatch::WorkerContext;
use crate::dispatch::episodes::Ran;
use crate::error::TaskHubError;
use crate::partition::PartitionId;
use crate::queue::inbound::Inbound;
use crate::tracking::commit::{CommitBase, Committed};

/// What a batch leaves behind.
#[derive(Default)]
struct Left {
    /// The session, if the next batch may go on from memory.
    loaded: Option<Box<Loaded>>,
    /// Messages for somebody else, to be routed again.
    deferred: Vec<Inbound>,
}

/// A batch with what storage says about its instance.
struct Prepared {
    loaded: Box<Loaded>,
    messages: Vec<Inbound>,
}

impl WorkerContext {
    /// Works off an instance's messages until there are none. One driver per instance at a time.
    pub(crate) async fn drive(self: Arc<Self>, instance_id: String) {
        // Closed only when the worker is gone.
        let Ok(slot) = self.orchestration_slots.acquire().await else {
            return;
        };
        while let Some(work) = self.sessions.next(&instance_id) {
            let messages = work.batch.messages.clone();
            let worked = AssertUnwindSafe(self.work_off(&instance_id, work))
                .catch_unwind()
                .await;
            let left = match worked {
                Ok(Ok(left)) => left,
                Ok(Err(error)) => {
                    report_failure(&instance_id, &messages, &error);
                    self.abandon_all(messages);
                    Left::default()
                }
                Err(panic) => {
                    tracing::error!(instance_id, "a session panicked; its messages are put back");
                    self.fail_all(messages, &*panic);
                    Left::default()
                }
            };
            self.sessions
                .release(&instance_id, left.loaded, left.deferred);
        }
        drop(slot);
    }

    /// Every message of the batch is settled, deferred, or named in the error's place by the
    /// caller.
    async fn work_off(
        self: &Arc<Self>,
        instance_id: &str,
        work: Work,
    ) -> Result<Left, TaskHubError> {
        let Work {
            partition,
            batch,
            loaded,
        } = work;
        if !self.ownership.is_fresh(partition) {
            batch.messages.into_iter().for_each(|m| self.hand_back(m));
            return Ok(Left::default());
        }
        let execution = batch.execution.clone();
        let prepared = match loaded {
            Some(loaded) => Prepared {
                loaded,
                messages: batch.messages,
            },
            None => match self.prepare(instance_id, batch).await? {
                Ok(prepared) => prepared,
                Err(deferred) => {
                    return Ok(Left {
                        loaded: None,
                        deferred,
                    });
                }
            },
        };
        self.sessions
            .identify(instance_id, prepared.loaded.state.execution_id());
        let Prepared { loaded, messages } = self
            .confirm(instance_id, execution.as_deref(), prepared)
            .await?;
        let judged = judge::judge(&loaded.state, messages);
        self.abandon_all(judged.early);
        // A history that a crash cut short goes on with any message, even one that it knows.
        let revives = loaded.is_fresh && loaded.state.needs_episode() && !judged.known.is_empty();
        if judged.accepted.is_empty() && !revives {
            return self.leave_alone(instance_id, loaded, judged.known).await;
        }
        if !judged.accepted.is_empty() && !judge::is_executable(&loaded.state, &judged.accepted) {
            self.delete(judged.known);
            return self
                .refuse(instance_id, execution.as_deref(), loaded, judged.accepted)
                .await;
        }
        self.run_and_commit(
            instance_id,
            partition,
            loaded,
            judged.accepted,
            judged.known,
        )
        .await
    }

    /// Loads what a batch asks for, and judges its start message meanwhile. The inner error holds
    /// messages to route again.
    async fn prepare(
        self: &Arc<Self>,
        instance_id: &str,
        batch: Batch,
    ) -> Result<Result<Prepared, Vec<Inbound>>, TaskHubError> {
        let mut messages = batch.messages;
        let start = messages.iter().position(Inbound::is_start);
        let client_start = start.filter(|index| {
            let started = messages[*index].message().event.as_started();
            started.is_some_and(|started| started.parent.is_none())
        });
        let load = self
            .hub
            .load_session(instance_id, batch.execution.as_deref());
        let Some(index) = client_start else {
            let loaded = self.with_instance_etag(instance_id, load.await?).await?;
            return Ok(Ok(Prepared { loaded, messages }));
        };
        let inbound = messages[index].clone();
        let Some(started) = inbound.message().event.as_started() else {
            return Ok(Err(messages));
        };
        let judged = self.hub.judge_start(&inbound, started);
        let (loaded, judged) = futures::future::join(load, judged).await;
        let (verdict, row) = judged?;
        match verdict {
            StartVerdict::Process => {
                let mut loaded = loaded?;
                loaded.instance_etag = row.and_then(|row| row.etag);
                Ok(Ok(Prepared { loaded, messages }))
            }
            StartVerdict::Discard | StartVerdict::Defer => {
                let start = messages.remove(index);
                tracing::info!(
                    instance_id,
                    message_id = %start.held.id,
                    ?verdict,
                    "a start message is a duplicate, or came before its instance row"
                );
                if verdict == StartVerdict::Discard {
                    self.delete(vec![start]);
                } else {
                    self.abandon(start.held);
                }
                Ok(Err(messages))
            }
        }
    }

    /// Under `useInstanceTableEtag` the row's version is needed too. One table transaction.
    async fn with_instance_etag(
        &self,
        instance_id: &str,
        mut loaded: Box<Loaded>,
    ) -> Result<Box<Loaded>, TaskHubError> {
        if self.hub.settings().use_instance_table_etag {
            let row = self.hub.instance_row(instance_id, false).await?;
            loaded.instance_etag = row.and_then(|row| row.etag);
        }
        Ok(loaded)
    }

    /// A cached session may only move forward: any verdict against a message is passed again on a
    /// fresh load (design.md §7.1).
    async fn confirm(
        self: &Arc<Self>,
        instance_id: &str,
        execution: Option<&str>,
        prepared: Prepared,
    ) -> Result<Prepared, TaskHubError> {
        let Prepared { loaded, messages } = prepared;
        let moves_forward = || {
            let is_rewind = |m: &Inbound| {
                matches!(m.message().event.kind, EventKind::Generic { .. })
                    && m.execution_id().is_none()
            };
            let judged = judge::judge(&loaded.state, messages.clone());
            judged.early.is_empty()
                && !messages.iter().any(is_rewind)
                && (judged.accepted.is_empty()
                    || judge::is_executable(&loaded.state, &judged.accepted))
        };
        if loaded.is_fresh || moves_forward() {
            return Ok(Prepared { loaded, messages });
        }
        drop(loaded);
        let fresh = self.hub.load_session(instance_id, execution).await?;
        let loaded = self.with_instance_etag(instance_id, fresh).await?;
        Ok(Prepared { loaded, messages })
    }

    /// Nothing to run: known messages go, and a row that a crash left behind is repaired.
    async fn leave_alone(
        self: &Arc<Self>,
        instance_id: &str,
        loaded: Box<Loaded>,
        known: Vec<Inbound>,
    ) -> Result<Left, TaskHubError> {
        if loaded.is_fresh && !known.is_empty() {
            self.hub
                .repair_row(instance_id, &loaded.state, &loaded.blobs)
                .await?;
        }
        self.delete(known);
        Ok(self.keep(loaded))
    }

    /// What stays in memory of a session that was loaded, or went on, and has not ended.
    fn keep(&self, mut loaded: Box<Loaded>) -> Left {
        let settings = self.hub.settings();
        let is_kept = settings.sticky_sessions
            && !settings.plain
            && loaded.state.started().is_some()
            && !loaded.state.status().is_terminal();
        loaded.is_fresh = false;
        Left {
            loaded: is_kept.then_some(loaded),
            deferred: Vec::new(),
        }
    }

    /// Messages that no episode can take: no such instance, or it has ended (chapter 02 §4.6).
    async fn refuse(
        self: &Arc<Self>,
        instance_id: &str,
        execution: Option<&str>,
        loaded: Box<Loaded>,
        messages: Vec<Inbound>,
    ) -> Result<Left, TaskHubError> {
        let mut messages = messages;
        if loaded.state.started().is_some() {
            self.hub
                .repair_row(instance_id, &loaded.state, &loaded.blobs)
                .await?;
            self.hub.instance_changed(instance_id);
        } else if instance_id.starts_with('@') {
            tracing::warn!(
                instance_id,
                "entities are not supported yet; the message is put back"
            );
            self.abandon_all(messages);
            return Ok(Left::default());
        } else {
            messages = self.keep_for_pending(instance_id, messages).await?;
        }
        let (own, deferred) = judge::split_unexecutable(execution, messages);
        for inbound in &own {
            tracing::info!(
                instance_id,
                message_id = %inbound.held.id,
                event = inbound.message().event.event_type().name(),
                "a message for an unknown or finished instance is dropped"
            );
        }
        self.delete(own);
        Ok(Left {
            loaded: None,
            deferred,
        })
    }

    /// An instance without history: terminations mark its row; other messages wait for its start
    /// as long as the row says Pending. Returns what is left to delete.
    async fn keep_for_pending(
        self: &Arc<Self>,
        instance_id: &str,
        messages: Vec<Inbound>,
    ) -> Result<Vec<Inbound>, TaskHubError> {
        let termination = messages.iter().find_map(|inbound| {
            let event = &inbound.message().event;
            match &event.kind {
                EventKind::ExecutionTerminated { input } => Some((event.timestamp, input.clone())),
                _ => None,
            }
        });
        if let Some((stamped, reason)) = termination {
            let hub = &self.hub;
            if hub
                .terminate_unstarted(instance_id, stamped, reason)
                .await?
            {
                self.hub.instance_changed(instance_id);
            }
            return Ok(messages);
        }
        let row = self.hub.instance_row(instance_id, false).await?;
        let is_pending = row.is_some_and(|row| {
            row.runtime_status == Some(durabletask_core::OrchestrationStatus::Pending)
        });
        let (early, rest) = messages.into_iter().partition(|inbound| {
            is_pending
                && inbound.execution_id().is_none()
                && inbound.held.dequeue_count() <= MAX_PENDING_DELIVERIES
        });
        self.abandon_all(early);
        Ok(rest)
    }

    async fn run_and_commit(
        self: &Arc<Self>,
        instance_id: &str,
        partition: PartitionId,
        mut loaded: Box<Loaded>,
        accepted: Vec<Inbound>,
        known: Vec<Inbound>,
    ) -> Result<Left, TaskHubError> {
        let messages = accepted.iter().map(|m| m.message().clone()).collect();
        let was_started = loaded.state.started().is_some();
        let mut sender = CommitBase::sender_of(instance_id, &loaded.state);
        let episode = loaded.state.episodes().saturating_add(1);
        let run = loaded.run.take();
        let (plan, run) = match self.run_episode(loaded.state, run, messages).await {
            Ran::Plan(plan, run) => (plan, run),
            Ran::Nothing(state) => {
                loaded.state = state;
                let settled = accepted.into_iter().chain(known).collect();
                return self.leave_alone(instance_id, loaded, settled).await;
            }
            Ran::NotOurs(what, name) => {
                let id = accepted.first().map_or("", |m| m.held.id.as_str());
                self.unknown
                    .report(what, &name, id, || self.orchestrators.names());
                self.abandon_all(accepted);
                self.abandon_all(known);
                return Ok(Left::default());
            }
            Ran::Refused(error) => {
                tracing::error!(instance_id, %error, "an episode is not committed; its messages are put back");
                self.abandon_all(accepted);
                self.abandon_all(known);
                return Ok(Left::default());
            }
        };
        if !was_started {
            sender = first_identity(instance_id, &accepted);
        }
        if !self.ownership.is_fresh(partition) {
            accepted
                .into_iter()
                .chain(known)
                .for_each(|m| self.hand_back(m));
            return Ok(Left::default());
        }
        let control_queue = self.hub.names().control_queue(partition.index());
        let base = CommitBase {
            instance_id,
            control_queue: &control_queue,
            sender,
            episode,
            sentinel: loaded.sentinel,
            instance_etag: loaded.instance_etag,
            blobs: loaded.blobs,
        };
        match self.hub.commit(base, *plan).await {
            Ok(Committed::LoadAnew) => {
                self.abandon_all(accepted);
                self.abandon_all(known);
                Ok(Left::default())
            }
            Ok(Committed::Done(next)) => {
                self.delete(accepted);
                self.delete(known);
                if next.state.status().is_terminal() {
                    self.hub.instance_changed(instance_id);
                }
                Ok(self.keep(Box::new(Loaded { run, ..*next })))
            }
            Err(error) => Err(error),
        }
    }
}

fn report_failure(instance_id: &str, messages: &[Inbound], error: &TaskHubError) {
    let message_ids: Vec<&str> = messages.iter().map(|m| m.held.id.as_str()).collect();
    tracing::error!(
        instance_id,
        message_ids = message_ids.join(", "),
        %error,
        "an instance could not be worked on; its messages are put back"
    );
}

/// The identity under which the first episode sends: that of the start message.
fn first_identity(
    instance_id: &str,
    accepted: &[Inbound],
) -> durabletask_core::OrchestrationInstance {
    accepted
        .iter()
        .find_map(|m| m.message().event.as_started())
        .map_or_else(
            || durabletask_core::OrchestrationInstance::current(instance_id),
            |started| started.instance.clone(),
        )
}
