//! Generated bindings of the `plugin` world; nothing is written by hand here.

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
