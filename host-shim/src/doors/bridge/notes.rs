//! `tools/progress`: what is heard of a call while it runs.
//!
//! It deliberately carries numbers and the names of tool and server only: what a command prints belongs into the
//! result, where it is bounded, scrubbed and marked as data. Invariant: a note
//! names the call it is about, and none follows its result.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::Bridge;
use crate::supervisor::{Progress, ProgressTo};

/// How long an effect may last before the first note, and between two, where the
/// caller does not say.
pub(super) const EVERY: Duration = Duration::from_secs(10);

impl Bridge {
    /// Where a call's progress goes, and where it comes from.
    pub(super) fn progress(&self) -> (ProgressTo, mpsc::UnboundedReceiver<Progress>) {
        let (to, from) = mpsc::unbounded_channel();
        let every = self.options.progress_every.unwrap_or(EVERY);
        (ProgressTo { every, to }, from)
    }

    /// Tells the client how far a call has got.
    pub(super) fn report(&self, call: &Value, progress: &Progress) {
        self.send(
            json!({"jsonrpc": "2.0", "method": "tools/progress", "params": {
                "call": call,
                "tool": progress.tool,
                "server": progress.server,
                "elapsedMs": progress.elapsed_ms,
                "outputBytes": progress.output_bytes,
            }}),
        );
    }
}
