//! The suites that drive real counterparts, as one test binary.
//!
//! It owns nothing but the list: each module tests one part of openshell.

mod opencode_helper;
mod opencode_questions;
mod opencode_rig;
