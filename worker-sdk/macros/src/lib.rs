//! `#[orchestrator]` and `#[activity]`, documented where they are re-exported, in
//! `durabletask-worker`.

mod expand;
mod parse;

use proc_macro::TokenStream;

/// Makes an orchestrator of an async function.
///
/// `async fn f(ctx: OrchestrationContext, input: I) -> Result<O>` becomes a type `f` that
/// implements `Orchestrator` and knows its wire name, input and output, and a function `f()` that
/// makes one. It is registered with `.orchestrator(f)` and called with
/// `ctx.call_child(f, input)`. The wire name is the
/// function's name as written, or `#[orchestrator(name = "…")]`. Two more options, separated by
/// commas:
///
/// - `version = "1.0"`: the version that it implements, and that starting it asks for. Several
///   versions of one name can be registered.
/// - `time_limit_seconds = 60`: an execution that takes longer fails, without waiting for the
///   tasks that it has called. Costs one durable timer, its first call.
#[proc_macro_attribute]
pub fn orchestrator(options: TokenStream, item: TokenStream) -> TokenStream {
    run(expand::Kind::Orchestrator, options, item)
}

/// Makes an activity of an async function.
///
/// `async fn f(ctx: ActivityContext, input: I) -> Result<O>` becomes a type `f` that
/// implements `Activity` and knows its wire name, input and output, and a function `f()` that
/// makes one. It is registered with `.activity(f)` and called with `ctx.call(f, input)`. The wire name is the function's name as
/// written, or `#[activity(name = "…")]`. With `time_limit_seconds = 60`, an attempt that takes
/// longer is dropped at its next `await` and fails.
#[proc_macro_attribute]
pub fn activity(options: TokenStream, item: TokenStream) -> TokenStream {
    run(expand::Kind::Activity, options, item)
}

fn run(kind: expand::Kind, options: TokenStream, item: TokenStream) -> TokenStream {
    parse::Function::parse(kind, options.into(), item.into())
        .map_or_else(syn::Error::into_compile_error, |function| {
            expand::expand(kind, &function)
        })
        .into()
}
