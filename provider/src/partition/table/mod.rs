//! The table manager ("V3"): rows of `{Hub}Partitions` (chapter 01 §5.3).

mod balance;
mod pass;
mod row;
mod run;
mod step;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use durabletask_storage::{Account, Env, Queues, Scope, ServiceClock, Tables};

use super::background::Background;
use super::{Ownership, PartitionHost, PartitionManager, StopError};
use crate::hub::HubSettings;
pub(crate) use row::LeaseRow;
use run::Run;

/// How much earlier than the row says we stop counting on a lease: others judge it by their own
/// clocks, which may differ from ours by about this much (R5-19; the dates of storage's answers
/// alone leave 1 s open).
const CLOCK_MARGIN: Duration = Duration::from_secs(3);

/// Shares partitions through rows of `{Hub}Partitions`; the default of .NET providers since 2.0.
///
/// An idle pass is one query and one write per owned partition, every 10 s; a claim costs one
/// queue request more.
#[derive(Debug)]
pub struct TablePartitionManager {
    config: Arc<Config>,
    ownership: Ownership,
    background: Background,
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
    /// Compared with what other workers wrote: not the local clock, which may be off (R5-19).
    clock: ServiceClock,
    lease: Duration,
    pass_interval: Duration,
    pass_limit: Duration,
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
            clock: account.clock.clone(),
            lease: settings.lease_interval,
            pass_interval: settings.lease_acquire_interval,
            pass_limit: settings.partition_table_operation_timeout,
        };
        Self {
            ownership: Ownership::new(env.clone(), config.lease.saturating_sub(CLOCK_MARGIN)),
            config: Arc::new(config),
            background: Background::default(),
        }
    }
}

#[async_trait]
impl PartitionManager for TablePartitionManager {
    fn start(&self, scope: &Scope, host: Arc<dyn PartitionHost>) {
        self.background.start(scope, |signal| {
            let (config, ownership) = (self.config.clone(), self.ownership.clone());
            Run::new(config, ownership, host, scope.clone(), signal).run()
        });
    }

    async fn stop(&self) -> Result<(), StopError> {
        self.background.stop().await
    }

    fn ownership(&self) -> Ownership {
        self.ownership.clone()
    }
}
