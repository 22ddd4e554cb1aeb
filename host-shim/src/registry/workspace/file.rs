//! The file: its format, and what its entries may hold.
//!
//! Invariant: an entry that was accepted holds no secret, and its key lies inside
//! the workspace or is named by an absolute path. Whether the file counts is not
//! known here.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::{Component, Path, PathBuf};

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use crate::journal::sha256_hex;
use crate::registry::fields;
use crate::registry::material::AuthMaterial;
use crate::registry::record::{AuthKind, Scope, ServerView, Sudo};
use crate::registry::server_id::ServerId;

/// Name of the file inside a workspace.
const IN_WORKSPACE: &str = ".openshell/servers.json";
/// The one format.
const FORMAT: u64 = 1;
/// Largest file read, in bytes.
const SIZE_MAX: u64 = 1024 * 1024;
/// Hexadecimal digits of a workspace's short hash.
const SHORT_HASH: usize = 12;
/// Longest key path, in bytes.
const PATH_MAX: usize = 4096;
/// Names under which people keep secrets. A field that contains one is refused
/// with that reason; every other unknown field is refused as unknown.
const SECRETS: [&str; 7] = [
    "password",
    "passphrase",
    "passwd",
    "secret",
    "token",
    "private",
    "credential",
];

/// Why a workspace's servers cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum WorkspaceError {
    /// The file cannot be read.
    #[error("{} cannot be read: {reason}", path.display())]
    Unreadable {
        /// The file, or the workspace.
        path: PathBuf,
        /// What the system said.
        reason: String,
    },
    /// The file is not what it must be.
    #[error("{} is no list of servers: {reason}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong, with line and column where there is one.
        reason: String,
    },
    /// The file holds a secret.
    #[error("{} holds {field:?}: a secret has no place in a workspace", path.display())]
    Secret {
        /// The file.
        path: PathBuf,
        /// Name of the field.
        field: String,
    },
    /// An entry holds what it may not.
    #[error("{}, server {id}: {reason}", path.display())]
    Entry {
        /// The file.
        path: PathBuf,
        /// The entry.
        id: String,
        /// What is wrong.
        reason: String,
    },
    /// What was trusted cannot be read or written.
    #[error("{} cannot be used: {reason}", path.display())]
    Trust {
        /// The file in the operator's directory.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
}

impl WorkspaceError {
    /// One sentence saying what to do next.
    #[must_use]
    pub fn next(&self) -> String {
        match self {
            Self::Secret { .. } => {
                "Take it out, change it wherever it is valid, and register the server with \
                 `openshell server add`."
                    .to_owned()
            }
            Self::Trust { path, .. } => format!(
                "Repair {}, or remove it and trust each workspace again.",
                path.display()
            ),
            _ => "Correct the file, then trust it again.".to_owned(),
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    format: u64,
    servers: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    id: ServerId,
    host: String,
    #[serde(default = "port")]
    port: u16,
    user: String,
    #[serde(default)]
    labels: Vec<String>,
    identity: Option<String>,
    #[serde(default)]
    agent: bool,
    jump: Option<ServerId>,
    #[serde(default = "shell")]
    shell: String,
}

fn port() -> u16 {
    22
}

fn shell() -> String {
    "/bin/sh".to_owned()
}

/// The file of one workspace, as bytes that were read once.
#[derive(Debug, Clone)]
pub struct WorkspaceServers {
    pub(super) root: PathBuf,
    path: PathBuf,
    bytes: Vec<u8>,
    pub(super) sha256: String,
}

/// One server of a workspace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkspaceServer {
    /// What a list shows of it; its scope is the workspace.
    pub view: ServerView,
    /// The key file as the entry names it; none for the agent.
    pub identity: Option<PathBuf>,
    root: PathBuf,
    path: PathBuf,
}

impl WorkspaceServers {
    /// Reads the file of a workspace, without interpreting it; none where there is
    /// no such file.
    ///
    /// # Errors
    /// [`WorkspaceError::Unreadable`], also for what is not a plain file.
    pub fn read(workspace: &Path) -> Result<Option<Self>, WorkspaceError> {
        let unreadable = |path: &Path, error: std::io::Error| WorkspaceError::Unreadable {
            path: path.to_owned(),
            reason: error.to_string(),
        };
        let path = workspace.join(IN_WORKSPACE);
        match std::fs::metadata(&path) {
            Ok(meta) if meta.is_file() => {}
            Ok(_) => {
                return Err(unreadable(&path, std::io::Error::other("it is not a file")));
            }
            Err(error)
                if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) =>
            {
                return Ok(None);
            }
            Err(error) => return Err(unreadable(&path, error)),
        }
        // One folder has one name, whichever way it was reached.
        let root = workspace
            .canonicalize()
            .map_err(|error| unreadable(workspace, error))?;
        let mut bytes = Vec::new();
        File::open(&path)
            .and_then(|file| file.take(SIZE_MAX + 1).read_to_end(&mut bytes))
            .map_err(|error| unreadable(&path, error))?;
        if bytes.len() as u64 > SIZE_MAX {
            let error = std::io::Error::other(format!("it is larger than {SIZE_MAX} bytes"));
            return Err(unreadable(&path, error));
        }
        Ok(Some(Self {
            root,
            path,
            sha256: sha256_hex(&bytes),
            bytes,
        }))
    }

    /// The folder, under its one name.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// SHA-256 of the bytes, in lower-case hex: what is trusted.
    #[must_use]
    pub fn sha256(&self) -> &str {
        &self.sha256
    }

    /// A short name for the folder: the first 48 bits of the SHA-256 of its path,
    /// in hex. It keeps the histories of different workspaces apart.
    #[must_use]
    pub fn short_hash(&self) -> String {
        let mut hash = sha256_hex(self.root.as_os_str().as_encoded_bytes());
        hash.truncate(SHORT_HASH);
        hash
    }

    /// Interprets the bytes.
    ///
    /// # Errors
    /// [`WorkspaceError`] for the first thing that is wrong; there are no partial
    /// lists.
    pub fn servers(&self) -> Result<Vec<WorkspaceServer>, WorkspaceError> {
        let malformed = |reason: String| WorkspaceError::Malformed {
            path: self.path.clone(),
            reason,
        };
        let value: Value =
            serde_json::from_slice(&self.bytes).map_err(|error| malformed(error.to_string()))?;
        // serde takes a sequence for a struct as well, where no field has a name.
        let entries = value["servers"].as_array().into_iter().flatten();
        if !value.is_object() || !entries.into_iter().all(Value::is_object) {
            return Err(malformed(
                "the list and each of its entries must be an object".to_owned(),
            ));
        }
        if let Some(field) = secret_in(&value) {
            return Err(WorkspaceError::Secret {
                path: self.path.clone(),
                field,
            });
        }
        if let Some(format) = value["format"].as_u64().filter(|found| *found > FORMAT) {
            return Err(malformed(format!(
                "it has format {format}, and this version reads formats up to {FORMAT}"
            )));
        }
        // From the bytes again: a value keeps the last of two equal fields, which
        // a struct refuses.
        let document: Document =
            serde_json::from_slice(&self.bytes).map_err(|error| malformed(error.to_string()))?;
        if document.format != FORMAT {
            return Err(malformed(format!(
                "format {} never existed",
                document.format
            )));
        }
        let mut servers: Vec<WorkspaceServer> = Vec::new();
        for entry in document.servers {
            let id = entry.id.as_str().to_owned();
            let refused = |reason: String| WorkspaceError::Entry {
                path: self.path.clone(),
                id: id.clone(),
                reason,
            };
            if servers.iter().any(|other| other.view.id == entry.id) {
                return Err(refused("it is listed twice".to_owned()));
            }
            servers.push(self.server(entry).map_err(refused)?);
        }
        Ok(servers)
    }

    fn server(&self, entry: Entry) -> Result<WorkspaceServer, String> {
        let identity = match (entry.identity, entry.agent) {
            (Some(path), false) => Some(key_path(&path)?),
            (None, true) => None,
            _ => return Err("it needs either \"identity\" or \"agent\": true".to_owned()),
        };
        let checks = [
            fields::host(&entry.host),
            fields::port(entry.port),
            fields::user(&entry.user),
            fields::labels(&entry.labels),
            fields::shell(&entry.shell),
        ];
        for check in checks {
            check.map_err(|error| format!("{} {}", error.field, error.reason))?;
        }
        if entry.jump.as_ref() == Some(&entry.id) {
            return Err("jump names the server itself".to_owned());
        }
        Ok(WorkspaceServer {
            view: ServerView {
                id: entry.id,
                host: entry.host,
                port: entry.port,
                user: entry.user,
                labels: entry.labels,
                scope: Scope::Workspace,
                workspace: Some(self.short_hash()),
                auth: if identity.is_some() {
                    AuthKind::IdentityFile
                } else {
                    AuthKind::Agent
                },
                jump: entry.jump,
                shell: entry.shell,
                // A repository does not open the way to other accounts.
                sudo: Sudo::Never,
                disabled: false,
                created: Timestamp::UNIX_EPOCH,
            },
            identity,
            root: self.root.clone(),
            path: self.path.clone(),
        })
    }
}

impl WorkspaceServer {
    /// How to log in. A relative key path is looked up now, in the workspace and
    /// nowhere else, links included.
    ///
    /// # Errors
    /// [`WorkspaceError::Entry`] when the key is missing or leads outside.
    pub fn login(&self) -> Result<AuthMaterial, WorkspaceError> {
        let Some(identity) = &self.identity else {
            return Ok(AuthMaterial::Agent { socket: None });
        };
        let refused = |reason: String| WorkspaceError::Entry {
            path: self.path.clone(),
            id: self.view.id.as_str().to_owned(),
            reason,
        };
        let mut path = identity.clone();
        if identity.is_relative() {
            path = self.root.join(identity).canonicalize().map_err(|error| {
                refused(format!(
                    "the key {} cannot be read: {error}",
                    identity.display()
                ))
            })?;
            if !path.starts_with(&self.root) {
                return Err(refused(format!(
                    "the key {} leads out of the workspace",
                    identity.display()
                )));
            }
        }
        Ok(AuthMaterial::IdentityFile {
            path,
            passphrase: None,
        })
    }
}

/// Accepts an absolute path, or a relative one that stays where it is.
fn key_path(text: &str) -> Result<PathBuf, String> {
    if text.is_empty() || text.len() > PATH_MAX || text.contains(char::is_control) {
        return Err("identity is no path of a key file".to_owned());
    }
    let path = Path::new(text);
    if path.is_absolute() {
        return Ok(path.to_owned());
    }
    if text.starts_with(['~', '$']) {
        return Err(format!(
            "identity {text:?} is read as it stands; give an absolute path, or one inside the \
             workspace"
        ));
    }
    let inside = |part: Component<'_>| matches!(part, Component::Normal(_) | Component::CurDir);
    if path.components().all(inside) {
        Ok(path.to_owned())
    } else {
        Err(format!("identity {text:?} leads out of the workspace"))
    }
}

/// The first field that is named like a secret, or whose text is a private key.
fn secret_in(value: &Value) -> Option<String> {
    match value {
        Value::Object(fields) => fields.iter().find_map(|(name, value)| {
            let lower = name.to_ascii_lowercase();
            let named = SECRETS.iter().any(|secret| lower.contains(secret));
            let is_key = value
                .as_str()
                .is_some_and(|text| text.contains("PRIVATE KEY"));
            if named || is_key {
                return Some(name.clone());
            }
            secret_in(value)
        }),
        Value::Array(items) => items.iter().find_map(secret_in),
        _ => None,
    }
}
