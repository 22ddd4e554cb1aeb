//! `openshell server add` as a conversation: asks a person for what the command
//! line left out.
//!
//! Invariant: nothing is asked where nobody can see the question, and a secret is
//! typed without an echo. What an answer may hold is checked by the registry.

use std::path::{Path, PathBuf};

use openshell_host::registry::AuthMaterial;
use russh::keys;
use secrecy::{ExposeSecret, SecretString};

use super::server_add::{AddArgs, agent, check_identity};
use crate::consent::ask;
use crate::error::{CliError, Kind};
use crate::keyboard;
use crate::ui::Ui;

/// Where ssh(1) looks for keys, the best kind first.
const IDENTITIES: [&str; 3] = ["id_ed25519", "id_ecdsa", "id_rsa"];

/// Where to connect, and as whom.
pub(super) struct Login {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) user: String,
}

/// Takes what was given and asks for the rest, if somebody can be asked.
pub(super) fn login(args: &AddArgs, dialogue: bool, ui: Ui) -> Result<Login, CliError> {
    let missing = |field: &str| {
        CliError::usage(format!("--{field} is missing"))
            .next("At a terminal and without --json, what is missing is asked for.")
    };
    let host = match &args.host {
        Some(host) => host.clone(),
        None if dialogue => {
            ui.note("A server has a DNS name or an address, without user or port.");
            required("Host: ")?
        }
        None => return Err(missing("host")),
    };
    let port = match args.port {
        Some(port) => port,
        None if dialogue && args.host.is_none() => port()?,
        None => 22,
    };
    let user = match &args.user {
        Some(user) => user.clone(),
        None if dialogue => required("Login name on the server: ")?,
        None => return Err(missing("user")),
    };
    Ok(Login { host, port, user })
}

/// Asks how to log in.
pub(super) fn auth(ui: Ui) -> Result<AuthMaterial, CliError> {
    ui.note("How does openshell log in?");
    ui.note("  1  with a private key file");
    ui.note("  2  with a password");
    ui.note("  3  with a key of the running ssh-agent");
    loop {
        match required("Type 1, 2 or 3: ")?.as_str() {
            "1" => return identity(),
            "2" => return Ok(AuthMaterial::Password(secret("Password: ")?)),
            "3" => return Ok(agent()),
            _ => {}
        }
    }
}

/// Asks a question that does no harm either way.
pub(super) fn wants(question: &str) -> Result<bool, CliError> {
    Ok(ask(&format!("{question} Type yes or no: "))? == "yes")
}

fn identity() -> Result<AuthMaterial, CliError> {
    let home = std::env::home_dir().map(|home| home.join(".ssh"));
    let usual = home
        .iter()
        .flat_map(|dir| IDENTITIES.map(|name| dir.join(name)))
        .find(|path| path.is_file());
    let path = match usual {
        Some(usual) => {
            let typed = ask(&format!("Private key file [{}]: ", usual.display()))?;
            if typed.is_empty() {
                usual
            } else {
                typed.into()
            }
        }
        None => required("Private key file: ")?.into(),
    };
    let path = std::path::absolute(in_home(path))?;
    check_identity(&path)?;
    let passphrase = passphrase_of(&path)?;
    Ok(AuthMaterial::IdentityFile { path, passphrase })
}

/// The passphrase of a private key, typed; none where the key needs none.
pub(super) fn passphrase_of(path: &Path) -> Result<Option<SecretString>, CliError> {
    match keys::load_secret_key(path, None) {
        Err(keys::Error::KeyIsEncrypted) => secret("Passphrase of the key: ").map(Some),
        _ => Ok(None),
    }
}

/// Reads `~/` as a shell would have, had the path stood on a command line.
fn in_home(path: PathBuf) -> PathBuf {
    match (path.strip_prefix("~"), std::env::home_dir()) {
        (Ok(rest), Some(home)) => home.join(rest),
        _ => path,
    }
}

fn port() -> Result<u16, CliError> {
    loop {
        let typed = ask("Port [22]: ")?;
        if typed.is_empty() {
            return Ok(22);
        }
        if let Ok(port @ 1..) = typed.parse() {
            return Ok(port);
        }
    }
}

fn required(prompt: &str) -> Result<String, CliError> {
    loop {
        let typed = ask(prompt)?;
        if !typed.is_empty() {
            return Ok(typed);
        }
    }
}

fn secret(prompt: &str) -> Result<SecretString, CliError> {
    let typed = keyboard::secret(prompt)?;
    if typed.expose_secret().is_empty() {
        return Err(CliError::new(Kind::Usage, "nothing was typed"));
    }
    Ok(typed)
}
