//! The app lease: of several apps on one hub, only one processes it (chapter 01 §5.8).

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use durabletask_storage::{Account, Blobs, Env, ErrorKind, PutCondition, Result, Scope};
use futures::future::{Either, select};
use serde::{Deserialize, Serialize};

use super::background::{Background, Signal};
use super::{Ownership, PartitionHost, PartitionManager, StopError};
use crate::hub::{HubSettings, PartitionManagement};
use crate::wire::names::{HubNames, fnv1a_32};

/// Longest time for one request on the container's lease.
const REQUEST_LIMIT: Duration = Duration::from_secs(20);

/// Pause before a renewal that failed is repeated.
const REPEAT_PAUSE: Duration = Duration::from_secs(5);

/// The lease id of an app, shared by all its workers; letter case counts (R5-40).
pub fn app_lease_id(app_name: &str) -> String {
    format!("{:08x}-0000-0000-0000-000000000000", fnv1a_32(app_name))
}

/// A partition manager that runs only while this app holds the hub's app lease. Clients are never
/// gated, nor are activities: any app of the hub may be handed one (§5.2).
///
/// All workers of an app share its lease. It is never released, because another worker of the app
/// may use it; another app gets it when it has run out, 60 s after the last renewal. Price: one
/// blob read and one lease request, then one lease request every 25 s; while another app holds the
/// lease both every 5 min.
#[derive(Debug)]
pub struct AppLease {
    lease: Arc<Lease>,
    manager: Arc<dyn PartitionManager>,
    background: Background,
}

#[derive(Debug)]
struct Lease {
    env: Env,
    blobs: Arc<dyn Blobs>,
    container: String,
    info: String,
    app_name: String,
    id: String,
    length: Duration,
    renew_interval: Duration,
    acquire_interval: Duration,
    /// Only the legacy manager does not keep the workers of two apps apart by itself.
    waits_for_old_app: bool,
}

/// The app lease is ours.
struct Held {
    /// When its last request was sent, on the monotonic clock.
    since: Duration,
    /// Whether an app gave it up that may still be at work.
    from_old_app: bool,
}

/// The content of the info blob.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Info {
    /// The lease id of the app that processes the hub.
    owner_id: Option<String>,
    /// The lease id of the app that wants to.
    desired_swap_id: Option<String>,
}

/// The app lease as an onlooker sees it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AppLeaseState {
    /// The lease id ([`app_lease_id`]) of the app that processes the hub, or did so last.
    pub owner_id: Option<String>,
    /// The lease id of the app that wants to.
    pub desired_swap_id: Option<String>,
    /// Whether any app holds it now.
    pub is_held: bool,
}

/// Who holds a hub's app lease. Two blob requests.
pub(crate) async fn app_lease_state(
    account: &Account,
    settings: &HubSettings,
) -> Result<AppLeaseState> {
    let names = settings.names();
    let container = names.app_lease_container();
    let info = read_info(&account.blobs, &container, &names.app_lease_blob()).await?;
    let found = account.blobs.list_containers(&container).await?;
    let mut leased = found.iter().filter(|found| found.leased);
    Ok(AppLeaseState {
        is_held: leased.any(|found| found.name == container),
        owner_id: info.owner_id,
        desired_swap_id: info.desired_swap_id,
    })
}

/// The info blob; a missing or unreadable one says nothing.
async fn read_info(blobs: &Arc<dyn Blobs>, container: &str, info: &str) -> Result<Info> {
    let blob = blobs.get_blob(container, info).await?;
    let info = blob.and_then(|blob| serde_json::from_slice(&blob.content).ok());
    Ok(info.unwrap_or_default())
}

impl AppLease {
    /// Gates `manager` by the app lease of the app that the settings name.
    pub fn new(
        account: &Account,
        settings: &HubSettings,
        env: &Env,
        manager: Arc<dyn PartitionManager>,
    ) -> Self {
        Self {
            lease: Arc::new(Lease::new(account, settings, env)),
            manager,
            background: Background::default(),
        }
    }

    /// Asks for the hub: the app that processes it keeps it until its lease is handed over, which
    /// this app's workers do at their next attempt, at most `app_lease_acquire_interval` later.
    /// Price: one blob read and one write.
    pub async fn make_primary(&self) -> Result<()> {
        self.lease.want().await?;
        self.background.wake();
        Ok(())
    }
}

#[async_trait]
impl PartitionManager for AppLease {
    fn start(&self, scope: &Scope, host: Arc<dyn PartitionHost>) {
        let (lease, manager) = (self.lease.clone(), self.manager.clone());
        self.background.start(scope, |signal| {
            run(lease, manager, host, scope.clone(), signal)
        });
    }

    async fn stop(&self) -> std::result::Result<(), StopError> {
        self.background.stop().await
    }

    fn ownership(&self) -> Ownership {
        self.manager.ownership()
    }
}

/// Acquires, runs the manager while renewing, and starts over after a loss (R5-44).
async fn run(
    lease: Arc<Lease>,
    manager: Arc<dyn PartitionManager>,
    host: Arc<dyn PartitionHost>,
    scope: Scope,
    signal: Arc<Signal>,
) -> std::result::Result<(), StopError> {
    while !signal.is_stopping() {
        let held = match select(pin!(lease.acquire()), pin!(signal.stopped())).await {
            Either::Left((held, _)) => held,
            Either::Right(_) => return Ok(()),
        };
        let Some(held) = held else {
            lease.pause(lease.acquire_interval, &signal).await;
            continue;
        };
        tracing::info!(app = lease.app_name, "this app processes the task hub");
        if held.from_old_app && lease.waits_for_old_app {
            // Its workers learn of it at their next renewal.
            lease.pause(lease.renew_interval, &signal).await;
        }
        if signal.is_stopping() {
            return Ok(());
        }
        manager.start(&scope, host.clone());
        let is_lost = lease.keep(held.since, &signal).await;
        let stopped = manager.stop().await;
        if !is_lost {
            return stopped;
        }
        if let Err(error) = stopped {
            tracing::warn!(%error, "partitions were not released");
        }
    }
    Ok(())
}

impl Lease {
    fn new(account: &Account, settings: &HubSettings, env: &Env) -> Self {
        let names: HubNames = settings.names();
        Self {
            env: env.clone(),
            blobs: account.blobs.clone(),
            container: names.app_lease_container(),
            info: names.app_lease_blob(),
            app_name: settings.app_name.clone(),
            id: app_lease_id(&settings.app_name),
            length: settings.app_lease_interval,
            renew_interval: settings.app_lease_renew_interval,
            acquire_interval: settings.app_lease_acquire_interval,
            waits_for_old_app: settings.partition_management == PartitionManagement::Legacy,
        }
    }

    /// Sleeps, but not through a stop.
    async fn pause(&self, pause: Duration, signal: &Signal) {
        if !signal.is_stopping() {
            let _ = self.env.timeout(pause, signal.wake.notified()).await;
        }
    }

    /// One attempt to take the lease.
    async fn acquire(&self) -> Option<Held> {
        match self.env.timeout(REQUEST_LIMIT, self.try_acquire()).await {
            Ok(Ok(held)) => Some(held),
            Ok(Err(error)) if error.kind() == ErrorKind::LeaseLost => {
                let holder = self.read().await.ok().and_then(|info| info.owner_id);
                tracing::warn!(
                    app = self.app_name,
                    lease_id = self.id,
                    holder = holder.as_deref().unwrap_or("unknown"),
                    "another app processes this task hub: give both the same name, turn \
                     useAppLease off, or stop the other; trying again"
                );
                None
            }
            Ok(Err(error)) => {
                tracing::warn!(%error, "the app lease could not be acquired");
                None
            }
            Err(elapsed) => {
                tracing::warn!(%elapsed, "the app lease could not be acquired");
                None
            }
        }
    }

    async fn try_acquire(&self) -> Result<Held> {
        let info = self.read().await?;
        let is_wanted = info.desired_swap_id.as_deref() == Some(&self.id);
        let old = info.owner_id.as_deref().filter(|old| *old != self.id);
        if let Some(old) = old.filter(|_| is_wanted) {
            let changed = self
                .blobs
                .change_lease(&self.container, None, old, &self.id)
                .await;
            match changed {
                Ok(()) => return self.taken_over().await,
                // The old app's lease has run out, or a third one has it: ask as usual (R5-44).
                Err(error) if error.kind() == ErrorKind::LeaseLost => {}
                Err(error) => return Err(error),
            }
        }
        let sent = self.env.monotonic();
        let seconds = u32::try_from(self.length.as_secs()).unwrap_or(u32::MAX);
        self.blobs
            .acquire_lease(&self.container, None, &self.id, Some(seconds))
            .await?;
        if is_wanted || info.owner_id.as_deref() != Some(&self.id) {
            let wish = info.desired_swap_id.filter(|_| !is_wanted);
            self.write(wish).await;
        }
        Ok(Held {
            since: sent,
            from_old_app: false,
        })
    }

    /// What follows a change of the lease from the old app to this one: the lease has the rest of
    /// its time, so it is renewed at once.
    async fn taken_over(&self) -> Result<Held> {
        self.write(None).await;
        let sent = self.env.monotonic();
        self.blobs
            .renew_lease(&self.container, None, &self.id)
            .await?;
        Ok(Held {
            since: sent,
            from_old_app: true,
        })
    }

    /// Renews until a stop or a loss; true if the lease is lost. Unlike .NET, a lease that could
    /// not be renewed for its whole length counts as lost.
    async fn keep(&self, mut renewed: Duration, signal: &Signal) -> bool {
        let mut pause = self.renew_interval;
        loop {
            self.pause(pause, signal).await;
            if signal.is_stopping() {
                return false;
            }
            let sent = self.env.monotonic();
            let left = renewed.saturating_add(self.length).saturating_sub(sent);
            if left.is_zero() {
                tracing::warn!("the app lease has run out");
                return true;
            }
            let renew = self.blobs.renew_lease(&self.container, None, &self.id);
            let limit = REQUEST_LIMIT.min(left);
            pause = REPEAT_PAUSE.min(self.renew_interval);
            match self.env.timeout(limit, renew).await {
                Ok(Ok(())) => (renewed, pause) = (sent, self.renew_interval),
                Ok(Err(error))
                    if matches!(error.kind(), ErrorKind::LeaseLost | ErrorKind::NotFound) =>
                {
                    tracing::warn!(%error, "another app took the task hub over");
                    return true;
                }
                Ok(Err(error)) => tracing::warn!(%error, "the app lease could not be renewed"),
                Err(elapsed) => tracing::warn!(%elapsed, "the app lease could not be renewed"),
            }
        }
    }

    /// Puts this app's wish into the info blob.
    async fn want(&self) -> Result<()> {
        let info = self.read().await?;
        if info.owner_id.as_deref() == Some(&self.id) {
            return Ok(());
        }
        let info = Info {
            desired_swap_id: Some(self.id.clone()),
            ..info
        };
        self.put(&info).await
    }

    async fn read(&self) -> Result<Info> {
        read_info(&self.blobs, &self.container, &self.info).await
    }

    /// Says that the hub is this app's. The lease counts, not the blob: errors are ignored.
    async fn write(&self, desired_swap_id: Option<String>) {
        let info = Info {
            owner_id: Some(self.id.clone()),
            desired_swap_id,
        };
        if let Err(error) = self.put(&info).await {
            tracing::debug!(%error, "the app lease's info blob could not be written");
        }
    }

    async fn put(&self, info: &Info) -> Result<()> {
        // Strings always have a JSON form.
        let content = Bytes::from(serde_json::to_vec(info).unwrap_or_default());
        let (container, blob) = (&self.container, &self.info);
        let put = self
            .blobs
            .put_blob(container, blob, content, PutCondition::Always, None);
        put.await.map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The vectors of §5.8.
    #[test]
    fn an_app_has_the_lease_id_of_dotnet() {
        // covers: R5-40
        for (app, hash) in [
            ("", "811c9dc5"),
            ("myapp", "1312a8a6"),
            ("MyApp", "828293a6"),
            ("my-func-app", "32213f66"),
            ("contoso-orders", "baa362ae"),
            ("TestHubName", "c615e527"),
        ] {
            let id = format!("{hash}-0000-0000-0000-000000000000");
            assert_eq!(app_lease_id(app), id, "{app}");
        }
        let info = Info {
            owner_id: Some(app_lease_id("")),
            desired_swap_id: None,
        };
        let text = r#"{"OwnerId":"811c9dc5-0000-0000-0000-000000000000","DesiredSwapId":null}"#;
        assert_eq!(serde_json::to_string(&info).unwrap(), text);
        let empty: Info = serde_json::from_str("{}").unwrap();
        assert_eq!(empty, Info::default());
    }
}
