//! Kept questions and their answers, in a folder of their own under a key of their own.
//!
//! Invariant: time is moved by the age of what is kept, never by waiting. Who asks and
//! what is asked about is not checked here.

use std::os::unix::fs::PermissionsExt;

use super::super::LIFE_MS;
use super::*;
use crate::approvals::shown::tests::command;
use crate::registry::{KeyEnv, MasterKey, create_key_file};

struct Rig {
    dir: tempfile::TempDir,
    store: PendingStore,
    key: MasterKey,
}

fn key(dir: &std::path::Path, name: &str) -> MasterKey {
    let path = dir.join(name);
    create_key_file(&path).expect("a new file");
    let env = KeyEnv {
        key_file: Some(path),
        ..KeyEnv::default()
    };
    MasterKey::resolve(&Paths::new(dir.join("config"), dir.join("data")), &env)
        .expect("the file holds a key")
}

fn rig() -> Rig {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let paths = Paths::new(dir.path().join("config"), dir.path().join("data"));
    Rig {
        store: PendingStore::new(&paths),
        key: key(dir.path(), "key"),
        dir,
    }
}

impl Rig {
    fn keep(&self, question: &Question) -> String {
        self.store
            .keep(&self.key, question, Origin::default())
            .expect("it is kept");
        name(question)
    }

    fn take(&self, question: &Question) -> Taken {
        self.store
            .take(&self.key, question)
            .expect("it can be read")
    }

    /// Takes the grant of a question that has one.
    #[track_caller]
    fn granted(&self, question: &Question) -> Box<PendingAsk> {
        match self.take(question) {
            Taken::Granted { presence, ask } => {
                assert!(!presence);
                ask
            }
            other => unreachable!("{other:?}"),
        }
    }

    fn give_back(&self, ask: &PendingAsk) {
        self.store.give_back(&self.key, ask).expect("it is written");
    }

    fn answer(&self, id: &str, decision: Decision) -> Result<(), PendingError> {
        self.store.answer(&self.key, id, decision)
    }

    /// Makes everything about a question older.
    fn age(&self, id: &str, by_ms: u64) {
        let mut ask = self.store.read(&self.key, id).expect("it is kept");
        ask.asked_ms -= by_ms;
        match &mut ask.state {
            PendingState::Waiting => {}
            PendingState::Granted { at_ms, .. } | PendingState::Rejected { at_ms, .. } => {
                *at_ms -= by_ms;
            }
        }
        self.store.write(&self.key, &ask).expect("it is written");
    }
}

const GRANT: Decision = Decision::Grant { presence: false };

#[test]
fn a_grant_is_used_once() {
    let rig = rig();
    let question = command("touch /x");
    assert_eq!(rig.take(&question), Taken::Nothing);
    let id = rig.keep(&question);
    assert_eq!(rig.take(&question), Taken::Nothing, "nobody has answered");
    rig.answer(&id, GRANT).expect("it waits");
    assert!(matches!(
        rig.answer(&id, Decision::Reject(None)),
        Err(PendingError::Answered(_))
    ));
    rig.granted(&question);
    assert_eq!(rig.take(&question), Taken::Nothing);
    assert_eq!(rig.store.list(&rig.key).expect("a list"), []);
}

#[test]
fn a_grant_that_is_given_back_is_the_same_grant() {
    let rig = rig();
    let question = command("touch /x");
    let id = rig.keep(&question);
    rig.answer(&id, GRANT).expect("it waits");
    rig.age(&id, LIFE_MS / 2);
    let grant = rig.granted(&question);
    assert_eq!(rig.take(&question), Taken::Nothing, "somebody has it");
    rig.give_back(&grant);
    assert_eq!(rig.granted(&question), grant, "as old as it was");
    // Asked again meanwhile: one grant, however it came.
    rig.keep(&question);
    rig.give_back(&grant);
    rig.granted(&question);
    assert_eq!(rig.take(&question), Taken::Nothing);
    // Answered again meanwhile: the later answer.
    rig.keep(&question);
    rig.answer(&id, Decision::Reject(None)).expect("it waits");
    rig.give_back(&grant);
    assert_eq!(rig.take(&question), Taken::Rejected(None));
    rig.age(&id, LIFE_MS);
    assert_eq!(rig.take(&question), Taken::Nothing);
    // Too old by now, and what is no grant makes none.
    let mut old = grant.clone();
    old.state = PendingState::Granted {
        at_ms: now_ms() - LIFE_MS,
        presence: false,
    };
    rig.give_back(&old);
    old.state = PendingState::Waiting;
    rig.give_back(&old);
    assert_eq!(rig.take(&question), Taken::Nothing);
}

#[test]
fn of_many_that_take_and_give_back_one_has_it() {
    use std::sync::atomic::{AtomicUsize, Ordering};

    let rig = rig();
    let question = command("touch /x");
    let id = rig.keep(&question);
    rig.answer(&id, GRANT).expect("it waits");
    let (holders, taken) = (AtomicUsize::new(0), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                // As another process has it: a store and a lock of its own.
                let store = PendingStore::new(&rig.store.paths);
                for _ in 0..25 {
                    let found = store.take(&rig.key, &question).expect("it can be read");
                    let Taken::Granted { ask, .. } = found else {
                        continue;
                    };
                    assert_eq!(holders.fetch_add(1, Ordering::SeqCst), 0);
                    taken.fetch_add(1, Ordering::SeqCst);
                    assert_eq!(holders.fetch_sub(1, Ordering::SeqCst), 1);
                    store.give_back(&rig.key, &ask).expect("it is written");
                }
            });
        }
    });
    assert!(taken.load(Ordering::SeqCst) > 0);
    rig.granted(&question);
    assert_eq!(rig.take(&question), Taken::Nothing);
}

#[test]
fn a_rejection_stays_and_asking_again_does_not_remove_it() {
    let rig = rig();
    let question = command("touch /x");
    let id = rig.keep(&question);
    rig.answer(&id, Decision::Reject(Some("no".to_owned())))
        .expect("it waits");
    rig.keep(&question);
    for _ in 0..2 {
        assert_eq!(rig.take(&question), Taken::Rejected(Some("no".to_owned())));
    }
}

#[test]
fn what_was_left_half_written_goes_at_the_next_use() {
    let rig = rig();
    let id = rig.keep(&command("touch /x"));
    let half = rig
        .store
        .paths
        .pending_dir()
        .join(format!(".{id}{UNFINISHED}"));
    std::fs::write(&half, "half").expect("the directory is there");
    assert_eq!(rig.store.list(&rig.key).expect("a list").len(), 1);
    assert!(!half.exists());
}

#[test]
fn another_question_has_another_name() {
    let question = command("touch /x");
    let mut others = vec![command("touch /y")];
    let changes: [fn(&mut Question); 6] = [
        |other| other.digest = "1".repeat(64),
        |other| other.place.labels.push("prod".to_owned()),
        |other| other.place.host = "elsewhere".to_owned(),
        |other| other.tool = "undo".to_owned(),
        |other| other.presence = true,
        |other| other.reason = "another".to_owned(),
    ];
    for change in changes {
        let mut other = question.clone();
        change(&mut other);
        others.push(other);
    }
    let rig = rig();
    let id = rig.keep(&question);
    rig.answer(&id, GRANT).expect("it waits");
    for other in &others {
        assert_eq!(rig.take(other), Taken::Nothing, "{other:?}");
    }
    rig.granted(&question);
}

#[test]
fn everything_expires() {
    for answered in [None, Some(GRANT), Some(Decision::Reject(None))] {
        let rig = rig();
        let question = command("touch /x");
        let id = rig.keep(&question);
        if let Some(decision) = answered {
            rig.answer(&id, decision).expect("it waits");
        }
        rig.age(&id, LIFE_MS);
        assert_eq!(rig.take(&question), Taken::Nothing);
        assert!(matches!(
            rig.answer(&id, GRANT),
            Err(PendingError::Unknown(_))
        ));
        assert!(!rig.store.file(&id).exists());
    }
    let rig = rig();
    let id = rig.keep(&command("x"));
    rig.answer(&id, GRANT).expect("it waits");
    let mut ask = rig.store.read(&rig.key, &id).expect("it is kept");
    ask.state = PendingState::Granted {
        at_ms: now_ms() + LIFE_MS,
        presence: false,
    };
    rig.store.write(&rig.key, &ask).expect("it is written");
    assert_eq!(rig.take(&command("x")), Taken::Nothing, "a time to come");
}

#[test]
fn only_the_key_makes_an_answer() {
    let rig = rig();
    let (first, second) = (command("a"), command("b"));
    let id = rig.keep(&first);
    rig.answer(&id, GRANT).expect("it waits");
    let sealed = std::fs::read(rig.store.file(&id)).expect("it is there");

    // Under another name, damaged, under another key: nothing.
    std::fs::write(rig.store.file(&name(&second)), &sealed).expect("a file");
    assert_eq!(rig.take(&second), Taken::Nothing);
    let mut damaged = sealed.clone();
    *damaged.last_mut().expect("bytes") ^= 1;
    std::fs::write(rig.store.file(&id), damaged).expect("a file");
    assert_eq!(rig.take(&first), Taken::Nothing);
    std::fs::write(rig.store.file(&id), &sealed).expect("a file");
    let other = key(rig.dir.path(), "other");
    assert_eq!(
        rig.store.take(&other, &first).expect("it can be read"),
        Taken::Nothing
    );
    let plain = serde_json::json!({"id": id}).to_string();
    std::fs::write(rig.store.file(&id), plain).expect("a file");
    assert_eq!(rig.take(&first), Taken::Nothing);

    let mode = |path: PathBuf| {
        std::fs::metadata(path)
            .expect("it is there")
            .permissions()
            .mode()
            & 0o777
    };
    let id = rig.keep(&command("c"));
    assert_eq!(mode(rig.store.file(&id)), 0o600);
    assert_eq!(mode(rig.store.paths.pending_dir()), 0o700);
    let stored = std::fs::read(rig.store.file(&id)).expect("it is there");
    let needle = b"web-1";
    assert!(!stored.windows(needle.len()).any(|piece| piece == needle));
}

#[test]
fn a_flood_is_refused_and_names_are_found_by_their_beginning() {
    let rig = rig();
    let ids: Vec<String> = (0..KEPT_MAX)
        .map(|number| rig.keep(&command(&format!("touch /{number}"))))
        .collect();
    let one_more = rig
        .store
        .keep(&rig.key, &command("touch /more"), Origin::default());
    assert!(matches!(one_more, Err(PendingError::Full)));
    // One that is kept already may be asked again.
    rig.keep(&command("touch /0"));

    let find = |id: &str| rig.store.find(&rig.key, id);
    assert_eq!(find(&ids[3][..16]).expect("it is there").id, ids[3]);
    for id in ["", &ids[3][..NAME_MIN - 1], "zzzzzzzz"] {
        assert!(matches!(find(id), Err(PendingError::Unknown(_))), "{id}");
    }
    let mut twins = vec![rig.store.read(&rig.key, &ids[0]).expect("kept"); 2];
    twins[1].id.push('0');
    assert!(matches!(
        pick(twins, &ids[0][..8]),
        Err(PendingError::Ambiguous(_))
    ));
}
