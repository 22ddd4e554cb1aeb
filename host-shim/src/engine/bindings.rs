//! Generated bindings of the `plugin` world; nothing is written by hand here but
//! the list of what the rest of the helper may name.
//!
//! Invariant: every name comes from `wit/`, so host and guest cannot disagree about
//! a type. Conversions do not belong here.

#![allow(
    missing_docs,
    unreachable_pub,
    clippy::all,
    clippy::allow_attributes_without_reason,
    reason = "generated code; the contract is documented in wit/"
)]

wasmtime::component::bindgen!({
    path: "../wit",
    world: "plugin",
    imports: { default: async | trappable },
    exports: { default: async },
    additional_derives: [Clone, PartialEq],
    with: {
        "openshell:host/effects.action": crate::supervisor::Action,
        "openshell:host/effects.permit": crate::supervisor::Permit,
    },
});

/// The vocabulary of the contract: what operations, results and failures look
/// like on both sides of it.
pub mod contract {
    pub use super::exports::openshell::host::tools::{Definition, Report};
    pub use super::openshell::host::effects::{
        ArgvSpec, Base, Content, ExecResult, ExecSpec, FileInfo, FileKind, Listing, Operation,
        ReadSpec, StatResult, WalkSpec, WriteSpec, Written,
    };
    pub use super::openshell::host::outputs::Piece;
    pub use super::openshell::host::servers::{AuthKind, Scope, Server};
    pub use super::openshell::host::types::{
        Decision, Ended, Failure, FailureCode, Kept, Output, Printed, Request, Rule, RuleOrigin,
        Rulebook, Step, Subject, Sudo, Verdict,
    };
}
