//! The keychain of the system, in a session of its own.
//!
//! The keychain and the session bus are chosen by the environment of a process,
//! so each test starts this test binary again for the part that needs them.
//!
//! Invariant of the fixture: the bus and the keyring are made for the test and end
//! with it. Where the programs for that are missing, the test says so and proves
//! nothing.

use std::process::Command;

use super::scratch;
use crate::registry::master_key::keychain::{FIRST_ENTRY, Keychain, OsKeychain};
use crate::registry::seal;
use crate::registry::{KeyEnv, KeyError, MasterKey, Paths};

/// Name of the variable that says the test runs inside a session with a
/// keychain of its own.
const INSIDE: &str = "OPENSHELL_TEST_KEYCHAIN";

/// The part of [`the_keychain_of_the_system`] that runs inside that session.
#[test]
fn inside_a_session() {
    let Ok(directory) = std::env::var(INSIDE) else {
        return;
    };
    let paths = Paths::new(format!("{directory}/config"), format!("{directory}/data"));
    let keychain = OsKeychain {
        patience: std::time::Duration::from_secs(30),
    };
    assert!(keychain.read(FIRST_ENTRY).unwrap().is_none());
    let made = MasterKey::resolve(&paths, &KeyEnv::default()).unwrap();
    let found = MasterKey::resolve(&paths, &KeyEnv::default()).unwrap();
    assert_eq!(made.id(), found.id());
    assert!(keychain.read(FIRST_ENTRY).unwrap().is_some());
    println!("the keychain kept the key");
}

#[test]
fn the_keychain_of_the_system() {
    let (dir, _) = scratch();
    // Whether somebody has the name can be asked without making the bus start one, which
    // would be locked.
    let script = r#"
        printf %s "$PASSWORD" | gnome-keyring-daemon --unlock --components=secrets >/dev/null || exit 7
        tries=0
        until dbus-send --session --dest=org.freedesktop.DBus --print-reply / \
            org.freedesktop.DBus.NameHasOwner string:org.freedesktop.secrets | grep -q 'boolean true'
        do tries=$((tries + 1)); test $tries -lt 1200 || exit 9; sleep 0.05; done
        exec "$@""#;
    let password: String = seal::random::<8>()
        .unwrap()
        .iter()
        .map(|b| format!("{b:02x}"))
        .collect();
    let itself = std::env::current_exe().unwrap();
    for program in ["dbus-run-session", "gnome-keyring-daemon", "dbus-send"] {
        if Command::new(program).arg("--version").output().is_err() {
            println!("skipped: {program} is not installed");
            return;
        }
    }
    let output = Command::new("dbus-run-session")
        .args(["--", "sh", "-c", script, "sh"])
        .arg(itself)
        .args([
            "--exact",
            "registry::master_key::tests::session::inside_a_session",
            "--nocapture",
        ])
        .env("HOME", dir.path())
        .env("XDG_RUNTIME_DIR", dir.path())
        .env_remove("XDG_DATA_HOME")
        .env("PASSWORD", password)
        .env(INSIDE, dir.path())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && text.contains("the keychain kept the key"),
        "{text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn without_a_session_there_is_no_keychain() {
    let (dir, _) = scratch();
    let itself = std::env::current_exe().unwrap();
    let output = Command::new(itself)
        .args([
            "--exact",
            "registry::master_key::tests::session::outside_any_session",
            "--nocapture",
        ])
        .env("HOME", dir.path())
        .env(
            "DBUS_SESSION_BUS_ADDRESS",
            format!("unix:path={}/absent", dir.path().display()),
        )
        .env("OPENSHELL_TEST_NO_KEYCHAIN", dir.path())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && text.contains("said there is none"),
        "{text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// The part of [`without_a_session_there_is_no_keychain`] that has no bus.
#[test]
fn outside_any_session() {
    let Ok(directory) = std::env::var("OPENSHELL_TEST_NO_KEYCHAIN") else {
        return;
    };
    let paths = Paths::new(format!("{directory}/config"), format!("{directory}/data"));
    let refused = MasterKey::resolve(&paths, &KeyEnv::default()).unwrap_err();
    assert!(matches!(refused, KeyError::NoKeychain { .. }), "{refused}");
    assert!(refused.next().contains("openshell key init --file"));
    println!("said there is none: {refused}");
}
