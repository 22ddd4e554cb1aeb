//! Idempotency keys: a call that was made before is answered from the record.
//!
//! Invariant: under one key nothing runs twice. The same key with the same
//! arguments gets the recorded outcome, or what was found out about it since;
//! with other arguments it is refused, and the refusal is on record; while the
//! first call has no outcome yet, it is unknown. Where the outcome is unknown the
//! server is looked at first, as any later call about the same thing does.
//!
//! The record does not hold what a command printed; where that was too long for its
//! result and is still kept, the answer says how to read it. Reads are let through:
//! running them again changes nothing.

use std::sync::Arc;

use serde_json::{Value, json};
use ulid::Ulid;

use super::action::Action;
use super::action::Ending;
use super::call::Call;
use super::envelope::{Audit, Envelope, Execution, SnapshotStatus, Status};
use super::failure::failure;
use super::fanout::Member;
use super::leftovers::REDACTED;
use crate::engine::Engine;
use crate::engine::contract::{Decision, Failure, FailureCode, Request};
use crate::journal::{
    Conclusion, Context, Durability, Event, Finding, Intent, Journal, KeyStage, KeyState,
    Operation, Outcome, Settled,
};

/// Answers a call from the record, where its key is on record.
pub(super) async fn answer(call: &Arc<Call>) -> Option<Envelope> {
    let key = call.request().key.clone()?;
    if !call.can_change() {
        return None;
    }
    // A journal that cannot be read cannot be written either; the call itself
    // says so, with nothing done.
    let journal = {
        let call = Arc::clone(call);
        super::keep::blocking(move || call.resources().journal())
    }
    .await
    .ok()?
    .ok()?;
    let state = journal.find_key(&key).await.ok()??;
    // What was not attempted may be made again, and nothing else under its key.
    if state.stage == KeyStage::NotAttempted && is_same(call, &state) {
        return None;
    }
    let state = if is_same(call, &state) && may_be_found_out(&state) {
        look(call, &state).await;
        // What was found is on record now, or nothing was.
        journal.find_key(&key).await.ok().flatten().unwrap_or(state)
    } else {
        state
    };
    Some(replay(call, &journal, state).await)
}

/// Whether the outcome is unknown and the server may say more.
fn may_be_found_out(state: &KeyState) -> bool {
    match &state.stage {
        KeyStage::Unknown => true,
        KeyStage::Settled(outcome) => outcome.status == "unknown",
        KeyStage::Found(settled) => !settled.finding.is_final(),
        KeyStage::Open | KeyStage::Attempted | KeyStage::NotAttempted => false,
    }
}

/// Finds out what became of the earlier call, in an action of its own that does
/// nothing else. Where that does not work, the outcome stays as it is on record.
async fn look(call: &Arc<Call>, state: &KeyState) {
    let server = call.arguments().get("server").and_then(Value::as_str);
    let (Some(server), Some(operation)) = (server, &state.operation) else {
        return;
    };
    let Ok(action) = call.open_to_look(server).await else {
        return;
    };
    action.note_facts(|facts| {
        facts.note = Some(format!(
            "repeats action {}, whose outcome was unknown; nothing was done but to look",
            state.action
        ));
    });
    let ending = match find_out(call, &action, operation).await {
        Ok(()) => Ending::ok(),
        Err(failure) => Ending::failed(&failure),
    };
    action.settle(ending, Durability::Buffered).await;
}

async fn find_out(call: &Call, action: &Action, operation: &Operation) -> Result<(), Failure> {
    // What the record has in place of a secret names no file; the call does.
    let told = operation.path.as_deref();
    let named = call.arguments().get("path").and_then(Value::as_str);
    let path = told
        .filter(|path| !path.contains(REDACTED))
        .or_else(|| named.filter(|_| told.is_some()));
    // Only its hash leaves the host, so that a secret file is no obstacle; a server
    // that is closed by now is.
    let subject = Request::ReadPath(path.unwrap_or("/").to_owned());
    if call.judge(action, subject, None, None)?.decision == Decision::Reject {
        return Ok(());
    }
    call.await_turn(false).await?;
    let connection = call.connection(action).await?;
    match (operation.kind.as_str(), path) {
        ("write", Some(path)) => {
            let sftp = call.sftp(&connection).await?;
            call.settle_before_reading(action, &connection, &sftp, path)
                .await;
        }
        ("write", None) => {}
        _ => call.settle_commands(action, &connection).await?,
    }
    Ok(())
}

/// The failure of a call whose key was claimed since it was looked up.
pub(super) async fn refuse(call: &Call, earlier: &KeyState) -> Failure {
    if is_same(call, earlier) {
        return unknown(&earlier.action);
    }
    match call.resources().journal() {
        Ok(journal) => reused(call, &journal, earlier).await,
        Err(error) => error.into(),
    }
}

fn is_same(call: &Call, state: &KeyState) -> bool {
    state.payload.as_deref() == Some(call.payload().as_str())
}

fn unknown(action: &str) -> Failure {
    failure(
        FailureCode::OutcomeUnknown,
        format!(
            "A call with this key is on record as action {action} and its outcome is not; it is \
             not run again."
        ),
        "Find out what the state is before doing anything again.",
    )
}

/// Refuses a key that stands for another call, and puts that on record. The
/// arguments are not: nothing was unlocked, so no secret of ours could be taken
/// out of them; their digest is.
pub(super) async fn reused(call: &Call, journal: &Journal, earlier: &KeyState) -> Failure {
    let refused = failure(
        FailureCode::Conflict,
        format!(
            "The idempotency key was used before for another call (action {}); nothing was done.",
            earlier.action
        ),
        "Use a new key for a new call.",
    );
    let server = call.arguments().get("server").and_then(Value::as_str);
    let context = Context {
        action: Ulid::generate().to_string(),
        session: call.request().session.clone(),
        door: call.request().door.to_owned(),
        tool: call.request().tool.clone(),
        server: server.map(str::to_owned),
        scope: None,
        fanout: None,
    };
    let intent = Event::Intent(Intent {
        context: context.clone(),
        arguments: json!({ "server": server }),
        verdict: None,
        component: Some(Engine::component_digest().to_owned()),
        key: None,
        payload: Some(call.payload()),
    });
    let outcome = Event::Outcome(Outcome {
        context,
        outcome: Conclusion {
            note: Some(format!(
                "the key {} stands for action {}",
                call.request().key.as_deref().unwrap_or_default(),
                earlier.action
            )),
            ..Ending::failed(&refused).conclusion()
        },
        operation: None,
    });
    for (event, durability) in [
        (intent, Durability::Buffered),
        (outcome, Durability::Synced),
    ] {
        if let Err(error) = journal.append(event, durability).await {
            return error.into();
        }
    }
    refused
}

/// What was found out about an outcome that was unknown, as an outcome.
fn found_out(action: &str, settled: &Settled) -> Conclusion {
    let what = settled.note.as_deref().unwrap_or(settled.finding.as_str());
    let by = match settled.by.as_str() {
        "person" => "a person found out",
        _ => "it was found out",
    };
    let (status, code, message) = match settled.finding {
        Finding::Written | Finding::Done => (
            "ok",
            None,
            format!("The outcome was unknown at first; {by} later that it happened: {what}."),
        ),
        Finding::NotWritten | Finding::NotDone => (
            "error",
            Some("CONNECTION_LOST"),
            format!("It did not happen, as {by} later: {what}. Make it as a new call."),
        ),
        Finding::Changed | Finding::StillRunning | Finding::Gone => (
            "unknown",
            Some("OUTCOME_UNKNOWN"),
            format!("The outcome of action {action} is unknown; {by} later: {what}."),
        ),
    };
    Conclusion {
        status: status.to_owned(),
        code: code.map(str::to_owned),
        message: Some(message),
        sha256: settled.sha256.clone(),
        ..Conclusion::default()
    }
}

async fn replay(call: &Arc<Call>, journal: &Journal, state: KeyState) -> Envelope {
    if !is_same(call, &state) {
        let refused = reused(call, journal, &state).await;
        return call.finish_failed(&refused).await;
    }
    let outcome = match state.stage {
        KeyStage::Settled(outcome) => outcome,
        KeyStage::Found(settled) => found_out(&state.action, &settled),
        KeyStage::Open | KeyStage::Attempted | KeyStage::NotAttempted | KeyStage::Unknown => {
            return call.finish_failed(&unknown(&state.action)).await;
        }
    };
    let ok = outcome.happened();
    let mut data = call.kept_of(&state.action).await;
    let output = if data.is_empty() {
        "without its output"
    } else {
        "and its fields ending in Rest say how to read its output while that is kept"
    };
    data.extend(
        outcome
            .sha256
            .map(|sha256| ("sha256".to_owned(), json!(sha256))),
    );
    Envelope {
        status: match outcome.status.as_str() {
            "ok" => Status::Ok,
            "partial_failure" => Status::PartialFailure,
            _ => Status::Error,
        },
        tool: call.request().tool.clone(),
        server: call
            .arguments()
            .get("server")
            .and_then(Value::as_str)
            .map(str::to_owned),
        code: outcome.code,
        message: Some(outcome.message.unwrap_or_else(|| {
            format!("This call was made before; this is its recorded outcome, {output}.")
        })),
        next: None,
        data: (!data.is_empty()).then_some(Value::Object(data)),
        replayed: true,
        execution: Execution {
            attempted: state.operation.is_some(),
            completed: ok,
            exit_code: outcome.exit_code,
            stdout_bytes: outcome.stdout_bytes,
            stderr_bytes: outcome.stderr_bytes,
            stdout_truncated: None,
            stderr_truncated: None,
            duration_ms: outcome.duration_ms,
            left_running: Vec::new(),
        },
        audit: Audit {
            log_written: true,
            snapshot_status: SnapshotStatus::NotApplicable,
            seq: Some(state.seq),
            action: Some(state.action),
            fanout: call.member().map(Member::fanout),
            settled: call.settled_earlier(),
        },
    }
}
