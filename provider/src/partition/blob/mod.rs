//! The two managers on blob leases: legacy ("V1", one lease per partition, chapter 01 §5.6) and
//! safe ("V2", two, §5.7), with the balancer they share (§5.5).

mod balance;
mod leases;
mod record;
mod run;
mod set;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use durabletask_storage::{Account, Env, Queues, Scope};

use super::background::Background;
use super::{Ownership, PartitionHost, PartitionManager, StopError};
use crate::hub::HubSettings;
use crate::wire::names::HubNames;
use leases::{LeaseType, Leases};
pub(crate) use record::LeaseRecord;
use run::Run;

/// Shares partitions through leases on blobs in `{hub}-leases`. Lease times are the service's own,
/// so that clocks do not matter.
///
/// **Safe** needs two leases per partition to read its queue: the *intent*, which others may
/// steal, and the *ownership*, which is given up only when the partition's sessions have ended.
/// **Legacy** has one lease, and a theft takes effect at once, while its victim learns of it up to
/// 10 s later: meanwhile both read the queue (R5-34), and only pop receipts and history `ETag`s
/// keep them apart.
///
/// Price of an idle worker that holds P of N partitions, every 10 s: one list, N reads and P
/// renewals; with the safe manager P renewals more.
#[derive(Debug)]
pub struct BlobPartitionManager {
    config: Arc<Config>,
    ownership: Ownership,
    background: Background,
}

/// What a run needs and nothing changes.
#[derive(Debug)]
struct Config {
    env: Env,
    queues: Arc<dyn Queues>,
    names: HubNames,
    /// The leases by which partitions are shared: of type default or intent.
    shares: Leases,
    /// Those that must be held besides, with the safe manager.
    ownerships: Option<Leases>,
    lease: Duration,
    acquire_interval: Duration,
    renew_interval: Duration,
}

impl BlobPartitionManager {
    /// The safe manager for the worker `worker_id`, which must be unique among live workers even
    /// ignoring case (R6-01). Makes no request before [`PartitionManager::start`].
    pub fn safe(
        account: &Account,
        settings: &HubSettings,
        worker_id: impl Into<String>,
        env: &Env,
    ) -> Self {
        let types = (LeaseType::Intent, Some(LeaseType::Ownership));
        Self::of(types, account, settings, &worker_id.into(), env)
    }

    /// The same for the legacy manager.
    pub fn legacy(
        account: &Account,
        settings: &HubSettings,
        worker_id: impl Into<String>,
        env: &Env,
    ) -> Self {
        let types = (LeaseType::Default, None);
        Self::of(types, account, settings, &worker_id.into(), env)
    }

    fn of(
        (shares, ownerships): (LeaseType, Option<LeaseType>),
        account: &Account,
        settings: &HubSettings,
        worker_id: &str,
        env: &Env,
    ) -> Self {
        let leases = |kind| Leases {
            kind,
            blobs: account.blobs.clone(),
            env: env.clone(),
            container: settings.names().lease_container().into(),
            hub: settings.hub_name.to_lowercase().into(),
            worker_id: worker_id.into(),
            length: settings.lease_interval,
            limit: settings.lease_renew_interval,
        };
        let config = Config {
            env: env.clone(),
            queues: account.queues.clone(),
            names: settings.names(),
            shares: leases(shares),
            ownerships: ownerships.map(leases),
            lease: settings.lease_interval,
            acquire_interval: settings.lease_acquire_interval,
            renew_interval: settings.lease_renew_interval,
        };
        Self {
            ownership: Ownership::new(env.clone(), config.lease),
            config: Arc::new(config),
            background: Background::default(),
        }
    }
}

#[async_trait]
impl PartitionManager for BlobPartitionManager {
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
