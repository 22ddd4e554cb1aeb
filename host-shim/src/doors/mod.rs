//! The ways in: each translates a protocol into tool calls and questions.
//!
//! Invariant: a door decides nothing. It carries calls to the supervisor and
//! questions to whoever can answer them. What a client may ask of this process at a
//! time is limited alike at every door that stays open.

mod bridge;
mod mcp;

pub use bridge::{BridgeError, BridgeOptions, serve_bridge};
pub use mcp::{McpError, McpOptions, serve_mcp};

/// Calls that may run at once: one waiting for its server takes less than 1 MB.
const CALLS_MAX: usize = 1024;
/// The JSON-RPC error for one more than that.
const BUSY: i32 = -32011;

/// What is told to whoever makes one more call than may run at once.
fn too_many_calls() -> String {
    format!("{CALLS_MAX} calls run already; send this one when one has ended")
}
