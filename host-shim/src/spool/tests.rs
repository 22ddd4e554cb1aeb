//! What is kept, what is not, and how it ends.
//!
//! Invariant of the fixture: limits are the test's own, so the clock and the disk
//! of the machine do not matter. Doors and tools are left out.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on stops")]

use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, SystemTime};

use secrecy::SecretString;

use super::{Kept, Rest, Spool, SpoolError, SpoolLimits};
use crate::journal::Redactor;
use crate::registry::Paths;

struct Place {
    _dir: tempfile::TempDir,
    paths: Paths,
    redactor: Redactor,
}

impl Place {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let paths = Paths::new(dir.path().join("config"), dir.path().join("data"));
        paths.ensure(&paths.audit_dir()).unwrap();
        let redactor = Redactor::open(&paths.audit_dir()).unwrap();
        Self {
            _dir: dir,
            paths,
            redactor,
        }
    }

    fn spool(&self) -> Spool {
        Spool::new(self.paths.clone(), self.redactor.clone())
    }

    fn limited(&self, stream: u64, total: u64) -> Spool {
        self.spool().with_limits(SpoolLimits {
            stream,
            total,
            age: Duration::from_secs(60),
        })
    }

    fn keep(&self, spool: &Spool, bytes: &[u8]) -> String {
        let mut keeping = spool.begin().unwrap();
        keeping.push(bytes);
        keeping.finish().unwrap().id
    }

    fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.paths.spool_dir()).unwrap().flatten();
        entries
            .map(|entry| entry.file_name().into_string().unwrap())
            .collect()
    }
}

fn mode(path: &std::path::Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

#[test]
fn what_is_kept_is_read_back_in_pieces_and_is_private() {
    let place = Place::new();
    let spool = place.spool();
    let all: Vec<u8> = (0..2_000_000u32).map(|n| n as u8).collect();
    let mut keeping = spool.begin().unwrap();
    for piece in all.chunks(32_000) {
        keeping.push(piece);
    }
    let kept = keeping.finish().unwrap();
    assert_eq!(kept.bytes, all.len() as u64);
    for (offset, length) in [(0, 10), (255, 512), (1_999_990, 100), (2_000_000, 5)] {
        let piece = spool.read(&kept.id, offset, length).unwrap();
        let end = all.len().min((offset + length) as usize);
        assert_eq!(piece.bytes, all[offset as usize..end]);
        assert_eq!(piece.total, all.len() as u64);
    }
    assert!(
        spool
            .read(&kept.id, u64::MAX / 4, 5)
            .unwrap()
            .bytes
            .is_empty()
    );
    assert_eq!(mode(&place.paths.spool_dir()), 0o700);
    assert_eq!(mode(&place.paths.spool_dir().join(&kept.id)), 0o600);
}

#[test]
fn only_an_id_is_looked_for() {
    let place = Place::new();
    let spool = place.spool();
    let id = place.keep(&spool, b"x");
    let upper = id.to_uppercase();
    for text in [
        "",
        "out-",
        "../audit/redaction.key",
        "out-../../../../../../../../etc/hosts",
        &upper,
        &id[..id.len() - 1],
        &format!("{id}0"),
    ] {
        assert!(
            matches!(spool.read(text, 0, 1), Err(SpoolError::NoId)),
            "{text}"
        );
    }
    let other = format!("out-{}", "0".repeat(32));
    assert!(matches!(
        spool.read(&other, 0, 1),
        Err(SpoolError::Gone { .. })
    ));
}

#[test]
fn a_link_in_its_place_is_not_followed() {
    let place = Place::new();
    let spool = place.spool();
    place.keep(&spool, b"x");
    let id = format!("out-{}", "1".repeat(32));
    let key = place.paths.audit_dir().join("redaction.key");
    std::os::unix::fs::symlink(key, place.paths.spool_dir().join(&id)).unwrap();
    assert!(matches!(
        spool.read(&id, 0, 1),
        Err(SpoolError::Unusable { .. })
    ));
}

#[test]
fn what_is_old_is_gone() {
    let place = Place::new();
    let spool = place.limited(1000, 10_000);
    let (read, swept) = (place.keep(&spool, b"read"), place.keep(&spool, b"swept"));
    for id in [&read, &swept] {
        let file = std::fs::File::options()
            .write(true)
            .open(place.paths.spool_dir().join(id))
            .unwrap();
        let long_ago = SystemTime::now() - Duration::from_secs(61);
        file.set_modified(long_ago).unwrap();
    }
    assert!(matches!(
        spool.read(&read, 0, 1),
        Err(SpoolError::Gone { .. })
    ));
    assert_eq!(place.names(), [swept]);
    let new = place.keep(&spool, b"new");
    assert_eq!(place.names(), [new]);
}

#[test]
fn size_is_bounded_by_stream_and_in_all() {
    let place = Place::new();
    let spool = place.limited(1000, 3500);
    let mut ids = Vec::new();
    for round in 0..10u64 {
        let id = place.keep(&spool, &[b'x'; 1500]);
        let at = SystemTime::now() - Duration::from_secs(30 - round);
        let path = place.paths.spool_dir().join(&id);
        let file = std::fs::File::options().write(true).open(path).unwrap();
        file.set_modified(at).unwrap();
        ids.push(id);
        assert!(place.names().len() <= 3);
    }
    assert_eq!(spool.read(&ids[9], 0, 9999).unwrap().bytes.len(), 1000);
    assert!(matches!(
        spool.read(&ids[0], 0, 1),
        Err(SpoolError::Gone { .. })
    ));
    assert!(spool.read(&ids[7], 0, 1).is_ok());
}

#[test]
fn a_secret_in_two_pieces_is_not_written() {
    let place = Place::new();
    let secret = "correct-horse-battery-staple";
    place
        .redactor
        .register(&SecretString::from(secret.to_owned()));
    let spool = place.spool();
    for cut in 1..secret.len() {
        let mut keeping = spool.begin().unwrap();
        let mut first = vec![b'.'; 256 * 1024 - cut];
        first.extend_from_slice(&secret.as_bytes()[..cut]);
        keeping.push(&first);
        keeping.push(&secret.as_bytes()[cut..]);
        keeping.push(b"after");
        let id = keeping.finish().unwrap().id;
        let piece = spool.read(&id, 0, u64::MAX / 4).unwrap();
        let text = String::from_utf8(piece.bytes).unwrap();
        assert!(!text.contains(secret) && text.ends_with("]after"), "{cut}");
    }
}

#[test]
fn an_action_is_told_what_is_still_kept_of_it() {
    let place = Place::new();
    let spool = place.limited(1000, 10_000);
    let kept = |bytes: &[u8]| Kept {
        id: place.keep(&spool, bytes),
        bytes: bytes.len() as u64,
    };
    let rest = Rest {
        stdout: Some(kept(b"printed")),
        stderr: Some(kept(b"said")),
    };
    let action = "01ARZ3NDEKTSV4RRFFQ69G5FAV";
    spool.note(action, &rest).unwrap();
    assert_eq!(spool.noted(action), rest);
    let note = place.paths.spool_dir().join(format!("of-{action}"));
    assert_eq!(mode(&note), 0o600);
    // Nothing is known of another action, and a name is no way to another file.
    for other in ["01ARZ3NDEKTSV4RRFFQ69G5FAW", "../audit/redaction.key", ""] {
        assert_eq!(spool.noted(other), Rest::default(), "{other}");
        assert!(spool.note(other, &Rest::default()).is_ok());
    }
    // A note is no output.
    assert!(matches!(
        spool.read(&format!("of-{action}"), 0, 1),
        Err(SpoolError::NoId)
    ));
    let gone = &rest.stderr.as_ref().unwrap().id;
    std::fs::remove_file(place.paths.spool_dir().join(gone)).unwrap();
    let left = Rest {
        stderr: None,
        ..rest
    };
    assert_eq!(spool.noted(action), left);
    // It goes when it is as old as output may be.
    let file = std::fs::File::options().write(true).open(&note).unwrap();
    let long_ago = SystemTime::now() - Duration::from_secs(61);
    file.set_modified(long_ago).unwrap();
    assert_eq!(spool.noted(action), Rest::default());
    place.keep(&spool, b"new");
    assert!(!note.exists());
}
