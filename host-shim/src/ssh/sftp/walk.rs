//! A directory tree.
//!
//! Invariant: no symbolic link below the root is followed, so a walk ends; the
//! result is the same for the same tree, whatever order answers come in. It
//! deliberately does not stop at a directory it may not read: it names it.

use futures::stream::{self, StreamExt};

use super::attrs::{Attrs, FileKind};
use super::error::SftpError;
use super::list::DirEntry;
use super::session::Sftp;
use crate::ssh::error::SshError;

/// Directories read at once. Each holds one handle, of which servers allow few.
const PARALLEL_DIRS: usize = 16;

/// Links read at once.
const PARALLEL_LINKS: usize = 64;

/// What a walk found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Walk {
    /// Level by level, each level in order of paths.
    pub entries: Vec<WalkEntry>,
    /// Whether a limit left something out.
    pub cut: bool,
    /// Directories that could not be read, relative to the root, with the reason.
    pub unreadable: Vec<(String, String)>,
}

/// One name in a walk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WalkEntry {
    /// Relative to the root, without a leading `./`.
    pub path: String,
    /// Whether the last component is not UTF-8 on the server.
    pub lossy: bool,
    /// Attributes of the name itself.
    pub attrs: Attrs,
    /// Target of a symbolic link, as it is written in the link.
    pub target: Option<String>,
}

impl Sftp {
    /// Walks a directory breadth first: `limit` entries at most, directories
    /// down to `max_depth` levels below the root (0: its own entries only).
    ///
    /// # Errors
    /// When the root itself cannot be listed, or the channel is lost.
    pub async fn walk(
        &self,
        root: &str,
        recursive: bool,
        limit: usize,
        max_depth: usize,
    ) -> Result<Walk, SshError> {
        let mut walk = Walk::default();
        let first = self.list_plain(root).await?;
        let mut level = walk.take_level("", first, limit);
        let mut depth = 0;
        while recursive && !level.is_empty() && walk.entries.len() < limit {
            if depth == max_depth {
                walk.cut = true;
                break;
            }
            depth += 1;
            level = self.descend(root, &level, limit, &mut walk).await?;
        }
        if walk.entries.len() >= limit && !level.is_empty() && recursive {
            walk.cut = true;
        }
        self.fill_targets(root, &mut walk.entries).await?;
        Ok(walk)
    }

    /// Reads every directory of one level and returns those of the next.
    async fn descend(
        &self,
        root: &str,
        level: &[String],
        limit: usize,
        walk: &mut Walk,
    ) -> Result<Vec<String>, SftpError> {
        let mut next = Vec::new();
        let mut unread = level.len();
        let mut listings = stream::iter(level.to_vec())
            .map(|directory| async move {
                let listing = self.list_plain(&join(root, &directory)).await;
                (directory, listing)
            })
            .buffered(PARALLEL_DIRS);
        while let Some((directory, listing)) = listings.next().await {
            unread -= 1;
            match listing {
                Ok(entries) => next.extend(walk.take_level(&directory, entries, limit)),
                Err(lost @ SftpError::Lost { .. }) => return Err(lost),
                Err(error) => walk.unreadable.push((directory, short_reason(&error))),
            }
            if walk.entries.len() >= limit {
                walk.cut |= unread > 0;
                break;
            }
        }
        Ok(next)
    }

    async fn fill_targets(&self, root: &str, entries: &mut [WalkEntry]) -> Result<(), SftpError> {
        let links: Vec<(usize, String)> = entries
            .iter()
            .enumerate()
            .filter(|(_, entry)| entry.attrs.kind == FileKind::Symlink && !entry.lossy)
            .map(|(index, entry)| (index, join(root, &entry.path)))
            .collect();
        let mut targets = stream::iter(links)
            .map(|(index, path)| async move { (index, self.readlink(&path).await) })
            .buffered(PARALLEL_LINKS);
        while let Some((index, target)) = targets.next().await {
            match target {
                Ok(target) => entries[index].target = Some(target),
                Err(SshError::Sftp(lost @ SftpError::Lost { .. })) => return Err(lost),
                // Gone or replaced since the listing: the entry stands without it.
                Err(_) => {}
            }
        }
        Ok(())
    }
}

impl Walk {
    /// Adds the entries of one directory and returns the directories in it.
    fn take_level(&mut self, parent: &str, entries: Vec<DirEntry>, limit: usize) -> Vec<String> {
        let room = limit.saturating_sub(self.entries.len());
        if entries.len() > room {
            self.cut = true;
        }
        let mut directories = Vec::new();
        for entry in entries.into_iter().take(room) {
            let path = if parent.is_empty() {
                entry.name
            } else {
                format!("{parent}/{}", entry.name)
            };
            if entry.attrs.kind == FileKind::Directory {
                if entry.lossy {
                    self.unreadable
                        .push((path.clone(), "the name is not UTF-8".to_owned()));
                } else {
                    directories.push(path.clone());
                }
            }
            self.entries.push(WalkEntry {
                path,
                lossy: entry.lossy,
                attrs: entry.attrs,
                target: None,
            });
        }
        directories
    }
}

fn join(root: &str, relative: &str) -> String {
    format!("{}/{relative}", root.trim_end_matches('/'))
}

fn short_reason(error: &SftpError) -> String {
    match error {
        SftpError::NoSuchFile { .. } => "no such directory".to_owned(),
        SftpError::PermissionDenied { .. } => "permission denied".to_owned(),
        SftpError::Failure { message, .. } => message.clone(),
        SftpError::HostileName { name, .. } => format!("it lists the impossible name {name:?}"),
        SftpError::Endless { limit, .. } => format!("it lists more than {limit}"),
        other => other.to_string(),
    }
}
