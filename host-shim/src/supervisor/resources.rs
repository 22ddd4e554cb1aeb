//! What the helper holds between calls: paths, registry, master key, journal,
//! snapshots, rules and connections.
//!
//! Invariant: everything is opened on first use and reopened after a failure, so a
//! helper that started while the journal was unwritable recovers by itself.
//! Registry and rules are read anew for every call: they are small, and a change by
//! the operator must count at once. What is done with them is not known here.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use secrecy::SecretString;

use super::ahead::{Ahead, Predial};
use super::failure::failure;
use super::fanout::FanoutLimit;
use super::layers::Layers;
use crate::engine::Judge;
use crate::engine::contract::{Failure, FailureCode};
use crate::journal::{Journal, JournalError, Redactor};
use crate::registry::{
    AuthMaterial, KeyEnv, KeyError, MasterKey, Paths, Registry, ServerId, ServerView,
};
use crate::rules::{self, Rules};
use crate::snapshots::{Sealer, SnapshotError, Snapshots};
use crate::spool::Spool;
use crate::ssh::{Auth, Patience, Pool, PoolConfig, Target};

/// Why a resource could not be had.
#[derive(Debug, thiserror::Error)]
pub enum ResourcesError {
    /// The journal could not be opened.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The snapshot store could not be opened.
    #[error(transparent)]
    Snapshots(#[from] SnapshotError),
    /// The master key could not be had.
    #[error(transparent)]
    Key(#[from] KeyError),
}

/// The master key, once it is unlocked. It is given up when the register says
/// that another key has taken over.
#[derive(Default)]
struct Unlocked {
    key: Mutex<Option<Arc<MasterKey>>>,
    /// Held while the key is looked for, so that a person is asked once.
    turn: tokio::sync::Mutex<()>,
}

impl Unlocked {
    fn get(&self) -> Option<Arc<MasterKey>> {
        self.key
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn set(&self, key: Arc<MasterKey>) {
        *self.key.lock().unwrap_or_else(PoisonError::into_inner) = Some(key);
    }
}

/// Seals what the policy calls secret before it becomes part of a repository,
/// with the registry's master key once that is unlocked. What a former key sealed
/// is opened with that key, which the registry keeps under the present one.
struct KeySealer {
    unlocked: Arc<Unlocked>,
    paths: Paths,
}

impl KeySealer {
    fn key(&self) -> Result<Arc<MasterKey>, String> {
        self.unlocked
            .get()
            .ok_or_else(|| "the registry is locked".to_owned())
    }
}

impl Sealer for KeySealer {
    fn seal(&self, place: &str, content: &[u8]) -> Result<Vec<u8>, String> {
        self.key()?
            .seal(place.as_bytes(), content)
            .map_err(|error| error.to_string())
    }

    fn open(&self, place: &str, sealed: &[u8]) -> Result<Vec<u8>, String> {
        let key = self.key()?;
        let refused = match key.open(place.as_bytes(), sealed) {
            Ok(plain) => return Ok(plain.to_vec()),
            Err(refused) => refused,
        };
        let retired = Registry::open(&self.paths)
            .and_then(|registry| registry.retired_keys(&key))
            .map_err(|error| error.to_string())?;
        retired
            .iter()
            .find_map(|former| former.open(place.as_bytes(), sealed).ok())
            .map(|plain| plain.to_vec())
            .ok_or_else(|| refused.to_string())
    }
}

/// How a person is asked for the registry's passphrase, where one can be.
pub type Prompt = Arc<dyn Fn() -> std::io::Result<SecretString> + Send + Sync>;

/// The resources of one helper.
pub struct Resources {
    paths: Paths,
    prompt: Option<Prompt>,
    key_env: Option<KeyEnv<'static>>,
    patience: Patience,
    fanout: FanoutLimit,
    ahead: Ahead,
    unlocked: Arc<Unlocked>,
    redactor: Mutex<Option<Redactor>>,
    journal: Mutex<Option<Journal>>,
    snapshots: Mutex<Option<Snapshots>>,
    pool: Pool,
    rejected: Mutex<std::collections::HashSet<(String, String)>>,
    /// When something of an action, a temporary file or a process, was looked for in
    /// vain.
    looks: Mutex<HashMap<String, Instant>>,
}

impl Resources {
    /// Prepares resources below the given paths; touches nothing yet.
    pub fn new(paths: Paths, prompt: Option<Prompt>) -> Self {
        Self {
            paths,
            prompt,
            key_env: None,
            patience: Patience::default(),
            fanout: FanoutLimit::default(),
            ahead: Ahead::default(),
            unlocked: Arc::default(),
            redactor: Mutex::new(None),
            journal: Mutex::new(None),
            snapshots: Mutex::new(None),
            pool: Pool::new(PoolConfig::default()),
            rejected: Mutex::new(std::collections::HashSet::new()),
            looks: Mutex::default(),
        }
    }

    /// Takes the master key from where this says and not from where the process's
    /// environment says.
    #[must_use]
    pub fn with_key_env(mut self, env: KeyEnv<'static>) -> Self {
        self.key_env = Some(env);
        self
    }

    /// Waits for servers as long as this says.
    #[must_use]
    pub fn with_patience(mut self, patience: Patience) -> Self {
        self.patience = patience;
        self
    }

    /// Works on as many servers of one call at a time as this says.
    #[must_use]
    pub fn with_fanout(mut self, fanout: FanoutLimit) -> Self {
        self.fanout = fanout;
        self
    }

    /// Makes connections ahead, or not.
    #[must_use]
    pub fn with_predial(mut self, setting: Predial) -> Self {
        self.ahead = Ahead::new(setting);
        self
    }

    pub(super) fn ahead(&self) -> &Ahead {
        &self.ahead
    }

    /// Whether the key that seals the registry now was unlocked already.
    pub(super) fn is_unlocked(&self) -> bool {
        self.current_key().is_ok_and(|key| key.is_some())
    }

    pub(super) fn fanout(&self) -> FanoutLimit {
        self.fanout
    }

    /// The directories that everything lies below.
    pub fn paths(&self) -> &Paths {
        &self.paths
    }

    /// The connections, which all calls of this helper share.
    pub fn pool(&self) -> &Pool {
        &self.pool
    }

    /// Reads the registry.
    pub(super) fn registry(&self) -> Result<Registry, Failure> {
        Ok(Registry::open(&self.paths)?)
    }

    /// Returns the journal, opening it where needed. Blocks on files.
    ///
    /// # Errors
    /// [`JournalError`] with the path and the reason.
    pub fn journal(&self) -> Result<Journal, JournalError> {
        let mut slot = self.journal.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(journal) = slot.as_ref() {
            return Ok(journal.clone());
        }
        // Where the rules cannot be read every call is refused, and that has to be
        // put on record as well.
        let limits = rules::journal_limits(&self.paths.policy_file()).unwrap_or_default();
        let (dir, redactor) = (self.paths.audit_dir(), self.redactor()?);
        let journal = Journal::open_with(&dir, redactor, limits.options())?;
        *slot = Some(journal.clone());
        Ok(journal)
    }

    /// Takes into account that the journal refused a record. Where what is on disk is
    /// in doubt it is let go, so that the next call opens it anew and has its end
    /// verified. Where there was no room, or no turn, it is kept: it tries again by
    /// itself, and holds the outcomes that could not be written yet.
    pub(super) fn journal_failed(&self, error: &JournalError) {
        let in_doubt = match error {
            JournalError::Stopped { .. }
            | JournalError::Corrupt { .. }
            | JournalError::Truncated { .. } => true,
            JournalError::Unavailable { .. }
            | JournalError::Busy { .. }
            | JournalError::TooLarge { .. }
            | JournalError::Duplicate(_) => false,
        };
        if in_doubt {
            *self.journal.lock().unwrap_or_else(PoisonError::into_inner) = None;
        }
    }

    /// Closes connections and makes the journal durable. Blocks for the last
    /// fsync.
    pub async fn close(&self) {
        self.pool.close().await;
        let journal = self
            .journal
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        // Dropping the last handle waits until everything is on disk.
        let _ = tokio::task::spawn_blocking(move || drop(journal)).await;
    }

    /// Returns the redactor, which knows the secrets unlocked so far.
    pub(super) fn redactor(&self) -> Result<Redactor, JournalError> {
        let mut slot = self.redactor.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(redactor) = slot.as_ref() {
            return Ok(redactor.clone());
        }
        let dir = self.paths.audit_dir();
        let redactor = Redactor::open(&dir).map_err(|error| JournalError::Unavailable {
            path: dir,
            reason: error.to_string(),
        })?;
        *slot = Some(redactor.clone());
        Ok(redactor)
    }

    /// Returns the place where long output is kept; touches nothing there yet.
    ///
    /// # Errors
    /// [`JournalError`] when the redactor cannot be had, without which nothing is
    /// written.
    pub(super) fn spool(&self) -> Result<Spool, JournalError> {
        Ok(Spool::new(self.paths.clone(), self.redactor()?))
    }

    /// Returns the snapshot store, opening it where needed. Blocks on files.
    ///
    /// # Errors
    /// [`SnapshotError`] with the path and the reason.
    pub fn snapshots(&self) -> Result<Snapshots, SnapshotError> {
        let mut slot = self
            .snapshots
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        // One that was moved away, because it was damaged, is not gone on with.
        if let Some(snapshots) = slot.as_ref().filter(|snapshots| snapshots.is_current()) {
            return Ok(snapshots.clone());
        }
        let sealer: Arc<dyn Sealer> = Arc::new(KeySealer {
            unlocked: Arc::clone(&self.unlocked),
            paths: self.paths.clone(),
        });
        let snapshots = Snapshots::open(&self.paths.snapshots_dir(), Some(sealer))?;
        *slot = Some(snapshots.clone());
        Ok(snapshots)
    }

    /// Whether the snapshot store was used and it is time to pack it.
    pub fn is_packing_due(&self) -> bool {
        self.snapshots
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .as_ref()
            .is_some_and(Snapshots::is_packing_due)
    }

    /// Uses a key the caller holds already.
    pub fn use_key(&self, key: MasterKey) {
        self.unlocked.set(Arc::new(key));
    }

    /// Returns the master key, unlocking it once, and again after a rotation.
    ///
    /// # Errors
    /// The [`Failure`] that a [`KeyError`] is for a call; the next call tries
    /// again.
    pub async fn master_key(&self) -> Result<Arc<MasterKey>, Failure> {
        if let Some(key) = self.current_key()? {
            return Ok(key);
        }
        let _turn = self.unlocked.turn.lock().await;
        if let Some(key) = self.current_key()? {
            return Ok(key);
        }
        let paths = self.paths.clone();
        let prompt = self.prompt.clone();
        let key_env = self.key_env.clone();
        // The keychain and the key derivation block for a while.
        let resolved = tokio::task::spawn_blocking(move || {
            let env = key_env.unwrap_or_else(KeyEnv::from_process);
            match &prompt {
                Some(prompt) => {
                    let ask = || prompt();
                    MasterKey::resolve(&paths, &env.with_prompt(&ask))
                }
                None => MasterKey::resolve(&paths, &env),
            }
        })
        .await;
        match resolved {
            Ok(key) => {
                let key = Arc::new(key?);
                self.unlocked.set(Arc::clone(&key));
                Ok(key)
            }
            Err(error) => Err(failure(
                FailureCode::Internal,
                format!("Unlocking the registry failed: {error}."),
                "",
            )),
        }
    }

    /// The key that was unlocked, unless another one seals the register by now.
    fn current_key(&self) -> Result<Option<Arc<MasterKey>>, Failure> {
        let Some(key) = self.unlocked.get() else {
            return Ok(None);
        };
        let registry = self.registry()?;
        let current = registry.key_id().is_none_or(|id| id == key.id());
        Ok(current.then_some(key))
    }

    /// Reads the operator's rules and the workspace's, checked with the policy
    /// itself.
    ///
    /// # Errors
    /// [`RulesError`](rules::RulesError); nothing may run then.
    pub fn rules(
        &self,
        workspace: Option<&Path>,
        judge: &Judge,
    ) -> Result<Rules, rules::RulesError> {
        rules::load(&self.paths.policy_file(), workspace, judge)
    }

    /// Reads the registry and, where a person trusted it, the workspace's list.
    pub(super) fn layers(&self, workspace: Option<&Path>) -> Result<Layers, Failure> {
        Layers::read(&self.paths, workspace)
    }

    /// Proves a server of these layers and those on the way to it; the credentials
    /// come with them.
    pub(super) async fn target(
        &self,
        layers: &Layers,
        server: &ServerView,
    ) -> Result<Target, Failure> {
        let mut target: Option<Target> = None;
        for hop in layers.route(server)? {
            let material = match layers.in_workspace(&hop.id) {
                Some(entry) => entry.login()?,
                None => {
                    let key = self.master_key().await?;
                    layers.global().unlock(&hop.id, &key)?
                }
            };
            target = Some(Target {
                id: hop.id.as_str().to_owned(),
                host: hop.host.clone(),
                port: hop.port,
                user: hop.user.clone(),
                auth: self.auth(material)?,
                known_hosts: self.known_hosts(),
                jump: target.map(Box::new),
                shell: hop.shell.clone(),
                connect_timeout: self.patience.connect,
                silence: self.patience.silence,
            });
        }
        target.ok_or_else(|| failure(FailureCode::Internal, "No server was resolved.", ""))
    }

    fn auth(&self, material: AuthMaterial) -> Result<Auth, Failure> {
        let redactor = self.redactor()?;
        Ok(match material {
            AuthMaterial::Password(password) => {
                redactor.register(&password);
                Auth::Password(password)
            }
            AuthMaterial::IdentityFile { path, passphrase } => {
                if let Some(passphrase) = &passphrase {
                    redactor.register(passphrase);
                }
                Auth::IdentityFile { path, passphrase }
            }
            AuthMaterial::Agent { socket } => Auth::Agent { socket },
        })
    }

    /// The files host keys are looked up in: ours, the user's, the system's.
    pub fn known_hosts(&self) -> Vec<PathBuf> {
        let mut files = vec![self.paths.known_hosts()];
        if let Some(base) = directories::BaseDirs::new() {
            files.push(base.home_dir().join(".ssh/known_hosts"));
        }
        files.push(PathBuf::from("/etc/ssh/ssh_known_hosts"));
        files
    }

    /// Remembers that a person said no to an operation in a session.
    pub(super) fn remember_rejection(&self, session: &str, operation: &str) {
        self.rejected
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert((session.to_owned(), operation.to_owned()));
    }

    /// Whether a person said no to this operation in this session already.
    pub(super) fn was_rejected(&self, session: &str, operation: &str) -> bool {
        self.rejected
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .contains(&(session.to_owned(), operation.to_owned()))
    }

    /// Notes that something of an action was looked for in vain.
    pub(super) fn note_look(&self, action: &str) {
        self.looks
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(action.to_owned(), Instant::now());
    }

    /// Whether something of an action was looked for in vain lately.
    pub(super) fn looked_for(&self, action: &str, lately: Duration) -> bool {
        self.looks
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(action)
            .is_some_and(|look| look.elapsed() < lately)
    }

    /// Parses a server id as a caller gave it.
    pub(super) fn server_id(text: &str) -> Result<ServerId, Failure> {
        ServerId::new(text).map_err(|error| {
            failure(
                FailureCode::ServerNotFound,
                format!("There is no server {text:?}: {error}."),
                "list_servers shows the ids.",
            )
        })
    }
}
