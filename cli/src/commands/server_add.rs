//! `openshell server add`: registers a server and enrols its host key.
//!
//! Invariant: no server is registered without a host key that a person, or a
//! file the person named, vouched for.

use std::io::{BufRead, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use openshell_host::registry::{Added, AuthMaterial, NewServer, ServerId};
use openshell_host::ssh::known_hosts::{self, KnownHosts};
use openshell_host::ssh::{HostKey, fetch_host_key};
use secrecy::SecretString;
use serde_json::json;

use super::server::{describe, open, server_id};
use crate::consent::require_person;
use crate::context::Context;
use crate::error::{CliError, Kind};
use crate::ui::{BOLD, Ui};

/// Time to fetch a host key.
const FETCH_TIMEOUT: Duration = Duration::from_secs(15);

#[derive(Debug, Args)]
pub(crate) struct AddArgs {
    /// Server id: what the agent calls it
    id: String,
    /// DNS name or address
    #[arg(long)]
    host: String,
    /// TCP port
    #[arg(long, default_value_t = 22)]
    port: u16,
    /// Login name
    #[arg(long)]
    user: String,
    /// Log in with this private key file
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
    #[arg(long, value_name = "ID")]
    jump: Option<String>,
    /// Shell that runs approved commands
    #[arg(long, default_value = "/bin/sh")]
    shell: String,
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
    // Everything is read and checked before anything is asked or stored.
    let auth = auth_material(&args)?;
    let key = context
        .runtime()
        .block_on(context.supervisor()?.resources().master_key())?;
    let host_keys = host_keys(&args, jump.as_ref(), context, ui)?;

    let mut server = NewServer::new(id.clone(), &args.host, &args.user, auth);
    server.port = args.port;
    server.labels = args.labels;
    server.jump = jump;
    server.shell = args.shell;
    let added = registry.add(server, &key, args.replace)?;
    let file = context.paths().known_hosts();
    for host_key in &host_keys {
        known_hosts::append(&file, &args.host, args.port, host_key)?;
    }

    let view = registry
        .get(&id)?
        .view(openshell_host::registry::Scope::Global);
    if ui.json {
        let mut value = describe(&view);
        value["status"] = json!("ok");
        value["hostKeys"] = host_keys.iter().map(describe_key).collect();
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
    Ok(ExitCode::SUCCESS)
}

fn describe_key(key: &HostKey) -> serde_json::Value {
    json!({"type": key.key_type(), "fingerprint": key.fingerprint()})
}

fn auth_material(args: &AddArgs) -> Result<AuthMaterial, CliError> {
    if args.password_stdin {
        return Ok(AuthMaterial::Password(secret_line("password")?));
    }
    if args.agent {
        // Which agent is decided now: a workspace must not be able to choose one
        // later through the environment.
        let socket = std::env::var_os("SSH_AUTH_SOCK").map(PathBuf::from);
        return Ok(AuthMaterial::Agent { socket });
    }
    let Some(path) = &args.identity else {
        return Err(CliError::usage("how to log in is missing")
            .next("Give one of --identity PATH, --password-stdin and --agent."));
    };
    let path = std::path::absolute(path)?;
    check_identity(&path)?;
    let passphrase = if args.passphrase_stdin {
        Some(secret_line("passphrase")?)
    } else {
        None
    };
    Ok(AuthMaterial::IdentityFile { path, passphrase })
}

fn check_identity(path: &Path) -> Result<(), CliError> {
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
    jump: Option<&ServerId>,
    context: &Context,
    ui: Ui,
) -> Result<Vec<HostKey>, CliError> {
    if let Some(text) = &args.host_key {
        let key = HostKey::parse(text).map_err(|error| {
            CliError::usage(format!("--host-key: {error}"))
                .next("It looks like \"ssh-ed25519 AAAA…\": the first two words of a .pub file.")
        })?;
        return Ok(vec![key]);
    }
    if let Some(file) = &args.known_hosts {
        if !file.is_file() {
            return Err(CliError::failed(format!(
                "{} is not a file",
                file.display()
            )));
        }
        let keys = KnownHosts::load(std::slice::from_ref(file))?.keys(&args.host, args.port);
        if keys.is_empty() {
            return Err(CliError::failed(format!(
                "{} has no key for {} port {}",
                file.display(),
                args.host,
                args.port
            )));
        }
        return Ok(keys);
    }
    confirmed_keys(args, jump, context, ui)
}

/// Fetches the host's keys and has a person compare the fingerprint.
fn confirmed_keys(
    args: &AddArgs,
    jump: Option<&ServerId>,
    context: &Context,
    ui: Ui,
) -> Result<Vec<HostKey>, CliError> {
    if !std::io::stdin().is_terminal() || args.password_stdin || args.passphrase_stdin {
        return Err(CliError::new(
            Kind::Denied,
            "a person must compare the host key, and stdin is not a terminal",
        )
        .next("Give the key with --host-key \"TYPE BASE64\" or --known-hosts PATH."));
    }
    let supervisor = context.supervisor()?;
    let fetched = context.runtime().block_on(async {
        let jump = match jump {
            Some(id) => Some(supervisor.target(id.as_str()).await?),
            None => None,
        };
        Ok::<_, CliError>(
            fetch_host_key(&args.host, args.port, jump.as_ref(), FETCH_TIMEOUT).await?,
        )
    })?;
    ui.note(&format!(
        "{} port {} offers these host keys:",
        args.host, args.port
    ));
    for key in &fetched {
        ui.note(&format!(
            "  {BOLD}{} {}{BOLD:#}",
            key.key_type(),
            key.fingerprint()
        ));
    }
    ui.note(
        "Compare with `ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub` on the server itself.",
    );
    let mut stderr = anstream::stderr();
    let _ = write!(stderr, "Are they the server's own? Type yes or no: ");
    let _ = stderr.flush();
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line)?;
    if line.trim() != "yes" {
        return Err(CliError::new(Kind::Denied, "the host key was not accepted"));
    }
    Ok(fetched)
}
