//! Orchestrators that do what they must not.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod support;

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use durabletask_core::{
    EpisodeWork, ExecutorError, OrchestrationExecutor as _, OrchestrationStatus,
};
use durabletask_worker::Registry;
use durabletask_worker::prelude::*;
use support::{Driver, Session, completed, fired, words};
use tokio::sync::oneshot;

const SECOND: Duration = Duration::from_secs(1);

fn aborted<O: Orchestrator>(orchestrator: O) -> String {
    let mut driver = Driver::new(orchestrator, Session::Kept);
    let first = vec![driver.started("null")];
    let result = driver
        .episode(first)
        .and_then(|_| driver.episode(vec![completed(0, "\"x\"")]));
    match result {
        Err(ExecutorError::Aborted(why)) => why,
        other => panic!("{other:?}"),
    }
}

#[orchestrator]
async fn sleeps(ctx: OrchestrationContext, _: ()) -> Result<()> {
    ctx.call_by_name::<String>("Hello", "x").await?;
    #[allow(clippy::disallowed_methods, reason = "what must not be done")]
    tokio::time::sleep(SECOND).await;
    Ok(())
}

#[test]
fn tokio_timers_abort_the_episode_and_the_last_call_is_named() {
    let why = aborted(sleeps);
    assert!(
        why.starts_with("orchestrator 'sleeps', instance 'abc': it uses tokio's timers"),
        "{why}"
    );
    assert!(why.contains("its last durable call was at "), "{why}");
    assert!(why.contains("misuse.rs:"), "{why}");
}

#[tokio::test]
async fn tokio_timers_abort_the_episode_inside_of_a_runtime_too() {
    let why = aborted(sleeps);
    assert!(
        why.contains("it awaits something that is not durable"),
        "{why}"
    );
}

/// Senders that outlive an episode.
static SENDERS: Mutex<Vec<oneshot::Sender<()>>> = Mutex::new(Vec::new());

fn channel() -> oneshot::Receiver<()> {
    let (sender, receiver) = oneshot::channel();
    SENDERS
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .push(sender);
    receiver
}

#[orchestrator]
async fn listens(_: OrchestrationContext, _: ()) -> Result<()> {
    Ok(channel().await?)
}

#[test]
fn waiting_for_a_channel_alone_is_not_durable() {
    let why = aborted(listens);
    assert!(
        why.contains("it awaits something that is not durable; it made no durable call"),
        "{why}"
    );
}

#[orchestrator]
async fn listens_beside_a_call(ctx: OrchestrationContext, _: ()) -> Result<()> {
    ctx.select(ctx.call_by_name::<String>("Hello", "x"), channel())
        .await;
    Ok(())
}

#[test]
fn being_woken_from_outside_aborts_the_next_episode() {
    let mut driver = Driver::new(listens_beside_a_call, Session::Kept);
    driver.start("null");
    for sender in SENDERS
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .drain(..)
    {
        let _ = sender.send(());
    }
    let error = driver.episode(vec![completed(0, "\"x\"")]).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("it was woken by something that is not durable"),
        "{error}"
    );
}

#[orchestrator]
async fn holds_a_call_but_awaits_a_channel(ctx: OrchestrationContext, _: ()) -> Result<()> {
    let mut call = ctx.call_by_name::<String>("Hello", "x");
    futures::future::poll_immediate(&mut call).await;
    channel().await?;
    call.await.map(drop)
}

#[test]
fn a_durable_future_that_is_not_polled_does_not_excuse_another() {
    // The first poll saw the call pending; the second sees the channel alone.
    assert!(aborted(holds_a_call_but_awaits_a_channel).contains("not durable"));
}

#[orchestrator]
async fn uses_its_context_elsewhere(ctx: OrchestrationContext, _: ()) -> Result<()> {
    let clone = ctx.clone();
    let elsewhere = std::thread::spawn(move || drop(clone.call_by_name::<()>("Hello", "y")));
    let _ = elsewhere.join();
    ctx.timer(SECOND).await;
    Ok(())
}

#[test]
fn calls_from_other_threads_abort() {
    let why = aborted(uses_its_context_elsewhere);
    assert!(why.contains("used outside of the orchestrator"), "{why}");
}

#[orchestrator]
async fn spins(_: OrchestrationContext, _: ()) -> Result<()> {
    std::future::poll_fn(|context| {
        context.waker().wake_by_ref();
        std::task::Poll::<()>::Pending
    })
    .await;
    Ok(())
}

#[test]
fn waking_oneself_without_end_aborts() {
    assert!(aborted(spins).contains("it wakes itself without end"));
}

#[orchestrator]
async fn talks_to_itself(ctx: OrchestrationContext, _: ()) -> Result<String> {
    tokio::task::yield_now().await;
    let (sender, receiver) = oneshot::channel();
    let ask = async {
        let greeting = ctx.call_by_name::<String>("Hello", "x").await;
        let _ = sender.send(greeting);
    };
    ctx.join(ask, receiver).await.1?
}

#[test]
fn yielding_and_channels_within_an_orchestrator_are_harmless() {
    for session in [Session::Kept, Session::Evicted] {
        let mut driver = Driver::new(talks_to_itself, session);
        driver.start("null");
        let commands = driver.episode(vec![completed(0, "\"x\"")]).unwrap();
        assert_eq!(words(&commands), ["1:Completed"]);
    }
}

#[orchestrator]
async fn panics(ctx: OrchestrationContext, _: ()) -> Result<()> {
    ctx.timer(SECOND).await;
    panic!("no {}", "way");
}

#[test]
fn a_panic_fails_the_orchestration() {
    let mut driver = Driver::new(panics, Session::Kept);
    driver.start("null");
    driver.episode(vec![fired(0)]).unwrap();
    let completion = driver.completion.unwrap();
    assert_eq!(completion.status, OrchestrationStatus::Failed);
    assert_eq!(completion.result.as_deref(), Some("no way"));
}

#[activity]
async fn panicking(_: ActivityContext, text: String) -> Result<String> {
    panic!("{text}");
}

#[orchestrator]
async fn calls_panicking(ctx: OrchestrationContext, _: ()) -> Result<String> {
    let failure = ctx.call(panicking, "ouch").await.err();
    Ok(failure
        .map(|failure| failure.details().to_string())
        .unwrap_or_default())
}

#[test]
fn a_panic_fails_the_activity() {
    let mut driver = Driver::new(calls_panicking, Session::Kept);
    driver.registry.add_activity(panicking).unwrap();
    assert_eq!(driver.run_to_end("null").unwrap(), "\"panic: ouch\"");
}

static DROPPED: AtomicU32 = AtomicU32::new(0);

/// Makes a durable call when dropped.
struct Bad(OrchestrationContext);

impl Drop for Bad {
    fn drop(&mut self) {
        drop(self.0.timer(SECOND));
        DROPPED.fetch_add(1, Ordering::Relaxed);
    }
}

#[orchestrator]
async fn calls_in_drop(ctx: OrchestrationContext, _: ()) -> Result<()> {
    let _bad = Bad(ctx.clone());
    let _timer = ctx.timer(SECOND);
    ctx.wait_event::<()>("Never").await
}

#[test]
fn dropping_a_run_records_nothing() {
    let mut driver = Driver::new(calls_in_drop, Session::Evicted);
    assert_eq!(words(&driver.start("null")), ["0:timer"]);
    assert!(driver.held_bytes() > 500);
    assert!(driver.episode(vec![]).unwrap().is_empty());
    assert_eq!(DROPPED.load(Ordering::Relaxed), 1);
}

/// Counts events.
#[derive(Clone, Default)]
struct Counting(Arc<AtomicU32>);

impl tracing::Subscriber for Counting {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        metadata.target().starts_with("misuse")
    }
    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }
    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}
    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}
    fn event(&self, _: &tracing::Event<'_>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
    fn enter(&self, _: &tracing::span::Id) {}
    fn exit(&self, _: &tracing::span::Id) {}
}

#[orchestrator]
async fn chatty(ctx: OrchestrationContext, _: ()) -> Result<()> {
    tracing::info!("begins");
    for round in 0..3 {
        ctx.timer(SECOND).await;
        tracing::info!(round, "fired");
    }
    Ok(())
}

#[test]
fn tracing_is_silent_while_replaying() {
    for session in [Session::Kept, Session::Evicted] {
        let counting = Counting::default();
        tracing::subscriber::with_default(counting.clone(), || {
            let mut driver = Driver::new(chatty, session);
            driver.run_to_end("null").unwrap();
        });
        assert_eq!(counting.0.load(Ordering::Relaxed), 4, "{session:?}");
    }
}

static OUTSIDE: AtomicBool = AtomicBool::new(false);

#[orchestrator]
async fn looks_for_a_runtime(_: OrchestrationContext, _: ()) -> Result<()> {
    OUTSIDE.store(
        tokio::runtime::Handle::try_current().is_err(),
        Ordering::Relaxed,
    );
    tracing::info!("heard from another thread");
    Ok(())
}

#[tokio::test]
async fn threads_are_outside_of_the_runtime_and_keep_the_subscriber() {
    let counting = Counting::default();
    let _guard = tracing::subscriber::set_default(counting.clone());
    let mut registry = Registry::new();
    registry.use_threads().unwrap();
    registry.add_orchestrator(looks_for_a_runtime).unwrap();
    let driver = Driver::new(looks_for_a_runtime, Session::Kept);
    let mut run = registry.open("looks_for_a_runtime", None).unwrap();
    let result = run.execute(work(&driver)).await.unwrap();
    assert_eq!(words(&result.commands), ["0:Completed"]);
    assert!(OUTSIDE.load(Ordering::Relaxed));
    assert_eq!(counting.0.load(Ordering::Relaxed), 1);
}

fn work(driver: &Driver) -> EpisodeWork {
    let start = durabletask_core::HistoryEvent::new(driver.now, driver.started("null"));
    EpisodeWork {
        instance: durabletask_core::OrchestrationInstance::new("abc", "e"),
        past: Vec::new(),
        new: vec![Arc::new(start)],
    }
}

/// What an episode costs in line and on a thread. Run with `--run-ignored only --no-capture`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement"]
#[allow(clippy::disallowed_methods, reason = "a measurement")]
async fn hop_cost() {
    const N: u32 = 20_000;
    let driver = Driver::new(listens_never, Session::Kept);
    for threads in [false, true] {
        let mut registry = Registry::new();
        registry.add_orchestrator(listens_never).unwrap();
        if threads {
            registry.use_threads().unwrap();
        }
        let work = work(&driver);
        let task = tokio::spawn(async move {
            let began = std::time::Instant::now();
            for _ in 0..N {
                let mut run = registry.open("listens_never", None).unwrap();
                run.execute(work.clone()).await.unwrap();
            }
            began.elapsed()
        });
        let elapsed = task.await.unwrap();
        println!("threads: {threads}, {:?} an episode", elapsed / N);
    }
}

#[orchestrator]
async fn listens_never(ctx: OrchestrationContext, _: ()) -> Result<()> {
    ctx.wait_event("Never").await
}
