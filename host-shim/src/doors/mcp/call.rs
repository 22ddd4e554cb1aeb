//! One `tools/call`: the tool call behind it, its progress, its end.
//!
//! Invariant: the tool call runs in a task of its own to its recorded end, whatever
//! becomes of the request. It does not change the envelope that the supervisor
//! made.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock, ErrorCode, ErrorData,
    ProgressNotificationParam,
};
use rmcp::service::{RequestContext, RoleServer};
use serde_json::Value;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::MissedTickBehavior;

use super::Inner;
use super::ask::ClientAsker;
use crate::doors::{BUSY, too_many_calls};
use crate::supervisor::{Envelope, KEY_MAX, Status, ToolCall};

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
    let key = key(context.meta.0.0.get(KEY))?;
    let turn = turn(&door.turns)?;
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
    // The call keeps its turn to its recorded end, also where the request is over.
    let mut running = tokio::spawn(async move {
        let _turn = turn;
        supervisor.call(call, asking).await
    });

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
        None => result(&envelope.fitted())?.into(),
    })
}

/// The idempotency key of a call, where it has one.
fn key(given: Option<&Value>) -> Result<Option<String>, ErrorData> {
    match given {
        None => Ok(None),
        Some(Value::String(key)) if (1..=KEY_MAX).contains(&key.len()) => Ok(Some(key.clone())),
        Some(_) => {
            let message = format!("{KEY} in _meta must be a text of 1 to {KEY_MAX} bytes");
            Err(ErrorData::invalid_params(message, None))
        }
    }
}

/// The right to be one of the calls that run.
fn turn(turns: &Arc<Semaphore>) -> Result<OwnedSemaphorePermit, ErrorData> {
    Arc::clone(turns)
        .try_acquire_owned()
        .map_err(|_| ErrorData::new(ErrorCode(BUSY), too_many_calls(), None))
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::doors::CALLS_MAX;

    #[test]
    fn one_call_too_many_is_refused_until_another_has_ended() {
        let turns = Arc::new(Semaphore::new(CALLS_MAX));
        let mut running: Vec<_> = (0..CALLS_MAX)
            .map(|_| turn(&turns).expect("as many may run"))
            .collect();
        let refused = turn(&turns).expect_err("one too many");
        assert_eq!(refused.code, ErrorCode(BUSY));
        assert!(refused.message.contains("1024 calls run already"));
        running.pop();
        assert!(turn(&turns).is_ok());
    }

    #[test]
    fn a_key_is_a_text_of_bounded_length() {
        assert_eq!(key(None).ok(), Some(None));
        let longest = "k".repeat(KEY_MAX);
        assert_eq!(key(Some(&json!(longest))).ok(), Some(Some(longest)));
        for refused in [
            json!(""),
            json!("k".repeat(KEY_MAX + 1)),
            json!(7),
            json!(null),
        ] {
            let message = key(Some(&refused)).expect_err("no key").message;
            assert!(message.contains("1 to 512 bytes"), "{message}");
        }
    }
}
