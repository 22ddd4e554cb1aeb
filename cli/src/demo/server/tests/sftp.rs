//! Files over SFTP, with OpenSSH's client, and attempts to leave the root.
//!
//! They prove that nothing outside the root is read, listed or written by any name.
//! Races between check and use are not tried: the server does not claim to win
//! them.

use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};

use super::{Fixture, stderr, stdout};

#[tokio::test(flavor = "multi_thread")]
async fn sftp_does_what_openssh_asks_of_it() {
    let fixture = Fixture::start().await;
    let root = fixture.root();
    fs::write(fixture.dir.path().join("local"), "content\n").unwrap();
    fs::write(root.join("old"), "before").unwrap();
    symlink("old", root.join("link")).unwrap();
    let output = fixture
        .sftp(
            "pwd\nmkdir d\nput -f local d/new\nchmod 640 d/new\nrename d/new old\nget link back\n\
             ls -la\nput local d/x\nrm d/x\nrmdir d\n",
        )
        .await;
    assert!(
        output.status.success(),
        "{}{}",
        stdout(&output),
        stderr(&output)
    );
    assert_eq!(fs::read_to_string(root.join("old")).unwrap(), "content\n");
    assert_eq!(
        fs::metadata(root.join("old")).unwrap().mode() & 0o7777,
        0o640
    );
    assert_eq!(
        fs::read_to_string(fixture.dir.path().join("back")).unwrap(),
        "content\n"
    );
    assert!(!root.join("d").exists());
    let text = stdout(&output);
    assert!(
        text.contains(&format!("Remote working directory: {}", root.display())),
        "{text}"
    );
    let listed = |start: &str, end: &str| {
        let mut lines = text.lines();
        assert!(
            lines.any(|line| line.starts_with(start) && line.ends_with(end)),
            "{text}"
        );
    };
    listed("-rw-r-----    1 ", " old");
    listed("lrwxrwxrwx    1 ", " link");
}

#[tokio::test(flavor = "multi_thread")]
async fn large_files_and_long_lists_arrive_whole() {
    let fixture = Fixture::start().await;
    let root = fixture.root();
    let content: Vec<u8> = (0..3_000_001_u32)
        .map(|n| n.to_le_bytes()[n as usize % 3])
        .collect();
    fs::write(fixture.dir.path().join("big"), &content).unwrap();
    fs::create_dir(root.join("many")).unwrap();
    for number in 0..250 {
        fs::write(root.join(format!("many/f{number:03}")), "").unwrap();
    }
    let output = fixture.sftp("put big\nget big again\nls -1 many\n").await;
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(fs::read(root.join("big")).unwrap() == content);
    assert!(fs::read(fixture.dir.path().join("again")).unwrap() == content);
    assert_eq!(stdout(&output).matches("many/f").count(), 250);
}

#[tokio::test(flavor = "multi_thread")]
async fn sftp_does_not_leave_the_directory() {
    let fixture = Fixture::start().await;
    let (root, outside) = (fixture.root(), fixture.dir.path());
    fs::write(outside.join("secret"), "secret").unwrap();
    fs::write(outside.join("local"), "x").unwrap();
    fs::create_dir(outside.join("elsewhere")).unwrap();
    symlink(outside.join("elsewhere"), root.join("away")).unwrap();
    symlink("../secret", root.join("up")).unwrap();
    symlink(outside.join("not-yet"), root.join("dangling")).unwrap();
    fs::write(root.join("mine"), "mine").unwrap();
    let absolute = outside.join("secret").display().to_string();
    for attempt in [
        "get /etc/passwd got".to_owned(),
        format!("get {absolute} got"),
        "get ../secret got".to_owned(),
        "get up got".to_owned(),
        "ls ..".to_owned(),
        "ls /".to_owned(),
        "ls away/".to_owned(),
        "put local away/new".to_owned(),
        "put local ../new".to_owned(),
        "put local dangling".to_owned(),
        "put local up".to_owned(),
        "mkdir ../made".to_owned(),
        "mkdir away/made".to_owned(),
        "rename mine ../mine".to_owned(),
        "rename mine away/mine".to_owned(),
        "rename ../secret taken".to_owned(),
        "rm ../secret".to_owned(),
        "chmod 777 up".to_owned(),
        "chmod 777 ..".to_owned(),
        "ln -s /etc etc".to_owned(),
        "ln mine twin".to_owned(),
    ] {
        let output = fixture.sftp(&format!("{attempt}\n")).await;
        assert!(!output.status.success(), "{attempt}: {}", stdout(&output));
    }
    for name in [
        "got",
        "new",
        "made",
        "mine",
        "not-yet",
        "elsewhere/new",
        "elsewhere/made",
        "elsewhere/mine",
    ] {
        assert!(outside.join(name).symlink_metadata().is_err(), "{name}");
    }
    for name in ["taken", "etc", "twin"] {
        assert!(root.join(name).symlink_metadata().is_err(), "{name}");
    }
    assert_eq!(
        fs::read_to_string(outside.join("secret")).unwrap(),
        "secret"
    );
    assert_ne!(
        fs::metadata(outside.join("secret")).unwrap().mode() & 0o7777,
        0o777
    );
    assert_ne!(fs::metadata(outside).unwrap().mode() & 0o7777, 0o777);
    assert_eq!(fs::read_to_string(root.join("mine")).unwrap(), "mine");
}
