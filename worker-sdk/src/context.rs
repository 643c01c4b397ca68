//! What an orchestrator sees of the world.

use std::fmt;
use std::future::Future;
use std::panic::Location;
use std::sync::Arc;
use std::time::Duration;

use ::futures::future::{self, Either};
use durabletask_core::episode::execution_trace;
use durabletask_core::replay::{CallSite, ContinueOptions, ReceivedEvent};
use durabletask_core::{
    ExecutionStarted, HTTP_ACTIVITY_NAME, MAX_TAG_BYTES, OrchestrationInstance, ParentInstance,
    Tags, Timestamp, TraceContext,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use uuid::Uuid;

use crate::failure::TIME_LIMIT_EXCEEDED;
use crate::futures::{Call, EventWait, Timer};
use crate::http::Polling;
use crate::retry::Called;
use crate::shared::{Shared, State};
use crate::task::version_of;
use crate::{
    Activity, Argument, CallOptions, ChildOptions, Failure, HttpRequest, HttpResponse,
    Orchestrator, Result, payload,
};

/// Largest custom status, as the Functions extension has it.
const MAX_CUSTOM_STATUS_UTF16_BYTES: usize = 16 * 1024;

/// An orchestrator's only window on the world.
///
/// # Rules of orchestrator code
///
/// The code is run again from its beginning whenever the orchestration has to be brought back,
/// with the answers that history holds, and must then make the same calls in the same order:
///
/// | instead of | use |
/// | --- | --- |
/// | the system's time | [`now`](Self::now) |
/// | random numbers, random UUIDs | [`random`](Self::random), [`new_guid`](Self::new_guid) |
/// | sleeping | [`timer`](Self::timer) |
/// | input and output, environment variables, global state | an activity |
/// | threads, spawned tasks | [`join_all`](Self::join_all), [`race`](Self::race) |
/// | `tokio::select!`, `futures::select!`, which pick at random | [`select`](Self::select) |
/// | maps that are iterated in random order (`HashMap`) | `BTreeMap` |
///
/// Awaiting something that is not durable aborts the episode, and nothing is committed: the log
/// names the orchestrator and its last durable call. The rest of the list cannot be detected
/// until a replay finds other calls than history holds, which fails the orchestration.
///
/// Plain `tracing` is welcome: events and spans are dropped while replaying.
///
/// # Calls and futures
///
/// A call is made when its method is called, not when the future that it returns is awaited:
/// several calls run at the same time if they are awaited later. Dropping a [`Timer`] or an
/// [`EventWait`] cancels it; dropping a [`Call`] does not: the task runs, and an orchestration
/// completes only when all of its activities and children have answered.
///
/// ```
/// use std::time::Duration;
///
/// use durabletask_worker::prelude::*;
///
/// #[orchestrator]
/// async fn order(ctx: OrchestrationContext, items: Vec<String>) -> Result<u32> {
///     // Fan-out and fan-in: all calls are made, then all are awaited.
///     let calls = items.iter().map(|item| ctx.call(price, item));
///     let prices = ctx.try_join_all(calls).await?;
///
///     // An event from outside, but not for ever.
///     let three_days = Duration::from_secs(3 * 24 * 3600);
///     if ctx.wait_event_timeout::<bool>("Approval", three_days).await? != Some(true) {
///         return Err(Failure::new("Shop.Refused", "nobody approved"));
///     }
///
///     // Whatever is first.
///     let total: u32 = prices.iter().sum();
///     match ctx.select(ctx.call(charge, total), ctx.timer(Duration::from_secs(60))).await {
///         Either::Left(paid) => paid,
///         Either::Right(()) => Err(Failure::new("Shop.Slow", "the bank did not answer")),
///     }
/// }
///
/// #[activity]
/// async fn price(_: ActivityContext, item: String) -> Result<u32> {
///     Ok(u32::try_from(item.len())?)
/// }
///
/// #[activity]
/// async fn charge(_: ActivityContext, cents: u32) -> Result<u32> {
///     Ok(cents)
/// }
/// ```
#[derive(Clone)]
pub struct OrchestrationContext(Arc<Shared>);

/// Calls of activities and other orchestrations.
impl OrchestrationContext {
    /// Calls an activity.
    #[track_caller]
    pub fn call<A: Activity>(
        &self,
        activity: A,
        input: impl Argument<A::Input>,
    ) -> Call<A::Output> {
        self.call_with(activity, input, CallOptions::new())
    }

    /// Calls an activity with a version or tags.
    #[track_caller]
    pub fn call_with<A: Activity>(
        &self,
        activity: A,
        input: impl Argument<A::Input>,
        options: CallOptions,
    ) -> Call<A::Output> {
        // The value names the type, and says nothing more: the activity runs elsewhere.
        drop(activity);
        self.call_by_name_with(A::NAME, input, options)
    }

    /// Calls an activity by its name, such as one that is written in another language.
    #[track_caller]
    pub fn call_by_name<T: DeserializeOwned + 'static>(
        &self,
        name: &str,
        input: impl Serialize,
    ) -> Call<T> {
        self.call_by_name_with(name, input, CallOptions::new())
    }

    /// Calls an activity by its name, with a version or tags.
    #[track_caller]
    pub fn call_by_name_with<T: DeserializeOwned + 'static>(
        &self,
        name: &str,
        input: impl Serialize,
        options: CallOptions,
    ) -> Call<T> {
        let at = Location::caller();
        let input = check_tags(name, options.tags.as_ref(), None)
            .and_then(|()| payload::write_argument(&input, || format!("the input of '{name}'")));
        match input {
            Ok(input) => {
                let CallOptions {
                    version,
                    tags,
                    retry,
                } = options;
                let called = Called::Activity {
                    name: name.to_owned(),
                    version,
                    input,
                    tags,
                };
                let key = self
                    .0
                    .call(|state| state.start_call(called, retry, None, at));
                Call::new(&self.0, key, name)
            }
            Err(failure) => Call::failed(failure),
        }
    }

    /// Sends an HTTP request, by whichever worker or Functions host of the hub does so: a Rust
    /// worker if it was told to ([`durable_http`](crate::WorkerBuilder::durable_http)). It is sent
    /// at least once.
    ///
    /// An answer of 202 is followed up, unless the request says otherwise: after the pause that
    /// its `Retry-After` asks for (else `httpSettings.defaultAsyncRequestSleepTimeMilliseconds`)
    /// the address in `Location` is asked, until the answer is another one. That takes a timer and
    /// an activity each time. An answer of 202 without a usable `Location` is returned. Secrets go
    /// to the original server only: polls of others leave out `Authorization`, `Cookie` and token.
    #[track_caller]
    pub fn call_http(&self, request: HttpRequest) -> Call<HttpResponse> {
        let at = Location::caller();
        match Polling::new(&request, at) {
            Ok((called, polling)) => {
                let retry = request.retry;
                let start = |state: &mut State| state.start_call(called, retry, polling, at);
                Call::new(&self.0, self.0.call(start), HTTP_ACTIVITY_NAME)
            }
            Err(failure) => Call::failed(failure),
        }
    }

    /// Runs a child orchestration.
    #[track_caller]
    pub fn call_child<O: Orchestrator>(
        &self,
        orchestrator: O,
        input: impl Argument<O::Input>,
    ) -> Call<O::Output> {
        self.call_child_with(orchestrator, input, ChildOptions::new())
    }

    /// Runs a child orchestration with an instance id, a version or tags.
    #[track_caller]
    pub fn call_child_with<O: Orchestrator>(
        &self,
        orchestrator: O,
        input: impl Argument<O::Input>,
        mut options: ChildOptions,
    ) -> Call<O::Output> {
        drop(orchestrator);
        options.version = version_of::<O>(options.version);
        self.call_child_by_name(O::NAME, input, options)
    }

    /// Runs a child orchestration by its name.
    #[track_caller]
    pub fn call_child_by_name<T: DeserializeOwned + 'static>(
        &self,
        name: &str,
        input: impl Serialize,
        options: ChildOptions,
    ) -> Call<T> {
        let at = Location::caller();
        let input = check_tags(name, options.tags.as_ref(), self.tags())
            .and_then(|()| payload::write(&input, || format!("the input of '{name}'")));
        match input {
            Ok(input) => {
                let retry = options.retry.clone();
                let called = Called::Child(options.into_call(name, input, false));
                let key = self
                    .0
                    .call(|state| state.start_call(called, retry, None, at));
                Call::new(&self.0, key, name)
            }
            Err(failure) => Call::failed(failure),
        }
    }

    /// Starts another orchestration and never hears from it again; it does not keep this one
    /// from completing.
    #[track_caller]
    pub fn start_child<O: Orchestrator>(
        &self,
        orchestrator: O,
        input: impl Argument<O::Input>,
        mut options: ChildOptions,
    ) -> Result<()> {
        drop(orchestrator);
        options.version = version_of::<O>(options.version);
        self.start_child_by_name(O::NAME, input, options)
    }

    /// Starts another orchestration by its name and never hears from it again.
    #[track_caller]
    pub fn start_child_by_name(
        &self,
        name: &str,
        input: impl Serialize,
        options: ChildOptions,
    ) -> Result<()> {
        let at = Location::caller();
        check_tags(name, options.tags.as_ref(), self.tags())?;
        let input = payload::write(&input, || format!("the input of '{name}'"))?;
        let call = options.into_call(name, input, true);
        self.0
            .call(|state| state.replay.create_sub_orchestration(call, at));
        Ok(())
    }
}

/// Time and events.
impl OrchestrationContext {
    /// A timer that fires this long from [`now`](Self::now), never early. A delay of more than
    /// three days becomes several timers in history.
    #[track_caller]
    pub fn timer(&self, delay: Duration) -> Timer {
        self.start_timer(|now| now.saturating_add(delay), Location::caller())
    }

    /// A timer that fires at that time, at once if it has passed.
    #[track_caller]
    pub fn timer_at(&self, fire_at: Timestamp) -> Timer {
        self.start_timer(|_| fire_at, Location::caller())
    }

    fn start_timer(&self, fire_at: impl FnOnce(Timestamp) -> Timestamp, at: CallSite) -> Timer {
        let key = self.0.call(|state| {
            let fire_at = fire_at(state.replay.now());
            state.start_timer(fire_at, at)
        });
        Timer::new(&self.0, key)
    }

    /// The next external event of that name, ignoring case; the oldest that arrived before and
    /// was not taken, if there is one. Of several waits for one name the newest is served first.
    #[track_caller]
    pub fn wait_event<T: DeserializeOwned + 'static>(&self, name: &str) -> EventWait<T> {
        let at = Location::caller();
        let key = self.0.call(|state| state.start_wait(name, at));
        EventWait::new(&self.0, key, name)
    }

    /// The next external event of that name, or `None` if none comes in time.
    #[track_caller]
    pub fn wait_event_timeout<T: DeserializeOwned + 'static>(
        &self,
        name: &str,
        limit: Duration,
    ) -> impl Future<Output = Result<Option<T>>> + Send + use<T> {
        // .NET creates the timer first too, and waiting takes no id.
        let timer = self.timer(limit);
        let event = self.wait_event::<T>(name);
        async move {
            match future::select(event, timer).await {
                Either::Left((payload, _)) => payload.map(Some),
                Either::Right(((), _)) => Ok(None),
            }
        }
    }

    /// All events that arrived and were not taken, under any name, oldest first. Their payloads
    /// are JSON texts.
    pub fn take_events(&self) -> Vec<ReceivedEvent> {
        self.0
            .call(|state| state.replay.take_events())
            .unwrap_or_default()
    }

    /// Sends an external event to another instance. Nothing tells whether it exists.
    #[track_caller]
    pub fn send_event(
        &self,
        instance_id: impl Into<String>,
        name: &str,
        payload: impl Serialize,
    ) -> Result<()> {
        let at = Location::caller();
        let payload = payload::write(&payload, || format!("event '{name}'"))?;
        let target = OrchestrationInstance::current(instance_id);
        self.0
            .call(|state| state.replay.send_event(target, name, Some(payload), at));
        Ok(())
    }
}

/// The orchestration itself.
impl OrchestrationContext {
    /// Ends this execution and starts a fresh one of the same instance, with an empty history
    /// and this input. Events that were not taken travel along.
    ///
    /// It happens when the function returns and all tasks have answered, so return what this
    /// returns:
    ///
    /// ```
    /// # use durabletask_worker::prelude::*;
    /// #[orchestrator]
    /// async fn count(ctx: OrchestrationContext, n: u64) -> Result<u64> {
    ///     if ctx.wait_event("Next").await? {
    ///         return ctx.continue_as_new(n + 1);
    ///     }
    ///     Ok(n)
    /// }
    /// ```
    pub fn continue_as_new<T>(&self, input: impl Serialize) -> Result<T> {
        self.continue_as_new_with(input, ContinueOptions::default())
    }

    /// The same, with another version, without the events that were not taken, or in a new trace.
    pub fn continue_as_new_with<T>(
        &self,
        input: impl Serialize,
        options: ContinueOptions,
    ) -> Result<T> {
        let input = payload::write(&input, || "the input to continue with".to_owned())?;
        self.0.call(|state| {
            state.replay.continue_as_new(Some(input), options);
        });
        Err(Failure::continue_as_new())
    }

    /// Sets what clients see as the custom status once this episode is committed: JSON of 16 KiB
    /// in UTF-16 at most, as in Durable Functions. A larger one is refused.
    pub fn set_custom_status(&self, status: impl Serialize) -> Result<()> {
        let status = payload::write(&status, || "the custom status".to_owned())?;
        let bytes = 2 * status.encode_utf16().count();
        if bytes > MAX_CUSTOM_STATUS_UTF16_BYTES {
            return Err(payload::too_large(format!(
                "the custom status has {bytes} bytes in UTF-16, {MAX_CUSTOM_STATUS_UTF16_BYTES} \
                 are possible; put large values into the output or an activity's result"
            )));
        }
        self.0
            .call(|state| state.replay.set_custom_status(Some(status)));
        Ok(())
    }

    /// The time at which this episode began, the same in every replay.
    pub fn now(&self) -> Timestamp {
        self.0.lock().replay.now()
    }

    /// A GUID that is the same in every replay.
    pub fn new_guid(&self) -> Uuid {
        self.0
            .call(|state| state.replay.new_guid())
            .unwrap_or_default()
    }

    /// A number, evenly distributed, that is the same in every replay.
    pub fn random(&self) -> u64 {
        self.0
            .call(|state: &mut State| state.replay.random())
            .unwrap_or_default()
    }

    /// Whether the code is being run again over history.
    pub fn is_replaying(&self) -> bool {
        self.0.lock().replay.is_replaying()
    }

    /// The instance id.
    pub fn instance_id(&self) -> &str {
        &self.0.instance.instance_id
    }

    /// The id of this execution; continue-as-new makes a new one.
    pub fn execution_id(&self) -> &str {
        let id = &self.0.instance.execution_id;
        id.as_deref().unwrap_or_default()
    }

    /// The orchestrator's name, as it was started.
    pub fn name(&self) -> &str {
        let name = self.started().and_then(|started| started.name.as_deref());
        name.unwrap_or_default()
    }

    /// The version with which it was started, if any.
    pub fn version(&self) -> Option<&str> {
        let version = self.started()?.version.as_deref();
        version.filter(|version| !version.is_empty())
    }

    /// Who called it as a child.
    pub fn parent(&self) -> Option<&ParentInstance> {
        self.started()?.parent.as_ref()
    }

    /// The tags with which it was started; children inherit them.
    pub fn tags(&self) -> Option<&Tags> {
        self.started()?.tags.as_ref()
    }

    /// Its time is over: the failure with which it ends, whatever is still open.
    pub(crate) fn overdue(&self) -> Failure {
        self.0.call(|state| state.replay.stop_waiting());
        Failure::new(
            TIME_LIMIT_EXCEEDED,
            format!("the orchestrator '{}' exceeded its time limit", self.name()),
        )
    }

    /// The W3C trace context of this execution, to pass on to what is called outside of
    /// orchestrations; `None` if it is not traced. The same in every episode and every replay.
    pub fn trace_context(&self) -> Option<TraceContext> {
        execution_trace(self.started()?)
    }

    fn started(&self) -> Option<&ExecutionStarted> {
        self.0.started.get()
    }

    pub(crate) fn new(shared: &Arc<Shared>) -> Self {
        Self(Arc::clone(shared))
    }
}

impl fmt::Debug for OrchestrationContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OrchestrationContext({})", self.instance_id())
    }
}

/// A call's own tags and those that a child inherits have to fit a row.
fn check_tags(name: &str, own: Option<&Tags>, inherited: Option<&Tags>) -> Result<()> {
    let bytes: usize = own.into_iter().chain(inherited).map(Tags::text_bytes).sum();
    if bytes <= MAX_TAG_BYTES {
        return Ok(());
    }
    Err(payload::too_large(format!(
        "the tags of '{name}', inherited ones included, have {bytes} bytes, {MAX_TAG_BYTES} \
         are possible; put large values into the input"
    )))
}
