//! The directory of kept questions: one sealed file each, changed under a lock.
//!
//! Invariant: a grant is removed, durably, before it is reported to whoever uses
//! it. A file that cannot be opened with the present key grants nothing and is
//! removed. What a question says, and how long it is kept, is not its business.

use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::{
    Decision, KEPT_MAX, NAME_MIN, Origin, PendingAsk, PendingError, PendingState, Taken, name,
};
use crate::approvals::Question;
use crate::fault::{self, Point};
use crate::registry::{FileError, MasterKey, Paths, lock_file, read_own, replace_file};

/// Largest file: a diff of a megabyte with everything escaped, sealed.
const FILE_MAX: u64 = 32 * 1024 * 1024;
/// How long to wait for another process that changes the directory.
const PATIENCE: Duration = Duration::from_secs(5);
/// How the files' names end.
const SUFFIX: &str = ".ask";
/// How the name of a file ends that is being written; an interrupted one stays.
const UNFINISHED: &str = ".ask.openshell-new";
/// What is sealed into a file is bound to this and to the file's name. Snapshots,
/// sealed under the same key, are bound to a server's id, which has no space.
const BOUND_TO: &str = "openshell pending question 1 ";

/// The kept questions of one installation. Every operation blocks on files.
#[derive(Debug, Clone)]
pub struct PendingStore {
    paths: Paths,
}

impl PendingStore {
    /// The store of an installation; touches nothing.
    #[must_use]
    pub fn new(paths: &Paths) -> Self {
        Self {
            paths: paths.clone(),
        }
    }

    /// Whether anything is kept about a question; what it is takes the key.
    #[must_use]
    pub fn knows(&self, question: &Question) -> bool {
        self.file(&name(question)).exists()
    }

    /// Keeps a question. One that waits already is kept longer; one that was
    /// answered stays as it is.
    ///
    /// # Errors
    /// [`PendingError`]; the question is not kept then.
    pub fn keep(
        &self,
        key: &MasterKey,
        question: &Question,
        origin: Origin,
    ) -> Result<(), PendingError> {
        let now = now_ms();
        let _lock = self.lock()?;
        let kept = self.prune(key, now)?;
        let ask = PendingAsk::new(question, origin, now);
        match kept.iter().find(|known| known.id == ask.id) {
            Some(known) if known.state != PendingState::Waiting => Ok(()),
            None if kept.len() >= KEPT_MAX => Err(PendingError::Full),
            _ => {
                fault::reach(Point::PendingKeep);
                self.write(key, &ask)?;
                fault::reach(Point::PendingKept);
                Ok(())
            }
        }
    }

    /// Returns the answer to a question, and uses it up if it is a grant.
    ///
    /// # Errors
    /// [`PendingError`]; nothing is granted then.
    pub fn take(&self, key: &MasterKey, question: &Question) -> Result<Taken, PendingError> {
        let id = name(question);
        if !self.file(&id).exists() {
            return Ok(Taken::Nothing);
        }
        let now = now_ms();
        let _lock = self.lock()?;
        let Some(ask) = self.read(key, &id).filter(|ask| ask.counts(now)) else {
            return Ok(Taken::Nothing);
        };
        match ask.state {
            PendingState::Waiting => Ok(Taken::Nothing),
            PendingState::Rejected { feedback, .. } => Ok(Taken::Rejected(feedback)),
            PendingState::Granted { presence, .. } => {
                fault::reach(Point::PendingTake);
                self.remove(&id)?;
                fault::reach(Point::PendingTaken);
                let ask = Box::new(ask);
                Ok(Taken::Granted { presence, ask })
            }
        }
    }

    /// Puts a grant back that was taken and not used, as old as it is. Nobody else can
    /// have it meanwhile: where the question was asked again, it is that one's answer
    /// now, and where that was answered as well, the later answer stays and the grant
    /// is gone. What is not given back, after a crash say, is used up.
    ///
    /// # Errors
    /// [`PendingError`]; the grant is gone then.
    pub fn give_back(&self, key: &MasterKey, ask: &PendingAsk) -> Result<(), PendingError> {
        let now = now_ms();
        if !matches!(ask.state, PendingState::Granted { .. }) || !ask.counts(now) {
            return Ok(());
        }
        let _lock = self.lock()?;
        match self.read(key, &ask.id).filter(|known| known.counts(now)) {
            Some(known) if known.state != PendingState::Waiting => Ok(()),
            _ => self.write(key, ask),
        }
    }

    /// Lists what is kept and counts, the oldest first.
    ///
    /// # Errors
    /// [`PendingError`].
    pub fn list(&self, key: &MasterKey) -> Result<Vec<PendingAsk>, PendingError> {
        if !self.paths.pending_dir().exists() {
            return Ok(Vec::new());
        }
        let _lock = self.lock()?;
        self.prune(key, now_ms())
    }

    /// Returns one question by its name, or by the beginning of it.
    ///
    /// # Errors
    /// [`PendingError::Unknown`], [`PendingError::Ambiguous`] or what keeps the
    /// questions from being read.
    pub fn find(&self, key: &MasterKey, id: &str) -> Result<PendingAsk, PendingError> {
        pick(self.list(key)?, id)
    }

    /// Answers a question that waits, by its whole name.
    ///
    /// # Errors
    /// [`PendingError::Unknown`] where it has expired meanwhile,
    /// [`PendingError::Answered`] where somebody was faster.
    pub fn answer(
        &self,
        key: &MasterKey,
        id: &str,
        decision: Decision,
    ) -> Result<(), PendingError> {
        let at_ms = now_ms();
        let _lock = self.lock()?;
        let mut ask = self
            .prune(key, at_ms)?
            .into_iter()
            .find(|ask| ask.id == id)
            .ok_or_else(|| PendingError::Unknown(id.to_owned()))?;
        if ask.state != PendingState::Waiting {
            return Err(PendingError::Answered(id.to_owned()));
        }
        ask.state = match decision {
            Decision::Grant { presence } => PendingState::Granted { at_ms, presence },
            Decision::Reject(feedback) => PendingState::Rejected { at_ms, feedback },
        };
        fault::reach(Point::PendingAnswer);
        self.write(key, &ask)?;
        fault::reach(Point::PendingAnswered);
        Ok(())
    }

    fn lock(&self) -> Result<impl Sized, PendingError> {
        let dir = self.paths.pending_dir();
        self.paths.ensure(&dir)?;
        Ok(lock_file(&dir.join("lock"), PATIENCE)?)
    }

    fn file(&self, id: &str) -> PathBuf {
        self.paths.pending_dir().join(format!("{id}{SUFFIX}"))
    }

    /// Removes what has expired, cannot be opened or was left half written, and
    /// returns the rest. The caller holds the lock, so nobody is writing.
    fn prune(&self, key: &MasterKey, now_ms: u64) -> Result<Vec<PendingAsk>, PendingError> {
        let mut kept = Vec::new();
        for entry in std::fs::read_dir(self.paths.pending_dir()).map_err(PendingError::List)? {
            let entry = entry.map_err(PendingError::List)?;
            let name = entry.file_name();
            if name
                .to_str()
                .is_some_and(|name| name.starts_with('.') && name.ends_with(UNFINISHED))
            {
                std::fs::remove_file(entry.path()).map_err(PendingError::List)?;
                continue;
            }
            let Some(id) = name.to_str().and_then(|name| name.strip_suffix(SUFFIX)) else {
                continue;
            };
            match self.read(key, id).filter(|ask| ask.counts(now_ms)) {
                Some(ask) => kept.push(ask),
                None => self.remove(id)?,
            }
        }
        kept.sort_by(|a, b| (a.asked_ms, &a.id).cmp(&(b.asked_ms, &b.id)));
        Ok(kept)
    }

    fn read(&self, key: &MasterKey, id: &str) -> Option<PendingAsk> {
        let (sealed, _) = read_own(&self.file(id), FILE_MAX).ok()??;
        let plain = key.open(bound_to(id).as_bytes(), &sealed).ok()?;
        let ask: PendingAsk = serde_json::from_slice(&plain).ok()?;
        (ask.id == id).then_some(ask)
    }

    fn write(&self, key: &MasterKey, ask: &PendingAsk) -> Result<(), PendingError> {
        let plain = zeroize::Zeroizing::new(serde_json::to_vec(ask)?);
        let sealed = key.seal(bound_to(&ask.id).as_bytes(), &plain)?;
        Ok(replace_file(&self.file(&ask.id), &sealed)?)
    }

    fn remove(&self, id: &str) -> Result<(), PendingError> {
        let path = self.file(id);
        let removed = std::fs::remove_file(&path).and_then(|()| {
            fault::check(Point::PendingUnlinked)?;
            // A grant that came back after a power cut would count twice.
            std::fs::File::open(self.paths.pending_dir())?.sync_all()
        });
        removed.map_err(|source| {
            FileError::Io {
                action: "remove",
                path,
                source,
            }
            .into()
        })
    }
}

fn bound_to(id: &str) -> String {
    format!("{BOUND_TO}{id}")
}

fn pick(asks: Vec<PendingAsk>, id: &str) -> Result<PendingAsk, PendingError> {
    let unknown = || PendingError::Unknown(id.to_owned());
    if id.len() < NAME_MIN {
        return Err(unknown());
    }
    let mut matching = asks.into_iter().filter(|ask| ask.id.starts_with(id));
    let found = matching.next().ok_or_else(unknown)?;
    match matching.next() {
        None => Ok(found),
        Some(_) => Err(PendingError::Ambiguous(id.to_owned())),
    }
}

/// Time since 1970 in ms; a clock before that counts nothing as young.
fn now_ms() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| {
            u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
        })
}

#[cfg(test)]
#[path = "store_tests.rs"]
mod tests;
