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
        text: "".into(),
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
        assert!(inner.idle_bytes <= BUDGET_BYTES);
        assert_eq!(inner.sessions.len(), inner.idle.len());
        kept = inner.idle.len();
    }
    assert!(kept > 100 && kept < 1_000, "{kept} are kept");
    // The newest are; one that is larger than the budget is not, and leaves nothing behind.
    assert!(wait(&format!("instance-{}", INSTANCES - 1), 1));
    assert!(!wait("instance-0", BUDGET_BYTES));
    assert!(!wait("instance-0", 1));
}
