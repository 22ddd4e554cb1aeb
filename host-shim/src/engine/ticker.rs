//! The clock that lets a guest be interrupted: advances the engine's epoch while
//! at least one guest runs, and sleeps otherwise.
//!
//! Invariant: one thread for an engine, which ends with the last handle. It only
//! lets a guest be interrupted; whether one is, the call's store decides.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::thread::{self, Thread};
use std::time::Duration;

/// Length of one epoch.
pub(super) const TICK: Duration = Duration::from_millis(10);

/// Handle to the clock; the thread ends with the last one.
#[derive(Clone)]
pub(super) struct Ticker {
    running: Arc<AtomicUsize>,
    thread: Thread,
}

/// Keeps the clock running.
pub(super) struct Ticking(Ticker);

impl Ticker {
    pub(super) fn start(engine: wasmtime::Engine) -> Self {
        let running = Arc::new(AtomicUsize::new(0));
        let watched: Weak<AtomicUsize> = Arc::downgrade(&running);
        let thread = thread::Builder::new()
            .name("openshell-epoch".to_owned())
            .spawn(move || {
                while let Some(count) = watched.upgrade() {
                    let busy = count.load(Ordering::Acquire) > 0;
                    drop(count);
                    if busy {
                        thread::sleep(TICK);
                        engine.increment_epoch();
                    } else {
                        // The time-out only lets the thread notice that nobody is left.
                        thread::park_timeout(Duration::from_secs(5));
                    }
                }
            })
            .expect("a thread can be started while the helper starts")
            .thread()
            .clone();
        Self { running, thread }
    }

    /// Runs the clock until the returned value is dropped.
    pub(super) fn hold(&self) -> Ticking {
        if self.running.fetch_add(1, Ordering::AcqRel) == 0 {
            self.thread.unpark();
        }
        Ticking(self.clone())
    }
}

impl Drop for Ticking {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::AcqRel);
    }
}
