//! What orchestrations can do, through a whole hub in virtual time.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

#[path = "support/virtual_hub.rs"]
mod virtual_hub;

use std::time::Duration;

use durabletask_worker::hub::{ErrorMode, VersionFailure, VersionMatch};
use durabletask_worker::prelude::*;
use durabletask_worker::{
    ClientError, ContinueOptions, OrchestrationStatus, StartOptions, TERMINATE_WITH_PARENT_TAG,
    TIME_LIMIT_EXCEEDED, Tags, TaskHub,
};
use virtual_hub::{LIMIT, ended, id, in_a_hub, worker};

fn versioned(version: &str) -> StartOptions {
    StartOptions {
        version: Some(version.to_owned()),
        ..StartOptions::default()
    }
}

// ----- versions

#[orchestrator(name = "Greet")]
async fn greet(ctx: OrchestrationContext, _: ()) -> Result<String> {
    Ok(format!("old {}", ctx.version().unwrap_or_default()))
}

#[orchestrator(name = "Greet", version = "2.0")]
async fn greet_2(ctx: OrchestrationContext, _: ()) -> Result<String> {
    let seen: Option<String> = ctx.call(version_seen, ()).await?;
    Ok(format!("new {}", seen.unwrap_or_default()))
}

#[orchestrator]
async fn parent_of_versions(ctx: OrchestrationContext, _: ()) -> Result<Vec<String>> {
    let by_name = |version: &str| {
        let options = ChildOptions::new().version(version);
        ctx.call_child_by_name::<String>("Greet", (), options)
    };
    let calls = [
        ctx.call_child(greet, ()),
        ctx.call_child(greet_2, ()),
        by_name("2.0"),
    ];
    ctx.try_join_all(calls).await
}

#[activity]
async fn version_seen(ctx: ActivityContext, _: ()) -> Result<Option<String>> {
    Ok(ctx.version().map(str::to_owned))
}

#[test]
fn several_versions_of_one_name_are_served_and_activities_get_the_orchestrations() {
    in_a_hub(
        |_| (),
        |hub, env| async move {
            let worker = worker(&env)
                .orchestrator(greet)
                .orchestrator(greet_2)
                .orchestrator(parent_of_versions)
                .activity(version_seen);
            let running = worker.build().unwrap().start(&hub);
            let client = Client::new(&hub);
            assert_eq!(client.run(greet, ()).await.unwrap(), "old ");
            assert_eq!(client.run(greet_2, ()).await.unwrap(), "new 2.0");
            let children = client.run(parent_of_versions, ()).await.unwrap();
            assert_eq!(children, ["old ", "new 2.0", "new 2.0"]);
            assert!(running.stop().await.unwrap());
        },
    );
}

#[test]
fn the_default_version_goes_to_starts_and_children_and_is_the_workers_own() {
    in_a_hub(
        |settings| settings.default_version = Some("1.5".to_owned()),
        |hub, env| async move {
            let worker = worker(&env).orchestrator(greet).orchestrator(nested_greet);
            let running = worker.build().unwrap().start(&hub);
            let client = Client::new(&hub);
            assert_eq!(client.run(greet, ()).await.unwrap(), "old 1.5");
            assert_eq!(client.run(nested_greet, ()).await.unwrap(), "old 1.5");
            let id = client
                .start_with(greet, (), versioned("1.4"))
                .await
                .unwrap();
            let output: String = client.output(&id, LIMIT).await.unwrap();
            assert_eq!(output, "old 1.4");
            running.stop().await.unwrap();
        },
    );
}

#[orchestrator]
async fn nested_greet(ctx: OrchestrationContext, _: ()) -> Result<String> {
    ctx.call_child(greet, ()).await
}

#[test]
fn a_version_that_does_not_match_fails_or_waits_for_another_worker() {
    for (strategy, version, text) in [
        (
            VersionMatch::CurrentOrOlder,
            "1.10",
            "The orchestration version '1.10' is greater than the worker version '1.9'.",
        ),
        (
            VersionMatch::Strict,
            "1.8",
            "The orchestration version '1.8' does not match the worker version '1.9'.",
        ),
    ] {
        in_a_hub(
            |settings| {
                settings.default_version = Some("1.9".to_owned());
                settings.version_match_strategy = strategy;
                settings.version_failure_strategy = VersionFailure::Fail;
            },
            |hub, env| async move {
                let running = worker(&env)
                    .orchestrator(greet)
                    .build()
                    .unwrap()
                    .start(&hub);
                let client = Client::new(&hub);
                let id = client
                    .start_with(greet, (), versioned(version))
                    .await
                    .unwrap();
                let status = ended(&client, &id).await;
                assert_eq!(status.runtime_status, OrchestrationStatus::Failed);
                assert_eq!(status.output.unwrap(), format!("VersionMismatch: {text}"));
                running.stop().await.unwrap();
            },
        );
    }
    in_a_hub(
        |settings| settings.default_version = Some("1.9".to_owned()),
        |hub, env| async move {
            let old = worker(&env)
                .orchestrator(greet)
                .build()
                .unwrap()
                .start(&hub);
            let client = Client::new(&hub);
            let id = client
                .start_with(greet, (), versioned("2.0"))
                .await
                .unwrap();
            let waited = client.wait(&id, Some(Duration::from_secs(60))).await;
            assert!(waited.is_err(), "{waited:?}");
            old.stop().await.unwrap();
            let mut settings = hub.settings().clone();
            settings.default_version = Some("2.0".to_owned());
            let newer = TaskHub::new(env.clone(), hub.account().clone(), settings);
            let running = worker(&env)
                .orchestrator(greet)
                .build()
                .unwrap()
                .start(&newer);
            let output: String = client.output(&id, LIMIT).await.unwrap();
            assert_eq!(output, "old 2.0");
            running.stop().await.unwrap();
        },
    );
}

#[orchestrator]
async fn upgrading(ctx: OrchestrationContext, round: u32) -> Result<String> {
    if round == 0 {
        let options = ContinueOptions {
            new_version: Some("1.1".to_owned()),
            ..ContinueOptions::default()
        };
        return ctx.continue_as_new_with(1, options);
    }
    Ok(ctx.version().unwrap_or_default().to_owned())
}

#[test]
fn continue_as_new_can_change_the_version() {
    in_a_hub(
        |settings| settings.version_match_strategy = VersionMatch::None,
        |hub, env| async move {
            let running = worker(&env)
                .orchestrator(upgrading)
                .build()
                .unwrap()
                .start(&hub);
            assert_eq!(Client::new(&hub).run(upgrading, 0).await.unwrap(), "1.1");
            running.stop().await.unwrap();
        },
    );
}

// ----- limits

#[activity(time_limit_seconds = 5)]
async fn hangs(_: ActivityContext, _: ()) -> Result<()> {
    std::future::pending().await
}

#[orchestrator]
async fn calls_what_hangs(ctx: OrchestrationContext, _: ()) -> Result<String> {
    match ctx.call(hangs, ()).await {
        Ok(()) => Ok("returned".to_owned()),
        Err(failure) => Ok(failure.details().to_string()),
    }
}

#[orchestrator(time_limit_seconds = 30)]
async fn waits_too_long(ctx: OrchestrationContext, _: ()) -> Result<()> {
    let forever = ctx.call(hangs_for_ever, ());
    ctx.wait_event::<()>("Never").await?;
    forever.await
}

#[activity]
async fn hangs_for_ever(_: ActivityContext, _: ()) -> Result<()> {
    std::future::pending().await
}

#[test]
fn activities_and_orchestrations_have_time_limits() {
    in_a_hub(
        |_| (),
        |hub, env| async move {
            let worker = worker(&env)
                .orchestrator(calls_what_hangs)
                .orchestrator(waits_too_long)
                .activity(hangs)
                .activity(hangs_for_ever);
            let running = worker.build().unwrap().start(&hub);
            let client = Client::new(&hub);
            let said = client.run(calls_what_hangs, ()).await.unwrap();
            assert_eq!(
                said,
                format!(
                    "{TIME_LIMIT_EXCEEDED}: the activity 'hangs' exceeded its time limit of 5s"
                )
            );
            let began = env.now();
            let id = client.start(waits_too_long, ()).await.unwrap();
            let status = ended(&client, &id).await;
            assert_eq!(status.runtime_status, OrchestrationStatus::Failed);
            assert!(status.output.unwrap().starts_with(TIME_LIMIT_EXCEEDED));
            let took = env.now().saturating_since(began);
            // A queue that was idle is looked at every 30 s.
            assert!(took >= Duration::from_secs(30) && took < Duration::from_secs(65));
            // The activity that hangs would hold up a clean stop.
            drop(running);
        },
    );
}

#[orchestrator]
async fn says_too_much(ctx: OrchestrationContext, _: ()) -> Result<Vec<String>> {
    ctx.set_custom_status("é".repeat(8 * 1024 - 2))?;
    let long = "x".repeat(31 * 1024);
    let options = CallOptions::new().tag("k", &long);
    let said = [
        ctx.set_custom_status("é".repeat(8 * 1024)),
        ctx.call_by_name_with("none", (), options).await,
        ctx.start_child_by_name("none", (), ChildOptions::new().tag("k", long)),
    ];
    let words = |result: Result<()>| result.unwrap_err().message().to_owned();
    Ok(said.map(words).to_vec())
}

#[test]
fn custom_status_and_tags_that_do_not_fit_are_refused_in_words() {
    in_a_hub(
        |_| (),
        |hub, env| async move {
            let running = worker(&env)
                .orchestrator(says_too_much)
                .build()
                .unwrap()
                .start(&hub);
            let said = Client::new(&hub).run(says_too_much, ()).await.unwrap();
            assert!(said[0].starts_with("the custom status has 16388 bytes in UTF-16, 16384 are"));
            for words in &said[1..] {
                assert!(words.contains(" bytes, 30720 are possible"), "{words}");
            }
            running.stop().await.unwrap();
        },
    );
}

// ----- termination

#[orchestrator]
async fn family(ctx: OrchestrationContext, depth: u32) -> Result<()> {
    if depth > 0 {
        let id = |name: &str| format!("{}-{name}", ctx.instance_id());
        let bound = ChildOptions::new()
            .instance_id(id("bound"))
            .terminate_with_parent();
        let free = ChildOptions::new().instance_id(id("free"));
        let bound = ctx.call_child_with(family, depth - 1, bound);
        let free = ctx.call_child_with(family, 0, free);
        ctx.join(bound, free).await.0?;
    }
    ctx.wait_event("Go").await
}

#[test]
fn termination_takes_those_children_along_that_were_bound_to_their_parent() {
    in_a_hub(
        |_| (),
        |hub, env| async move {
            let running = worker(&env)
                .orchestrator(family)
                .build()
                .unwrap()
                .start(&hub);
            let client = Client::new(&hub);
            client.start_with(family, 2, id("a")).await.unwrap();
            let grandchild = "a-bound-bound";
            while client.status(grandchild).await.unwrap().is_none() {
                env.sleep(Duration::from_secs(1)).await;
            }
            client.terminate("a", "enough").await.unwrap();
            for name in ["a", "a-bound", grandchild] {
                let status = ended(&client, name).await;
                assert_eq!(
                    status.runtime_status,
                    OrchestrationStatus::Terminated,
                    "{name}"
                );
                assert_eq!(status.output.as_deref(), Some("enough"), "{name}");
            }
            let free = client.status("a-free").await.unwrap().unwrap();
            assert_eq!(free.runtime_status, OrchestrationStatus::Running);

            // A tag of the start covers all children.
            let options = StartOptions {
                tags: Some(Tags::from_iter([(TERMINATE_WITH_PARENT_TAG, "")])),
                ..id("b")
            };
            client.start_with(family, 1, options).await.unwrap();
            while client.status("b-free").await.unwrap().is_none() {
                env.sleep(Duration::from_secs(1)).await;
            }
            client.terminate("b", "all").await.unwrap();
            for name in ["b", "b-bound", "b-free"] {
                assert_eq!(ended(&client, name).await.output.as_deref(), Some("all"));
            }
            running.stop().await.unwrap();
        },
    );
}

// ----- errors

#[derive(Debug, PartialEq, serde::Serialize, serde::Deserialize, thiserror::Error)]
#[error("{missing} cents are missing")]
struct Declined {
    missing: u32,
}

impl TypedError for Declined {
    const TYPE: &'static str = "Shop.Declined";
}

#[activity]
async fn declines(_: ActivityContext, missing: u32) -> Result<()> {
    Err(Failure::typed(&Declined { missing }))
}

#[orchestrator]
async fn declined_child(ctx: OrchestrationContext, missing: u32) -> Result<()> {
    let told = ctx.call(declines, missing).await.unwrap_err();
    assert_eq!(told.message(), "7 cents are missing");
    Err(told
        .downcast()
        .map_or(told, |declined: Declined| Failure::typed(&declined)))
}

#[orchestrator]
async fn shop(ctx: OrchestrationContext, _: ()) -> Result<String> {
    let failure = ctx.call_child(declined_child, 7).await.unwrap_err();
    let missing = failure
        .downcast()
        .map(|declined: Declined| declined.missing);
    Ok(format!(
        "{failure} {missing:?} {}",
        failure.details().error_type
    ))
}

#[test]
fn failures_reach_parents_in_every_error_mode() {
    for (mode, said, output) in [
        (
            ErrorMode::Both,
            "7 cents are missing Some(7) Shop.Declined",
            "Shop.Declined: 7 cents are missing",
        ),
        (
            ErrorMode::FailureDetails,
            "7 cents are missing Some(7) Shop.Declined",
            "Shop.Declined: 7 cents are missing",
        ),
        // Serialised exceptions of .NET name no type that a .NET reader may not have.
        (
            ErrorMode::Exceptions,
            "7 cents are missing None System.Exception",
            "7 cents are missing",
        ),
    ] {
        in_a_hub(
            |settings| settings.error_mode = mode,
            |hub, env| async move {
                let worker = worker(&env)
                    .orchestrator(shop)
                    .orchestrator(declined_child)
                    .activity(declines);
                let running = worker.build().unwrap().start(&hub);
                let client = Client::new(&hub);
                assert_eq!(client.run(shop, ()).await.unwrap(), said);
                let id = client.start(declined_child, 7).await.unwrap();
                let failed = client.output::<()>(&id, LIMIT).await.unwrap_err();
                let ClientError::NotCompleted { output: told, .. } = failed else {
                    panic!("{failed}");
                };
                assert_eq!(told.as_deref(), Some(output));
                running.stop().await.unwrap();
            },
        );
    }
}

// ----- tracing

#[activity]
async fn traced_activity(ctx: ActivityContext, _: ()) -> Result<Option<String>> {
    Ok(ctx
        .trace_context()
        .and_then(|trace| trace.trace_parent.clone()))
}

#[orchestrator]
async fn traced_child(ctx: OrchestrationContext, _: ()) -> Result<Option<String>> {
    Ok(ctx.trace_context().and_then(|trace| trace.trace_parent))
}

#[orchestrator]
async fn traced(ctx: OrchestrationContext, round: u32) -> Result<Vec<Option<String>>> {
    if round < 1 {
        return ctx.continue_as_new(round + 1);
    }
    let own = ctx.trace_context().and_then(|trace| trace.trace_parent);
    let calls = ctx.join(
        ctx.call(traced_activity, ()),
        ctx.call_child(traced_child, ()),
    );
    let (activity, child) = calls.await;
    Ok(vec![own, activity?, child?])
}

#[test]
fn a_trace_runs_through_every_message() {
    for is_traced in [true, false] {
        in_a_hub(
            |settings| settings.distributed_tracing_enabled = is_traced,
            |hub, env| async move {
                let worker = worker(&env)
                    .orchestrator(traced)
                    .orchestrator(traced_child)
                    .activity(traced_activity);
                let running = worker.build().unwrap().start(&hub);
                let contexts = Client::new(&hub).run(traced, 0).await.unwrap();
                if is_traced {
                    let contexts: Vec<String> = contexts.into_iter().flatten().collect();
                    let part = |nth| -> Vec<_> {
                        contexts
                            .iter()
                            .map(|c| c.split('-').nth(nth).unwrap())
                            .collect()
                    };
                    let (traces, spans) = (part(1), part(2));
                    assert_eq!(traces, vec![traces[0]; 3], "one trace");
                    assert!(spans[0] != spans[1] && spans[1] != spans[2] && spans[0] != spans[2]);
                } else {
                    assert_eq!(contexts, [None, None, None]);
                }
                running.stop().await.unwrap();
            },
        );
    }
}
