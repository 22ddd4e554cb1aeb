//! How far a call is, for whoever waits for it.
//!
//! Invariant: nothing is said before an effect has begun, so the time a person takes
//! to answer is never reported as work. It deliberately tells numbers and no output.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use serde_json::Value;
use tokio::sync::{Notify, mpsc};
use tokio::time::{Instant, MissedTickBehavior};

use super::call::Call;

/// A call whose effect has been going on for a while.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// Name of the tool.
    pub tool: String,
    /// Logical server id, where the call names one.
    pub server: Option<String>,
    /// Time since the effect began, in ms.
    pub elapsed_ms: u64,
    /// Bytes a command has printed so far.
    pub output_bytes: u64,
}

/// Where a call's progress is told, and how often.
#[derive(Debug, Clone)]
pub struct ProgressTo {
    /// How long an effect lasts before the first note, and between two.
    pub every: Duration,
    /// Who hears of it; one that is gone is no error.
    pub to: mpsc::UnboundedSender<Progress>,
}

/// What is measured of a call.
#[derive(Default)]
pub(super) struct Meter {
    begun: AtomicBool,
    begins: Notify,
    /// Bytes printed by its commands.
    pub(super) printed: Arc<AtomicU64>,
}

impl Meter {
    /// Notes that the call's first effect begins.
    pub(super) fn begin(&self) {
        if !self.begun.swap(true, Ordering::AcqRel) {
            self.begins.notify_one();
        }
    }
}

impl Call {
    /// Does the work of this call and tells of it meanwhile, where somebody wants
    /// to hear.
    pub(super) async fn telling<T>(&self, work: impl Future<Output = T>) -> T {
        let Some(progress) = &self.request().progress else {
            return work.await;
        };
        tokio::select! {
            biased;
            done = work => done,
            never = self.tell(progress) => match never {},
        }
    }

    async fn tell(&self, progress: &ProgressTo) -> Infallible {
        self.meter().begins.notified().await;
        let began = Instant::now();
        let mut ticks = tokio::time::interval_at(began + progress.every, progress.every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        loop {
            ticks.tick().await;
            let server = self.arguments().get("server").and_then(Value::as_str);
            let note = Progress {
                tool: self.request().tool.clone(),
                server: server.map(str::to_owned),
                elapsed_ms: u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
                output_bytes: self.meter().printed.load(Ordering::Relaxed),
            };
            let _ = progress.to.send(note);
        }
    }
}
