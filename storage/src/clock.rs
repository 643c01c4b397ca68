//! The clock of a storage service, by which workers on different machines agree on time.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use durabletask_core::Timestamp;

use crate::Env;

/// Length of what a `Date` header leaves open: it is cut to whole seconds.
const DATE_STEP: Duration = Duration::from_secs(1);

/// The time by a storage service: monotonic time plus what the `Date` headers of its answers say,
/// so that workers agree whatever their own clocks show (design.md §8). A cheap handle; all clones
/// learn together. Before the first answer it shows the local wall clock.
///
/// One answer tells the time to a second and the time the answer took; more answers narrow that
/// down, and an answer that contradicts starts anew.
#[derive(Debug, Clone)]
pub struct ServiceClock {
    env: Env,
    /// `None` where the local clock is the service's own.
    known: Option<Arc<Mutex<Option<Bounds>>>>,
}

/// The service's time at the origin of the monotonic clock lies between these.
#[derive(Debug, Clone, Copy)]
struct Bounds {
    earliest: Timestamp,
    latest: Timestamp,
}

impl ServiceClock {
    /// The clock of a service that uses the wall clock of `env` itself.
    pub fn local(env: Env) -> Self {
        Self { env, known: None }
    }

    /// A clock that learns from [`ServiceClock::observe`].
    pub fn learning(env: Env) -> Self {
        Self {
            env,
            known: Some(Arc::default()),
        }
    }

    /// Learns from an answer that bears the date `date`, cut to whole seconds, whose request was
    /// sent at `sent` and which arrived at `received`, both on the monotonic clock of the `Env`.
    pub fn observe(&self, date: Timestamp, sent: Duration, received: Duration) {
        let Some(known) = &self.known else {
            return;
        };
        let new = Bounds {
            earliest: date.saturating_sub(received),
            latest: date.saturating_add(DATE_STEP).saturating_sub(sent),
        };
        let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
        let narrowed = known.map(|old| Bounds {
            earliest: old.earliest.max(new.earliest),
            latest: old.latest.min(new.latest),
        });
        let consistent = narrowed.filter(|bounds| bounds.earliest <= bounds.latest);
        *known = Some(consistent.unwrap_or(new));
    }

    /// The service's time, as far as it is known. Makes no request.
    pub fn now(&self) -> Timestamp {
        let bounds = self
            .known
            .as_ref()
            .and_then(|known| *known.lock().unwrap_or_else(PoisonError::into_inner));
        match bounds {
            Some(Bounds { earliest, latest }) => {
                let middle = earliest.ticks() + (latest.ticks() - earliest.ticks()) / 2;
                Timestamp::from_ticks(middle).saturating_add(self.env.monotonic())
            }
            None => self.env.now(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::VirtualEnv;

    fn seconds(seconds: f64) -> Duration {
        Duration::from_secs_f64(seconds)
    }

    #[test]
    fn answers_narrow_the_time_down_and_contradictions_start_anew() {
        let time = VirtualEnv::new(1);
        let env = time.env();
        // The service is 100.3 s ahead of the local clock.
        let origin = env.now().saturating_add(seconds(100.3));
        let clock = ServiceClock::learning(env.clone());
        assert_eq!(clock.now(), env.now());
        let error = |origin: Timestamp| {
            let off = clock.now().ticks() - origin.saturating_add(env.monotonic()).ticks();
            Duration::from_nanos(off.unsigned_abs() * 100)
        };
        let cut = |time: Timestamp| Timestamp::from_ticks(time.ticks() / 10_000_000 * 10_000_000);
        for round in 0..40 {
            let wait = seconds(0.137 * f64::from(round % 7));
            time.block_on(env.sleep(wait)).unwrap();
            let sent = env.monotonic();
            time.block_on(env.sleep(seconds(0.01))).unwrap();
            let date = cut(origin.saturating_add(env.monotonic()));
            time.block_on(env.sleep(seconds(0.02))).unwrap();
            clock.observe(date, sent, env.monotonic());
            assert!(error(origin) <= seconds(0.52), "{:?}", error(origin));
        }
        assert!(error(origin) <= seconds(0.1), "{:?}", error(origin));
        // The service is put right by an hour.
        let origin = origin.saturating_sub(seconds(3_600.0));
        let now = env.monotonic();
        clock.observe(cut(origin.saturating_add(now)), now, now);
        assert!(error(origin) <= seconds(0.5));
    }

    #[test]
    fn a_local_clock_has_nothing_to_learn() {
        let env = VirtualEnv::new(1).env();
        let clock = ServiceClock::local(env.clone());
        clock.observe(Timestamp::MIN, Duration::ZERO, Duration::ZERO);
        assert_eq!(clock.now(), env.now());
    }
}
