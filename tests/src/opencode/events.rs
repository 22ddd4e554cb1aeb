//! OpenCode's event bus, as a list that grows.
//!
//! Invariant: an event is in the list before anybody waiting is woken. No event is
//! left out or interpreted.

use std::io::{BufRead, BufReader};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread;
use std::time::Duration;

use serde_json::Value;

/// Everything the bus has said since `listen`.
#[derive(Debug, Default)]
pub(super) struct Events {
    seen: Mutex<Vec<Value>>,
    grown: Condvar,
}

impl Events {
    /// Listens to the bus at `url` until it closes; none if it says nothing at
    /// all within `limit`.
    pub(super) fn listen(url: String, limit: Duration) -> Option<Arc<Self>> {
        let events = Arc::new(Self::default());
        let filling = Arc::clone(&events);
        let (connected, wait) = mpsc::channel();
        thread::spawn(move || {
            let Ok(mut response) = ureq::get(&url).call() else {
                return;
            };
            for line in BufReader::new(response.body_mut().as_reader()).lines() {
                let Ok(line) = line else { return };
                let Some(data) = line.strip_prefix("data:") else {
                    continue;
                };
                let Ok(event) = serde_json::from_str::<Value>(data) else {
                    continue;
                };
                filling.lock().push(event);
                filling.grown.notify_all();
                // Only the first one finds somebody waiting.
                let _first = connected.send(());
            }
        });
        wait.recv_timeout(limit).ok().map(|()| events)
    }

    /// The list so far.
    pub(super) fn lock(&self) -> MutexGuard<'_, Vec<Value>> {
        // It stays a plain list even if a test thread panicked with it.
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives the list back and returns once it has grown, or after `limit`.
    pub(super) fn wait(&self, seen: MutexGuard<'_, Vec<Value>>, limit: Duration) {
        let waited = self.grown.wait_timeout(seen, limit);
        drop(waited.unwrap_or_else(PoisonError::into_inner));
    }
}
