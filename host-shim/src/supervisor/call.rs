//! One tool call: its request, the actions it opened, and the envelope that
//! comes of it.
//!
//! Invariant: the guest's part of the result is its report; everything about
//! execution and record is put together here from the host's own facts.
//!
//! Rules and servers are read once for a call. How a single effect is carried out
//! is not written here.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::action::{Action, Ending};
use super::conduct::{self, Conduct, misused};
use super::digest;
use super::envelope::{Audit, Envelope, Execution, SettledEarlier, SnapshotStatus, Status};
use super::failure::{code_name, failure};
use super::fanout::Member;
use super::layers::Layers;
use super::next;
use super::permit::Permit;
use super::progress::Meter;
use super::replay;
use super::resources::Resources;
use super::standing::Standing;
use super::{Supervisor, ToolCall};
use crate::approvals::Asker;
use crate::engine::Engine;
use crate::engine::contract::{AuthKind, Failure, FailureCode, Report, Scope, Server, Sudo};
use crate::journal::{Context, Durability, Intent, JournalError};
use crate::registry;
use crate::rules::Rules;
use crate::ssh::Connection;

/// Tools whose repetition can change a server.
const CHANGING: [&str; 3] = ["remote_exec", "remote_write_file", "remote_patch_file"];

/// A tool call in progress.
pub struct Call {
    supervisor: Supervisor,
    request: ToolCall,
    arguments: Value,
    asker: Arc<dyn Asker>,
    layers: OnceLock<Arc<Layers>>,
    rules: OnceLock<Arc<Rules>>,
    /// Where the call is a part of one on several servers.
    member: Option<Member>,
    actions: Mutex<Vec<Action>>,
    conduct: Conduct,
    meter: Arc<Meter>,
    standing: Arc<Standing>,
}

/// What the parts of a call on several servers have in common.
#[derive(Clone)]
pub(super) struct Shared {
    pub(super) layers: Arc<Layers>,
    pub(super) rules: Option<Arc<Rules>>,
    pub(super) meter: Arc<Meter>,
    pub(super) standing: Arc<Standing>,
}

impl Call {
    pub(super) fn new(supervisor: Supervisor, request: ToolCall, asker: Arc<dyn Asker>) -> Self {
        let arguments = serde_json::from_str(&request.arguments).unwrap_or(Value::Null);
        Self {
            supervisor,
            request,
            arguments,
            asker,
            layers: OnceLock::new(),
            rules: OnceLock::new(),
            member: None,
            actions: Mutex::new(Vec::new()),
            conduct: Conduct::default(),
            meter: Arc::default(),
            standing: Arc::default(),
        }
    }

    /// One server's part of a call on several.
    pub(super) fn part(
        supervisor: Supervisor,
        request: ToolCall,
        member: Member,
        shared: Shared,
    ) -> Self {
        Self {
            layers: OnceLock::from(shared.layers),
            rules: shared.rules.map(OnceLock::from).unwrap_or_default(),
            meter: shared.meter,
            standing: shared.standing,
            ..Self::new(supervisor, request, member.asker())
        }
        .of(member)
    }

    fn of(mut self, member: Member) -> Self {
        self.member = Some(member);
        self
    }

    pub(super) fn member(&self) -> Option<&Member> {
        self.member.as_ref()
    }

    pub(super) fn request(&self) -> &ToolCall {
        &self.request
    }

    pub(super) fn arguments(&self) -> &Value {
        &self.arguments
    }

    pub(super) fn supervisor(&self) -> &Supervisor {
        &self.supervisor
    }

    pub(super) fn resources(&self) -> &Resources {
        self.supervisor.resources()
    }

    pub(super) fn asker(&self) -> &Arc<dyn Asker> {
        &self.asker
    }

    pub(super) fn conduct(&self) -> &Conduct {
        &self.conduct
    }

    pub(super) fn meter(&self) -> &Arc<Meter> {
        &self.meter
    }

    pub(super) fn standing(&self) -> &Arc<Standing> {
        &self.standing
    }

    pub(super) fn cancel(&self) -> &CancellationToken {
        &self.request.cancel
    }

    /// Whether a repetition of this call could change a server.
    pub(super) fn can_change(&self) -> bool {
        CHANGING.contains(&self.request.tool.as_str())
    }

    pub(super) fn payload(&self) -> String {
        match &self.member {
            Some(member) => member.payload(&self.request.tool, &self.arguments),
            None => digest::payload(&self.request.tool, &self.arguments),
        }
    }

    /// The rules for this call; read once, so that one call has one set of rules.
    pub(super) fn rules(&self) -> Result<&Arc<Rules>, Failure> {
        if let Some(rules) = self.rules.get() {
            return Ok(rules);
        }
        let rules = self
            .resources()
            .rules(self.request.workspace.as_deref(), self.supervisor.judge())?;
        Ok(self.rules.get_or_init(|| Arc::new(rules)))
    }

    /// The servers this call can name; read once.
    pub(super) fn layers(&self) -> Result<Arc<Layers>, Failure> {
        if let Some(layers) = self.layers.get() {
            return Ok(Arc::clone(layers));
        }
        let layers = self.resources().layers(self.request.workspace.as_deref())?;
        Ok(Arc::clone(self.layers.get_or_init(|| Arc::new(layers))))
    }

    /// Lists the servers as a model may see them.
    pub(crate) async fn list_servers(&self) -> Result<Vec<Server>, Failure> {
        // A command that lists is over before a connection is there.
        if self.request.door != "cli" {
            self.dial_ahead().await;
        }
        Ok(self
            .layers()?
            .list()
            .into_iter()
            .filter(|server| !server.disabled)
            .map(|server| Server {
                id: server.id.as_str().to_owned(),
                host: server.host,
                port: server.port,
                user: server.user,
                labels: server.labels,
                scope: match server.scope {
                    registry::Scope::Global => Scope::Global,
                    registry::Scope::Workspace => Scope::Workspace,
                },
                auth: match server.auth {
                    registry::AuthKind::Password => AuthKind::Password,
                    registry::AuthKind::IdentityFile => AuthKind::IdentityFile,
                    registry::AuthKind::Agent => AuthKind::Agent,
                },
                sudo: match server.sudo {
                    registry::Sudo::Never => Sudo::Never,
                    registry::Sudo::Ask => Sudo::Ask,
                },
            })
            .collect())
    }

    /// Puts the intent on record.
    pub(crate) async fn open(&self, server: &str) -> Result<Action, Failure> {
        // Reads may be repeated freely, so their keys claim nothing.
        let key = self.request.key.clone().filter(|_| self.can_change());
        let opened = self.open_action(server, key).await;
        self.conduct.note(opened)
    }

    /// Puts on record that the call only looks what became of an earlier one.
    pub(super) async fn open_to_look(&self, server: &str) -> Result<Action, Failure> {
        self.open_action(server, None).await
    }

    async fn open_action(&self, server: &str, key: Option<String>) -> Result<Action, Failure> {
        self.check_opening(server)?;
        // The journal comes first: without it nothing else is even looked at.
        let journal = self.resources().journal()?;
        if self.resources().paths().pause_file().exists() {
            return Err(failure(
                FailureCode::ServerDisabled,
                "The operator has paused openshell.",
                "A person ends the pause; wait for them.",
            ));
        }
        let id = Resources::server_id(server)?;
        let layers = self.layers()?;
        let record = layers.get(&id)?;
        if record.disabled {
            return Err(failure(
                FailureCode::ServerDisabled,
                format!("Server {id} is disabled."),
                "A person can enable it again.",
            ));
        }
        // The intent holds the caller's words, and only a secret that was unlocked
        // can be taken out of them: so the credential comes first. That it could
        // not be unlocked is on record all the same.
        let target = self.resources().target(&layers, &record).await;
        let intent = Intent {
            context: Context {
                action: String::new(),
                session: self.request.session.clone(),
                door: self.request.door.to_owned(),
                tool: self.request.tool.clone(),
                server: None,
                scope: None,
                fanout: self.member.as_ref().map(Member::fanout),
            },
            arguments: self.arguments.clone(),
            verdict: None,
            component: Some(Engine::component_digest().to_owned()),
            key,
            payload: Some(self.payload()),
        };
        let action = match Action::open(journal, record, intent).await {
            Ok(action) => action,
            // Somebody else was quicker since the key was looked up.
            Err(JournalError::Duplicate(earlier)) => {
                return Err(replay::refuse(self, &earlier).await);
            }
            Err(error) => {
                self.resources().journal_failed(&error);
                return Err(error.into());
            }
        };
        self.lock_actions().push(action.clone());
        // Host, labels and the rest of a record are claims until it is unlocked;
        // nothing is judged by them before.
        action.prove(target?);
        Ok(action)
    }

    /// A call is one action, on the server it names: that is what its result and
    /// its idempotency key stand for.
    fn check_opening(&self, server: &str) -> Result<(), Failure> {
        if let Some(refusal) = self.conduct.refusal() {
            return Err(refusal);
        }
        if !self.lock_actions().is_empty() {
            return Err(misused("A call cannot open a second action."));
        }
        match self.arguments.get("server").and_then(Value::as_str) {
            Some(named) if named == server => Ok(()),
            _ => Err(misused(format!(
                "A call cannot open an action on {server:?} without naming that server."
            ))),
        }
    }

    fn lock_actions(&self) -> std::sync::MutexGuard<'_, Vec<Action>> {
        self.actions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether an action belongs to this call and can still be worked with.
    pub(super) fn check_action(&self, action: &Action) -> Result<(), Failure> {
        if let Some(refusal) = self.conduct.refusal() {
            return Err(refusal);
        }
        let known = self.lock_actions().iter().any(|own| own.same(action));
        if known && !action.is_settled() {
            return Ok(());
        }
        Err(self.misused("The action is over: a call can change one thing once."))
    }

    /// Checks a permit at the moment it is spent.
    pub(super) fn check_permit(&self, permit: &Permit) -> Result<(), Failure> {
        self.check_action(&permit.action)?;
        self.conduct.note(permit.check())?;
        self.standing.begin(&permit.plan);
        self.meter.begin();
        Ok(())
    }

    /// Notes a broken rule and says which.
    pub(super) fn misused(&self, what: impl Into<String>) -> Failure {
        let failure = misused(what);
        // Only what is kept matters; the failure goes back to the guest as well.
        let _ = self.conduct.note(Err::<(), _>(failure.clone()));
        failure
    }

    /// Connects to the action's server, or returns the connection there is.
    pub(super) async fn connection(&self, action: &Action) -> Result<Arc<Connection>, Failure> {
        let target = action
            .target()
            .ok_or_else(|| failure(FailureCode::Internal, "The server was not resolved.", ""))?;
        let dial = async {
            let connection = self.resources().pool().connection(target).await;
            let workspace = self.request.workspace.as_deref();
            let ahead = self.resources().ahead();
            ahead.note(workspace, action.server(), connection.is_ok());
            let connection = connection?;
            connection.expect(self.member().is_some());
            self.clear_leftovers(action, &connection).await;
            Ok(connection)
        };
        tokio::select! {
            connection = dial => connection,
            () = self.cancel().cancelled() => Err(failure(
                FailureCode::Cancelled,
                "The call was given up while connecting; nothing was started.",
                "",
            )),
        }
    }

    /// Ends a call whose guest came to an end.
    pub(super) async fn finish(&self, report: Report) -> Envelope {
        if let Some(refusal) = self.conduct.refusal() {
            return self.finish_failed(&refusal).await;
        }
        let report = match conduct::admit(report) {
            Ok(report) => report,
            Err(unusable) => return self.finish_failed(&unusable).await,
        };
        self.settle(report.code.as_deref(), report.message.as_deref())
            .await;
        let mut envelope = self.envelope();
        if report.code.is_some() {
            envelope.status = Status::Error;
        }
        envelope.code = report.code;
        envelope.message = report.message;
        envelope.next = report.next;
        envelope.data = report.data;
        self.admit(envelope)
    }

    /// Ends a call whose guest was stopped.
    pub(super) async fn finish_failed(&self, failure: &Failure) -> Envelope {
        let code = code_name(failure.code);
        self.settle(Some(&code), Some(&failure.message)).await;
        let mut envelope = self.envelope();
        envelope.status = Status::Error;
        envelope.code = Some(code);
        envelope.message = Some(failure.message.clone());
        envelope.next = (!failure.next.is_empty()).then(|| failure.next.clone());
        self.admit(envelope)
    }

    /// What was found out about earlier actions in the course of this call.
    pub(super) fn settled_earlier(&self) -> Vec<SettledEarlier> {
        let actions = self.lock_actions();
        let facts = actions.last().map(Action::facts);
        facts.map(|facts| facts.settled).unwrap_or_default()
    }

    async fn settle(&self, code: Option<&str>, message: Option<&str>) {
        let actions = self.lock_actions().clone();
        for action in actions {
            let unknown = code == Some("OUTCOME_UNKNOWN");
            action
                .settle(
                    Ending {
                        status: match code {
                            None => "ok",
                            Some(_) if unknown => "unknown",
                            Some(_) => "error",
                        },
                        code: code.map(str::to_owned),
                        message: message.map(str::to_owned),
                    },
                    Durability::Buffered,
                )
                .await;
        }
    }

    /// The host's own part of the envelope.
    fn envelope(&self) -> Envelope {
        let actions = self.lock_actions().clone();
        let facts = actions.last().map(Action::facts).unwrap_or_default();
        Envelope {
            status: Status::Ok,
            tool: self.request.tool.clone(),
            server: self
                .arguments
                .get("server")
                .and_then(Value::as_str)
                .map(str::to_owned),
            code: None,
            message: None,
            next: None,
            data: None,
            replayed: false,
            execution: if actions.is_empty() {
                Execution::default()
            } else {
                facts.execution
            },
            audit: Audit {
                log_written: !actions.is_empty() && facts.unrecorded.is_none(),
                snapshot_status: facts.snapshot,
                seq: actions.last().map(Action::last_seq),
                action: actions.last().map(|action| action.id().to_owned()),
                fanout: self.member.as_ref().map(Member::fanout),
                settled: facts.settled,
            },
        }
    }

    /// Says when a change happened that the record does not fully hold, and
    /// removes our own secrets from whatever a server echoed back.
    fn admit(&self, mut envelope: Envelope) -> Envelope {
        next::say(&mut envelope);
        let facts = self.lock_actions().last().map(Action::facts);
        if let Some(facts) = facts {
            for earlier in &facts.settled {
                let message = envelope.message.take();
                envelope.message = Some(match message {
                    Some(message) => format!("{message} {}", earlier.note),
                    None => earlier.note.clone(),
                });
            }
            let gap = facts.unrecorded.or_else(|| {
                (facts.snapshot == SnapshotStatus::PartialFailure).then(|| {
                    "The state after the change could not be kept as a snapshot.".to_owned()
                })
            });
            if let Some(gap) = gap
                && envelope.status == Status::Ok
            {
                envelope.status = Status::PartialFailure;
                envelope.message = Some(match envelope.message {
                    Some(message) => format!("{message} {gap}"),
                    None => gap,
                });
            }
        }
        if let Ok(redactor) = self.resources().redactor() {
            for text in [&mut envelope.message, &mut envelope.next]
                .into_iter()
                .flatten()
            {
                *text = redactor.scrub(text).into_owned();
            }
            if let Some(data) = &mut envelope.data {
                scrub(data, &redactor);
            }
        }
        envelope
    }
}

fn scrub(value: &mut Value, redactor: &crate::journal::Redactor) {
    match value {
        Value::String(text) => *text = redactor.scrub(text).into_owned(),
        Value::Array(items) => items.iter_mut().for_each(|item| scrub(item, redactor)),
        Value::Object(map) => map.values_mut().for_each(|item| scrub(item, redactor)),
        _ => {}
    }
}
