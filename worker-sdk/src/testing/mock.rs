//! Answers in the place of activities and children.

use std::sync::Arc;

use ::futures::FutureExt as _;
use serde_json::Value;

use crate::activity::RunActivity;
use crate::run::Start;
use crate::{Activity, ActivityContext, Orchestrator, Result, payload};
use durabletask_core::ActivityOutcome;

/// An activity whose code is `answer`.
pub(super) struct Mock<A, F> {
    pub(super) answer: F,
    /// Only its types matter.
    pub(super) activity: std::marker::PhantomData<fn() -> A>,
}

impl<A, F> Activity for Mock<A, F>
where
    A: Activity,
    F: Fn(A::Input) -> Result<A::Output> + Send + Sync + 'static,
{
    const NAME: &'static str = A::NAME;
    type Input = A::Input;
    type Output = A::Output;

    async fn run(&self, _: ActivityContext, input: A::Input) -> Result<A::Output> {
        (self.answer)(input)
    }
}

/// An activity in another language.
pub(super) fn foreign(
    name: String,
    answer: impl Fn(Value) -> Result<Value> + Send + Sync + 'static,
) -> RunActivity {
    Arc::new(move |work, _| {
        let text = work.input.as_deref();
        let input = payload::read_argument(text, || format!("the input of '{name}'"));
        let output = input.and_then(&answer);
        let outcome = match output {
            Ok(output) => ActivityOutcome::Completed(Some(output.to_string())),
            Err(failure) => ActivityOutcome::Failed(failure.into_details()),
        };
        std::future::ready(outcome).boxed()
    })
}

/// An orchestrator that ends with the answer at once.
pub(super) fn child<O: Orchestrator>(
    answer: impl Fn(O::Input) -> Result<O::Output> + Send + Sync + 'static,
) -> Start {
    Arc::new(move |_, input| {
        let input = payload::read(input, || format!("the input of '{}'", O::NAME))?;
        let output = answer(input)?;
        let output = payload::write(&output, || format!("the output of '{}'", O::NAME))?;
        Ok(std::future::ready(Ok(output)).boxed())
    })
}
