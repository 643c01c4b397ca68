//! Which faults a run has: drawn by the seed, some left out on request, those that struck noted.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use durabletask_storage::ErrorKind;
use durabletask_storage::wrappers::Operation;

use crate::dice::Dice;
use crate::plot::is_wild;

/// A fault by its place in the seed's plan: the same in all runs of the seed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum FaultId {
    /// Of the n-th storage request of that machine.
    Request(Arc<str>, u64),
    /// The n-th incident.
    Incident(u64),
    /// The n-th change of a clock or loss of a partition.
    Unrest(u64),
    /// What befalls that machine at its n-th storage request.
    Mishap(Arc<str>, u64),
    /// A message that stays out of sight for a while: of the n-th request of that machine.
    Delay(Arc<str>, u64),
    /// Messages that come in another order: of the n-th request of that machine.
    Shuffle(Arc<str>, u64),
    /// Of the n-th operation of that client: its process dies.
    Operation(Arc<str>, u64),
}

/// What becomes of a storage request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It is answered, after these times on the way there and back.
    Answered(Duration, Duration),
    /// It has no effect, and the caller learns of that.
    Refused(ErrorKind),
    /// It takes effect after the time, and the answer is lost.
    AnswerLost(Duration),
    /// It is lost, and nobody knows.
    Lost,
    /// The caller gives up; the request takes effect after that time, long afterwards.
    LandsLate(Duration),
    /// The transport sends it twice, because the first answer was lost; the second lands after the
    /// second time.
    Twice(Duration, Duration),
}

/// What befalls a machine while it makes a storage request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mishap {
    /// It dies.
    Dies,
    /// It stands still for a time, which its clock counts or not.
    Stalls(Duration, bool),
    /// It is asked to stop, so that its partitions go to others.
    Stops,
}

/// How often each mishap happens, per so many requests.
const PER_REQUESTS: u64 = 10_000;
/// Mishaps of rough seeds.
const ROUGH: u64 = 24;
/// Longest stand-still at a request, in milliseconds.
const MAX_STALL_MS: u64 = 120_000;
/// Longest time for which a message stays out of sight, in milliseconds.
const MAX_DELAY_MS: u64 = 20_000;

/// How often requests fail, per 1000 of them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rates {
    refused: u64,
    answer_lost: u64,
    lost: u64,
    lands_late: u64,
    twice: u64,
}

/// All faults of one run.
#[derive(Debug)]
pub(crate) struct Faults {
    seed: u64,
    rates: Rates,
    /// If set, only these strike.
    only: Option<BTreeSet<FaultId>>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    struck: Vec<FaultId>,
    may_double: bool,
    is_over: bool,
}

impl Faults {
    /// The faults of that seed.
    pub(crate) fn new(seed: u64, only: Option<BTreeSet<FaultId>>) -> Self {
        let mut dice = Dice::of(seed, "rates", 0);
        // Most seeds are rough in one way and mild in the others.
        let mut rate = |rough: u64| match dice.below(4) {
            0 => 0,
            1 => rough,
            _ => rough / 4,
        };
        let rates = Rates {
            refused: rate(60),
            answer_lost: rate(60),
            lost: rate(40),
            lands_late: rate(60),
            twice: rate(60),
        };
        Self {
            seed,
            rates,
            only,
            state: Mutex::default(),
        }
    }

    /// What decides everything.
    pub(crate) fn seed(&self) -> u64 {
        self.seed
    }

    /// Whether that fault strikes; noted if it does.
    pub(crate) fn strikes(&self, fault: FaultId) -> bool {
        let mut state = self.lock();
        let strikes = !state.is_over && self.only.as_ref().is_none_or(|only| only.contains(&fault));
        if strikes {
            // Of processes; requests are looked at one by one.
            state.may_double |= !matches!(
                fault,
                FaultId::Request(..) | FaultId::Delay(..) | FaultId::Shuffle(..)
            );
            state.struck.push(fault);
        }
        strikes
    }

    /// What becomes of the `n`-th request of that machine.
    pub(crate) fn fate(&self, machine: &Arc<str>, n: u64, operation: Operation) -> Fate {
        let mut dice = Dice::of(self.seed, machine, n);
        let mut way = || match dice.below(40) {
            0 => Duration::from_millis(dice.below(2_000)),
            _ => Duration::from_micros(500 + dice.below(20_000)),
        };
        let (there, back) = (way(), way());
        let answered = Fate::Answered(there, back);
        let late = Duration::from_millis(dice.below(90_000));
        let is_get = operation == Operation::GetMessages;
        let rates = self.rates;
        let mut draw = dice.below(if is_get { 4_000 } else { 1_000 });
        let mut is_within = |rate: u64| {
            let hit = draw < rate;
            draw = draw.wrapping_sub(rate);
            hit
        };
        let fate = if is_within(rates.refused) {
            Fate::Refused(match late.as_millis() % 2 {
                0 => ErrorKind::Throttled,
                _ => ErrorKind::Unreachable,
            })
        } else if is_within(rates.answer_lost) {
            Fate::AnswerLost(there)
        } else if is_within(rates.lost) {
            Fate::Lost
        } else if is_within(rates.lands_late) {
            Fate::LandsLate(late)
        } else if is_within(rates.twice) && !is_get {
            Fate::Twice(there, late / 20)
        } else {
            return answered;
        };
        if self.strikes(FaultId::Request(machine.clone(), n)) {
            if operation == Operation::PutMessage && !matches!(fate, Fate::Refused(_)) {
                self.lock().may_double = true;
            }
            fate
        } else {
            answered
        }
    }

    /// What befalls that machine at its `n`-th request, and whether it does before the request is
    /// sent; else when it is answered. Only workers live in their machines.
    pub(crate) fn mishap(&self, machine: &Arc<str>, n: u64) -> Option<(Mishap, bool)> {
        let rough = Dice::of(self.seed, "mishaps", 0).below(4);
        if rough < 2 || !is_wild(self.seed) || !machine.starts_with('w') {
            return None;
        }
        let mut dice = Dice::of(self.seed, machine, n ^ u64::MAX);
        let rate = if rough == 2 { ROUGH } else { ROUGH / 4 };
        let mishap = match dice.below(PER_REQUESTS) / rate {
            0 => Mishap::Dies,
            1 | 2 => {
                let time = Duration::from_millis(1_000 + dice.below(MAX_STALL_MS));
                Mishap::Stalls(time, dice.below(2) == 0)
            }
            3 => Mishap::Stops,
            _ => return None,
        };
        let is_before = dice.below(2) == 0;
        self.strikes(FaultId::Mishap(machine.clone(), n))
            .then_some((mishap, is_before))
    }

    /// For how long the message of a put stays out of sight although it was to be visible.
    pub(crate) fn delay(&self, machine: &Arc<str>, n: u64) -> Option<Duration> {
        let mut dice = self.disorder(machine, n)?;
        let delay = Duration::from_millis(dice.below(MAX_DELAY_MS));
        self.strikes(FaultId::Delay(machine.clone(), n))
            .then_some(delay)
    }

    /// Puts messages that were received together into another order.
    pub(crate) fn shuffle<T>(&self, machine: &Arc<str>, n: u64, messages: &mut [T]) {
        if messages.len() < 2 {
            return;
        }
        let Some(mut dice) = self.disorder(machine, n) else {
            return;
        };
        if self.strikes(FaultId::Shuffle(machine.clone(), n)) {
            for last in (1..messages.len()).rev() {
                let other = usize::try_from(dice.below(last as u64 + 1)).unwrap_or(0);
                messages.swap(last, other);
            }
        }
    }

    /// Queues keep no order: in some seeds one message in eight is out of it.
    fn disorder(&self, machine: &Arc<str>, n: u64) -> Option<Dice> {
        let mut dice = Dice::of(self.seed, &format!("disorder of {machine}"), n);
        let is_orderly = Dice::of(self.seed, "disorder", 0).below(2) == 0;
        (is_wild(self.seed) && !is_orderly && dice.below(8) == 0).then_some(dice)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// No fault strikes any more.
    pub(crate) fn end(&self) {
        self.lock().is_over = true;
    }

    /// Whether no fault strikes any more.
    pub(crate) fn is_over(&self) -> bool {
        self.lock().is_over
    }

    /// Whether any fault struck so far.
    pub(crate) fn has_struck(&self) -> bool {
        !self.lock().struck.is_empty()
    }

    /// Whether an event may have been delivered twice: after a put of unknown outcome, a death or
    /// a stand-still.
    pub(crate) fn may_double(&self) -> bool {
        self.lock().may_double
    }

    /// What struck so far.
    pub(crate) fn struck(&self) -> Vec<FaultId> {
        self.lock().struck.clone()
    }
}
