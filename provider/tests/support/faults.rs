//! What one worker's storage does wrong, and what it was asked, in order.

use std::fmt;
use std::sync::Mutex;
use std::time::Duration;

use durabletask_storage::wrappers::{
    Arguments, Fate, Faults, Operation, Outcome, SeenCall, Trouble,
};
use durabletask_storage::{Env, ErrorKind};

/// A call as it was seen.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) sequence: u64,
    pub(crate) operation: Operation,
    pub(crate) resource: String,
    pub(crate) arguments: Arguments,
    /// Virtual time at which it was made.
    pub(crate) began: Duration,
    /// Position among all beginnings and ends.
    pub(crate) from: usize,
    /// The same for its end; `None` while it is under way.
    pub(crate) to: Option<usize>,
    pub(crate) outcome: Option<Outcome>,
}

/// Calls that take longer on their way back.
type Slow = Box<dyn Fn(&SeenCall<'_>) -> Duration + Send>;
type Decide = Box<dyn FnMut(&SeenCall<'_>) -> Option<Trouble> + Send>;

/// The faults of one worker: none until a test sets them.
pub(crate) struct TestFaults {
    env: Env,
    decide: Mutex<Option<Decide>>,
    slow: Mutex<Option<Slow>>,
    /// Longest way of a call, one direction, in milliseconds.
    max_way_ms: u64,
    log: Mutex<Log>,
}

#[derive(Default)]
struct Log {
    calls: Vec<Seen>,
    marks: usize,
}

impl fmt::Debug for TestFaults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TestFaults")
    }
}

impl TestFaults {
    pub(crate) fn new(env: &Env, max_way_ms: u64) -> Self {
        Self {
            env: env.clone(),
            decide: Mutex::default(),
            slow: Mutex::default(),
            max_way_ms,
            log: Mutex::default(),
        }
    }

    /// Lets `decide` choose what goes wrong from now on.
    pub(crate) fn set(
        &self,
        decide: impl FnMut(&SeenCall<'_>) -> Option<Trouble> + Send + 'static,
    ) {
        *self.decide.lock().unwrap() = Some(Box::new(decide));
    }

    /// Makes answers take that much longer.
    pub(crate) fn slow_down(&self, by: impl Fn(&SeenCall<'_>) -> Duration + Send + 'static) {
        *self.slow.lock().unwrap() = Some(Box::new(by));
    }

    /// The `n`-th call (from 0) that `is_meant` fails so; the others pass.
    pub(crate) fn fail_nth(
        &self,
        n: usize,
        trouble: Trouble,
        is_meant: impl Fn(&SeenCall<'_>) -> bool + Send + 'static,
    ) {
        let mut count = 0;
        self.set(move |call| {
            let hit = is_meant(call) && {
                count += 1;
                count == n + 1
            };
            hit.then_some(trouble)
        });
    }

    /// Nothing gets through any more.
    pub(crate) fn cut(&self) {
        self.set(|_| Some(Trouble::Before(ErrorKind::Unreachable)));
    }

    /// All is well again.
    pub(crate) fn clear(&self) {
        *self.decide.lock().unwrap() = None;
    }

    /// All calls so far.
    pub(crate) fn calls(&self) -> Vec<Seen> {
        self.log.lock().unwrap().calls.clone()
    }

    /// Calls of that kind on resources that end so.
    pub(crate) fn count(&self, operation: Operation, ending: &str) -> usize {
        let log = self.log.lock().unwrap();
        let is_meant =
            |call: &&Seen| call.operation == operation && call.resource.ends_with(ending);
        log.calls.iter().filter(is_meant).count()
    }
}

impl Faults for TestFaults {
    fn fate(&self, call: &SeenCall<'_>) -> Fate {
        let way = || match self.max_way_ms {
            0 => Duration::ZERO,
            max => Duration::from_millis(1 + self.env.random_u64() % max),
        };
        let trouble = match self.decide.lock().unwrap().as_mut() {
            Some(decide) => decide(call).unwrap_or_default(),
            None => Trouble::None,
        };
        let slow = self.slow.lock().unwrap();
        let longer = slow.as_ref().map_or(Duration::ZERO, |by| by(call));
        drop(slow);
        let mut log = self.log.lock().unwrap();
        log.marks += 1;
        let from = log.marks;
        log.calls.push(Seen {
            sequence: call.sequence,
            operation: call.operation,
            resource: call.resource.to_owned(),
            arguments: call.arguments(),
            began: self.env.monotonic(),
            from,
            to: None,
            outcome: None,
        });
        Fate {
            way_there: way(),
            way_back: way() + longer,
            trouble,
        }
    }

    fn done(&self, sequence: u64, outcome: Outcome) {
        let mut log = self.log.lock().unwrap();
        log.marks += 1;
        let to = log.marks;
        let index = usize::try_from(sequence).unwrap();
        log.calls[index].to = Some(to);
        log.calls[index].outcome = Some(outcome);
    }
}
