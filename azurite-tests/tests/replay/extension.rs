//! Twins of the in-process functions behind the recordings of the Functions extension, with the
//! texts that its context gives to failures. Those that the catalogue has, too, are the same.

use std::time::Duration;

use azurite_tests::catalogue::{child, event_or_timeout, hello_sequence, parent, status};
use durabletask_core::replay::Flavour;
use durabletask_worker::prelude::*;
use durabletask_worker::{HttpRequest, Registry};
use serde_json::{Value, json};

/// All twins.
pub(crate) fn twins() -> Registry {
    let mut twins = Registry::new();
    twins.use_flavour(Flavour::InProc);
    twins.add_orchestrator(hello_sequence).unwrap();
    twins.add_orchestrator(child).unwrap();
    twins.add_orchestrator(parent).unwrap();
    twins.add_orchestrator(event_or_timeout).unwrap();
    twins.add_orchestrator(status).unwrap();
    twins.add_orchestrator(failing_parent).unwrap();
    twins.add_orchestrator(fire_and_forget).unwrap();
    twins.add_orchestrator(wait_for).unwrap();
    twins.add_orchestrator(any_event).unwrap();
    twins.add_orchestrator(failing).unwrap();
    twins.add_orchestrator(throwing).unwrap();
    twins.add_orchestrator(catching).unwrap();
    twins.add_orchestrator(call_missing).unwrap();
    twins.add_orchestrator(status_kinds).unwrap();
    twins.add_orchestrator(values).unwrap();
    twins.add_orchestrator(call_http).unwrap();
    twins
}

/// What the message of a caught failure is.
fn called(kind: &str, failure: &Failure) -> String {
    format!(
        "The {kind} function '{}' failed: \"{}\". See the function execution logs for additional \
         details.",
        failure.task_name().unwrap_or_default(),
        failure.details().error_message
    )
}

/// What an orchestration fails with.
fn failed(ctx: &OrchestrationContext, message: &str) -> Failure {
    let text = format!("Orchestrator function '{}' failed: {message}", ctx.name());
    Failure::new("FunctionFailedException", text)
}

#[orchestrator(name = "FailingParent")]
async fn failing_parent(ctx: OrchestrationContext, _: ()) -> Result<String> {
    let child = ctx.call_child(failing, "sub").await;
    child.map_err(|failure| failed(&ctx, &called("orchestrator", &failure)))
}

#[orchestrator(name = "FireAndForget")]
async fn fire_and_forget(ctx: OrchestrationContext, _: ()) -> Result<String> {
    let id = format!("{}-detached", ctx.instance_id());
    let options = ChildOptions::new().instance_id(&id);
    ctx.start_child(child, "detached", options)?;
    Ok(id)
}

#[orchestrator(name = "WaitFor")]
async fn wait_for(ctx: OrchestrationContext, seconds: u64) -> Result<String> {
    let limit = Duration::from_secs(seconds);
    let approval = ctx.wait_event_timeout::<String>("Approval", limit).await?;
    let timeout = || format!("Event Approval not received in 00:00:{seconds:02}");
    Ok(approval.unwrap_or_else(timeout))
}

#[orchestrator(name = "AnyEvent")]
async fn any_event(ctx: OrchestrationContext, _: ()) -> Result<Value> {
    ctx.wait_event("Go").await
}

#[orchestrator(name = "Failing")]
async fn failing(ctx: OrchestrationContext, message: String) -> Result<String> {
    let answer = ctx.call_by_name("Fail", message).await;
    answer.map_err(|failure| failed(&ctx, &called("activity", &failure)))
}

#[orchestrator(name = "Throwing")]
async fn throwing(ctx: OrchestrationContext, message: String) -> Result<String> {
    ctx.call_by_name::<String>("SayHello", "x").await?;
    Err(failed(&ctx, &format!("thrown: {message}")))
}

#[orchestrator(name = "Catching")]
async fn catching(ctx: OrchestrationContext, _: ()) -> Result<String> {
    let answer = ctx.call_by_name::<String>("Fail", "caught").await;
    answer.or_else(|failure| {
        let details = failure.details();
        let cause = details.inner.as_ref().map(|inner| &inner.error_type);
        let caught = called("activity", &failure);
        Ok(format!(
            "handled: {caught} / {details} / {}",
            cause.unwrap()
        ))
    })
}

#[orchestrator(name = "CallMissing")]
async fn call_missing(ctx: OrchestrationContext, _: ()) -> Result<String> {
    let message = "The function 'NoSuchActivity' doesn't exist, is disabled, or is not an activity \
        function. Additional info: The following are the known activity functions: 'Big', \
        'Flaky', 'Fail', 'Echo', 'SayHello', 'Nothing', 'Double'.";
    Err(failed(&ctx, message))
}

#[orchestrator(name = "CallHttp")]
async fn call_http(ctx: OrchestrationContext, url: String) -> Result<Value> {
    let answer = ctx
        .call_http(HttpRequest::post(url).content(r#"{"n":1}"#))
        .await;
    // `CallHttpAsync` throws what the request failed with.
    let answer = answer.map_err(|failure| failed(&ctx, failure.message()))?;
    Ok(json!({
        "StatusCode": answer.status_code,
        "Content": answer.content,
        "headers": answer.headers,
    }))
}

#[orchestrator(name = "StatusKinds")]
async fn status_kinds(ctx: OrchestrationContext, status: Value) -> Result<Value> {
    ctx.set_custom_status(&status)?;
    ctx.timer(Duration::from_secs(1)).await;
    Ok(status)
}

#[orchestrator(name = "Values")]
async fn values(ctx: OrchestrationContext, _: ()) -> Result<Value> {
    let person = json!({"Name": "Ann", "Age": 7, "Born": "2020-01-02T03:04:05Z"});
    let values = [
        Value::Null,
        json!("text"),
        json!(1),
        json!(1.5),
        json!(true),
        json!([1, 2]),
        person,
        json!("2020-01-02T03:04:05.678Z"),
        json!("00:01:30.5000000"),
        json!("00000000-0000-0000-0000-000000000000"),
        json!({"$value": "AQI="}),
        json!(5),
    ];
    let mut list = Vec::new();
    for value in values {
        list.push(ctx.call_by_name::<Value>("Echo", value).await?);
    }
    ctx.call_by_name::<()>("Nothing", ()).await?;
    Ok(json!({
        "list": list,
        "id": ctx.new_guid(),
        "at": "Utc",
        "replaying": ctx.is_replaying(),
    }))
}
