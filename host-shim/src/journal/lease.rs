//! Leases: one writer at a time for one thing, in the order they came.
//!
//! Every caller draws a numbered ticket, a file that it keeps locked while it
//! waits and while it holds the lease; the lowest ticket holds it. A ticket that
//! can be locked by somebody else is that of a process that died: whoever finds
//! it has the journal settle the dead process's actions, durably, before it is
//! taken away. So a lease outlives a crash until recovery, and no longer.
//!
//! What it deliberately does not do: know what the thing is, or end a holder
//! that is merely slow.
//!
//! Invariant: at no time do two living processes hold the lease of one thing.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::digest::sha256_hex;
use super::error::JournalError;
use super::handle::Journal;
use super::lock::FileLock;
use super::owner;
use crate::fault::{self, Point};

/// Folder of the tickets, in the journal's directory.
const LEASES: &str = "leases";
/// File that is locked while a ticket is drawn.
const QUEUE: &str = "queue";
/// Digits of the hash that names the thing a lease is for.
const NAME: usize = 32;
/// Shortest and longest pause between two looks at the tickets ahead.
const PAUSE: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(25));

/// Pauses until every lock of a dead process is released.
const DEATH_THROES: [Duration; 5] = [
    Duration::from_millis(5),
    Duration::from_millis(20),
    Duration::from_millis(75),
    Duration::from_millis(300),
    Duration::from_millis(600),
];

/// Why a lease was not obtained.
#[derive(Debug, thiserror::Error)]
pub enum LeaseError {
    /// The tickets cannot be written or read.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// Somebody living held it all the time.
    #[error("it is held by action {action} of process {pid} for more than {waited_ms} ms")]
    Held {
        /// Action of the holder, a ULID.
        action: String,
        /// Process id of the holder.
        pid: u32,
        /// Time waited, in ms.
        waited_ms: u64,
    },
}

/// The right to be the only writer of something; given back when dropped.
#[derive(Debug)]
pub struct Lease {
    _ticket: Ticket,
}

/// Who drew a ticket.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Holder {
    action: String,
    pid: u32,
    /// Its name among the owners of actions.
    owner: String,
}

/// A place in the queue. The file is locked as long as this lives.
#[derive(Debug)]
struct Ticket {
    path: PathBuf,
    name: String,
    number: u64,
    file: File,
}

impl Ticket {
    fn claim(&mut self, holder: &Holder) -> io::Result<()> {
        self.file.lock()?;
        fault::check(Point::LeaseDrawn)?;
        self.file.write_all(&serde_json::to_vec(holder)?)?;
        fault::reach(Point::LeaseClaimed);
        Ok(())
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        fault::reach(Point::LeaseReturning);
        // Removed while it is locked, so nobody takes its holder for dead.
        let _ = fs::remove_file(&self.path);
        fault::reach(Point::LeaseReturned);
    }
}

/// Removes the tickets of processes that died, for things nobody may ever ask for
/// again. Only the tickets of those whose actions are settled: of a process that is
/// just dying, one lock may be released before the other. Where somebody draws a
/// ticket at this moment, the next death sees to it.
pub(super) fn sweep(dir: &Path) -> io::Result<()> {
    let folder = dir.join(LEASES);
    let queue = match FileLock::existing(&folder.join(QUEUE)) {
        Ok(queue) => queue,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    let Some(_guard) = queue.try_exclusive()? else {
        return Ok(());
    };
    for item in fs::read_dir(&folder)? {
        let path = item?.path();
        if path.file_name().is_some_and(|name| name == QUEUE) {
            continue;
        }
        let Ok(mut file) = File::open(&path) else {
            // It was given back a moment ago.
            continue;
        };
        if file.try_lock().is_err() {
            continue;
        }
        let owner = holder(&mut file)?.owner;
        if owner.is_empty() || !owner::is_enlisted(dir, &owner) {
            fs::remove_file(&path)?;
        }
    }
    Ok(())
}

/// What stands in front of a ticket.
enum Ahead {
    Nobody,
    Living(Holder),
    /// The ticket of a dead process, locked by us meanwhile.
    Dead(PathBuf, File, Holder),
}

impl Journal {
    /// Waits for a turn to change something, for at most `patience`. `subject`
    /// names the thing, `action` the caller.
    ///
    /// # Errors
    /// [`LeaseError::Held`] where somebody living kept it for all of `patience`,
    /// [`LeaseError::Journal`] where the tickets cannot be written or read. Nothing
    /// may be changed then.
    pub async fn lease(
        &self,
        subject: &str,
        action: &str,
        patience: Duration,
    ) -> Result<Lease, LeaseError> {
        let folder = self.dir().join(LEASES);
        let name = sha256_hex(subject.as_bytes())[..NAME].to_owned();
        let holder = Holder {
            action: action.to_owned(),
            pid: std::process::id(),
            owner: self.owner().to_owned(),
        };
        let ticket = {
            let folder = folder.clone();
            off_thread(move || draw(&folder, &name, &holder)).await??
        };
        let since = Instant::now();
        let mut pause = PAUSE.0;
        loop {
            let (place, name, number) = (folder.clone(), ticket.name.clone(), ticket.number);
            let ahead = off_thread(move || look_ahead(&place, &name, number))
                .await?
                .map_err(|error| JournalError::io(&folder, &error))?;
            match ahead {
                Ahead::Nobody => {
                    fault::reach(Point::LeaseHeld);
                    return Ok(Lease { _ticket: ticket });
                }
                Ahead::Dead(path, file, holder) => {
                    fault::reach(Point::LeaseDead);
                    self.settle(&holder.owner).await?;
                    fault::reach(Point::LeaseSettled);
                    match fs::remove_file(&path) {
                        Err(error) if error.kind() != io::ErrorKind::NotFound => {
                            return Err(JournalError::io(&path, &error).into());
                        }
                        _ => drop(file),
                    }
                    fault::reach(Point::LeaseBuried);
                }
                Ahead::Living(holder) => {
                    let waited = since.elapsed();
                    if waited >= patience {
                        return Err(LeaseError::Held {
                            action: holder.action,
                            pid: holder.pid,
                            waited_ms: u64::try_from(waited.as_millis()).unwrap_or(u64::MAX),
                        });
                    }
                    tokio::time::sleep(pause.min(patience - waited)).await;
                    pause = (pause * 2).min(PAUSE.1);
                }
            }
        }
    }

    /// Has the actions of a dead process settled. Its locks are released one by
    /// one when it dies, so the last may need a moment; one that lives on has
    /// merely left a ticket behind.
    async fn settle(&self, owner: &str) -> Result<(), JournalError> {
        for pause in DEATH_THROES {
            self.recover().await?;
            if owner.is_empty() || !owner::is_enlisted(self.dir(), owner) {
                break;
            }
            tokio::time::sleep(pause).await;
        }
        Ok(())
    }
}

async fn off_thread<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, JournalError> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| JournalError::Stopped {
            reason: format!("a worker ended early: {error}"),
        })
}

/// Draws the next ticket.
fn draw(folder: &Path, name: &str, holder: &Holder) -> Result<Ticket, JournalError> {
    let queue = folder.join(QUEUE);
    let unusable = |error: io::Error| JournalError::io(folder, &error);
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .map_err(unusable)?;
    let lock = FileLock::create(&queue).map_err(unusable)?;
    let _guard = lock
        .exclusive()
        .map_err(|error| JournalError::lock(&queue, &error))?;
    let number = numbers(folder, name).map_err(unusable)?.last().copied();
    let number = number.map_or(1, |last| last + 1);
    let path = place(folder, name, number);
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&path)
        .map_err(unusable)?;
    // From here on dropping the ticket removes the file.
    let mut ticket = Ticket {
        path,
        name: name.to_owned(),
        number,
        file,
    };
    ticket.claim(holder).map_err(unusable)?;
    Ok(ticket)
}

/// Looks at the first ticket before a number that is still in the queue.
fn look_ahead(folder: &Path, name: &str, number: u64) -> io::Result<Ahead> {
    for before in numbers(folder, name)? {
        if before >= number {
            break;
        }
        let path = place(folder, name, before);
        let mut file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        match file.try_lock() {
            Ok(()) => {
                // A file without a name was given back a moment ago.
                if file.metadata()?.nlink() == 0 {
                    continue;
                }
                let holder = holder(&mut file)?;
                return Ok(Ahead::Dead(path, file, holder));
            }
            Err(TryLockError::WouldBlock) => return Ok(Ahead::Living(holder(&mut file)?)),
            Err(TryLockError::Error(error)) => return Err(error),
        }
    }
    Ok(Ahead::Nobody)
}

/// Who a ticket says it belongs to; nobody where that was not written yet.
fn holder(file: &mut File) -> io::Result<Holder> {
    let mut text = String::new();
    file.read_to_string(&mut text)?;
    Ok(serde_json::from_str(&text).unwrap_or_default())
}

fn place(folder: &Path, name: &str, number: u64) -> PathBuf {
    folder.join(format!("{name}-{number:020}"))
}

/// Numbers of the tickets for a thing, in order.
fn numbers(folder: &Path, name: &str) -> io::Result<Vec<u64>> {
    let mut numbers = Vec::new();
    for item in fs::read_dir(folder)? {
        let item = item?.file_name();
        let number = item
            .to_str()
            .and_then(|item| item.strip_prefix(name))
            .and_then(|rest| rest.strip_prefix('-'))
            .and_then(|digits| digits.parse::<u64>().ok());
        numbers.extend(number);
    }
    numbers.sort_unstable();
    Ok(numbers)
}
