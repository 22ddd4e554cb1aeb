//! A change of a file, decided in every detail: what is there, what it becomes,
//! what the person is told of it.
//!
//! Invariant: it looks at nothing and does nothing; everything in it was read
//! before, and what is carried out is what stands here.

use super::digest::sha256;
use crate::approvals::{Change, describe_change};
use crate::ssh::{Account, Attrs, FileAccess, WriteKind};

/// A file as it is on the server.
#[derive(Debug, Clone)]
pub(super) struct Present {
    pub(super) content: Vec<u8>,
    pub(super) attrs: Attrs,
}

/// A change as it was asked for.
pub(super) struct Proposal {
    /// The name the caller gave.
    pub(super) requested: String,
    /// Where it leads, with every symbolic link followed.
    pub(super) path: String,
    /// What is there now.
    pub(super) before: Option<Present>,
    /// What it becomes; none removes the file.
    pub(super) after: Option<After>,
    /// The revision an undo brings back.
    pub(super) restores: Option<String>,
    /// Whether all of it happens as root.
    pub(super) as_root: bool,
}

/// A change that was compared with what is there.
pub(super) struct WritePlan {
    /// Where it goes, with every symbolic link followed.
    pub(super) path: String,
    /// What is there now.
    pub(super) before: Option<Present>,
    /// What it becomes; none removes the file.
    pub(super) after: Option<After>,
    /// For the person, and for the result.
    pub(super) change: Change,
    /// Whether the policy calls the content secret.
    pub(super) secret: bool,
    /// Which owner the file cannot be given, where that is so.
    pub(super) owner_note: Option<String>,
    /// Whether it is made as root.
    pub(super) as_root: bool,
    /// The revision an undo brings back.
    pub(super) restores: Option<String>,
    /// How it will be written, as the person was told.
    pub(super) kind: WriteKind,
    /// What a file that replaces the other is called until it is complete.
    pub(super) temporary: String,
    /// Name of the directory the content waits in, where root puts it in place.
    pub(super) staging: Option<String>,
    pub(super) before_sha256: Option<String>,
    pub(super) after_sha256: Option<String>,
}

/// The content and mode a file gets.
#[derive(Debug, Clone)]
pub(super) struct After {
    pub(super) content: Vec<u8>,
    pub(super) mode: u32,
    /// Owner and group to give it; none keeps those of the file before.
    pub(super) ids: Option<(u32, u32)>,
}

impl WritePlan {
    pub(super) fn new(name: &str, proposal: Proposal, secret: bool) -> Self {
        let Proposal {
            path,
            before,
            after,
            restores,
            as_root,
            ..
        } = proposal;
        let change = describe_change(
            name,
            before
                .as_ref()
                .map(|present| (present.content.as_slice(), present.attrs.mode)),
            after
                .as_ref()
                .map(|after| (after.content.as_slice(), after.mode)),
        );
        Self {
            before_sha256: before.as_ref().map(|present| sha256(&present.content)),
            after_sha256: after.as_ref().map(|after| sha256(&after.content)),
            path,
            before,
            after,
            change,
            secret,
            owner_note: None,
            as_root,
            restores,
            kind: WriteKind::Atomic,
            temporary: String::new(),
            staging: None,
        }
    }

    /// Owner and group the file shall have.
    pub(super) fn ids(&self) -> Option<(u32, u32)> {
        self.after.as_ref()?.ids.or_else(|| self.ids_before())
    }

    /// Mode and owner the file has.
    pub(super) fn access_before(&self) -> Option<FileAccess> {
        let before = self.before.as_ref()?;
        Some(FileAccess::from(&before.attrs))
    }

    /// Owner and group the file has.
    pub(super) fn ids_before(&self) -> Option<(u32, u32)> {
        self.before
            .as_ref()
            .map(|present| (present.attrs.uid, present.attrs.gid))
    }

    /// Settles whom the file will belong to, where an undo asks for an owner: only
    /// root can give a file away, and others can choose among their groups for a
    /// file of their own. What cannot be done is said and left out.
    pub(super) fn settle_owner(&mut self, account: &Account) {
        let before = self.ids_before();
        let Some(after) = &mut self.after else {
            return;
        };
        let Some(wanted) = after.ids else {
            return;
        };
        let own = |uid: u32| account.uid == uid;
        let member = |gid: u32| account.gid == gid || account.groups.contains(&gid);
        let possible = match before {
            _ if own(0) => wanted,
            // Rewritten where it is.
            Some((uid, gid)) if !own(uid) || !member(gid) => (uid, gid),
            _ if member(wanted.1) => (account.uid, wanted.1),
            Some((_, gid)) => (account.uid, gid),
            None => (account.uid, account.gid),
        };
        after.ids = Some(possible);
        let told = |(uid, gid): (u32, u32)| format!("{uid}:{gid}");
        if possible != wanted {
            self.owner_note = Some(format!(
                "The owner was {} and is {} now: this login cannot give a file away.",
                told(wanted),
                told(possible)
            ));
        }
        if let Some(before) = before.filter(|before| *before != possible) {
            let owner = format!("; owner {} becomes {}", told(before), told(possible));
            self.change.summary.push_str(&owner);
        }
        if possible != wanted {
            let owner = format!("; its owner {} cannot be brought back", told(wanted));
            self.change.summary.push_str(&owner);
        }
    }

    /// Whether the file is already as it should become.
    pub(super) fn is_unchanged(&self) -> bool {
        match (&self.before, &self.after) {
            (Some(before), Some(after)) => {
                self.before_sha256 == self.after_sha256
                    && before.attrs.mode == after.mode
                    && after
                        .ids
                        .is_none_or(|ids| ids == (before.attrs.uid, before.attrs.gid))
            }
            (None, None) => true,
            _ => false,
        }
    }
}
