//! `openshell doctor`: looks at everything an installation rests on, and says how
//! to put right what is wrong.
//!
//! Invariant: it changes nothing but permissions that are too wide, which every
//! verb puts right, and it makes no key and no register; OpenCode, which it has
//! load the plugin, starts the helper, and that opens the journal as always. Nothing
//! runs that the project brought along. Each check stands for itself: one that fails
//! hides no other. How each part is put right stays with the verb it names.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use openshell_host::approvals::{agent_in_charge, escape_line};
use openshell_host::journal::Journal;
use openshell_host::registry::{KeyEnv, MasterKeySource, Registry, WorkspaceServers, is_trusted};
use openshell_host::rules::{Access, Confirm};
use serde_json::json;

use super::key::name;
use super::server_layers;
use super::{doctor_opencode, doctor_program, doctor_state};
use crate::context::Context;
use crate::error::CliError;
use crate::install::Project;
use crate::ui::{GREEN, RED, Ui, YELLOW};

#[derive(Debug, Args)]
pub(crate) struct DoctorArgs {
    /// Connect to every registered server as well
    #[arg(long)]
    servers: bool,
}

/// How a check came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Good,
    /// Worth knowing, but nothing is wrong.
    Note,
    Wrong,
}

/// One check.
#[derive(Debug)]
pub(super) struct Finding {
    pub(super) what: &'static str,
    pub(super) state: State,
    pub(super) detail: String,
    /// How to put it right.
    pub(super) fix: Option<String>,
}

impl Finding {
    pub(super) fn good(what: &'static str, detail: impl Into<String>) -> Self {
        Self::new(what, State::Good, detail, None)
    }

    pub(super) fn note(what: &'static str, detail: impl Into<String>, fix: &str) -> Self {
        Self::new(what, State::Note, detail, Some(fix.to_owned()))
    }

    pub(super) fn wrong(what: &'static str, detail: impl Into<String>, fix: &str) -> Self {
        Self::new(what, State::Wrong, detail, Some(fix.to_owned()))
    }

    fn new(
        what: &'static str,
        state: State,
        detail: impl Into<String>,
        fix: Option<String>,
    ) -> Self {
        Self {
            what,
            state,
            detail: detail.into(),
            fix: fix.filter(|fix| !fix.is_empty()),
        }
    }

    pub(super) fn failed(what: &'static str, error: CliError) -> Self {
        Self::new(what, State::Wrong, error.message, error.next)
    }
}

pub(crate) fn run(args: &DoctorArgs, context: &Context, ui: Ui) -> Result<ExitCode, CliError> {
    let mut findings = Vec::new();
    registry(context, &mut findings);
    findings.extend(doctor_state::check(context));
    journal(context, &mut findings);
    snapshots(context, &mut findings);
    policy(context, &mut findings);
    workspace(context, &mut findings);
    if context.paths().pause_file().exists() {
        findings.push(Finding::note(
            "pause",
            "every remote call is refused",
            "`openshell resume` ends the pause.",
        ));
    }
    if let Some(found) = agent_in_charge() {
        findings.push(Finding::note(
            "person",
            format!("{found}, so verbs that consent are refused here"),
            "Use a terminal that no agent started.",
        ));
    }
    findings.push(doctor_program::check());
    findings.extend(doctor_opencode::check(context));
    if args.servers {
        servers(context, &mut findings);
    }
    Ok(report(ui, &findings))
}

fn registry(context: &Context, findings: &mut Vec<Finding>) {
    let registry = match Registry::open(context.paths()) {
        Ok(registry) => registry,
        Err(error) => return findings.push(Finding::failed("registry", error.into())),
    };
    for warning in registry.warnings() {
        findings.push(Finding::note(
            "registry",
            warning.to_string(),
            "It was put right; find out what opened it.",
        ));
    }
    let source = match MasterKeySource::of(context.paths(), &KeyEnv::from_process()) {
        Ok(source) => source,
        Err(error) => return findings.push(Finding::failed("key", error.into())),
    };
    if registry.key_id().is_none() {
        // Taking the key would make one.
        findings.push(match source.probe() {
            Ok(()) => Finding::good(
                "key",
                format!(
                    "it would come from {}; `openshell server add` registers the first server",
                    name(&source)
                ),
            ),
            Err(error) => {
                let mut error = CliError::from(error);
                if let MasterKeySource::File(path) = &source {
                    error.next.get_or_insert_with(|| {
                        format!("Run `openshell key init --file {}`.", path.display())
                    });
                }
                Finding::failed("key", error)
            }
        });
        return;
    }
    let key = context.supervisor().and_then(|supervisor| {
        Ok(context
            .runtime()
            .block_on(supervisor.resources().master_key())?)
    });
    let key = match key {
        Ok(key) => key,
        Err(error) => return findings.push(Finding::failed("key", error)),
    };
    findings.push(Finding::good(
        "key",
        format!("{} from {}", key.id(), name(&source)),
    ));
    if registry.rotation_pending() {
        findings.push(Finding::wrong(
            "key",
            "a rotation was cut off; the registry opens with the former key",
            "`openshell key rotate` completes it.",
        ));
    }
    match registry.verify(&key) {
        Ok(faults) if faults.is_empty() => findings.push(Finding::good(
            "registry",
            format!("{} servers, all authentic", registry.list().len()),
        )),
        Ok(faults) => findings.extend(
            faults
                .into_iter()
                .map(|fault| Finding::failed("registry", fault.into())),
        ),
        Err(error) => findings.push(Finding::failed("registry", error.into())),
    }
}

fn journal(context: &Context, findings: &mut Vec<Finding>) {
    let dir = context.paths().audit_dir();
    if !dir.exists() {
        findings.push(Finding::good("journal", "nothing is recorded yet"));
        return;
    }
    match Journal::verify(&dir) {
        Ok(verified) => match verified.broken {
            None => findings.push(Finding::good(
                "journal",
                if verified.torn_end {
                    format!(
                        "{} records, unbroken; the end is torn, and the next call accounts for it",
                        verified.records
                    )
                } else {
                    format!("{} records, unbroken", verified.records)
                },
            )),
            Some(broken) => findings.push(Finding::wrong(
                "journal",
                format!(
                    "{} line {}: {}",
                    broken.file.display(),
                    broken.line,
                    broken.what
                ),
                "Somebody or something changed the record: keep the files, and find out who.",
            )),
        },
        Err(error) => findings.push(Finding::failed("journal", error.into())),
    }
}

fn snapshots(context: &Context, findings: &mut Vec<Finding>) {
    if !context.paths().snapshots_dir().exists() {
        findings.push(Finding::good("snapshots", "nothing is kept yet"));
        return;
    }
    let opened = context
        .supervisor()
        .and_then(|supervisor| Ok(supervisor.resources().snapshots()?));
    findings.push(match opened {
        Ok(_) => Finding::good("snapshots", "the store opens"),
        Err(error) => Finding::failed("snapshots", error),
    });
}

fn policy(context: &Context, findings: &mut Vec<Finding>) {
    let workspace = std::env::current_dir().ok();
    let rules = context.supervisor().and_then(|supervisor| {
        let resources = supervisor.resources();
        Ok(resources.rules(workspace.as_deref(), supervisor.judge())?)
    });
    findings.push(match rules {
        Ok(rules) if asks_for_nothing(context, &rules.access) => Finding::wrong(
            "policy",
            "it takes the registry's passphrase to grant anything on some servers, and the \
             registry's key was made without one",
            "Run `openshell key rotate --passphrase`.",
        ),
        Ok(rules) => Finding::good(
            "policy",
            format!("{} rules, examples hold", rules.rulebook.rules.len()),
        ),
        Err(error) => Finding::failed("policy", error),
    });
}

/// Whether a passphrase is demanded where there is none.
fn asks_for_nothing(context: &Context, access: &[Access]) -> bool {
    let demanded = access
        .iter()
        .any(|access| access.confirm == Confirm::Presence);
    let has_one = MasterKeySource::of(context.paths(), &KeyEnv::from_process())
        .is_ok_and(|source| source == MasterKeySource::Passphrase);
    demanded && !has_one
}

fn workspace(context: &Context, findings: &mut Vec<Finding>) {
    let Some(here) = std::env::current_dir().ok() else {
        return;
    };
    let file = match WorkspaceServers::read(&here) {
        Ok(None) => return,
        Ok(Some(file)) => file,
        Err(error) => {
            findings.push(Finding::wrong(
                "workspace",
                error.to_string(),
                &error.next(),
            ));
            return;
        }
    };
    findings.push(match is_trusted(context.paths(), &file) {
        Ok(true) => match file.servers() {
            Ok(servers) => {
                Finding::good("workspace", format!("{} servers, trusted", servers.len()))
            }
            Err(error) => Finding::wrong("workspace", error.to_string(), &error.next()),
        },
        Ok(false) => Finding::note(
            "workspace",
            format!(
                "{} is not trusted and counts for nothing",
                file.path().display()
            ),
            "`openshell trust` shows what it lists.",
        ),
        Err(error) => Finding::wrong("workspace", error.to_string(), &error.next()),
    });
}

/// The first file of a name on PATH that can be executed and that the project did not
/// bring along: a relative directory, or one in the project, may hold anything.
pub(super) fn on_path(name: &str) -> Option<PathBuf> {
    let project = Project::here();
    let brought = |path: &Path| {
        let project = project.as_ref();
        project.is_some_and(|project| project.could_have_brought(path))
            && !doctor_program::is_this(path)
    };
    let executable = |path: &Path| {
        use std::os::unix::fs::PermissionsExt;
        path.metadata()
            .is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
    };
    std::env::split_paths(&std::env::var_os("PATH")?)
        .filter(|dir| dir.is_absolute())
        .map(|dir| dir.join(name))
        .find(|path| executable(path) && !brought(path))
}

/// Logs in to every server, to all at once: one that is not there must not make the
/// others wait.
fn servers(context: &Context, findings: &mut Vec<Finding>) {
    // What keeps the list from being read was said already.
    let servers = server_layers::all(context, Ui::new(true)).unwrap_or_default();
    let supervisor = match context.supervisor() {
        Ok(supervisor) => supervisor.clone(),
        Err(error) => return findings.push(Finding::failed("server", error)),
    };
    let here = std::env::current_dir().ok();
    let mut tried = Vec::new();
    for server in servers.into_iter().filter(|listed| listed.inert.is_none()) {
        let server = server.view;
        let id = server.id.as_str().to_owned();
        if server.disabled {
            findings.push(Finding::note(
                "server",
                format!("{id} is disabled"),
                "`openshell server enable` lets it be used.",
            ));
            continue;
        }
        let (supervisor, here, name) = (supervisor.clone(), here.clone(), id.clone());
        let connected = context.runtime().spawn(async move {
            let target = supervisor.target(&name, here.as_deref()).await?;
            supervisor.resources().pool().connection(&target).await?;
            Ok::<_, CliError>(())
        });
        tried.push((id, connected));
    }
    for (id, connected) in tried {
        let connected = context.runtime().block_on(connected);
        findings.push(
            match connected.unwrap_or_else(|error| Err(CliError::internal(error))) {
                Ok(()) => Finding::good("server", format!("{id}: logged in")),
                Err(error) => {
                    let detail = format!("{id}: {}", error.message);
                    Finding::new("server", State::Wrong, detail, error.next)
                }
            },
        );
    }
}

fn report(ui: Ui, findings: &[Finding]) -> ExitCode {
    let wrong = findings.iter().any(|finding| finding.state == State::Wrong);
    if ui.json {
        let list: Vec<_> = findings
            .iter()
            .map(|finding| {
                json!({
                    "check": finding.what,
                    "state": match finding.state {
                        State::Good => "ok",
                        State::Note => "note",
                        State::Wrong => "wrong",
                    },
                    "detail": finding.detail,
                    "fix": finding.fix,
                })
            })
            .collect();
        ui.value(&json!({"status": if wrong { "error" } else { "ok" }, "checks": list}));
    } else {
        for finding in findings {
            let mark = match finding.state {
                State::Good => format!("{GREEN}ok{GREEN:#}   "),
                State::Note => format!("{YELLOW}note{YELLOW:#} "),
                State::Wrong => format!("{RED}wrong{RED:#}"),
            };
            ui.line(&format!(
                "{mark} {:<10} {}",
                finding.what,
                escape_line(&finding.detail)
            ));
            if let Some(fix) = &finding.fix {
                ui.line(&format!("                 {}", escape_line(fix)));
            }
        }
    }
    if wrong {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    }
}
