//! On hubs that .NET has made, as the recordings left them.

use azurite_tests::eventually;
use bytes::Bytes;
use durabletask_azurestorage::hub::{PartitionManagement, open_account};
use durabletask_storage::{Account, Env, PutCondition, Row, Value, Write};
use futures::future::{join_all, try_join_all};
use serde_json::json;

use crate::golden;
use crate::support::{Desk, LIMIT};

/// Longest time of one lease of the tests: longer than they take.
const LEASE_SECONDS: u32 = 60;

/// A recorded hub, loaded under the desk's own name.
struct Recorded {
    desk: Desk,
    account: Account,
}

impl Recorded {
    async fn load(scenario: &str) -> Self {
        let desk = Desk::azurite(scenario).await;
        let account = open_account(&desk.settings(), &Env::system()).unwrap();
        let recorded = format!("golden{}", scenario.replace('-', ""));
        let here = |text: &str| text.replace(&recorded, &desk.hub);
        let left = golden::hub(scenario);
        for (table, rows) in left.tables {
            let table = here(&table);
            account.tables.create_table(&table).await.unwrap();
            let writes = rows.into_iter().map(|mut row| {
                rename(&mut row, &here);
                account.tables.write(&table, Write::Insert(row))
            });
            try_join_all(writes).await.unwrap();
        }
        for (queue, texts) in left.queues {
            let queue = here(&queue);
            account.queues.create_queue(&queue).await.unwrap();
            for text in texts {
                account
                    .queues
                    .put_message(&queue, &text, None)
                    .await
                    .unwrap();
            }
        }
        for (path, content) in left.blobs {
            let path = here(&path);
            let (container, blob) = path.split_once('/').unwrap();
            account.blobs.create_container(container).await.unwrap();
            let content = match String::from_utf8(content) {
                Ok(text) => Bytes::from(here(&text)),
                Err(packed) => Bytes::from(packed.into_bytes()),
            };
            let put = account
                .blobs
                .put_blob(container, blob, content, PutCondition::Always, None);
            put.await.unwrap();
        }
        Self { desk, account }
    }

    /// Takes a lease as .NET's workers do: the lease, then the record.
    async fn hold(&self, folder: &str, partition: u32, owner: &str) {
        let container = format!("{}-leases", self.desk.hub);
        let queue = format!("{}-control-{partition:02}", self.desk.hub);
        let blob = format!("{folder}/{queue}");
        let token = Env::system().new_uuid().to_string();
        let blobs = &self.account.blobs;
        let length = Some(LEASE_SECONDS);
        blobs
            .acquire_lease(&container, Some(&blob), &token, length)
            .await
            .unwrap();
        let record =
            json!({"PartitionId": queue, "Owner": owner, "Token": token.as_str(), "Epoch": 2});
        let content = Bytes::from(record.to_string());
        let put = blobs.put_blob(
            &container,
            &blob,
            content,
            PutCondition::Always,
            Some(&token),
        );
        put.await.unwrap();
    }

    /// Owner and next owner of each partition, as the program tells.
    fn owners(&self) -> Vec<[Option<String>; 2]> {
        let lines = self.desk.run("partitions --json").lines();
        let name = |value: &serde_json::Value| value.as_str().map(str::to_owned);
        lines
            .iter()
            .map(|line| [name(&line["owner"]), name(&line["nextOwner"])])
            .collect()
    }

    fn delete(self) {
        let ended = self.desk.run("hub delete --yes");
        assert_eq!(ended.code, 0, "{}", ended.err);
        assert_eq!(self.desk.run("instances list").code, 3);
    }
}

/// Blob addresses and queue names in a row.
fn rename(row: &mut Row, here: &impl Fn(&str) -> String) {
    row.row_key = here(&row.row_key);
    for value in row.columns.values_mut() {
        if let Value::String(text) = value {
            *text = here(text);
        }
    }
}

fn some(owner: &str, next: Option<&str>) -> [Option<String>; 2] {
    [Some(owner.to_owned()), next.map(str::to_owned)]
}

#[tokio::test(flavor = "multi_thread")]
async fn safe_owners_and_those_who_are_to_follow_are_shown() {
    let hub = Recorded::load("pair-safe").await;
    let desk = &hub.desk;
    assert_eq!(hub.owners(), vec![[None, None]; 4], "all have stopped");
    // In the middle of a hand-over: beta has stolen the intents of 02 and 03, alpha is draining the
    // first and has given up the second.
    for (partition, intent, ownership) in [
        (0, "alpha", Some("alpha")),
        (1, "alpha", Some("alpha")),
        (2, "beta", Some("alpha")),
        (3, "beta", None),
    ] {
        hub.hold("intent", partition, intent).await;
        if let Some(owner) = ownership {
            hub.hold("ownership", partition, owner).await;
        }
    }
    let expected = [
        some("alpha", None),
        some("alpha", None),
        some("alpha", Some("beta")),
        [None, Some("beta".to_owned())],
    ];
    assert_eq!(hub.owners(), expected);
    let table = desk.run("partitions").out;
    let line = table.lines().nth(3).unwrap();
    assert!(
        line.ends_with("alpha  beta        intent held by beta, ownership held by alpha"),
        "{table}"
    );
    let shown = desk.run("hub show --json").json();
    assert_eq!(shown["partitionManagement"], "safe");
    assert_eq!(shown["appLease"]["isHeld"], false);
    let shown = desk.run("hub show").out;
    assert!(shown.contains("Partition management  safe"), "{shown}");
    assert_eq!(
        desk.run("scale --looks 1 --json").json()["workers"],
        1,
        "beta owns nothing yet"
    );

    let queue = format!("{}-control-03", desk.hub);
    let queues = &hub.account.queues;
    queues.put_message(&queue, "waits", None).await.unwrap();
    let ill = desk.run("doctor");
    let told = format!(
        "1 message in {queue}, which no worker owns; beta is to take it, look at that worker if it \
         does not\n"
    );
    assert_eq!((ill.code, ill.out), (1, told), "{}", ill.err);
    // What the settings say, counts: another manager than the one at work is refused.
    let host = r#"{"extensions":{"durableTask":{"storageProvider":{"useTablePartitionManagement":true}}}}"#;
    let file = desk.folder.0.join("host.json");
    std::fs::write(&file, host).unwrap();
    let refused = desk.run("partitions");
    assert_eq!(refused.code, 1);
    assert!(
        refused
            .err
            .contains("workers with safe partition management are active"),
        "{}",
        refused.err
    );
    std::fs::remove_file(file).unwrap();
    hub.delete();
}

#[tokio::test(flavor = "multi_thread")]
async fn legacy_owners_are_shown_and_lost_records_made_anew() {
    let hub = Recorded::load("pair-legacy").await;
    let desk = &hub.desk;
    for (partition, owner) in [(0, "alpha"), (1, "beta"), (3, "beta")] {
        hub.hold("default", partition, owner).await;
    }
    let (alpha, beta) = (some("alpha", None), some("beta", None));
    let expected = [alpha, beta.clone(), [None, None], beta];
    assert_eq!(hub.owners(), expected);

    // The container's lease is the app lease; its blob says whose.
    let container = format!("{}-applease", desk.hub);
    let info = format!("{container}info");
    let app = durabletask_azurestorage::partition::app_lease_id("shop");
    let content = Bytes::from(format!(r#"{{"OwnerId":"{app}","DesiredSwapId":null}}"#));
    let blobs = &hub.account.blobs;
    blobs
        .put_blob(&container, &info, content, PutCondition::Always, None)
        .await
        .unwrap();
    let held = blobs.acquire_lease(&container, None, &app, Some(LEASE_SECONDS));
    held.await.unwrap();
    let shown = desk.run("hub show").out;
    let told = format!("App lease             held by another app (lease id {app})");
    assert!(shown.contains(&told), "{shown}");
    assert_eq!(desk.run("hub show --json").json()["appLease"]["owner"], app);

    let leases = format!("{}-leases", desk.hub);
    let lost = format!("default/{}-control-02", desk.hub);
    blobs.delete_blob(&leases, &lost, None).await.unwrap();
    let ill = desk.run("doctor");
    assert_eq!(ill.code, 1);
    assert!(
        ill.out.contains(&format!(
            "in {leases}/{lost} is missing, so that no worker reads"
        )),
        "{}",
        ill.out
    );
    let garbage = Bytes::from_static(b"no record");
    blobs
        .put_blob(&leases, &lost, garbage, PutCondition::Always, None)
        .await
        .unwrap();
    let garbage = Bytes::from_static(b"no hub");
    blobs
        .put_blob(&leases, "taskhub.json", garbage, PutCondition::Always, None)
        .await
        .unwrap();
    let refused = desk.run("partitions");
    assert_eq!(refused.code, 1);
    assert!(
        refused.err.contains("delete that blob, or"),
        "{}",
        refused.err
    );
    let mended = desk.run("doctor --repair");
    assert_eq!(mended.code, 0, "{}", mended.out);
    let told = format!("{leases}/taskhub.json is not what any worker writes; it is removed (done)");
    assert!(mended.out.starts_with(&told), "{}", mended.out);
    let told = format!("the lease record {leases}/{lost} is not what any worker writes");
    assert!(mended.out.contains(&told), "{}", mended.out);
    let well = desk.run("doctor");
    assert_eq!((well.code, &*well.out), (0, ""), "{}", well.err);

    // The lease of the other app guards its container.
    blobs.release_lease(&container, None, &app).await.unwrap();
    hub.delete();
}

/// Every command that looks, on what .NET has written.
#[tokio::test(flavor = "multi_thread")]
async fn what_dotnet_left_is_shown() {
    join_all(["query", "ids", "big", "retry-sub"].map(look_at)).await;
}

async fn look_at(scenario: &str) {
    let hub = Recorded::load(scenario).await;
    let desk = &hub.desk;
    let listed = desk.run("instances list --json").lines();
    assert!(!listed.is_empty());
    for instance in &listed {
        assert_eq!(instance["problem"], serde_json::Value::Null, "{instance}");
        let id = instance["instanceId"].as_str().unwrap();
        let shown = desk.run_with(&["instances", "show", id, "--json"]).json();
        assert_eq!(shown["runtimeStatus"], instance["runtimeStatus"]);
        let waited = desk.run_with(&["instances", "wait", id, "--timeout", "30"]);
        let is_completed = &shown["runtimeStatus"] == "Completed";
        let expected = if is_completed { 0 } else { 4 };
        assert_eq!(waited.code, expected, "{}", waited.err);
        let history = desk
            .run_with(&["instances", "history", id, "--json"])
            .json();
        let table = desk.run_with(&["instances", "history", id]).out;
        let events = history.as_array().unwrap().len();
        assert_eq!(table.lines().count(), events + 1, "{table}");
    }
    assert_eq!(desk.run("queues").out.lines().count(), 6);
    assert_eq!(desk.run("partitions").out.lines().count(), 5);
    assert_eq!(desk.run("poison list").err, "No message is set aside.\n");
    let well = desk.run("doctor");
    assert_eq!((well.code, &*well.out), (0, ""), "{}", well.err);
    let id = listed[0]["instanceId"].as_str().unwrap();
    let purged = desk.run_with(&["instances", "purge", id, "--yes", "--json"]);
    assert_eq!(purged.json()["instances"], 1);
    assert_eq!(desk.run_with(&["instances", "purge", id, "--yes"]).code, 3);
    hub.delete();
}

/// Every command that does something, on a hub that .NET has made with the safe manager and that a
/// Rust worker works on; nothing tells the program so.
#[tokio::test(flavor = "multi_thread")]
async fn a_hub_of_dotnet_is_operated() {
    let recorded = Recorded::load("hello-safe").await;
    let desk = &recorded.desk;
    let hub = desk
        .open(|settings| settings.partition_management = PartitionManagement::Safe)
        .await;
    let worker = durabletask_catalogue::worker().unwrap().start(&hub);
    let run = |arguments: &str| {
        let ended = desk.run(arguments);
        assert_eq!(ended.code, 0, "{arguments}: {}", ended.err);
        ended
    };
    let status = async |id: &str, wanted: &str| {
        eventually(LIMIT, || async {
            let shown = desk.run(&format!("instances show {id} --json")).json();
            (shown["runtimeStatus"] == wanted).then_some(())
        })
        .await;
    };
    // .NET's own instance, with its input.
    assert_eq!(run("instances restart hello-1").out, "hello-1\n");
    let copy = run("instances restart hello-1 --new-id --json").json();
    run("instances wait hello-1 --timeout 60");
    let copy = copy["instanceId"].as_str().unwrap();
    let waited = run(&format!("instances wait {copy} --timeout 60"));
    assert_eq!(waited.field("Input"), "\"in\"");

    run("instances start EventOrTimeout --id waits --input 600");
    status("waits", "Running").await;
    assert_eq!(desk.run("instances restart waits").code, 4);
    run("instances suspend waits --reason hold");
    status("waits", "Suspended").await;
    run("instances resume waits");
    run("instances raise waits Approval --input \"yes\"");
    let waited = run("instances wait waits --timeout 60");
    assert_eq!(waited.field("Output"), "\"yes\"");
    assert_eq!(desk.run("instances suspend waits").code, 4);

    run("instances start EventOrTimeout --id ends --input 600");
    run("instances terminate ends --reason enough --yes");
    assert_eq!(desk.run("instances wait ends --timeout 60").code, 4);
    run("instances start Fragile --id heals --input \"key\"");
    for _ in 0..2 {
        assert_eq!(desk.run("instances wait heals --timeout 60").code, 4);
        run("instances rewind heals --reason again");
    }
    let waited = run("instances wait heals --timeout 60");
    assert_eq!(waited.field("Output"), "3");

    assert_eq!(run("scale --looks 1 --json").json()["workers"], 1);
    assert!(
        recorded
            .owners()
            .iter()
            .all(|[owner, next]| owner.is_some() && next.is_none())
    );
    let purged = run("instances purge --status terminated --yes --json").json();
    assert_eq!(
        (&purged["matched"], &purged["failed"]),
        (&1.into(), &0.into())
    );
    assert!(worker.stop().await.unwrap());
    let well = desk.run("doctor");
    assert_eq!(well.code, 0, "{}{}", well.out, well.err);
    recorded.delete();
}
