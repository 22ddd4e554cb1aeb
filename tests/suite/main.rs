//! The suites that drive real counterparts, as one test binary.
//!
//! It owns nothing but the list: each module tests one part of openshell.

mod opencode_adapter;
mod ssh_exec;
mod ssh_support;
