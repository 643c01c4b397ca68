//! Whatever can be said in the nouns survives messages and rows.

use durabletask_azurestorage::wire::message::{self, Decoded, MessageData};
use durabletask_azurestorage::wire::{history_json, history_row, names, read_history_json};
use durabletask_core::{
    EventKind, EventRaised, ExecutionCompleted, ExecutionRewound, ExecutionStarted, FailureDetails,
    HistoryEvent, OrchestrationInstance, OrchestrationStatus, ParentInstance,
    SubOrchestrationCreated, Tags, TaskFailed, TaskMessage, TaskScheduled, Timestamp, TraceContext,
};
use proptest::option::of;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use uuid::Uuid;

/// Texts full of what encodings stumble over.
fn text() -> impl Strategy<Value = String> + Clone {
    let odd = "\0\u{8}\t\n\u{c}\r\u{1b} \"'\\/<>&^#?%{}[]:,\u{7f}\u{85}\u{a0}é\u{2028}\u{2029}\u{d7ff}\u{e000}\u{feff}\u{fffd}\u{fffe}\u{ffff}😀";
    let odd: Vec<char> = odd.chars().collect();
    let char = prop_oneof![
        any::<char>(),
        prop::sample::select(odd),
        prop::char::range('a', 'z')
    ];
    prop::collection::vec(char, 0..12).prop_map(String::from_iter)
}

fn tags() -> impl Strategy<Value = Tags> + Clone {
    prop::collection::vec((text(), text()), 0..4).prop_map(Tags::from_iter)
}

fn stamp() -> impl Strategy<Value = Timestamp> + Clone {
    prop_oneof![
        Just(Timestamp::MIN),
        (0..=Timestamp::MAX.ticks()).prop_map(Timestamp::from_ticks),
        (0_i64..250_000_000_000).prop_map(|seconds| Timestamp::from_ticks(seconds * 10_000_000)),
    ]
}

fn trace() -> impl Strategy<Value = TraceContext> + Clone {
    (of(text()), of(text()), of(text()), of(text()), of(text())).prop_map(
        |(trace_parent, trace_state, id, span_id, activity_start_time)| TraceContext {
            trace_parent,
            trace_state,
            id,
            span_id,
            activity_start_time,
        },
    )
}

fn instance() -> impl Strategy<Value = OrchestrationInstance> + Clone {
    (text(), of(text())).prop_map(|(instance_id, execution_id)| OrchestrationInstance {
        instance_id,
        execution_id,
    })
}

/// JSON texts in Newtonsoft's form.
fn json() -> impl Strategy<Value = String> + Clone {
    let texts = [
        "{}",
        r#"{"a":1.50,"b":[null,true,-1e+5,[],{}],"c":"\u2028\"\\/é😀\n"}"#,
        r#"{"":{"$type":"X, Y","n":[{"x":"\ufffe"}]}}"#,
    ];
    prop::sample::select(texts.map(str::to_owned).to_vec())
}

fn failure() -> impl Strategy<Value = FailureDetails> + Clone {
    let one = (text(), text(), of(text()), any::<bool>(), of(json())).prop_map(
        |(error_type, error_message, stack_trace, is_non_retriable, properties)| FailureDetails {
            error_type,
            error_message,
            stack_trace,
            inner: None,
            is_non_retriable,
            properties,
        },
    );
    prop::collection::vec(one, 1..4).prop_map(|chain| {
        let nest =
            |inner: Option<Box<_>>, failure| Some(Box::new(FailureDetails { inner, ..failure }));
        *chain.into_iter().fold(None, nest).unwrap()
    })
}

fn completed() -> impl Strategy<Value = ExecutionCompleted> {
    let status = prop::sample::select(OrchestrationStatus::ALL.to_vec());
    (status, of(text()), of(failure())).prop_map(|(status, result, failure)| ExecutionCompleted {
        status,
        result,
        failure,
    })
}

fn failed() -> impl Strategy<Value = Box<TaskFailed>> {
    (any::<i32>(), of(text()), of(text()), of(failure())).prop_map(
        |(task_scheduled_id, reason, details, failure)| {
            Box::new(TaskFailed {
                task_scheduled_id,
                reason,
                details,
                failure,
            })
        },
    )
}

fn started() -> impl Strategy<Value = EventKind> {
    let parent = (of(text()), instance(), any::<i32>(), of(text())).prop_map(
        |(name, instance, task_schedule_id, version)| ParentInstance {
            name,
            instance,
            task_schedule_id,
            version,
        },
    );
    let texts = (of(text()), of(text()), of(text()), of(text()));
    let rest = (
        of(tags()),
        of(trace()),
        of(stamp()),
        of(any::<i32>()),
        any::<bool>(),
    );
    (instance(), of(parent), texts, rest).prop_map(
        |(instance, parent, (name, version, input, correlation), rest)| {
            let (tags, parent_trace_context, scheduled_start_time, generation, generate_new_trace) =
                rest;
            EventKind::ExecutionStarted(Box::new(ExecutionStarted {
                instance,
                parent,
                name,
                version,
                input,
                tags,
                correlation,
                parent_trace_context,
                scheduled_start_time,
                generation,
                generate_new_trace,
            }))
        },
    )
}

fn child() -> impl Strategy<Value = EventKind> {
    let texts = (of(text()), of(text()), of(text()), of(text()), of(text()));
    (texts, of(tags())).prop_map(
        |((name, version, instance_id, input, client_span_id), tags)| {
            EventKind::SubOrchestrationCreated(Box::new(SubOrchestrationCreated {
                name,
                version,
                instance_id,
                input,
                client_span_id,
                tags,
            }))
        },
    )
}

fn three_texts() -> impl Strategy<Value = (Option<String>, Option<String>, Option<String>)> {
    (of(text()), of(text()), of(text()))
}

fn kind() -> impl Strategy<Value = EventKind> {
    let task = (three_texts(), of(trace()), of(tags()));
    let answer = (any::<i32>(), of(text()));
    prop_oneof![
        started(),
        child(),
        completed().prop_map(EventKind::ExecutionCompleted),
        completed().prop_map(EventKind::ContinueAsNew),
        failed().prop_map(EventKind::TaskFailed),
        failed().prop_map(EventKind::SubOrchestrationFailed),
        of(text()).prop_map(|input| EventKind::ExecutionTerminated { input }),
        of(text()).prop_map(|reason| EventKind::ExecutionSuspended { reason }),
        of(text()).prop_map(|reason| EventKind::ExecutionResumed { reason }),
        (three_texts(), of(trace())).prop_map(|((reason, parent, instance_id), trace)| {
            EventKind::ExecutionRewound(Box::new(ExecutionRewound {
                reason,
                parent_execution_id: parent,
                instance_id,
                parent_trace_context: trace,
            }))
        }),
        task.prop_map(|((name, version, input), parent_trace_context, tags)| {
            EventKind::TaskScheduled(Box::new(TaskScheduled {
                name,
                version,
                input,
                parent_trace_context,
                tags,
            }))
        }),
        answer
            .clone()
            .prop_map(|(task_scheduled_id, result)| EventKind::TaskCompleted {
                task_scheduled_id,
                result
            }),
        answer.prop_map(
            |(task_scheduled_id, result)| EventKind::SubOrchestrationCompleted {
                task_scheduled_id,
                result
            }
        ),
        stamp().prop_map(|fire_at| EventKind::TimerCreated { fire_at }),
        (any::<i32>(), stamp())
            .prop_map(|(timer_id, fire_at)| EventKind::TimerFired { timer_id, fire_at }),
        Just(EventKind::OrchestratorStarted),
        Just(EventKind::OrchestratorCompleted),
        three_texts().prop_map(|(instance_id, name, input)| EventKind::EventSent {
            instance_id,
            name,
            input
        }),
        (of(text()), of(text()), of(trace())).prop_map(|(name, input, parent_trace_context)| {
            EventKind::EventRaised(Box::new(EventRaised {
                name,
                input,
                parent_trace_context,
            }))
        }),
        of(text()).prop_map(|data| EventKind::Generic { data }),
        of(json()).prop_map(|state| EventKind::HistoryState { state }),
    ]
}

fn event() -> impl Strategy<Value = HistoryEvent> {
    (any::<i32>(), any::<bool>(), stamp(), kind()).prop_map(
        |(event_id, is_played, timestamp, kind)| HistoryEvent {
            event_id,
            is_played,
            timestamp,
            kind,
        },
    )
}

fn data() -> impl Strategy<Value = MessageData> {
    let envelope = (any::<u128>(), any::<i64>(), of(any::<i32>()), instance());
    (envelope, event(), instance(), of(tags())).prop_map(
        |((id, sequence_number, episode, sender), event, target, orchestration_tags)| MessageData {
            activity_id: Uuid::from_u128(id),
            message: TaskMessage {
                event,
                target,
                orchestration_tags,
            },
            sequence_number,
            episode,
            sender,
        },
    )
}

/// Whether the queue service's XML 1.0 has a form for the character.
fn is_xml(char: char) -> bool {
    matches!(char, '\t' | '\n' | '\r' | ' '..='\u{FFFD}' | '\u{10000}'..)
}

fn config() -> ProptestConfig {
    ProptestConfig {
        cases: 600,
        failure_persistence: None,
        rng_seed: RngSeed::Fixed(20_261_121),
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn any_message_survives(data in data()) {
        let json = message::encode(&data);
        prop_assert!(json.chars().all(is_xml));
        let other: serde_json::Value = serde_json::from_str(&json).unwrap();
        let target = &other["TaskMessage"]["OrchestrationInstance"]["InstanceId"];
        prop_assert_eq!(target.as_str(), Some(&*data.message.target.instance_id));
        prop_assert_eq!(message::decode(&json), Ok(Decoded::Message(Box::new(data))));
    }

    #[test]
    fn any_event_survives_its_row(event in event(), id in text(), sequence: u64) {
        let key = names::escape_key(&id);
        let row = history_row::event_to_row(&event, &key, sequence, "e");
        prop_assert_eq!(history_row::row_to_event(&row), Ok(event.clone()));
        prop_assert_eq!(names::sequence_of(&row.row_key), Some(sequence));
        prop_assert_eq!(names::unescape_key(&key), Ok(id));
        let exported = history_json(std::slice::from_ref(&event));
        let listed: serde_json::Value = serde_json::from_str(&exported).unwrap();
        prop_assert_eq!(listed[0]["EventType"].is_i64(), true);
        prop_assert_eq!(read_history_json(&exported), Ok(vec![event]));
    }

    #[test]
    fn any_blob_name_survives_its_wrapper(blob_name in text()) {
        prop_assume!(!blob_name.is_empty());
        let json = message::encode_wrapper(&blob_name);
        prop_assert_eq!(message::decode(&json), Ok(Decoded::InBlob { blob_name }));
    }
}

#[test]
fn a_long_chain_of_causes_is_cut_where_dotnet_stops_reading() {
    let chain = |length: usize| {
        let nest = |inner: Option<Box<FailureDetails>>, number: usize| {
            let failure = FailureDetails::new("T", number.to_string());
            Some(Box::new(FailureDetails {
                inner,
                properties: Some("{}".to_owned()),
                ..failure
            }))
        };
        let failure = (0..length).fold(None, nest).map(|failure| *failure);
        HistoryEvent::new(
            Timestamp::MIN,
            EventKind::TaskFailed(Box::new(TaskFailed {
                failure,
                ..TaskFailed::default()
            })),
        )
    };
    let length = |event: &HistoryEvent| match &event.kind {
        EventKind::TaskFailed(failed) => failed.failure.as_ref().unwrap().chain().count(),
        _ => 0,
    };
    let data = MessageData {
        activity_id: Uuid::nil(),
        message: TaskMessage {
            event: chain(200),
            target: OrchestrationInstance::new("i", "e"),
            orchestration_tags: None,
        },
        sequence_number: 1,
        episode: Some(1),
        sender: message::client_sender(),
    };
    let Ok(Decoded::Message(read)) = message::decode(&message::encode(&data)) else {
        panic!("unreadable");
    };
    assert_eq!(length(&read.message.event), 61);
    let row = history_row::event_to_row(&chain(200), "i", 0, "e");
    assert_eq!(length(&history_row::row_to_event(&row).unwrap()), 64);
}
