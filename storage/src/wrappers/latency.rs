//! Makes every call take time, so that critical paths can be measured in storage calls.

use std::sync::Arc;
use std::time::Duration;

use super::layered::{Call, Layer, wrap};
use crate::{Account, Env, Result};

/// Delays each call by a fixed time before it is passed on. In virtual time the elapsed time over
/// the delay is the length of the critical path.
#[derive(Debug)]
pub struct Latency {
    env: Env,
    delay: Duration,
}

impl Latency {
    /// The account with `delay` before each of its calls.
    pub fn wrap(account: Account, env: Env, delay: Duration) -> Account {
        wrap(account, &Arc::new(Self { env, delay }))
    }
}

impl Layer for Latency {
    type Ticket = ();

    async fn start(&self, _call: Call<'_>) -> Result<()> {
        self.env.sleep(self.delay).await;
        Ok(())
    }
}
