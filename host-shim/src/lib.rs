//! The native half of openshell: everything the component may cause, and the
//! record of it.
//!
//! The engine runs the component, the supervisor decides and records, the
//! capabilities (registry, ssh, journal, snapshots, approvals) each own one kind
//! of thing, and the doors let clients in. This crate knows no terminal and no
//! command line.
//!
//! Invariant: no effect that a guest asks for is begun without a permit that the
//! supervisor minted.

pub mod approvals;
pub mod doors;
pub mod engine;
#[cfg(feature = "fault-points")]
pub mod fault;
#[cfg(not(feature = "fault-points"))]
mod fault;
pub mod journal;
pub mod registry;
mod replace;
pub mod rules;
pub mod snapshots;
pub mod spool;
pub mod ssh;
pub mod ssh_config;
pub mod supervisor;

/// The vocabulary of the contract, as the component and the host share it.
pub use engine::contract;
