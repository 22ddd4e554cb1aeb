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
mod hostile;
mod hostile_guest;
mod identity_bridge;
mod identity_doctor;
mod identity_hosts;
mod identity_import;
mod identity_keys;
mod identity_matrix;
mod identity_peers;
mod identity_steps;
mod identity_support;
mod identity_trust;
mod identity_workspace;
mod identity_workspaces;
mod journal_audit;
mod journal_unknown;
mod opencode_definitions;
mod opencode_endings;
mod opencode_example;
mod opencode_helper;
mod opencode_questions;
mod opencode_remote;
mod opencode_rig;
mod opencode_site;
mod opencode_sudo;
mod policy_cost;
mod policy_fuzz;
mod policy_paths;
mod policy_wasm;
mod ssh_auth;
mod ssh_ending;
mod ssh_exec;
mod ssh_host_keys;
mod ssh_hostile;
mod ssh_pool;
mod ssh_sftp;
mod ssh_shells;
mod ssh_support;
mod sudo_commands;
mod sudo_files;
mod sudo_support;
