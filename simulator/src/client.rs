//! Clients that insist: they repeat what failed until they know that it is done.

use std::sync::Arc;
use std::time::Duration;

use durabletask_azurestorage::hub::HubSettings;
use durabletask_azurestorage::{HubClient, InstanceStatus, StartOptions, TaskHub, TaskHubError};
use durabletask_core::OrchestrationStatus;

use crate::machine::Machine;
use crate::network::{Network, World};
use crate::program::{Program, event_name};

/// Pause between tries, in milliseconds.
const PAUSE_MS: u64 = 700;
/// Virtual time in which an instance must end, in seconds.
const MAX_RUN_SECONDS: u64 = 2 * 3_600;

/// A client in a process of its own.
#[derive(Debug)]
pub(crate) struct Client {
    name: Arc<str>,
    world: Arc<World>,
    inner: HubClient,
}

impl Client {
    /// A client whose clock is off by that much.
    pub(crate) fn new(
        world: &Arc<World>,
        settings: &HubSettings,
        name: &str,
        skew_ms: i64,
    ) -> Self {
        let machine = Machine::new(name, &world.env, skew_ms);
        let account = Network::account(world, &machine);
        let hub = TaskHub::new(machine.env(), account, settings.clone());
        Self {
            name: name.into(),
            world: world.clone(),
            inner: HubClient::new(hub),
        }
    }

    fn note(&self, what: &str) {
        self.world.trace.step(&self.name, what);
    }

    async fn pause(&self) {
        let pause = Duration::from_millis(PAUSE_MS);
        self.world.env.sleep(pause).await;
    }

    /// Starts a program; true if it is known to be ours, false if there is one already.
    pub(crate) async fn start(&self, id: &str, program: &Program) -> bool {
        loop {
            let options = StartOptions {
                instance_id: Some(id.to_owned()),
                ..StartOptions::default()
            };
            self.note(&format!("starts {id}"));
            match self
                .inner
                .start("Program", program.to_input(), options)
                .await
            {
                Ok(_) => return true,
                Err(TaskHubError::AlreadyExists { .. }) => return false,
                Err(error) => self.note(&format!("start {id}: {error}")),
            }
            self.pause().await;
        }
    }

    /// Raises an event, once for sure, perhaps more often.
    pub(crate) async fn raise(&self, id: &str, n: u32) {
        let payload = || Some(format!("\"e{n}\""));
        self.note(&format!("raises e{n} to {id}"));
        while let Err(error) = self.inner.raise_event(id, &event_name(n), payload()).await {
            self.note(&format!("raise e{n} to {id}: {error}"));
            self.pause().await;
        }
    }

    /// Waits for an instance to end; `None` and a violation if it does not.
    pub(crate) async fn ended(&self, id: &str) -> Option<InstanceStatus> {
        let limit = self.world.env.monotonic() + Duration::from_secs(MAX_RUN_SECONDS);
        loop {
            let left = limit.saturating_sub(self.world.env.monotonic());
            if left.is_zero() {
                let status = self.inner.status(id).await;
                let now = status.ok().flatten().map(|status| status.runtime_status);
                let what = format!("{id} has not ended; it is {now:?}");
                self.world.trace.violation(what);
                return None;
            }
            match self.inner.wait(id, Some(left)).await {
                Ok(status) => {
                    self.note(&format!("{id} is {}", status.runtime_status));
                    return Some(status);
                }
                Err(error) => self.note(&format!("wait for {id}: {error}")),
            }
            self.pause().await;
        }
    }

    /// Waits for an instance to complete with what its program yields.
    pub(crate) async fn completed(&self, id: &str, program: &Program) {
        let Some(status) = self.ended(id).await else {
            return;
        };
        let expected = serde_json::to_string(&program.expected()).ok();
        if status.runtime_status != OrchestrationStatus::Completed || status.output != expected {
            self.world.trace.violation(format!(
                "{id} is {} with {:?}, not Completed with {expected:?}",
                status.runtime_status, status.output
            ));
        }
    }

    /// Rewinds a failed instance until it is known to be on its way.
    pub(crate) async fn rewind(&self, id: &str) {
        loop {
            self.note(&format!("rewinds {id}"));
            match self.inner.rewind(id, None).await {
                Ok(()) | Err(TaskHubError::NotFailed { .. }) => return,
                Err(error) => self.note(&format!("rewind {id}: {error}")),
            }
            self.pause().await;
        }
    }

    /// Purges a finished instance.
    pub(crate) async fn purge(&self, id: &str) {
        loop {
            self.note(&format!("purges {id}"));
            match self.inner.purge(id, false).await {
                Ok(_) | Err(TaskHubError::NoSuchInstance { .. }) => return,
                Err(error) => self.note(&format!("purge {id}: {error}")),
            }
            self.pause().await;
        }
    }
}
