//! The openshell component: the tools a model sees, the checks of their
//! arguments and the command policy.
//!
//! Invariant: everything here is a pure function of its input and of what the
//! imports `servers`, `effects` and `outputs` return. There is no clock, file, socket or randomness, so a
//! verdict can be reproduced from the component's digest alone.
//!
//! It deliberately holds no credential and makes no decision the host relies on:
//! the host judges every operation again in an instance of its own.

mod bindings;
mod guest;
pub mod policy;
mod tools;

pub use tools::{Definition, definitions};
