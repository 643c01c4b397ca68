//! The table manager ("V3"): rows of `{Hub}Partitions` (chapter 01 §5.3).

mod balance;
mod drain;
mod pass;
mod row;
mod run;
mod step;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use durabletask_storage::{Account, Env, Queues, Scope, Tables};
use tokio::sync::watch;

use super::{Ownership, PartitionHost, PartitionManager, StopError};
use crate::hub::HubSettings;
pub(crate) use row::LeaseRow;
use run::{Run, Signal};

/// Shares partitions through rows of `{Hub}Partitions`; the default of .NET providers since 2.0.
///
/// An idle pass is one query and one write per owned partition, every 10 s; a claim costs one
/// queue request more.
#[derive(Debug)]
pub struct TablePartitionManager {
    config: Arc<Config>,
    ownership: Ownership,
    running: Mutex<Option<Running>>,
}

/// What every pass needs and nothing changes.
#[derive(Debug)]
struct Config {
    tables: Arc<dyn Tables>,
    queues: Arc<dyn Queues>,
    table: String,
    /// The hub's name in lower case.
    hub: String,
    worker_id: String,
    env: Env,
    lease: Duration,
    pass_interval: Duration,
    pass_limit: Duration,
}

/// A loop under way, or ended and not yet replaced.
#[derive(Debug)]
struct Running {
    signal: Arc<Signal>,
    /// Set when the loop has ended in an orderly way; closed without a value if it was aborted.
    ended: watch::Receiver<Option<Result<(), StopError>>>,
}

impl Running {
    fn is_over(&self) -> bool {
        self.ended.borrow().is_some() || self.ended.has_changed().is_err()
    }
}

impl TablePartitionManager {
    /// A manager for the worker `worker_id`, which must be unique among live workers byte for byte
    /// (R5-18). Makes no request before [`PartitionManager::start`].
    pub fn new(
        account: &Account,
        settings: &HubSettings,
        worker_id: impl Into<String>,
        env: &Env,
    ) -> Self {
        let config = Config {
            tables: account.tables.clone(),
            queues: account.queues.clone(),
            table: settings.names().partitions_table(),
            hub: settings.hub_name.to_lowercase(),
            worker_id: worker_id.into(),
            env: env.clone(),
            lease: settings.lease_interval,
            pass_interval: settings.lease_acquire_interval,
            pass_limit: settings.partition_table_operation_timeout,
        };
        Self {
            ownership: Ownership::new(env.clone(), config.lease),
            config: Arc::new(config),
            running: Mutex::default(),
        }
    }
}

#[async_trait]
impl PartitionManager for TablePartitionManager {
    fn start(&self, scope: &Scope, host: Arc<dyn PartitionHost>) {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        if running.as_ref().is_some_and(|running| !running.is_over()) {
            return;
        }
        let (set_ended, ended) = watch::channel(None);
        let signal = Arc::new(Signal::default());
        let run = Run::new(
            self.config.clone(),
            self.ownership.clone(),
            host,
            scope.clone(),
            signal.clone(),
        );
        *running = Some(Running { signal, ended });
        scope.spawn(async move {
            let outcome = run.run().await;
            set_ended.send_replace(Some(outcome));
        });
    }

    async fn stop(&self) -> Result<(), StopError> {
        let mut ended = {
            let running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
            let Some(running) = running.as_ref() else {
                return Ok(());
            };
            running.signal.stop();
            running.ended.clone()
        };
        let outcome = ended.wait_for(Option::is_some).await;
        outcome.map_or(Err(StopError::Aborted), |ended| {
            ended.clone().unwrap_or(Ok(()))
        })
    }

    fn ownership(&self) -> Ownership {
        self.ownership.clone()
    }
}
