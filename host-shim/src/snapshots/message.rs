//! Commit messages: a subject for people, trailers for everything else.
//!
//! ```text
//! remote_write_file prod-a:/etc/nginx/nginx.conf (before)
//!
//! Kind: before
//! Server: prod-a
//! Path: /etc/nginx/nginx.conf
//! Action: 01JD…
//! Mode: 0644
//! ```
//!
//! The trailers follow git-interpret-trailers. Values are percent-encoded where
//! they would not fit on a line. For sealed content neither size nor hash is
//! written: a hash of a short secret can be tried out.

use std::fmt::Write as _;

use super::names;
use super::state::{Change, FileState, Metadata};
use crate::journal::sha256_hex;

/// What a revision is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The file as it was found before a change.
    Before,
    /// The file as a change left it.
    After,
    /// The file as somebody else left it since it was last seen.
    Drift,
    /// The file as an undo left it.
    Undo,
}

impl Kind {
    /// The word used in the history.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Before => "before",
            Self::After => "after",
            Self::Drift => "drift",
            Self::Undo => "undo",
        }
    }

    fn parse(word: &str) -> Option<Self> {
        [Self::Before, Self::After, Self::Drift, Self::Undo]
            .into_iter()
            .find(|kind| kind.as_str() == word)
    }
}

/// What a message says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Message {
    pub(super) kind: Kind,
    pub(super) server: String,
    pub(super) path: String,
    pub(super) action: String,
    pub(super) tool: String,
    pub(super) run_as: Option<String>,
    /// None for a file that is absent.
    pub(super) metadata: Option<Metadata>,
    /// Size in bytes and SHA-256 in hex; none for absent or sealed content.
    pub(super) content: Option<(u64, String)>,
    pub(super) sealed: bool,
}

/// Writes the message for a state.
pub(super) fn compose(change: &Change<'_>, kind: Kind) -> String {
    let path = names::line(change.path);
    let server = names::line(change.server);
    let tool = names::line(change.tool);
    let what = match kind {
        Kind::Drift => "found changed",
        Kind::Before | Kind::After | Kind::Undo => kind.as_str(),
    };
    let mut text = format!("{tool} {server}:{path} ({what})\n\n");
    let mut trailer = |name: &str, value: &str| {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{name}: {value}");
    };
    trailer("Kind", kind.as_str());
    trailer("Server", &server);
    trailer("Path", &path);
    trailer("Tool", &tool);
    trailer("Action", &names::line(change.action));
    if let Some(session) = change.session {
        trailer("Session", &names::line(session));
    }
    if let Some(account) = change.run_as {
        trailer("As", &names::line(account));
    }
    match &change.state {
        FileState::Absent => trailer("State", "absent"),
        FileState::Present { content, metadata } => {
            trailer("State", "present");
            trailer("Mode", &format!("{:04o}", metadata.mode));
            trailer("Uid", &metadata.uid.to_string());
            trailer("Gid", &metadata.gid.to_string());
            if let Some(owner) = &metadata.owner {
                trailer("Owner", &names::line(owner));
            }
            if let Some(group) = &metadata.group {
                trailer("Group", &names::line(group));
            }
            trailer("Mtime", &metadata.mtime.to_string());
            if change.secret {
                trailer("Sealed", "yes");
            } else {
                trailer("Size", &content.len().to_string());
                trailer("Sha256", &sha256_hex(content));
            }
        }
    }
    text
}

/// Reads a message; none where it is not one of ours.
pub(super) fn parse(text: &str) -> Option<Message> {
    let trailers: Vec<(&str, &str)> = text
        .split_once("\n\n")?
        .1
        .lines()
        .filter_map(|line| line.split_once(": "))
        .collect();
    let get = |name: &str| {
        trailers
            .iter()
            .find(|(found, _)| *found == name)
            .map(|(_, value)| *value)
    };
    let word = |name: &str| get(name).and_then(names::decoded);
    let metadata = match get("State")? {
        "absent" => None,
        "present" => Some(Metadata {
            mode: u32::from_str_radix(get("Mode")?, 8).ok()?,
            uid: get("Uid")?.parse().ok()?,
            gid: get("Gid")?.parse().ok()?,
            mtime: get("Mtime")?.parse().ok()?,
            owner: word("Owner"),
            group: word("Group"),
        }),
        _ => return None,
    };
    let content = match (get("Size"), get("Sha256")) {
        (Some(size), Some(sha256)) => Some((size.parse().ok()?, sha256.to_owned())),
        _ => None,
    };
    Some(Message {
        kind: Kind::parse(get("Kind")?)?,
        server: word("Server")?,
        path: word("Path")?,
        action: word("Action")?,
        tool: word("Tool")?,
        run_as: word("As"),
        metadata,
        content,
        sealed: get("Sealed") == Some("yes"),
    })
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use super::{Kind, compose, parse};
    use crate::snapshots::{Change, FileState, Metadata};

    fn change(path: &str, secret: bool) -> Change<'_> {
        Change {
            server: "prod-a",
            path,
            state: FileState::Present {
                content: Cow::Borrowed(b"abc"),
                metadata: Metadata {
                    mode: 0o4755,
                    uid: 1,
                    gid: 2,
                    mtime: 3,
                    owner: Some("daemon".to_owned()),
                    group: None,
                },
            },
            action: "01J",
            tool: "remote_write_file",
            session: Some("s"),
            secret,
            run_as: None,
            undo: false,
        }
    }

    #[test]
    fn a_message_says_what_it_was_given() {
        let path = "/etc/a\nKind: undo\n\nMode: 0777 %";
        let text = compose(&change(path, false), Kind::Before);
        let message = parse(&text).expect("our own message");
        assert_eq!((message.kind, message.path.as_str()), (Kind::Before, path));
        let metadata = message.metadata.expect("a file that is present");
        assert_eq!(
            (metadata.mode, metadata.owner.as_deref()),
            (0o4755, Some("daemon"))
        );
        assert_eq!(message.content.map(|content| content.0), Some(3));
        assert_eq!(
            compose(&change("/etc/x", false), Kind::Drift)
                .lines()
                .next(),
            Some("remote_write_file prod-a:/etc/x (found changed)")
        );
    }

    #[test]
    fn a_sealed_state_tells_neither_size_nor_hash() {
        let text = compose(&change("/etc/shadow", true), Kind::After);
        assert!(text.contains("Sealed: yes"));
        assert!(!text.contains("Size") && !text.contains("Sha256"));
    }

    #[test]
    fn foreign_messages_are_not_ours() {
        for text in [
            "",
            "fix\n",
            "fix\n\nSigned-off-by: x\n",
            "a\n\nKind: before\nState: present\n",
        ] {
            assert_eq!(parse(text), None, "{text:?}");
        }
    }
}
