//! The supervisor: judges operations, mints permits, owns every running effect
//! and writes the record.
//!
//! Invariants: nothing happens on a server before the journal holds the intent,
//! and nothing changes there before the journal durably holds the attempt; every
//! effect consumes a permit bound to the exact operation; an effect runs in a
//! task of its own, so that a guest that traps or is dropped never leaves half
//! an effect unrecorded.
//!
//! It does not know doors or guests: a door hands in a [`ToolCall`] and an
//! [`Asker`](crate::approvals::Asker), the engine hands in operations.

#![expect(
    clippy::result_large_err,
    reason = "a failure is a value of the contract and what a call mostly returns once; a box \
              would only move it on its way to the guest"
)]

mod action;
mod ahead;
mod as_root;
mod call;
mod change;
mod commands;
mod conduct;
mod deferred;
mod digest;
mod effects;
mod envelope;
mod failure;
mod fanout;
mod fit;
mod keep;
mod layers;
mod lease;
mod leftovers;
mod live;
mod made;
mod names;
mod next;
mod outputs;
mod paths;
mod permit;
mod place;
mod planning;
mod progress;
mod reconcile;
mod replace;
mod replay;
mod resources;
mod restore;
mod running;
mod standing;
mod waiting;
mod write;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

pub use action::Action;
pub use ahead::{InvalidPredial, Predial};
pub use call::Call;
pub use deferred::Deferred;
pub use envelope::{
    Audit, Envelope, Execution, LeftRunning, SettledEarlier, SnapshotStatus, Status,
};
pub use failure::{code_name, failure};
pub use fanout::{FanoutLimit, InvalidFanoutLimit};
pub use permit::Permit;
pub use progress::{Progress, ProgressTo};
pub use resources::{Prompt, Resources, ResourcesError};
pub use restore::{Left, RestoreRequest, Restored};

use crate::approvals::Asker;
use crate::engine::contract::{Decision, FailureCode, Request, Subject};
use crate::engine::{Engine, EngineError, Judge};

/// Longest idempotency key, in bytes. Every door refuses a longer one, and an empty
/// one.
pub const KEY_MAX: usize = 512;

/// A tool call as a door received it.
#[derive(Debug, Clone, Default)]
pub struct ToolCall {
    /// Name of the tool.
    pub tool: String,
    /// Text of a JSON object.
    pub arguments: String,
    /// Where it came in: `bridge`, `mcp` or `cli`.
    pub door: &'static str,
    /// The client's session, where it has one.
    pub session: Option<String>,
    /// Idempotency key: a second call of a tool that can change something, with the
    /// same key and arguments, is answered from the record, without its output unless
    /// that was kept. Calls that only look, and calls that were never attempted, are
    /// made again.
    pub key: Option<String>,
    /// Folder the client works in.
    pub workspace: Option<PathBuf>,
    /// Whether the client only plans: what is not proven to change nothing is refused.
    pub planning: bool,
    /// Fires when the client gives the call up.
    pub cancel: CancellationToken,
    /// Who hears how far it is; none where nobody does.
    pub progress: Option<ProgressTo>,
}

/// The running helper: one engine, one set of resources, many calls.
#[derive(Clone)]
pub struct Supervisor {
    inner: Arc<Inner>,
}

struct Inner {
    engine: Engine,
    judge: Judge,
    resources: Resources,
}

impl Supervisor {
    /// Puts a supervisor together. Opens nothing: what cannot be opened is the
    /// answer to the call that needs it.
    ///
    /// # Errors
    /// [`EngineError`] when the component cannot be loaded.
    pub fn new(engine: Engine, resources: Resources) -> Result<Self, EngineError> {
        let judge = engine.judge()?;
        Ok(Self::with_judge(engine, judge, resources))
    }

    /// As [`Supervisor::new`], with the judge of another engine: what is called
    /// and what judges are separate, so the one cannot vouch for itself.
    pub fn with_judge(engine: Engine, judge: Judge, resources: Resources) -> Self {
        Self {
            inner: Arc::new(Inner {
                engine,
                judge,
                resources,
            }),
        }
    }

    /// The engine that runs the component.
    pub fn engine(&self) -> &Engine {
        &self.inner.engine
    }

    /// The instance that judges.
    pub fn judge(&self) -> &Judge {
        &self.inner.judge
    }

    /// What the helper holds: registry, connections, journal, snapshots.
    pub fn resources(&self) -> &Resources {
        &self.inner.resources
    }

    /// Runs one tool call and returns its result. Never fails: every way a call
    /// can end is an envelope.
    pub async fn call(&self, request: ToolCall, asker: Arc<dyn Asker>) -> Envelope {
        let call = Arc::new(Call::new(self.clone(), request, asker));
        let envelope = match fanout::selector(&call.request().tool, call.arguments()) {
            Some(selector) => self.call_several(Arc::clone(&call), &selector).await,
            None => self.call_one(Arc::clone(&call)).await,
        };
        if call.standing().stopped_at_a_question() {
            // It is to be made again, and leads to the questions before that one again.
            call.asker().give_back().await;
        }
        envelope
    }

    async fn call_one(&self, call: Arc<Call>) -> Envelope {
        if let Some(mut envelope) = replay::answer(&call).await {
            next::say(&mut envelope);
            return envelope;
        }
        let tool = call.request().tool.clone();
        let arguments = call.request().arguments.clone();
        let engine = &self.inner.engine;
        let ran = call
            .telling(engine.call(Arc::clone(&call), &tool, &arguments))
            .await;
        match ran {
            Ok(report) => call.finish(report).await,
            Err(error) => {
                let stopped = failure(
                    FailureCode::GuestStopped,
                    error.to_string(),
                    "Nothing else runs for this call. If it happens again with the same \
                     arguments, please report it.",
                );
                call.finish_failed(&stopped).await
            }
        }
    }
}

impl Supervisor {
    /// Files of which the history holds a readable state although the policy calls
    /// them secret: it did not when that was kept. As (server, path), of one server
    /// or all.
    ///
    /// # Errors
    /// A failure when the store, the rules or the policy cannot be read.
    pub fn readable_secrets(
        &self,
        server: Option<&str>,
    ) -> Result<Vec<(String, String)>, crate::engine::contract::Failure> {
        let rules = self.resources().rules(None, self.judge())?;
        let registry = self.resources().registry()?;
        let mut exposed = Vec::new();
        for (server, paths) in self.resources().snapshots()?.readable(server)? {
            let labels = Resources::server_id(crate::snapshots::server_id(&server))
                .ok()
                .and_then(|id| registry.get(&id).ok())
                .map(|record| record.labels.clone())
                .unwrap_or_default();
            for path in paths {
                let subject = Subject {
                    request: Request::ReadPath(path.clone()),
                    server: server.clone(),
                    tool: "remote_read_file".to_owned(),
                    labels: labels.clone(),
                    cwd: None,
                    home: None,
                    resolved: None,
                    sudo: None,
                };
                let verdict = self.judge().classify(&subject, &rules.rulebook)?;
                if verdict.decision != Decision::AutoAllow {
                    exposed.push((server.clone(), path));
                }
            }
        }
        Ok(exposed)
    }

    /// Resolves a server with its credential, as the id is understood in a
    /// workspace, for what a person does beside the tools: testing a connection,
    /// enrolling a host behind it.
    ///
    /// # Errors
    /// A failure when the server is unknown or the registry cannot be unlocked.
    pub async fn target(
        &self,
        server: &str,
        workspace: Option<&Path>,
    ) -> Result<crate::ssh::Target, crate::engine::contract::Failure> {
        let id = Resources::server_id(server)?;
        let layers = self.resources().layers(workspace)?;
        let server = layers.get(&id)?;
        self.resources().target(&layers, &server).await
    }
}
