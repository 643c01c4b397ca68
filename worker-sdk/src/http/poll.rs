//! What follows an answer of 202 (chapter 05 §8.4).

use std::time::Duration;

use durabletask_core::replay::{CallSite, MAX_PAUSE_SECONDS, Replay, TaskOutcome};
use durabletask_core::{HTTP_ACTIVITY_NAME, Timestamp, http_date};
use reqwest::Url;

use super::request::{WireRequest, web_address};
use super::{HttpRequest, HttpResponse};
use crate::retry::Called;
use crate::series::Goes;
use crate::{Result, payload};

const ACCEPTED: u16 = 202;

/// A request whose answer may be 202: asks again, after a timer, at the `Location` that it names,
/// for as long as that is the answer.
pub(crate) struct Polling {
    request: WireRequest,
    origin: Url,
    at: CallSite,
    /// The poll that the timer holds back.
    next: Option<Called>,
}

impl Polling {
    /// The call that sends the request, and what follows its answer, if anything shall.
    pub(crate) fn new(request: &HttpRequest, at: CallSite) -> Result<(Called, Option<Self>)> {
        let origin = request.url()?;
        let called = called(&request.wire)?;
        let polling = request.wire.polls.then(|| Self {
            request: request.wire.clone(),
            origin,
            at,
            next: None,
        });
        Ok((called, polling))
    }

    /// Takes up the answer to the current task: of the request, a poll, or the timer before one.
    pub(crate) fn answered(mut self, outcome: TaskOutcome, replay: &mut Replay) -> Goes<Self> {
        let task = match &outcome {
            TaskOutcome::Fired => self.next.take().map(|poll| poll.call(replay, self.at)),
            TaskOutcome::Failed(_) => None,
            TaskOutcome::Completed(result) => {
                self.poll_after(result.as_deref(), replay)
                    .map(|(pause, poll)| {
                        self.next = Some(poll);
                        let due = replay.now().saturating_add(pause);
                        replay.create_timer(due, self.at)
                    })
            }
        };
        match task {
            Some(task) => Goes::On(task, self),
            None => Goes::Ends(outcome),
        }
    }

    /// The poll that an answer asks for. An answer that cannot be followed is the last one.
    fn poll_after(&self, result: Option<&str>, replay: &Replay) -> Option<(Duration, Called)> {
        let answer: HttpResponse = payload::read(result, String::new).ok()?;
        if answer.status_code != ACCEPTED {
            return None;
        }
        let poll = called(&self.request_at(answer.headers.get("Location")?)?).ok()?;
        let pause = answer.headers.get("Retry-After");
        let pause = pause.and_then(|text| pause_of(text, replay.now()));
        let pause = pause.unwrap_or(replay.options().http_poll_pause);
        Some((pause.min(Duration::from_secs(MAX_PAUSE_SECONDS)), poll))
    }

    /// The original request with GET there, without content; without what proves who is asking if
    /// that is another server.
    fn request_at(&self, location: &str) -> Option<WireRequest> {
        let url = web_address(self.origin.join(location).ok()?.as_str())?;
        let is_absolute = web_address(location).is_some();
        let uri = if is_absolute {
            location.to_owned()
        } else {
            url.to_string()
        };
        let mut request = WireRequest {
            method: "GET".to_owned(),
            uri,
            content: None,
            retry_options: None,
            ..self.request.clone()
        };
        request.headers.remove("x-functions-key");
        if url.origin() != self.origin.origin() {
            request.headers.remove("Authorization");
            request.headers.remove("Cookie");
            request.token_source = None;
        }
        Some(request)
    }
}

fn called(request: &WireRequest) -> Result<Called> {
    Ok(Called::Activity {
        name: HTTP_ACTIVITY_NAME.to_owned(),
        version: None,
        input: payload::write_argument(request, || "an HTTP request".to_owned())?,
        tags: None,
    })
}

/// `Retry-After`: seconds, or a date.
fn pause_of(text: &str, now: Timestamp) -> Option<Duration> {
    let text = text.trim();
    let seconds = text.parse().ok().map(Duration::from_secs);
    seconds.or_else(|| Some(http_date::parse(text)?.saturating_since(now)))
}
