//! The way between a machine and the account. Requests travel on their own: they land although
//! their sender has died, sleeps, or has given up on them.

mod services;
mod timers;

use std::fmt::{self, Debug};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use durabletask_core::Timestamp;
use durabletask_storage::wrappers::Operation;
use durabletask_storage::{
    Account, Env, ErrorKind, Result, Scope, ServiceClock, StorageError, Write,
};
use futures::channel::oneshot;
use futures::future::BoxFuture;

use crate::faults::{Fate, Faults, Mishap};
use crate::history::HistoryWatch;
use crate::machine::Machine;
use crate::trace::Trace;
pub(crate) use timers::Timers;

/// Time after which a caller gives up, in seconds.
const TIME_LIMIT_SECONDS: u64 = 20;
/// Ticks in a second, to which the dates of answers are cut.
const TICKS_PER_SECOND: i64 = 10_000_000;

/// What all networks of a world share.
#[derive(Debug)]
pub(crate) struct World {
    /// Time and tasks of nobody.
    pub(crate) env: Env,
    /// Storage without faults.
    pub(crate) account: Account,
    /// What goes wrong.
    pub(crate) faults: Faults,
    /// What happens.
    pub(crate) trace: Trace,
    /// Messages that are not due yet.
    pub(crate) timers: Timers,
    /// What was ever written to histories.
    pub(crate) histories: HistoryWatch,
    /// Requests on their way.
    pub(crate) travels: Scope,
}

impl World {
    /// Looks at rows that were written.
    fn wrote(&self, table: &str, writes: &[Write]) {
        let faults = self.histories.wrote(table, writes);
        if let Some(first) = faults.first() {
            let rows = faults.len();
            self.trace.violation(format_args!(
                "history is not append-only: {rows} rows, {first}"
            ));
        }
    }
}

/// The network of one machine.
pub(crate) struct Network {
    world: Arc<World>,
    machine: Arc<Machine>,
    learned: ServiceClock,
    sequence: AtomicU64,
}

impl Debug for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Network of {:?}", self.machine)
    }
}

impl Network {
    /// The account as that machine sees it.
    pub(crate) fn account(world: &Arc<World>, machine: &Arc<Machine>) -> Account {
        let learned = ServiceClock::learning(machine.env());
        let network = Arc::new(Self {
            world: world.clone(),
            machine: machine.clone(),
            learned: learned.clone(),
            sequence: AtomicU64::new(0),
        });
        Account {
            queues: network.clone(),
            tables: network.clone(),
            blobs: network,
            clock: learned,
        }
    }

    /// Sends a request and waits for its answer. `act` is what it does to the account.
    async fn request<T: Send + 'static>(
        &self,
        operation: Operation,
        resource: &str,
        act: impl Fn(Arc<World>) -> BoxFuture<'static, Result<T>> + Send + Sync + 'static,
    ) -> Result<T> {
        let n = self.sequence.fetch_add(1, Ordering::Relaxed);
        let mishap = self.world.faults.mishap(&self.machine.name, n);
        if let Some((mishap, true)) = mishap {
            self.suffer(n, mishap).await;
        }
        let answer = self.travel(n, operation, resource, act).await;
        if let Some((mishap, false)) = mishap {
            self.suffer(n, mishap).await;
        }
        answer
    }

    /// The number of the request that is made next.
    fn next_number(&self) -> u64 {
        self.sequence.load(Ordering::Relaxed)
    }

    /// For how long a message that is sent next is out of sight.
    fn delayed(&self, wanted: Option<u32>) -> Option<u32> {
        let faults = &self.world.faults;
        let delay = faults.delay(&self.machine.name, self.next_number());
        let seconds = delay.map(|delay| u32::try_from(delay.as_secs()).unwrap_or(0));
        seconds.map_or(wanted, |seconds| {
            Some(wanted.unwrap_or(0).saturating_add(seconds))
        })
    }

    /// Lets something befall the machine, at its request of that number.
    async fn suffer(&self, n: u64, mishap: Mishap) {
        let machine = &self.machine;
        self.world
            .trace
            .step(&machine.name, format_args!("at #{n} {mishap:?}"));
        match mishap {
            Mishap::Dies => {
                machine.kill();
                std::future::pending::<()>().await;
            }
            Mishap::Stalls(time, clock_counts) => {
                machine.freeze(time, clock_counts);
                self.world.env.sleep(time).await;
            }
            Mishap::Stops => machine.ask_to_stop(),
        }
    }

    async fn travel<T: Send + 'static>(
        &self,
        n: u64,
        operation: Operation,
        resource: &str,
        act: impl Fn(Arc<World>) -> BoxFuture<'static, Result<T>> + Send + Sync + 'static,
    ) -> Result<T> {
        let fate = self.world.faults.fate(&self.machine.name, n, operation);
        let step = format!("#{n} {operation} {resource}");
        self.world
            .trace
            .step(&self.machine.name, format_args!("{step} {fate:?}"));
        let sent = self.learned_now();
        let (answer, answered) = oneshot::channel();
        let travel = Travel {
            world: self.world.clone(),
            who: self.machine.name.clone(),
            step,
            act,
        };
        if let Fate::Refused(kind) = fate {
            self.world.env.sleep(Duration::from_millis(5)).await;
            return Err(StorageError::new(kind, operation.name(), resource));
        }
        drop(self.world.travels.spawn(travel.go(fate, answer)));
        let limit = Duration::from_secs(TIME_LIMIT_SECONDS);
        let Ok(Ok(result)) = self.world.env.timeout(limit, answered).await else {
            return Err(StorageError::new(
                unanswered(operation),
                operation.name(),
                resource,
            ));
        };
        let ticks = self.world.env.now().ticks();
        let date = Timestamp::from_ticks(ticks - ticks % TICKS_PER_SECOND);
        self.learned.observe(date, sent, self.learned_now());
        result
    }

    fn container_url_of(&self, container: &str) -> String {
        self.world.account.blobs.container_url(container)
    }

    /// The machine's monotonic time.
    fn learned_now(&self) -> Duration {
        self.machine.env().monotonic()
    }
}

/// What no answer means to the caller.
fn unanswered(operation: Operation) -> ErrorKind {
    use Operation::{
        CountMessages, GetBlob, GetRow, ListBlobs, ListContainers, ListQueues, ListTables,
        PeekMessages, Query,
    };
    match operation {
        CountMessages | GetBlob | GetRow | ListBlobs | ListContainers | ListQueues | ListTables
        | PeekMessages | Query => ErrorKind::Unreachable,
        _ => ErrorKind::UnknownOutcome,
    }
}

/// A request on its way.
struct Travel<A> {
    world: Arc<World>,
    who: Arc<str>,
    step: String,
    act: A,
}

impl<T, A> Travel<A>
where
    T: Send + 'static,
    A: Fn(Arc<World>) -> BoxFuture<'static, Result<T>> + Send + Sync + 'static,
{
    async fn go(self, fate: Fate, answer: oneshot::Sender<Result<T>>) {
        let env = self.world.env.clone();
        match fate {
            Fate::Refused(_) => {}
            Fate::Answered(there, back) => {
                env.sleep(there).await;
                let result = self.land().await;
                env.sleep(back).await;
                let _ = answer.send(result);
            }
            Fate::AnswerLost(there) => {
                env.sleep(there).await;
                drop(self.land().await);
                // The connection breaks.
                drop(answer);
            }
            Fate::Lost => drop(answer),
            Fate::LandsLate(after) => {
                drop(answer);
                env.sleep(after).await;
                drop(self.land().await);
            }
            Fate::Twice(first, second) => {
                env.sleep(first).await;
                drop(self.land().await);
                env.sleep(second).await;
                let result = self.land().await.map_err(StorageError::after_unknown);
                let _ = answer.send(result);
            }
        }
    }

    async fn land(&self) -> Result<T> {
        let result = (self.act)(self.world.clone()).await;
        let outcome = match &result {
            Ok(_) => "done".to_owned(),
            Err(error) => format!("{:?}", error.kind()),
        };
        self.world
            .trace
            .step(&self.who, format_args!("  {} lands: {outcome}", self.step));
        result
    }
}
