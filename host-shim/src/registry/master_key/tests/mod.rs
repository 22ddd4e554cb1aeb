//! Which source gives the key, and what happens where it does not.
//!
//! Invariant of the fixture: the keychain is a value of the test, so no test
//! reaches the one of this machine; what it answers decides what must be refused.

#![expect(clippy::unwrap_used, reason = "a failed test should stop here")]

mod rotation;
mod session;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use secrecy::SecretString;
use tempfile::TempDir;
use zeroize::Zeroizing;

use super::keychain::{FIRST_ENTRY, Keychain};
use super::{Kdf, KeyEnv, KeyError, MasterKey, MasterKeySource, Origin, create_key_file, file};
use crate::registry::private_fs::FileError;
use crate::registry::seal::{self, SealError};
use crate::registry::{Paths, Registry, RegistryError};

type Key = Zeroizing<[u8; 32]>;

/// A keychain whose answer the test chooses.
#[derive(Default)]
struct Fake {
    held: RefCell<Option<Key>>,
    named: RefCell<BTreeMap<String, Key>>,
    locked: bool,
    forgets: bool,
}

impl Keychain for Fake {
    fn read(&self, account: &str) -> Result<Option<Key>, KeyError> {
        if self.locked {
            return Err(KeyError::Locked {
                reason: "test".into(),
            });
        }
        Ok(match account {
            FIRST_ENTRY => self.held.borrow().clone(),
            named => self.named.borrow().get(named).cloned(),
        })
    }

    fn write(&self, account: &str, key: &Key) -> Result<(), KeyError> {
        if self.forgets {
            return Ok(());
        }
        match account {
            FIRST_ENTRY => *self.held.borrow_mut() = Some(key.clone()),
            named => {
                self.named
                    .borrow_mut()
                    .insert(named.to_owned(), key.clone());
            }
        }
        Ok(())
    }
}

fn scratch() -> (TempDir, Paths) {
    let dir = tempfile::tempdir().unwrap();
    let paths = Paths::new(dir.path().join("config"), dir.path().join("data"));
    (dir, paths)
}

fn with_file(path: &Path) -> KeyEnv<'static> {
    KeyEnv {
        key_file: Some(path.to_owned()),
        ..KeyEnv::default()
    }
}

fn with_passphrase(path: &Path) -> KeyEnv<'static> {
    KeyEnv {
        passphrase_file: Some(path.to_owned()),
        ..KeyEnv::default()
    }
}

fn private(path: PathBuf, content: &str) -> PathBuf {
    fs::write(&path, content).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    path
}

#[test]
fn a_key_file_is_made_once_and_private() {
    let (dir, paths) = scratch();
    let path = dir.path().join("key");
    create_key_file(&path).unwrap();
    assert_eq!(
        fs::metadata(&path).unwrap().permissions().mode() & 0o7777,
        0o600
    );
    let key = MasterKey::resolve(&paths, &with_file(&path)).unwrap();
    let again = create_key_file(&path);
    assert!(matches!(
        again,
        Err(KeyError::File {
            source: FileError::Exists { .. },
            ..
        })
    ));
    assert_eq!(
        MasterKey::resolve(&paths, &with_file(&path)).unwrap().id(),
        key.id()
    );
}

#[test]
fn a_key_file_others_can_read_is_refused_not_repaired() {
    let (dir, paths) = scratch();
    let path = dir.path().join("key");
    create_key_file(&path).unwrap();
    for mode in [0o640, 0o604, 0o666] {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        let refused = MasterKey::resolve(&paths, &with_file(&path)).unwrap_err();
        assert!(
            matches!(&refused, KeyError::File { source: FileError::Permissive { mode: found, .. }, .. } if *found == mode),
            "{refused}"
        );
        assert!(refused.next().contains("chmod 600"));
    }
    fs::set_permissions(&path, fs::Permissions::from_mode(0o400)).unwrap();
    assert!(MasterKey::resolve(&paths, &with_file(&path)).is_ok());
}

#[test]
fn a_key_file_that_holds_no_key_is_refused() {
    let (dir, paths) = scratch();
    let good = file::encode(&seal::random::<32>().unwrap());
    let short = "AAAA";
    let table = [
        "",
        "\n",
        short,
        &good[..43],
        &format!("{}\n\n", *good),
        &format!(" {}", *good),
        "!",
    ];
    for (index, content) in table.iter().enumerate() {
        let path = private(dir.path().join(format!("key{index}")), content);
        let refused = MasterKey::resolve(&paths, &with_file(&path));
        assert!(
            matches!(refused, Err(KeyError::NotAKey { .. })),
            "{content:?}"
        );
    }
    for content in [
        good.to_string(),
        format!("{}\n", *good),
        format!("{}\r\n", *good),
    ] {
        let path = private(dir.path().join("good"), &content);
        assert!(
            MasterKey::resolve(&paths, &with_file(&path)).is_ok(),
            "{content:?}"
        );
    }
    let absent = MasterKey::resolve(&paths, &with_file(&dir.path().join("absent")));
    assert!(matches!(
        absent,
        Err(KeyError::File {
            source: FileError::Io { .. },
            ..
        })
    ));
    let relative = MasterKey::resolve(&paths, &with_file(Path::new("key")));
    assert!(matches!(relative, Err(KeyError::NotAbsolute { .. })));
}

#[test]
fn a_register_made_with_a_file_asks_for_the_file() {
    let (dir, paths) = scratch();
    let path = dir.path().join("key");
    create_key_file(&path).unwrap();
    let key = MasterKey::resolve(&paths, &with_file(&path)).unwrap();
    Registry::init(&paths, &key).unwrap();
    // The keychain has a key and is not asked: another source is never tried.
    let keychain = Fake {
        held: RefCell::new(Some(seal::random().unwrap())),
        ..Fake::default()
    };
    let unnamed = MasterKey::resolve_with(&paths, &KeyEnv::default(), &keychain);
    assert!(matches!(unnamed, Err(KeyError::FileNotNamed)));
    let other = dir.path().join("other");
    create_key_file(&other).unwrap();
    let wrong = MasterKey::resolve(&paths, &with_file(&other)).unwrap_err();
    assert!(
        matches!(&wrong, KeyError::WrongKey { expected, .. } if expected == key.id()),
        "{wrong}"
    );
}

#[test]
fn a_passphrase_makes_the_same_key_again() {
    let (dir, paths) = scratch();
    let passphrase = SecretString::from("correct horse");
    let kdf = Kdf::cheap().unwrap();
    let key = MasterKey::new(&kdf.derive(&passphrase).unwrap(), Origin::Passphrase(kdf));
    Registry::init(&paths, &key).unwrap();

    let right = private(dir.path().join("right"), "correct horse\n");
    assert_eq!(
        MasterKey::resolve(&paths, &with_passphrase(&right))
            .unwrap()
            .id(),
        key.id()
    );
    let wrong = private(dir.path().join("wrong"), "correct h0rse\n");
    let refused = MasterKey::resolve(&paths, &with_passphrase(&wrong));
    assert!(matches!(refused, Err(KeyError::WrongPassphrase)));
    let nobody = MasterKey::resolve(&paths, &KeyEnv::default());
    assert!(matches!(nobody, Err(KeyError::NoPassphrase)));
    let ask = || Ok(SecretString::from("correct horse"));
    let asked = MasterKey::resolve(&paths, &KeyEnv::default().with_prompt(&ask)).unwrap();
    assert_eq!(asked.id(), key.id());
    let hung_up = || Err(std::io::ErrorKind::UnexpectedEof.into());
    let cut = MasterKey::resolve(&paths, &KeyEnv::default().with_prompt(&hung_up));
    assert!(matches!(cut, Err(KeyError::Prompt(_))));

    assert!(key.is_passphrase(&passphrase).unwrap());
    assert!(!key.is_passphrase(&SecretString::from("another")).unwrap());
    let source = MasterKeySource::of(&paths, &KeyEnv::default()).unwrap();
    assert_eq!(source, MasterKeySource::Passphrase);
}

#[test]
fn a_new_passphrase_has_a_fresh_salt_and_some_length() {
    let passphrase = SecretString::from("long enough");
    let one = Kdf::fresh().unwrap();
    assert_ne!(one, Kdf::fresh().unwrap());
    assert_eq!(one.check(), Ok(()));
    let short = MasterKey::from_new_passphrase(&SecretString::from("short"));
    assert!(matches!(
        short,
        Err(KeyError::PassphraseTooShort { least: 8 })
    ));
    // The full cost once, so that the parameters are known to work.
    let key = MasterKey::from_new_passphrase(&passphrase).unwrap();
    assert!(key.header().kdf.is_some());
}

#[test]
fn derivation_matches_the_reference_implementation() {
    // As argon2-cffi, a binding of the reference implementation, gives it:
    // hash_secret_raw(b"password", b"somesaltsomesalt", 2, 8192, 1, 32, Type.ID)
    let kdf: Kdf = serde_json::from_value(serde_json::json!({
        "algorithm": "argon2id", "memory_kib": 8192, "passes": 2, "lanes": 1,
        "salt": "c29tZXNhbHRzb21lc2FsdA==",
    }))
    .unwrap();
    let key = kdf.derive(&SecretString::from("password")).unwrap();
    let hex: String = key.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(
        hex,
        "fd7e44552d83db6b9c2bc9dbd6d88fe0facd11df4654ac21fe8013fd7a05ebc3"
    );
}

#[test]
fn parameters_out_of_bounds_are_refused() {
    let good = serde_json::to_value(Kdf::fresh().unwrap()).unwrap();
    for (field, value) in [
        ("memory_kib", serde_json::json!(1024)),
        ("memory_kib", serde_json::json!(u32::MAX)),
        ("passes", serde_json::json!(0)),
        ("passes", serde_json::json!(1000)),
        ("lanes", serde_json::json!(0)),
        ("salt", serde_json::json!("AAAA")),
        ("salt", serde_json::json!("not base64")),
    ] {
        let mut changed = good.clone();
        changed[field] = value;
        let kdf: Kdf = serde_json::from_value(changed).unwrap();
        assert!(kdf.check().is_err(), "{field}");
        let refused = kdf.derive(&SecretString::from("x"));
        assert!(
            matches!(refused, Err(KeyError::Derivation { .. })),
            "{field}"
        );
    }
}

#[test]
fn a_passphrase_file_is_one_line() {
    let (dir, paths) = scratch();
    for (index, content) in ["", "\n", "one\ntwo\n", "nul\0"].iter().enumerate() {
        let path = private(dir.path().join(index.to_string()), content);
        let refused = MasterKey::resolve(&paths, &with_passphrase(&path));
        assert!(
            matches!(refused, Err(KeyError::NotAPassphrase { .. })),
            "{content:?}"
        );
    }
}

#[test]
fn the_keychain_gets_a_key_only_where_nothing_depends_on_another() {
    let (_dir, paths) = scratch();
    let env = KeyEnv::default();
    let keychain = Fake::default();
    let made = MasterKey::resolve_with(&paths, &env, &keychain).unwrap();
    let found = MasterKey::resolve_with(&paths, &env, &keychain).unwrap();
    assert_eq!(made.id(), found.id());
    Registry::init(&paths, &made).unwrap();

    let emptied = Fake::default();
    let refused = MasterKey::resolve_with(&paths, &env, &emptied).unwrap_err();
    assert!(matches!(&refused, KeyError::NotInKeychain { expected } if expected == made.id()));
    assert!(emptied.held.borrow().is_none(), "no key may be made");

    let other = Fake {
        held: RefCell::new(Some(seal::random().unwrap())),
        ..Fake::default()
    };
    let wrong = MasterKey::resolve_with(&paths, &env, &other);
    assert!(matches!(
        wrong,
        Err(KeyError::WrongKey {
            source_name: "keychain",
            ..
        })
    ));

    // Nor where the register is gone but its backup shows there was one.
    fs::rename(paths.registry_file(), paths.registry_backup()).unwrap();
    let gone = MasterKey::resolve_with(&paths, &env, &emptied);
    assert!(
        matches!(gone, Err(KeyError::Registry(error)) if matches!(*error, RegistryError::Missing { .. }))
    );
    assert!(emptied.held.borrow().is_none());
}

#[test]
fn a_keychain_that_fails_is_not_an_empty_one() {
    let (_dir, paths) = scratch();
    let locked = Fake {
        locked: true,
        ..Fake::default()
    };
    let refused = MasterKey::resolve_with(&paths, &KeyEnv::default(), &locked).unwrap_err();
    assert!(matches!(refused, KeyError::Locked { .. }));
    assert!(refused.next().contains("`openshell key init --file`"));
    let forgets = Fake {
        forgets: true,
        ..Fake::default()
    };
    let lost = MasterKey::resolve_with(&paths, &KeyEnv::default(), &forgets);
    assert!(matches!(lost, Err(KeyError::Keychain { .. })));
}

#[test]
fn blobs_are_bound_to_key_and_place() {
    let key = MasterKey::new(&seal::random().unwrap(), Origin::File);
    let other = MasterKey::new(&seal::random().unwrap(), Origin::File);
    let sealed = key.seal(b"web:/etc/shadow", b"root:x").unwrap();
    assert!(MasterKey::is_sealed(&sealed));
    assert_eq!(
        key.open(b"web:/etc/shadow", &sealed).unwrap().as_slice(),
        b"root:x"
    );
    assert_eq!(
        key.open(b"db:/etc/shadow", &sealed),
        Err(SealError::NotAuthentic)
    );
    assert_eq!(
        other.open(b"web:/etc/shadow", &sealed),
        Err(SealError::NotAuthentic)
    );
    assert_eq!(key.open(b"", b"plain"), Err(SealError::NotSealed));
}
