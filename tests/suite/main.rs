//! The suites that drive real counterparts, as one test binary.
//!
//! It owns nothing but the list: each module tests one part of openshell.

#![expect(clippy::panic, reason = "a test that cannot go on stops and says why")]

mod cli_audit;
mod cli_consent;
mod cli_files;
mod cli_hostkeys;
mod cli_login;
mod cli_reading;
mod cli_shells;
mod cli_support;
mod cli_timeouts;
mod cli_tools;
mod cli_undo;
mod component;
mod container;
mod faults_kill;
mod faults_world;
mod hostile_guest;
mod identity_doctor;
mod identity_import;
mod identity_keys;
mod identity_trust;
mod identity_workspace;
mod opencode_definitions;
mod opencode_endings;
mod opencode_example;
mod opencode_helper;
mod opencode_questions;
mod opencode_remote;
mod opencode_rig;
mod opencode_site;
mod ssh_auth;
mod ssh_ending;
mod ssh_exec;
mod ssh_host_keys;
mod ssh_hostile;
mod ssh_pool;
mod ssh_sftp;
mod ssh_shells;
mod ssh_support;
