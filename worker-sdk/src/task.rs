//! Orchestrators and activities as types.

use std::future::Future;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{ActivityContext, Failure, OrchestrationContext};

/// A workflow in code: calls activities and other orchestrations, waits for timers and events,
/// and is replayed from history whenever it has to be brought back.
///
/// Made by [`#[orchestrator]`](macro@crate::orchestrator). The code must be deterministic: see
/// [`OrchestrationContext`].
pub trait Orchestrator: Send + Sync + 'static {
    /// The name under which it is registered and called, in every language.
    const NAME: &'static str;
    /// The version that this code implements, and that starting it asks for; empty if it serves
    /// starts of any version that has no orchestrator of its own.
    const VERSION: &'static str = "";
    /// How long one execution may take, from its first episode on. Then it fails, without waiting
    /// for the tasks that it has called. The limit is a durable timer, the execution's first call:
    /// giving one to code whose instances are running changes their history.
    const TIME_LIMIT: Option<Duration> = None;
    /// What it is started with.
    type Input: Serialize + DeserializeOwned + Send + 'static;
    /// What it returns.
    type Output: Serialize + DeserializeOwned + Send + 'static;

    /// Runs it.
    fn run(
        context: OrchestrationContext,
        input: Self::Input,
    ) -> impl Future<Output = Result<Self::Output, Failure>> + Send + 'static;
}

/// A unit of work that an orchestrator calls: runs on any worker, at least once, and may do
/// anything.
///
/// Made by [`#[activity]`](macro@crate::activity) of a function. An activity that needs a
/// database pool or an HTTP client is a struct that holds it and implements this trait by hand:
///
/// ```
/// use durabletask_worker::prelude::*;
///
/// struct Charge { endpoint: String }
///
/// impl Activity for Charge {
///     const NAME: &'static str = "Charge";
///     type Input = u32;
///     type Output = String;
///
///     async fn run(&self, _: ActivityContext, cents: u32) -> Result<String> {
///         Ok(format!("{} charged {cents}", self.endpoint))
///     }
/// }
///
/// let charge = Charge { endpoint: "https://pay".to_owned() };
/// let worker = Worker::builder().activity(charge).build();
/// ```
pub trait Activity: Send + Sync + 'static {
    /// The name under which it is registered and called, in every language.
    const NAME: &'static str;
    /// How long one attempt may take. Then it is dropped at its next `await`, and fails; retry
    /// policies try it again.
    const TIME_LIMIT: Option<Duration> = None;
    /// What it is called with.
    type Input: Serialize + DeserializeOwned + Send + 'static;
    /// What it returns.
    type Output: Serialize + DeserializeOwned + Send + 'static;

    /// Runs it.
    fn run(
        &self,
        context: ActivityContext,
        input: Self::Input,
    ) -> impl Future<Output = Result<Self::Output, Failure>> + Send;
}

/// What `#[orchestrator]` leaves under a function's name is a function that makes the task.
impl<F, O> Orchestrator for F
where
    F: Fn() -> O + Send + Sync + 'static,
    O: Orchestrator,
{
    const NAME: &'static str = O::NAME;
    const VERSION: &'static str = O::VERSION;
    const TIME_LIMIT: Option<Duration> = O::TIME_LIMIT;
    type Input = O::Input;
    type Output = O::Output;

    fn run(
        context: OrchestrationContext,
        input: O::Input,
    ) -> impl Future<Output = Result<O::Output, Failure>> + Send + 'static {
        O::run(context, input)
    }
}

/// What `#[activity]` leaves under a function's name is a function that makes the task.
impl<F, A> Activity for F
where
    F: Fn() -> A + Send + Sync + 'static,
    A: Activity,
{
    const NAME: &'static str = A::NAME;
    const TIME_LIMIT: Option<Duration> = A::TIME_LIMIT;
    type Input = A::Input;
    type Output = A::Output;

    async fn run(&self, context: ActivityContext, input: A::Input) -> Result<A::Output, Failure> {
        self().run(context, input).await
    }
}

/// The version that starting `O` asks for, unless something else is said.
pub(crate) fn version_of<O: Orchestrator>(chosen: Option<String>) -> Option<String> {
    chosen.or_else(|| (!O::VERSION.is_empty()).then(|| O::VERSION.to_owned()))
}

/// What may be passed where a task expects a `T`: a `T`, a reference to one, or something that
/// has the same JSON.
#[diagnostic::on_unimplemented(
    message = "this task takes `{T}`, not `{Self}`",
    label = "expected `{T}` or `&{T}`"
)]
pub trait Argument<T: ?Sized>: Serialize {}

impl<T: Serialize> Argument<T> for T {}
impl<T: Serialize> Argument<T> for &T {}
impl Argument<String> for &str {}
impl<T: Serialize> Argument<Vec<T>> for &[T] {}

/// What the function below an attribute may return.
#[diagnostic::on_unimplemented(
    message = "orchestrators and activities return a `Result`, not `{Self}`",
    label = "write `Result<{Self}>`"
)]
pub trait IntoOutcome {
    /// The type of success.
    type Output;

    /// The result with a [`Failure`].
    fn into_outcome(self) -> Result<Self::Output, Failure>;
}

impl<T, E: Into<Failure>> IntoOutcome for Result<T, E> {
    type Output = T;

    fn into_outcome(self) -> Result<T, Failure> {
        self.map_err(Into::into)
    }
}

/// Mistakes that do not compile.
///
/// An activity that returns no `Result`:
///
/// ```compile_fail,E0277
/// use durabletask_worker::prelude::*;
///
/// #[activity]
/// async fn hello(_: ActivityContext, city: String) -> String {
///     city
/// }
/// ```
///
/// An argument of another type:
///
/// ```compile_fail,E0277
/// use durabletask_worker::prelude::*;
///
/// #[activity]
/// async fn hello(_: ActivityContext, city: String) -> Result<String> {
///     Ok(city)
/// }
///
/// #[orchestrator]
/// async fn greet(ctx: OrchestrationContext, _: ()) -> Result<String> {
///     ctx.call(hello, 5).await
/// }
/// ```
///
/// An orchestrator that holds what cannot move between threads:
///
/// ```compile_fail
/// use durabletask_worker::prelude::*;
///
/// #[orchestrator]
/// async fn greet(ctx: OrchestrationContext, _: ()) -> Result<()> {
///     let held = std::rc::Rc::new(1);
///     ctx.wait_event::<()>("Go").await?;
///     drop(held);
///     Ok(())
/// }
/// ```
///
/// A context of the other kind:
///
/// ```compile_fail,E0308
/// use durabletask_worker::prelude::*;
///
/// #[activity]
/// async fn hello(_: OrchestrationContext, city: String) -> Result<String> {
///     Ok(city)
/// }
/// ```
#[cfg(doctest)]
struct CompileFail;
