//! One shell opened ahead, so that a command costs one round trip, not three.
//!
//! Invariant: a spare shell has run nothing of anybody's and is given out once;
//! it never keeps a slot from somebody who needs one. It deliberately is only
//! made while commands are being run: an idle connection opens nothing.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::FutureExt;

use crate::ssh::connection::Connection;

use super::shell::Shell;

/// How long a spare shell may wait on the server.
const LIFE: Duration = Duration::from_secs(60);

/// Slots below which none is spent on a spare, and that must be free besides.
const LIMIT_LEAST: usize = 4;
const FREE_LEAST: usize = 2;

/// The place for a spare shell.
#[derive(Debug, Default)]
pub(in crate::ssh) struct Spare {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    shell: Option<Shell>,
    opening: bool,
    /// Counts the shells that were here, so that an old alarm spares a new one.
    stamp: u64,
}

impl Spare {
    /// The spare shell, if there is one and it still stands.
    pub(super) fn take(&self) -> Option<Shell> {
        let mut shell = self.lock().shell.take()?;
        // Whatever it has to say, be it its end, is there already.
        while shell.channel.wait().now_or_never().is_some() {
            if shell.channel.is_closed() {
                return None;
            }
        }
        Some(shell)
    }

    /// Gives the slot of the spare shell back.
    pub(in crate::ssh) fn clear(&self) {
        let shell = self.lock().shell.take();
        drop(shell);
    }

    /// Opens a spare shell in the background, if there is room and none yet.
    pub(super) fn prepare(&self, connection: &Connection) {
        let sessions = connection.sessions();
        if sessions.limit() < LIMIT_LEAST || sessions.free() < FREE_LEAST {
            return;
        }
        let Some(connection) = connection.shared() else {
            return;
        };
        {
            let mut state = self.lock();
            if state.opening || state.shell.is_some() {
                return;
            }
            state.opening = true;
        }
        tokio::spawn(async move {
            let opened = Shell::open(&connection).await;
            let spare = connection.spare();
            let stamp = {
                let mut state = spare.lock();
                state.opening = false;
                state.stamp += 1;
                // A failure concerns nobody until a command fails the same way.
                // Where all slots are taken by now, somebody may wait for this one.
                state.shell = opened.ok().filter(|_| connection.sessions().waiting() == 0);
                state.stamp
            };
            // The wait must not keep the connection.
            let connection = Arc::downgrade(&connection);
            tokio::time::sleep(LIFE).await;
            if let Some(connection) = connection.upgrade()
                && connection.spare().lock().stamp == stamp
            {
                connection.spare().clear();
            }
        });
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
