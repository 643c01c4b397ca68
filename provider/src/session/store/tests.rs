use std::sync::Arc;

use durabletask_core::episode::RuntimeState;
use durabletask_core::{
    BoxFuture, EpisodeResult, EpisodeWork, EventKind, EventRaised, ExecutorError, HistoryEvent,
    OrchestrationInstance, OrchestrationRun, TaskMessage, Timestamp,
};
use durabletask_storage::{Env, MessageHandle, ReceivedMessage};

use super::*;
use crate::queue::registry::HeldMessages;
use crate::session::KnownRow;
use crate::wire::message::{MessageData, client_sender};

fn event(held: &HeldMessages, name: &str) -> Inbound {
    event_for("i", held, name)
}

fn event_for(instance_id: &str, held: &HeldMessages, name: &str) -> Inbound {
    let received = ReceivedMessage {
        handle: MessageHandle {
            id: name.to_owned(),
            pop_receipt: String::new(),
        },
        inserted: Timestamp::MIN,
        next_visible: Timestamp::MIN,
        dequeue_count: 1,
        text: String::new(),
    };
    let queue: Arc<str> = "queue".into();
    let (held, _) = held
        .hold(&Env::system(), &queue, received, 60, true)
        .unwrap();
    let raised = EventRaised {
        name: Some(name.to_owned()),
        ..EventRaised::default()
    };
    let event = HistoryEvent::new(Timestamp::MIN, EventKind::EventRaised(Box::new(raised)));
    let data = MessageData {
        activity_id: uuid::Uuid::nil(),
        message: TaskMessage {
            event,
            target: OrchestrationInstance::current(instance_id),
            orchestration_tags: None,
        },
        sequence_number: 1,
        episode: None,
        sender: client_sender(),
    };
    Inbound {
        held,
        data: Arc::new(data),
        text: None,
    }
}

fn ids(work: &Work) -> Vec<&str> {
    let messages = work.batch.messages.iter();
    messages.map(|inbound| inbound.held.id.as_str()).collect()
}

#[test]
fn messages_do_not_overtake_each_other() {
    let (held, store) = (HeldMessages::new(), SessionStore::new(0));
    let partition = PartitionId::new(0);
    let route = |name| store.route(partition, event(&held, name));
    assert!(route("first"), "a driver is started");
    assert!(!route("second"), "which has not begun yet");
    assert_eq!(ids(&store.next("i").unwrap()), ["first", "second"]);

    assert!(!route("third"));
    store.release("i", None, Vec::new());
    assert!(!route("fourth"));
    assert_eq!(ids(&store.next("i").unwrap()), ["third", "fourth"]);
    store.release("i", None, Vec::new());
    assert!(store.next("i").is_none());
}

/// A suspended orchestrator of that many bytes.
struct Asleep(usize);

impl OrchestrationRun for Asleep {
    fn execute(&mut self, _: EpisodeWork) -> BoxFuture<'_, Result<EpisodeResult, ExecutorError>> {
        Box::pin(async { Ok(EpisodeResult::default()) })
    }

    fn held_bytes(&self) -> usize {
        self.0
    }
}

fn asleep(bytes: usize) -> Box<Loaded> {
    Box::new(Loaded {
        state: RuntimeState::new(),
        sentinel: None,
        row: KnownRow::Missing,
        read_row: None,
        blobs: Vec::new(),
        run: Some(Box::new(Asleep(bytes))),
        is_fresh: false,
    })
}

/// However many instances wait for something, what is kept of them fits the budget.
#[test]
fn instances_that_wait_take_no_more_than_the_budget() {
    const BUDGET_BYTES: usize = 1 << 20;
    const INSTANCES: usize = 10_000;
    let store = SessionStore::new(BUDGET_BYTES);
    let partition = PartitionId::new(0);
    let wait = |id: &str, bytes: usize| {
        let held = HeldMessages::new();
        let drives = store.route(partition, event_for(id, &held, "message"));
        assert!(drives);
        let work = store.next(id).unwrap();
        store.release(id, Some(asleep(bytes)), Vec::new());
        assert!(store.next(id).is_none() && store.park(id));
        work.loaded.is_some()
    };
    let mut kept = 0;
    for number in 0..INSTANCES {
        let id = format!("instance-{number}");
        assert!(!wait(&id, number % 5_000), "it is new");
        let inner = store.lock();
        let counted = inner
            .sessions
            .values()
            .filter_map(|session| session.loaded.as_ref());
        assert_eq!(
            inner.idle_bytes,
            counted.map(|l| l.held_bytes()).sum::<usize>()
        );
        assert!(inner.idle_bytes <= BUDGET_BYTES && inner.busy_bytes == 0);
        assert_eq!(inner.sessions.len(), inner.idle.len());
        kept = inner.idle.len();
    }
    assert!(kept > 100 && kept < 1_000, "{kept} are kept");
    // The newest are; one that is larger than the budget is not, and leaves nothing behind.
    assert!(wait(&format!("instance-{}", INSTANCES - 1), 1));
    assert!(!wait("instance-0", BUDGET_BYTES));
    assert!(!wait("instance-0", 1));
}

/// Sessions at work count too: idle ones make room for them, and without room nothing is received.
#[test]
fn busy_sessions_take_the_place_of_idle_ones() {
    const BUDGET_BYTES: usize = 10_000;
    let store = SessionStore::new(BUDGET_BYTES);
    let held = HeldMessages::new();
    let route = |id: &str| assert!(store.route(PartitionId::new(0), event_for(id, &held, id)));
    let bytes = || {
        let inner = store.lock();
        (inner.idle_bytes, inner.busy_bytes)
    };
    let park = |id: &str, loaded| {
        store.release(id, loaded, Vec::new());
        assert!(store.park(id));
    };
    for id in ["a", "b"] {
        route(id);
        drop(store.next(id));
        park(id, Some(asleep(3_000)));
    }
    let small = asleep(3_000).held_bytes();
    assert_eq!(bytes(), (2 * small, 0));
    // From memory: its bytes are busy from the moment at which it has a message.
    route("a");
    assert_eq!(bytes(), (small, small));
    let work = store.next("a").unwrap();
    // Loaded: as large as it turns out to be.
    route("c");
    drop(store.next("c"));
    store.identify("c", None, 3_000);
    assert_eq!(bytes(), (0, small + 3_000), "b made room");
    assert!(store.has_room());
    store.identify("c", None, 9_000);
    assert!(!store.has_room());
    // Its partition is lost meanwhile: it counts until its driver comes back.
    store.forget_partition(PartitionId::new(0));
    assert!(!store.has_room());
    park("c", Some(asleep(8_000)));
    assert!(store.has_room());
    park("a", work.loaded);
    assert_eq!(bytes(), (0, 0));
    // One that is larger than the budget runs, and is not kept.
    route("d");
    drop(store.next("d"));
    store.identify("d", None, 2 * BUDGET_BYTES);
    assert!(!store.has_room());
    park("d", Some(asleep(2 * BUDGET_BYTES)));
    assert_eq!(bytes(), (0, 0));
    assert!(store.lock().sessions.is_empty() && store.has_room());
}
