//! The native half of openshell.

pub mod journal;
pub mod registry;
pub mod snapshots;
pub mod ssh;
