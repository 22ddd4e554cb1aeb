//! One registered server: what anyone may see of it, and its sealed credential.
//!
//! Invariant: a record is sealed with all its plain fields as associated data,
//! so no field can be edited without the key: a password cannot be pointed at
//! another host, a label cannot be taken off. Plain fields read without the key
//! are a claim, [`Registry::unlock`](super::Registry::unlock) is the proof.
//!
//! What is not proven: that no whole record was removed, or put back as it once
//! was, by somebody who can write the file.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::canonical::Encoder;
use super::error::RegistryError;
use super::fields::{self, FieldError};
use super::material::AuthMaterial;
use super::seal::{Key, SealError, Sealed};
use super::server_id::ServerId;

/// Says what the associated data is, and in which layout.
const DOMAIN: &str = "openshell registry record 1";

/// Which file a record comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// The operator's own register.
    Global,
    /// The list inside a workspace, which a person trusted. The name is part of
    /// what a record is bound to, so one can never pass for global.
    Workspace,
}

impl Scope {
    /// The name of the scope, as it is bound into records.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Global => "global",
            Self::Workspace => "workspace",
        }
    }
}

/// How the helper logs in: the kind alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AuthKind {
    /// With a password.
    Password,
    /// With a private key in a file.
    IdentityFile,
    /// With a key a running ssh-agent holds.
    Agent,
}

impl AuthKind {
    /// The name of the kind, as it stands in the register.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Password => "password",
            Self::IdentityFile => "identity-file",
            Self::Agent => "agent",
        }
    }
}

impl fmt::Display for AuthKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Whether commands and changes of files may go through sudo(8) on a server.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Sudo {
    /// Whatever changes the account is refused, as far as it can be seen.
    #[default]
    Never,
    /// `sudo -n` is possible, and a person is asked each time.
    Ask,
}

impl Sudo {
    /// The word for it, as it stands in the register.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Never => "never",
            Self::Ask => "ask",
        }
    }

    fn is_never(&self) -> bool {
        *self == Self::Never
    }
}

/// A server as the register holds it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// Logical name.
    pub id: ServerId,
    /// DNS name or address to connect to.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// Login name on the server.
    pub user: String,
    /// Words that policy rules refer to.
    pub labels: Vec<String>,
    /// How the helper logs in, by kind alone.
    pub auth: AuthKind,
    /// Server to connect through, itself registered.
    pub jump: Option<ServerId>,
    /// Absolute path of the shell that runs approved commands.
    pub shell: String,
    /// Whether sudo may be used; records of the first formats do not say, and it
    /// may not.
    #[serde(default, skip_serializing_if = "Sudo::is_never")]
    pub sudo: Sudo,
    /// Whether every connection is refused.
    pub disabled: bool,
    /// When the record was made (UTC, whole seconds).
    pub created: Timestamp,
    /// The credential.
    sealed: Sealed,
}

/// What a list of servers shows. It holds no credential, not even sealed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerView {
    /// Logical name.
    pub id: ServerId,
    /// DNS name or address.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// Login name on the server.
    pub user: String,
    /// Words that policy rules refer to.
    pub labels: Vec<String>,
    /// Which file the record comes from.
    pub scope: Scope,
    /// Short hash of the workspace that lists it; none for the operator's own.
    pub workspace: Option<String>,
    /// Kind of login.
    pub auth: AuthKind,
    /// Server to connect through.
    pub jump: Option<ServerId>,
    /// Absolute path of the shell that runs approved commands.
    pub shell: String,
    /// Whether sudo may be used.
    pub sudo: Sudo,
    /// Whether every connection is refused.
    pub disabled: bool,
    /// When the record was made (UTC, whole seconds); the epoch for an entry of a
    /// workspace, which does not say.
    pub created: Timestamp,
}

/// A server to be registered.
pub struct NewServer {
    /// Logical name.
    pub id: ServerId,
    /// DNS name or address, without brackets or port.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// Login name on the server.
    pub user: String,
    /// Words that policy rules refer to.
    pub labels: Vec<String>,
    /// The credential.
    pub auth: AuthMaterial,
    /// Server to connect through; it must be registered already.
    pub jump: Option<ServerId>,
    /// Absolute path of the shell that runs approved commands.
    pub shell: String,
    /// Whether sudo may be used.
    pub sudo: Sudo,
}

impl NewServer {
    /// Starts a server with port 22, `/bin/sh`, no labels, no jump and no sudo.
    #[must_use]
    pub fn new(
        id: ServerId,
        host: impl Into<String>,
        user: impl Into<String>,
        auth: AuthMaterial,
    ) -> Self {
        Self {
            id,
            host: host.into(),
            port: 22,
            user: user.into(),
            labels: Vec::new(),
            auth,
            jump: None,
            shell: "/bin/sh".to_owned(),
            sudo: Sudo::Never,
        }
    }

    /// Checks what the fields hold, as [`Registry::add`] does before it stores
    /// anything.
    ///
    /// # Errors
    /// [`RegistryError::InvalidField`].
    ///
    /// [`Registry::add`]: super::Registry::add
    pub fn check(&self) -> Result<(), RegistryError> {
        let checked = self
            .auth
            .check()
            .and_then(|()| self.plain(Scope::Global).check());
        checked
            .map_err(|FieldError { field, reason }| RegistryError::InvalidField { field, reason })
    }

    fn plain(&self, scope: Scope) -> ServerView {
        ServerView {
            id: self.id.clone(),
            host: self.host.clone(),
            port: self.port,
            user: self.user.clone(),
            labels: self.labels.clone(),
            scope,
            workspace: None,
            auth: self.auth.kind(),
            jump: self.jump.clone(),
            shell: self.shell.clone(),
            sudo: self.sudo,
            disabled: false,
            created: whole_seconds(Timestamp::now()),
        }
    }
}

impl ServerView {
    /// The name under which the history of its files is kept. Two workspaces may
    /// call different machines alike, so theirs carry the workspace's hash, after a
    /// character that no id holds.
    #[must_use]
    pub fn history_name(&self) -> String {
        match &self.workspace {
            Some(workspace) => format!("{}+{workspace}", self.id.as_str()),
            None => self.id.as_str().to_owned(),
        }
    }

    /// Where the id comes from, as the journal keeps it; none for the operator's
    /// own register.
    #[must_use]
    pub fn scope_name(&self) -> Option<String> {
        let workspace = self.workspace.as_ref()?;
        Some(format!("{}:{workspace}", self.scope.as_str()))
    }

    /// Checks what the fields hold.
    fn check(&self) -> Result<(), FieldError> {
        fields::host(&self.host)?;
        fields::port(self.port)?;
        fields::user(&self.user)?;
        fields::labels(&self.labels)?;
        fields::shell(&self.shell)?;
        if self.jump.as_ref() == Some(&self.id) {
            return Err(FieldError {
                field: "jump",
                reason: "names the server itself".to_owned(),
            });
        }
        if self.created != whole_seconds(self.created) {
            return Err(FieldError {
                field: "created",
                reason: "must be whole seconds".to_owned(),
            });
        }
        Ok(())
    }

    /// Everything plain about a record, injectively: what its body is bound to.
    fn place(&self) -> Zeroizing<Vec<u8>> {
        let mut place = Encoder::new(DOMAIN);
        place.text(self.scope.as_str());
        place.text(self.id.as_str());
        place.text(&self.host);
        place.number(u64::from(self.port));
        place.text(&self.user);
        place.list(&self.labels);
        place.text(self.auth.as_str());
        place.optional(self.jump.as_ref().map(|id| id.as_str().as_bytes()));
        place.text(&self.shell);
        place.number(u64::from(self.disabled));
        place.number(self.created.as_second().cast_unsigned());
        // Nothing is added for the default, so that records from before there was
        // a choice are what they were; the one word that can follow tells apart.
        if self.sudo != Sudo::Never {
            place.text(self.sudo.as_str());
        }
        place.finish()
    }

    fn with_body(self, sealed: Sealed) -> Record {
        Record {
            id: self.id,
            host: self.host,
            port: self.port,
            user: self.user,
            labels: self.labels,
            auth: self.auth,
            jump: self.jump,
            shell: self.shell,
            sudo: self.sudo,
            disabled: self.disabled,
            created: self.created,
            sealed,
        }
    }
}

impl Record {
    /// Checks a new server and seals it, bound to its own plain fields.
    pub(super) fn seal(new: NewServer, scope: Scope, key: &Key) -> Result<Self, RecordFault> {
        new.auth.check()?;
        let body = new.auth.encode();
        let plain = new.plain(scope);
        plain.check()?;
        let sealed = Sealed::new(key, &plain.place(), &body)?;
        Ok(plain.with_body(sealed))
    }

    /// Proves every plain field and gives the credential out.
    pub(super) fn open(&self, scope: Scope, key: &Key) -> Result<AuthMaterial, RecordFault> {
        let body = self.sealed.open(key, &self.view(scope).place())?;
        AuthMaterial::decode(self.auth, &body).map_err(|_| RecordFault::Body)
    }

    /// Proves the record and seals it again with another `disabled`.
    pub(super) fn with_disabled(
        &self,
        disabled: bool,
        scope: Scope,
        key: &Key,
    ) -> Result<Self, RecordFault> {
        let before = self.view(scope);
        let body = self.sealed.open(key, &before.place())?;
        let after = ServerView { disabled, ..before };
        let sealed = Sealed::new(key, &after.place(), &body)?;
        Ok(after.with_body(sealed))
    }

    /// Proves the record and seals it with another key.
    pub(super) fn resealed(&self, scope: Scope, from: &Key, to: &Key) -> Result<Self, RecordFault> {
        let plain = self.view(scope);
        let body = self.sealed.open(from, &plain.place())?;
        AuthMaterial::decode(self.auth, &body).map_err(|_| RecordFault::Body)?;
        let sealed = Sealed::new(to, &plain.place(), &body)?;
        Ok(plain.with_body(sealed))
    }

    /// Checks what the plain fields hold.
    pub(super) fn check(&self) -> Result<(), FieldError> {
        self.view(Scope::Global).check()
    }

    /// What a list shows of this record.
    #[must_use]
    pub fn view(&self, scope: Scope) -> ServerView {
        ServerView {
            id: self.id.clone(),
            host: self.host.clone(),
            port: self.port,
            user: self.user.clone(),
            labels: self.labels.clone(),
            scope,
            workspace: None,
            auth: self.auth,
            jump: self.jump.clone(),
            shell: self.shell.clone(),
            sudo: self.sudo,
            disabled: self.disabled,
            created: self.created,
        }
    }
}

fn whole_seconds(time: Timestamp) -> Timestamp {
    Timestamp::from_second(time.as_second()).unwrap_or(Timestamp::UNIX_EPOCH)
}

/// What can be wrong with one record.
#[derive(Debug)]
pub(super) enum RecordFault {
    /// A plain field holds something it may not.
    Field(FieldError),
    /// The record could not be sealed or is not authentic.
    Seal(SealError),
    /// Authentic, but not a credential this version understands.
    Body,
}

impl From<FieldError> for RecordFault {
    fn from(error: FieldError) -> Self {
        Self::Field(error)
    }
}

impl From<SealError> for RecordFault {
    fn from(error: SealError) -> Self {
        Self::Seal(error)
    }
}
