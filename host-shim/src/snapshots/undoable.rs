//! Which files an action or a session changed, and what they were before it.

use std::collections::HashMap;

use super::error::SnapshotError;
use super::history::Revision;
use super::message::Kind;
use super::store::Snapshots;

/// Whose changes are meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selection {
    /// Those of one action, by its id.
    Action(String),
    /// Those of a client's session.
    Session(String),
}

/// A file that was changed, and between which states.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Undoable {
    /// The name its server's history is kept under.
    pub server: String,
    /// Absolute path, every symbolic link followed.
    pub path: String,
    /// The state before the first of the changes.
    pub to: String,
    /// The state the last of the changes left behind.
    pub left: String,
    /// How many changes there were.
    pub changes: usize,
}

impl Snapshots {
    /// The files a selection changed, the one that was changed last first.
    ///
    /// # Errors
    /// `NothingKept` where there is none; otherwise where the repository cannot be
    /// read.
    pub fn changes_of(&self, selection: &Selection) -> Result<Vec<Undoable>, SnapshotError> {
        let history = self.history(None, None)?;
        let found = select(&history, selection);
        if found.is_empty() {
            return Err(SnapshotError::NothingKept {
                what: match selection {
                    Selection::Action(id) => format!("of action {id}"),
                    Selection::Session(id) => format!("of session {id}"),
                },
            });
        }
        Ok(found)
    }
}

/// `history` is newest first.
fn select(history: &[Revision], selection: &Selection) -> Vec<Undoable> {
    let selected = |revision: &Revision| {
        matches!(revision.kind, Kind::After | Kind::Undo)
            && match selection {
                Selection::Action(id) => revision.action == *id,
                Selection::Session(id) => revision.session.as_ref() == Some(id),
            }
    };
    let mut files: Vec<Undoable> = Vec::new();
    let mut places: HashMap<(&str, &str), usize> = HashMap::new();
    // Files whose next older state is the one to go back to.
    let mut open: HashMap<(&str, &str), usize> = HashMap::new();
    for revision in history {
        let file = (revision.server.as_str(), revision.path.as_str());
        if let Some(place) = open.remove(&file) {
            files[place].to.clone_from(&revision.id);
        }
        if !selected(revision) {
            continue;
        }
        let place = *places.entry(file).or_insert_with(|| {
            files.push(Undoable {
                server: revision.server.clone(),
                path: revision.path.clone(),
                to: String::new(),
                left: revision.id.clone(),
                changes: 0,
            });
            files.len() - 1
        });
        files[place].changes += 1;
        open.insert(file, place);
    }
    // A change without a state before it has lost it; there is nothing to go back to.
    files.retain(|file| !file.to.is_empty());
    files
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    fn revision(id: &str, path: &str, kind: Kind, action: &str, session: &str) -> Revision {
        Revision {
            id: id.to_owned(),
            time: Timestamp::UNIX_EPOCH,
            kind,
            tool: String::new(),
            action: action.to_owned(),
            session: Some(session.to_owned()),
            door: None,
            approved: None,
            restores: None,
            server: "a".to_owned(),
            path: path.to_owned(),
            sha256: None,
            metadata: None,
            size: None,
            run_as: None,
            removed: true,
            sealed: false,
        }
    }

    #[test]
    fn a_selection_goes_back_to_before_its_first_change() {
        let history = [
            revision("8", "/y", Kind::After, "4", "s"),
            revision("7", "/y", Kind::Drift, "4", "s"),
            revision("6", "/x", Kind::After, "3", "s"),
            revision("5", "/x", Kind::Drift, "3", "s"),
            revision("4", "/x", Kind::After, "2", "s"),
            revision("3", "/y", Kind::After, "1", "other"),
            revision("2", "/y", Kind::Before, "1", "other"),
            revision("1", "/x", Kind::Before, "2", "s"),
        ];
        let told = |selection: Selection| {
            select(&history, &selection)
                .into_iter()
                .map(|file| (file.path, file.to, file.left, file.changes))
                .collect::<Vec<_>>()
        };
        let file = |path: &str, to: &str, left: &str, changes| {
            (path.to_owned(), to.to_owned(), left.to_owned(), changes)
        };
        let action = |id: &str| told(Selection::Action(id.to_owned()));
        assert_eq!(action("3"), [file("/x", "5", "6", 1)]);
        assert_eq!(action("2"), [file("/x", "1", "4", 1)]);
        assert_eq!(action("9"), []);
        assert_eq!(
            told(Selection::Session("s".to_owned())),
            [file("/y", "7", "8", 1), file("/x", "1", "6", 2)]
        );
    }
}
