//! One `tools/call`: the tool call behind it, its progress, its end.
//!
//! Invariant: the tool call runs in a task of its own to its recorded end, whatever
//! becomes of the request. It does not change the envelope that the supervisor
//! made.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock, ErrorData,
    ProgressNotificationParam,
};
use rmcp::service::{RequestContext, RoleServer};
use serde_json::Value;
use tokio::time::MissedTickBehavior;

use super::Inner;
use super::ask::ClientAsker;
use crate::supervisor::{Envelope, Status, ToolCall};

/// The `_meta` key that holds an idempotency key.
const KEY: &str = "openshell/idempotencyKey";
/// Time between two notes of progress.
const PROGRESS: Duration = Duration::from_secs(1);

pub(super) async fn run(
    door: &Arc<Inner>,
    request: CallToolRequestParams,
    context: RequestContext<RoleServer>,
) -> Result<CallToolResponse, ErrorData> {
    if !door.tools.iter().any(|tool| tool.name == request.name) {
        let message = format!("there is no tool {:?}", request.name);
        return Err(ErrorData::invalid_params(message, None));
    }
    let key = match context.meta.0.0.get(KEY) {
        None => None,
        Some(Value::String(key)) if !key.is_empty() => Some(key.clone()),
        Some(_) => {
            let message = format!("{KEY} in _meta must be a text that is not empty");
            return Err(ErrorData::invalid_params(message, None));
        }
    };
    let cancel = door.ended.child_token();
    let asker = Arc::new(ClientAsker::new(door, &request, &context));
    let call = ToolCall {
        tool: request.name.into_owned(),
        arguments: Value::Object(request.arguments.unwrap_or_default()).to_string(),
        door: "mcp",
        session: Some(door.session.clone()),
        key,
        workspace: door.options.workspace.clone(),
        planning: false,
        cancel: cancel.clone(),
        progress: None,
    };
    let tool = call.tool.clone();
    let supervisor = door.supervisor.clone();
    let asking = Arc::clone(&asker);
    let mut running = tokio::spawn(async move { supervisor.call(call, asking).await });

    let token = context.meta.get_progress_token();
    let started = Instant::now();
    let mut ticks = tokio::time::interval(PROGRESS);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    // The first tick comes at once.
    ticks.tick().await;
    let ended = loop {
        tokio::select! {
            ended = &mut running => break ended,
            () = context.ct.cancelled(), if !cancel.is_cancelled() => cancel.cancel(),
            _ = ticks.tick(), if token.is_some() => {
                let Some(token) = token.clone() else { continue };
                let seconds = started.elapsed().as_secs_f64();
                let doing = if asker.is_asking() { "waits for a person" } else { "runs" };
                let note = ProgressNotificationParam::new(token, seconds)
                    .with_message(format!("{tool} {doing}, {seconds:.0} s so far"));
                // A client that cannot be told is told the result, or gone.
                let _ = context.peer.notify_progress(note).await;
            }
        }
    };
    let envelope = ended.map_err(|error| {
        ErrorData::internal_error(format!("the call ended early: {error}"), None)
    })?;
    Ok(match asker.handed_over() {
        Some(question) => question.into(),
        None => result(&envelope)?.into(),
    })
}

/// The envelope for a program, and as text for a model: there what a server said
/// is marked as data.
fn result(envelope: &Envelope) -> Result<CallToolResult, ErrorData> {
    let structured = serde_json::to_value(envelope)
        .map_err(|error| ErrorData::internal_error(error.to_string(), None))?;
    let content = vec![ContentBlock::text(envelope.for_model())];
    let mut result = if envelope.status == Status::Error {
        CallToolResult::error(content)
    } else {
        CallToolResult::success(content)
    };
    result.structured_content = Some(structured);
    Ok(result)
}
