//! Rotations, whole and cut off at every step, between all homes of a key.
//!
//! They prove that no step, cut off, leaves a register nobody can open. Loss of
//! power between two writes of one step is not played here.

use std::fs;
use std::path::Path;

use secrecy::{ExposeSecret, SecretString};

use super::{Fake, private, scratch, with_file, with_passphrase};
use crate::registry::master_key::rotation::{Step, bring_back_with, rotate_with};
use crate::registry::master_key::{KeyEnv, KeyError, KeyHome, MasterKey, Origin, create_key_file};
use crate::registry::seal;
use crate::registry::{
    AuthMaterial, NewServer, Paths, Recovery, Registry, RegistryError, ServerId,
};

const PASSWORD: &str = "hunter2 \u{fc}";

fn fill(paths: &Paths, key: &MasterKey) {
    let id = |text: &str| ServerId::new(text).unwrap();
    let mut registry = Registry::open(paths).unwrap();
    let password = AuthMaterial::Password(SecretString::from(PASSWORD));
    let agent = AuthMaterial::Agent { socket: None };
    for (name, auth) in [("web", password), ("db", agent)] {
        let server = NewServer::new(id(name), "h.example", "deploy", auth);
        registry.add(server, key, false).unwrap();
    }
}

/// That the surroundings open the register and everything in it.
fn opens(paths: &Paths, env: &KeyEnv<'_>, keychain: &Fake) -> MasterKey {
    let key = MasterKey::resolve_with(paths, env, keychain).unwrap();
    let registry = Registry::open(paths).unwrap();
    assert!(registry.verify(&key).unwrap().is_empty());
    let web = registry
        .unlock(&ServerId::new("web").unwrap(), &key)
        .unwrap();
    assert!(matches!(web, AuthMaterial::Password(found) if found.expose_secret() == PASSWORD));
    key
}

fn go(paths: &Paths, env: &KeyEnv<'_>, home: &KeyHome, keychain: &Fake) -> MasterKey {
    let rotated = rotate_with(paths, env, home, keychain, &|_| Ok(())).unwrap();
    assert_eq!(rotated.servers, 2);
    rotated.key
}

/// Stops a rotation at a step, as a kill would.
fn cut(paths: &Paths, env: &KeyEnv<'_>, home: &KeyHome, keychain: &Fake, at: Step) {
    let stop = |step| {
        if step == at {
            return Err(KeyError::NoNewPassphrase);
        }
        Ok(())
    };
    let stopped = rotate_with(paths, env, home, keychain, &stop);
    assert!(
        matches!(stopped, Err(KeyError::NoNewPassphrase)),
        "{stopped:?}"
    );
}

fn key_file(path: &Path) -> KeyEnv<'static> {
    create_key_file(path).unwrap();
    with_file(path)
}

#[test]
fn every_home_to_every_home() {
    let (dir, paths) = scratch();
    let keychain = Fake::default();
    let here = |name: &str| dir.path().join(name);
    let file = key_file(&here("one"));
    let none = KeyEnv::default();
    let first = MasterKey::resolve(&paths, &file).unwrap();
    fill(&paths, &first);
    let blob = first.seal(b"web:/etc/shadow", b"root:x").unwrap();

    let passphrase = |text: &str| KeyHome::Passphrase(SecretString::from(text));
    let old = with_passphrase(&private(here("old"), "correct horse\n"));
    let new = with_passphrase(&private(here("new"), "battery staple\n"));
    let two = with_file(&here("two"));
    let way: [(&KeyEnv<'_>, KeyHome, &KeyEnv<'_>); 9] = [
        (&file, KeyHome::Same, &file),
        (&file, KeyHome::File(here("one")), &file),
        (&file, KeyHome::Keychain, &none),
        (&none, KeyHome::Same, &none),
        (&none, passphrase("correct horse"), &old),
        (&old, passphrase("battery staple"), &new),
        (&new, KeyHome::File(here("two")), &two),
        (&two, KeyHome::Keychain, &none),
        (
            &none,
            KeyHome::File(here("three")),
            &with_file(&here("three")),
        ),
    ];
    let mut keys = vec![first];
    for (before, home, after) in way {
        let made = go(&paths, before, &home, &keychain);
        let found = opens(&paths, after, &keychain);
        assert_eq!(made.id(), found.id());
        for former in &keys {
            assert_ne!(former.id(), found.id());
            let registry = Registry::open(&paths).unwrap();
            assert!(matches!(
                registry.verify(former),
                Err(RegistryError::WrongKey { .. })
            ));
        }
        // What was sealed with any former key opens with the latest.
        let registry = Registry::open(&paths).unwrap();
        let retired = registry.retired_keys(&found).unwrap();
        assert_eq!(retired.len(), keys.len());
        let opened = retired
            .iter()
            .find_map(|key| key.open(b"web:/etc/shadow", &blob).ok());
        assert_eq!(opened.unwrap().as_slice(), b"root:x");
        keys.push(found);
        // Nothing sealed with a former key stays in the backup.
        assert_eq!(
            fs::read(paths.registry_file()).unwrap(),
            fs::read(paths.registry_backup()).unwrap()
        );
    }
}

#[test]
fn cut_off_at_any_step_it_opens_and_can_be_finished() {
    for at in [Step::Announced, Step::Kept, Step::Sealed] {
        let (dir, paths) = scratch();
        let keychain = Fake::default();
        let env = key_file(&dir.path().join("key"));
        let first = MasterKey::resolve(&paths, &env).unwrap();
        fill(&paths, &first);
        cut(&paths, &env, &KeyHome::Same, &keychain, at);
        let now = opens(&paths, &env, &keychain);
        assert_eq!(now.id() == first.id(), at != Step::Sealed, "{at:?}");
        let pending = Registry::open(&paths).unwrap().rotation_pending();
        assert_eq!(pending, at != Step::Sealed, "{at:?}");
        // The register can be changed meanwhile.
        let server = NewServer::new(
            ServerId::new("more").unwrap(),
            "h",
            "u",
            AuthMaterial::Agent { socket: None },
        );
        let mut registry = Registry::open(&paths).unwrap();
        registry.add(server, &now, false).unwrap();
        registry.remove(&ServerId::new("more").unwrap()).unwrap();

        let again = rotate_with(&paths, &env, &KeyHome::Same, &keychain, &|_| Ok(())).unwrap();
        assert_eq!(again.resumed, at == Step::Kept, "{at:?}");
        let last = opens(&paths, &env, &keychain);
        assert_ne!(last.id(), first.id());
        assert!(!Registry::open(&paths).unwrap().rotation_pending());
    }
}

/// Cut off twice in a row, at every pair of steps.
#[test]
fn cut_off_again_while_being_finished() {
    let steps = [Step::Announced, Step::Kept, Step::Sealed];
    for (one, two) in steps
        .iter()
        .flat_map(|one| steps.map(|two| (*one, two)))
        // Finishing goes straight to the seal.
        .filter(|(one, two)| *one != Step::Kept || *two == Step::Sealed)
    {
        let (dir, paths) = scratch();
        let keychain = Fake::default();
        let env = key_file(&dir.path().join("key"));
        fill(&paths, &MasterKey::resolve(&paths, &env).unwrap());
        cut(&paths, &env, &KeyHome::Same, &keychain, one);
        cut(&paths, &env, &KeyHome::Same, &keychain, two);
        opens(&paths, &env, &keychain);
        go(&paths, &env, &KeyHome::Same, &keychain);
        opens(&paths, &env, &keychain);
    }
}

#[test]
fn moving_away_leaves_the_old_home_valid_until_the_seal() {
    for at in [Step::Kept, Step::Sealed] {
        let (_dir, paths) = scratch();
        let keychain = Fake::default();
        let none = KeyEnv::default();
        fill(
            &paths,
            &MasterKey::resolve_with(&paths, &none, &keychain).unwrap(),
        );
        cut(&paths, &none, &KeyHome::Same, &keychain, at);
        opens(&paths, &none, &keychain);
        // The first entry may serve a register in another directory.
        assert!(keychain.held.borrow().is_some());
    }
}

#[test]
fn what_cannot_be_proven_is_not_sealed_anew() {
    let (dir, paths) = scratch();
    let keychain = Fake::default();
    let env = key_file(&dir.path().join("key"));
    fill(&paths, &MasterKey::resolve(&paths, &env).unwrap());
    let key = fs::read(dir.path().join("key")).unwrap();
    let text = fs::read_to_string(paths.registry_file()).unwrap();
    let forged = text.replacen("h.example", "evil.example", 1);
    fs::write(paths.registry_file(), &forged).unwrap();
    let refused = rotate_with(&paths, &env, &KeyHome::Same, &keychain, &|_| Ok(())).unwrap_err();
    assert!(
        matches!(&refused, KeyError::Registry(error)
            if matches!(**error, RegistryError::RecordInvalid { .. })),
        "{refused}"
    );
    assert_eq!(fs::read_to_string(paths.registry_file()).unwrap(), forged);
    assert_eq!(fs::read(dir.path().join("key")).unwrap(), key);
}

#[test]
fn nothing_to_rotate_and_nowhere_to_go() {
    let (dir, paths) = scratch();
    let keychain = Fake::default();
    let env = key_file(&dir.path().join("key"));
    let none = rotate_with(&paths, &env, &KeyHome::Same, &keychain, &|_| Ok(()));
    assert!(matches!(none, Err(KeyError::NoRegister { .. })));
    fill(&paths, &MasterKey::resolve(&paths, &env).unwrap());
    let taken = dir.path().join("taken");
    create_key_file(&taken).unwrap();
    let before = fs::read(&taken).unwrap();
    let taken_home = KeyHome::File(taken.clone());
    let refused = rotate_with(&paths, &env, &taken_home, &keychain, &|_| Ok(()));
    assert!(matches!(refused, Err(KeyError::File { .. })), "{refused:?}");
    assert_eq!(fs::read(&taken).unwrap(), before);
    let forgets = Fake {
        forgets: true,
        ..Fake::default()
    };
    let refused = rotate_with(&paths, &env, &KeyHome::Keychain, &forgets, &|_| Ok(()));
    assert!(matches!(refused, Err(KeyError::Keychain { .. })));
    opens(&paths, &env, &keychain);
}

#[test]
fn a_lost_key_comes_back_from_its_recovery_document() {
    let (dir, paths) = scratch();
    let keychain = Fake::default();
    let env = key_file(&dir.path().join("key"));
    let key = MasterKey::resolve(&paths, &env).unwrap();
    fill(&paths, &key);
    let passphrase = SecretString::from("kept in a safe");
    let document = Recovery::new(&key, &passphrase).unwrap();
    fs::remove_file(dir.path().join("key")).unwrap();

    let found = document.open(&passphrase).unwrap();
    let elsewhere = dir.path().join("again");
    bring_back_with(&paths, &found, &KeyHome::File(elsewhere.clone()), &keychain).unwrap();
    opens(&paths, &with_file(&elsewhere), &keychain);
    bring_back_with(&paths, &found, &KeyHome::Keychain, &keychain).unwrap();
    opens(&paths, &KeyEnv::default(), &keychain);

    // A key that does not seal the register is not put anywhere.
    go(&paths, &KeyEnv::default(), &KeyHome::Same, &keychain);
    let third = dir.path().join("third");
    let retired = bring_back_with(&paths, &found, &KeyHome::File(third.clone()), &keychain);
    assert!(
        matches!(retired, Err(KeyError::Retired { .. })),
        "{retired:?}"
    );
    let stranger = MasterKey::new(&seal::random().unwrap(), Origin::File);
    let wrong = bring_back_with(&paths, &stranger, &KeyHome::File(third.clone()), &keychain);
    assert!(matches!(wrong, Err(KeyError::WrongKey { .. })), "{wrong:?}");
    assert!(!third.exists());
}

#[test]
fn where_there_is_no_register_the_keychain_is_not_overwritten() {
    let (_dir, paths) = scratch();
    let keychain = Fake::default();
    let key = MasterKey::new(&seal::random().unwrap(), Origin::File);
    bring_back_with(&paths, &key, &KeyHome::Keychain, &keychain).unwrap();
    bring_back_with(&paths, &key, &KeyHome::Keychain, &keychain).unwrap();
    let found = MasterKey::resolve_with(&paths, &KeyEnv::default(), &keychain).unwrap();
    assert_eq!(found.id(), key.id());
    let other = MasterKey::new(&seal::random().unwrap(), Origin::File);
    let taken = bring_back_with(&paths, &other, &KeyHome::Keychain, &keychain);
    assert!(matches!(taken, Err(KeyError::KeychainTaken { .. })));
}

/// Whatever single bit of a rotated register is changed: the same keys and data,
/// or a refusal.
#[test]
fn no_flipped_bit_of_the_header_gives_another_key() {
    let (dir, paths) = scratch();
    let keychain = Fake::default();
    let env = key_file(&dir.path().join("key"));
    fill(&paths, &MasterKey::resolve(&paths, &env).unwrap());
    go(&paths, &env, &KeyHome::Same, &keychain);
    cut(&paths, &env, &KeyHome::Same, &keychain, Step::Kept);
    let now = opens(&paths, &env, &keychain);
    let ids = |registry: &Registry| -> Option<Vec<String>> {
        let retired = registry.retired_keys(&now).ok()?;
        Some(retired.iter().map(|key| key.id().to_string()).collect())
    };
    let expected = ids(&Registry::open(&paths).unwrap()).unwrap();
    let good = fs::read(paths.registry_file()).unwrap();
    let header = String::from_utf8_lossy(&good).find("\"servers\"").unwrap();
    for index in 0..header {
        let mut bytes = good.clone();
        bytes[index] ^= 1 << (index % 8);
        fs::write(paths.registry_file(), &bytes).unwrap();
        let Ok(key) = MasterKey::resolve_with(&paths, &env, &keychain) else {
            continue;
        };
        assert_eq!(key.id(), now.id(), "byte {index}");
        if let Some(found) = ids(&Registry::open(&paths).unwrap()) {
            assert_eq!(found, expected, "byte {index}");
        }
    }
}
