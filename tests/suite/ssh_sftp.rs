//! Files over a real SFTP server.
//!
//! They prove that a file is replaced whole or left, and that what changed
//! meanwhile is a conflict. Asking a person has no part in it.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::sync::Arc;

use openshell_host::ssh::{
    Connection, Drift, Expect, FileKind, Sftp, SftpError, SshError, WriteKind, WritePlan,
    temporary_name,
};
use openshell_tests::Sshd;
use sha2::{Digest, Sha256};

use crate::ssh_support::{Account, connect, start, target};

async fn open(server: &Sshd) -> (Arc<Connection>, Arc<Sftp>) {
    let connection = connect(&target(server)).await;
    let sftp = connection.sftp().await.expect("SFTP is there");
    (connection, sftp)
}

fn path(path: &Path) -> String {
    // Temporary directories may lie behind a link.
    let parent = path
        .parent()
        .expect("a fixture's path")
        .canonicalize()
        .expect("it exists");
    parent
        .join(path.file_name().expect("a fixture's path"))
        .to_string_lossy()
        .into_owned()
}

fn sha256(content: &[u8]) -> String {
    Sha256::digest(content)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

fn replace(path: &str, old: &[u8], new: &[u8], mode: u32) -> WritePlan {
    WritePlan {
        path: path.to_owned(),
        content: new.to_vec(),
        mode,
        owner: None,
        found: None,
        expect: Expect::Sha256(sha256(old)),
        kind: WriteKind::Atomic,
        temporary: temporary_name().expect("the system has random bytes"),
    }
}

fn sftp_error<T: std::fmt::Debug>(result: Result<T, SshError>) -> SftpError {
    match result {
        Err(SshError::Sftp(error)) => error,
        other => panic!("not an SFTP error: {other:?}"),
    }
}

/// Names in a directory, temporary files included.
fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(dir)
        .expect("it exists")
        .map(|entry| {
            entry
                .expect("it is readable")
                .file_name()
                .to_string_lossy()
                .into_owned()
        })
        .collect();
    names.sort();
    names
}

#[tokio::test]
async fn reading_whole_and_in_part() {
    let server = start();
    let (_connection, sftp) = open(&server).await;
    let file = server.dir().join("big");
    let content: Vec<u8> = (0..3_000_001_u32)
        .flat_map(|n| [(n % 251) as u8, (n >> 8) as u8])
        .collect();
    fs::write(&file, &content).expect("own directory");
    let name = path(&file);
    let (whole, attrs) = sftp
        .read_whole(&name, 32 << 20)
        .await
        .expect("it is readable");
    assert!(whole == content, "the bytes differ");
    assert_eq!(attrs.size, content.len() as u64);
    let length = content.len() as u64;
    for (offset, want) in [
        (0, 0),
        (0, 1),
        (5, 70_000),
        (length - 3, 10),
        (length, 10),
        (length + 5, 10),
        (32_767, 2),
    ] {
        let (part, _) = sftp
            .read_range(&name, offset, want)
            .await
            .expect("it is readable");
        let start = usize::try_from(offset.min(length)).expect("small");
        let end = usize::try_from((offset + want).min(length))
            .expect("small")
            .max(start);
        assert!(
            part == content[start..end],
            "{offset} {want}: {}",
            part.len()
        );
    }
    let error = sftp_error(sftp.read_whole(&name, 1000).await);
    assert!(
        matches!(error, SftpError::TooLarge { limit: 1000, .. }),
        "{error:?}"
    );
    // Says 0 and is not.
    let (version, attrs) = sftp
        .read_whole("/proc/version", 1 << 20)
        .await
        .expect("it is readable");
    assert!(!version.is_empty());
    assert_eq!(attrs.size, 0);
}

#[tokio::test]
async fn what_is_no_file_is_refused_without_opening_it() {
    let server = start();
    let (_connection, sftp) = open(&server).await;
    let pipe = server.dir().join("pipe");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    assert!(made.expect("mkfifo(1) is in POSIX").success());
    for name in [path(&pipe), "/dev/zero".to_owned(), "/etc".to_owned()] {
        let error = sftp_error(sftp.read_whole(&name, 100).await);
        assert!(
            matches!(error, SftpError::NotAFile { .. }),
            "{name}: {error:?}"
        );
    }
    let error = sftp_error(sftp.read_whole("/no/such", 100).await);
    assert_eq!(
        error,
        SftpError::NoSuchFile {
            path: "/no/such".to_owned()
        }
    );
    let error = sftp_error(sftp.list("/etc/passwd").await);
    assert!(
        matches!(error, SftpError::NotADirectory { .. }),
        "{error:?}"
    );
    for name in ["", "a\0b"] {
        let error = sftp_error(sftp.stat(name).await);
        assert!(matches!(error, SftpError::InvalidPath { .. }), "{error:?}");
    }
}

#[tokio::test]
async fn attributes_and_links() {
    let server = start();
    let (_connection, sftp) = open(&server).await;
    let file = server.dir().join("file");
    fs::write(&file, "12345").expect("own directory");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o4751)).expect("own file");
    let link = server.dir().join("link");
    symlink("file", &link).expect("own directory");
    let dangling = server.dir().join("dangling");
    symlink("nowhere", &dangling).expect("own directory");
    let attrs = sftp.stat(&path(&link)).await.expect("it exists");
    assert_eq!(
        (attrs.kind, attrs.size, attrs.mode),
        (FileKind::File, 5, 0o4751)
    );
    let metadata = fs::metadata(&file).expect("own file");
    assert_eq!((attrs.uid, attrs.gid), (metadata.uid(), metadata.gid()));
    assert_eq!(
        attrs.mtime,
        u64::try_from(metadata.mtime()).expect("after 1970")
    );
    assert_eq!(
        sftp.lstat(&path(&link)).await.expect("it exists").kind,
        FileKind::Symlink
    );
    assert_eq!(
        sftp.readlink(&path(&link)).await.expect("it is a link"),
        "file"
    );
    assert_eq!(
        sftp.realpath(&path(&link)).await.expect("it exists"),
        path(&file)
    );
    let error = sftp_error(sftp.stat(&path(&dangling)).await);
    assert!(matches!(error, SftpError::NoSuchFile { .. }), "{error:?}");
    if server.user() == "root" {
        assert_eq!(
            attrs.owner.as_deref(),
            Some("root"),
            "OpenSSH 8.9 and later say names"
        );
    }
}

#[tokio::test]
async fn a_walk_ends_and_names_what_it_could_not_see() {
    let server = start();
    let (_connection, sftp) = open(&server).await;
    let root = server.dir().join("tree");
    for directory in ["a/b/c", "d", "empty"] {
        fs::create_dir_all(root.join(directory)).expect("own directory");
    }
    for file in ["a/1", "a/b/2", "a/b/c/3", "d/4", "5", "odd name\n"] {
        fs::write(root.join(file), file).expect("own directory");
    }
    symlink("..", root.join("a/b/loop")).expect("own directory");
    symlink("/", root.join("d/root")).expect("own directory");
    let name = path(&root);
    let walk = sftp
        .walk(&name, true, 1000, 100)
        .await
        .expect("it is readable");
    let found: Vec<&str> = walk
        .entries
        .iter()
        .map(|entry| entry.path.as_str())
        .collect();
    assert_eq!(
        found,
        [
            "5",
            "a",
            "d",
            "empty",
            "odd name\n",
            "a/1",
            "a/b",
            "d/4",
            "d/root",
            "a/b/2",
            "a/b/c",
            "a/b/loop",
            "a/b/c/3"
        ]
    );
    assert!(!walk.cut && walk.unreadable.is_empty());
    let targets: Vec<(&str, &str)> = walk
        .entries
        .iter()
        .filter_map(|entry| Some((entry.path.as_str(), entry.target.as_deref()?)))
        .collect();
    assert_eq!(targets, [("d/root", "/"), ("a/b/loop", "..")]);
    let flat = sftp
        .walk(&name, false, 1000, 100)
        .await
        .expect("it is readable");
    assert_eq!(flat.entries.len(), 5);
    assert!(!flat.cut);
    for limit in [0, 1, 5, 6, 12] {
        let some = sftp
            .walk(&name, true, limit, 100)
            .await
            .expect("it is readable");
        assert_eq!(some.entries, walk.entries[..limit], "{limit}");
        assert!(some.cut, "{limit}");
    }
    let all = sftp
        .walk(&name, true, 13, 100)
        .await
        .expect("it is readable");
    assert_eq!((all.entries.len(), all.cut), (13, false));
    let shallow = sftp
        .walk(&name, true, 1000, 1)
        .await
        .expect("it is readable");
    assert_eq!((shallow.entries.len(), shallow.cut), (9, true));
}

#[tokio::test]
async fn replacing_keeps_mode_and_owner_and_leaves_nothing_behind() {
    let server = start();
    let (connection, sftp) = open(&server).await;
    let dir = server.dir().join("write");
    fs::create_dir(&dir).expect("own directory");
    let file = dir.join("f");
    let name = path(&file);
    for (mode, content) in [
        (0o640, &b"small"[..]),
        (0o4755, &[7; 300_000]),
        (0o600, b""),
    ] {
        let old = b"old content";
        fs::write(&file, old).expect("own directory");
        fs::set_permissions(&file, fs::Permissions::from_mode(mode)).expect("own file");
        let mut plan = replace(&name, old, content, mode);
        if server.user() == "root" {
            std::os::unix::fs::chown(&file, Some(12345), Some(23456)).expect("we are root");
            // Changing the owner clears set-id bits.
            fs::set_permissions(&file, fs::Permissions::from_mode(mode)).expect("own file");
            plan.owner = Some((12345, 23456));
        }
        let account = connection.account().await.expect("id(1) is there");
        assert_eq!(
            sftp.write_plan_kind(&name, &account)
                .await
                .expect("it exists"),
            (WriteKind::Atomic, None)
        );
        let inode = fs::metadata(&file).expect("own file").ino();
        let outcome = sftp
            .write_atomic(&plan)
            .await
            .expect("nothing is in the way");
        assert!(outcome.atomic && outcome.synced && !outcome.created);
        assert_eq!((outcome.drift, outcome.sha256), (None, sha256(content)));
        let metadata = fs::metadata(&file).expect("own file");
        assert_ne!(metadata.ino(), inode, "it is another file");
        assert_eq!(metadata.mode() & 0o7777, mode);
        if let Some(owner) = plan.owner {
            assert_eq!((metadata.uid(), metadata.gid()), owner);
        }
        assert!(fs::read(&file).expect("own file") == content);
        assert_eq!(names(&dir), ["f"]);
    }
}

#[tokio::test]
async fn creating_is_exclusive() {
    let server = start();
    let (_connection, sftp) = open(&server).await;
    let dir = server.dir().join("create");
    fs::create_dir(&dir).expect("own directory");
    let mut plan = replace(&path(&dir.join("new")), b"", b"content", 0o644);
    plan.expect = Expect::Absent;
    let outcome = sftp.write_atomic(&plan).await.expect("there is nothing");
    assert!(outcome.created && outcome.atomic);
    let metadata = fs::metadata(dir.join("new")).expect("it was created");
    assert_eq!(metadata.mode() & 0o7777, 0o644);
    let error = sftp_error(sftp.write_atomic(&plan).await);
    assert!(matches!(error, SftpError::Conflict { .. }), "{error:?}");
    // Neither does a dangling link count as nothing.
    symlink("nowhere", dir.join("link")).expect("own directory");
    plan.path = path(&dir.join("link"));
    let error = sftp_error(sftp.write_atomic(&plan).await);
    assert!(matches!(error, SftpError::Conflict { .. }), "{error:?}");
    plan.path = path(&dir.join("no")) + "/such/file";
    let error = sftp_error(sftp.write_atomic(&plan).await);
    assert!(matches!(error, SftpError::NotAsPlanned { .. }), "{error:?}");
    assert_eq!(names(&dir), ["link", "new"]);
    // Two at once: one wins, the other is told.
    plan.path = path(&dir.join("race"));
    let other = WritePlan {
        temporary: temporary_name().expect("the system has random bytes"),
        ..plan.clone()
    };
    let (first, second) = tokio::join!(sftp.write_atomic(&plan), sftp.write_atomic(&other));
    let (won, lost) = if first.is_ok() {
        (first, second)
    } else {
        (second, first)
    };
    assert!(won.is_ok(), "{won:?}");
    let error = sftp_error(lost);
    assert!(matches!(error, SftpError::Conflict { .. }), "{error:?}");
    assert_eq!(names(&dir), ["link", "new", "race"]);
}

#[tokio::test]
async fn what_changed_since_it_was_judged_is_a_conflict() {
    let server = start();
    let (_connection, sftp) = open(&server).await;
    let dir = server.dir().join("conflict");
    fs::create_dir(&dir).expect("own directory");
    let file = dir.join("f");
    let name = path(&file);
    let plan = replace(&name, b"judged", b"new", 0o644);
    let error = sftp_error(sftp.write_atomic(&plan).await);
    assert!(
        matches!(error, SftpError::Conflict { .. }),
        "gone: {error:?}"
    );
    fs::write(&file, "edited").expect("own directory");
    for kind in [WriteKind::Atomic, WriteKind::InPlace] {
        let error = sftp_error(
            sftp.write_atomic(&WritePlan {
                kind,
                ..plan.clone()
            })
            .await,
        );
        assert!(
            matches!(error, SftpError::Conflict { .. }),
            "edited: {error:?}"
        );
        assert_eq!(fs::read(&file).expect("own file"), b"edited");
    }
    fs::write(dir.join("target"), "judged").expect("own directory");
    fs::remove_file(&file).expect("own file");
    symlink("target", &file).expect("own directory");
    let error = sftp_error(sftp.write_atomic(&plan).await);
    assert!(
        matches!(error, SftpError::Conflict { .. }),
        "now a link: {error:?}"
    );
    assert_eq!(fs::read(dir.join("target")).expect("own file"), b"judged");
    // A directory on the way that became a link.
    fs::create_dir(dir.join("real")).expect("own directory");
    fs::write(dir.join("real/f"), "judged").expect("own directory");
    symlink("real", dir.join("swapped")).expect("own directory");
    let swapped = format!("{}/f", path(&dir.join("swapped")));
    let error = sftp_error(
        sftp.write_atomic(&replace(&swapped, b"judged", b"new", 0o644))
            .await,
    );
    assert!(matches!(error, SftpError::Conflict { .. }), "{error:?}");
    assert_eq!(names(&dir), ["f", "real", "swapped", "target"]);
    assert_eq!(names(&dir.join("real")), ["f"]);
}

#[tokio::test]
async fn writers_who_meet_lose_nothing_unsaid() {
    let server = start();
    let (_connection, sftp) = open(&server).await;
    let file = server.dir().join("contended");
    let name = path(&file);
    fs::write(&file, "base").expect("own directory");
    let writers = (0..8_u8).map(|number| {
        let sftp = &sftp;
        let name = &name;
        async move {
            sftp.write_atomic(&replace(name, b"base", &[number; 1000], 0o644))
                .await
        }
    });
    let results = futures::future::join_all(writers).await;
    let last = fs::read(&file).expect("own file");
    for (number, result) in (0_u8..).zip(results) {
        match result {
            // Who was replaced right after writing was told by whom.
            Ok(outcome) => {
                let survived = last == [number; 1000];
                let told = matches!(outcome.drift, Some(Drift::Replaced(_)));
                assert!(survived || told || outcome.drift.is_none(), "{number}");
            }
            Err(SshError::Sftp(SftpError::Conflict { .. })) => {}
            Err(error) => panic!("{number}: {error:?}"),
        }
    }
}

#[tokio::test]
async fn a_foreign_file_is_written_in_place_only_when_that_was_agreed() {
    let server = start();
    let home = server.dir().join("user-home");
    let Some(account) = Account::create("inplace", "/bin/sh", &home) else {
        return;
    };
    let mut target = target(&server);
    target.user.clone_from(&account.name);
    let connection = connect(&target).await;
    let sftp = connection.sftp().await.expect("SFTP is there");
    let who = connection.account().await.expect("id(1) is there");
    // Root's file, writable by all, in the user's own directory.
    let file = home.join("shared");
    let name = path(&file);
    fs::write(&file, "before, and longer").expect("we are root");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o666)).expect("own file");
    let (kind, reason) = sftp.write_plan_kind(&name, &who).await.expect("it exists");
    assert_eq!(kind, WriteKind::InPlace);
    assert!(
        reason.is_some_and(|reason| reason.contains("another user")),
        "{reason:?}"
    );
    let mut plan = replace(&name, b"before, and longer", b"after", 0o666);
    plan.owner = Some((0, 0));
    let error = sftp_error(sftp.write_atomic(&plan).await);
    assert!(matches!(error, SftpError::NotAsPlanned { .. }), "{error:?}");
    assert_eq!(fs::read(&file).expect("own file"), b"before, and longer");
    assert_eq!(names(&home), ["shared"], "the temporary file is gone");
    plan.kind = WriteKind::InPlace;
    let outcome = sftp.write_atomic(&plan).await.expect("it is writable");
    assert!(!outcome.atomic);
    assert_eq!(outcome.drift, None);
    assert_eq!(fs::read(&file).expect("own file"), b"after");
    let metadata = fs::metadata(&file).expect("own file");
    assert_eq!((metadata.uid(), metadata.mode() & 0o777), (0, 0o666));
    // Unreadable directories are named, not fatal.
    fs::create_dir(home.join("closed")).expect("we are root");
    fs::set_permissions(home.join("closed"), fs::Permissions::from_mode(0o700)).expect("own");
    let walk = sftp
        .walk(&path(&home), true, 100, 10)
        .await
        .expect("it is readable");
    assert_eq!(
        walk.unreadable,
        [("closed".to_owned(), "permission denied".to_owned())]
    );
    let error = sftp_error(sftp.read_whole("/etc/shadow", 1 << 20).await);
    assert!(
        matches!(error, SftpError::PermissionDenied { .. }),
        "{error:?}"
    );
}

#[tokio::test]
async fn removing_a_file() {
    let server = start();
    let (_connection, sftp) = open(&server).await;
    let file = server.dir().join("doomed");
    fs::write(&file, "").expect("own directory");
    sftp.remove(&path(&file)).await.expect("it exists");
    assert!(!file.exists());
    let error = sftp_error(sftp.remove(&path(&file)).await);
    assert!(matches!(error, SftpError::NoSuchFile { .. }), "{error:?}");
}

#[tokio::test]
async fn fifty_requests_share_the_channel() {
    let server = start();
    let (_connection, sftp) = open(&server).await;
    let stats = futures::future::join_all((0..200).map(|_| sftp.stat("/etc/passwd"))).await;
    assert!(stats.iter().all(Result::is_ok));
}
