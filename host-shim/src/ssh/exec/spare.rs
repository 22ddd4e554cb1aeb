//! Shells opened ahead, so that a command costs one round trip, not three.
//!
//! Invariant: a spare shell has run nothing of anybody's and is given out once;
//! it never keeps a place from somebody who needs one. There are as many as
//! commands came at once lately, up to a few. It deliberately is only made while
//! commands are being run: an idle connection opens nothing.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::FutureExt;

use crate::ssh::connection::Connection;

use super::shell::Shell;

/// How long a spare shell may wait on the server.
const LIFE: Duration = Duration::from_secs(60);

/// Spare shells of one connection, at most.
const MOST: usize = 3;

/// Sessions below which none is spent on a spare, and that must be free besides.
const LIMIT_LEAST: usize = 4;
const FREE_LEAST: usize = 2;

/// The place for spare shells.
#[derive(Debug, Default)]
pub(in crate::ssh) struct Spare {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// The oldest first, each with its number.
    shells: VecDeque<(u64, Shell)>,
    opening: usize,
    /// How many there should be.
    wanted: usize,
    /// Whether the connection is not expected to be used again.
    once: bool,
    next: u64,
}

impl Spare {
    /// A spare shell, if there is one and it still stands.
    pub(super) fn take(&self) -> Option<Shell> {
        loop {
            let mut shell = {
                let mut state = self.lock();
                let Some((_, shell)) = state.shells.pop_front() else {
                    // One more would have served.
                    state.wanted = (state.wanted + 1).min(MOST);
                    return None;
                };
                shell
            };
            // Whatever it has to say, be it its end, is there already.
            while shell.channel.wait().now_or_never().is_some() {
                if shell.channel.is_closed() {
                    break;
                }
            }
            if !shell.channel.is_closed() {
                return Some(shell);
            }
        }
    }

    /// Gives the place of one spare shell back.
    pub(in crate::ssh) fn make_way(&self) {
        let shell = self.lock().shells.pop_front();
        drop(shell);
    }

    /// Gives the places of all spare shells back.
    pub(in crate::ssh) fn clear(&self) {
        let shells = std::mem::take(&mut self.lock().shells);
        drop(shells);
    }

    /// Whether commands are expected to follow. Those of a call on many servers are
    /// the only ones as a rule, and a shell beside each would cost as much as they do.
    pub(in crate::ssh) fn expect_more(&self, more: bool) {
        self.lock().once = !more;
    }

    /// Opens spare shells in the background, if there is room and too few.
    pub(super) fn prepare(&self, connection: &Connection) {
        let sessions = connection.sessions();
        if sessions.limit() < LIMIT_LEAST {
            return;
        }
        let mut free = sessions.free();
        let Some(connection) = connection.shared() else {
            return;
        };
        let mut state = self.lock();
        while !state.once
            && state.shells.len() + state.opening < state.wanted
            && free >= FREE_LEAST + state.opening
        {
            state.opening += 1;
            free -= 1;
            tokio::spawn(open_one(Arc::clone(&connection)));
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Opens a spare shell, and closes it when nobody has used it for a while.
async fn open_one(connection: Arc<Connection>) {
    let opened = Shell::open(&connection).await;
    let number = {
        // A failure concerns nobody until a command fails the same way. Where
        // somebody waits for a place, this one is better spent on him.
        let opened = opened.ok().filter(|_| connection.sessions().waiting() == 0);
        let mut state = connection.spare().lock();
        state.opening -= 1;
        state.next += 1;
        let number = state.next;
        state.shells.extend(opened.map(|shell| (number, shell)));
        number
    };
    // The wait must not keep the connection.
    let connection = {
        let weak = Arc::downgrade(&connection);
        drop(connection);
        tokio::time::sleep(LIFE).await;
        weak.upgrade()
    };
    let Some(connection) = connection else { return };
    let unused = {
        let mut state = connection.spare().lock();
        let at = state.shells.iter().position(|(other, _)| *other == number);
        let unused = at.and_then(|at| state.shells.remove(at));
        if unused.is_some() {
            state.wanted = (state.wanted - 1).max(1);
        }
        unused
    };
    drop(unused);
}
