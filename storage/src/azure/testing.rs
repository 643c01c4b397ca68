//! A loopback server that answers as it is told, and an environment whose sleeps take no time.
#![allow(
    clippy::disallowed_methods,
    reason = "the server is not under test; its tasks end with the test's runtime"
)]

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use durabletask_core::Timestamp;
use futures::future::BoxFuture;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::{AzureOptions, Connection, RetryLimits};
use crate::env::{Env, Environment};

/// Base64 of `the-secret-key`.
pub(crate) const KEY: &str = "dGhlLXNlY3JldC1rZXk=";

/// What the server does with one request.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    /// Answers.
    Answer(String),
    /// Reads the request and resets the connection.
    Reset,
    /// Reads the request and never answers.
    Silence,
    /// Announces more than it sends, then closes.
    CutShort(String),
}

impl Step {
    /// An answer with the headers that the live service sends.
    pub(crate) fn answer(status: u16, headers: &[(&str, &str)], body: &str) -> Self {
        let mut text = format!(
            "HTTP/1.1 {status} X\r\nx-ms-request-id: r-1\r\nContent-Length: {}\r\n",
            body.len()
        );
        for (name, value) in headers {
            let _ = write!(text, "{name}: {value}\r\n");
        }
        Self::Answer(format!("{text}\r\n{body}"))
    }
}

impl Step {
    /// As another kind of server would answer.
    pub(crate) fn without_storage_headers(self) -> Self {
        match self {
            Self::Answer(text) => Self::Answer(text.replace("x-ms-request-id: r-1\r\n", "")),
            other => other,
        }
    }
}

/// A request as it arrived.
#[derive(Debug, Clone)]
pub(crate) struct Received {
    /// Request line and headers.
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Received {
    pub(crate) fn line(&self) -> &str {
        self.head.lines().next().unwrap_or_default()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (given, value) = line.split_once(':')?;
            given.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }
}

#[derive(Debug)]
pub(crate) struct Server {
    address: String,
    received: Arc<Mutex<Vec<Received>>>,
    arrivals: tokio::sync::watch::Receiver<usize>,
}

impl Server {
    pub(crate) async fn start(steps: impl IntoIterator<Item = Step>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let steps = Arc::new(Mutex::new(steps.into_iter().collect::<VecDeque<_>>()));
        let received = Arc::new(Mutex::new(Vec::new()));
        let (arrived, arrivals) = tokio::sync::watch::channel(0);
        let arrived = Arc::new(arrived);
        let log = Arc::clone(&received);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (steps, log) = (Arc::clone(&steps), Arc::clone(&log));
                tokio::spawn(serve(stream, steps, log, Arc::clone(&arrived)));
            }
        });
        Self {
            address,
            received,
            arrivals,
        }
    }

    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    pub(crate) fn received(&self) -> Vec<Received> {
        self.received.lock().unwrap().clone()
    }

    /// Waits until that many requests have arrived.
    pub(crate) async fn has_received(&self, count: usize) {
        let mut arrivals = self.arrivals.clone();
        arrivals
            .wait_for(|arrived| *arrived >= count)
            .await
            .unwrap();
    }

    pub(crate) fn connection(&self) -> Connection {
        Connection::parse(&self.endpoints(&format!("AccountName=shop;AccountKey={KEY}"))).unwrap()
    }

    pub(crate) fn endpoints(&self, rest: &str) -> String {
        let address = &self.address;
        format!(
            "{rest};BlobEndpoint={address}/shop;QueueEndpoint={address}/shop;TableEndpoint={address}/shop"
        )
    }
}

async fn serve(
    mut stream: TcpStream,
    steps: Arc<Mutex<VecDeque<Step>>>,
    log: Arc<Mutex<Vec<Received>>>,
    arrived: Arc<tokio::sync::watch::Sender<usize>>,
) {
    while let Some(request) = read_request(&mut stream).await {
        log.lock().unwrap().push(request);
        let step = steps.lock().unwrap().pop_front();
        arrived.send_modify(|count| *count += 1);
        match step {
            Some(Step::Answer(text)) => {
                if stream.write_all(text.as_bytes()).await.is_err() {
                    return;
                }
            }
            Some(Step::CutShort(text)) => {
                let _ = stream.write_all(text.as_bytes()).await;
                return;
            }
            Some(Step::Silence) => std::future::pending().await,
            Some(Step::Reset) => {
                let _ = stream.set_zero_linger();
                return;
            }
            None => {
                let _ = stream
                    .write_all(b"HTTP/1.1 501 No step left\r\nContent-Length: 0\r\n\r\n")
                    .await;
            }
        }
    }
}

async fn read_request(stream: &mut TcpStream) -> Option<Received> {
    let mut bytes = Vec::new();
    let head_end = loop {
        if let Some(at) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break at + 4;
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let head = String::from_utf8(bytes[..head_end].to_vec()).unwrap();
    let mut request = Received {
        head,
        body: bytes.split_off(head_end),
    };
    let length = request
        .header("content-length")
        .map_or(0, |length| length.parse().unwrap());
    while request.body.len() < length {
        if stream.read_buf(&mut request.body).await.ok()? == 0 {
            return None;
        }
    }
    Some(request)
}

/// Limits that let tests end soon.
pub(crate) fn options() -> AzureOptions {
    AzureOptions {
        max_concurrency: 8,
        connect_limit: Duration::from_secs(5),
        attempt_limit: Duration::from_millis(300),
        lease_attempt_limit: Duration::from_millis(300),
        retry: RetryLimits {
            max_attempts: 3,
            max_connect_attempts: 2,
            ..RetryLimits::default()
        },
    }
}

/// Virtual time: a sleep moves the clock and ends at once.
#[derive(Debug, Clone, Default)]
pub(crate) struct TestClock {
    elapsed_micros: Arc<AtomicU64>,
    pub(crate) sleeps: Arc<Mutex<Vec<Duration>>>,
}

impl TestClock {
    pub(crate) fn env(&self) -> Env {
        Env::new(self.clone())
    }

    pub(crate) fn advance(&self, by: Duration) {
        let micros = u64::try_from(by.as_micros()).unwrap();
        self.elapsed_micros.fetch_add(micros, Ordering::Relaxed);
    }
}

impl Environment for TestClock {
    fn now(&self) -> Timestamp {
        let start: Timestamp = "2026-11-21T12:00:00Z".parse().unwrap();
        start.saturating_add(self.monotonic())
    }

    fn monotonic(&self) -> Duration {
        Duration::from_micros(self.elapsed_micros.load(Ordering::Relaxed))
    }

    fn sleep(&self, delay: Duration) -> BoxFuture<'static, ()> {
        let clock = self.clone();
        Box::pin(async move {
            clock.sleeps.lock().unwrap().push(delay);
            clock.advance(delay);
        })
    }

    fn fill_random(&self, buffer: &mut [u8]) {
        buffer.fill(0x80);
    }

    fn spawn(&self, _: BoxFuture<'static, ()>) {
        panic!("storage starts no tasks");
    }

    fn has_threads(&self) -> bool {
        false
    }
}

/// What must never be seen: the key in both forms.
pub(crate) fn key_forms() -> [String; 2] {
    let plain = String::from_utf8(STANDARD.decode(KEY).unwrap()).unwrap();
    [KEY.to_owned(), plain]
}
