//! The worker: what `main` builds and runs.

use std::sync::Arc;

use durabletask_core::replay::Flavour;
use durabletask_storage::Env;

use crate::http::HttpActivity;
use crate::registry::{DuplicateName, Registry};
use crate::{Activity, Orchestrator};

/// A worker cannot be built or run.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    /// Two tasks have the same name.
    #[error(transparent)]
    DuplicateName(#[from] DuplicateName),
    /// The task hub could not be used.
    #[error(transparent)]
    Hub(#[from] durabletask_azurestorage::TaskHubError),
    /// Durable HTTP cannot be set up.
    #[error("durable HTTP cannot be set up: {0}")]
    Http(#[source] durabletask_storage::StorageError),
    /// The operating system refuses something.
    #[error("the worker cannot start: {0}")]
    System(#[from] std::io::Error),
}

/// Runs orchestrators and activities of one task hub.
#[derive(Debug, Clone)]
pub struct Worker {
    registry: Arc<Registry>,
    env: Env,
}

/// Collects what a [`Worker`] is made of.
#[derive(Debug)]
#[must_use]
pub struct WorkerBuilder {
    registry: Registry,
    env: Env,
    durable_http: bool,
    refused: Option<DuplicateName>,
}

impl Worker {
    /// A worker without tasks.
    pub fn builder() -> WorkerBuilder {
        WorkerBuilder {
            registry: Registry::new(),
            env: Env::system(),
            durable_http: false,
            refused: None,
        }
    }

    /// The tasks, as the provider runs them.
    pub fn registry(&self) -> Arc<Registry> {
        Arc::clone(&self.registry)
    }

    /// Where time, randomness and background tasks come from.
    pub fn env(&self) -> &Env {
        &self.env
    }
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

    /// Sends the HTTP requests of orchestrators: runs `BuiltIn::HttpActivity`, whoever asks for it.
    /// Without this they are left to other workers and Functions hosts of the hub.
    ///
    /// It is a choice, because orchestrators then reach whatever this machine reaches, and get
    /// tokens for any service by its identity. At most 240 s unless a request says otherwise;
    /// answers of at most 32 MiB. Needs this machine's trusted certificates.
    pub fn durable_http(mut self) -> Self {
        self.durable_http = true;
        self
    }

    /// Lets orchestrators follow the habits of that kind of .NET orchestrator, id by id and GUID by
    /// GUID, whatever their histories tell: for those that take over instances of which history
    /// does not tell (extension 2, or a `defaultVersion`). Without, [`Flavour::of`] says how each
    /// instance began.
    pub fn flavour(mut self, flavour: Flavour) -> Self {
        self.registry.use_flavour(flavour);
        self
    }

    /// Takes time, randomness and background tasks from there.
    pub fn env(mut self, env: Env) -> Self {
        self.env = env;
        self
    }

    /// The worker, not yet running.
    pub fn build(mut self) -> Result<Worker, WorkerError> {
        if let Some(duplicate) = self.refused {
            return Err(duplicate.into());
        }
        if self.durable_http {
            let activity = HttpActivity::new(self.env.clone()).map_err(WorkerError::Http)?;
            self.registry.add_activity(activity)?;
        }
        self.registry.use_env(self.env.clone());
        if self.env.has_threads() {
            self.registry.use_threads()?;
        }
        Ok(Worker {
            registry: Arc::new(self.registry),
            env: self.env,
        })
    }
}
