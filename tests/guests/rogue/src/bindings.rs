//! Generated bindings of the `plugin` world; nothing is written by hand here.
//!
//! Invariant: the world is the real component's, so an attack has no more to work
//! with than that has. No type is added.

#![allow(
    unsafe_code,
    missing_docs,
    unreachable_pub,
    clippy::all,
    clippy::allow_attributes_without_reason,
    reason = "generated code"
)]

wit_bindgen::generate!({
    path: "../../../wit",
    world: "plugin",
});

use crate::Rogue;
export!(Rogue);
