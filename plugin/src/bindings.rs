//! Generated bindings of the `plugin` world; nothing is written by hand here.
//!
//! Outside a component the imports have no implementation and panic when called,
//! which keeps the pure parts testable natively.
//!
//! Invariant: the types are those of `wit/` and of nothing else. The policy does
//! not use them: it has a vocabulary of its own.

#![allow(
    unsafe_code,
    missing_docs,
    unreachable_pub,
    clippy::all,
    clippy::allow_attributes_without_reason,
    reason = "generated code"
)]

wit_bindgen::generate!({
    path: "../wit",
    world: "plugin",
    pub_export_macro: true,
});

#[cfg(target_arch = "wasm32")]
use crate::guest::Component;
#[cfg(target_arch = "wasm32")]
export!(Component with_types_in self);
