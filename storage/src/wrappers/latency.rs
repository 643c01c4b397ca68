//! Makes every call take time, so that critical paths can be measured in storage calls.

use std::sync::Arc;
use std::time::Duration;

use super::Outcome;
use super::layered::{Call, Layer, wrap};
use crate::{Account, Env};

/// Delays each call by a fixed time, half of it on the way there and half on the way back: who
/// gives up on a call may leave its effect behind. In virtual time the elapsed time over the delay
/// is the length of the critical path.
#[derive(Debug)]
pub struct Latency {
    env: Env,
    delay: Duration,
}

impl Latency {
    /// The account with `delay` in each of its calls.
    pub fn wrap(account: Account, env: Env, delay: Duration) -> Account {
        wrap(account, &Arc::new(Self { env, delay }))
    }
}

impl Layer for Latency {
    type Ticket = ();

    async fn start(&self, _call: Call<'_>) {
        self.env.sleep(self.delay / 2).await;
    }

    async fn end(&self, (): (), _: Outcome) {
        self.env
            .sleep(self.delay.saturating_sub(self.delay / 2))
            .await;
    }
}
