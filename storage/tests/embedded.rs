//! What only the embedded store promises: files that survive, several users of one file, numbers
//! that never repeat.

#![allow(clippy::unwrap_used, reason = "a test")]

mod common;

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use common::Folder;
use durabletask_storage::embedded::EmbeddedStore;
use durabletask_storage::{
    Account, Blobs, Condition, Env, ErrorKind, PutCondition, Query, Row, VirtualEnv, Write,
};
use futures::future::join_all;

/// Names the file for a child process of a test.
const CHILD_FILE: &str = "DURABLETASK_TEST_CHILD_FILE";
/// What the child prints for each transaction that was answered.
const ACKNOWLEDGED: &str = "acknowledged ";

fn open(path: &Path) -> Account {
    EmbeddedStore::open(path, Env::system()).unwrap().account()
}

fn pair(number: u32) -> Vec<Write> {
    let row = |half: &str| Write::Insert(Row::new("p", format!("{number:06}-{half}")));
    vec![row("a"), row("b")]
}

async fn all_row_keys(account: &Account) -> Vec<String> {
    let mut query = Query::default();
    let mut keys = Vec::new();
    loop {
        let page = account.tables.query("History", &query).await.unwrap();
        keys.extend(page.rows.into_iter().map(|row| row.row_key));
        query.continuation = page.continuation;
        if query.continuation.is_none() {
            return keys;
        }
    }
}

#[tokio::test]
async fn a_file_keeps_everything_and_its_name() {
    let folder = Folder::new();
    let store = EmbeddedStore::open(folder.file(), Env::system()).unwrap();
    let account = store.account();
    account.queues.create_queue("control-00").await.unwrap();
    let sent = account.queues.put_message("control-00", "m", None).await;
    account.tables.create_table("History").await.unwrap();
    account.tables.transact("History", pair(1)).await.unwrap();
    account.blobs.create_container("large").await.unwrap();
    let content = "content".into();
    account
        .blobs
        .put_blob("large", "b", content, PutCondition::Absent, None)
        .await
        .unwrap();
    assert_eq!(store.name(), "my-hub");
    assert_eq!(store.container_url("large"), "embedded://my-hub/large");
    drop((store, account));

    let account = open(&folder.file());
    let got = account.queues.get_messages("control-00", 32, 30).await;
    assert_eq!(got.unwrap()[0].handle.id, sent.unwrap().handle.id);
    assert_eq!(all_row_keys(&account).await, ["000001-a", "000001-b"]);
    let blob = account.blobs.get_blob("large", "b").await.unwrap().unwrap();
    assert_eq!(blob.content, "content");
}

#[tokio::test]
async fn foreign_files_are_refused() {
    let folder = Folder::new();
    std::fs::create_dir_all(folder.file().parent().unwrap()).unwrap();
    std::fs::write(
        folder.file(),
        "plain text, longer than a header ".repeat(100),
    )
    .unwrap();
    let error = EmbeddedStore::open(folder.file(), Env::system()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
}

#[test]
fn numbers_never_repeat_not_even_after_deletes() {
    let time = VirtualEnv::new(1);
    let account = EmbeddedStore::in_memory(time.env()).unwrap().account();
    let mut seen = BTreeSet::new();
    time.block_on(async {
        for _ in 0..5 {
            account.queues.create_queue("queue").await.unwrap();
            account.tables.create_table("Table").await.unwrap();
            for number in 0..3 {
                let put = account.queues.put_message("queue", "m", None).await;
                let handle = put.unwrap().handle;
                assert!(seen.insert(handle.id.clone()));
                assert!(seen.insert(handle.pop_receipt.clone()));
                account
                    .queues
                    .delete_message("queue", &handle)
                    .await
                    .unwrap();
                for etag in account
                    .tables
                    .transact("Table", pair(number))
                    .await
                    .unwrap()
                {
                    assert!(seen.insert(etag.unwrap().0));
                }
            }
            account.queues.delete_queue("queue").await.unwrap();
            account.tables.delete_table("Table").await.unwrap();
        }
    })
    .unwrap();
}

#[tokio::test]
async fn two_stores_share_a_file() {
    let folder = Folder::new();
    // Opened at the same time, so that they meet while the file is made.
    let stores: Vec<Account> = std::thread::scope(|scope| {
        let opened: Vec<_> = (0..4)
            .map(|_| scope.spawn(|| open(&folder.file())))
            .collect();
        opened.into_iter().map(|s| s.join().unwrap()).collect()
    });
    stores[0].queues.create_queue("work").await.unwrap();
    let puts = (0..100).map(|index| stores[index % 4].queues.put_message("work", "m", None));
    let sent: BTreeSet<String> = join_all(puts)
        .await
        .into_iter()
        .map(|put| put.unwrap().handle.id)
        .collect();
    assert_eq!(sent.len(), 100);
    let mut received = BTreeSet::new();
    while received.len() < 100 {
        let gets = stores.iter().map(|s| s.queues.get_messages("work", 5, 600));
        for got in join_all(gets).await {
            for message in got.unwrap() {
                assert!(received.insert(message.handle.id), "received twice");
            }
        }
    }
    assert_eq!(received, sent);
}

#[tokio::test]
async fn a_refused_request_does_not_spoil_its_group() {
    let folder = Folder::new();
    let account = open(&folder.file());
    account.tables.create_table("History").await.unwrap();
    let writes = (0..200).map(|number| {
        let mut writes = pair(number);
        if number % 3 == 0 {
            // After two rows are written.
            writes.push(Write::Merge(Row::new("p", "missing"), Condition::Exists));
        }
        account.tables.transact("History", writes)
    });
    let outcomes = join_all(writes).await;
    let mut expected = Vec::new();
    for (number, outcome) in (0..).zip(outcomes) {
        if number % 3 == 0 {
            let error = outcome.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::NotFound);
            assert_eq!(error.failed_index(), Some(2));
        } else {
            outcome.unwrap();
            expected.extend(["a", "b"].map(|half| format!("{number:06}-{half}")));
        }
    }
    assert_eq!(all_row_keys(&account).await, expected);
}

/// What [`a_killed_process_loses_nothing_that_it_was_promised`] starts and kills.
#[tokio::test]
#[ignore = "the child of another test"]
async fn child_that_writes_until_it_is_killed() {
    let account = open(Path::new(&std::env::var(CHILD_FILE).unwrap()));
    let next = AtomicU32::new(0);
    let writer = || async {
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            account
                .tables
                .transact("History", pair(number))
                .await
                .unwrap();
            println!("\n{ACKNOWLEDGED}{number}");
        }
    };
    join_all((0..8).map(|_| writer())).await;
}

#[tokio::test]
async fn a_killed_process_loses_nothing_that_it_was_promised() {
    let folder = Folder::new();
    let account = open(&folder.file());
    account.tables.create_table("History").await.unwrap();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child_that_writes_until_it_is_killed"])
        .args(["--ignored", "--nocapture"])
        .env(CHILD_FILE, folder.file())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut promised = BTreeSet::new();
    while promised.len() < 300 {
        let line = lines.next().unwrap().unwrap();
        promised.extend(number_in(&line));
        if promised.len() % 50 == 10 {
            // This process writes, too.
            let other = u32::try_from(500_000 + promised.len()).unwrap();
            let _ = account.tables.transact("History", pair(other)).await;
        }
    }
    child.kill().unwrap();
    child.wait().unwrap();
    // What it printed before it died counts as well.
    promised.extend(
        lines
            .map_while(Result::ok)
            .filter_map(|line| number_in(&line)),
    );

    let account = open(&folder.file());
    let keys: BTreeSet<String> = all_row_keys(&account).await.into_iter().collect();
    for number in &promised {
        for half in ["a", "b"] {
            let key = format!("{number:06}-{half}");
            assert!(keys.contains(&key), "{key} is lost");
        }
    }
    assert_eq!(keys.len() % 2, 0, "half of a transaction");
    account
        .tables
        .transact("History", pair(999_999))
        .await
        .unwrap();
}

fn number_in(line: &str) -> Option<u32> {
    line.strip_prefix(ACKNOWLEDGED)?.parse().ok()
}
