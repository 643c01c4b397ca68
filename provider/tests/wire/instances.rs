//! The builders of Instances rows make what .NET wrote in the same place.

use std::collections::BTreeMap;

use durabletask_azurestorage::wire::instance_row::{self, Checkpoint, InstanceRow};
use durabletask_azurestorage::wire::large::{self, LargeStore};
use durabletask_azurestorage::wire::message::{self, Decoded};
use durabletask_azurestorage::wire::{history_row, names};
use durabletask_core::{
    EventKind, ExecutionCompleted, ExecutionStarted, FailureDetails, HistoryEvent,
    OrchestrationInstance, OrchestrationStatus, Timestamp,
};
use durabletask_storage::{MAX_STRING_UNITS, Row};

use crate::golden::{self, Request, RowWrite};

/// What happened to an instance since its row was written last.
#[derive(Default)]
struct Instance {
    start: Option<(Timestamp, ExecutionStarted, Option<String>)>,
    new_events: Vec<(HistoryEvent, Option<String>)>,
    execution_id: String,
}

#[derive(Default)]
struct Replay {
    instances: BTreeMap<String, Instance>,
    blobs: BTreeMap<String, Vec<u8>>,
    created: usize,
    checkpoints: usize,
    rewound: usize,
}

fn store(hub: &str) -> LargeStore {
    LargeStore::new(format!(
        "http://127.0.0.1:20000/devstoreaccount1/{}",
        names::HubNames::new(hub).large_message_container()
    ))
}

impl Replay {
    fn request(&mut self, request: &Request) {
        if request.path.contains("comp=block&") {
            let path = request.path.split('?').next().unwrap();
            let name = path.split_once("-largemessages/").unwrap().1.to_owned();
            self.blobs.entry(name).or_default().extend(&request.body);
        }
        if request.method == "POST" {
            request
                .message_texts()
                .iter()
                .for_each(|text| self.sent(text));
        }
        for write in request.row_writes() {
            if write.method == "DELETE" {
                continue;
            }
            if write.table.ends_with("History") {
                self.history(&write.row);
            } else if write.table.ends_with("Instances") {
                self.instance(&write, request.status);
            }
        }
    }

    fn sent(&mut self, text: &str) {
        let json = message::from_queue_text(text).unwrap();
        let (data, blob) = match message::decode(&json).unwrap() {
            Decoded::Message(data) => (data, None),
            Decoded::InBlob { blob_name } => {
                let json = large::gunzip(&self.blobs[&blob_name]).unwrap();
                match message::decode(&json).unwrap() {
                    Decoded::Message(data) => (data, Some(blob_name)),
                    Decoded::InBlob { .. } => panic!("a wrapper in a blob"),
                }
            }
        };
        if let EventKind::ExecutionStarted(started) = data.message.event.kind {
            let instance = self
                .instances
                .entry(data.message.target.instance_id)
                .or_default();
            instance.start = Some((data.message.event.timestamp, *started, blob));
        }
    }

    fn history(&mut self, row: &Row) {
        let id = names::unescape_key(&row.partition_key).unwrap();
        let instance = self.instances.entry(id).or_default();
        if history_row::is_sentinel(row) {
            history_row::execution_id(row)
                .unwrap()
                .clone_into(&mut instance.execution_id);
            return;
        }
        let event = history_row::row_to_event(row).unwrap();
        // A rewind rewrites rows in place; those are no new events.
        if row
            .get_str("Reason")
            .is_none_or(|reason| !reason.starts_with("Rewound: "))
        {
            let blob = large::moved_columns(row).pop().map(|(_, blob)| blob);
            instance.new_events.push((event, blob));
        }
    }

    fn instance(&mut self, write: &RowWrite, status: u64) {
        assert!(status < 300, "an Instances write failed");
        let recorded = &write.row;
        let parsed = InstanceRow::from_row(recorded).unwrap();
        let instance = self.instances.get_mut(&parsed.instance_id).unwrap();
        let hub = parsed.task_hub_name.as_deref().unwrap_or_default();
        let made = if write.method == "POST"
            && parsed.runtime_status == Some(OrchestrationStatus::Pending)
        {
            let (created, start, blob) = instance.start.clone().unwrap();
            let url = blob.map(|blob| store(hub).url(&blob));
            self.created += 1;
            let now = parsed.last_updated_time.unwrap();
            instance_row::creation_row(&start, created, url, hub, now)
        } else if hub.is_empty() {
            self.rewound += 1;
            instance_row::rewind_row(&parsed.instance_id, parsed.last_updated_time.unwrap())
        } else {
            self.checkpoints += 1;
            let checkpoint = Checkpoint {
                instance_id: &parsed.instance_id,
                execution_id: &instance.execution_id,
                custom_status: parsed.custom_status(),
                hub,
                now: parsed.completed_time.unwrap_or_default(),
                replaces_blobs: false,
            };
            let events = std::mem::take(&mut instance.new_events);
            let events = events.iter();
            let events =
                events.map(|(event, blob)| (event, blob.as_ref().map(|blob| store(hub).url(blob))));
            instance_row::checkpoint_row(&checkpoint, events)
        };
        assert_eq!(made.columns, recorded.columns, "{:?}", recorded.keys());
        assert_eq!(made.keys(), recorded.keys());
    }
}

#[test]
fn recorded_writes_are_made_again() {
    let (mut created, mut checkpoints, mut rewound) = (0, 0, 0);
    for scenario in golden::scenarios() {
        let mut replay = Replay::default();
        for request in golden::requests(&scenario) {
            replay.request(&request);
        }
        created += replay.created;
        checkpoints += replay.checkpoints;
        rewound += replay.rewound;
    }
    // All there are: nothing is skipped in silence.
    assert_eq!((created, checkpoints, rewound), (103, 427, 3));
}

#[test]
fn failure_text_fits_its_column() {
    let failed = |message: String| {
        let kind = EventKind::ExecutionCompleted(ExecutionCompleted {
            status: OrchestrationStatus::Failed,
            result: Some("short".to_owned()),
            failure: Some(FailureDetails::new("T", message)),
        });
        HistoryEvent::new(Timestamp::UNIX_EPOCH, kind)
    };
    let checkpoint = Checkpoint {
        instance_id: "a/b",
        execution_id: "e",
        custom_status: None,
        hub: "Hub",
        now: Timestamp::UNIX_EPOCH,
        replaces_blobs: false,
    };
    let output = |message: String| {
        let event = failed(message);
        let row = instance_row::checkpoint_row(&checkpoint, [(&event, None)]);
        assert_eq!(row.partition_key, "a^0b");
        row.get_str("Output").unwrap().to_owned()
    };
    assert_eq!(output("boom".to_owned()), "T: boom");
    let fits = "x".repeat(MAX_STRING_UNITS - 3);
    assert_eq!(output(fits.clone()), format!("T: {fits}"));
    assert_eq!(output(format!("{fits}y")), format!("T: {fits}"));
    let pairs = output("😀".repeat(MAX_STRING_UNITS));
    assert_eq!(pairs.encode_utf16().count(), MAX_STRING_UNITS - 1);
}

#[test]
fn replaced_input_leaves_no_url_behind() {
    let started = ExecutionStarted {
        instance: OrchestrationInstance::new("i", "e"),
        ..ExecutionStarted::default()
    };
    let start = HistoryEvent::new(
        Timestamp::MIN,
        EventKind::ExecutionStarted(Box::new(started)),
    );
    let row = |replaces_blobs| {
        let checkpoint = Checkpoint {
            instance_id: "i",
            execution_id: "e",
            custom_status: Some("{}"),
            hub: "Hub",
            now: Timestamp::MIN,
            replaces_blobs,
        };
        instance_row::checkpoint_row(&checkpoint, [(&start, None)])
    };
    assert_eq!(row(false).get_str("Input"), None);
    assert_eq!(row(true).get_str("Input"), Some(""));
}

#[test]
fn large_reason_of_a_termination_becomes_a_url() {
    let reason = Some("enough".repeat(10_000));
    let mut ended = instance_row::termination_row("i", Timestamp::MIN, reason, Timestamp::MAX);
    let moved = large::move_large_values(&mut ended, || 7);
    store("Hub").refer_by_url(&mut ended, &moved);
    assert_eq!(
        ended.get_str("Output"),
        Some(
            "http://127.0.0.1:20000/devstoreaccount1/hub-largemessages/i/history--Output-00000007-Output.json.gz"
        )
    );
    assert_eq!(
        ended.columns.keys().collect::<Vec<_>>(),
        [
            "CompletedTime",
            "LastUpdatedTime",
            "Output",
            "RuntimeStatus"
        ]
    );
}
