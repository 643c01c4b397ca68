//! Twins of the in-process functions behind the recordings of the Functions extension. Those that
//! the catalogue has, too, are the same.

use std::time::Duration;

use durabletask_worker::prelude::*;
use durabletask_worker::{HttpRequest, WorkerBuilder};
use serde_json::{Value, json};

use crate::catalogue::{child, event_or_timeout, fail, hello_sequence, parent, say_hello};

/// A worker of all of them, without durable HTTP.
pub fn builder() -> WorkerBuilder {
    Worker::builder()
        .orchestrator(hello_sequence)
        .orchestrator(child)
        .orchestrator(parent)
        .orchestrator(event_or_timeout)
        .orchestrator(status)
        .orchestrator(failing_parent)
        .orchestrator(fire_and_forget)
        .orchestrator(wait_for)
        .orchestrator(any_event)
        .orchestrator(failing)
        .orchestrator(throwing)
        .orchestrator(catching)
        .orchestrator(call_missing)
        .orchestrator(status_kinds)
        .orchestrator(values)
        .orchestrator(call_http)
        .activity(say_hello)
        .activity(fail)
        .activity(echo)
        .activity(nothing)
}

#[activity(name = "Echo")]
async fn echo(_: ActivityContext, value: Value) -> Result<Value> {
    Ok(value)
}

#[activity(name = "Nothing")]
async fn nothing(_: ActivityContext, _: Value) -> Result<()> {
    Ok(())
}

#[orchestrator(name = "FailingParent")]
async fn failing_parent(ctx: OrchestrationContext, _: ()) -> Result<String> {
    ctx.call_child(failing, "sub").await
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
    ctx.call_by_name("Fail", message).await
}

#[orchestrator(name = "Throwing")]
async fn throwing(ctx: OrchestrationContext, message: String) -> Result<String> {
    ctx.call_by_name::<String>("SayHello", "x").await?;
    Err(Failure::new(
        "System.ApplicationException",
        format!("thrown: {message}"),
    ))
}

#[orchestrator(name = "Catching")]
async fn catching(ctx: OrchestrationContext, _: ()) -> Result<String> {
    let answer = ctx.call_by_name::<String>("Fail", "caught").await;
    answer.or_else(|failure| {
        let details = failure.details();
        let cause = details
            .inner
            .as_ref()
            .map(|inner| inner.error_type.as_str());
        Ok(format!(
            "handled: The activity function 'Fail' failed: \"{}\". See the function execution logs \
             for additional details. / {details} / {}",
            details.error_message,
            cause.unwrap_or_default()
        ))
    })
}

#[orchestrator(name = "CallMissing")]
async fn call_missing(_: OrchestrationContext, _: ()) -> Result<String> {
    let message = "The function 'NoSuchActivity' doesn't exist, is disabled, or is not an activity \
        function. Additional info: The following are the known activity functions: 'Big', \
        'Flaky', 'Fail', 'Echo', 'SayHello', 'Nothing', 'Double'.";
    Err(Failure::new("System.ArgumentException", message))
}

#[orchestrator(name = "CallHttp")]
async fn call_http(ctx: OrchestrationContext, url: String) -> Result<Value> {
    let request = HttpRequest::post(url).content(r#"{"n":1}"#);
    let answer = ctx.call_http(request).await?;
    Ok(json!({
        "StatusCode": answer.status_code,
        "Content": answer.content,
        "headers": answer.headers,
    }))
}

#[orchestrator(name = "Status")]
async fn status(ctx: OrchestrationContext, _: Value) -> Result<String> {
    ctx.set_custom_status(json!({"at": "first"}))?;
    ctx.call(say_hello, "status").await?;
    ctx.set_custom_status(json!({"at": "second", "list": [1, 2]}))?;
    ctx.timer(Duration::from_secs(1)).await;
    Ok("done".to_owned())
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
