//! One file put into, or taken out of, a tree of git objects.
//!
//! A tree holds one state at a time. Where a directory takes the place of a
//! file, or a file that of a directory, the old entry goes; it stays in the
//! history.
//!
//! Invariant: entries beside the path stay as they are. Names come encoded already;
//! nothing is committed here.

use git2::{ObjectType, Oid, Tree};

use super::error::SnapshotError;
use super::objects::Objects;

/// Kinds of entries (gitformat-index).
const FILE: i32 = 0o100_644;
const EXECUTABLE: i32 = 0o100_755;
pub(super) const DIRECTORY: i32 = 0o040_000;

/// The tree with the file at these segments replaced by a blob, or removed.
/// Returns none where nothing is left.
pub(super) fn put(
    repo: &Objects,
    tree: Option<&Tree<'_>>,
    segments: &[String],
    blob: Option<(Oid, u32)>,
) -> Result<Option<Oid>, SnapshotError> {
    let Some((name, below)) = segments.split_first() else {
        return Ok(tree.map(Tree::id));
    };
    let mut builder = repo.git().treebuilder(tree)?;
    if below.is_empty() {
        match blob {
            Some((blob, mode)) => {
                let kind = if mode & 0o111 == 0 { FILE } else { EXECUTABLE };
                builder.insert(name, blob, kind)?;
            }
            // Only a file is removed: where a directory took its place since,
            // the file is gone already.
            None => {
                if builder
                    .get(name)?
                    .is_some_and(|entry| entry.kind() == Some(ObjectType::Blob))
                {
                    builder.remove(name)?;
                }
            }
        }
    } else {
        let child = match builder.get(name)? {
            Some(entry) if entry.kind() == Some(ObjectType::Tree) => Some(repo.tree(entry.id())?),
            // To remove what lies below a file changes nothing.
            Some(_) if blob.is_none() => return Ok(tree.map(Tree::id)),
            _ => None,
        };
        match put(repo, child.as_ref(), below, blob)? {
            Some(child) => {
                builder.insert(name, child, DIRECTORY)?;
            }
            None => {
                if builder.get(name)?.is_some() {
                    builder.remove(name)?;
                }
            }
        }
    }
    if builder.is_empty() {
        return Ok(None);
    }
    Ok(Some(builder.write()?))
}

/// The blob at these segments; none where there is no file.
pub(super) fn get(
    repo: &Objects,
    tree: &Tree<'_>,
    segments: &[String],
) -> Result<Option<Oid>, SnapshotError> {
    let Some((name, below)) = segments.split_first() else {
        return Ok(None);
    };
    let Some(entry) = tree.get_name(name) else {
        return Ok(None);
    };
    match (below.is_empty(), entry.kind()) {
        (true, Some(ObjectType::Blob)) => Ok(Some(entry.id())),
        (false, Some(ObjectType::Tree)) => get(repo, &repo.tree(entry.id())?, below),
        _ => Ok(None),
    }
}
