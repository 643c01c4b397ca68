//! Every recorded queue message survives decoding and encoding byte for byte.

use std::collections::BTreeMap;

use durabletask_azurestorage::wire::message::{self, Decoded, TextEncoding};
use durabletask_azurestorage::wire::{WireError, large, names};
use durabletask_core::EventKind;

use crate::golden;

/// Decodes and encodes; the text must not change. The type of what was in it.
fn check(text: &str) -> String {
    let json = message::from_queue_text(text).unwrap();
    let (encoded, kind) = match message::decode(&json).unwrap() {
        Decoded::Message(data) => {
            let kind = data.message.event.event_type().name().to_owned();
            (message::encode(&data), kind)
        }
        Decoded::InBlob { blob_name } => {
            (message::encode_wrapper(&blob_name), "wrapper".to_owned())
        }
    };
    assert_eq!(encoded, *json);
    let encoding = if text.starts_with('{') {
        TextEncoding::Utf8
    } else {
        TextEncoding::Base64
    };
    assert_eq!(message::to_queue_text(encoded, encoding), text);
    kind
}

#[test]
fn recorded_messages_keep_their_bytes() {
    // covers: R4-01 C02-1 C02-2 C02-3
    let mut kinds = BTreeMap::<String, usize>::new();
    let mut base64 = 0;
    let mut in_hubs = 0;
    for scenario in golden::scenarios() {
        for request in golden::requests(&scenario) {
            for text in request.message_texts() {
                base64 += usize::from(!text.starts_with('{'));
                *kinds.entry(check(&text)).or_default() += 1;
            }
        }
    }
    for scenario in golden::hubs() {
        for text in golden::hub(&scenario).queues.values().flatten() {
            check(text);
            in_hubs += 1;
        }
    }
    let total: usize = kinds.values().sum();
    println!(
        "{total} messages sent and received ({base64} in base64), {in_hubs} left in hubs: {kinds:?}"
    );
    // All there are: nothing is skipped in silence.
    assert_eq!((total, base64, in_hubs, kinds.len()), (1_672, 14, 4, 13));
}

#[test]
fn recorded_message_blobs_keep_their_bytes() {
    // covers: C02-4
    let (mut put, mut got, mut kept) = (0, 0, 0);
    for scenario in golden::scenarios() {
        // A blob is put in blocks: all but the last ten bytes, then those.
        let mut blocks = BTreeMap::<String, Vec<u8>>::new();
        for request in golden::requests(&scenario) {
            let path = request.path.split('?').next().unwrap().to_owned();
            if request.service != "blob" || !path.contains("/message-") {
                continue;
            }
            if request.path.contains("comp=block&") {
                blocks.entry(path).or_default().extend(request.body);
            } else if request.method == "GET" && request.status == 200 {
                check_blob(&path, &request.answer);
                got += 1;
            }
        }
        for (path, content) in blocks {
            check_blob(&path, &content);
            put += 1;
        }
    }
    for scenario in golden::hubs() {
        for (path, content) in golden::hub(&scenario).blobs {
            if path.contains("/message-") {
                check_blob(&path, &content);
                kept += 1;
            }
        }
    }
    assert_eq!((put, got, kept), (4, 6, 2));
}

/// The content is a large message, and its name follows from it.
fn check_blob(path: &str, content: &[u8]) {
    let json = large::gunzip(content).unwrap();
    check(&json);
    assert!(message::is_large(&json));
    let Decoded::Message(data) = message::decode(&json).unwrap() else {
        panic!("a wrapper in a blob");
    };
    assert!(
        path.ends_with(&format!("-largemessages/{}", data.blob_name())),
        "{path}"
    );
    assert_eq!(large::gunzip(&large::gzip(&json)).unwrap(), json);
    let is_start = matches!(data.message.event.kind, EventKind::ExecutionStarted(_));
    assert_eq!(large::is_start_message_blob(path), is_start);
}

#[test]
fn messages_above_46080_bytes_go_to_a_blob() {
    // covers: C02-4
    // Bytes of the JSON, not characters.
    for unit in ["a", "é", "世", "😀"] {
        let mut at_limit = unit.repeat(46_080 / unit.len());
        assert_eq!(at_limit.len(), 46_080);
        assert!(!message::is_large(&at_limit), "{unit}");
        at_limit.push('a');
        assert!(message::is_large(&at_limit), "{unit}");
    }
    // Example (s) of chapter 02 §1.9.
    let blob = "order-1001/message-8f0c1d4e3b524c379d0e6a5b1f2c7e90-ExecutionStarted.json.gz";
    assert_eq!(
        message::encode_wrapper(blob),
        format!(
            r#"{{"$type":"DurableTask.AzureStorage.MessageData","ActivityId":"00000000-0000-0000-0000-000000000000","TaskMessage":null,"CompressedBlobName":"{blob}","SequenceNumber":0,"Sender":null,"SerializableTraceContext":null}}"#
        )
    );
}

#[test]
fn recorded_targets_are_on_their_queues() {
    let mut checked = 0;
    for scenario in golden::scenarios() {
        for request in golden::requests(&scenario) {
            let Some((_, partition)) = request.path.split_once("-control-") else {
                continue;
            };
            for text in request.message_texts() {
                let json = message::from_queue_text(&text).unwrap();
                if let Decoded::Message(data) = message::decode(&json).unwrap() {
                    let found = names::partition_of(&data.message.target.instance_id, 4);
                    assert_eq!(partition[..2].parse(), Ok(found));
                    checked += 1;
                }
            }
        }
    }
    assert_eq!(checked, 1_060);
}

/// The smallest message, with a place for members of the event.
fn with_event(event: &str) -> String {
    format!(
        r#"{{"TaskMessage":{{"Event":{{{event}}},"OrchestrationInstance":{{"InstanceId":"i"}}}}}}"#
    )
}

fn read(event: &str) -> Result<EventKind, WireError> {
    match message::decode(&with_event(event))? {
        Decoded::Message(data) => Ok(data.message.event.kind),
        Decoded::InBlob { .. } => panic!("a wrapper"),
    }
}

#[test]
fn reads_what_other_versions_write() {
    // covers: R2-02 C02-11
    let done = |result: &str| {
        Ok(EventKind::TaskCompleted {
            task_scheduled_id: 3,
            result: Some(result.to_owned()),
        })
    };
    let class = "DurableTask.Core.History.TaskCompletedEvent";
    for event in [
        // 1.x: with the assembly
        format!(r#""$type":"{class}, DurableTask.Core","TaskScheduledId":3,"Result":"x""#),
        // names in another case, unknown members, any order, white space
        format!(
            r#" "result" : "x" , "new":[{{"a":[1,null]}}], "TASKSCHEDULEDID":3.0, "$type":"{class}" "#
        ),
        // without type name, number in quotes
        r#""EventType":5,"TaskScheduledId":"3","Result":"x""#.to_owned(),
        // the last one wins
        format!(r#""$type":"{class}","Result":"y","TaskScheduledId":3,"Result":"x""#),
        // members of other classes do not matter, whatever they hold
        format!(r#""$type":"{class}","Result":"x","TaskScheduledId":3,"Tags":7,"FireAt":"no""#),
    ] {
        assert_eq!(read(&event), done("x"), "{event}");
    }
    let escapes =
        r#""EventType":5,"TaskScheduledId":3,"Result":"\ud83d\ude00\u00e9\/\ud800x\udc00""#;
    assert_eq!(read(escapes), done("😀é/\u{FFFD}x\u{FFFD}"));
    let tags = r#""EventType":4,"Tags":{"$type":"System.Collections.Generic.Dictionary`2[[System.String, mscorlib],[System.String, mscorlib]], mscorlib","a":"1"},"$type":"DurableTask.Core.History.TaskScheduledEvent""#;
    let EventKind::TaskScheduled(task) = read(tags).unwrap() else {
        panic!("no task");
    };
    assert_eq!(task.tags.unwrap().iter().collect::<Vec<_>>(), [("a", "1")]);
}

#[test]
fn says_what_is_wrong() {
    let class = "DurableTask.Core.History.";
    let deep = format!(r#""EventType":5,"x":{}{}"#, "[".repeat(62), "]".repeat(62));
    let missing = WireError::MissingMember;
    for (json, error) in [
        (
            with_event(r#""__type":"TimerFiredEvent:#DurableTask.Core.History""#),
            WireError::DataContract,
        ),
        (
            with_event(&format!(r#""$type":"{class}FutureEvent, x""#)),
            WireError::UnknownEventType(format!("{class}FutureEvent")),
        ),
        (
            with_event(r#""EventType":2"#),
            WireError::UnknownEventType("2".to_owned()),
        ),
        (with_event(""), missing("$type")),
        (
            with_event(r#""EventType":5,"TaskScheduledId":{}"#),
            WireError::Corrupt("TaskScheduledId"),
        ),
        (
            with_event(r#""EventType":5,"TaskScheduledId":1.5"#),
            WireError::Corrupt("TaskScheduledId"),
        ),
        (
            with_event(r#""EventType":5,"Timestamp":"soon""#),
            WireError::Corrupt("Timestamp"),
        ),
        (with_event(&deep), WireError::TooDeep),
        ("{}".to_owned(), missing("TaskMessage")),
        ("null".to_owned(), missing("TaskMessage")),
        (
            r#"{"TaskMessage":{"Event":null}}"#.to_owned(),
            missing("Event"),
        ),
        (
            r#"{"TaskMessage":{"Event":{"EventType":12}}}"#.to_owned(),
            missing("OrchestrationInstance"),
        ),
        ("{".to_owned(), WireError::NotJson { at: 1 }),
        (
            r#"{"Sender":{"InstanceId":"\x"}}"#.to_owned(),
            WireError::NotJson { at: 25 },
        ),
        (r#"{"a":01x}"#.to_owned(), WireError::NotJson { at: 5 }),
        (
            format!("{} x", with_event(r#""EventType":12"#)),
            WireError::NotJson { at: 86 },
        ),
    ] {
        assert_eq!(message::decode(&json), Err(error), "{json}");
    }
    assert!(read(&deep.replacen('[', "", 1).replacen(']', "", 1)).is_ok());
    assert_eq!(message::from_queue_text(" {}"), Err(WireError::NotBase64));
    assert_eq!(message::from_queue_text("e30"), Err(WireError::NotBase64));
    assert_eq!(message::from_queue_text("gIA="), Err(WireError::NotUtf8));
    assert_eq!(message::from_queue_text("e30=").as_deref(), Ok("{}"));
    assert_eq!(large::gunzip(b"nonsense"), Err(WireError::NotGzip));
    let packed = large::gzip("1234");
    assert_eq!(
        large::gunzip_limited(&packed, 3),
        Err(WireError::TooLarge { limit: 3 })
    );
    assert_eq!(large::gunzip_limited(&packed, 4).as_deref(), Ok("1234"));
    let cut = &packed[..packed.len() - 3];
    assert_eq!(large::gunzip(cut), Err(WireError::NotGzip));
}
