//! `openshell snapshots`: sharing what is kept, checking it, packing it.
//!
//! Invariant: what is readable and is secret by now is not pushed. No state is
//! removed by any of these; packing only moves them together.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use openshell_host::approvals::escape_line;
use openshell_host::snapshots::{Stock, Verification};
use serde_json::{Value, json};

use crate::consent::{record, require_person};
use crate::context::Context;
use crate::error::{CliError, Kind};
use crate::ui::{GREEN, RED, Ui};

#[derive(Debug, Subcommand)]
pub(crate) enum SnapshotsCommand {
    /// Push the history to a git remote; secret files leave sealed
    Push(PushArgs),
    /// Check every object, every branch's chain, and the trailers against the journal
    Verify {
        /// Leave the journal out of it
        #[arg(long)]
        no_journal: bool,
    },
    /// Pack what is kept into few files; calls go on meanwhile
    Gc {
        /// Only when there is enough to pack
        #[arg(long)]
        auto: bool,
    },
}

#[derive(Debug, Args)]
pub(crate) struct PushArgs {
    /// URL, path, or the name of a remote in the repository's configuration
    remote: String,
    /// Only the branch of this server; default: every server's
    #[arg(long)]
    server: Option<String>,
}

pub(crate) fn run(
    command: SnapshotsCommand,
    context: &Context,
    ui: Ui,
) -> Result<ExitCode, CliError> {
    match command {
        SnapshotsCommand::Push(args) => push(&args, context, ui),
        SnapshotsCommand::Verify { no_journal } => verify(no_journal, context, ui),
        SnapshotsCommand::Gc { auto } => gc(auto, context, ui),
    }
}

fn push(args: &PushArgs, context: &Context, ui: Ui) -> Result<ExitCode, CliError> {
    require_person(context, "snapshots push")?;
    let supervisor = context.supervisor()?;
    let server = args.server.as_deref();
    let exposed = supervisor.readable_secrets(server)?;
    if !exposed.is_empty() {
        let shown: Vec<String> = exposed
            .iter()
            .take(10)
            .map(|(server, path)| escape_line(&format!("{server}:{path}")))
            .collect();
        return Err(CliError::new(
            Kind::Denied,
            format!(
                "the history holds readable states of {} files that the policy calls secret by \
                 now: {}",
                exposed.len(),
                shown.join(", ")
            ),
        )
        .code("SECRET_READABLE")
        .next(
            "They were kept before the policy said so, and nothing takes them out of the \
             history. `--server` pushes another server's branch; moving the snapshot folder \
             away starts a history in which they are sealed.",
        ));
    }
    let of = server.map_or_else(String::new, |server| format!(" of {server}"));
    record(
        context,
        format!("snapshots{of} are pushed to {}", args.remote),
    )?;
    let pushed = supervisor
        .resources()
        .snapshots()?
        .push(&args.remote, server)?;
    if ui.json {
        ui.value(&json!({
            "status": "ok",
            "url": pushed.url,
            "through": pushed.through,
            "branches": pushed.branches,
        }));
    } else {
        ui.line(&format!(
            "{} branches are at {} (through {}).",
            pushed.branches.len(),
            escape_line(&pushed.url),
            pushed.through
        ));
    }
    Ok(ExitCode::SUCCESS)
}

fn verify(no_journal: bool, context: &Context, ui: Ui) -> Result<ExitCode, CliError> {
    let snapshots = context.supervisor()?.resources().snapshots()?;
    let journal = context.paths().audit_dir();
    let found = snapshots.verify((!no_journal).then_some(journal.as_path()))?;
    let sound = found.faults.is_empty();
    if ui.json {
        ui.value(&report(&found));
    } else {
        for fault in &found.faults {
            let about = match (&fault.commit, &fault.action) {
                (Some(commit), _) => format!(" {commit}"),
                (None, Some(action)) => format!(" action {action}"),
                (None, None) => String::new(),
            };
            ui.line(&format!(
                "{RED}fault{RED:#}: {}{about}: {}",
                escape_line(&fault.server),
                escape_line(&fault.what)
            ));
        }
        let states: u64 = found.servers.iter().map(|(_, states)| states).sum();
        let servers = found.servers.len();
        if sound {
            ui.line(&format!(
                "{GREEN}ok{GREEN:#}: {states} states of {servers} servers are as they were kept."
            ));
        } else {
            ui.note(&format!("{states} states of {servers} servers are sound."));
        }
        for (count, what) in [
            (found.sealed, "states are sealed; their form was checked"),
            (found.compared, "changes match the journal"),
            (found.foreign, "commits are not openshell's"),
            (found.before_journal, "states are older than the journal"),
            (
                found.before_store,
                "changes on record are older than this store",
            ),
            (
                found.not_kept,
                "changes left a state that could not be kept, as their outcome says",
            ),
        ] {
            if count > 0 {
                ui.note(&format!("{count} {what}."));
            }
        }
        if !sound {
            ui.note(
                "What is sound can be undone as ever. Moving the snapshot folder away starts a \
                 new history; the old one stays readable with git.",
            );
        }
    }
    Ok(if sound {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn report(found: &Verification) -> Value {
    let faults: Vec<Value> = found
        .faults
        .iter()
        .map(|fault| {
            json!({
                "server": fault.server,
                "commit": fault.commit,
                "action": fault.action,
                "what": fault.what,
            })
        })
        .collect();
    let servers: Vec<Value> = found
        .servers
        .iter()
        .map(|(server, states)| json!({"server": server, "states": states}))
        .collect();
    json!({
        "status": if faults.is_empty() { "ok" } else { "error" },
        "servers": servers,
        "sealed": found.sealed,
        "compared": found.compared,
        "foreign": found.foreign,
        "beforeJournal": found.before_journal,
        "beforeStore": found.before_store,
        "notKept": found.not_kept,
        "faults": faults,
    })
}

fn gc(auto: bool, context: &Context, ui: Ui) -> Result<ExitCode, CliError> {
    let snapshots = context.supervisor()?.resources().snapshots()?;
    let packed = if auto {
        snapshots.pack_if_due()?
    } else {
        Some(snapshots.pack()?)
    };
    if ui.json {
        ui.value(&match &packed {
            None => json!({"status": "ok", "done": false}),
            Some(packed) => json!({
                "status": "ok",
                "done": !packed.busy,
                "busy": packed.busy,
                "before": stock(&packed.before),
                "after": stock(&packed.after),
            }),
        });
        return Ok(ExitCode::SUCCESS);
    }
    match packed {
        None => ui.note("There is too little to pack."),
        Some(packed) if packed.busy => ui.note("Another process is packing already."),
        Some(packed) => ui.line(&format!(
            "{} loose objects and {} packs, {} KiB, became {} loose objects and {} packs, {} KiB.",
            packed.before.loose,
            packed.before.packs,
            packed.before.bytes / 1024,
            packed.after.loose,
            packed.after.packs,
            packed.after.bytes / 1024
        )),
    }
    Ok(ExitCode::SUCCESS)
}

fn stock(stock: &Stock) -> Value {
    json!({"loose": stock.loose, "packs": stock.packs, "bytes": stock.bytes})
}
