use futures::channel::oneshot;
use futures::future::{join3, pending};

use super::*;

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn the_clock_jumps_to_timers_in_order() {
    let time = VirtualEnv::new(1);
    let env = time.env();
    let log = Mutex::new(Vec::new());
    let step = |name: &'static str, seconds: u32| {
        let (env, log) = (&env, &log);
        async move {
            env.sleep(SECOND * seconds).await;
            log.lock().unwrap().push((name, env.monotonic().as_secs()));
        }
    };
    time.block_on(join3(step("c", 3600), step("a", 5), step("b", 5)))
        .unwrap();
    let log = log.into_inner().unwrap();
    assert_eq!(log, [("a", 5), ("b", 5), ("c", 3600)]);
    assert_eq!(env.now().to_string(), "2026-01-01T01:00:00.0000000Z");
}

#[test]
fn timers_that_nobody_waits_for_do_not_move_the_clock() {
    let time = VirtualEnv::new(1);
    let env = time.env();
    let early = time.block_on(env.timeout(SECOND * 60, env.sleep(SECOND)));
    assert_eq!(early, Ok(Ok(())));
    let late = time.block_on(env.timeout(SECOND, env.sleep(SECOND * 60)));
    assert_eq!(late, Ok(Err(crate::env::Elapsed(SECOND))));
    assert_eq!(time.elapsed(), SECOND * 2);
}

#[test]
fn stalls_are_told_apart() {
    let time = VirtualEnv::new(1).with_horizon(SECOND * 10);
    let env = time.env();
    let stall = time.block_on(pending::<()>());
    let after = Duration::ZERO;
    assert_eq!(stall, Err(Stalled::Deadlock { after, tasks: 0 }));
    let stall = time.block_on(env.sleep(SECOND * 11));
    assert_eq!(stall, Err(Stalled::Horizon(SECOND * 10)));
    let nested = time.block_on(async { time.block_on(async {}) });
    assert_eq!(nested, Ok(Err(Stalled::Nested)));
}

#[test]
fn a_panic_kills_its_task_only() {
    let time = VirtualEnv::new(1);
    let scope = time.env().scope();
    let bad = scope.spawn(async { panic!("as asked") });
    let good = scope.spawn(async { 7 });
    let outcome = time.block_on(async { (bad.join().await, good.join().await) });
    assert_eq!(outcome, Ok((None::<()>, Some(7))));
    assert_eq!(time.panics().texts, ["as asked"]);

    let own = catch_unwind(AssertUnwindSafe(|| time.block_on(async { panic!("mine") })));
    assert!(own.is_err());
    assert_eq!(time.block_on(async { 1 }), Ok(1));
}

#[test]
fn aborted_scopes_and_dropped_environments_let_go_of_tasks() {
    let time = VirtualEnv::new(1);
    let scope = time.env().scope();
    let (held, dropped) = oneshot::channel::<()>();
    let task = scope.spawn(async move {
        let _held = held;
        pending::<()>().await;
    });
    time.block_on(time.env().sleep(SECOND)).unwrap();
    scope.abort();
    assert!(time.block_on(dropped).unwrap().is_err());
    assert_eq!(time.block_on(task.join()), Ok(None));

    let (held, mut dropped) = oneshot::channel::<()>();
    let env = time.env();
    env.scope().spawn(async move {
        let _held = (held, pending::<()>().await);
    });
    drop(time);
    assert!(dropped.try_recv().is_err());
}

#[test]
fn the_seed_decides() {
    let draw = |seed| {
        let env = VirtualEnv::new(seed).env();
        (env.new_uuid(), env.random_u64())
    };
    assert_eq!(draw(7), draw(7));
    assert_ne!(draw(7), draw(8));
}

#[tokio::test]
async fn a_surrounding_tokio_task_limits_nothing() {
    let locks_often = || async {
        let lock = tokio::sync::Mutex::new(());
        for _ in 0..1_000 {
            drop(lock.lock().await);
        }
    };
    let time = VirtualEnv::new(1);
    let task = time.env().scope().spawn(locks_often());
    time.block_on(locks_often()).unwrap();
    assert_eq!(time.block_on(task.join()), Ok(Some(())));
}
