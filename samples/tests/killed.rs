//! Workers that die or are asked to go, on Azurite.
#![cfg(unix)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests may panic, too"
)]

mod support;

use std::collections::BTreeMap;
use std::process::Command;
use std::time::Duration;

use azurite_tests::{azurite, eventually, unique_hub};
use durabletask_azurestorage::wire::names::HubNames;
use durabletask_storage::azure::{AzureAccount, AzureOptions, Connection};
use durabletask_storage::{Account, Env, Query, Row, Value};
use futures::future::join_all;
use support::{APPROVAL, FAN_OUT, Folder, HELLO_CITIES, Program};

const CONTROL_QUEUES: u32 = 4;
/// Instance id of all tests: each has a hub of its own.
const ID: &str = "one";

/// A task hub on Azurite, and the folder in which its samples run.
struct Hub {
    folder: Folder,
    names: HubNames,
    account: Account,
    connection: String,
}

impl Hub {
    async fn new(name: &str) -> Self {
        let connection = azurite::connection().await;
        let parsed = Connection::parse(&connection).unwrap();
        Self {
            folder: Folder::new(),
            names: HubNames::new(unique_hub(name)),
            account: AzureAccount::connect(&parsed, AzureOptions::default(), Env::system())
                .unwrap(),
            connection,
        }
    }

    /// A sample on this hub, with the shortest visibility timeouts there are.
    fn start(&self, program: &str, arguments: &str) -> Program {
        let arguments = format!("--task-hub {} {arguments}", self.names.hub);
        let mut command: Command = self.folder.command(program, &arguments);
        command.env("AzureWebJobsStorage", &self.connection);
        for (key, value) in [
            ("storageProvider__controlQueueVisibilityTimeout", "00:00:05"),
            (
                "storageProvider__workItemQueueVisibilityTimeout",
                "00:00:05",
            ),
            ("storageProvider__maxQueuePollingInterval", "00:00:01"),
        ] {
            let name = format!("AzureFunctionsJobHost__extensions__durableTask__{key}");
            command.env(name, value);
        }
        Program::start(&self.folder, command)
    }

    /// A worker that is known to the hub by that name: started again under the same name, it has
    /// the partitions that it had when it died, and need not wait 30 s for its leases to end.
    fn start_worker(&self, program: &str, name: &str, arguments: &str) -> Program {
        self.start(
            program,
            &format!("--worker --set rust.workerId={name} {arguments}"),
        )
    }

    async fn rows(&self, table: &str) -> Vec<Row> {
        let mut query = Query::default();
        let mut rows = Vec::new();
        loop {
            let page = self.account.tables.query(table, &query).await.unwrap();
            rows.extend(page.rows);
            query.continuation = page.continuation;
            if query.continuation.is_none() {
                return rows;
            }
        }
    }

    /// History rows of that event type.
    async fn events(&self, event_type: &str) -> Vec<Row> {
        let mut rows = self.rows(&self.names.history_table()).await;
        rows.retain(|row| row.get_str("EventType") == Some(event_type));
        rows
    }

    /// Every activity that was scheduled has one outcome, and so has the orchestration.
    async fn assert_one_outcome_per_task(&self, tasks: usize) {
        let number = |row: &Row, column: &str| match row.get(column) {
            Some(Value::Int32(number)) => *number,
            other => panic!("{column} is {other:?}"),
        };
        let scheduled = self.events("TaskScheduled").await;
        let scheduled: Vec<_> = scheduled.iter().map(|row| number(row, "EventId")).collect();
        assert_eq!(scheduled.len(), tasks, "{scheduled:?}");
        let mut outcomes: BTreeMap<_, _> = scheduled.into_iter().map(|id| (id, 0)).collect();
        assert_eq!(outcomes.len(), tasks, "a task id was used twice");
        for row in self.events("TaskCompleted").await {
            let id = number(&row, "TaskScheduledId");
            *outcomes.get_mut(&id).expect("it was scheduled") += 1;
        }
        assert!(outcomes.values().all(|count| *count == 1), "{outcomes:?}");
        assert_eq!(self.events("ExecutionStarted").await.len(), 1);
        assert_eq!(self.events("ExecutionCompleted").await.len(), 1);
    }

    async fn is_completed(&self) -> bool {
        !self.events("ExecutionCompleted").await.is_empty()
    }

    fn queues(&self) -> Vec<String> {
        let control = (0..CONTROL_QUEUES).map(|index| self.names.control_queue(index));
        control.chain([self.names.work_item_queue()]).collect()
    }

    /// How many messages are in the hub, and how many of them are visible.
    async fn count_messages(&self) -> (usize, usize) {
        let (mut all, mut visible) = (0, 0);
        for queue in self.queues() {
            all +=
                usize::try_from(self.account.queues.count_messages(&queue).await.unwrap()).unwrap();
            let peeked = self.account.queues.peek_messages(&queue, 32).await;
            visible += peeked.unwrap().len();
        }
        (all, visible)
    }

    async fn assert_only_visible_messages_are_left(&self) {
        let (all, visible) = self.count_messages().await;
        assert!(all > 0 && all == visible, "{visible} of {all} are visible");
    }

    async fn assert_no_partition_is_owned(&self) {
        for row in self.rows(&self.names.partitions_table()).await {
            assert_eq!(row.get_str("CurrentOwner"), None, "{row:?}");
        }
    }
}

/// When to kill the worker: `delay_ms` after it, or its client, printed a line with that text.
enum Kill {
    Worker(&'static str, u64),
    Client(&'static str),
}

/// Kills the worker at that instant, starts it again, and expects the sample to end with `output`
/// and `tasks` activities.
async fn killed(program: &str, kill: Kill, arguments: &str, tasks: usize, output: &str) {
    let hub = Hub::new("killed").await;
    // Several waves of activities, however many processors there are.
    let slow = "--work 400 --set maxConcurrentActivityFunctions=8";
    let start_worker = || hub.start_worker(program, "phoenix", slow);
    let mut worker = start_worker();
    worker.until("Working").await;
    let mut client = hub.start(program, &format!("--client --id {ID} {arguments}"));
    match kill {
        Kill::Worker(line, delay_ms) => {
            worker.until(line).await;
            // Not to wait for anything, but to choose the instant.
            Env::system().sleep(Duration::from_millis(delay_ms)).await;
        }
        Kill::Client(line) => client.until(line).await,
    }
    worker.kill().await;
    assert!(!hub.is_completed().await, "killed too late");
    let worker = start_worker();
    let (status, text) = client.end().await;
    assert!(status.success() && text.contains(output), "{text}");
    hub.assert_one_outcome_per_task(tasks).await;
    leaves_in_time(worker).await;
}

const GREETINGS: &str = "Hello Tokyo!\nHello Seattle!\nHello London!";

#[tokio::test]
async fn hello_cities_survives_a_kill_right_after_its_start() {
    killed(HELLO_CITIES, Kill::Client("Started"), "", 3, GREETINGS).await;
}

#[tokio::test]
async fn hello_cities_survives_a_kill_in_its_first_activity() {
    let kill = Kill::Worker("greeting Tokyo", 0);
    killed(HELLO_CITIES, kill, "", 3, GREETINGS).await;
}

#[tokio::test]
async fn hello_cities_survives_a_kill_between_two_activities() {
    // The answer is on its way, or just being committed.
    join_all([402, 410, 420].map(|delay_ms| {
        let kill = Kill::Worker("greeting Tokyo", delay_ms);
        killed(HELLO_CITIES, kill, "", 3, GREETINGS)
    }))
    .await;
}

#[tokio::test]
async fn fan_out_survives_a_kill_with_many_activities_under_way() {
    let sum = "The squares of 1 to 40 add up to 22140.";
    let kills = [
        Kill::Worker("  squaring ", 0),
        Kill::Worker("  squaring ", 420),
        Kill::Client(" of 40 squared"),
    ];
    join_all(kills.map(|kill| killed(FAN_OUT, kill, "--count 40", 40, sum))).await;
}

#[tokio::test]
async fn approval_survives_a_kill_before_and_after_the_decision() {
    let booked = "Approved: a trip to Tokyo is booked.";
    let kills = [
        Kill::Client("Answered"),
        Kill::Worker("  booking a trip", 0),
    ];
    join_all(kills.map(|kill| killed(APPROVAL, kill, "--work 1", 2, booked))).await;
}

/// Asks a worker to go, and expects it to end well within 10 s.
async fn leaves_in_time(worker: Program) {
    let env = Env::system();
    let began = env.monotonic();
    worker.terminate();
    let (status, text) = worker.end().await;
    let took = env.monotonic().saturating_sub(began);
    assert_eq!(status.code(), Some(0), "{text}");
    assert!(took < Duration::from_secs(10), "{took:?}: {text}");
}

#[tokio::test]
async fn a_worker_that_is_asked_to_go_leaves_nothing_behind() {
    let hub = Hub::new("goes").await;
    // So few messages that one peek shows all of a queue.
    let slow = "--work 2000 --set maxConcurrentActivityFunctions=5";
    let mut first = hub.start_worker(FAN_OUT, "first", slow);
    first.until("Working").await;
    let client = hub.start(FAN_OUT, &format!("--client --id {ID} --count 20"));
    first.until("  squaring ").await;
    leaves_in_time(first).await;
    assert!(!hub.is_completed().await, "asked too late");
    // The answers of what was under way, and the activities that were not taken.
    hub.assert_only_visible_messages_are_left().await;
    hub.assert_no_partition_is_owned().await;

    let second = hub.start_worker(FAN_OUT, "second", "--work 1");
    let (status, text) = client.end().await;
    assert!(status.success(), "{text}");
    assert!(
        text.contains("The squares of 1 to 20 add up to 2870."),
        "{text}"
    );
    hub.assert_one_outcome_per_task(20).await;
    leaves_in_time(second).await;
    eventually(Duration::from_secs(10), || async {
        (hub.count_messages().await.0 == 0).then_some(())
    })
    .await;
}

#[tokio::test]
async fn work_that_takes_too_long_is_cut_off_and_handed_back() {
    let hub = Hub::new("slow").await;
    let mut worker = hub.start_worker(HELLO_CITIES, "first", "--work 60000");
    worker.until("Working").await;
    let client = hub.start(HELLO_CITIES, &format!("--client --id {ID}"));
    worker.until("greeting Tokyo").await;
    leaves_in_time(worker).await;
    hub.assert_only_visible_messages_are_left().await;
    hub.assert_no_partition_is_owned().await;

    let worker = hub.start_worker(HELLO_CITIES, "second", "--work 1");
    let (status, text) = client.end().await;
    assert!(status.success() && text.contains(GREETINGS), "{text}");
    hub.assert_one_outcome_per_task(3).await;
    leaves_in_time(worker).await;
}
