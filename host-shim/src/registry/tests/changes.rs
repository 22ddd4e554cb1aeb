//! Reading and changing the register on real files.
//!
//! They prove that a change is whole, private and checked before it is written.
//! Kills in the middle of one are the subject of the fault harness.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::Barrier;

use secrecy::SecretString;

use super::{Scratch, agent, everything, id, mode, reveal, server};
use crate::registry::{
    Added, AuthKind, AuthMaterial, FileError, NewServer, Paths, Registry, RegistryError, Warning,
};

#[test]
fn what_goes_in_comes_out() {
    let scratch = Scratch::filled();
    let registry = scratch.registry();
    let ids: Vec<_> = registry.list().into_iter().map(|view| view.id).collect();
    assert_eq!(ids, [id("cache"), id("db"), id("web")]);
    let out = |name| reveal(&registry.unlock(&id(name), &scratch.key).unwrap());
    assert_eq!(out("web"), "password hunter2 \u{fc}");
    assert_eq!(
        out("db"),
        "identity /home/me/.ssh/id_ed25519 Some(\"opens it\")"
    );
    assert_eq!(out("cache"), "agent Some(\"/run/agent\")");
    let web = registry.get(&id("web")).unwrap();
    assert_eq!(
        (web.port, web.auth, web.shell.as_str()),
        (22, AuthKind::Password, "/bin/sh")
    );
    assert_eq!(web.labels, ["prod", "tier:web"]);
    let route: Vec<_> = registry
        .jumps(&id("cache"))
        .unwrap()
        .iter()
        .map(|r| &r.id)
        .cloned()
        .collect();
    assert_eq!(route, [id("web")]);
    assert!(registry.verify(&scratch.key).unwrap().is_empty());
    assert!(registry.warnings().is_empty());
}

#[test]
fn an_absent_register_is_empty_and_stays_absent() {
    let scratch = Scratch::new();
    let mut registry = scratch.registry();
    assert!(registry.list().is_empty());
    assert!(matches!(
        registry.get(&id("a")),
        Err(RegistryError::NotFound { .. })
    ));
    assert!(matches!(
        registry.remove(&id("a")),
        Err(RegistryError::NotFound { .. })
    ));
    assert!(!scratch.paths.registry_file().exists());
}

#[test]
fn no_secret_stands_in_the_files_or_in_debug_output() {
    let scratch = Scratch::filled();
    scratch.registry().remove(&id("db")).unwrap();
    for file in [
        scratch.paths.registry_file(),
        scratch.paths.registry_backup(),
    ] {
        let text = fs::read_to_string(&file).unwrap();
        for secret in ["hunter2", "opens it", "id_ed25519"] {
            assert!(!text.contains(secret), "{secret:?} in {}", file.display());
        }
    }
    assert!(!format!("{:?} {:?}", scratch.registry(), scratch.key).contains("hunter2"));
}

#[test]
fn adding_twice_needs_to_be_meant() {
    let scratch = Scratch::filled();
    let again = scratch.add(agent("web"));
    assert!(matches!(again, Err(RegistryError::AlreadyExists { id: taken }) if taken == id("web")));
    let mut registry = scratch.registry();
    assert_eq!(
        registry.add(agent("web"), &scratch.key, true).unwrap(),
        Added::Replaced
    );
    assert_eq!(registry.get(&id("web")).unwrap().auth, AuthKind::Agent);
    assert_eq!(scratch.registry().list(), registry.list());
}

#[test]
fn fields_are_checked_before_anything_is_written() {
    let scratch = Scratch::new();
    let with = |change: fn(&mut NewServer)| {
        let mut server = agent("a");
        change(&mut server);
        server
    };
    let table = [
        ("host", with(|s| s.host = "-oProxyCommand=x".into())),
        ("port", with(|s| s.port = 0)),
        ("user", with(|s| s.user = "a b".into())),
        ("labels", with(|s| s.labels = vec!["*".into()])),
        ("shell", with(|s| s.shell = "sh".into())),
        ("jump", with(|s| s.jump = Some(s.id.clone()))),
        (
            "password",
            server("a", AuthMaterial::Password(SecretString::from(""))),
        ),
        (
            "password",
            server("a", AuthMaterial::Password(SecretString::from("a\0b"))),
        ),
        (
            "identity",
            server(
                "a",
                AuthMaterial::IdentityFile {
                    path: "id".into(),
                    passphrase: None,
                },
            ),
        ),
        (
            "agent socket",
            server(
                "a",
                AuthMaterial::Agent {
                    socket: Some(PathBuf::from("s")),
                },
            ),
        ),
    ];
    for (name, server) in table {
        let outcome = scratch.add(server);
        assert!(
            matches!(&outcome, Err(RegistryError::InvalidField { field, .. }) if *field == name),
            "{name}: {outcome:?}"
        );
    }
    assert!(!scratch.paths.registry_file().exists());
}

#[test]
fn jumps_exist_end_and_are_not_pulled_away() {
    let scratch = Scratch::filled();
    let mut stray = agent("stray");
    stray.jump = Some(id("nowhere"));
    assert!(matches!(
        scratch.add(stray),
        Err(RegistryError::JumpMissing { jump, .. }) if jump == id("nowhere")
    ));
    let mut circle = agent("web");
    circle.jump = Some(id("cache"));
    assert!(matches!(
        scratch.registry().add(circle, &scratch.key, true),
        Err(RegistryError::JumpTooLong { .. })
    ));
    let refused = scratch.registry().remove(&id("web")).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "server web cannot be removed: cache connects through it"
    );
    scratch.registry().remove(&id("cache")).unwrap();
    scratch.registry().remove(&id("web")).unwrap();
    assert_eq!(scratch.registry().list().len(), 1);
}

#[test]
fn the_former_file_is_the_backup() {
    let scratch = Scratch::filled();
    let before = fs::read(scratch.paths.registry_file()).unwrap();
    scratch.add(agent("new")).unwrap();
    assert_eq!(fs::read(scratch.paths.registry_backup()).unwrap(), before);
    // A vanished register is not an empty one.
    fs::remove_file(scratch.paths.registry_file()).unwrap();
    assert!(matches!(
        Registry::open(&scratch.paths),
        Err(RegistryError::Missing { .. })
    ));
    assert!(matches!(
        scratch.add(agent("newer")),
        Err(RegistryError::Missing { .. })
    ));
}

#[test]
fn permissions_are_repaired_and_said() {
    let scratch = Scratch::filled();
    let (dir, file) = (
        scratch.paths.config_dir.clone(),
        scratch.paths.registry_file(),
    );
    assert_eq!((mode(&dir), mode(&file)), (0o700, 0o600));
    fs::set_permissions(&dir, fs::Permissions::from_mode(0o755)).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o664)).unwrap();
    let registry = scratch.registry();
    assert_eq!(
        registry.warnings(),
        [
            Warning::PermissionsTightened {
                path: dir.clone(),
                was: 0o755,
                now: 0o700
            },
            Warning::PermissionsTightened {
                path: file.clone(),
                was: 0o664,
                now: 0o600
            },
        ]
    );
    assert_eq!((mode(&dir), mode(&file)), (0o700, 0o600));
    assert!(scratch.registry().warnings().is_empty());
    assert_eq!(mode(&scratch.paths.registry_backup()), 0o600);
}

#[test]
fn a_shared_directory_is_not_closed_but_refused() {
    let scratch = Scratch::new();
    let shared = scratch.dir.path().join("shared");
    fs::create_dir(&shared).unwrap();
    fs::set_permissions(&shared, fs::Permissions::from_mode(0o1777)).unwrap();
    let paths = Paths::new(&shared, &shared);
    let refused = Registry::open(&paths).unwrap_err();
    assert!(
        matches!(
            refused,
            RegistryError::File(FileError::SharedDirectory { .. })
        ),
        "{refused}"
    );
    assert_eq!(mode(&shared), 0o1777);
}

#[test]
fn links_and_pipes_are_refused() {
    let scratch = Scratch::filled();
    let file = scratch.paths.registry_file();
    let moved = scratch.dir.path().join("moved.json");
    fs::rename(&file, &moved).unwrap();
    std::os::unix::fs::symlink(&moved, &file).unwrap();
    let not_a_file = |outcome: Result<Registry, RegistryError>| {
        matches!(
            outcome,
            Err(RegistryError::File(FileError::NotAFile { .. }))
        )
    };
    assert!(not_a_file(Registry::open(&scratch.paths)));
    fs::remove_file(&file).unwrap();
    rustix::fs::mknodat(
        rustix::fs::CWD,
        &file,
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::from_raw_mode(0o600),
        0,
    )
    .unwrap();
    assert!(not_a_file(Registry::open(&scratch.paths)));
}

#[test]
fn changes_at_the_same_time_all_land() {
    let scratch = Scratch::new();
    let threads = 8;
    let barrier = Barrier::new(threads);
    std::thread::scope(|scope| {
        for number in 0..threads {
            let (scratch, barrier) = (&scratch, &barrier);
            scope.spawn(move || {
                let mut registry = scratch.registry();
                barrier.wait();
                registry
                    .add(agent(&format!("s{number}")), &scratch.key, false)
                    .unwrap();
                assert!(everything(&scratch.registry(), &scratch.key).is_ok());
            });
        }
    });
    assert_eq!(scratch.registry().list().len(), threads);
    let left: Vec<_> = fs::read_dir(&scratch.paths.config_dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .filter(|name| name.to_string_lossy().starts_with(".openshell-"))
        .collect();
    assert!(left.is_empty(), "{left:?}");
}
