//! Taking turns: one change at a time of a file on a server, by whatever name
//! server and file are called, and by whatever process.
//!
//! Invariant: from the look at what is there until the outcome is on record,
//! nobody else changes the file through openshell. Whoever comes next waits, in
//! the order of coming, and only after a dead holder's action is settled.
//! It deliberately does not keep anybody from changing the file by other means.

use std::sync::Arc;
use std::time::Duration;

use super::action::Action;
use super::call::Call;
use super::failure::failure;
use crate::engine::contract::{Failure, FailureCode};
use crate::journal::LeaseError;
use crate::ssh::Connection;

/// Longest wait for others. A holder may be waiting for a person; whoever waits
/// longer than this is told so.
const PATIENCE: Duration = Duration::from_secs(120);

impl Call {
    /// Waits for the turn to change a file, by its resolved name. The turn ends
    /// when the action is settled.
    pub(super) async fn take_turn(
        &self,
        action: &Action,
        connection: &Arc<Connection>,
        path: &str,
    ) -> Result<(), Failure> {
        let subject = format!("{}\n{path}", connection.host_key().fingerprint());
        if action.holds(&subject) {
            return Ok(());
        }
        let leased = tokio::select! {
            leased = action.journal().lease(&subject, action.id(), PATIENCE) => leased,
            () = self.cancel().cancelled() => {
                return Err(failure(
                    FailureCode::Cancelled,
                    "The call was given up while others were changing the file; nothing was done.",
                    "",
                ));
            }
        };
        match leased {
            Ok(lease) => {
                action.hold(subject, lease);
                Ok(())
            }
            Err(LeaseError::Journal(error)) => Err(error.into()),
            Err(LeaseError::Held { action, pid, .. }) => Err(failure(
                FailureCode::Conflict,
                format!(
                    "Another call (action {action}, process {pid} of this machine) has been \
                     changing {path} for more than {} s, or waits for its person; nothing was \
                     done.",
                    PATIENCE.as_secs()
                ),
                "Wait until that call has ended, then read the file again.",
            )),
        }
    }
}
