//! The ways in: each translates a protocol into tool calls and questions.
//!
//! Invariant: a door decides nothing. It carries calls to the supervisor and
//! questions to whoever can answer them.

mod bridge;
mod mcp;

pub use bridge::{BridgeError, BridgeOptions, serve_bridge};
pub use mcp::{McpError, McpOptions, serve_mcp};
