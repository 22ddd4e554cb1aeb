//! A component that attacks the host it runs in.
//!
//! It exports the same world as the real one; the tool name picks the attack.
//! Invariant: whatever the host answers, a call that gets to its end reports
//! success, so nothing a suite sees in a result comes from this guest's honesty.
//!
//! There is nothing in it for other targets than WebAssembly.

#![cfg(target_arch = "wasm32")]

mod attacks;
mod bindings;
mod judge;
mod limits;
mod permits;
mod report;

/// What the world's exports are implemented on.
struct Rogue;
