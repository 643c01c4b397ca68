//! A tiny HTTP server that answers each path as it is told and remembers what it was asked.
#![allow(
    clippy::disallowed_methods,
    reason = "the server is not under test; its tasks end with the test's runtime"
)]

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// Path, status line, headers and body.
pub(crate) type Route = (
    &'static str,
    &'static str,
    &'static [&'static str],
    &'static str,
);

pub(crate) struct Server {
    address: String,
    received: Arc<Mutex<Vec<String>>>,
}

impl Server {
    pub(crate) async fn start(routes: &'static [Route]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let received = Arc::<Mutex<Vec<String>>>::default();
        let log = Arc::clone(&received);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, routes, Arc::clone(&log)));
            }
        });
        Self { address, received }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.address)
    }

    /// Whole requests as they arrived, header names in lower case.
    pub(crate) fn received(&self) -> Vec<String> {
        self.received.lock().unwrap().clone()
    }
}

/// One request per connection. A path without a route is never answered.
async fn serve(mut stream: TcpStream, routes: &[Route], log: Arc<Mutex<Vec<String>>>) {
    let mut text = String::new();
    let mut buffer = [0; 4096];
    while !is_whole(&text) {
        let read = stream.read(&mut buffer).await.unwrap();
        if read == 0 {
            return;
        }
        text.push_str(std::str::from_utf8(&buffer[..read]).unwrap());
    }
    let path = text.split(' ').nth(1).unwrap_or_default().to_owned();
    log.lock().unwrap().push(text);
    let Some((_, status, headers, body)) = routes.iter().find(|route| route.0 == path) else {
        return std::future::pending().await;
    };
    let length = format!("Content-Length: {}", body.len());
    let mut lines = vec![length.as_str(), "Connection: close"];
    lines.extend(*headers);
    let answer = format!("HTTP/1.1 {status}\r\n{}\r\n\r\n{body}", lines.join("\r\n"));
    stream.write_all(answer.as_bytes()).await.unwrap();
}

fn is_whole(text: &str) -> bool {
    let Some((head, body)) = text.split_once("\r\n\r\n") else {
        return false;
    };
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        let is_length = name.eq_ignore_ascii_case("content-length");
        is_length.then(|| value.trim().parse::<usize>().unwrap())
    });
    body.len() >= length.unwrap_or(0)
}
