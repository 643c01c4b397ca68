//! A worker at work.

use std::sync::Arc;

use durabletask_azurestorage::partition::partition_manager;
use durabletask_azurestorage::{Executors, HubWorker, TaskHub, TaskHubError};

use crate::worker::{Worker, WorkerError};
use crate::{Registry, shutdown_signal};

/// A worker that runs in the background of this process.
///
/// Dropping it is a crash: what it held comes back after the visibility timeouts. Call
/// [`RunningWorker::stop`].
#[derive(Debug)]
#[must_use = "dropping it stops the worker like a crash"]
pub struct RunningWorker(HubWorker);

impl RunningWorker {
    /// Stops cleanly within 10 s: takes nothing new, lets running work end (8 s at most), releases
    /// the partitions and gives the rest back. True if all work ended in time.
    pub async fn stop(self) -> Result<bool, TaskHubError> {
        self.0.stop().await
    }

    /// The provider's worker.
    pub fn hub_worker(&self) -> &HubWorker {
        &self.0
    }
}

impl Drop for RunningWorker {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Worker {
    /// Starts running the hub's orchestrations and activities in the background. The hub must
    /// exist, as [`TaskHub::open`] makes it.
    pub fn start(&self, hub: &TaskHub) -> RunningWorker {
        let settings = hub.settings();
        let worker_id = settings.worker_id(hub.env());
        let manager = partition_manager(hub.account(), settings, &worker_id, hub.env());
        let mut registry = Registry::clone(&self.registry());
        registry.use_settings(settings);
        let registry = Arc::new(registry);
        let executors = Executors {
            orchestrators: registry.clone(),
            activities: registry,
        };
        RunningWorker(HubWorker::start(hub.clone(), executors, manager))
    }

    /// Runs until the operating system asks the process to end (SIGTERM, SIGINT), then stops
    /// cleanly.
    pub async fn run(&self, hub: &TaskHub) -> Result<(), WorkerError> {
        let running = self.start(hub);
        shutdown_signal().await;
        tracing::info!("stopping: running work may end, at most 8 s");
        running.stop().await?;
        Ok(())
    }
}
