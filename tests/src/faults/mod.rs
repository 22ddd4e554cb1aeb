//! Breaking openshell on purpose: kills, cut connections, full disks, crowds.
//!
//! Invariant: a run is judged by what is on disk and on the server, never by what
//! the broken process said of itself; and every promise that is checked is one
//! that SECURITY.md makes. What a run finds is counted, not asserted: a caller
//! prints the table and fails on what should be zero.

mod binary;
mod crowd;
mod cut;
mod disk;
mod frozen;
mod kill;
mod ledger;
mod network;
mod operation;
mod proxy;
mod report;
mod restart;
mod rig;
mod verdict;

pub use binary::{FaultPoint, fault_binary, fault_points};
pub use crowd::{Crowd, callers, processes};
pub use cut::{connections_cut, connections_cut_sample};
pub use disk::disks;
pub use frozen::frozen_holders;
pub use kill::{Extent, Plan, kills};
pub use network::{Until, network};
pub use proxy::{Direction, Mischief, Proxy};
pub use report::{Report, Tally};
pub use restart::server_restarts;
