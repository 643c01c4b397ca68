//! What the wrappers see and do, in virtual time; and that they pass everything on.

#![allow(clippy::unwrap_used, reason = "a test")]

use std::time::Duration;

use durabletask_storage::conformance::checks;
use durabletask_storage::embedded::EmbeddedStore;
use durabletask_storage::wrappers::{
    Arguments, Latency, Metered, Operation, Outcome, Recording, Service,
};
use durabletask_storage::{Account, Condition, ErrorKind, Row, VirtualEnv, Write};
use futures::future::join_all;

const DELAY: Duration = Duration::from_millis(20);

fn account(time: &VirtualEnv) -> Account {
    EmbeddedStore::in_memory(time.env()).unwrap().account()
}

#[test]
fn wrapped_accounts_conform() {
    for (index, check) in checks().into_iter().enumerate() {
        let time = VirtualEnv::new(2);
        let (recorded, _) = Recording::wrap(account(&time), 10);
        let (metered, _) = Metered::wrap(recorded);
        let delay = Duration::from_micros(10);
        let wrapped = Latency::wrap(metered, time.env(), delay);
        let prefix = format!("check{index}");
        let run = check.run(wrapped, time.env(), &prefix);
        assert_eq!(time.block_on(run).unwrap(), Ok(()), "{}", check.name());
    }
}

#[test]
fn prices_are_counted_by_service_and_operation() {
    let time = VirtualEnv::new(1);
    let (account, meter) = Metered::wrap(account(&time));
    let prices = time.block_on(async {
        account.queues.create_queue("control-00").await.unwrap();
        account.tables.create_table("History").await.unwrap();
        let before = meter.snapshot();
        for _ in 0..2 {
            account
                .queues
                .get_messages("control-00", 32, 30)
                .await
                .unwrap();
        }
        account
            .queues
            .put_message("control-00", "m", None)
            .await
            .unwrap();
        let got = account.queues.get_messages("control-00", 32, 30).await;
        let handle = got.unwrap().remove(0).handle;
        let writes = vec![Write::Insert(Row::new("p", "r"))];
        account
            .tables
            .transact("History", writes.clone())
            .await
            .unwrap();
        account
            .tables
            .transact("History", writes)
            .await
            .unwrap_err();
        account
            .queues
            .delete_message("control-00", &handle)
            .await
            .unwrap();
        &meter.snapshot() - &before
    });
    let prices = prices.unwrap();
    assert_eq!(prices.calls(Operation::PutMessage), 1);
    assert_eq!(prices.calls(Operation::Transact), 2);
    assert_eq!((prices.gets_with_messages(), prices.gets_empty()), (1, 2));
    assert_eq!(prices.service(Service::Queues), 5);
    assert_eq!(prices.service(Service::Blobs), 0);
    assert_eq!(prices.total_without_empty_gets(), 5);
    let table = "\
queues  put_message                        1
queues  get_messages, with messages        1
queues  get_messages, empty                2
queues  delete_message                     1
tables  transact                           2
total   5 Q + 2 T + 0 B                    7";
    assert_eq!(prices.to_string(), table);
}

#[test]
fn calls_are_recorded_in_order_up_to_the_limit() {
    let time = VirtualEnv::new(1);
    let (account, recording) = Recording::wrap(account(&time), 3);
    let write = Write::Merge(Row::new("p", "r"), Condition::Exists);
    time.block_on(async {
        account.tables.create_table("History").await.unwrap();
        account
            .tables
            .write("History", write.clone())
            .await
            .unwrap_err();
        account
            .queues
            .put_message("missing", "text", Some(7))
            .await
            .unwrap_err();
        account.blobs.get_blob("container", "blob").await.unwrap();
    })
    .unwrap();
    assert_eq!(recording.missed_calls(), 1);
    let calls = recording.take();
    assert_eq!(calls.len(), 3);
    assert_eq!(calls[0].outcome, Some(Outcome::Done(1)));
    assert_eq!(calls[1].resource, "History");
    assert_eq!(calls[1].arguments, Arguments::Writes(vec![write]));
    assert_eq!(calls[2].operation, Operation::PutMessage);
    let not_found = Some(Outcome::Failed(ErrorKind::NotFound));
    assert_eq!(calls[2].outcome, not_found);
    let put = Arguments::Put {
        text: "text".to_owned(),
        invisible_seconds: Some(7),
    };
    assert_eq!(calls[2].arguments, put);

    let get = account.blobs.get_blob("container", "blob");
    time.block_on(get).unwrap().unwrap();
    let calls = recording.take();
    assert_eq!(
        (calls[0].sequence, &*calls[0].resource),
        (4, "container/blob")
    );
    assert_eq!(calls[0].outcome, Some(Outcome::Done(0)));
}

#[test]
fn latency_measures_the_critical_path() {
    let time = VirtualEnv::new(1);
    let account = Latency::wrap(account(&time), time.env(), DELAY);
    time.block_on(async {
        account.queues.create_queue("work").await.unwrap();
        let puts = (0..10).map(|_| account.queues.put_message("work", "m", None));
        for put in join_all(puts).await {
            put.unwrap();
        }
        account.queues.get_messages("work", 32, 30).await.unwrap();
    })
    .unwrap();
    assert_eq!(time.elapsed(), 3 * DELAY);
}
