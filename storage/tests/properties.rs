//! Random inputs against models that are too simple to be wrong.

#![allow(clippy::unwrap_used, reason = "a test")]

use std::cmp::Ordering;
use std::time::Duration;

use durabletask_storage::embedded::{EmbeddedStore, fuzz_filter};
use durabletask_storage::{
    Account, ErrorKind, MessageHandle, Query, Row, StorageError, Value, VirtualEnv, Write,
};
use proptest::collection::vec;
use proptest::prelude::*;

const KEYS: [&str; 6] = ["", "a", "a'b", "b", "🦀", "\u{e000}"];
const QUEUE: &str = "queue";
const OPERATORS: [&str; 6] = ["eq", "ne", "gt", "ge", "lt", "le"];

#[derive(Debug, Clone)]
enum Expression {
    Compare(&'static str, usize, Literal),
    Not(Box<Expression>),
    And(Box<Expression>, Box<Expression>),
    Or(Box<Expression>, Box<Expression>),
}

#[derive(Debug, Clone)]
enum Literal {
    Text(&'static str),
    Number(i32),
}

fn expression() -> impl Strategy<Value = Expression> {
    let literal = prop_oneof![
        3 => (0..KEYS.len()).prop_map(|index| Literal::Text(KEYS[index])),
        1 => (-1..3).prop_map(Literal::Number),
    ];
    let column = prop_oneof![
        Just("PartitionKey"),
        Just("RowKey"),
        Just("Text"),
        Just("Number"),
        Just("Missing"),
    ];
    let compare = (column, 0..OPERATORS.len(), literal)
        .prop_map(|(column, operator, literal)| Expression::Compare(column, operator, literal));
    compare.prop_recursive(4, 24, 2, |inner| {
        let two = || {
            (
                inner.clone().prop_map(Box::new),
                inner.clone().prop_map(Box::new),
            )
        };
        prop_oneof![
            1 => inner.clone().prop_map(|inner| Expression::Not(Box::new(inner))),
            3 => two().prop_map(|(left, right)| Expression::And(left, right)),
            2 => two().prop_map(|(left, right)| Expression::Or(left, right)),
        ]
    })
}

impl Expression {
    /// Filter text with as few parentheses as the grammar allows; `strength` is that of the
    /// operator around: 0 none, 1 `or`, 2 `and`, 3 `not`.
    fn text(&self, strength: u8) -> String {
        let (own, text) = match self {
            Self::Compare(column, operator, literal) => {
                let literal = match literal {
                    Literal::Text(text) => format!("'{}'", text.replace('\'', "''")),
                    Literal::Number(number) => number.to_string(),
                };
                (4, format!("{column} {} {literal}", OPERATORS[*operator]))
            }
            Self::Not(inner) => (3, format!("not {}", inner.text(3))),
            Self::And(left, right) => (2, format!("{} and {}", left.text(2), right.text(2))),
            Self::Or(left, right) => (1, format!("{} or {}", left.text(1), right.text(1))),
        };
        if own < strength {
            format!("({text})")
        } else {
            text
        }
    }

    fn holds(&self, row: &Row) -> bool {
        match self {
            Self::Compare(column, operator, literal) => {
                order(row, column, literal).is_some_and(|order| match OPERATORS[*operator] {
                    "eq" => order == Ordering::Equal,
                    "ne" => order != Ordering::Equal,
                    "gt" => order == Ordering::Greater,
                    "ge" => order != Ordering::Less,
                    "lt" => order == Ordering::Less,
                    _ => order != Ordering::Greater,
                })
            }
            Self::Not(inner) => !inner.holds(row),
            Self::And(left, right) => left.holds(row) && right.holds(row),
            Self::Or(left, right) => left.holds(row) || right.holds(row),
        }
    }
}

fn order(row: &Row, column: &str, literal: &Literal) -> Option<Ordering> {
    let text = match column {
        "PartitionKey" => Some(row.partition_key.as_str()),
        "RowKey" => Some(row.row_key.as_str()),
        _ => row.get_str(column),
    };
    match (text, row.get(column), literal) {
        (Some(text), _, Literal::Text(literal)) => {
            Some(text.encode_utf16().cmp(literal.encode_utf16()))
        }
        (None, Some(Value::Int32(number)), Literal::Number(literal)) => Some(number.cmp(literal)),
        _ => None,
    }
}

/// Every pair of keys, with columns that depend on them.
fn sample_rows() -> Vec<Row> {
    let mut rows = Vec::new();
    for (p, partition) in KEYS.iter().enumerate() {
        for (r, key) in KEYS.iter().enumerate() {
            let mut row = Row::new(*partition, *key);
            if (p + r) % 3 != 0 {
                row.set("Text", KEYS[(p + 2 * r) % KEYS.len()]);
            }
            if (p + r) % 4 != 1 {
                row.set("Number", i32::try_from((p * r) % 3).unwrap());
            }
            rows.push(row);
        }
    }
    rows
}

proptest! {
    #[test]
    fn any_bytes_are_read_as_a_filter_or_refused(bytes in vec(any::<u8>(), 0..80)) {
        fuzz_filter(&bytes);
    }

    #[test]
    fn anything_like_a_filter_is_read_or_refused(
        words in vec(
            prop_oneof![
                "[a-z]{1,3}", "'[a-z']{0,3}'", "-?[0-9.eL]{1,5}", "[()]", "datetime'[0-9TZ:-]*'",
                Just("and".to_owned()), Just("or".to_owned()), Just("not".to_owned()),
                Just("eq".to_owned()), Just("Number".to_owned()),
            ],
            0..30,
        ),
    ) {
        fuzz_filter(words.join(" ").as_bytes());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn queries_agree_with_a_naive_evaluator(
        filters in vec(expression(), 8),
        top in prop_oneof![Just(None), (1..7_u32).prop_map(Some)],
    ) {
        let time = VirtualEnv::new(1);
        let tables = EmbeddedStore::in_memory(time.env()).unwrap().account().tables;
        let mut rows = sample_rows();
        time.block_on(async {
            tables.create_table("Sample").await.unwrap();
            for row in &rows {
                tables.write("Sample", Write::Insert(row.clone())).await.unwrap();
            }
        }).unwrap();
        let units = |key: &str| key.encode_utf16().collect::<Vec<_>>();
        rows.sort_by_key(|row| (units(&row.partition_key), units(&row.row_key)));
        for filter in filters {
            let text = filter.text(0);
            let mut query = Query { filter: Some(text.clone()), top, ..Query::default() };
            let mut found = Vec::new();
            loop {
                let page = time.block_on(tables.query("Sample", &query)).unwrap().unwrap();
                found.extend(page.rows.into_iter().map(|row| (row.partition_key, row.row_key)));
                query.continuation = page.continuation;
                if query.continuation.is_none() {
                    break;
                }
            }
            let expected: Vec<_> = rows
                .iter()
                .filter(|row| filter.holds(row))
                .map(|row| (row.partition_key.clone(), row.row_key.clone()))
                .collect();
            prop_assert_eq!(found, expected, "{}", text);
        }
    }
}

#[derive(Debug, Clone)]
enum Step {
    Put {
        delay_s: u32,
    },
    Get {
        count: u32,
        seconds: u32,
    },
    Peek {
        count: u32,
    },
    /// With one of the handles given out so far.
    Update {
        handle: usize,
        seconds: u32,
        new_text: bool,
    },
    Delete {
        handle: usize,
    },
    Wait {
        millis: u64,
    },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (0..3_u32).prop_map(|delay_s| Step::Put { delay_s }),
        4 => (1..4_u32, 1..4_u32).prop_map(|(count, seconds)| Step::Get { count, seconds }),
        1 => (1..9_u32).prop_map(|count| Step::Peek { count }),
        2 => (any::<usize>(), 0..3_u32, any::<bool>()).prop_map(|(handle, seconds, new_text)| {
            Step::Update { handle, seconds, new_text }
        }),
        3 => any::<usize>().prop_map(|handle| Step::Delete { handle }),
        3 => (0..2_500_u64).prop_map(|millis| Step::Wait { millis }),
    ]
}

/// A queue as a plain list.
#[derive(Debug, Default)]
struct Model {
    /// In the order of insertion.
    messages: Vec<ModelMessage>,
    /// Handles given out, with the message's number.
    handles: Vec<(usize, MessageHandle)>,
}

#[derive(Debug)]
struct ModelMessage {
    number: usize,
    text: String,
    visible_at: Duration,
    dequeue_count: u32,
    /// The only handle that works: an index into `handles`.
    current: usize,
}

impl Model {
    fn give_out(&mut self, number: usize, handle: MessageHandle) -> usize {
        self.handles.push((number, handle));
        self.handles.len() - 1
    }

    /// Indexes of visible messages, as they are handed out.
    fn visible(&self, now: Duration, count: u32) -> Vec<usize> {
        let mut visible: Vec<usize> = (0..self.messages.len())
            .filter(|&index| self.messages[index].visible_at <= now)
            .collect();
        visible.sort_by_key(|&index| self.messages[index].visible_at);
        visible.truncate(count as usize);
        visible
    }

    /// What using a handle leads to: the index of its message, or the refusal.
    fn held(&self, handle: usize) -> Result<usize, ErrorKind> {
        let number = self.handles[handle].0;
        let index = self.messages.iter().position(|m| m.number == number);
        let index = index.ok_or(ErrorKind::NotFound)?;
        if self.messages[index].current == handle {
            Ok(index)
        } else {
            Err(ErrorKind::PopReceiptMismatch)
        }
    }

    async fn follow(&mut self, account: &Account, time: &VirtualEnv, number: usize, step: Step) {
        let queues = &account.queues;
        let now = time.elapsed();
        let later = |seconds: u32| now + Duration::from_secs(seconds.into());
        match step {
            Step::Wait { millis } => time.env().sleep(Duration::from_millis(millis)).await,
            Step::Put { delay_s } => {
                let text = format!("text {number}");
                let sent = queues.put_message(QUEUE, &text, Some(delay_s)).await;
                let current = self.give_out(number, sent.unwrap().handle);
                self.messages.push(ModelMessage {
                    number,
                    text,
                    visible_at: later(delay_s),
                    dequeue_count: 0,
                    current,
                });
            }
            Step::Peek { count } => {
                let seen = queues.peek_messages(QUEUE, count).await.unwrap();
                let seen = seen.into_iter().map(|m| (m.text, m.dequeue_count));
                let expected = self.visible(now, count).into_iter().map(|index| {
                    let message = &self.messages[index];
                    (message.text.clone(), message.dequeue_count)
                });
                assert!(seen.eq(expected));
            }
            Step::Get { count, seconds } => {
                let received = queues.get_messages(QUEUE, count, seconds).await.unwrap();
                let expected = self.visible(now, count);
                assert_eq!(received.len(), expected.len());
                for (message, index) in received.into_iter().zip(expected) {
                    let current = self.give_out(self.messages[index].number, message.handle);
                    let model = &mut self.messages[index];
                    model.dequeue_count += 1;
                    model.visible_at = later(seconds);
                    model.current = current;
                    assert_eq!(message.text, model.text);
                    assert_eq!(message.dequeue_count, model.dequeue_count);
                }
            }
            Step::Update {
                handle,
                seconds,
                new_text,
            } if !self.handles.is_empty() => {
                let handle = handle % self.handles.len();
                let text = new_text.then(|| format!("new text {number}"));
                let given = self.handles[handle].1.clone();
                let updated = queues
                    .update_message(QUEUE, &given, text.as_deref(), seconds)
                    .await;
                let expected = self.held(handle);
                assert_eq!(outcome(&updated), expected.map(drop));
                if let (Ok(updated), Ok(index)) = (updated, expected) {
                    let current = self.give_out(self.messages[index].number, updated.handle);
                    let model = &mut self.messages[index];
                    model.text = text.unwrap_or_else(|| model.text.clone());
                    model.visible_at = later(seconds);
                    model.current = current;
                }
            }
            Step::Delete { handle } if !self.handles.is_empty() => {
                let handle = handle % self.handles.len();
                let deleted = queues.delete_message(QUEUE, &self.handles[handle].1).await;
                let expected = self.held(handle);
                assert_eq!(outcome(&deleted), expected.map(drop));
                if let Ok(index) = expected {
                    self.messages.remove(index);
                }
            }
            Step::Update { .. } | Step::Delete { .. } => {}
        }
    }
}

fn outcome<T>(result: &Result<T, StorageError>) -> Result<(), ErrorKind> {
    match result {
        Ok(_) => Ok(()),
        Err(error) => Err(error.kind()),
    }
}

proptest! {
    #[test]
    fn queues_agree_with_a_plain_list(steps in vec(step(), 1..60)) {
        let time = VirtualEnv::new(1);
        let account = EmbeddedStore::in_memory(time.env()).unwrap().account();
        let mut model = Model::default();
        time.block_on(async {
            account.queues.create_queue(QUEUE).await.unwrap();
            for (number, step) in steps.into_iter().enumerate() {
                model.follow(&account, &time, number, step).await;
            }
            let count = account.queues.count_messages(QUEUE).await.unwrap();
            assert_eq!(count, model.messages.len() as u64);
        }).unwrap();
    }
}
