//! Timers (chapter 04 §3).

use std::time::Duration;

use crate::Timestamp;
use crate::harness::{Hub, Plan};
use crate::replay::{Flavour, LongTimer};

const DAY: u64 = 86_400;

/// Due times in days when each part fires on time, or `early` seconds before.
fn parts(flavour: Flavour, days: u64, early: u64) -> Vec<u64> {
    let start = Timestamp::UNIX_EPOCH;
    let mut now = start;
    let mut timer = LongTimer::new(
        flavour,
        start.saturating_add(Duration::from_secs(days * DAY)),
    );
    let mut parts = Vec::new();
    while let Some(due) = timer.next(now) {
        parts.push(due.saturating_since(start).as_secs() / DAY);
        now = due.saturating_sub(Duration::from_secs(early));
        assert!(parts.len() < 20);
    }
    parts
}

#[test]
fn splits_long_timers_as_each_flavour_does() {
    // covers: C02-5
    for (flavour, days, expected) in [
        (Flavour::Core, 30, &[30][..]),
        (Flavour::InProc, 5, &[5]),
        (Flavour::InProc, 6, &[6]),
        (Flavour::InProc, 7, &[3, 6, 7]),
        (Flavour::InProc, 9, &[3, 6, 9]),
        (Flavour::Isolated, 3, &[3]),
        (Flavour::Isolated, 5, &[3, 5]),
        (Flavour::Isolated, 7, &[3, 6, 7]),
        (Flavour::Rust, 9, &[3, 6, 9]),
        (Flavour::Rust, 0, &[0]),
    ] {
        assert_eq!(parts(flavour, days, 0), expected, "{flavour:?} {days}");
    }
}

#[test]
fn a_part_that_fires_early_does_not_lose_the_rest() {
    // Each part is due three days after the time at which the one before fired.
    assert_eq!(parts(Flavour::Rust, 9, 1), [3, 5, 8, 9]);
    assert_eq!(parts(Flavour::Isolated, 5, 1), [3, 5]);
}

#[test]
fn a_long_timer_takes_an_id_per_part() {
    let mut hub = Hub::started(Plan::Long(5 * DAY));
    hub.stamps.now = hub.stamps.now.saturating_add(Duration::from_secs(3 * DAY));
    let fired = hub.fired(0);
    hub.deliver(vec![fired]);
    hub.stamps.now = hub.stamps.now.saturating_add(Duration::from_secs(2 * DAY));
    let fired = hub.fired(1);
    hub.deliver(vec![fired]);
    assert_eq!(hub.output(), Some("fired"));
    assert!(
        hub.history()
            .contains(&"ExecutionCompleted 2 Completed fired".to_owned())
    );
}

#[test]
fn a_cancelled_timer_is_started_but_holds_nothing_back() {
    use Plan::{Call, Drop, Event, Race, Seq, Timer};
    // Created and cancelled in the episode that completes (chapter 04 §3.3).
    let hub = Hub::started(Seq(vec![Drop(Box::new(Timer(60))), Plan::Input]));
    assert_eq!(hub.output(), Some("0"));
    assert_eq!(
        hub.history()[2..],
        [
            "TimerCreated 0",
            "ExecutionCompleted 1 Completed 0",
            "OrchestratorCompleted"
        ]
    );
    assert_eq!(hub.sent.len(), 1);
    // Cancelled later; its firing is recorded and ignored.
    let mut hub = Hub::started(Seq(vec![
        Race(vec![Timer(60), Event("go")]),
        Call("a"),
        Call("b"),
    ]));
    let go = hub.event("go", "now");
    hub.deliver(vec![go]);
    let (fired, answer) = (hub.fired(0), hub.completed(1, "A"));
    hub.deliver(vec![fired, answer]);
    let answer = hub.completed(2, "B");
    hub.deliver(vec![answer]);
    assert_eq!(hub.output(), Some("now,A,B"));
}

#[test]
fn a_dropped_call_keeps_the_execution_open() {
    use Plan::{Call, Drop, Forget, Seq};
    let mut hub = Hub::started(Seq(vec![
        Drop(Box::new(Call("slow"))),
        Forget("f"),
        Plan::Input,
    ]));
    assert_eq!(hub.output(), None);
    let answer = hub.completed(0, "late");
    hub.deliver(vec![answer]);
    assert_eq!(hub.output(), Some("0"));
    assert!(
        hub.history()
            .contains(&"ExecutionCompleted 2 Completed 0".to_owned())
    );
}
