//! Starting orchestrations (chapter 02 §7.1, chapter 03 §5.2).

use std::time::Duration;

use durabletask_core::{
    EventKind, ExecutionStarted, HistoryEvent, MAX_TAG_BYTES, OrchestrationInstance,
    OrchestrationStatus, Tags, TaskMessage, Timestamp, TraceContext,
};
use durabletask_storage::{Condition, MAX_VISIBILITY_SECONDS, Row, Write};

use super::{HubClient, check_instance_id};
use crate::error::TaskHubError;
use crate::hub::OverridableStates;
use crate::queue::outbox::{SenderIdentity, Sending};
use crate::wire::instance_row::{self, InstanceRow};

/// Attempts to replace the row of an instance that keeps changing.
const MAX_ROW_ATTEMPTS: usize = 20;

/// Which existing instances a start may replace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReplaceExisting {
    /// Only finished ones; a running one makes the start fail.
    Finished,
    /// Any. A running execution is replaced when the new start is processed.
    Any,
}

/// How to start an orchestration.
#[derive(Debug, Clone, Default)]
pub struct StartOptions {
    /// The instance id; a fresh id of 32 hex digits if absent.
    pub instance_id: Option<String>,
    /// The orchestrator's version; `defaultVersion` or the empty version if absent.
    pub version: Option<String>,
    /// Tags, inherited by children; 30 KiB of text at most.
    pub tags: Option<Tags>,
    /// Not to run before this time, seven days ahead at most.
    pub start_at: Option<Timestamp>,
    /// Which existing instances may be replaced; the setting
    /// `overridableExistingInstanceStates` if absent.
    pub replace: Option<ReplaceExisting>,
    /// The caller's trace context. Without one, a new trace begins if
    /// `tracing.distributedTracingEnabled` is set, else there is none.
    pub trace_context: Option<TraceContext>,
}

impl HubClient {
    /// Starts an orchestration and returns its instance id. Durable when this returns: the start
    /// message is queued and the Pending row written, in that order. Price: one queue and two
    /// table transactions; an input above 45 KiB adds a blob write. If the answer to the row's
    /// write is lost, this goes on until storage answers.
    pub async fn start(
        &self,
        name: &str,
        input: Option<String>,
        options: StartOptions,
    ) -> Result<String, TaskHubError> {
        let hub = &self.hub;
        let instance_id = options.instance_id.clone().unwrap_or_else(|| hub.new_id());
        check_instance_id(&instance_id)?;
        self.check_options(&options)?;
        let existing = hub.instance_row(&instance_id, false).await?;
        if let Some(row) = &existing {
            self.check_replaceable(&instance_id, row.runtime_status, options.replace)?;
        }
        let generation = existing
            .as_ref()
            .map_or(0, |row| row.generation.unwrap_or(0).saturating_add(1));
        let started = self.start_data(name, input, &instance_id, generation, options);
        let stamped = hub.stamp();
        let sending = Sending {
            queue: hub.control_queue_of(&instance_id),
            message: TaskMessage {
                target: started.instance.clone(),
                event: HistoryEvent::new(
                    stamped,
                    EventKind::ExecutionStarted(Box::new(started.clone())),
                ),
                orchestration_tags: None,
            },
            sequence_number: hub.next_sequence_numbers(1),
        };
        let sent = hub
            .send_silently(&sending, &SenderIdentity::client())
            .await?;
        let mut row = instance_row::creation_row(
            &started,
            stamped,
            sent.blob.as_ref().map(|blob| hub.large().url(blob)),
            hub.name(),
            hub.env().now(),
        );
        let moved = hub.move_large_values(&mut row);
        for value in moved {
            hub.put_large(&value.blob_name, value.content.into())
                .await?;
        }
        self.write_created(&instance_id, existing.as_ref(), row)
            .await?;
        if existing.is_some() {
            hub.forget_session(&instance_id);
        }
        // Only now: a faster reader would find no row and put the start back.
        hub.announce(&sending.queue, &sent);
        Ok(instance_id)
    }

    /// Writes the row of a new execution over the one that was read. A row that changed meanwhile
    /// but is of the same generation was only brought up to date by its worker, and is replaced
    /// all the same; .NET gives up then, and the start is lost. One table transaction, two more
    /// for each such change.
    async fn write_created(
        &self,
        instance_id: &str,
        existing: Option<&InstanceRow>,
        row: Row,
    ) -> Result<(), TaskHubError> {
        let generation = existing.map(|row| row.generation.unwrap_or(0));
        let mut etag = existing.and_then(|row| row.etag.clone());
        for _ in 0..MAX_ROW_ATTEMPTS {
            let write = match etag.take() {
                Some(etag) => Write::Replace(row.clone(), Condition::Matches(etag)),
                None => Write::Insert(row.clone()),
            };
            match self.hub.write_instance(write).await {
                Ok(_) => return Ok(()),
                Err(error) if error.is_conflict() || error.is_not_found() => {}
                Err(error) => return Err(error.into()),
            }
            let stored = self.hub.instance_row(instance_id, false).await?;
            if let Some(stored) = stored {
                if Some(stored.generation.unwrap_or(0)) != generation {
                    // Another starter was faster: its row stands, our message is weeded out
                    // (chapter 03 §5.2). Or it is our own row, whose answer was lost.
                    return Ok(());
                }
                etag = stored.etag;
            }
        }
        Err(TaskHubError::Busy {
            instance_id: instance_id.to_owned(),
        })
    }

    fn check_options(&self, options: &StartOptions) -> Result<(), TaskHubError> {
        let longest = Duration::from_secs(u64::from(MAX_VISIBILITY_SECONDS));
        if let Some(start_at) = options.start_at
            && start_at.saturating_since(self.hub.env().now()) > longest
        {
            return Err(TaskHubError::InvalidArgument(
                "a start can be scheduled at most 7 days ahead; start later, or let the orchestration begin with a timer"
                    .to_owned(),
            ));
        }
        let tag_bytes = options.tags.as_ref().map_or(0, Tags::text_bytes);
        if tag_bytes > MAX_TAG_BYTES {
            return Err(TaskHubError::InvalidArgument(format!(
                "the tags have {tag_bytes} bytes, {MAX_TAG_BYTES} are possible; put large values into the input"
            )));
        }
        Ok(())
    }

    fn check_replaceable(
        &self,
        instance_id: &str,
        status: Option<OrchestrationStatus>,
        replace: Option<ReplaceExisting>,
    ) -> Result<(), TaskHubError> {
        let setting = self.hub.settings().overridable_existing_instance_states;
        let replace = replace.unwrap_or(match setting {
            OverridableStates::NonRunningStates => ReplaceExisting::Finished,
            OverridableStates::AnyState => ReplaceExisting::Any,
        });
        match status {
            Some(status) if replace == ReplaceExisting::Finished && !status.is_terminal() => {
                Err(TaskHubError::AlreadyExists {
                    instance_id: instance_id.to_owned(),
                    status,
                })
            }
            _ => Ok(()),
        }
    }

    /// A trace of its own, with a span that stands for the start.
    fn new_trace(&self) -> Option<TraceContext> {
        let env = self.hub.env();
        let is_traced = self.hub.settings().distributed_tracing_enabled;
        is_traced.then(|| TraceContext {
            trace_parent: Some(format!(
                "00-{}-{:016x}-01",
                env.new_uuid().simple(),
                env.random_u64().max(1)
            )),
            ..TraceContext::default()
        })
    }

    fn start_data(
        &self,
        name: &str,
        input: Option<String>,
        instance_id: &str,
        generation: i32,
        options: StartOptions,
    ) -> ExecutionStarted {
        let default_version = || self.hub.settings().default_version.clone();
        ExecutionStarted {
            instance: OrchestrationInstance::new(instance_id, self.hub.new_id()),
            name: Some(name.to_owned()),
            version: Some(options.version.or_else(default_version).unwrap_or_default()),
            input,
            tags: options.tags,
            parent_trace_context: options.trace_context.or_else(|| self.new_trace()),
            scheduled_start_time: options.start_at,
            generation: Some(generation),
            ..ExecutionStarted::default()
        }
    }
}
