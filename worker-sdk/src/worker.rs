//! The worker: what `main` builds and runs.

use std::fmt;
use std::sync::Arc;

use durabletask_azurestorage::hub::PartitionManagement;
use durabletask_azurestorage::partition::{PartitionManager, TablePartitionManager};
use durabletask_azurestorage::{Executors, HubWorker, TaskHub, TaskHubError};

use crate::registry::{DuplicateName, Registry};
use crate::{Activity, Orchestrator, shutdown_signal};

/// A worker cannot be built or run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WorkerError {
    /// Two tasks have the same name.
    #[error(transparent)]
    DuplicateName(#[from] DuplicateName),
    /// The operating system gives no threads.
    #[error("the worker cannot start: {0}")]
    System(#[from] std::io::Error),
    /// Another way to share partitions is configured than workers can do.
    #[error("partition management {0:?} is not available; use \"table\"")]
    PartitionManagement(PartitionManagement),
    /// The task hub failed.
    #[error(transparent)]
    Hub(#[from] TaskHubError),
}

/// Orchestrators and activities, ready to be run in a task hub.
#[derive(Debug, Clone)]
pub struct Worker {
    registry: Registry,
}

/// Collects what a [`Worker`] is made of.
#[derive(Debug, Default)]
#[must_use]
pub struct WorkerBuilder {
    registry: Registry,
    refused: Option<DuplicateName>,
}

impl WorkerBuilder {
    /// Adds an orchestrator: what `#[orchestrator]` made of a function.
    pub fn orchestrator<O: Orchestrator>(mut self, orchestrator: O) -> Self {
        let added = self.registry.add_orchestrator(orchestrator);
        self.refused = self.refused.or(added.err());
        self
    }

    /// Adds an activity: what `#[activity]` made of a function, or a value that implements
    /// [`Activity`].
    pub fn activity<A: Activity>(mut self, activity: A) -> Self {
        let added = self.registry.add_activity(activity);
        self.refused = self.refused.or(added.err());
        self
    }

    /// The worker, not yet running.
    pub fn build(self) -> Result<Worker, WorkerError> {
        match self.refused {
            Some(duplicate) => Err(duplicate.into()),
            None => Ok(Worker {
                registry: self.registry,
            }),
        }
    }
}

impl Worker {
    /// A worker without tasks.
    pub fn builder() -> WorkerBuilder {
        WorkerBuilder::default()
    }

    /// Runs until the process is asked to end (SIGTERM, SIGINT), then stops cleanly, within 10 s.
    pub async fn run(&self, hub: &TaskHub) -> Result<(), WorkerError> {
        let stop = shutdown_signal();
        let running = self.start(hub)?;
        stop.await;
        running.stop().await?;
        Ok(())
    }

    /// Starts to run in the background.
    pub fn start(&self, hub: &TaskHub) -> Result<RunningWorker, WorkerError> {
        let mut registry = self.registry.clone();
        if hub.env().has_threads() {
            registry.use_threads()?;
        }
        let registry = Arc::new(registry);
        let executors = Executors {
            orchestrators: registry.clone(),
            activities: registry,
        };
        let worker = HubWorker::start(hub.clone(), executors, partition_manager(hub)?);
        Ok(RunningWorker(worker))
    }
}

fn partition_manager(hub: &TaskHub) -> Result<Arc<dyn PartitionManager>, WorkerError> {
    let (settings, env) = (hub.settings(), hub.env());
    match settings.partition_management {
        PartitionManagement::Table => {
            let id = settings.worker_id(env);
            let manager = TablePartitionManager::new(hub.account(), settings, id, env);
            Ok(Arc::new(manager))
        }
        other => Err(WorkerError::PartitionManagement(other)),
    }
}

/// A worker at work. Dropping it without [`RunningWorker::stop`] is a crash: what it holds comes
/// back after the visibility timeouts.
#[must_use = "a worker that is dropped has crashed"]
pub struct RunningWorker(HubWorker);

impl RunningWorker {
    /// Stops cleanly: takes nothing new, lets running work end, hands the rest back. True if all
    /// work ended within 10 s.
    pub async fn stop(self) -> Result<bool, WorkerError> {
        Ok(self.0.stop().await?)
    }

    /// The worker as the provider sees it.
    pub fn hub_worker(&self) -> &HubWorker {
        &self.0
    }
}

impl fmt::Debug for RunningWorker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
