//! Asking a person: what the question says, who can be asked, what came back.
//!
//! Invariant: a question is rendered from the operation the host is about to do,
//! never from text a guest wrote, and everything in it is escaped so that two
//! different operations cannot look the same. Which door carries the question is
//! the door's business, through [`Asker`].

mod consent;
mod diff;
mod escape;
mod fleet;
mod pending;
mod shown;

use async_trait::async_trait;

use crate::registry::MasterKey;

pub use consent::{AgentFound, agent_between, agent_in_charge};
pub use diff::{Change, describe_change};
pub use escape::{escape_json, escape_line, escape_text};
pub use fleet::{Place, fold};
pub(crate) use pending::name as question_name;
pub use pending::{Decision, Origin, PendingAsk, PendingError, PendingState, PendingStore, Taken};
pub use shown::Shown;
#[cfg(test)]
pub(crate) use shown::tests as tests_shown;

/// Longest command that is put to a person, in lines and in characters: what a
/// dialog shows whole. Longer ones are refused, because half of a command is not
/// what a person agreed to.
pub const SHOWN_LINES_MAX: usize = 8;
/// See [`SHOWN_LINES_MAX`].
pub const SHOWN_CHARS_MAX: usize = 1_600;

/// What is to be done, as the person reads it.
#[derive(Debug, Clone, PartialEq)]
pub enum Matter {
    /// A command line for a shell.
    Command {
        /// Escaped for display.
        shown: String,
        /// As it will run.
        raw: String,
        /// The simple commands in it, as far as they can be made out; escaped. A
        /// standing "no" to any of them is one to the whole.
        segments: Vec<String>,
        /// Directory, where one was given; escaped.
        cwd: Option<String>,
        /// In ms.
        timeout_ms: u32,
        /// Whether the scanner proved it to be one simple command of literal words.
        simple: bool,
        /// The shell that reads it.
        shell: String,
    },
    /// The content, names or metadata of a path that policy does not open unasked.
    Read {
        /// Escaped for display.
        path: String,
        /// What is read: `content`, `names` or `metadata`.
        what: &'static str,
    },
    /// A file that would be created or replaced.
    Write {
        /// Escaped for display; where links lead elsewhere, the resolved name.
        path: String,
        /// The change, already escaped.
        change: Change,
        /// Whether the file must be rewritten in place, so that a lost connection
        /// can leave half of it.
        not_atomic: bool,
    },
    /// A file that would be removed (undoing its creation).
    Remove {
        /// Escaped for display.
        path: String,
        /// The change, already escaped.
        change: Change,
    },
}

/// A question for a person.
#[derive(Debug, Clone)]
pub struct Question {
    /// Tool the call came through.
    pub tool: String,
    /// The server. Of a question about several, [`Place::of_all`] of them.
    pub place: Place,
    /// The accounts it would be done as, where they are not the login's.
    pub run_as: Vec<String>,
    /// What is to be done.
    pub matter: Matter,
    /// Why it is not done unasked, in a sentence.
    pub reason: String,
    /// Identifier of the rule that asks.
    pub rule: String,
    /// SHA-256 in hex of the operation and everything it is bound to.
    pub digest: String,
    /// How long an answer counts, in ms.
    pub expires_ms: u64,
    /// Whether a grant also takes the registry's passphrase, typed at a terminal.
    pub presence: bool,
    /// The servers of a question about several, in order of their ids; empty where
    /// it is about one.
    pub fleet: Vec<Place>,
    /// Servers on which the same call goes ahead with a yes although nobody has to
    /// agree to it there, in order of their ids.
    pub besides: Vec<String>,
}

/// Who or what gave an answer, as the journal keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answerer {
    /// A person, in a dialog or at a terminal.
    Person,
    /// A person, at a terminal, some time before the call that uses the answer.
    OutOfBand,
    /// A standing rule of the person, named.
    Rule(String),
    /// `--yes` or `--no` on the command line.
    Flag,
    /// A client that answers everything (`--auto`).
    Automatic,
    /// A client that did not say.
    Unknown,
}

impl Answerer {
    /// The word for it in the journal.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Person => "person",
            Self::OutOfBand => "person-out-of-band",
            Self::Rule(_) => "rule",
            Self::Flag => "flag",
            Self::Automatic => "auto",
            Self::Unknown => "unknown",
        }
    }
}

/// What came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// Go ahead.
    Granted(Answerer),
    /// Do not; with what the person wants instead, if they said so.
    Rejected(Answerer, Option<String>),
    /// Nobody could be asked; with the reason.
    Unanswered(String),
    /// The question is kept until a person looks at it; the same call, made
    /// again, finds the answer.
    Kept,
}

/// A way to reach a person.
#[async_trait]
pub trait Asker: Send + Sync {
    /// Says whether a person can be asked at all; if not, why.
    ///
    /// # Errors
    /// A sentence saying why nobody can be asked here.
    fn available(&self) -> Result<(), String>;

    /// Puts the question and waits for the answer.
    async fn ask(&self, question: &Question) -> Answer;

    /// Gives back what this call used up of answers that were given before it: it
    /// stopped at a further question and changed nothing.
    async fn give_back(&self) {}

    /// Has the person who just agreed prove that it is them, by the registry's
    /// passphrase. A way of asking that cannot do so does not grant.
    async fn prove_presence(&self, _key: &MasterKey) -> Answer {
        Answer::Unanswered(
            "the operator wants the registry's passphrase for this server, and it can only be \
             typed at a terminal of the person's own."
                .to_owned(),
        )
    }
}
