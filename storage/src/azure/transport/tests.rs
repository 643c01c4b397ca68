//! Against a server that answers as told: retries, unknown outcomes, limits, credentials.

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use azure_core_1::credentials::{AccessToken, TokenCredential, TokenRequestOptions};
use futures::FutureExt;
use futures::future::join;

use crate::azure::testing::{KEY, Server, Step, TestClock, options};
use crate::azure::transport::Transport;
use crate::azure::{AzureAccount, Connection, account};
use crate::error::{ErrorKind, StorageError};
use crate::table::{Condition, ETag, Row, Write};
use crate::{Account, MessageHandle};

const BUSY: &str = r#"{"odata.error":{"code":"ServerBusy","message":{"value":"busy"}}}"#;
const CONFLICT: &str = r#"{"odata.error":{"code":"EntityAlreadyExists","message":{"value":"The specified entity already exists."}}}"#;
const NO_MESSAGE: &str = "<?xml version=\"1.0\"?><Error><Code>MessageNotFound</Code></Error>";
const PUT_ANSWER: &str = "<?xml version=\"1.0\"?><QueueMessagesList><QueueMessage><MessageId>id</MessageId>\
    <InsertionTime>Sat, 21 Nov 2026 12:30:48 GMT</InsertionTime><ExpirationTime>Fri, 31 Dec 9999 23:59:59 GMT</ExpirationTime>\
    <PopReceipt>pr</PopReceipt><TimeNextVisible>Sat, 21 Nov 2026 12:30:48 GMT</TimeNextVisible></QueueMessage></QueueMessagesList>";

struct Bench {
    server: Server,
    clock: TestClock,
    account: Account,
}

async fn bench(steps: impl IntoIterator<Item = Step>) -> Bench {
    let server = Server::start(steps).await;
    let clock = TestClock::default();
    let account = AzureAccount::connect(&server.connection(), options(), clock.env()).unwrap();
    Bench {
        server,
        clock,
        account,
    }
}

fn insert() -> Write {
    Write::Insert(Row::new("p", "r"))
}

fn busy() -> Step {
    Step::answer(503, &[("Retry-After", "7")], BUSY)
}

fn shown(error: &StorageError) -> String {
    let mut text = format!("{error} {error:?}");
    let mut cause: Option<&dyn std::error::Error> = std::error::Error::source(error);
    while let Some(inner) = cause {
        let _ = write!(text, " {inner} {inner:?}");
        cause = inner.source();
    }
    text
}

#[tokio::test]
async fn the_clock_follows_the_dates_of_answers() {
    let dated = Step::answer(
        200,
        &[("Date", "Sat, 21 Nov 2026 12:30:48 GMT")],
        PUT_ANSWER,
    );
    let bench = bench([dated]).await;
    bench.account.queues.count_messages("q").await.unwrap_err();
    bench.clock.advance(Duration::from_secs(3));
    let middle = "2026-11-21T12:30:51.5Z".parse().unwrap();
    assert_eq!(bench.account.clock.now(), middle);
}

#[tokio::test]
async fn the_identical_request_is_sent_again_newly_signed() {
    // covers: C02-5
    let bench = bench([Step::Reset, busy(), Step::answer(201, &[], PUT_ANSWER)]).await;
    let sent = bench
        .account
        .queues
        .put_message("q", "a<b", Some(0))
        .await
        .unwrap();
    assert_eq!(sent.handle.pop_receipt, "pr");
    let received = bench.server.received();
    assert_eq!(received.len(), 3);
    for request in &received {
        assert_eq!(
            request.line(),
            "POST /shop/q/messages?visibilitytimeout=0&messagettl=-1 HTTP/1.1"
        );
        assert_eq!(
            request.body,
            "\u{feff}<QueueMessage><MessageText>a&lt;b</MessageText></QueueMessage>".as_bytes()
        );
        assert!(
            request
                .header("authorization")
                .unwrap()
                .starts_with("SharedKey shop:")
        );
    }
    assert_ne!(
        received[0].header("authorization"),
        received[2].header("authorization")
    );
    assert_eq!(
        received[0].header("x-ms-date"),
        Some("Sat, 21 Nov 2026 12:00:00 GMT")
    );
    let sleeps = bench.clock.sleeps.lock().unwrap().clone();
    assert_eq!(sleeps.len(), 2);
    assert!(sleeps[0] < Duration::from_millis(320), "{sleeps:?}");
    assert_eq!(sleeps[1], Duration::from_secs(7), "Retry-After is honoured");
}

#[tokio::test]
async fn a_conflict_after_an_unanswered_attempt_says_so() {
    for unanswered in [
        Step::Reset,
        Step::Silence,
        Step::answer(500, &[], ""),
        Step::CutShort("HTTP/1.1 204 X\r\nContent-Le".into()),
        Step::CutShort("HTTP/1.1 200 X\r\nContent-Length: 9\r\n\r\nx".into()),
    ] {
        let name = format!("{unanswered:?}");
        let bench = bench([unanswered, Step::answer(409, &[], CONFLICT)]).await;
        let error = bench.account.tables.write("T", insert()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AlreadyExists, "{name}");
        assert!(error.is_after_unknown(), "{name}");
        assert_eq!(error.code(), Some("EntityAlreadyExists"));
        assert_eq!(bench.server.received().len(), 2);
    }
}

#[tokio::test]
async fn a_conflict_after_a_definite_rejection_is_a_plain_conflict() {
    let bench = bench([busy(), Step::answer(409, &[], CONFLICT)]).await;
    let error = bench.account.tables.write("T", insert()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AlreadyExists);
    assert!(!error.is_after_unknown());
}

#[tokio::test]
async fn when_attempts_run_out_the_error_says_what_is_known() {
    let resets = || [Step::Reset, Step::Reset, Step::Reset];
    let bench = bench(resets().into_iter().chain(resets()).chain([
        busy(),
        busy(),
        busy(),
        Step::Reset,
        busy(),
        busy(),
    ]))
    .await;
    let tables = &bench.account.tables;
    let error = tables.write("T", insert()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UnknownOutcome, "{error}");
    let error = tables
        .query("T", &crate::Query::default())
        .await
        .unwrap_err();
    assert_eq!(
        error.kind(),
        ErrorKind::Unreachable,
        "a read changes nothing"
    );
    let error = tables.write("T", insert()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Throttled);
    assert_eq!(error.retry_after(), Some(Duration::from_secs(7)));
    let error = tables.write("T", insert()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UnknownOutcome, "{error}");
    assert_eq!(bench.server.received().len(), 12);
}

#[tokio::test]
async fn a_pause_beyond_the_total_limit_ends_the_attempts() {
    let bench = bench([Step::answer(503, &[("Retry-After", "3600")], BUSY)]).await;
    let error = bench.account.tables.write("T", insert()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Throttled);
    assert_eq!(error.retry_after(), Some(Duration::from_secs(3600)));
    assert!(bench.clock.sleeps.lock().unwrap().is_empty());
}

#[tokio::test]
async fn nothing_listening_is_unreachable_not_unknown() {
    // Bound and dropped: nobody listens there.
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .and_then(|listener| listener.local_addr())
        .unwrap()
        .port();
    let base = format!("http://127.0.0.1:{port}/shop");
    let connection = Connection::parse(&format!(
        "AccountName=shop;AccountKey={KEY};BlobEndpoint={base};QueueEndpoint={base};TableEndpoint={base}"
    ))
    .unwrap();
    let clock = TestClock::default();
    let account = AzureAccount::connect(&connection, options(), clock.env()).unwrap();
    let error = account.tables.write("T", insert()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unreachable);
    assert_eq!(clock.sleeps.lock().unwrap().len(), 1);
    let text = error.to_string();
    assert!(
        text.contains(&base) && text.contains("is the emulator running?"),
        "{text}"
    );
}

#[tokio::test]
async fn deleting_what_an_unanswered_attempt_deleted_succeeds() {
    let bench = bench([
        Step::Reset,
        Step::answer(404, &[], NO_MESSAGE),
        Step::answer(404, &[], NO_MESSAGE),
    ])
    .await;
    let handle = MessageHandle {
        id: "id".into(),
        pop_receipt: "a+b/c=".into(),
    };
    let queues = &bench.account.queues;
    queues.delete_message("q", &handle).await.unwrap();
    let error = queues.delete_message("q", &handle).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert_eq!(
        bench.server.received()[0].line(),
        "DELETE /shop/q/messages/id?popreceipt=a%2Bb%2Fc%3D HTTP/1.1"
    );
}

#[tokio::test]
async fn refusals_of_the_live_service_are_understood() {
    // covers: R1-12
    // Neither x-ms-error-code nor a fixed number of ETag digits.
    const BEING_DELETED: &str = r#"{"odata.error":{"code":"TableBeingDeleted","message":{"value":"The specified table is being deleted. Try operation later."}}}"#;
    const STALE: &str = r#"{"odata.error":{"code":"UpdateConditionNotSatisfied","message":{"value":"0:The update condition specified in the request was not satisfied."}}}"#;
    let bench = bench([
        Step::answer(409, &[], BEING_DELETED),
        Step::answer(409, &[], BEING_DELETED),
        Step::answer(412, &[], STALE),
        Step::answer(404, &[], "<html>nginx</html>").without_storage_headers(),
        Step::answer(403, &[("x-ms-error-code", "AuthenticationFailed")], "<Error><Code>AuthenticationFailed</Code><AuthenticationErrorDetail>MAC s3cret</AuthenticationErrorDetail></Error>"),
    ])
    .await;
    let tables = &bench.account.tables;
    let error = tables.create_table("T").await.unwrap_err();
    assert_eq!(
        error.kind(),
        ErrorKind::BeingDeleted,
        "through the control plane"
    );
    assert_eq!(error.code(), Some("TableBeingDeleted"));
    assert_eq!(
        tables.write("T", insert()).await.unwrap_err().kind(),
        ErrorKind::BeingDeleted
    );
    let replace = Write::Replace(
        Row::new("p", "r"),
        Condition::Matches(ETag("W/\"1\"".into())),
    );
    let error = tables.write("T", replace).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PreconditionFailed);
    assert_eq!(error.failed_index(), None, "not a transaction");
    let error = tables.write("T", insert()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(error.to_string().contains("not Azure Storage"), "{error}");
    let error = tables.write("T", insert()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unauthorized);
    assert!(error.to_string().contains("account key"), "{error}");
    assert!(!shown(&error).contains("s3cret"));
}

#[tokio::test]
async fn a_failed_transaction_names_the_operation() {
    let refused = |status: u16, json: &str| {
        let body = format!(
            "--batchresponse_1\r\nContent-Type: multipart/mixed; boundary=changesetresponse_2\r\n\r\n--changesetresponse_2\r\n\
             Content-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n\r\nHTTP/1.1 {status} X\r\nDataServiceVersion: 3.0;\r\n\
             Content-Type: application/json\r\n\r\n{json}\r\n--changesetresponse_2--\r\n--batchresponse_1--\r\n"
        );
        Step::answer(202, &[], &body)
    };
    let conflict = CONFLICT.replace("The specified", "1:The specified");
    let bench = bench([
        refused(
            500,
            r#"{"odata.error":{"code":"OperationTimedOut","message":{"value":"0:x"}}}"#,
        ),
        refused(409, &conflict),
        refused(409, CONFLICT),
    ])
    .await;
    let writes = vec![insert(), Write::InsertOrReplace(Row::new("p", "s"))];
    let tables = &bench.account.tables;
    let error = tables.transact("T", writes).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AlreadyExists);
    assert_eq!(error.failed_index(), Some(1));
    assert!(error.is_after_unknown(), "the wrapped 500 left it open");
    let received = bench.server.received();
    assert_eq!(received[0].body, received[1].body, "the identical request");
    let error = tables.transact("T", vec![insert()]).await.unwrap_err();
    assert_eq!(error.failed_index(), Some(0), "there is only one");
}

#[tokio::test]
async fn continuations_of_the_live_service_go_back_as_they_came() {
    let first = [
        ("x-ms-continuation-NextPartitionKey", "1!24!bGlz+dA--"),
        ("x-ms-continuation-NextRowKey", "1!4!cA--"),
    ];
    let bench = bench([
        Step::answer(200, &first, r#"{"value":[]}"#),
        Step::answer(200, &first[..1], r#"{"value":[]}"#),
        Step::answer(200, &[], r#"{"value":[]}"#),
    ])
    .await;
    let mut query = crate::Query::filter("PartitionKey eq 'a''b'");
    query.select = vec!["Name".into()];
    query.top = Some(5);
    for _ in 0..3 {
        let page = bench.account.tables.query("T", &query).await.unwrap();
        query.continuation = page.continuation;
    }
    assert_eq!(query.continuation, None);
    let lines: Vec<_> = bench
        .server
        .received()
        .iter()
        .map(|request| request.line().to_owned())
        .collect();
    let start = "GET /shop/T()?$filter=PartitionKey%20eq%20%27a%27%27b%27&$select=Name%2CPartitionKey%2CRowKey%2CTimestamp&$top=5";
    assert_eq!(
        lines,
        [
            format!("{start} HTTP/1.1"),
            format!(
                "{start}&NextPartitionKey=1%2124%21bGlz%2BdA--&NextRowKey=1%214%21cA-- HTTP/1.1"
            ),
            format!("{start}&NextPartitionKey=1%2124%21bGlz%2BdA-- HTTP/1.1"),
        ]
    );
}

#[tokio::test]
async fn the_control_plane_keeps_statuses_and_retries() {
    let bench = bench([
        Step::Reset,
        Step::answer(201, &[], ""),
        Step::answer(204, &[], ""),
        Step::answer(404, &[("x-ms-error-code", "QueueNotFound")], ""),
        Step::Reset,
        Step::answer(404, &[("x-ms-error-code", "QueueNotFound")], ""),
        Step::answer(409, &[("x-ms-error-code", "LeaseAlreadyPresent")], ""),
    ])
    .await;
    let queues = &bench.account.queues;
    assert!(queues.create_queue("q-1").await.unwrap());
    assert!(!queues.create_queue("q-1").await.unwrap());
    assert!(!queues.delete_queue("q-1").await.unwrap());
    assert!(
        queues.delete_queue("q-1").await.unwrap(),
        "the reset one did it"
    );
    let lease = "11111111-1111-1111-1111-111111111111";
    let error = bench
        .account
        .blobs
        .acquire_lease("c", Some("a/b"), lease, Some(15))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::LeaseLost);
    assert_eq!(error.resource(), "c/a/b");
    let last = bench.server.received().pop().unwrap();
    assert_eq!(last.line(), "PUT /shop/c/a/b?comp=lease HTTP/1.1");
    assert_eq!(last.header("x-ms-version"), Some("2020-12-06"));
    assert_eq!(last.header("x-ms-lease-duration"), Some("15"));
}

#[tokio::test]
async fn leases_pass_by_the_queue_of_other_requests() {
    let server = Server::start([
        Step::Silence,
        Step::answer(200, &[("x-ms-lease-id", "x")], ""),
        Step::answer(200, &[], r#"{"value":[]}"#),
    ])
    .await;
    let mut limits = options();
    limits.max_concurrency = 1;
    limits.attempt_limit = Duration::from_secs(3600);
    let clock = TestClock::default();
    let account = AzureAccount::connect(&server.connection(), limits, clock.env()).unwrap();
    let query = crate::Query::default();
    let mut stuck = account.tables.query("T", &query);
    let mut waiting = account.tables.query("T", &query);
    let meanwhile = async {
        server.has_received(1).await;
        assert!((&mut waiting).now_or_never().is_none());
        let lease = "11111111-1111-1111-1111-111111111111";
        account
            .blobs
            .renew_lease("c", Some("b"), lease)
            .await
            .unwrap();
        assert!(
            (&mut waiting).now_or_never().is_none(),
            "there is one place"
        );
    };
    match futures::future::select(&mut stuck, Box::pin(meanwhile)).await {
        futures::future::Either::Left(_) => panic!("the first request is never answered"),
        futures::future::Either::Right(((), _)) => {}
    }
    assert_eq!(
        server.received().len(),
        2,
        "the second query has not been sent"
    );
    drop(stuck);
    waiting.await.unwrap();
}

#[tokio::test]
async fn a_signature_goes_to_the_end_of_the_query_and_nowhere_else() {
    let server = Server::start([
        Step::answer(200, &[], r#"{"value":[]}"#),
        Step::Reset,
        Step::Reset,
        Step::Reset,
    ])
    .await;
    let text = server.endpoints("SharedAccessSignature=?sv=2022&sig=s3cret%2B");
    let connection = Connection::parse(&text).unwrap();
    let clock = TestClock::default();
    let account = AzureAccount::connect(&connection, options(), clock.env()).unwrap();
    let query = crate::Query::filter("A eq 1");
    account.tables.query("T", &query).await.unwrap();
    let request = &server.received()[0];
    assert_eq!(
        request.line(),
        "GET /shop/T()?$filter=A%20eq%201&sv=2022&sig=s3cret%2B HTTP/1.1"
    );
    assert_eq!(request.header("authorization"), None);
    let error = account.tables.query("T", &query).await.unwrap_err();
    assert!(!shown(&error).contains("s3cret"), "{}", shown(&error));
    assert!(!account.blobs.container_url("c").contains("s3cret"));
}

/// Gives out numbered tokens that last an hour.
#[derive(Debug)]
struct Tokens {
    given: AtomicU32,
    clock: TestClock,
}

#[async_trait::async_trait]
impl TokenCredential for Tokens {
    async fn get_token(
        &self,
        scopes: &[&str],
        _: Option<TokenRequestOptions<'_>>,
    ) -> azure_core_1::Result<AccessToken> {
        assert_eq!(scopes, ["https://storage.azure.com/.default"]);
        let number = self.given.fetch_add(1, Ordering::Relaxed) + 1;
        let ends_at = self.clock.env().now().to_unix().as_secs() + 3600;
        let ends_at = time::OffsetDateTime::from_unix_timestamp(i64::try_from(ends_at).unwrap());
        Ok(AccessToken::new(
            format!("t0ken-{number}"),
            ends_at.unwrap(),
        ))
    }
}

#[tokio::test]
async fn tokens_are_kept_refreshed_and_dropped_when_refused() {
    let page = || Step::answer(200, &[], r#"{"value":[]}"#);
    let refused = Step::answer(401, &[("x-ms-error-code", "InvalidAuthenticationInfo")], "");
    let server = Server::start([page(), page(), page(), refused, page()]).await;
    let clock = TestClock::default();
    let tokens = Arc::new(Tokens {
        given: AtomicU32::new(0),
        clock: clock.clone(),
    });
    let transport = Transport::new(&server.connection(), options(), clock.env())
        .unwrap()
        .with_token_source(tokens);
    let account = account(&Arc::new(transport));
    let query = crate::Query::default();
    let read = || account.tables.query("T", &query);
    let (one, two) = join(read(), read()).await;
    assert!(one.is_ok() && two.is_ok());
    // Less than five minutes before its end.
    clock.advance(Duration::from_secs(3400));
    read().await.unwrap();
    let error = read().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unauthorized);
    assert!(!shown(&error).contains("t0ken"));
    read().await.unwrap();
    let sent: Vec<_> = server
        .received()
        .iter()
        .map(|request| request.header("authorization").unwrap().to_owned())
        .collect();
    let expected = [1, 1, 2, 2, 3].map(|number| format!("Bearer t0ken-{number}"));
    assert_eq!(sent, expected);
}
