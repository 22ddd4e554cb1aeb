//! `openshell server add`: registers a server and enrols its host key.
//!
//! Invariant: no server is registered without a host key that a person, or a file
//! the person named, vouched for. It makes no connection beyond asking for that
//! key: whether a login works is for `server test`.

use std::io::BufRead;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use openshell_host::registry::{Added, AuthMaterial, NewServer, RegistryError, ServerId, Sudo};
use openshell_host::ssh::HostKey;
use openshell_host::ssh::known_hosts::{self, KnownHosts};
use secrecy::SecretString;
use serde_json::json;

use super::server::{describe, open, server_id};
use super::server_dialogue::{self, Login};
use super::server_host_keys;
use crate::consent::{at_terminal, confirm, require_person, require_terminal};
use crate::context::Context;
use crate::error::{CliError, Kind};
use crate::ui::Ui;

#[derive(Debug, Args)]
pub(crate) struct AddArgs {
    /// Server id: what the agent calls it
    id: String,
    /// DNS name or address
    #[arg(long)]
    pub(super) host: Option<String>,
    /// TCP port [default: 22]
    #[arg(long)]
    pub(super) port: Option<u16>,
    /// Login name
    #[arg(long)]
    pub(super) user: Option<String>,
    /// Log in with this private key file; KEY.pub means that one key of the agent
    #[arg(long, value_name = "PATH", group = "auth")]
    identity: Option<PathBuf>,
    /// Log in with a password, read from the first line of stdin
    #[arg(long, group = "auth")]
    password_stdin: bool,
    /// Log in with a key of the running ssh-agent
    #[arg(long, group = "auth")]
    agent: bool,
    /// Read the private key's passphrase from the first line of stdin
    #[arg(long, requires = "identity")]
    passphrase_stdin: bool,
    /// Accept exactly this host key: "TYPE BASE64"
    #[arg(long, value_name = "KEY", conflicts_with = "known_hosts")]
    host_key: Option<String>,
    /// Accept the host key this known_hosts file has
    #[arg(long, value_name = "PATH")]
    known_hosts: Option<PathBuf>,
    /// A word that policy rules can refer to, such as prod (repeatable)
    #[arg(long = "label", value_name = "L")]
    labels: Vec<String>,
    /// Connect through this registered server
    #[arg(long, value_name = "ID", add = super::completions::server_ids())]
    jump: Option<String>,
    /// Shell that runs approved commands
    #[arg(long, default_value = "/bin/sh")]
    shell: String,
    /// Whether `sudo -n` may be used, asked each time: never or ask
    #[arg(long, value_name = "CHOICE", default_value = "never", value_parser = ["never", "ask"])]
    sudo: String,
    /// Replace a server of the same id
    #[arg(long)]
    replace: bool,
}

pub(crate) fn run(args: AddArgs, context: &Context, ui: Ui) -> Result<ExitCode, CliError> {
    require_person(context, "server add")?;
    let id = server_id(&args.id)?;
    let mut registry = open(context, ui)?;
    if !args.replace && registry.get(&id).is_ok() {
        return Err(
            CliError::failed(format!("server {id} is registered already"))
                .next("Use --replace to register it anew."),
        );
    }
    let jump = args.jump.as_deref().map(server_id).transpose()?;
    // What is given is read and checked before anything is asked or stored.
    let mut auth = auth_material(&args)?;
    let missing = args.host.is_none() || args.user.is_none() || auth.is_none();
    let dialogue = missing && !ui.json && at_terminal();
    let login = server_dialogue::login(&args, dialogue, ui)?;
    if auth.is_none() && dialogue {
        auth = Some(server_dialogue::auth(ui)?);
    }
    let auth = auth.ok_or_else(|| {
        CliError::usage("how to log in is missing")
            .next("Give one of --identity PATH, --password-stdin and --agent.")
    })?;
    let key = context
        .runtime()
        .block_on(context.supervisor()?.resources().master_key())?;
    let host_keys = host_keys(&args, &login, jump.as_ref(), context, ui)?;

    let mut server = NewServer::new(id.clone(), &login.host, &login.user, auth);
    server.port = login.port;
    server.labels = args.labels;
    server.jump = jump;
    server.shell = args.shell;
    if args.sudo == "ask" {
        server.sudo = Sudo::Ask;
    }
    server.check()?;
    // The host key first: cut off in between, a key that was vouched for is known,
    // and adding the server again works. The other way round it would be there
    // and could not be used.
    let directory = context.paths().ensure_config_dir();
    for warning in directory.map_err(RegistryError::from)? {
        ui.warn(&warning.to_string());
    }
    let file = context.paths().known_hosts();
    for host_key in &host_keys {
        known_hosts::append(&file, &login.host, login.port, host_key)?;
    }
    let added = registry.add(server, &key, args.replace)?;

    let view = registry
        .get(&id)?
        .view(openshell_host::registry::Scope::Global);
    if ui.json {
        let mut value = describe(&view);
        value["status"] = json!("ok");
        value["hostKeys"] = host_keys.iter().map(server_host_keys::describe).collect();
        ui.value(&value);
    } else {
        let verb = match added {
            Added::Created => "registered",
            Added::Replaced => "registered anew",
        };
        ui.line(&format!("Server {id} is {verb}."));
        ui.note(&format!(
            "`openshell server test {id}` connects and shows each step."
        ));
    }
    if dialogue && server_dialogue::wants("Connect now, to see whether it works?")? {
        return super::server_test::run(id.as_str(), context, ui);
    }
    Ok(ExitCode::SUCCESS)
}

/// How to log in, where the command line says so.
fn auth_material(args: &AddArgs) -> Result<Option<AuthMaterial>, CliError> {
    if args.password_stdin {
        return Ok(Some(AuthMaterial::Password(secret_line("password")?)));
    }
    if args.agent {
        return Ok(Some(agent()));
    }
    let Some(path) = &args.identity else {
        return Ok(None);
    };
    let path = std::path::absolute(path)?;
    check_identity(&path)?;
    let passphrase = if args.passphrase_stdin {
        Some(secret_line("passphrase")?)
    } else if at_terminal() {
        server_dialogue::passphrase_of(&path)?
    } else {
        None
    };
    Ok(Some(AuthMaterial::IdentityFile { path, passphrase }))
}

/// The agent of this terminal. Which one is decided now: a workspace must not be
/// able to choose one later through the environment.
pub(super) fn agent() -> AuthMaterial {
    let socket = std::env::var_os("SSH_AUTH_SOCK").map(PathBuf::from);
    AuthMaterial::Agent { socket }
}

pub(super) fn check_identity(path: &Path) -> Result<(), CliError> {
    let file = std::fs::metadata(path).map_err(|error| {
        CliError::failed(format!(
            "the identity file {} cannot be read: {error}",
            path.display()
        ))
    })?;
    if !file.is_file() {
        return Err(CliError::failed(format!(
            "{} is not a file",
            path.display()
        )));
    }
    Ok(())
}

fn secret_line(what: &str) -> Result<SecretString, CliError> {
    let mut line = zeroizing();
    std::io::stdin().lock().read_line(&mut line)?;
    let text = line.trim_end_matches(['\n', '\r']);
    if text.is_empty() {
        return Err(CliError::usage(format!("stdin holds no {what}")));
    }
    Ok(SecretString::from(text))
}

/// A buffer that is wiped when it is dropped.
fn zeroizing() -> zeroize::Zeroizing<String> {
    zeroize::Zeroizing::new(String::new())
}

/// The keys to trust for this host, each vouched for.
fn host_keys(
    args: &AddArgs,
    login: &Login,
    jump: Option<&ServerId>,
    context: &Context,
    ui: Ui,
) -> Result<Vec<HostKey>, CliError> {
    if let Some(text) = &args.host_key {
        return Ok(vec![server_host_keys::parse(text)?]);
    }
    if let Some(file) = &args.known_hosts {
        if !file.is_file() {
            return Err(CliError::failed(format!(
                "{} is not a file",
                file.display()
            )));
        }
        let keys = KnownHosts::load(std::slice::from_ref(file))?.keys(&login.host, login.port);
        if keys.is_empty() {
            return Err(CliError::failed(format!(
                "{} has no key for {} port {}",
                file.display(),
                login.host,
                login.port
            )));
        }
        return Ok(keys);
    }
    confirmed_keys(args, login, jump, context, ui)
}

/// Fetches the host's keys and has a person compare the fingerprint.
fn confirmed_keys(
    args: &AddArgs,
    login: &Login,
    jump: Option<&ServerId>,
    context: &Context,
    ui: Ui,
) -> Result<Vec<HostKey>, CliError> {
    let what = "a person must compare the host key";
    let instead = "Give the key with --host-key \"TYPE BASE64\" or --known-hosts PATH.";
    if args.password_stdin || args.passphrase_stdin {
        return Err(
            CliError::new(Kind::Denied, format!("{what}, and stdin is not a terminal"))
                .next(instead),
        );
    }
    require_terminal(what, instead)?;
    let supervisor = context.supervisor()?;
    let jump = match jump {
        Some(id) => Some(
            context
                .runtime()
                .block_on(supervisor.target(id.as_str(), None))?,
        ),
        None => None,
    };
    let fetched = server_host_keys::fetch(context, &login.host, login.port, jump.as_ref())?;
    let known = KnownHosts::load(&supervisor.resources().known_hosts())?;
    server_host_keys::refuse_revoked(&known, &login.host, login.port, &fetched)?;
    ui.note(&format!(
        "{} port {} offers these host keys:",
        login.host, login.port
    ));
    server_host_keys::show(ui, &fetched);
    server_host_keys::say_how_to_compare(ui);
    confirm(
        "Are they the server's own?",
        "the host key was not accepted",
    )?;
    Ok(fetched)
}
