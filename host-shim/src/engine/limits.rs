//! How much of this machine one guest may use, and how it is told that it was
//! too much.
//!
//! Time spent in the host (waiting for a server or a person) is not the guest's;
//! how the two are told apart is the business of the call's store. Invariant: a
//! guest that is stopped is stopped with the limit's name. Instructions are not
//! counted, only epochs.

use std::time::Duration;

use wasmtime::{StoreLimits, StoreLimitsBuilder};

use super::EngineError;
use super::ticker::TICK;

/// Bytes a guest may hand to the host in one call of it, or in its report. The
/// host's own form of them counts, so this bounds what the host allocates.
pub(super) const TRANSFER_MAX: usize = 128 * 1024 * 1024;

/// Limits of one guest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Memory, in bytes.
    pub memory: usize,
    /// How long it may compute in all; waiting in the host does not count.
    pub compute: Duration,
    /// How many times it may call the host in all.
    pub host_calls: u32,
}

impl Limits {
    /// What a verdict may take. The worst admissible input takes a few
    /// milliseconds.
    pub(super) const VERDICT: Self = Self {
        compute: Duration::from_secs(1),
        host_calls: 0,
        ..Self::CALL
    };

    /// What a tool call may take. The largest write (32 MiB) exists a few times
    /// over while its JSON is taken apart, and a patch of it takes well under a
    /// second; the widest search runs a few thousand batches.
    const CALL: Self = Self {
        memory: 320 * 1024 * 1024,
        compute: Duration::from_secs(10),
        host_calls: 8_192,
    };

    /// The same in epochs.
    pub(super) fn ticks(&self) -> u64 {
        (self.compute.as_millis() / TICK.as_millis()) as u64
    }

    pub(super) fn store(&self) -> StoreLimits {
        StoreLimitsBuilder::new()
            .memory_size(self.memory)
            .instances(8)
            .tables(8)
            .memories(4)
            .trap_on_grow_failure(true)
            .build()
    }

    /// Tells apart the ways a guest can be stopped.
    pub(super) fn classify_stop(&self, error: &wasmtime::Error) -> EngineError {
        if error.downcast_ref::<TooManyHostCalls>().is_some() {
            return EngineError::TooManyHostCalls(self.host_calls);
        }
        match error.downcast_ref::<wasmtime::Trap>() {
            Some(wasmtime::Trap::Interrupt) => EngineError::TooLong(self.compute),
            Some(trap) => EngineError::Trap(trap.to_string()),
            None => {
                let text = format!("{error:#}");
                // wasmtime gives this error no type of its own.
                if text.contains("forcing trap when growing memory") {
                    EngineError::TooMuchMemory(self.memory >> 20)
                } else {
                    EngineError::Trap(text)
                }
            }
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self::CALL
    }
}

/// Stops a guest that calls the host without end.
#[derive(Debug, thiserror::Error)]
#[error("the host was called too often")]
pub(super) struct TooManyHostCalls;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stops_are_told_apart() {
        let limits = Limits::default();
        let trap = |trap: wasmtime::Trap| wasmtime::Error::from(trap);
        let too_long = limits.classify_stop(&trap(wasmtime::Trap::Interrupt));
        assert!(matches!(too_long, EngineError::TooLong(time) if time == limits.compute));
        let too_often = limits.classify_stop(
            &wasmtime::Error::new(TooManyHostCalls).context("error while executing at wasm"),
        );
        assert!(matches!(too_often, EngineError::TooManyHostCalls(8_192)));
        for other in [
            trap(wasmtime::Trap::UnreachableCodeReached),
            wasmtime::Error::msg("unknown handle index 7"),
        ] {
            assert!(matches!(limits.classify_stop(&other), EngineError::Trap(_)));
        }
    }
}
