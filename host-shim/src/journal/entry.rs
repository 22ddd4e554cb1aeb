//! The form an event has on disk: one flat object a line.
//!
//! Invariant: serialising is a promise: a field is added, never given another
//! meaning, and `v` rises when an old reader would misunderstand.
//!
//! What it deliberately does not do: hash, number or time an entry; that
//! happens when the entry's turn comes.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::event::{
    Answer, Conclusion, Context, Decided, Event, EventKind, Operation, Recovered, Segment, Settled,
    Torn,
};

/// Version of the line format.
pub(super) const FORMAT: u32 = 1;

/// One line of the journal, without its hash.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// Version of the line format; it rises when an old reader would misunderstand.
    pub v: u32,
    /// Sequence number; the first record is 1.
    pub seq: u64,
    /// When it was written: RFC 3339, UTC, ms.
    pub ts: String,
    /// What it is about.
    pub event: EventKind,
    /// Identifier of the action, a ULID.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub action: Option<String>,
    /// The client's session, by the name the client gives it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    /// Where the call came in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub door: Option<String>,
    /// Name of the tool.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool: Option<String>,
    /// Logical server id, where the tool works on one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server: Option<String>,
    /// Where the server's id comes from, if not from the operator's register.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
    /// Shared by the actions of one call on several servers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fanout: Option<String>,
    /// The call's arguments as they came, redacted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arguments: Option<Value>,
    /// What the policy said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verdict: Option<Decided>,
    /// Who answered the question, and how.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval: Option<Answer>,
    /// What is asked about or attempted; in an outcome, where that adds to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operation: Option<Operation>,
    /// What came of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Conclusion>,
    /// How an unfinished action was settled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recovered: Option<Recovered>,
    /// What was found out about an unknown outcome.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settled: Option<Settled>,
    /// Which segment this one continues.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub segment: Option<Segment>,
    /// Which bytes before this line are no record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub torn: Option<Torn>,
    /// Text of a note.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// Digest of the component that judged, in hex.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub component: Option<String>,
    /// Idempotency key of the call, where the client gave one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Digest of tool name and arguments, in hex.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payload: Option<String>,
    /// The process that wrote the line, as an id that is never used again.
    pub owner: String,
    /// Its process id when it wrote.
    pub pid: u32,
    /// SHA-256 of the record before, in hex.
    pub prev: String,
}

impl Entry {
    /// An entry with nothing but its kind; the chain fills in its place.
    pub(super) fn blank(event: EventKind) -> Self {
        Self {
            v: FORMAT,
            seq: 0,
            ts: String::new(),
            event,
            action: None,
            session: None,
            door: None,
            tool: None,
            server: None,
            scope: None,
            fanout: None,
            arguments: None,
            verdict: None,
            approval: None,
            operation: None,
            outcome: None,
            recovered: None,
            settled: None,
            segment: None,
            torn: None,
            text: None,
            component: None,
            key: None,
            payload: None,
            owner: String::new(),
            pid: 0,
            prev: String::new(),
        }
    }

    /// Number of the record in a line, with nothing else of it read.
    pub(super) fn seq_of(line: &[u8]) -> Option<u64> {
        #[derive(Deserialize)]
        struct Numbered {
            seq: u64,
        }
        let numbered = serde_json::from_slice::<Numbered>(line);
        numbered.ok().map(|numbered| numbered.seq)
    }

    /// The call an entry belongs to, where it names one.
    #[must_use]
    pub fn context(&self) -> Option<Context> {
        Some(Context {
            action: self.action.clone()?,
            session: self.session.clone(),
            door: self.door.clone().unwrap_or_default(),
            tool: self.tool.clone().unwrap_or_default(),
            server: self.server.clone(),
            scope: self.scope.clone(),
            fanout: self.fanout.clone(),
        })
    }

    /// Whether what an attempt announces can change a server.
    pub(super) fn may_change(&self) -> bool {
        self.operation
            .as_ref()
            .is_some_and(|operation| !operation.read_only)
    }

    /// Sets the call an entry belongs to.
    pub(super) fn about(mut self, context: Context) -> Self {
        self.action = Some(context.action);
        self.session = context.session;
        self.door = Some(context.door);
        self.tool = Some(context.tool);
        self.server = context.server;
        self.scope = context.scope;
        self.fanout = context.fanout;
        self
    }

    /// Every text that a person, a model or a server had a hand in, except the
    /// arguments. Identifiers and digests of our own making are left out.
    pub(super) fn free_texts(&mut self) -> impl Iterator<Item = &mut String> {
        let verdict = self.verdict.as_mut().map(|verdict| &mut verdict.reason);
        let path = self.operation.as_mut().and_then(|it| it.path.as_mut());
        let (message, note) = match self.outcome.as_mut() {
            Some(outcome) => (outcome.message.as_mut(), outcome.note.as_mut()),
            None => (None, None),
        };
        let rule = self.approval.as_mut().and_then(|it| it.rule.as_mut());
        let found = self.settled.as_mut().and_then(|it| it.note.as_mut());
        [
            verdict,
            rule,
            path,
            message,
            note,
            found,
            self.text.as_mut(),
        ]
        .into_iter()
        .flatten()
    }

    /// Identifiers that come from outside.
    pub(super) fn names(&mut self) -> impl Iterator<Item = &mut String> {
        [
            self.session.as_mut(),
            self.door.as_mut(),
            self.tool.as_mut(),
            self.server.as_mut(),
            self.key.as_mut(),
        ]
        .into_iter()
        .flatten()
    }
}

impl From<Event> for Entry {
    fn from(event: Event) -> Self {
        match event {
            Event::Intent(it) => Self {
                arguments: Some(it.arguments),
                verdict: it.verdict,
                component: it.component,
                key: it.key,
                payload: it.payload,
                ..Self::blank(EventKind::Intent)
            }
            .about(it.context),
            Event::Approval(it) => Self {
                verdict: it.verdict,
                approval: Some(it.approval),
                operation: it.operation,
                ..Self::blank(EventKind::Approval)
            }
            .about(it.context),
            Event::Attempt(it) => Self {
                verdict: it.verdict,
                operation: Some(it.operation),
                ..Self::blank(EventKind::Attempt)
            }
            .about(it.context),
            Event::Outcome(it) => Self {
                outcome: Some(it.outcome),
                operation: it.operation,
                ..Self::blank(EventKind::Outcome)
            }
            .about(it.context),
            Event::Settled(it) => Self {
                settled: Some(it.settled),
                ..Self::blank(EventKind::Settled)
            }
            .about(it.context),
            Event::Note(it) => {
                let entry = Self {
                    text: Some(it.text),
                    ..Self::blank(EventKind::Note)
                };
                match it.context {
                    Some(context) => entry.about(context),
                    None => entry,
                }
            }
        }
    }
}
