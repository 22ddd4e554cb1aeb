//! Idempotency keys: a call that was made before is answered from the record.
//!
//! Invariant: under one key nothing runs twice. The same key with the same
//! arguments gets the recorded outcome; with other arguments it is refused; while
//! the first call has no outcome yet, it is unknown.
//!
//! Reads are let through: running them again changes nothing, and the record
//! does not hold what they returned.

use std::sync::Arc;

use super::call::Call;
use super::envelope::{Audit, Envelope, Execution, SnapshotStatus, Status};
use super::failure::failure;
use crate::engine::contract::FailureCode;
use crate::journal::{Conclusion, KeyStage, KeyState};

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
    match state.stage.clone() {
        KeyStage::NotAttempted => None,
        KeyStage::Settled(outcome) => Some(replay(call, state, Some(outcome)).await),
        KeyStage::Open | KeyStage::Attempted | KeyStage::Unknown => {
            Some(replay(call, state, None).await)
        }
    }
}

async fn replay(call: &Arc<Call>, state: KeyState, outcome: Option<Conclusion>) -> Envelope {
    if state.payload.as_deref() != Some(call.payload().as_str()) {
        let reused = failure(
            FailureCode::Conflict,
            "The idempotency key was used before for another call; nothing was done.",
            "Use a new key for a new call.",
        );
        return call.finish_failed(&reused).await;
    }
    let Some(outcome) = outcome else {
        let unknown = failure(
            FailureCode::OutcomeUnknown,
            "A call with this key is on record and its outcome is not; it is not run again.",
            "Find out what the state is before doing anything again.",
        );
        return call.finish_failed(&unknown).await;
    };
    let ok = outcome.status == "ok" || outcome.status == "partial_failure";
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
            .and_then(serde_json::Value::as_str)
            .map(str::to_owned),
        code: outcome.code,
        message: Some(outcome.message.unwrap_or_else(|| {
            "This call was made before; this is its recorded outcome, without its output."
                .to_owned()
        })),
        next: None,
        data: outcome
            .sha256
            .map(|sha256| serde_json::json!({ "sha256": sha256 })),
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
        },
        audit: Audit {
            log_written: true,
            snapshot_status: SnapshotStatus::NotApplicable,
            seq: Some(state.seq),
            action: Some(state.action),
        },
    }
}
