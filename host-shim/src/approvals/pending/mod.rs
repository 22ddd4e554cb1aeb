//! Questions that wait for a person who is not there yet.
//!
//! Invariant: an answer is for exactly one question, counts for ten minutes and
//! is used once; whoever took a grant and could not use it may give it back, which
//! makes it last no longer. A question's name is the digest of everything it says and of the
//! operation behind it, so whatever changes (the command, its directory, the
//! content or owner of a file, the host key) makes it another question. Every
//! file is sealed under the registry's master key: who only can write files
//! cannot make an answer, and who can only read them does not see a diff.
//!
//! Who may answer is decided by whoever calls [`PendingStore::answer`].

mod store;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{Question, Shown};
use crate::registry::{FileError, SealError};

pub use store::PendingStore;

/// How long a question waits, and then its answer, in ms.
const LIFE_MS: u64 = 10 * 60 * 1000;
/// Questions kept at a time. More than a person reads in ten minutes is a flood.
const KEPT_MAX: usize = 64;
/// Shortest beginning of a name that stands for it, in characters.
const NAME_MIN: usize = 6;

/// Why the kept questions could not be used.
#[derive(Debug, thiserror::Error)]
pub enum PendingError {
    /// The system refused.
    #[error(transparent)]
    File(#[from] FileError),
    /// The directory cannot be listed.
    #[error("the kept questions cannot be listed: {0}")]
    List(#[source] std::io::Error),
    /// A question could not be sealed.
    #[error("the question cannot be sealed: {0}")]
    Seal(#[from] SealError),
    /// A question could not be put into its format.
    #[error("the question cannot be written down: {0}")]
    Format(#[from] serde_json::Error),
    /// Too many wait already.
    #[error("{KEPT_MAX} questions wait for an answer already")]
    Full,
    /// No question has that name, or it has expired.
    #[error("no question waits under the name {0:?}")]
    Unknown(String),
    /// The beginning of a name stands for several.
    #[error("several questions have names that begin with {0:?}")]
    Ambiguous(String),
    /// Somebody has answered it.
    #[error("the question {0} has been answered already")]
    Answered(String),
}

/// Where a question comes from, in the client's own words; nothing rests on it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Origin {
    /// The door: `mcp`, `bridge` or `cli`.
    pub door: String,
    /// Name and version the client gave; escaped when it was taken down.
    pub client: Option<String>,
    /// Folder the client works in; escaped when it was taken down.
    pub workspace: Option<String>,
}

/// A question that is kept, with its answer if there is one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PendingAsk {
    /// Name: SHA-256 in hex over the operation's digest and the question.
    pub id: String,
    /// The question in words.
    pub shown: Shown,
    /// Digest of the operation, as in the journal.
    pub digest: String,
    /// Whether a grant also takes the registry's passphrase.
    pub presence: bool,
    /// Where it comes from.
    pub origin: Origin,
    /// When it was last asked, in ms since 1970.
    pub asked_ms: u64,
    /// What has become of it.
    pub state: PendingState,
}

/// What has become of a kept question.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum PendingState {
    /// Nobody has answered.
    Waiting,
    /// The same call may go ahead, once.
    Granted {
        /// When, in ms since 1970.
        at_ms: u64,
        /// Whether the registry's passphrase was typed.
        presence: bool,
    },
    /// It may not.
    Rejected {
        /// When, in ms since 1970.
        at_ms: u64,
        /// What the person wants instead.
        feedback: Option<String>,
    },
}

/// A person's decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Go ahead, once.
    Grant {
        /// Whether the person typed the registry's passphrase.
        presence: bool,
    },
    /// Do not; with what the person wants instead.
    Reject(Option<String>),
}

/// What the store knows of a question that is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Taken {
    /// It was granted; the grant is used up now.
    Granted {
        /// Whether the registry's passphrase was typed for it.
        presence: bool,
        /// What was kept, for [`PendingStore::give_back`].
        ask: Box<PendingAsk>,
    },
    /// It was rejected, and stays so until that expires.
    Rejected(Option<String>),
    /// There is no answer.
    Nothing,
}

impl PendingAsk {
    fn new(question: &Question, origin: Origin, now_ms: u64) -> Self {
        Self {
            id: name(question),
            shown: Shown::of(question),
            digest: question.digest.clone(),
            presence: question.presence,
            origin,
            asked_ms: now_ms,
            state: PendingState::Waiting,
        }
    }

    /// When it stops to count, in ms since 1970.
    #[must_use]
    pub fn expires_ms(&self) -> u64 {
        self.counts_from() + LIFE_MS
    }

    fn counts_from(&self) -> u64 {
        match self.state {
            PendingState::Waiting => self.asked_ms,
            PendingState::Granted { at_ms, .. } | PendingState::Rejected { at_ms, .. } => at_ms,
        }
    }

    /// A time in the future is no time: a clock that was set back must not make
    /// an answer count for longer.
    fn counts(&self, now_ms: u64) -> bool {
        now_ms
            .checked_sub(self.counts_from())
            .is_some_and(|age| age < LIFE_MS)
    }
}

/// The name of a question: SHA-256 in hex over what it says and the operation
/// behind it.
pub(crate) fn name(question: &Question) -> String {
    let mut digest = Sha256::new();
    let shown = Shown::of(question).to_string();
    let presence = if question.presence { "presence" } else { "" };
    for part in [
        "openshell pending question 1",
        &question.digest,
        &shown,
        presence,
    ] {
        digest.update((part.len() as u64).to_be_bytes());
        digest.update(part);
    }
    digest
        .finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}
