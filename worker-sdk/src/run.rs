//! Drives an orchestrator over events, one step at a time.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::{Context, Poll};

use durabletask_core::episode::execution_trace;
use durabletask_core::replay::{Finish, Flavour, ReplayOptions, Step};
use durabletask_core::{BoxFuture, EpisodeResult, EpisodeWork, ExecutorError, OrchestrationRun};
use futures::future::Either;
use tracing::{Dispatch, Span};

use crate::shared::Shared;
use crate::threads::Threads;
use crate::{Failure, OrchestrationContext, Orchestrator, Result, payload};

/// A suspended orchestrator function; it ends with its output as JSON.
type Body = BoxFuture<'static, Result<String>>;

/// Starts an orchestrator function of any type with its input as JSON.
pub(crate) type Start =
    Arc<dyn Fn(OrchestrationContext, Option<&str>) -> Result<Body> + Send + Sync>;

/// An orchestrator that wakes itself this often in one step does nothing but that.
const MAX_POLLS_PER_STEP: usize = 10_000;

/// What tokio's timers and I/O say where no runtime is.
const NO_RUNTIME: &str = "there is no reactor running";

pub(crate) fn start_of<O: Orchestrator>() -> Start {
    Arc::new(|context, input| {
        let input = payload::read(input, || format!("the input of '{}'", O::NAME))?;
        let limit = O::TIME_LIMIT.map(|limit| (context.timer(limit), context.clone()));
        let body = O::run(context, input);
        Ok(Box::pin(async move {
            let output = match limit {
                None => body.await?,
                Some((timer, context)) => match context.select(body, timer).await {
                    Either::Left(output) => output?,
                    Either::Right(()) => return Err(context.overdue()),
                },
            };
            payload::write(&output, || format!("the output of '{}'", O::NAME))
        }))
    })
}

/// One execution in memory.
pub(crate) struct Run {
    driver: Option<Box<Driver>>,
    threads: Option<Arc<Threads>>,
}

impl Run {
    pub(crate) fn new(
        name: &str,
        start: Start,
        options: ReplayOptions,
        threads: Option<Arc<Threads>>,
    ) -> Self {
        let driver = Driver {
            name: name.to_owned(),
            start,
            options,
            shared: None,
            body: None,
        };
        Self {
            driver: Some(Box::new(driver)),
            threads,
        }
    }
}

impl OrchestrationRun for Run {
    fn execute(
        &mut self,
        work: EpisodeWork,
    ) -> BoxFuture<'_, Result<EpisodeResult, ExecutorError>> {
        Box::pin(async move {
            // Gone after an error, and while an abandoned episode still runs elsewhere.
            let gone = || ExecutorError::Unavailable("the run was abandoned".to_owned());
            let mut driver = self.driver.take().ok_or_else(gone)?;
            let span = driver.span(&work);
            let (driver, result) = match &self.threads {
                None => {
                    let result = span.in_scope(|| driver.episode(work));
                    (driver, result)
                }
                Some(threads) => {
                    let episode = move || {
                        let result = span.in_scope(|| driver.episode(work));
                        (driver, result)
                    };
                    threads.run(episode).await.ok_or_else(gone)?
                }
            };
            if result.is_ok() {
                self.driver = Some(driver);
            }
            result
        })
    }

    fn held_bytes(&self) -> usize {
        let held = |driver: &Driver| {
            let body = driver.body.as_deref().map_or(0, size_of_val);
            let shared = driver
                .shared
                .as_ref()
                .map_or(0, |shared| shared.held_bytes());
            size_of::<Driver>() + size_of::<Shared>() + body + shared
        };
        self.driver.as_deref().map_or(0, held)
    }
}

struct Driver {
    name: String,
    start: Start,
    options: ReplayOptions,
    shared: Option<Arc<Shared>>,
    /// `None` before it starts and after it ended.
    body: Option<Body>,
}

impl Driver {
    fn episode(&mut self, work: EpisodeWork) -> Result<EpisodeResult, ExecutorError> {
        let shared = self
            .shared
            .get_or_insert_with(|| Shared::new(work.instance, self.options));
        let shared = Arc::clone(shared);
        let _current = shared.make_current();
        {
            let replay = &mut shared.lock().replay;
            for event in work.past {
                replay.push(event, true);
            }
            for event in work.new {
                replay.push(event, false);
            }
        }
        loop {
            self.check(&shared)?;
            let step = shared.lock().replay.next_step();
            match step {
                None => break,
                Some(Step::Start) => self.start(&shared)?,
                Some(Step::Resolved { task, outcome }) => {
                    // Handlers of retries run in there.
                    drop(quietly(&shared, || shared.resolve(task, outcome)));
                }
                Some(Step::Event { wait }) => shared.raise(wait),
            }
            self.settle(&shared)?;
        }
        Ok(shared.lock().replay.decide())
    }

    /// The span of one episode, with the trace context of its execution.
    fn span(&self, work: &EpisodeWork) -> Span {
        let known = self.shared.as_ref().and_then(|shared| shared.started.get());
        let mut events = work.past.iter().chain(&work.new);
        let started = known.or_else(|| events.find_map(|event| event.as_started()));
        let trace = started.and_then(execution_trace);
        tracing::info_span!(
            "orchestration",
            name = self.name,
            instance_id = work.instance.instance_id,
            trace_parent = trace.and_then(|trace| trace.trace_parent),
        )
    }

    fn start(&mut self, shared: &Arc<Shared>) -> Result<(), ExecutorError> {
        let started = shared.lock().replay.started().cloned();
        let started = shared.started.get_or_init(|| started.unwrap_or_default());
        let context = OrchestrationContext::new(shared);
        let start = || (self.start)(context, started.input.as_deref());
        match quietly(shared, start) {
            Ok(Ok(body)) => self.body = Some(body),
            Ok(Err(failure)) => self.finish(shared, Err(failure)),
            Err(panic) => self.finish(shared, Err(self.failure_of(shared, &*panic)?)),
        }
        Ok(())
    }

    /// Polls until nothing moves.
    fn settle(&mut self, shared: &Arc<Shared>) -> Result<(), ExecutorError> {
        for _ in 0..MAX_POLLS_PER_STEP {
            let Some(body) = self.body.as_mut() else {
                return Ok(());
            };
            shared.begin_poll();
            let mut context = Context::from_waker(shared.root_waker());
            let polled = quietly(shared, || body.as_mut().poll(&mut context));
            self.check(shared)?;
            match polled {
                Ok(Poll::Ready(result)) => self.finish(shared, result),
                Ok(Poll::Pending) if shared.wants_poll() => {}
                Ok(Poll::Pending) if shared.waits_durably() => return Ok(()),
                Ok(Poll::Pending) => {
                    return Err(self.aborted(shared, "it awaits something that is not durable"));
                }
                Err(panic) => self.finish(shared, Err(self.failure_of(shared, &*panic)?)),
            }
        }
        Err(self.aborted(shared, "it wakes itself without end"))
    }

    fn finish(&mut self, shared: &Shared, result: Result<String>) {
        // What the function still held goes as if it had been dropped at its end: timers are
        // cancelled, or they would keep the execution open.
        self.drop_body();
        let finish = match result {
            Ok(output) => Finish::Completed(Some(output)),
            // What follows is decided by the request that the context has noted.
            Err(failure) if failure.is_continue_as_new() => Finish::Completed(None),
            Err(failure) => {
                let in_process = shared.lock().replay.flavour() == Flavour::InProc;
                let (message, failure) = if in_process {
                    failure.into_function_end(&self.name)
                } else {
                    failure.into_end()
                };
                Finish::Failed {
                    message,
                    failure,
                    details: None,
                    is_bare: in_process,
                }
            }
        };
        shared.lock().replay.finish(finish);
        shared.close();
    }

    /// A panic of user code fails the orchestration, unless it comes from tokio, whose timers and
    /// I/O say in this way that they were awaited here.
    fn failure_of(
        &self,
        shared: &Shared,
        panic: &(dyn Any + Send),
    ) -> Result<Failure, ExecutorError> {
        let message = panic_message(panic);
        if message.contains(NO_RUNTIME) {
            return Err(self.aborted(
                shared,
                "it uses tokio's timers or I/O, which are not durable",
            ));
        }
        Ok(Failure::new("panic", message))
    }

    fn check(&self, shared: &Shared) -> Result<(), ExecutorError> {
        shared
            .misuse()
            .map_or(Ok(()), |why| Err(self.aborted(shared, &why)))
    }

    fn aborted(&self, shared: &Shared, why: &str) -> ExecutorError {
        let call = shared.lock().replay.last_call();
        let place = call.map_or_else(
            || "it made no durable call before".to_owned(),
            |at| format!("its last durable call was at {at}"),
        );
        let (name, id) = (&self.name, &shared.instance.instance_id);
        ExecutorError::Aborted(format!(
            "orchestrator '{name}', instance '{id}': {why}; {place}"
        ))
    }

    fn drop_body(&mut self) {
        if let Some(body) = self.body.take() {
            // Nobody is left to tell about a panic of a destructor; the panic hook has printed it.
            drop(catch_unwind(AssertUnwindSafe(|| drop(body))));
        }
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        // Closed first, so that drops record nothing.
        if let Some(shared) = &self.shared {
            shared.close();
            shared.drop_series();
        }
        self.drop_body();
    }
}

/// Runs user code: its panics are caught, and its `tracing` is silent while replaying.
fn quietly<T>(shared: &Shared, code: impl FnOnce() -> T) -> Result<T, Box<dyn Any + Send>> {
    let replaying = shared.lock().replay.is_replaying();
    let code = AssertUnwindSafe(code);
    if replaying {
        // `Dispatch::none` is a constant: nothing is registered or allocated.
        tracing::dispatcher::with_default(&Dispatch::none(), || catch_unwind(code))
    } else {
        catch_unwind(code)
    }
}

/// What a panic said.
pub(crate) fn panic_message(panic: &(dyn Any + Send)) -> String {
    panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a panic without a message".to_owned())
}
