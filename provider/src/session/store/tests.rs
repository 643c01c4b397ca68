use std::sync::Arc;

use durabletask_core::{
    EventKind, EventRaised, HistoryEvent, OrchestrationInstance, TaskMessage, Timestamp,
};
use durabletask_storage::{Env, MessageHandle, ReceivedMessage};

use super::*;
use crate::queue::held::HeldMessages;
use crate::wire::message::{MessageData, client_sender};

fn event(held: &HeldMessages, name: &str) -> Inbound {
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
            target: OrchestrationInstance::current("i"),
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
