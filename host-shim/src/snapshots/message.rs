//! Commit messages: a subject for people, trailers for everything else.
//!
//! ```text
//! prod-a: edit /etc/nginx/nginx.conf
//!
//! Kind: after
//! Server: prod-a
//! Path: /etc/nginx/nginx.conf
//! Action: 01JD…
//! Mode: 0644
//! ```
//!
//! The trailers follow git-interpret-trailers. Values are percent-encoded where
//! they would not fit on a line. For sealed content neither size nor hash is
//! written: a hash of a short secret can be tried out.
//!
//! Invariant: what is composed is read back as it was given. Contents are not
//! looked at.

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
    pub(super) session: Option<String>,
    pub(super) door: Option<String>,
    pub(super) approved: Option<String>,
    /// The revision an undo brought back.
    pub(super) restores: Option<String>,
    /// None for a file that is absent.
    pub(super) metadata: Option<Metadata>,
    /// Size in bytes and SHA-256 in hex; none for absent or sealed content.
    pub(super) content: Option<(u64, String)>,
    pub(super) sealed: bool,
}

/// What happened, as somebody would write it by hand. `prior` is what was kept
/// of the file before.
fn subject(change: &Change<'_>, kind: Kind, prior: Option<&Message>) -> String {
    let path = names::line(change.path);
    let server = names::line(change.server);
    let was = prior.and_then(|prior| prior.metadata.as_ref());
    let what = match (kind, &change.state, was) {
        (Kind::Before, FileState::Present { .. }, _) => format!("record {path} as found"),
        (Kind::Before, FileState::Absent, _) => format!("record that there is no {path}"),
        (Kind::Drift, FileState::Absent, _) => format!("find {path} removed by somebody else"),
        (Kind::Drift, _, None) => format!("find {path} created by somebody else"),
        (Kind::Drift, _, Some(_)) => format!("find {path} changed by somebody else"),
        (Kind::After, FileState::Absent, _) => format!("remove {path}"),
        (Kind::After, _, None) => format!("create {path}"),
        (Kind::After, FileState::Present { content, metadata }, Some(was)) => {
            let kept = prior.and_then(|prior| prior.content.as_ref());
            if was.mode != metadata.mode && kept.is_some_and(|kept| kept.1 == sha256_hex(content)) {
                format!("change the mode of {path} to {:04o}", metadata.mode)
            } else {
                format!("edit {path}")
            }
        }
        (Kind::Undo, FileState::Absent, _) => format!("undo the creation of {path}"),
        (Kind::Undo, FileState::Present { .. }, _) => match change.restores {
            Some(revision) => format!("restore {path} to {}", names::line(revision)),
            None => format!("restore {path}"),
        },
    };
    format!("{server}: {what}")
}

/// Writes the message for a state. `prior` is what was kept of the file before.
pub(super) fn compose(change: &Change<'_>, kind: Kind, prior: Option<&Message>) -> String {
    let path = names::line(change.path);
    let server = names::line(change.server);
    let tool = names::line(change.tool);
    let mut text = subject(change, kind, prior);
    text.push_str("\n\n");
    let mut trailer = |name: &str, value: &str| {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{name}: {value}");
    };
    trailer("Kind", kind.as_str());
    trailer("Server", &server);
    trailer("Path", &path);
    trailer("Tool", &tool);
    trailer("Action", &names::line(change.action));
    for (name, value) in [
        ("Session", change.session),
        ("Door", Some(change.door).filter(|door| !door.is_empty())),
        ("Approved", change.approved),
        ("Restores", change.restores),
    ] {
        if let Some(value) = value {
            trailer(name, &names::line(value));
        }
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
    // The last paragraph: a person may have put words above it.
    let trailers: Vec<(&str, &str)> = text
        .trim_end_matches('\n')
        .rsplit_once("\n\n")?
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
        session: word("Session"),
        door: word("Door"),
        approved: word("Approved"),
        restores: word("Restores"),
        metadata,
        content,
        sealed: get("Sealed") == Some("yes"),
    })
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use super::{Kind, Message, compose, parse};
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
            door: "cli",
            approved: Some("person"),
            secret,
            run_as: None,
            undo: false,
            restores: None,
        }
    }

    #[test]
    fn a_message_says_what_it_was_given() {
        let path = "/etc/a\nKind: undo\n\nMode: 0777 %";
        let text = compose(&change(path, false), Kind::Before, None);
        let message = parse(&text).expect("our own message");
        assert_eq!((message.kind, message.path.as_str()), (Kind::Before, path));
        let metadata = message.metadata.expect("a file that is present");
        assert_eq!(
            (metadata.mode, metadata.owner.as_deref()),
            (0o4755, Some("daemon"))
        );
        assert_eq!(message.content.map(|content| content.0), Some(3));
        assert_eq!(
            (message.door.as_deref(), message.approved.as_deref()),
            (Some("cli"), Some("person"))
        );
    }

    #[test]
    fn subjects_read_as_a_person_would_write_them() {
        let present = change("/etc/x", false);
        let absent = Change {
            state: FileState::Absent,
            ..change("/etc/x", false)
        };
        let restored = Change {
            restores: Some("1a2b3c4d5e6f"),
            ..change("/etc/x", false)
        };
        let known = |change: &Change<'_>| {
            parse(&compose(change, Kind::After, None)).expect("our own message")
        };
        let same = known(&present);
        let other_mode = Message {
            metadata: Some(Metadata::default()),
            ..same.clone()
        };
        let other = Message {
            content: Some((1, "00".to_owned())),
            ..same.clone()
        };
        let gone = known(&absent);
        let table = [
            (&present, Kind::Before, None, "record /etc/x as found"),
            (
                &absent,
                Kind::Before,
                None,
                "record that there is no /etc/x",
            ),
            (&present, Kind::After, Some(&gone), "create /etc/x"),
            (&present, Kind::After, Some(&other), "edit /etc/x"),
            (
                &present,
                Kind::After,
                Some(&other_mode),
                "change the mode of /etc/x to 4755",
            ),
            (&absent, Kind::After, Some(&same), "remove /etc/x"),
            (
                &present,
                Kind::Drift,
                Some(&other),
                "find /etc/x changed by somebody else",
            ),
            (
                &present,
                Kind::Drift,
                Some(&gone),
                "find /etc/x created by somebody else",
            ),
            (
                &absent,
                Kind::Drift,
                Some(&same),
                "find /etc/x removed by somebody else",
            ),
            (
                &restored,
                Kind::Undo,
                Some(&other),
                "restore /etc/x to 1a2b3c4d5e6f",
            ),
            (
                &absent,
                Kind::Undo,
                Some(&same),
                "undo the creation of /etc/x",
            ),
        ];
        for (change, kind, prior, expected) in table {
            let text = compose(change, kind, prior);
            assert_eq!(
                text.lines().next(),
                Some(format!("prod-a: {expected}").as_str())
            );
        }
    }

    #[test]
    fn words_of_a_person_above_the_trailers_do_no_harm() {
        let text = compose(&change("/etc/x", false), Kind::After, None);
        let amended = text.replacen("\n\n", "\n\nWhy: the proxy\nPath: /etc/other\n\n", 1);
        assert_eq!(parse(&amended), parse(&text));
    }

    #[test]
    fn a_sealed_state_tells_neither_size_nor_hash() {
        let text = compose(&change("/etc/shadow", true), Kind::After, None);
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
