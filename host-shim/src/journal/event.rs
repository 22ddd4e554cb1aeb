//! The record's vocabulary: what can be recorded.
//!
//! Invariant: serialising is a promise: a field is added, never given another
//! meaning. No field is redacted or numbered here.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What a line is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EventKind {
    /// A tool call arrived; nothing has been connected to.
    Intent,
    /// A question was put, or a rule answered in its place.
    Approval,
    /// The effect is about to start; from here on the outcome can be unknown.
    Attempt,
    /// What came of it.
    Outcome,
    /// Another process found the action unfinished after its owner died.
    Recovered,
    /// First line of a segment that continues another.
    Checkpoint,
    /// An action whose outcome was unknown was found out about later.
    Settled,
    /// Anything a reader of the record should know besides.
    Note,
}

impl EventKind {
    /// The word used in the record.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Intent => "intent",
            Self::Approval => "approval",
            Self::Attempt => "attempt",
            Self::Outcome => "outcome",
            Self::Recovered => "recovered",
            Self::Checkpoint => "checkpoint",
            Self::Settled => "settled",
            Self::Note => "note",
        }
    }
}

/// Which tool call an event belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Context {
    /// Identifier of the action, a ULID.
    pub action: String,
    /// The client's session, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    /// Where the call came in: `bridge`, `mcp` or `cli`.
    pub door: String,
    /// Name of the tool.
    pub tool: String,
    /// Logical server id, where the tool works on one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server: Option<String>,
    /// Where the id comes from, if not from the operator's own register:
    /// `workspace:` and the workspace's short hash.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
    /// Shared by the actions of one call on several servers, a ULID.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fanout: Option<String>,
}

/// What the policy said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decided {
    /// `auto-allow`, `approval-required` or `reject`.
    pub decision: String,
    /// Identifier of the deciding rule.
    pub rule: String,
    /// One sentence for a person.
    pub reason: String,
}

/// Who agreed to what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// `granted`, `rejected`, `pending`, `expired` or `unavailable`.
    pub answer: String,
    /// Who answered: `person`, `person-out-of-band`, `rule`, `always`, `flag`, …
    pub by: String,
    /// The rule that answered, where none was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// Digest of the operation that was shown, in hex.
    pub digest: String,
    /// Where one question was put about several servers: the digest, in hex, over
    /// the operations on all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub question: Option<String>,
}

/// What is to be done, by its digests.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Operation {
    /// `exec`, `argv`, `read`, `stat`, `walk` or `write`.
    pub kind: String,
    /// Digest over everything the permit covers, in hex.
    pub digest: String,
    /// Whether it is known to change nothing on the server.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub read_only: bool,
    /// The accounts it is done as, where they are not the login's.
    #[serde(default, rename = "as", skip_serializing_if = "Option::is_none")]
    pub run_as: Option<String>,
    /// The path after every symbolic link was followed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Fingerprint of the host key the server proved itself with, by which it is
    /// the same server under another id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host_key: Option<String>,
    /// Permission bits a written file gets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<u32>,
    /// Owner and group a written file gets, as `UID:GID`, where they were asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// SHA-256 of the content before, in hex; none where there was no file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base_sha256: Option<String>,
    /// SHA-256 of the content to be written, in hex.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub new_sha256: Option<String>,
    /// Commit of the before-snapshot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshot: Option<String>,
    /// Name of the temporary file beside `path` that becomes the file when it is
    /// complete.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub temporary: Option<String>,
    /// Name of the directory in which content waits for root to put it in place;
    /// what root then makes beside `path` has a name that begins with `temporary`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub staging: Option<String>,
}

/// What came of an action.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Conclusion {
    /// `ok`, `partial_failure`, `error` or `unknown`.
    pub status: String,
    /// Upper-case code, for anything but success.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// What happened, in one sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Exit status of a command.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<u32>,
    /// Bytes the command wrote to its standard output, whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stdout_bytes: Option<u64>,
    /// Bytes the command wrote to its standard error, whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stderr_bytes: Option<u64>,
    /// Wall time, in ms.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration_ms: Option<u64>,
    /// `never-started`, `group-gone` or `may-run`, where the call ended early.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<String>,
    /// SHA-256 of the content read or written, in hex.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// Process group on the server of a command whose end is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<u32>,
    /// What a reader should know besides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

impl Conclusion {
    /// Whether the effect came about, whatever else did not.
    #[must_use]
    pub fn happened(&self) -> bool {
        matches!(self.status.as_str(), "ok" | "partial_failure")
    }
}

/// What recovery concluded of an action whose process died; never a success.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Recovery {
    /// No attempt is on record, so nothing was done.
    NotAttempted,
    /// An attempt is on record and no outcome.
    Unknown,
    /// An attempt of something that changes nothing; only its result is lost.
    Interrupted,
}

impl Recovery {
    /// The word used in the record.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotAttempted => "not-attempted",
            Self::Unknown => "unknown",
            Self::Interrupted => "interrupted",
        }
    }
}

/// How an unfinished action was settled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recovered {
    /// What can be said of the action.
    pub result: Recovery,
    /// The process that began the action, by its owner id.
    pub owner: String,
}

/// Bytes that a crash left behind and that are no record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Torn {
    /// How many bytes precede this line, counting line ends.
    pub bytes: u64,
    /// Their SHA-256, in hex.
    pub sha256: String,
}

/// Where a segment continues, and what it must know of those before it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Segment {
    /// File name of the segment before.
    pub follows: String,
    /// Changes that were under way when the segment began.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub under_way: Vec<Unsettled>,
    /// Changes whose outcome was unknown then.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unknown: Vec<Unsettled>,
}

/// A change of which nobody knows whether it happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unsettled {
    /// The call whose change this is.
    pub context: Context,
    /// Sequence number of its attempt.
    pub attempt: u64,
    /// When it was attempted: RFC 3339, UTC, ms.
    pub ts: String,
    /// What was attempted.
    pub operation: Operation,
    /// Process group of the command on the server, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<u32>,
    /// What was found so far and may still change: a command that still ran.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub found: Option<Finding>,
}

/// What was found out about an action whose outcome was unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Finding {
    /// The file is as it was to become.
    Written,
    /// The file is as it was before.
    NotWritten,
    /// The file is neither: somebody else has changed it since.
    Changed,
    /// The command is still running.
    StillRunning,
    /// Nothing of the command runs any more; what it did is not known.
    Gone,
    /// It happened, as a person found out.
    Done,
    /// It did not happen, as a person found out.
    NotDone,
}

impl Finding {
    /// The word used in the record.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Written => "written",
            Self::NotWritten => "not-written",
            Self::Changed => "changed",
            Self::StillRunning => "still-running",
            Self::Gone => "gone",
            Self::Done => "done",
            Self::NotDone => "not-done",
        }
    }

    /// Whether it will not change any more by itself.
    #[must_use]
    pub fn is_final(self) -> bool {
        self != Self::StillRunning
    }
}

/// How an action whose outcome was unknown was settled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settled {
    /// What was found.
    pub finding: Finding,
    /// Who found out: `reconciliation`, in a later call about it, or `person`.
    pub by: String,
    /// Account name of the person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub who: Option<String>,
    /// The action in the course of which it was found out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub during: Option<String>,
    /// SHA-256 of the file as it was found, in hex; none where there was none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// What it rests on, in a sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// A tool call arrived.
#[derive(Debug, Clone, PartialEq)]
pub struct Intent {
    /// The call that arrived.
    pub context: Context,
    /// The arguments as they came; redaction happens on the way to the record.
    pub arguments: Value,
    /// The verdict, where it is known already.
    pub verdict: Option<Decided>,
    /// Digest of the component that judged, in hex.
    pub component: Option<String>,
    /// Idempotency key, where the client gave one.
    pub key: Option<String>,
    /// Digest of tool name and arguments, in hex, to tell a repetition from a
    /// reused key.
    pub payload: Option<String>,
}

/// A question was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Approval {
    /// The call that had to be asked about.
    pub context: Context,
    /// What made the question necessary.
    pub verdict: Option<Decided>,
    /// The answer.
    pub approval: Answer,
    /// What was asked about.
    pub operation: Option<Operation>,
}

/// An effect is about to start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// The call whose effect starts.
    pub context: Context,
    /// What let it pass.
    pub verdict: Option<Decided>,
    /// What will be done.
    pub operation: Operation,
}

/// An action ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// The call that ended.
    pub context: Context,
    /// What came of it.
    pub outcome: Conclusion,
    /// What was done, where the outcome adds to it.
    pub operation: Option<Operation>,
}

/// An unknown outcome was found out about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settlement {
    /// The call that was settled.
    pub context: Context,
    /// What was found.
    pub settled: Settled,
}

/// A remark.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// Which call, where it is about one.
    pub context: Option<Context>,
    /// The remark.
    pub text: String,
}

/// What a caller can have recorded. Recoveries and checkpoints are the
/// journal's own.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// A tool call arrived.
    Intent(Intent),
    /// A question was answered.
    Approval(Approval),
    /// An effect is about to start.
    Attempt(Attempt),
    /// An action ended.
    Outcome(Outcome),
    /// An unknown outcome was found out about.
    Settled(Settlement),
    /// A remark.
    Note(Note),
}
