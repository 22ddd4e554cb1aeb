//! Waiting for a server on behalf of a call that may be given up.
//!
//! Invariant: what is waited for here changes nothing on the server, so that it can
//! be left in the middle: a call that is given up is answered at once, with its
//! outcome on record, however long the server says nothing. A change that was begun
//! is deliberately never waited for here: it is told as far as it is known.

use std::sync::Arc;

use super::as_root;
use super::call::Call;
use super::change::Present;
use super::failure::failure;
use crate::engine::contract::{Failure, FailureCode};
use crate::ssh::{Connection, Sftp};

/// What a call is answered with that was given up with nothing changed.
pub(super) fn given_up() -> Failure {
    failure(
        FailureCode::Cancelled,
        "The call was given up; nothing was changed.",
        "",
    )
}

impl Call {
    /// Does what changes nothing, unless the call is given up first.
    pub(super) async fn while_wanted<T, E: Into<Failure>>(
        &self,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, Failure> {
        // On the heap: host functions run on the guest's stack, which is small.
        let mut work = Box::pin(work);
        tokio::select! {
            biased;
            done = &mut work => done.map_err(Into::into),
            () = self.cancel().cancelled() => Err(given_up()),
        }
    }

    /// The SFTP session of a connection. It may have to wait until a command of
    /// somebody else ends.
    pub(super) async fn sftp(&self, connection: &Connection) -> Result<Arc<Sftp>, Failure> {
        self.while_wanted(connection.sftp()).await
    }

    /// As [`as_root::look`].
    pub(super) async fn look_as_root(
        &self,
        connection: &Arc<Connection>,
        path: &str,
        limit: u64,
    ) -> Result<(String, Option<Present>), Failure> {
        self.while_wanted(as_root::look(connection, path, limit))
            .await
    }
}
