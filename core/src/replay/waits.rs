//! Waits for external events (chapter 04 §2.5).

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::WaitId;
use crate::text::fold;
use crate::{EventKind, HistoryEvent, Timestamp};

/// An external event that was taken out of the buffer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceivedEvent {
    /// Its name as sent.
    pub name: String,
    /// Its payload.
    pub input: Option<String>,
    /// When it was sent.
    pub timestamp: Timestamp,
}

/// An event with its place in the order of arrival.
#[derive(Debug)]
struct Arrived {
    order: u64,
    event: Arc<HistoryEvent>,
}

/// Events and waits of one name. One of the two is always empty.
#[derive(Debug, Default)]
struct Lane {
    /// Newest last. May hold waits that were given up, which the lane forgets when it meets them:
    /// giving up ten thousand waits must not search for each.
    waiting: Vec<WaitId>,
    /// Oldest first.
    buffered: VecDeque<Arrived>,
}

/// All waits of an execution: per name the newest wait gets the next event, the oldest event goes
/// to the next wait.
#[derive(Debug, Default)]
pub(super) struct Waits {
    next_wait: u64,
    arrivals: u64,
    lanes: BTreeMap<String, Lane>,
    /// Waits without event, with the key of their lane.
    waiting: BTreeMap<WaitId, String>,
    /// Waits with an event that user code has not taken yet.
    handed: BTreeMap<WaitId, Arrived>,
}

impl Waits {
    pub(super) fn wait(&mut self, name: &str) -> WaitId {
        let wait = WaitId(self.next_wait);
        self.next_wait += 1;
        let key = fold(name);
        let lane = self.lanes.entry(key.clone().into_owned()).or_default();
        if let Some(arrived) = lane.buffered.pop_front() {
            self.handed.insert(wait, arrived);
        } else {
            lane.waiting.push(wait);
            self.waiting.insert(wait, key.clone().into_owned());
        }
        self.tidy(&key);
        wait
    }

    /// Takes in an event; the wait that it is for, if there is one.
    pub(super) fn arrive(&mut self, event: Arc<HistoryEvent>) -> Option<WaitId> {
        let order = self.arrivals;
        self.arrivals += 1;
        self.deliver(Arrived { order, event })
    }

    pub(super) fn take(&mut self, wait: WaitId) -> Option<Arc<HistoryEvent>> {
        self.handed.remove(&wait).map(|arrived| arrived.event)
    }

    /// Gives up a wait; another wait that inherits the event it had not taken.
    pub(super) fn cancel(&mut self, wait: WaitId) -> Option<WaitId> {
        if let Some(arrived) = self.handed.remove(&wait) {
            return self.deliver(arrived);
        }
        if let Some(key) = self.waiting.remove(&wait) {
            self.tidy(&key);
        }
        None
    }

    /// Takes everything buffered, in order of arrival. What a wait holds stays with it.
    pub(super) fn take_all(&mut self) -> Vec<ReceivedEvent> {
        let mut arrived = self.drain_buffers();
        arrived.sort_by_key(|arrived| arrived.order);
        arrived
            .into_iter()
            .map(|Arrived { event, .. }| ReceivedEvent {
                name: name_of(&event).to_owned(),
                input: input_of(&event),
                timestamp: event.timestamp,
            })
            .collect()
    }

    /// Takes every event that user code never took, in order of arrival.
    pub(super) fn unused(&mut self) -> Vec<Arc<HistoryEvent>> {
        let mut arrived = self.drain_buffers();
        arrived.extend(std::mem::take(&mut self.handed).into_values());
        arrived.sort_by_key(|arrived| arrived.order);
        arrived.into_iter().map(|arrived| arrived.event).collect()
    }

    fn drain_buffers(&mut self) -> Vec<Arrived> {
        let mut arrived = Vec::new();
        self.lanes.retain(|_, lane| {
            arrived.extend(lane.buffered.drain(..));
            !lane.waiting.is_empty()
        });
        arrived
    }

    fn deliver(&mut self, arrived: Arrived) -> Option<WaitId> {
        let key = fold(name_of(&arrived.event)).into_owned();
        let lane = self.lanes.entry(key.clone()).or_default();
        let waiter = std::iter::from_fn(|| lane.waiting.pop())
            .find(|wait| self.waiting.remove(wait).is_some());
        if let Some(wait) = waiter {
            self.handed.insert(wait, arrived);
        } else {
            let place = lane
                .buffered
                .partition_point(|other| other.order < arrived.order);
            lane.buffered.insert(place, arrived);
        }
        self.tidy(&key);
        waiter
    }

    /// Forgets waits that were given up, from the newest, and lanes that hold nothing.
    fn tidy(&mut self, key: &str) {
        if let Some(lane) = self.lanes.get_mut(key) {
            while lane
                .waiting
                .pop_if(|wait| !self.waiting.contains_key(wait))
                .is_some()
            {}
            if lane.waiting.is_empty() && lane.buffered.is_empty() {
                self.lanes.remove(key);
            }
        }
    }
}

fn name_of(event: &HistoryEvent) -> &str {
    match &event.kind {
        EventKind::EventRaised(raised) => raised.name.as_deref().unwrap_or_default(),
        _ => "",
    }
}

pub(super) fn input_of(event: &HistoryEvent) -> Option<String> {
    match &event.kind {
        EventKind::EventRaised(raised) => raised.input.clone(),
        _ => None,
    }
}
