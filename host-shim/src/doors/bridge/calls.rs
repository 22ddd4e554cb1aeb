//! `tools/call` and its end: one task a call, its limits, its answer.
//!
//! Invariants: a call is answered exactly once, whatever ends it; no two running
//! calls share an id; and what the client does not stand by any more (cancelled,
//! past its time, its lease not renewed) is ended and recorded like any other
//! cancelled call.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::Bridge;
use super::ask::BridgeAsker;
use super::protocol::{CallParams, INVALID_PARAMS, INVALID_REQUEST, NOT_INITIALIZED};
use crate::doors::{BUSY, CALLS_MAX, too_many_calls};
use crate::fault::{self, Point};
use crate::supervisor::{Envelope, KEY_MAX, ToolCall};

/// Shortest and longest time-out or lease of a call, in ms.
const LIMIT_BOUNDS: std::ops::RangeInclusive<u64> = 100..=3_600_000;
/// Longest name of a session, in bytes.
const SESSION_MAX: usize = 512;

/// A running call, as other messages can reach it.
pub(super) struct Running {
    pub(super) cancel: CancellationToken,
    /// When the lease was renewed last.
    renewed: watch::Sender<Instant>,
}

/// Why a call was ended before its tool did.
#[derive(Clone, Copy)]
enum Limit {
    Time(u64),
    Lease(u64),
}

impl Limit {
    fn sentence(self) -> String {
        match self {
            Self::Time(ms) => format!("The call's own limit of {ms} ms had passed."),
            Self::Lease(ms) => {
                format!("The client had not renewed the call's lease for {ms} ms.")
            }
        }
    }
}

impl Bridge {
    pub(super) fn start_call(
        self: Arc<Self>,
        id: Value,
        params: Option<Value>,
        calls: &mut JoinSet<()>,
    ) {
        if self.client().is_none() {
            let message = "the first request must be `initialize`";
            return self.refuse(&id, NOT_INITIALIZED, message);
        }
        let read = read_params(params).and_then(|params| self.stamped(&params).map(|()| params));
        let params = match read {
            Ok(params) => params,
            Err(message) => return self.refuse(&id, INVALID_PARAMS, &message),
        };
        let cancel = CancellationToken::new();
        let (renewed, renewals) = watch::channel(Instant::now());
        let name = id.to_string();
        {
            let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
            if running.contains_key(&name) {
                drop(running);
                return self.refuse(&id, INVALID_REQUEST, "a call with this id is running");
            }
            if running.len() >= CALLS_MAX {
                drop(running);
                return self.refuse(&id, BUSY, &too_many_calls());
            }
            let cancel = cancel.clone();
            running.insert(name.clone(), Running { cancel, renewed });
        }
        calls.spawn(async move {
            self.call(&id, params, cancel, renewals).await;
            self.running
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .remove(&name);
        });
    }

    async fn call(
        self: &Arc<Self>,
        id: &Value,
        params: CallParams,
        cancel: CancellationToken,
        renewals: watch::Receiver<Instant>,
    ) {
        if let Some(stale) = self.stale(&params).await {
            return self.refuse_stale(id, &stale);
        }
        let (timeout, lease) = (params.timeout_ms, params.lease_ms);
        let (progress, mut notes) = self.progress();
        let request = ToolCall {
            tool: params.name,
            arguments: params.arguments.to_string(),
            door: "bridge",
            session: params.session,
            key: params.key,
            workspace: self.client().and_then(|client| client.workspace),
            planning: params.planning,
            cancel: cancel.clone(),
            progress: Some(progress),
        };
        let asker = Arc::new(BridgeAsker {
            bridge: Arc::clone(self),
            call: id.clone(),
            deferred: self.supervisor.deferred(self.origin()),
        });
        let limits = limits(timeout, lease, renewals);
        tokio::pin!(limits);
        let mut passed = None;
        let call = self.supervisor.call(request, asker);
        tokio::pin!(call);
        let mut envelope = loop {
            tokio::select! {
                envelope = &mut call => break envelope,
                limit = &mut limits, if passed.is_none() => {
                    passed = Some(limit);
                    cancel.cancel();
                }
                Some(note) = notes.recv() => self.report(id, &note),
            }
        };
        if let Some(limit) = passed {
            say_why(&mut envelope, limit);
        }
        self.answer(id, &envelope.fitted()).await;
    }

    async fn answer(&self, id: &Value, envelope: &Envelope) {
        let title = match envelope.place() {
            Some(server) => format!("{} {server}", envelope.tool),
            None => envelope.tool.clone(),
        };
        let text = envelope.for_model();
        fault::reach(Point::ReplyBefore);
        let mark = self.mark().await;
        self.respond(
            id,
            json!({
                "envelope": envelope,
                "text": text,
                "title": title,
                "journalMark": mark,
            }),
        );
    }

    /// Gives up a running call; one that is not running has ended by itself.
    pub(super) fn cancel(&self, params: Option<&Value>) {
        self.reach(params, |running| running.cancel.cancel());
    }

    /// Prolongs a running call's lease from now on.
    pub(super) fn renew(&self, params: Option<&Value>) {
        self.reach(params, |running| {
            running.renewed.send_replace(Instant::now());
        });
    }

    fn reach(&self, params: Option<&Value>, act: impl FnOnce(&Running)) {
        let Some(id) = params.map(|params| params["id"].to_string()) else {
            return;
        };
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(running) = running.get(&id) {
            act(running);
        }
    }
}

fn read_params(params: Option<Value>) -> Result<CallParams, String> {
    let params: CallParams = serde_json::from_value(params.unwrap_or_default())
        .map_err(|error| format!("`tools/call`: {error}"))?;
    for (name, limit) in [
        ("timeoutMs", params.timeout_ms),
        ("leaseMs", params.lease_ms),
    ] {
        if limit.is_some_and(|limit| !LIMIT_BOUNDS.contains(&limit)) {
            return Err(format!(
                "`{name}` must be from {} to {}",
                LIMIT_BOUNDS.start(),
                LIMIT_BOUNDS.end()
            ));
        }
    }
    for (name, text, most) in [
        ("key", &params.key, KEY_MAX),
        ("session", &params.session, SESSION_MAX),
    ] {
        let usable = |text: &String| (1..=most).contains(&text.len());
        if !text.as_ref().is_none_or(usable) {
            return Err(format!("`{name}` must have 1 to {most} bytes"));
        }
    }
    if !(params.arguments.is_object() || params.arguments.is_null()) {
        return Err("`arguments` must be an object".to_owned());
    }
    Ok(params)
}

/// Waits until one of a call's limits has passed; for ever where it has none.
async fn limits(
    timeout: Option<u64>,
    lease: Option<u64>,
    mut renewals: watch::Receiver<Instant>,
) -> Limit {
    let time = async {
        match timeout {
            Some(ms) => tokio::time::sleep(Duration::from_millis(ms)).await,
            None => std::future::pending().await,
        }
    };
    let renewal = async {
        let Some(ms) = lease else {
            return std::future::pending().await;
        };
        loop {
            let end = *renewals.borrow_and_update() + Duration::from_millis(ms);
            tokio::select! {
                () = tokio::time::sleep_until(end) => return,
                // The sender lives as long as the call.
                _ = renewals.changed() => {}
            }
        }
    };
    tokio::select! {
        () = time => Limit::Time(timeout.unwrap_or_default()),
        () = renewal => Limit::Lease(lease.unwrap_or_default()),
    }
}

/// The supervisor knows that a call was given up; why is known here.
fn say_why(envelope: &mut Envelope, limit: Limit) {
    if envelope.code.as_deref() != Some("CANCELLED") {
        return;
    }
    let why = limit.sentence();
    envelope.message = Some(match envelope.message.take() {
        Some(message) => format!("{message} {why}"),
        None => why,
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_out_of_bounds_are_refused_by_name() {
        let table = [
            (json!({}), "`tools/call`"),
            (json!({"name": 5}), "`tools/call`"),
            (json!({"name": "x", "arguments": []}), "`arguments`"),
            (json!({"name": "x", "key": ""}), "`key`"),
            (json!({"name": "x", "key": "k".repeat(513)}), "`key`"),
            (json!({"name": "x", "session": ""}), "`session`"),
            (json!({"name": "x", "timeoutMs": 99}), "`timeoutMs`"),
            (json!({"name": "x", "leaseMs": 3_600_001}), "`leaseMs`"),
            (json!({"name": "x", "leaseMs": "1s"}), "`tools/call`"),
            (json!({"name": "x", "planning": "yes"}), "`planning`"),
            (json!({"name": "x", "planning": 1}), "`planning`"),
        ];
        for (params, named) in table {
            let told = params.to_string();
            let refused = read_params(Some(params)).err().unwrap_or_default();
            assert!(refused.contains(named), "{told}: {refused}");
        }
        let all = json!({
            "name": "x", "arguments": {}, "key": "k", "session": "s", "timeoutMs": 100,
            "leaseMs": 3_600_000, "planning": true, "unknown": true,
        });
        assert!(read_params(Some(all)).is_ok_and(|params| params.planning));
        for silent in [json!({"name": "x"}), json!({"name": "x", "planning": null})] {
            assert!(read_params(Some(silent)).is_ok_and(|params| !params.planning));
        }
    }

    #[tokio::test]
    async fn whichever_limit_passes_first_ends_a_call() {
        let hour = 3_600_000;
        let long_ago = Instant::now() - Duration::from_secs(7_200);
        let (renewed, renewals) = watch::channel(long_ago);
        let ended = limits(Some(hour), Some(hour), renewals.clone()).await;
        assert!(matches!(ended, Limit::Lease(ms) if ms == hour));
        // Renewed, the lease has an hour to go.
        renewed.send_replace(Instant::now());
        let ended = limits(Some(100), Some(hour), renewals.clone()).await;
        assert!(matches!(ended, Limit::Time(100)));
        // A renewal counts while it is waited for.
        let waiting = tokio::spawn(limits(None, Some(hour), renewals));
        renewed.send_replace(long_ago);
        let ended = waiting.await.expect("it is not cancelled");
        assert!(matches!(ended, Limit::Lease(ms) if ms == hour));
    }
}
