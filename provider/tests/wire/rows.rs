//! Every recorded row survives reading and writing: same columns, types and values.

use std::collections::BTreeMap;

use durabletask_azurestorage::wire::instance_row::InstanceRow;
use durabletask_azurestorage::wire::{WireError, history_row, large, names};
use durabletask_core::{EventKind, EventType, FailureDetails, HistoryEvent, Timestamp};
use durabletask_storage::{Row, Value};

use crate::golden;

/// Counts of what was checked.
#[derive(Debug, Default)]
struct Counts {
    events: BTreeMap<&'static str, usize>,
    rewound: usize,
    moved: usize,
    sentinels: usize,
    instances: usize,
}

impl Counts {
    /// Events, rewound ones among them, moved values, sentinels, Instances rows.
    fn totals(&self) -> [usize; 5] {
        let events = self.events.values().sum();
        [
            events,
            self.rewound,
            self.moved,
            self.sentinels,
            self.instances,
        ]
    }

    fn check(&mut self, table: &str, row: &Row, blobs: &BTreeMap<String, Vec<u8>>) {
        if table.ends_with("Instances") {
            check_instance(row);
            self.instances += 1;
        } else if table.ends_with("History") && history_row::is_sentinel(row) {
            check_sentinel(row);
            self.sentinels += 1;
        } else if table.ends_with("History") {
            self.check_event(row, blobs);
        }
    }

    fn check_event(&mut self, row: &Row, blobs: &BTreeMap<String, Vec<u8>>) {
        let mut full = row.clone();
        let moved = large::moved_columns(row);
        self.moved += moved.len();
        for (column, blob) in &moved {
            let content = blobs
                .iter()
                .find(|(path, _)| path.ends_with(blob))
                .unwrap()
                .1;
            full.set(*column, large::gunzip(content).unwrap());
            full.columns.remove(&format!("{column}BlobName"));
        }
        let event = history_row::row_to_event(&full).unwrap();
        let sequence = names::sequence_of(&row.row_key).unwrap();
        let execution = history_row::execution_id(row).unwrap();
        let mut written =
            history_row::event_to_row(&event, &row.partition_key, sequence, execution);
        assert_eq!(
            names::escape_key(&names::unescape_key(&row.partition_key).unwrap()),
            row.partition_key
        );
        // The random parts of the recorded names, in the order of the columns.
        let mut random = moved.iter().map(|(_, blob)| {
            let hex = blob.rsplit('-').nth(1).unwrap();
            u32::from_str_radix(hex, 16).unwrap()
        });
        let values = large::move_large_values(&mut written, || random.next().unwrap());
        let names = values
            .iter()
            .map(|value| (value.column, value.blob_name.clone()));
        let names: Vec<_> = names.collect();
        assert_eq!(names, moved);
        let mut expected = row.columns.clone();
        if event.event_type() == EventType::Generic && row.get("Data").is_none() {
            // Rewound: what the row was before stays beside, of no concern to the event.
            self.rewound += 1;
            assert!(row.get_str("Reason").unwrap().starts_with("Rewound: "));
            expected.retain(|column, _| written.columns.contains_key(column));
            assert_eq!(expected.len(), 5);
        }
        assert_eq!(written.columns, expected, "{:?}", row.keys());
        assert_eq!(written.keys(), row.keys());
        *self.events.entry(event.event_type().name()).or_default() += 1;
    }
}

fn check_sentinel(row: &Row) {
    let sentinel = history_row::row_to_sentinel(row).unwrap();
    let completed = sentinel.checkpoint_completed;
    assert_eq!(sentinel.is_checkpoint_complete, completed.is_some());
    let execution = sentinel.execution_id.unwrap();
    let written = history_row::sentinel_to_row(&row.partition_key, &execution, completed);
    assert_eq!(written.columns, row.columns);
    assert_eq!(written.keys(), row.keys());
}

fn check_instance(row: &Row) {
    let instance = InstanceRow::from_row(row).unwrap();
    let mut written = instance.to_row();
    if row.get("Tags").is_none() {
        // A merge that does not touch the tags, or a query that did not select them.
        assert_eq!(written.columns.remove("Tags"), Some(Value::from("null")));
    }
    assert_eq!(written.columns, row.columns);
    assert_eq!(written.keys(), row.keys());
}

#[test]
fn recorded_rows_keep_their_columns() {
    // covers: C03-1 C03-2 C03-3
    let mut written = Counts::default();
    let mut queried = Counts::default();
    let mut kept = Counts::default();
    for scenario in golden::scenarios() {
        let requests = golden::requests(&scenario);
        let mut blobs = BTreeMap::<String, Vec<u8>>::new();
        for request in requests
            .iter()
            .filter(|request| request.path.contains("comp=block&"))
        {
            let path = request.path.split('?').next().unwrap().to_owned();
            blobs.entry(path).or_default().extend(&request.body);
        }
        for request in &requests {
            for write in request
                .row_writes()
                .iter()
                .filter(|write| write.method != "DELETE")
            {
                written.check(&write.table, &write.row, &blobs);
            }
            // Purge selects nothing but keys.
            if request.parameter("$select") != Some("RowKey,PartitionKey,Timestamp") {
                let (table, rows) = request.queried_rows();
                for row in &rows {
                    queried.check(&table, row, &blobs);
                }
            }
        }
    }
    for scenario in golden::hubs() {
        let hub = golden::hub(&scenario);
        for (table, rows) in &hub.tables {
            for row in rows {
                kept.check(table, row, &hub.blobs);
            }
        }
    }
    println!("written {written:#?}\nqueried {queried:#?}\nkept {kept:#?}");
    // All there are: nothing is skipped in silence.
    assert_eq!(written.totals(), [1_861, 10, 6, 428, 533]);
    assert_eq!(queried.totals(), [4_515, 25, 2, 297, 369]);
    assert_eq!(kept.totals(), [1_727, 9, 3, 124, 124]);
}

fn row_with(columns: &[(&str, Value)]) -> Row {
    let mut row = Row::new("i", "0000000000000000");
    row.set("EventType", "TaskScheduled");
    for (name, value) in columns {
        row.set(*name, value.clone());
    }
    row
}

#[test]
fn reads_columns_of_other_writers() {
    // covers: C03-9
    let plain = history_row::row_to_event(&row_with(&[])).unwrap();
    let EventKind::TaskScheduled(task) = &plain.kind else {
        panic!("no task");
    };
    assert_eq!((plain.event_id, plain.timestamp), (0, Timestamp::MIN));
    assert_eq!(task.tags, None);
    let same = |columns: &[(&str, Value)]| {
        assert_eq!(
            history_row::row_to_event(&row_with(columns)).as_ref(),
            Ok(&plain)
        );
    };
    same(&[
        ("Tags", "null".into()),
        ("ParentTraceContext", " null ".into()),
    ]);
    same(&[
        ("Tags", "".into()),
        ("EventId", Value::Int64(0)),
        ("Unknown", Value::Double(0.5)),
    ]);
    same(&[
        ("EventType", "4".into()),
        ("IsPlayed", "False".into()),
        ("EventId", "0".into()),
    ]);
    // Names of earlier releases: without the random part, all in lower case.
    let old = "i/history-0000000000000000-taskscheduled-input.json.gz";
    let moved = row_with(&[("InputBlobName", old.into())]);
    assert_eq!(large::moved_columns(&moved), [("Input", old.to_owned())]);
    // Failure details before Core 3.5.0.
    let details = r#"{"ErrorType":"T","ErrorMessage":"m","StackTrace":null,"InnerFailure":null,"IsNonRetriable":false}"#;
    let columns = [
        ("EventType", "TaskFailed".into()),
        ("FailureDetails", details.into()),
    ];
    let failed = history_row::row_to_event(&row_with(&columns)).unwrap();
    let EventKind::TaskFailed(failed) = failed.kind else {
        panic!("no failure");
    };
    assert_eq!(failed.failure, Some(FailureDetails::new("T", "m")));
    for (column, value, error) in [
        (
            "EventType",
            Value::from("ExecutionFailed"),
            WireError::UnknownEventType("ExecutionFailed".into()),
        ),
        (
            "EventType",
            Value::Int32(4),
            WireError::Corrupt("EventType"),
        ),
        (
            "EventId",
            Value::Int64(1 << 40),
            WireError::Corrupt("EventId"),
        ),
        ("Name", Value::Int32(1), WireError::Corrupt("Name")),
        ("Tags", Value::from("{"), WireError::NotJson { at: 1 }),
        ("Tags", Value::from("{} {}"), WireError::NotJson { at: 3 }),
        (
            "_Timestamp",
            Value::from("soon"),
            WireError::Corrupt("_Timestamp"),
        ),
    ] {
        let read = history_row::row_to_event(&row_with(&[(column, value)]));
        assert_eq!(read, Err(error), "{column}");
    }
}

#[test]
fn moves_values_above_30720_units_only() {
    // covers: C03-5
    let row = |text: String| {
        let kind = EventKind::TaskCompleted {
            task_scheduled_id: 0,
            result: Some(text),
        };
        history_row::event_to_row(&HistoryEvent::new(Timestamp::MIN, kind), "x^0y", 10, "e")
    };
    for text in ["é".repeat(30_720), "😀".repeat(15_360), "a".repeat(30_720)] {
        let mut at_limit = row(text.clone());
        assert_eq!(large::size_estimate(&at_limit), 1024 + 61_440);
        assert!(large::move_large_values(&mut at_limit, || 0).is_empty());
        let mut above = row(text.clone() + "a");
        let moved = large::move_large_values(&mut above, || 0xAB);
        assert_eq!(moved.len(), 1);
        assert_eq!(
            moved[0].blob_name,
            "x^0y/history-000000000000000A-TaskCompleted-000000AB-Result.json.gz"
        );
        assert_eq!(large::gunzip(&moved[0].content).unwrap(), text + "a");
        assert_eq!(above.get_str("Result"), Some(""));
        assert_eq!(
            large::moved_columns(&above),
            [("Result", moved[0].blob_name.clone())]
        );
        assert_eq!(large::size_estimate(&above), 1024);
    }
    let mut instance = Row::new("i", "");
    instance.set("Name", "n".repeat(40_000));
    instance.set("Input", "i".repeat(40_000));
    let moved = large::move_large_values(&mut instance, || 1);
    assert_eq!(
        moved[0].blob_name,
        "i/history--Input-00000001-Input.json.gz"
    );
    assert_eq!(moved.len(), 1);
}
