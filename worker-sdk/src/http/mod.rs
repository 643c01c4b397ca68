//! Durable HTTP: requests that an orchestrator makes through the activity
//! [`BuiltIn::HttpActivity`](durabletask_core::HTTP_ACTIVITY_NAME), as Durable Functions has it
//! (chapter 05 §8, chapter 04 §9.9). On the wire and in history it is the same: a Functions host
//! runs our requests, and a Rust worker theirs.

mod activity;
mod headers;
mod poll;
mod request;
mod response;

pub(crate) use activity::HttpActivity;
pub use headers::HttpHeaders;
pub(crate) use poll::Polling;
pub use request::{HttpRequest, TokenSource};
pub use response::HttpResponse;
