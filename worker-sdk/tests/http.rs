//! Durable HTTP: what orchestrators write, how 202 is followed up, and requests that really go
//! out (chapter 05 §8, HTTP-49 to HTTP-51).
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests may panic, too"
)]

#[path = "support/server.rs"]
mod server;
mod support;

use std::time::Duration;

use durabletask_core::{
    Action, ActivityExecutor as _, ActivityOutcome, ActivityWork, Command, EventKind,
    HTTP_ACTIVITY_NAME, OrchestrationInstance, OrchestrationStatus, TaskFailed,
};
use durabletask_storage::Env;
use durabletask_worker::hub::{HubSettings, StoreChoice, Unregistered};
use durabletask_worker::prelude::*;
use durabletask_worker::testing::TestHub;
use durabletask_worker::{HttpRequest, HttpResponse, TaskHub, TokenSource};
use serde_json::{Value, json};
use server::{Route, Server};
use support::{Driver, Session, completed, fired, words};

const LIMIT: Option<Duration> = Some(Duration::from_secs(60));

/// Whatever a test asks for.
#[orchestrator]
async fn post(ctx: OrchestrationContext, uri: String) -> Result<HttpResponse> {
    let request = HttpRequest::post(uri)
        .header("Authorization", "Basic eDp5")
        .header("X-Functions-Key", "k")
        .header("X-Multi", "a")
        .header("x-multi", "b")
        .managed_identity("https://graph.microsoft.com")
        .content("{\"n\":1}")
        .timeout(Duration::from_millis(1500));
    ctx.call_http(request).await
}

#[orchestrator]
async fn plain_post(ctx: OrchestrationContext, uri: String) -> Result<HttpResponse> {
    ctx.call_http(HttpRequest::post(uri).json(json!({"n": 1}))?)
        .await
}

#[orchestrator]
async fn patient_get(ctx: OrchestrationContext, uri: String) -> Result<HttpResponse> {
    let policy = RetryPolicy::new(2, Duration::from_secs(1)).backoff(2.0);
    let request = HttpRequest::get(uri).retry(policy);
    ctx.call_http(request.retried_status_codes([500])).await
}

/// The only input of the requests among decisions.
fn requests(commands: &[Command]) -> Vec<Value> {
    let input = |command: &Command| match &command.action {
        Action::ScheduleTask { input, .. } => {
            let input: [Value; 1] = serde_json::from_str(input.as_deref().unwrap()).unwrap();
            let [request] = input;
            Some(request)
        }
        _ => None,
    };
    commands.iter().filter_map(input).collect()
}

fn answer(task: i32, status: u16, headers: &Value) -> EventKind {
    let answer = json!({"statusCode": status, "headers": headers, "content": ""});
    completed(task, &answer.to_string())
}

#[test]
fn requests_have_the_recorded_form() {
    let mut post = Driver::new(post, Session::Kept);
    let commands = post.start("\"http://a.example:81/jobs?x=1\"");
    let Action::ScheduleTask { name, input, .. } = &commands[0].action else {
        panic!("{commands:?}");
    };
    assert_eq!(name, HTTP_ACTIVITY_NAME);
    let expected = concat!(
        r#"[{"method":"POST","uri":"http://a.example:81/jobs?x=1","headers":{"#,
        r#""Authorization":"Basic eDp5","X-Functions-Key":"k","X-Multi":["a","b"]},"#,
        r#""content":"{\"n\":1}","tokenSource":{"kind":"AzureManagedIdentity","#,
        r#""resource":"https://graph.microsoft.com","options":null},"#,
        r#""asynchronousPatternEnabled":true,"retryOptions":null,"timeout":"00:00:01.5000000"}]"#,
    );
    assert_eq!(input.as_deref(), Some(expected));

    let mut patient = Driver::new(patient_get, Session::Kept);
    let request = requests(&patient.start("\"http://a.example\"")).remove(0);
    assert_eq!(
        request["retryOptions"],
        json!({
            "FirstRetryInterval": "00:00:01", "MaxRetryInterval": "6.00:00:00",
            "BackoffCoefficient": 2.0, "RetryTimeout": "10675199.02:48:05.4775807",
            "MaxNumberOfAttempts": 2, "StatusCodesToRetry": [500],
        })
    );
    let source = TokenSource::new("r").tenant("t");
    assert_eq!(
        serde_json::to_string(&source).unwrap(),
        r#"{"kind":"AzureManagedIdentity","resource":"r","options":"{\"authorityhost\":null,\"tenantid\":\"t\"}"}"#
    );
}

#[test]
fn an_answer_of_202_is_followed_up_with_a_timer_and_a_get() {
    for session in [Session::Kept, Session::Evicted] {
        let mut post = Driver::new(post, session);
        post.start("\"http://a.example/jobs\"");
        let accepted = json!({"location": "poll?y", "retry-after": "5"});
        let commands = post.episode(vec![answer(0, 202, &accepted)]).unwrap();
        assert_eq!(words(&commands), ["1:timer"]);
        let due = post.now.saturating_add(Duration::from_secs(5));
        assert_eq!(commands[0].action, Action::CreateTimer { fire_at: due });

        let commands = post.episode(vec![fired(1)]).unwrap();
        let request = requests(&commands).remove(0);
        assert_eq!(request["method"], "GET");
        assert_eq!(request["uri"], "http://a.example/poll?y");
        assert_eq!(request["content"], Value::Null);
        assert_eq!(request["timeout"], "00:00:01.5000000");
        assert_eq!(request["tokenSource"]["kind"], "AzureManagedIdentity");
        let headers = json!({"Authorization": "Basic eDp5", "X-Multi": ["a", "b"]});
        assert_eq!(request["headers"], headers);

        // Another server learns nothing secret, and its answers lead back to the first.
        let elsewhere = json!({"Location": "https://a.example/poll"});
        post.episode(vec![answer(2, 202, &elsewhere)]).unwrap();
        let commands = post.episode(vec![fired(3)]).unwrap();
        let request = requests(&commands).remove(0);
        assert_eq!(request["headers"], json!({"X-Multi": ["a", "b"]}));
        assert_eq!(request["tokenSource"], Value::Null);

        let done = post.episode(vec![answer(4, 204, &json!({}))]).unwrap();
        assert_eq!(words(&done), ["5:Completed"]);
    }
}

#[test]
fn pauses_are_seconds_dates_or_the_hubs() {
    let pause_after = |retry_after: Value| {
        let mut post = Driver::new(plain_post, Session::Kept);
        post.start("\"http://a.example/jobs\"");
        let headers = json!({"Location": "/poll", "Retry-After": retry_after});
        let commands = post.episode(vec![answer(0, 202, &headers)]).unwrap();
        let Action::CreateTimer { fire_at } = commands[0].action else {
            panic!("{commands:?}");
        };
        fire_at.saturating_since(post.now)
    };
    assert_eq!(pause_after(json!("0")), Duration::ZERO);
    // The driver's time is 2026-01-01T00:00:02Z by then.
    let date = json!("Thu, 01 Jan 2026 00:01:02 GMT");
    assert_eq!(pause_after(date), Duration::from_secs(60));
    let past = json!("Wed, 31 Dec 2025 00:01:02 GMT");
    assert_eq!(pause_after(past), Duration::ZERO);
    for other in [json!("soon"), json!("-5"), json!([])] {
        assert_eq!(pause_after(other), Duration::from_secs(30));
    }
    assert_eq!(
        pause_after(json!("99999999999")),
        Duration::from_secs(6 * 86_400)
    );
}

#[test]
fn an_answer_of_202_that_cannot_be_followed_is_the_answer() {
    for headers in [
        json!({}),
        json!(null),
        json!({"Location": "ftp://a.example/x"}),
    ] {
        let mut post = Driver::new(plain_post, Session::Evicted);
        post.start("\"http://a.example/jobs\"");
        let done = post.episode(vec![answer(0, 202, &headers)]).unwrap();
        assert_eq!(words(&done), ["1:Completed"], "{headers}");
    }
}

#[test]
fn a_request_that_fails_is_retried_and_then_polled() {
    let mut patient = Driver::new(patient_get, Session::Evicted);
    patient.start("\"http://a.example/jobs\"");
    let failed = EventKind::TaskFailed(Box::new(TaskFailed {
        task_scheduled_id: 0,
        reason: Some("Connection refused (a.example:80)".to_owned()),
        details: None,
        failure: None,
    }));
    assert_eq!(words(&patient.episode(vec![failed]).unwrap()), ["1:timer"]);
    let again = patient.episode(vec![fired(1)]).unwrap();
    assert_eq!(
        requests(&again)[0]["retryOptions"]["MaxNumberOfAttempts"],
        2
    );
    let accepted = json!({"Location": "/poll"});
    let commands = patient.episode(vec![answer(2, 202, &accepted)]).unwrap();
    assert_eq!(words(&commands), ["3:timer"]);
    let poll = patient.episode(vec![fired(3)]).unwrap();
    assert_eq!(requests(&poll)[0]["retryOptions"], Value::Null);
    assert_eq!(requests(&poll)[0]["uri"], "http://a.example/poll");
}

#[test]
fn tests_answer_requests_themselves_and_skip_the_pauses() {
    futures::executor::block_on(async {
        let answer = |request: Value| {
            let (status, headers) = match request["method"].as_str() {
                Some("POST") => (202, json!({"Location": "/poll"})),
                _ => (200, json!({})),
            };
            Ok(json!({"statusCode": status, "headers": headers, "content": request["uri"]}))
        };
        let mut hub = TestHub::new()
            .orchestrator(plain_post)
            .mock_by_name(HTTP_ACTIVITY_NAME, answer);
        let began = hub.now();
        let uri = "http://a.example/jobs".to_owned();
        let id = hub.start(plain_post, uri).await.unwrap();
        let last: HttpResponse = hub.output(&id).await.unwrap();
        assert_eq!(last.content, "http://a.example/poll");
        let took = hub.now().saturating_since(began);
        assert_eq!(took.as_secs(), 30, "the default pause");
    });
}

#[test]
fn addresses_that_are_none_fail_at_the_call() {
    for uri in ["/relative", "ftp://a.example", "nonsense"] {
        let mut post = Driver::new(plain_post, Session::Kept);
        let commands = post.start(&json!(uri).to_string());
        assert_eq!(words(&commands), ["0:Failed"], "{uri}");
    }
}

const ROUTES: &[Route] = &[
    (
        "/plain",
        "200 OK",
        &["X-One: a", "Set-Cookie: b", "Set-Cookie: c"],
        "{\"ok\":true}",
    ),
    (
        "/jobs",
        "202 Accepted",
        &["Location: /poll", "Retry-After: 0"],
        "",
    ),
    ("/later", "202 Accepted", &["Location: /poll"], ""),
    ("/poll", "200 OK", &["ETag: \"e\""], "done"),
    ("/bad", "500 Internal Server Error", &[], "why"),
    ("/moved", "302 Found", &["Location: /poll"], ""),
];

/// A hub in memory, and a worker that sends requests.
async fn hub(durable_http: bool) -> (TaskHub, durabletask_worker::RunningWorker) {
    let mut settings = HubSettings::new("Http", 2)
        .with_store(StoreChoice::Memory)
        .with_partition_count(1);
    settings.unregistered = Unregistered::Fail;
    settings.http_async_sleep = Duration::ZERO;
    let hub = TaskHub::open(settings, &Env::system()).await.unwrap();
    let worker = Worker::builder()
        .orchestrator(plain_post)
        .orchestrator(patient_get);
    let worker = if durable_http {
        worker.durable_http()
    } else {
        worker
    };
    let running = worker.build().unwrap().start(&hub);
    (hub, running)
}

#[tokio::test]
async fn requests_go_out_and_are_followed_up() {
    let server = Server::start(ROUTES).await;
    let (hub, running) = hub(true).await;
    let client = Client::new(&hub);
    let plain = client.run(plain_post, server.url("/plain")).await.unwrap();
    assert_eq!(plain.status_code, 200);
    assert_eq!(plain.json::<Value>().unwrap(), json!({"ok": true}));
    assert_eq!(
        serde_json::to_value(&plain.headers).unwrap(),
        json!({"Connection": "close", "X-One": "a", "Set-Cookie": ["b", "c"]})
    );
    let polled = client.run(plain_post, server.url("/jobs")).await.unwrap();
    assert_eq!((polled.status_code, polled.content.as_str()), (200, "done"));
    assert_eq!(polled.headers.get("etag"), Some("\"e\""));
    let began = hub.env().monotonic();
    let later = client.run(plain_post, server.url("/later")).await.unwrap();
    assert_eq!(later.content, "done");
    let took = hub.env().monotonic().saturating_sub(began);
    assert!(
        took < Duration::from_secs(20),
        "the hub's pause is none: {took:?}"
    );
    let bad = client.run(plain_post, server.url("/bad")).await.unwrap();
    assert_eq!((bad.status_code, bad.content.as_str()), (500, "why"));
    let moved = client.run(patient_get, server.url("/moved")).await.unwrap();
    assert_eq!(moved.content, "done");

    let received = server.received();
    let lines: Vec<_> = received
        .iter()
        .map(|text| text.lines().next().unwrap())
        .collect();
    let expected = [
        "POST /plain HTTP/1.1",
        "POST /jobs HTTP/1.1",
        "GET /poll HTTP/1.1",
        "POST /later HTTP/1.1",
        "GET /poll HTTP/1.1",
        "POST /bad HTTP/1.1",
        "GET /moved HTTP/1.1",
        "GET /poll HTTP/1.1",
    ];
    assert_eq!(lines, expected);
    assert!(
        received[0].contains("content-type: application/json\r\n"),
        "{}",
        received[0]
    );
    assert!(received[0].ends_with("\r\n\r\n{\"n\":1}"));
    assert!(!received[2].contains("content-type"), "{}", received[2]);
    running.stop().await.unwrap();
}

#[tokio::test]
async fn failures_have_the_texts_of_dotnet() {
    let server = Server::start(ROUTES).await;
    let (hub, running) = hub(true).await;
    let client = Client::new(&hub);
    // Nobody listens.
    let ended = client
        .start(plain_post, "http://127.0.0.1:1/nobody".to_owned())
        .await
        .unwrap();
    let status = client.wait(&ended, LIMIT).await.unwrap();
    assert_eq!(status.runtime_status, OrchestrationStatus::Failed);
    let output = status.output.unwrap();
    assert!(
        output.ends_with("Connection refused (127.0.0.1:1)"),
        "{output}"
    );
    // Every status code that shall be retried fails the activity, until no attempt is left.
    let ended = client.start(patient_get, server.url("/bad")).await.unwrap();
    let output = client.wait(&ended, LIMIT).await.unwrap().output.unwrap();
    let text = "Response status code does not indicate success: 500 (Internal Server Error).";
    assert!(output.ends_with(text), "{output}");
    assert_eq!(server.received().len(), 2);
    running.stop().await.unwrap();
}

/// Runs the activity as another language's orchestrator would ask for it.
async fn asked(input: &Value) -> ActivityOutcome {
    let worker = Worker::builder().durable_http().build().unwrap();
    let work = ActivityWork {
        instance: OrchestrationInstance::new("i", "e"),
        task_id: 0,
        name: HTTP_ACTIVITY_NAME.to_owned(),
        version: None,
        input: Some(input.to_string()),
        tags: None,
        orchestration_tags: None,
        trace_context: None,
        dequeue_count: 1,
    };
    worker.registry().run(work).await.unwrap()
}

fn failure(outcome: ActivityOutcome) -> String {
    match outcome {
        ActivityOutcome::Failed(failure) => failure.to_string(),
        ActivityOutcome::Completed(result) => panic!("{result:?}"),
    }
}

#[tokio::test]
async fn requests_of_other_languages_are_read_as_they_write_them() {
    let server = Server::start(ROUTES).await;
    let dotnet = json!([{
        "$type": "Microsoft.Azure.WebJobs.Extensions.DurableTask.DurableHttpRequest, X",
        "method": "POST", "uri": server.url("/jobs"),
        "headers": {"content-type": "application/x-www-form-urlencoded", "A": ["1", "2"]},
        "content": "a=b", "tokenSource": null, "asynchronousPatternEnabled": true,
        "retryOptions": null, "timeout": "00:00:30",
    }]);
    let ActivityOutcome::Completed(Some(result)) = asked(&dotnet).await else {
        panic!("no answer");
    };
    let expected = r#"{"statusCode":202,"headers":{"Connection":"close","Location":"/poll","Retry-After":"0"},"content":""}"#;
    assert_eq!(result, expected);
    let sent = server.received().remove(0);
    assert!(sent.contains("content-type: application/x-www-form-urlencoded; charset=utf-8\r\n"));
    assert!(sent.contains("a: 1\r\na: 2\r\n"), "{sent}");

    let bare = json!({"method": null, "uri": server.url("/plain")});
    assert!(matches!(asked(&bare).await, ActivityOutcome::Completed(_)));
    assert!(server.received()[1].starts_with("GET /plain"));

    let slow = json!([{"uri": server.url("/silence"), "timeout": "00:00:00.1000000"}]);
    let text = "System.TimeoutException: The operation was canceled. Reached user specified \
                timeout: 00:00:00.1000000.";
    assert_eq!(failure(asked(&slow).await), text);
}

#[tokio::test]
async fn what_cannot_be_sent_is_refused_in_words() {
    let uri = "http://127.0.0.1:1/";
    let token = |source: Value| json!([{"uri": uri, "tokenSource": source}]);
    let multipart = json!([{
        "uri": uri, "content": "x", "headers": {"Content-Type": "multipart/form-data"},
    }]);
    for (input, reason) in [
        (multipart, "Multipart content is not supported"),
        (
            token(json!({"kind": "Other"})),
            "token sources of kind \"Other\" are not supported",
        ),
        (
            token(json!({"$type": "My.Source, My"})),
            "token sources of kind null are not",
        ),
        (
            token(json!({
                "kind": "AzureManagedIdentity", "resource": "r",
                "options": "{\"authorityhost\":\"https://evil.example\"}",
            })),
            "tokens from 'https://evil.example' are not supported",
        ),
        (
            json!([{"uri": "file:///etc/passwd"}]),
            "is no http or https address",
        ),
        (
            json!([{"uri": uri, "method": "A B"}]),
            "'A B' is no HTTP method",
        ),
        (
            json!([{"uri": uri, "timeout": "soon"}]),
            "'soon' is no time span",
        ),
    ] {
        let said = failure(asked(&input).await);
        assert!(said.contains(reason), "{said}");
    }
}

#[tokio::test]
async fn a_worker_that_sends_no_requests_says_how_it_would() {
    let (hub, running) = hub(false).await;
    let client = Client::new(&hub);
    let ended = client
        .start(plain_post, "http://a.example".to_owned())
        .await
        .unwrap();
    let output = client.wait(&ended, LIMIT).await.unwrap().output.unwrap();
    assert!(
        output.contains("No activity named 'BuiltIn::HttpActivity' was found."),
        "{output}"
    );
    assert!(output.contains("`durable_http()`"), "{output}");
    running.stop().await.unwrap();
}
