//! The command line.

use std::str::FromStr;
use std::time::Duration;

use durabletask_azurestorage::hub::PartitionManagement;

pub(crate) const USAGE: &str = "\
usage: soak [--seconds 120] [--manager table|safe|legacy] [--workers 3] [--stop-for SECONDS]
            [--skew SECONDS] [--seed N] [--json]
       soak worker --task-hub NAME --worker-id NAME [--manager table|safe|legacy]
                   [--visibility SECONDS] [--lease SECONDS] [--polling SECONDS]
                   [--clock-off SECONDS]";

/// What to do.
#[derive(Debug)]
pub(crate) enum Arguments {
    Soak(Soak),
    Worker(WorkerArguments),
}

/// How to soak.
#[derive(Debug)]
pub(crate) struct Soak {
    /// How long there is load and somebody is killed.
    pub(crate) limit: Duration,
    /// How the workers share partitions.
    pub(crate) manager: PartitionManagement,
    /// Worker processes at the same time.
    pub(crate) workers: usize,
    /// How long a worker that is stopped instead of killed stands still.
    pub(crate) stop_for: Duration,
    /// How far the workers' clocks are off, each fast, slow or right, in seconds.
    pub(crate) skew_seconds: i64,
    pub(crate) seed: Option<u64>,
    pub(crate) json: bool,
}

/// Which worker to be.
#[derive(Debug)]
pub(crate) struct WorkerArguments {
    pub(crate) hub: String,
    pub(crate) worker_id: String,
    /// Visibility timeout of both queues.
    pub(crate) visibility: Duration,
    /// Lease of partitions; renewed, and others looked at, at a third.
    pub(crate) lease: Duration,
    /// Longest pause between two looks into an empty queue.
    pub(crate) polling: Duration,
    /// How the partitions are shared.
    pub(crate) manager: PartitionManagement,
    /// By how much the clock is fast, negative if slow, in seconds.
    pub(crate) clock_off_seconds: i64,
}

impl Arguments {
    /// Reads the arguments after the program's name; the error says what is wrong with them.
    pub(crate) fn parse(given: impl IntoIterator<Item = String>) -> Result<Self, String> {
        let mut given = given.into_iter().peekable();
        let is_worker = given.next_if(|first| first == "worker").is_some();
        let mut soak = Soak {
            limit: Duration::from_secs(120),
            manager: PartitionManagement::Table,
            workers: 3,
            stop_for: Duration::from_secs(20),
            skew_seconds: 0,
            seed: None,
            json: false,
        };
        let mut worker = WorkerArguments {
            hub: String::new(),
            worker_id: String::new(),
            visibility: Duration::from_secs(15),
            lease: Duration::from_secs(15),
            polling: Duration::from_secs(1),
            manager: PartitionManagement::Table,
            clock_off_seconds: 0,
        };
        while let Some(flag) = given.next() {
            if flag == "--json" && !is_worker {
                soak.json = true;
                continue;
            }
            let value = given
                .next()
                .ok_or_else(|| format!("{flag} needs a value"))?;
            match (is_worker, flag.as_str()) {
                (false, "--seconds") => soak.limit = seconds(&flag, &value)?,
                (false, "--manager") => soak.manager = manager(&value)?,
                (false, "--workers") => soak.workers = number(&flag, &value)?,
                (false, "--stop-for") => soak.stop_for = seconds(&flag, &value)?,
                (false, "--skew") => soak.skew_seconds = number(&flag, &value)?,
                (false, "--seed") => soak.seed = Some(number(&flag, &value)?),
                (true, "--task-hub") => worker.hub = value,
                (true, "--worker-id") => worker.worker_id = value,
                (true, "--manager") => worker.manager = manager(&value)?,
                (true, "--visibility") => worker.visibility = seconds(&flag, &value)?,
                (true, "--lease") => worker.lease = seconds(&flag, &value)?,
                (true, "--polling") => worker.polling = seconds(&flag, &value)?,
                (true, "--clock-off") => worker.clock_off_seconds = number(&flag, &value)?,
                _ => return Err(format!("there is no flag {flag} here")),
            }
        }
        if !is_worker {
            if soak.workers == 0 {
                return Err("--workers 0: somebody has to work".to_owned());
            }
            return Ok(Self::Soak(soak));
        }
        if worker.hub.is_empty() || worker.worker_id.is_empty() {
            return Err("a worker needs --task-hub and --worker-id".to_owned());
        }
        Ok(Self::Worker(worker))
    }
}

fn number<N: FromStr>(flag: &str, value: &str) -> Result<N, String> {
    let wrong = |_| format!("{flag} {value}: not a whole number");
    value.parse().map_err(wrong)
}

fn seconds(flag: &str, value: &str) -> Result<Duration, String> {
    number(flag, value).map(Duration::from_secs)
}

fn manager(name: &str) -> Result<PartitionManagement, String> {
    use PartitionManagement::{Legacy, Safe, Table};
    let known = [Table, Safe, Legacy];
    let found = known.into_iter().find(|manager| manager.name() == name);
    found.ok_or_else(|| format!("--manager {name}: it is table, safe or legacy"))
}
