//! What a client believes, held against what is so.
//!
//! Invariant: a call that can change something says what it goes by, and is not made
//! where that is wrong. Looking is always free.

use serde_json::{Value, json};

use super::Bridge;
use super::protocol::{CallParams, STALE_CLIENT};

/// What is no longer as the client believes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stale {
    /// The tools.
    Capabilities,
    /// The policy.
    Behavior,
    /// The journal ends before this record, which the client has seen.
    Journal(u64),
}

impl Stale {
    fn word(self) -> &'static str {
        match self {
            Self::Capabilities => "capabilities",
            Self::Behavior => "behavior",
            Self::Journal(_) => "journal",
        }
    }

    fn message(self) -> String {
        match self {
            Self::Capabilities => "this helper offers other tools than the one the client started \
                                   with; start again with `initialize`"
                .to_owned(),
            Self::Behavior => "the policy has changed since the client asked for it; start again \
                               with `initialize`"
                .to_owned(),
            Self::Journal(seen) => format!(
                "the journal ends before record {seen}, which this client has seen: records are \
                 missing; a person must look at it with `openshell audit verify`"
            ),
        }
    }
}

impl Bridge {
    /// Whether the call says everything it goes by, where it must.
    ///
    /// # Errors
    /// A sentence that names what is missing.
    pub(super) fn stamped(&self, params: &CallParams) -> Result<(), String> {
        if !self.changes(&params.name) {
            return Ok(());
        }
        let said = [
            (
                "capabilitySnapshotId",
                params.capability_snapshot_id.is_some(),
            ),
            ("behaviorFingerprint", params.behavior_fingerprint.is_some()),
            ("journalMark", params.journal_mark.is_some()),
        ];
        match said.into_iter().find(|(_, said)| !said) {
            Some((missing, _)) => Err(format!(
                "a call of {} must carry `{missing}`, as the answer to `initialize` said it or \
                 a later answer since",
                params.name
            )),
            None => Ok(()),
        }
    }

    /// Whether it is a tool that can change something; one that is none cannot.
    fn changes(&self, tool: &str) -> bool {
        let mut tools = self.definitions.iter();
        tools.any(|known| known.name == tool && !known.read_only)
    }

    /// Why a call that can change something must not be made on what the client
    /// knows; none when it knows the present.
    pub(super) async fn stale(&self, params: &CallParams) -> Option<Stale> {
        if !self.changes(&params.name) {
            return None;
        }
        let other = |known: &Option<String>, present: &str| {
            known.as_deref().is_some_and(|known| known != present)
        };
        if other(&params.capability_snapshot_id, &self.capabilities) {
            return Some(Stale::Capabilities);
        }
        if other(&params.behavior_fingerprint, &self.fingerprint()) {
            return Some(Stale::Behavior);
        }
        let seen = params.journal_mark?;
        (self.mark().await < seen).then_some(Stale::Journal(seen))
    }

    /// Refuses, with what the client would learn by starting anew, so that it need
    /// not.
    pub(super) fn refuse_stale(&self, id: &Value, stale: &Stale) {
        self.send(json!({"jsonrpc": "2.0", "id": id, "error": {
            "code": STALE_CLIENT,
            "message": stale.message(),
            "data": {
                "reason": stale.word(),
                "capabilitySnapshotId": self.capabilities,
                "behaviorFingerprint": self.fingerprint(),
            },
        }}));
    }
}
