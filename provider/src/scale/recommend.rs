//! What to do about the number of workers: pure (chapter 01 §7.4).

use std::time::Duration;

use super::Heartbeat;

/// Samples a recommendation looks back on.
const SAMPLES: usize = 5;
/// Latency up to which a queue is not busy, in ms.
const LOW_MS: u64 = 200;
/// Latency from which a queue is too slow, in ms, unless polls are allowed to be rarer than that.
const HIGH_MS: u64 = 1_000;

/// A change of the number of workers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScaleAction {
    /// Leave it.
    None,
    /// One more.
    AddWorker,
    /// One less.
    RemoveWorker,
}

/// What to do, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScaleRecommendation {
    /// The change.
    pub action: ScaleAction,
    /// Whether at least one worker shall stay.
    pub keep_workers_alive: bool,
    /// The reason in words, as .NET has it; latencies in ms.
    pub reason: String,
}

/// The last latencies of one queue in ms, oldest first; those not yet measured are 0.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Latencies {
    last: [u64; SAMPLES],
    count: usize,
}

impl Latencies {
    pub(super) fn add(&mut self, latency: Duration) {
        let millis = u64::try_from(latency.as_millis()).unwrap_or(u64::MAX);
        if self.count < SAMPLES {
            self.last[self.count] = millis;
            self.count += 1;
        } else {
            self.last.rotate_left(1);
            self.last[SAMPLES - 1] = millis;
        }
    }

    fn back(&self, steps: usize) -> u64 {
        let index = self.count.checked_sub(steps + 1);
        index.map_or(0, |index| self.last[index])
    }

    fn latest(&self) -> u64 {
        self.back(0)
    }

    fn is_full(&self) -> bool {
        self.count == SAMPLES
    }

    fn is_idle(&self) -> bool {
        self.last == [0; SAMPLES]
    }

    fn is_low(&self) -> bool {
        self.latest() <= LOW_MS && self.back(1) <= LOW_MS
    }

    /// After an idle spell the back-off of polls may explain the wait.
    fn is_high(&self, polling: Polling) -> bool {
        let limit = match self.back(1) {
            0 => polling.longest_ms,
            _ => polling.high_ms(),
        };
        self.latest() >= limit
    }

    /// How far the mean is from the oldest sample, relative to that.
    pub(super) fn trend(&self) -> f64 {
        let oldest = self.last[0];
        if !self.is_full() || oldest == 0 {
            return 0.0;
        }
        #[allow(clippy::cast_precision_loss, reason = "milliseconds of a trend")]
        let (sum, oldest) = (self.last.iter().sum::<u64>() as f64, oldest as f64);
        #[allow(clippy::cast_precision_loss, reason = "five")]
        let mean = sum / SAMPLES as f64;
        (mean - oldest) / oldest
    }
}

/// How rarely empty queues are polled.
#[derive(Debug, Clone, Copy)]
pub(super) struct Polling {
    longest_ms: u64,
}

impl Polling {
    pub(super) fn new(longest: Duration) -> Self {
        Self {
            longest_ms: u64::try_from(longest.as_millis()).unwrap_or(u64::MAX),
        }
    }

    fn high_ms(self) -> u64 {
        self.longest_ms.min(HIGH_MS)
    }
}

/// The latencies of a hub's queues.
#[derive(Debug, Clone, Default)]
pub(super) struct Window {
    pub(super) work_items: Latencies,
    control: Vec<Latencies>,
}

impl Window {
    /// Takes a sample in; the number of control queues may change.
    pub(super) fn add(&mut self, heartbeat: &Heartbeat) {
        self.work_items.add(heartbeat.work_item_queue_latency);
        self.control.resize(
            heartbeat.control_queue_latencies.len(),
            Latencies::default(),
        );
        let samples = self.control.iter_mut();
        for (queue, latency) in samples.zip(&heartbeat.control_queue_latencies) {
            queue.add(*latency);
        }
    }

    /// The first rule that holds decides. `sheds` allows to remove a worker because none is busy,
    /// which is done one time in ten only.
    pub(super) fn recommend(
        &self,
        workers: usize,
        polling: Polling,
        sheds: bool,
    ) -> ScaleRecommendation {
        use ScaleAction::{AddWorker, None, RemoveWorker};
        let control = &self.control;
        let busy = control.iter().filter(|queue| !queue.is_idle()).count();
        let is_idle = busy == 0 && self.work_items.is_idle();
        let is_full = self.work_items.is_full() && control.iter().all(Latencies::is_full);
        let slow: Vec<_> = control
            .iter()
            .filter(|queue| queue.is_high(polling))
            .collect();
        let high = polling.high_ms();
        let is_quiet = control.iter().all(Latencies::is_low)
            && self.work_items.last.iter().all(|ms| *ms < LOW_MS);
        let (action, keep_workers_alive, reason) = if workers == 0 && !is_idle {
            (AddWorker, true, "First worker".to_owned())
        } else if !is_full {
            (None, !is_idle, "Not enough samples".to_owned())
        } else if is_idle {
            let action = if workers > 0 { RemoveWorker } else { None };
            (action, false, "Task hub is idle".to_owned())
        } else if self.work_items.is_high(polling) {
            let latest = self.work_items.latest();
            (
                AddWorker,
                true,
                format!("Work-item queue latency: {latest} > {high}"),
            )
        } else if workers > control.len() && self.work_items.is_idle() {
            let partitions = control.len();
            let reason =
                format!("Work-items idle, #workers > partitions ({workers} > {partitions})");
            (RemoveWorker, true, reason)
        } else if let Some(first) = slow.first().filter(|_| workers < slow.len()) {
            let latest = first.latest();
            (
                AddWorker,
                true,
                format!("High control queue latency: {latest} > {high}"),
            )
        } else if workers > busy && self.work_items.is_idle() {
            (
                RemoveWorker,
                busy < control.len(),
                "One or more control queues idle".to_owned(),
            )
        } else if workers > 1 && sheds && is_quiet {
            (RemoveWorker, true, "All queues are not busy".to_owned())
        } else {
            (None, true, "Queue latencies are healthy".to_owned())
        };
        ScaleRecommendation {
            action,
            keep_workers_alive,
            reason,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The vectors of §7.4, four partitions, polls at most 30 s apart.
    // covers: R7-02
    #[test]
    fn recommends_as_dotnet_does() {
        use ScaleAction::{AddWorker, None, RemoveWorker};
        let idle = vec![[0; 4]; 6];
        // The last `busy` queues take 600, 700 … 1000 ms.
        let slower = |busy: usize| {
            let sample = |x| std::array::from_fn(|queue| if queue + busy < 4 { 0 } else { x });
            (6..=10).map(|x| sample(x * 100)).collect::<Vec<[u64; 4]>>()
        };
        let few = |work_items: &[u64]| (work_items.to_vec(), vec![[0; 4]; work_items.len()]);
        let zeros = |control: Vec<[u64; 4]>| (vec![0; control.len()], control);
        let mut fading = vec![[1; 4]];
        fading.extend([[0, 1, 1, 1]; 5]);
        let rising = vec![[0; 4], [0; 4], [0; 4], [0, 10, 10, 10], [9_999; 4]];
        let mut ebbing = vec![[30_000; 4]; 4];
        ebbing.push([0; 4]);
        let vectors = [
            (few(&[500, 600, 700, 800, 900, 1_000]), 1, AddWorker, true),
            (few(&[500, 600, 700, 800, 900]), 1, None, true),
            (few(&[30_000, 0, 0, 0, 0, 0]), 1, RemoveWorker, false),
            (zeros(idle), 0, None, false),
            (few(&[0, 1]), 0, AddWorker, true),
            (few(&[0]), 1, None, false),
            (few(&[0, 0, 0, 0, 9_999]), 1, None, true),
            (few(&[0, 0, 0, 0, 30_000]), 1, AddWorker, true),
            (few(&[0, 0, 0, 10, 9_999]), 1, AddWorker, true),
            (zeros(slower(1)), 1, None, true),
            (zeros(slower(2)), 1, AddWorker, true),
            (zeros(slower(2)), 2, None, true),
            (zeros(slower(2)), 3, RemoveWorker, true),
            (zeros(slower(4)), 3, AddWorker, true),
            (zeros(slower(4)), 4, None, true),
            (zeros(slower(4)), 5, RemoveWorker, true),
            (zeros(fading.clone()), 3, None, true),
            (zeros(fading), 4, RemoveWorker, true),
            (zeros(rising.clone()), 2, AddWorker, true),
            (zeros(rising), 3, None, true),
            (zeros(ebbing.clone()), 4, None, true),
            (zeros(ebbing), 5, RemoveWorker, true),
        ];
        for ((work_items, control), workers, action, keep) in vectors {
            let mut window = Window::default();
            for (work_items, control) in work_items.iter().zip(&control) {
                window.add(&Heartbeat::of(*work_items, control));
            }
            let found = window.recommend(workers, Polling::new(Duration::from_secs(30)), false);
            let expected = (action, keep);
            assert_eq!(
                (found.action, found.keep_workers_alive),
                expected,
                "{work_items:?} {control:?} {workers}: {}",
                found.reason
            );
        }
    }

    #[test]
    fn quiet_workers_are_shed_now_and_then() {
        let mut window = Window::default();
        for _ in 0..5 {
            window.add(&Heartbeat::of(100, &[200; 4]));
        }
        let polling = Polling::new(Duration::from_secs(30));
        let shed = window.recommend(2, polling, true);
        assert_eq!(shed.action, ScaleAction::RemoveWorker);
        assert_eq!(shed.reason, "All queues are not busy");
        assert_eq!(
            window.recommend(2, polling, false).action,
            ScaleAction::None
        );
        assert_eq!(window.recommend(1, polling, true).action, ScaleAction::None);
        window.add(&Heartbeat::of(300, &[200; 4]));
        assert!((window.work_items.trend() - 0.4).abs() < 1e-9);
    }
}
