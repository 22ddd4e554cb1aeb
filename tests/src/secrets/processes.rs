//! What processes show of themselves to every other process of the account:
//! arguments and environment.
//!
//! Invariant: a process and everything it started is looked at again and again
//! while it lives. It deliberately stays blind where there is no `/proc`, and to
//! processes that are gone between two looks.

use std::collections::HashSet;
use std::fs;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::Run;

/// Time between two looks of a [`Watch`].
const PAUSE: Duration = Duration::from_millis(5);

/// What was written down already, by its hash.
static SEEN: LazyLock<(RandomState, Mutex<HashSet<u64>>)> = LazyLock::new(Default::default);

impl Run {
    /// Writes down what a process and its descendants show now.
    pub fn look_at(&self, pid: u32) {
        let mut open = vec![pid];
        while let Some(pid) = open.pop() {
            for what in ["cmdline", "environ"] {
                let Ok(bytes) = fs::read(format!("/proc/{pid}/{what}")) else {
                    continue;
                };
                let hash = SEEN.0.hash_one((&self.dir, what, &bytes));
                let new = SEEN
                    .1
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .insert(hash);
                if new && !bytes.is_empty() {
                    self.write("processes", what, &bytes);
                }
            }
            let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
            open.extend(
                children
                    .unwrap_or_default()
                    .split_ascii_whitespace()
                    .filter_map(|child| child.parse::<u32>().ok()),
            );
        }
    }

    /// Looks at a process and its descendants until the value is dropped.
    #[must_use]
    pub fn watch(&self, pid: u32) -> Watch {
        let over = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&over);
        let run = self.clone();
        let thread = thread::spawn(move || {
            while !seen.load(Ordering::Relaxed) {
                run.look_at(pid);
                thread::sleep(PAUSE);
            }
        });
        Watch {
            over,
            thread: Some(thread),
        }
    }
}

/// A process under observation.
#[derive(Debug)]
pub struct Watch {
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
