//! Which commit of a branch is about which path: what makes the newest state of
//! a file as quick to find among 100,000 commits as among ten.
//!
//! A file of fixed records beside the object database, one for every commit in
//! the order of the branch. It is derived: whatever is missing from it is read
//! from the commits, and a record that does not match its check is the end of
//! what is believed. So it needs no fsync, and losing it loses nothing.
//!
//! Invariant: after [`Index::follow`] the records are the commits of the branch
//! up to its tip, oldest first. It says where to look; what is found there is
//! checked by whoever looks.

use std::collections::HashSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use git2::Oid;
use sha2::{Digest, Sha256};

use super::error::SnapshotError;
use super::message;
use super::objects::Objects;
use crate::fault::{self, Point};
use crate::journal::sha256_hex;

/// Length of a record: key, commit, check.
const RECORD: usize = KEY + OID + 4;
const KEY: usize = 16;
/// Length of a SHA-1.
const OID: usize = 20;

/// First record of a file.
const HEADER: &[u8; RECORD] = b"openshell snapshot index, format 1\n\n\n\n\n\n";

/// Folder of the index files, inside the repository.
const FOLDER: &str = "openshell-index";

/// The first 128 bits of a path's SHA-256; all zero for a commit that is not one
/// of ours.
type Key = [u8; KEY];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Record {
    key: Key,
    commit: Oid,
}

/// The commits of one branch.
#[derive(Debug)]
pub(super) struct Index {
    file: PathBuf,
    /// Oldest first.
    records: Vec<Record>,
    /// Whether the file holds anything that is not believed.
    damaged: bool,
}

impl Index {
    /// Reads what is there of a branch's index; nothing is a good answer.
    pub(super) fn open(repository: &Path, branch: &str) -> Self {
        let name = sha256_hex(branch.as_bytes());
        let file = repository.join(FOLDER).join(&name[..32]);
        let bytes = fs::read(&file).unwrap_or_default();
        let records = decode_all(&bytes);
        Self {
            damaged: bytes.len() != (records.len() + 1) * RECORD,
            records,
            file,
        }
    }

    /// Brings the records up to the tip of the branch.
    pub(super) fn follow(&mut self, repo: &Objects, tip: Option<Oid>) -> Result<(), SnapshotError> {
        let Some(tip) = tip else {
            self.records.clear();
            return Ok(());
        };
        if self.records.last().map(|record| record.commit) == Some(tip) {
            return Ok(());
        }
        let (new, met) = since(repo, tip, &self.records)?;
        if !met {
            // The branch was begun anew, or is another one.
            self.records.clear();
        }
        self.records.extend(new);
        Ok(())
    }

    /// Adds a commit that was made on top of the tip.
    pub(super) fn add(&mut self, path: &str, commit: Oid) {
        self.records.push(Record {
            key: key(path),
            commit,
        });
    }

    /// Writes what the file lacks. The caller has the turn. A failure costs the
    /// next process some reading and nothing else.
    pub(super) fn save(&mut self) -> io::Result<()> {
        fault::check(Point::IndexBefore)?;
        if self.damaged || !matches!(self.append(), Ok(true)) {
            self.rewrite()?;
            self.damaged = false;
        }
        fault::reach(Point::IndexSaved);
        Ok(())
    }

    /// Appends to the file; false where it is not what these records began as.
    fn append(&self) -> io::Result<bool> {
        let mut file = OpenOptions::new().read(true).write(true).open(&self.file)?;
        let length = file.metadata()?.len();
        if length % RECORD as u64 != 0 || length < 2 * RECORD as u64 {
            return Ok(false);
        }
        let mut last = [0; RECORD];
        file.seek(SeekFrom::End(-(RECORD as i64)))?;
        file.read_exact(&mut last)?;
        let written = usize::try_from(length / RECORD as u64 - 1).unwrap_or(usize::MAX);
        let Some((record, sum)) = decode(&last) else {
            return Ok(false);
        };
        if self.records.get(written - 1) != Some(&record) {
            return Ok(false);
        }
        let bytes = encode_all(&self.records[written..], sum);
        let (first, rest) = fault::parts(&bytes);
        file.write_all(first)?;
        fault::check(Point::IndexHalf)?;
        file.write_all(rest)?;
        Ok(true)
    }

    fn rewrite(&self) -> io::Result<()> {
        if let Some(folder) = self.file.parent() {
            fs::create_dir_all(folder)?;
        }
        let temporary = self.file.with_extension("new");
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&temporary)?;
        file.write_all(HEADER)?;
        file.write_all(&encode_all(&self.records, FIRST))?;
        drop::<File>(file);
        fault::reach(Point::IndexWritten);
        fs::rename(&temporary, &self.file)
    }

    /// The commits about a path, newest first, as positions on the branch.
    pub(super) fn about(&self, path: &str) -> impl Iterator<Item = (usize, Oid)> + '_ {
        let wanted = key(path);
        self.newest_first()
            .filter(move |(position, _)| self.records[*position].key == wanted)
    }

    /// Every commit, newest first, with its position on the branch.
    pub(super) fn newest_first(&self) -> impl Iterator<Item = (usize, Oid)> + '_ {
        self.records
            .iter()
            .enumerate()
            .rev()
            .map(|(position, record)| (position, record.commit))
    }

    /// The one commit of the branch that begins with these digits, by its
    /// position.
    pub(super) fn position(&self, digits: &str) -> Option<usize> {
        let digits = digits.to_ascii_lowercase();
        let wanted = Oid::from_str(&digits).ok()?;
        // The whole bytes can be compared without spelling every commit out.
        let whole = digits.len() / 2;
        let mut found = self
            .records
            .iter()
            .enumerate()
            .filter(|(_, record)| {
                record.commit.as_bytes()[..whole] == wanted.as_bytes()[..whole]
                    && record.commit.to_string().starts_with(&digits)
            })
            .map(|(position, _)| position);
        let first = found.next()?;
        found.next().is_none().then_some(first)
    }
}

/// The commits from a tip backwards to the last that is known, parents before
/// children, and whether that one was met; otherwise they are all there are.
fn since(repo: &Objects, tip: Oid, known: &[Record]) -> Result<(Vec<Record>, bool), SnapshotError> {
    let until = known.last().map(|record| record.commit);
    let (mut found, mut met, mut joined) = (Vec::new(), false, false);
    let mut seen = HashSet::new();
    let mut open: Vec<(Oid, Option<Key>)> = vec![(tip, None)];
    while let Some((commit, key)) = open.pop() {
        if let Some(key) = key {
            found.push(Record { key, commit });
            continue;
        }
        if Some(commit) == until {
            met = true;
            continue;
        }
        if !seen.insert(commit) {
            continue;
        }
        let (about, parents) = read(repo, commit)?;
        joined |= parents.len() > 1;
        open.push((commit, Some(about)));
        open.extend(parents.into_iter().map(|parent| (parent, None)));
    }
    // A history is a line unless a person joined something to it: then another way
    // back can have led past the last known commit to older ones.
    if met && joined {
        let known: HashSet<Oid> = known.iter().map(|record| record.commit).collect();
        found.retain(|record| !known.contains(&record.commit));
    }
    Ok((found, met))
}

/// What a commit is about, and its parents.
fn read(repo: &Objects, id: Oid) -> Result<(Key, Vec<Oid>), SnapshotError> {
    let commit = repo.commit(id)?;
    let path = std::str::from_utf8(commit.message_bytes())
        .ok()
        .and_then(message::parse)
        .map(|message| message.path);
    let about = path.map_or([0; KEY], |path| key(&path));
    Ok((about, commit.parent_ids().collect()))
}

fn key(path: &str) -> Key {
    let mut key = [0; KEY];
    key.copy_from_slice(&Sha256::digest(path.as_bytes())[..KEY]);
    key
}

/// Records as they stand in a file, after one with the check `sum`.
fn encode_all(records: &[Record], mut sum: u32) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(records.len() * RECORD);
    for record in records {
        let start = bytes.len();
        bytes.extend_from_slice(&record.key);
        bytes.extend_from_slice(record.commit.as_bytes());
        sum = check(sum, &bytes[start..]);
        bytes.extend_from_slice(&sum.to_le_bytes());
    }
    bytes
}

/// The records up to the first that is none, or that does not follow on the one
/// before it.
fn decode_all(bytes: &[u8]) -> Vec<Record> {
    let Some(bytes) = bytes.strip_prefix(HEADER) else {
        return Vec::new();
    };
    let mut sum = FIRST;
    let follows = |bytes: &[u8]| {
        let (record, found) = decode(bytes)?;
        sum = check(sum, &bytes[..KEY + OID]);
        (sum == found).then_some(record)
    };
    bytes.chunks(RECORD).map_while(follows).collect()
}

/// A record and its check.
fn decode(bytes: &[u8]) -> Option<(Record, u32)> {
    let (body, sum) = bytes.split_at_checked(KEY + OID)?;
    let (key, commit) = body.split_at(KEY);
    let record = Record {
        key: key.try_into().ok()?,
        commit: Oid::from_bytes(commit).ok()?,
    };
    Some((record, u32::from_le_bytes(sum.try_into().ok()?)))
}

/// What the check of the first record goes on from.
const FIRST: u32 = 0x811c_9dc5;

/// Notices a record that was torn, never reached the disk or stands in another
/// place (FNV-1a, 32 bits, by words, over everything so far); it is no protection
/// against anybody.
fn check(sum: u32, bytes: &[u8]) -> u32 {
    bytes.chunks(4).fold(sum, |sum, word| {
        let mut padded = [0; 4];
        padded[..word.len()].copy_from_slice(word);
        (sum ^ u32::from_le_bytes(padded)).wrapping_mul(0x0100_0193)
    })
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed test should stop here")]

    use super::*;

    fn index(dir: &Path, count: u8) -> Index {
        let mut index = Index::open(dir, "refs/heads/a");
        for number in 0..count {
            let commit = Oid::from_bytes(&[number; OID]).unwrap();
            index.add(if number % 2 == 0 { "/even" } else { "/odd" }, commit);
        }
        index
    }

    #[test]
    fn what_is_saved_is_read_again() {
        let dir = tempfile::tempdir().unwrap();
        let mut index = index(dir.path(), 5);
        index.save().unwrap();
        assert_eq!(
            Index::open(dir.path(), "refs/heads/a").records,
            index.records
        );
        assert_eq!(Index::open(dir.path(), "refs/heads/b").records, []);
        index.add("/even", Oid::from_bytes(&[9; OID]).unwrap());
        index.save().unwrap();
        index.save().unwrap();
        let read = Index::open(dir.path(), "refs/heads/a");
        assert_eq!(read.records, index.records);
        let even: Vec<usize> = read.about("/even").map(|(position, _)| position).collect();
        assert_eq!(even, [5, 4, 2, 0]);
        assert_eq!(read.about("/other").count(), 0);
        assert_eq!(read.position("0909"), Some(5));
        assert_eq!(read.position("0"), None);
        assert_eq!(read.position("0a"), None);
    }

    #[test]
    fn a_damaged_file_is_believed_up_to_the_damage_and_written_anew() {
        let dir = tempfile::tempdir().unwrap();
        let mut index = index(dir.path(), 5);
        index.save().unwrap();
        let good = fs::read(&index.file).unwrap();
        assert_eq!(good.len(), 6 * RECORD);
        let zeros = vec![0; 6 * RECORD];
        for (damaged, left) in [
            (good[..good.len() - 1].to_vec(), 4),
            (good[..3 * RECORD].to_vec(), 2),
            ([&good[..3 * RECORD], &zeros[..2 * RECORD]].concat(), 2),
            (good[..10].to_vec(), 0),
            (zeros, 0),
            (Vec::new(), 0),
        ] {
            fs::write(&index.file, &damaged).unwrap();
            let read = Index::open(dir.path(), "refs/heads/a");
            assert_eq!(read.records, index.records[..left]);
            index.save().unwrap();
            assert_eq!(fs::read(&index.file).unwrap(), good);
        }
        // A flipped bit in the middle leaves the end as it is.
        let mut flipped = good.clone();
        flipped[2 * RECORD + 3] ^= 1;
        fs::write(&index.file, &flipped).unwrap();
        let read = Index::open(dir.path(), "refs/heads/a");
        assert_eq!(read.records, index.records[..1]);
        let mut whole = Index {
            records: index.records.clone(),
            ..read
        };
        whole.save().unwrap();
        assert_eq!(fs::read(&index.file).unwrap(), good);
    }
}
