//! A network between one worker and its account: slow, and unreliable on demand.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use durabletask_core::Timestamp;

use super::layered::{Call, Layer, Way, wrap};
use super::{Operation, Outcome};
use crate::{Account, Env, ErrorKind, Result, ServiceClock, StorageError};

/// Ticks in a second, to which the dates of answers are cut.
const TICKS_PER_SECOND: i64 = 10_000_000;

/// Delays both ways of each call by 1 to 20 ms, loses requests and answers as it is told, and
/// dates answers, so that the account's clock is learned as over HTTP. What is lost shows as
/// [`ErrorKind::Unreachable`] or [`ErrorKind::UnknownOutcome`].
#[derive(Debug)]
pub struct Network {
    /// The caller's.
    env: Env,
    /// The service's own time.
    service: ServiceClock,
    /// What the caller learns of it.
    learned: ServiceClock,
    lost_per_mille: AtomicU32,
    is_cut: AtomicBool,
}

impl Network {
    /// The account as seen over this network by a worker with `env`, and the network's controls.
    pub fn wrap(account: Account, env: Env) -> (Account, Arc<Self>) {
        let network = Arc::new(Self {
            service: account.clock.clone(),
            learned: ServiceClock::learning(env.clone()),
            env,
            lost_per_mille: AtomicU32::new(0),
            is_cut: AtomicBool::new(false),
        });
        let account = Account {
            clock: network.learned.clone(),
            ..wrap(account, &network)
        };
        (account, network)
    }

    /// Loses this many of 1000 requests, and as many of the answers.
    pub fn lose(&self, per_mille: u32) {
        self.lost_per_mille.store(per_mille, Ordering::Relaxed);
    }

    /// Lets nothing through, or something again.
    pub fn cut(&self, is_cut: bool) {
        self.is_cut.store(is_cut, Ordering::Relaxed);
    }
}

impl Layer for Network {
    /// When the request was sent.
    type Ticket = Duration;

    async fn start(&self, _call: Call<'_>) -> Duration {
        self.env.monotonic()
    }

    async fn travel(&self, _: &Duration, operation: Operation, way: Way) -> Result<()> {
        let millis = 1 + self.env.random_u64() % 20;
        self.env.sleep(Duration::from_millis(millis)).await;
        let is_lost =
            self.env.random_u64() % 1000 < u64::from(self.lost_per_mille.load(Ordering::Relaxed));
        if !is_lost && !self.is_cut.load(Ordering::Relaxed) {
            return Ok(());
        }
        let kind = match way {
            Way::There => ErrorKind::Unreachable,
            Way::Back => ErrorKind::UnknownOutcome,
        };
        Err(StorageError::new(kind, operation.name(), "network"))
    }

    async fn end(&self, sent: Duration, outcome: Outcome) {
        let unanswered = [ErrorKind::Unreachable, ErrorKind::UnknownOutcome];
        if matches!(outcome, Outcome::Failed(kind) if unanswered.contains(&kind)) {
            return;
        }
        let ticks = self.service.now().ticks();
        let date = Timestamp::from_ticks(ticks - ticks % TICKS_PER_SECOND);
        self.learned.observe(date, sent, self.env.monotonic());
    }
}
