//! The command line.

use std::time::Duration;

pub(crate) const USAGE: &str = "\
usage: soak [--seconds 120] [--seed N] [--json]
       soak worker --task-hub NAME --worker-id NAME [--visibility SECONDS] [--lease SECONDS]
                   [--polling SECONDS]";

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
}

impl Arguments {
    /// Reads the arguments after the program's name; the error says what is wrong with them.
    pub(crate) fn parse(given: impl IntoIterator<Item = String>) -> Result<Self, String> {
        let mut given = given.into_iter().peekable();
        let is_worker = given.next_if(|first| first == "worker").is_some();
        let mut soak = Soak {
            limit: Duration::from_secs(120),
            seed: None,
            json: false,
        };
        let mut worker = WorkerArguments {
            hub: String::new(),
            worker_id: String::new(),
            visibility: Duration::from_secs(15),
            lease: Duration::from_secs(15),
            polling: Duration::from_secs(1),
        };
        while let Some(flag) = given.next() {
            if flag == "--json" && !is_worker {
                soak.json = true;
                continue;
            }
            let value = given
                .next()
                .ok_or_else(|| format!("{flag} needs a value"))?;
            let number = || {
                let wrong = |_| format!("{flag} {value}: not a whole number");
                value.parse::<u64>().map_err(wrong)
            };
            match (is_worker, flag.as_str()) {
                (false, "--seconds") => soak.limit = Duration::from_secs(number()?),
                (false, "--seed") => soak.seed = Some(number()?),
                (true, "--task-hub") => worker.hub = value,
                (true, "--worker-id") => worker.worker_id = value,
                (true, "--visibility") => worker.visibility = Duration::from_secs(number()?),
                (true, "--lease") => worker.lease = Duration::from_secs(number()?),
                (true, "--polling") => worker.polling = Duration::from_secs(number()?),
                _ => return Err(format!("there is no flag {flag} here")),
            }
        }
        if !is_worker {
            return Ok(Self::Soak(soak));
        }
        if worker.hub.is_empty() || worker.worker_id.is_empty() {
            return Err("a worker needs --task-hub and --worker-id".to_owned());
        }
        Ok(Self::Worker(worker))
    }
}
