//! The verbs, one file each.
//!
//! Invariant: a verb is declared once, in `Command`, which help, completions and
//! manual are made of. What a verb does stands in its file and not here.

mod approvals;
mod audit;
mod audit_export;
mod audit_list;
mod audit_tail;
mod audit_unknown;
mod audit_verify;
mod bridge;
mod call;
mod completions;
mod demo;
mod diff;
mod doctor;
mod doctor_helper;
mod doctor_load;
mod doctor_opencode;
mod doctor_program;
mod doctor_state;
mod history;
mod install;
mod install_key;
mod install_withdrawal;
mod key;
mod key_recovery;
mod key_rotate;
mod man;
mod mcp;
mod pause;
mod policy;
mod policy_replay;
mod server;
mod server_add;
mod server_dialogue;
mod server_host_keys;
mod server_import;
mod server_layers;
mod server_plan;
mod server_randomart;
mod server_test;
mod server_trust;
mod snapshots;
mod tools;
mod trust;
mod undo;
mod uninstall;

use std::process::ExitCode;

pub(crate) use completions::VARIABLE as COMPLETE_VARIABLE;
pub(crate) use server::server_id;

use clap::{CommandFactory, Subcommand};

use crate::context::Context;
use crate::error::CliError;
use crate::ui::Ui;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Manage registered servers
    #[command(subcommand, alias = "server-registry")]
    Server(server::ServerCommand),
    /// Run one tool call and print its result
    Call(call::CallArgs),
    /// List the tools an agent gets
    Tools,
    /// Ask the command policy
    #[command(subcommand)]
    Policy(policy::PolicyCommand),
    /// Read the journal
    #[command(subcommand)]
    Audit(audit::AuditCommand),
    /// Show the recorded changes of a file, a server, or everything
    History(history::HistoryArgs),
    /// Show a recorded change of a file, or what is different on the server now
    Diff(diff::DiffArgs),
    /// Take back a recorded change of a file, or all that an action or a session changed
    Undo(undo::UndoArgs),
    /// Share, check or pack the history that changes are undone from
    #[command(subcommand)]
    Snapshots(snapshots::SnapshotsCommand),
    /// Manage the registry's master key
    #[command(subcommand)]
    Key(key::KeyCommand),
    /// Look for what is wrong, and say how to put it right
    Doctor(doctor::DoctorArgs),
    /// Register the tools in OpenCode's configuration
    Install(install::InstallArgs),
    /// Take back what `install` added
    Uninstall(uninstall::UninstallArgs),
    /// Let the servers that a workspace lists count
    Trust(trust::TrustArgs),
    /// Refuse every further remote call until resumed
    Pause,
    /// End a pause
    Resume,
    /// Answer the questions that wait for a person
    Approvals(approvals::ApprovalsArgs),
    /// Serve an agent's plugin on stdin and stdout
    Bridge,
    /// Serve any MCP client on stdin and stdout
    Mcp(mcp::McpArgs),
    /// Print what a shell sources to complete this command
    Completions(completions::CompletionsArgs),
    /// Print the manual, or write its pages
    Man(man::ManArgs),
    /// Show what openshell does, on a private server of its own
    Demo(demo::DemoArgs),
}

impl Command {
    pub(crate) fn run(self, ui: &Ui) -> Result<ExitCode, CliError> {
        // These need nothing of an installation.
        match self {
            Self::Demo(args) => return demo::run(&args, *ui),
            Self::Completions(args) => return completions::run(&args),
            Self::Man(args) => return man::run(&args, crate::Cli::command(), *ui),
            _ => {}
        }
        let context = Context::from_env()?;
        let changes = matches!(self, Self::Call(_) | Self::Undo(_));
        let result = match self {
            Self::Server(command) => server::run(command, &context, *ui),
            Self::Call(args) => call::run(args, &context, *ui),
            Self::Tools => tools::run(&context, *ui),
            Self::Policy(command) => policy::run(command, &context, *ui),
            Self::Audit(command) => audit::run(command, &context, *ui),
            Self::History(args) => history::run(&args, &context, *ui),
            Self::Diff(args) => diff::run(&args, &context, *ui),
            Self::Undo(args) => undo::run(args, &context, *ui),
            Self::Snapshots(command) => snapshots::run(command, &context, *ui),
            Self::Key(command) => key::run(command, &context, *ui),
            Self::Doctor(args) => doctor::run(&args, &context, *ui),
            Self::Trust(args) => trust::run(&args, &context, *ui),
            Self::Pause => pause::pause(&context, *ui),
            Self::Resume => pause::resume(&context, *ui),
            Self::Approvals(args) => approvals::run(args, &context, *ui),
            Self::Bridge => bridge::run(&context),
            Self::Mcp(args) => mcp::run(args, &context),
            Self::Install(args) => install::run(&args, &context, *ui),
            Self::Uninstall(args) => uninstall::run(&args, &context, *ui),
            Self::Demo(_) | Self::Completions(_) | Self::Man(_) => Ok(ExitCode::SUCCESS),
        };
        context.close();
        if changes {
            context.tidy();
        }
        result
    }
}
