//! Waiting for several durable futures.

use std::future::Future;

use ::futures::future::{self, BoxFuture, Either};
use ::futures::stream::FuturesUnordered;
use ::futures::{FutureExt as _, StreamExt as _};

use crate::{OrchestrationContext, Result};

/// Several futures at once. Only those whose task was answered are polled, so that waiting for n
/// of them costs n polls. The ordinary ones of the `futures` crate that do not pick at random
/// work as well.
#[allow(clippy::unused_self, reason = "found where users look for it")]
impl OrchestrationContext {
    /// The outputs of all futures, in their order.
    pub fn join_all<'a, I>(&self, futures: I) -> BoxFuture<'a, Vec<<I::Item as Future>::Output>>
    where
        I: IntoIterator<Item: Future<Output: Send> + Send + 'a>,
    {
        // Boxed, here and below, because an opaque type would have the iterator's type in it, and
        // futures with closures in their types are not seen to be `Send`.
        future::join_all(futures).boxed()
    }

    /// The results of all futures, in their order, or the first failure in that order. Waits for
    /// all of them either way, as .NET does.
    pub fn try_join_all<'a, T, I>(&self, futures: I) -> BoxFuture<'a, Result<Vec<T>>>
    where
        T: Send,
        I: IntoIterator<Item: Future<Output = Result<T>> + Send + 'a>,
    {
        let all = future::join_all(futures);
        all.map(|results| results.into_iter().collect()).boxed()
    }

    /// The outputs of two futures of different types.
    pub fn join<A: Future, B: Future>(
        &self,
        a: A,
        b: B,
    ) -> impl Future<Output = (A::Output, B::Output)> + use<A, B> {
        future::join(a, b)
    }

    /// The outputs of three futures of different types.
    pub fn join3<A: Future, B: Future, C: Future>(
        &self,
        a: A,
        b: B,
        c: C,
    ) -> impl Future<Output = (A::Output, B::Output, C::Output)> + use<A, B, C> {
        future::join3(a, b, c)
    }

    /// The output of whichever future is ready first, `a` if both are; the other is dropped.
    pub fn select<A: Future, B: Future>(
        &self,
        a: A,
        b: B,
    ) -> impl Future<Output = Either<A::Output, B::Output>> + use<A, B> {
        async move {
            let (a, b) = (std::pin::pin!(a), std::pin::pin!(b));
            match future::select(a, b).await {
                Either::Left((output, _)) => Either::Left(output),
                Either::Right((output, _)) => Either::Right(output),
            }
        }
    }

    /// The index and output of the first of many futures that is ready; the others are dropped.
    /// `None` if there are none.
    pub fn race<'a, I>(
        &self,
        futures: I,
    ) -> BoxFuture<'a, Option<(usize, <I::Item as Future>::Output)>>
    where
        I: IntoIterator<Item: Future<Output: Send> + Send + 'a>,
    {
        let mut racers: FuturesUnordered<_> = futures
            .into_iter()
            .enumerate()
            .map(|(index, racer)| racer.map(move |output| (index, output)))
            .collect();
        async move { racers.next().await }.boxed()
    }
}
