//! A wall clock that is off, on a machine that is otherwise in order.

use std::time::Duration;

use durabletask_core::Timestamp;
use durabletask_storage::Env;
use durabletask_storage::env::Environment;
use futures::future::BoxFuture;

/// The system with a wall clock that is fast by `seconds`, or slow if they are negative.
pub fn system_with_clock_off(seconds: i64) -> Env {
    let system = Env::system();
    if seconds == 0 {
        return system;
    }
    Env::new(Skewed { system, seconds })
}

struct Skewed {
    system: Env,
    seconds: i64,
}

impl Environment for Skewed {
    fn now(&self) -> Timestamp {
        let off = Duration::from_secs(self.seconds.unsigned_abs());
        if self.seconds < 0 {
            self.system.now().saturating_sub(off)
        } else {
            self.system.now().saturating_add(off)
        }
    }

    fn monotonic(&self) -> Duration {
        self.system.monotonic()
    }

    fn sleep(&self, delay: Duration) -> BoxFuture<'static, ()> {
        let system = self.system.clone();
        Box::pin(async move { system.sleep(delay).await })
    }

    fn fill_random(&self, buffer: &mut [u8]) {
        self.system.fill_random(buffer);
    }

    fn spawn(&self, task: BoxFuture<'static, ()>) {
        drop(self.system.scope().spawn(task));
    }

    fn has_threads(&self) -> bool {
        self.system.has_threads()
    }
}
