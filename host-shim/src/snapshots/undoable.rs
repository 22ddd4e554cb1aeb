//! Which files an action or a session changed, and what they were before it.
//!
//! Invariant: a file is listed with the state before its first selected change, and
//! not at all where that state is lost. Nothing is undone here.

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
    /// A state that others made in between, the latest of them: going back before
    /// the first of the changes would take it along.
    pub between: Option<String>,
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
    // Others' states that are older than a change; in between if one is older still.
    let mut others: HashMap<(&str, &str), &str> = HashMap::new();
    for revision in history {
        let file = (revision.server.as_str(), revision.path.as_str());
        if let Some(place) = open.remove(&file) {
            files[place].to.clone_from(&revision.id);
        }
        if !selected(revision) {
            if revision.kind != Kind::Before && places.contains_key(&file) {
                others.entry(file).or_insert(&revision.id);
            }
            continue;
        }
        let place = *places.entry(file).or_insert_with(|| {
            files.push(Undoable {
                server: revision.server.clone(),
                path: revision.path.clone(),
                to: String::new(),
                left: revision.id.clone(),
                changes: 0,
                between: None,
            });
            files.len() - 1
        });
        if let Some(other) = others.remove(&file) {
            files[place].between.get_or_insert_with(|| other.to_owned());
        }
        files[place].changes += 1;
        open.insert(file, place);
    }
    // A change without a state before it has lost it; there is nothing to go back to.
    files.retain(|file| !file.to.is_empty());
    files
}

#[cfg(test)]
mod tests {
    use super::*;

    fn revision(id: &str, path: &str, kind: Kind, action: &str, session: &str) -> Revision {
        Revision {
            action: action.to_owned(),
            session: Some(session.to_owned()),
            ..Revision::sample(id, path, kind)
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
                .map(|file| (file.path, file.to, file.left, file.changes, file.between))
                .collect::<Vec<_>>()
        };
        let over = |path: &str, to: &str, left: &str, changes, between: Option<&str>| {
            let between = between.map(str::to_owned);
            let (path, to, left) = (path.to_owned(), to.to_owned(), left.to_owned());
            (path, to, left, changes, between)
        };
        let file = |path, to, left, changes| over(path, to, left, changes, None);
        let action = |id: &str| told(Selection::Action(id.to_owned()));
        assert_eq!(action("3"), [file("/x", "5", "6", 1)]);
        assert_eq!(action("2"), [file("/x", "1", "4", 1)]);
        assert_eq!(action("9"), []);
        assert_eq!(
            told(Selection::Session("s".to_owned())),
            // What somebody else made of it between the two would go as well.
            [file("/y", "7", "8", 1), over("/x", "1", "6", 2, Some("5"))]
        );
    }
}
