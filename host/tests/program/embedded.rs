//! On the embedded store.

use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use azurite_tests::eventually;
use durabletask_storage::Env;
use durabletask_worker::hub::{HubSettings, StoreChoice};
use durabletask_worker::prelude::*;
use durabletask_worker::{RunningWorker, TaskHub};
use serde_json::Value;

use crate::support::{Desk, Ended, Folder, LIMIT, ended};

/// Runs `durabletask` in that folder with nothing in its environment.
fn durabletask(folder: &Folder, arguments: &[&str]) -> Ended {
    let mut command = Command::new(env!("CARGO_BIN_EXE_durabletask"));
    ended(command.args(arguments).current_dir(&folder.0).env_clear())
}

#[orchestrator(name = "Approval")]
async fn approval(ctx: OrchestrationContext, who: String) -> Result<String> {
    let answer: String = ctx.wait_event("Answer").await?;
    Ok(format!("{who}: {answer}"))
}

/// Fails on the first call.
#[activity(name = "Flaky")]
async fn flaky(_: ActivityContext, _: ()) -> Result<u32> {
    static CALLS: AtomicU32 = AtomicU32::new(0);
    match CALLS.fetch_add(1, Ordering::Relaxed) {
        0 => Err(Failure::new("Flaky", "not yet")),
        calls => Ok(calls),
    }
}

#[orchestrator(name = "Fragile")]
async fn fragile(ctx: OrchestrationContext, _: ()) -> Result<u32> {
    ctx.call(flaky, ()).await
}

/// Another process's worker, as far as the program can tell.
async fn worker(file: &Path) -> RunningWorker {
    let path = Some(file.to_owned());
    let mut settings = HubSettings::new("Desk", 2).with_store(StoreChoice::Embedded { path });
    settings.max_queue_polling_interval = std::time::Duration::from_millis(100);
    let hub = TaskHub::open(settings, &Env::system()).await.unwrap();
    Worker::builder()
        .orchestrator(approval)
        .orchestrator(fragile)
        .activity(flaky)
        .build()
        .unwrap()
        .start(&hub)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hub_is_made_used_and_deleted() {
    let desk = Desk::embedded("used");
    let run = |arguments: &[&str]| desk.run_with(arguments);
    let file = desk.file();

    let ended = run(&["hub", "show"]);
    assert_eq!(ended.code, 3, "{}", ended.err);
    assert!(
        ended.err.contains("there is no task hub Desk"),
        "{}",
        ended.err
    );
    assert!(!file.exists(), "looking makes nothing");

    let ended = run(&["hub", "create", "--json"]);
    assert_eq!(ended.code, 0, "{}", ended.err);
    assert_eq!(ended.json()["partitionCount"], 4);
    assert!(ended.err.contains(".durabletask/desk.db"), "{}", ended.err);

    let start = [
        "instances",
        "start",
        "Approval",
        "--id",
        "a",
        "--input",
        "\"me\"",
    ];
    assert_eq!(run(&start).out, "a\n");
    let again = run(&start);
    assert_eq!(again.code, 4);
    assert!(again.err.contains("already exists"), "{}", again.err);
    let shown = run(&["instances", "show", "a"]);
    assert_eq!(shown.field("Status"), "Pending");
    let ended = run(&["instances", "wait", "a", "--timeout", "0"]);
    assert_eq!(ended.code, 5, "{}", ended.err);

    let worker = worker(&file).await;
    let raise = ["instances", "raise", "a", "Answer", "--input", "\"yes\""];
    assert_eq!(run(&raise).code, 0);
    let ended = run(&["instances", "wait", "a", "--timeout", "30", "--json"]);
    assert_eq!(ended.code, 0, "{}", ended.err);
    let status = ended.json();
    assert_eq!(status["runtimeStatus"], "Completed");
    assert_eq!(status["input"], "me");
    assert_eq!(status["output"], "me: yes");
    assert_eq!(run(&raise).code, 4, "it has ended");

    run(&[
        "instances",
        "start",
        "Approval",
        "--id",
        "b",
        "--input",
        "\"me\"",
    ]);
    assert_eq!(run(&["instances", "terminate", "b"]).code, 2);
    let terminate = ["instances", "terminate", "b", "--reason", "why", "--yes"];
    assert_eq!(run(&terminate).code, 0);
    let ended = run(&["instances", "wait", "b", "--timeout", "30"]);
    assert_eq!(ended.code, 4, "{}", ended.err);
    assert_eq!(ended.field("Output"), "why");

    let shown = run(&["hub", "show", "--json"]).json();
    let partitions = shown["partitions"].as_array().unwrap();
    assert_eq!(partitions.len(), 4);
    assert!(partitions.iter().all(|p| p["owner"].is_string()), "{shown}");
    assert!(worker.stop().await.unwrap());

    let unconfirmed = run(&["hub", "delete"]);
    assert_eq!(unconfirmed.code, 2);
    assert!(unconfirmed.err.contains("--yes"), "{}", unconfirmed.err);
    assert_eq!(run(&["instances", "show", "a"]).code, 0);
    assert_eq!(run(&["hub", "delete", "--yes"]).code, 0);
    assert_eq!(run(&["instances", "show", "a"]).code, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn instances_are_listed_rewound_restarted_and_purged() {
    let desk = Desk::embedded("operated");
    let run = |arguments: &str| desk.run(arguments);
    assert_eq!(run("hub create").code, 0);
    let worker = worker(&desk.file()).await;
    assert_eq!(run("instances start Fragile --id f").out, "f\n");
    assert_eq!(run("instances wait f --timeout 30").code, 4);
    let listed = run("instances list --status failed --prefix f --json").json();
    assert_eq!(listed["runtimeStatus"], "Failed");
    assert_eq!(run("instances rewind f --reason again").code, 0);
    assert_eq!(run("instances wait f --timeout 30").field("Output"), "1");
    let again = run("instances rewind f");
    assert_eq!(again.code, 4, "{}", again.err);

    let copy = run("instances restart f --new-id").out;
    let copy = copy.trim();
    assert_eq!(run(&format!("instances wait {copy} --timeout 30")).code, 0);
    assert_eq!(run("instances list").out.lines().count(), 3);
    assert!(
        run("instances list --limit 1")
            .err
            .contains("There are more")
    );
    let history = run("instances history f --json").json();
    assert_eq!(history[1]["Name"], "Fragile");
    assert!(run("instances history f").out.contains("GenericEvent"));

    assert_eq!(
        run("instances start Approval --id a --input \"me\"").code,
        0
    );
    assert_eq!(run("instances purge a --yes").code, 4, "it is live");
    assert_eq!(run("instances purge f").code, 2);
    let unset = run("instances purge --expired --dry-run");
    assert_eq!(unset.code, 1);
    assert!(unset.err.contains("nothing ever expires"), "{}", unset.err);
    let retention = r#"{"extensions":{"durableTask":{"rust":{"retention":{"completed":"00:00:00","failed":"1.00:00:00"}}}}}"#;
    std::fs::write(desk.folder.0.join("host.json"), retention).unwrap();
    let expired = run("instances purge --expired --dry-run").out;
    assert_eq!(
        expired,
        "2 instances (expired by rust.retention) would be purged.\n"
    );
    assert_eq!(run("instances purge --expired").code, 2);
    assert_eq!(run("instances purge f --prefix f --yes").code, 2);
    assert_eq!(run("instances purge f --yes --json").json()["instances"], 1);
    let dry = run("instances purge --status Completed --dry-run");
    assert_eq!(dry.out, "1 instance (Completed) would be purged.\n");
    assert_eq!(run("instances purge --yes --json").json()["instances"], 1);
    assert_eq!(run("instances list --json").json()["instanceId"], "a");
    let well = run("doctor");
    assert_eq!((well.code, &*well.out), (0, ""), "{}", well.err);
    assert!(worker.stop().await.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn queues_are_watched_and_what_is_set_aside_is_put_back() {
    let desk = Desk::embedded("watched");
    let run = |arguments: &str| desk.run(arguments);
    assert_eq!(run("hub create").code, 0);
    let hub = desk.open(|settings| settings.poison_after = 1).await;
    let queues = &hub.account().queues;
    queues
        .put_message("desk-control-02", "{ no JSON", None)
        .await
        .unwrap();

    assert_eq!(run("queues").out.lines().count(), 6);
    let queues_seen = run("queues --json").out;
    let third: Value = serde_json::from_str(queues_seen.lines().nth(2).unwrap()).unwrap();
    assert_eq!(third["queue"], "desk-control-02");
    assert_eq!(third["messages"], 1);
    let scale = run("scale --looks 1 --json").json();
    assert_eq!(
        (&scale["workers"], &scale["targetWorkers"]),
        (&0.into(), &1.into())
    );
    let ill = run("doctor");
    assert_eq!(ill.code, 1);
    assert!(
        ill.out
            .contains("1 message in desk-control-02, which no worker owns; start a worker"),
        "{}",
        ill.out
    );

    let worker = Worker::builder().build().unwrap().start(&hub);
    let poison = desk.lines("poison list --json").await.remove(0);
    assert_eq!(poison["queue"], "desk-control-02");
    eventually(LIMIT, || async {
        let partitions = run("partitions --json").lines();
        let is_owned = |partition: &Value| partition["owner"].is_string();
        partitions.iter().all(is_owned).then_some(())
    })
    .await;
    assert!(
        run("doctor")
            .out
            .contains("1 message set aside after too many failures")
    );
    assert!(worker.stop().await.unwrap());
    let id = poison["messageId"].as_str().unwrap();
    assert_eq!(run(&format!("poison show {id}")).out, "{ no JSON\n");
    assert_eq!(run(&format!("poison requeue {id}")).code, 0);
    assert_eq!(run(&format!("poison requeue {id}")).code, 3);
    assert_eq!(queues.count_messages("desk-control-02").await.unwrap(), 1);
    assert_eq!(run("poison list --json").out, "");

    queues.delete_queue("desk-workitems").await.unwrap();
    assert!(
        run("doctor --repair")
            .out
            .contains("queue desk-workitems is missing, with its messages; it is made anew (done)")
    );
    assert!(!run("doctor").out.contains("is missing"));
    assert!(run("completion bash").out.contains("poison"));
}

#[test]
fn a_connection_without_a_value_never_means_the_embedded_store() {
    let folder = Folder::new("nowhere");
    for command in [
        &["hub", "create"][..],
        &["hub", "show"],
        &["hub", "delete", "--yes"],
        &["instances", "show", "a"],
        &["instances", "start", "Approval"],
    ] {
        let ended = durabletask(&folder, &[&["--connection", "Nowhere"], command].concat());
        assert_eq!(ended.code, 1, "{}", ended.err);
        assert!(
            ended.err.contains("\"Nowhere\" has no value"),
            "{}",
            ended.err
        );
    }
    assert!(!folder.0.join(".durabletask").exists());
}

#[test]
fn wrong_usage_is_told() {
    let folder = Folder::new("usage");
    let ended = durabletask(&folder, &["instances", "start", "X", "--input", "text"]);
    assert_eq!(ended.code, 2);
    assert!(ended.err.contains("not JSON"), "{}", ended.err);
    std::fs::write(
        folder.0.join("host.json"),
        r#"{"extensions":{"durableTask":{"storageProvider":{"partitionCount":3}}}}"#,
    )
    .unwrap();
    assert_eq!(durabletask(&folder, &["hub", "create"]).code, 0);
    std::fs::remove_file(folder.0.join("host.json")).unwrap();
    let shown = durabletask(&folder, &["hub", "show", "--json"]).json();
    assert_eq!(
        shown["partitions"].as_array().unwrap().len(),
        3,
        "as the hub says"
    );
    std::fs::write(
        folder.0.join("host.json"),
        r#"{"extensions":{"durableTask":{"storageProvider":{"partitionCount":4}}}}"#,
    )
    .unwrap();
    let ended = durabletask(&folder, &["instances", "start", "X"]);
    assert_eq!(ended.code, 1, "a start for a queue that nobody reads");
    assert!(ended.err.contains("has 3 partitions"), "{}", ended.err);
}
