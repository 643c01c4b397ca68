//! Every sample as a newcomer runs it, on the embedded store.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests may panic, too"
)]

mod support;

use std::fs;

use support::{APPROVAL, FAN_OUT, Folder, HELLO_CITIES, MAP_REDUCE, MONITOR, Program, RETRY, SAGA};

/// What it prints after the line that names the task hub. It must end well.
fn output(program: &str, arguments: &str) -> String {
    let folder = Folder::new();
    let arguments = format!("--id one --work 1 {arguments}");
    let ended = folder.command(program, &arguments).output().unwrap();
    let text = String::from_utf8(ended.stdout).unwrap();
    let errors = String::from_utf8(ended.stderr).unwrap();
    assert!(ended.status.success(), "{text}\n{errors}");
    assert_eq!(errors, "");
    let (first, rest) = text.split_once('\n').unwrap();
    assert_eq!(
        first,
        "Task hub TestHubName in the embedded store .durabletask/testhubname.db."
    );
    assert!(folder.path().join(".durabletask/testhubname.db").exists());
    rest.to_owned()
}

#[test]
fn hello_cities_greets_three_cities_in_order() {
    assert_eq!(
        output(HELLO_CITIES, ""),
        "Started orchestration one.\n  greeting Tokyo\n  greeting Seattle\n  greeting London\n\
         Hello Tokyo!\nHello Seattle!\nHello London!\n"
    );
}

#[test]
fn fan_out_adds_up_the_squares() {
    let text = output(FAN_OUT, "--count 30");
    assert_eq!(text.matches("  squaring ").count(), 30);
    assert!(text.ends_with("The squares of 1 to 30 add up to 9455.\n"));
}

#[test]
fn approval_ends_with_the_answer_or_without_one() {
    for (arguments, end) in [
        ("", "Approved: a trip to Tokyo is booked.\n"),
        ("--answer no", "The request was turned down.\n"),
        ("--answer none --limit 1", "Nobody decided in time.\n"),
    ] {
        let text = output(APPROVAL, arguments);
        assert!(text.ends_with(end), "{arguments}: {text}");
    }
}

#[test]
fn monitor_looks_until_the_job_is_done() {
    let text = output(MONITOR, "--looks 2");
    assert_eq!(text.matches("  looking at the job\n").count(), 2);
    assert!(text.contains("  … look 1: still running\n"), "{text}");
    assert!(text.ends_with("The job was done at look 2.\n"), "{text}");
}

#[test]
fn map_reduce_counts_the_words_of_all_texts() {
    let text = output(MAP_REDUCE, "--texts 4");
    assert_eq!(text.matches("  counting ").count(), 8);
    assert!(text.ends_with("7 × the\n3 × dog\n2 × brown\n"), "{text}");
}

#[test]
fn saga_undoes_what_was_done_in_reverse_order() {
    let text = output(SAGA, "");
    assert!(text.ends_with("Have a nice trip!\n"), "{text}");
    let text = output(SAGA, "--full car");
    let steps: Vec<_> = text
        .lines()
        .filter(|line| line.contains("ed "))
        .skip(1)
        .collect();
    assert_eq!(
        steps,
        [
            "  booked a flight",
            "  booked a hotel",
            "  cancelled the hotel",
            "  cancelled the flight"
        ]
    );
    assert!(text.ends_with("No trip: there is no car.\n"), "{text}");
}

#[test]
fn retry_tries_again_and_gives_up_in_the_end() {
    let text = output(RETRY, "");
    assert!(text.ends_with("Answered at attempt 2.\n"), "{text}");
    let text = output(RETRY, "--failures 9 --attempts 2");
    assert_eq!(text.matches("  asking, attempt").count(), 2);
    assert!(text.ends_with("Gave up: the service is busy\n"), "{text}");
}

/// Worker, starter and approver are three programs that share the file of the embedded store.
#[tokio::test]
async fn roles_may_be_separate_programs() {
    let folder = Folder::new();
    let start = |arguments: &str| Program::start(&folder, folder.command(APPROVAL, arguments));
    let mut worker = start("--worker --work 1");
    worker.until("Working").await;
    let mut starter = start("--client --id trip --answer none");
    starter.until("waiting for the decision").await;
    let (status, text) = start("--raise trip --answer yes").end().await;
    assert!(status.success(), "{text}");
    let (status, text) = starter.end().await;
    assert!(status.success(), "{text}");
    assert!(
        text.contains("Approved: a trip to Tokyo is booked."),
        "{text}"
    );
    worker.terminate();
    let (status, text) = worker.end().await;
    assert!(status.success(), "{text}");
    assert!(text.contains("booking"), "{text}");
}

#[test]
fn host_json_and_flags_name_the_task_hub() {
    let folder = Folder::new();
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
    fs::copy(format!("{root}/host.json"), folder.path().join("host.json")).unwrap();
    for (arguments, hub) in [
        (
            "--work 1",
            "SampleHub in the embedded store .durabletask/samplehub.db",
        ),
        (
            "--work 1 --task-hub Mine --set rust.embeddedPath=:memory:",
            "Mine in memory",
        ),
    ] {
        let ended = folder.command(HELLO_CITIES, arguments).output().unwrap();
        let text = String::from_utf8(ended.stdout).unwrap();
        assert!(text.starts_with(&format!("Task hub {hub}.\n")), "{text}");
        assert!(text.ends_with("Hello London!\n"), "{text}");
        assert_eq!(ended.stderr, b"");
    }
}

/// The key of the connection strings below; nothing that is printed may contain it.
const SECRET: &str = "c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0";

#[test]
fn mistakes_are_told_in_one_sentence() {
    let folder = Folder::new();
    let first = folder.command(HELLO_CITIES, "--work 1").output().unwrap();
    assert!(first.status.success());
    let unreachable = format!(
        "DefaultEndpointsProtocol=http;AccountName=acct;AccountKey={SECRET};\
         BlobEndpoint=http://127.0.0.1:9/acct;QueueEndpoint=http://127.0.0.1:9/acct;\
         TableEndpoint=http://127.0.0.1:9/acct"
    );
    let no_pair = format!("AccountKey={SECRET};nonsense");
    let typo = format!("DefaultEndpointsProtocol=https;AccountName=acct;AcountKey={SECRET}");
    for (arguments, connection, part, code) in [
        (
            "",
            no_pair.as_str(),
            "AzureWebJobsStorage cannot be used",
            1,
        ),
        ("", &typo, "AzureWebJobsStorage cannot be used", 1),
        (
            "",
            &unreachable,
            "no connection to http://127.0.0.1:9/acct",
            1,
        ),
        (
            "--connection Orders",
            "",
            "set AzureWebJobsOrders or Orders",
            1,
        ),
        (
            "--set storageProvider.partitionCount=7",
            "",
            "set storageProvider.partitionCount to 4",
            1,
        ),
        ("--set hubName=x", "", "write 3 to 49 letters", 1),
        ("--wait", "", "\"--wait\" is no flag", 2),
    ] {
        let mut command = folder.command(HELLO_CITIES, arguments);
        let ended = command.env("AzureWebJobsStorage", connection).output();
        let ended = ended.unwrap();
        let text = String::from_utf8(ended.stderr).unwrap();
        assert_eq!(ended.status.code(), Some(code), "{arguments}: {text}");
        assert!(text.starts_with("Error: ") && text.contains(part), "{text}");
        assert_eq!(text.trim_end().lines().count(), 1, "{text}");
        // What a Debug dump would show.
        assert!(!text.contains(SECRET) && !text.contains(" { "), "{text}");
    }
}
