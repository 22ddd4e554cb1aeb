//! The record's vocabulary: what can be recorded.
//!
//! Serialising is a promise: a field is added, never given another meaning.

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
            Self::Note => "note",
        }
    }
}

/// Which tool call an event belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Context {
    /// Identifier of the action, a ULID.
    pub action: String,
    /// The client's session, where it has one.
    pub session: Option<String>,
    /// Where the call came in: `bridge`, `mcp` or `cli`.
    pub door: String,
    /// Name of the tool.
    pub tool: String,
    /// Logical server id, where the tool works on one.
    pub server: Option<String>,
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
    /// `granted`, `rejected`, `expired` or `unavailable`.
    pub answer: String,
    /// Who answered: `person`, `rule`, `always`, `flag`, …
    pub by: String,
    /// The rule that answered, where none was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// Digest of the operation that was shown, in hex.
    pub digest: String,
}

/// What is to be done, by its digests.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Operation {
    /// `exec`, `argv`, `read`, `stat`, `walk` or `write`.
    pub kind: String,
    /// Digest over everything the permit covers, in hex.
    pub digest: String,
    /// The path after every symbolic link was followed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
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
}

/// What came of an action.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Conclusion {
    /// `ok`, `partial_failure`, `error` or `unknown`.
    pub status: String,
    /// Upper-case code, for anything but success.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// One sentence.
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
    /// What a reader should know besides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// What recovery concluded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Recovery {
    /// No attempt is on record, so nothing was done.
    NotAttempted,
    /// An attempt is on record and no outcome.
    Unknown,
}

/// How an unfinished action was settled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recovered {
    /// The conclusion.
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

/// Where a segment continues.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Segment {
    /// File name of the segment before.
    pub follows: String,
}

/// A tool call arrived.
#[derive(Debug, Clone, PartialEq)]
pub struct Intent {
    /// Which call.
    pub context: Context,
    /// The arguments as they came; redaction happens on the way to the record.
    pub arguments: Value,
    /// The verdict, where it is known already.
    pub verdict: Option<Decided>,
    /// Digest of the component that judged, in hex.
    pub component: Option<String>,
    /// Idempotency key.
    pub key: Option<String>,
    /// Digest of tool name and arguments, in hex, to tell a repetition from a
    /// reused key.
    pub payload: Option<String>,
}

/// A question was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Approval {
    /// Which call.
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
    /// Which call.
    pub context: Context,
    /// What let it pass.
    pub verdict: Option<Decided>,
    /// What will be done.
    pub operation: Operation,
}

/// An action ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// Which call.
    pub context: Context,
    /// What came of it.
    pub outcome: Conclusion,
    /// What was done, where the outcome adds to it.
    pub operation: Option<Operation>,
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
    /// A remark.
    Note(Note),
}
