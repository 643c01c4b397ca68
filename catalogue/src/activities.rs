//! The catalogue's activities. Failures carry the type names that .NET gives them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use durabletask_worker::FailureDetails;
use durabletask_worker::prelude::*;

/// `Hello {name}!`
#[activity(name = "SayHello")]
pub async fn say_hello(_: ActivityContext, name: String) -> Result<String> {
    Ok(format!("Hello {name}!"))
}

/// Twice the number.
#[activity(name = "Double")]
pub async fn double(_: ActivityContext, number: i64) -> Result<i64> {
    Ok(2 * number)
}

/// That many times `x`.
#[activity(name = "Big")]
pub async fn big(_: ActivityContext, count: usize) -> Result<String> {
    Ok("x".repeat(count))
}

/// Fails with that message and a cause.
#[activity(name = "Fail")]
pub async fn fail(_: ActivityContext, message: String) -> Result<String> {
    let cause = FailureDetails::new("System.ArgumentException", format!("inner {message}"));
    let mut failure = FailureDetails::new("System.InvalidOperationException", message);
    failure.inner = Some(Box::new(cause));
    Err(Failure::from_details(failure))
}

/// Fails on the first two calls for a key, then returns the number of the call. Clones count
/// together.
#[derive(Debug, Clone, Default)]
pub struct Flaky {
    calls: Arc<Mutex<BTreeMap<String, u32>>>,
}

/// Calls of one key that fail.
const FLAKY_FAILURES: u32 = 2;

impl Activity for Flaky {
    const NAME: &'static str = "Flaky";
    type Input = String;
    type Output = u32;

    async fn run(&self, _: ActivityContext, key: String) -> Result<u32> {
        let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        let call = calls.entry(key).or_default();
        *call += 1;
        if *call <= FLAKY_FAILURES {
            let message = format!("try {call}");
            return Err(Failure::new("System.TimeoutException", message));
        }
        Ok(*call)
    }
}
