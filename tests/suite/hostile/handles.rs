//! How many directories stay open on a server whose listings are cut or given up.
//!
//! The server counts what it opens and closes; what it says is honest. How a listing
//! looks that is cut is the subject of `ssh_sftp`, not of this one.

use std::collections::HashSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::FutureExt;
use openshell_host::ssh::{Auth, Target, fetch_host_key, known_hosts};
use secrecy::SecretString;

use super::sftp::{OPENDIR, READDIR, Request, attributes, entry, names, reply, status, string};
use super::ssh::{Behaviour, Liar};
use crate::ssh_support::{connect, eventually};

/// `SSH_FXP_CLOSE`.
const CLOSE: u8 = 4;

/// Directories in the root.
const DIRECTORIES: usize = 40;

static OPENED: AtomicUsize = AtomicUsize::new(0);
static CLOSED: AtomicUsize = AtomicUsize::new(0);
/// Handles that were read to their end.
static READ: Mutex<Option<HashSet<String>>> = Mutex::new(None);

/// A root with directories that hold one file each.
fn tree(request: &Request) -> Option<Vec<u8>> {
    let id = request.id;
    match request.kind {
        OPENDIR => {
            let number = OPENED.fetch_add(1, Ordering::SeqCst);
            let handle = format!("{number}:{}", request.name);
            Some(reply(102, id, &[&string(handle.as_bytes())]))
        }
        CLOSE => {
            CLOSED.fetch_add(1, Ordering::SeqCst);
            None
        }
        READDIR => {
            let mut read = READ.lock().expect("nobody panics with it");
            if !read.get_or_insert_default().insert(request.name.clone()) {
                return Some(status(id, 1, b"end"));
            }
            let entries: Vec<_> = if request.name.ends_with(":/") {
                let directory = attributes(0o040_755, 0);
                (0..DIRECTORIES)
                    .map(|at| entry(format!("d{at:02}").as_bytes(), b"", &directory))
                    .collect()
            } else {
                vec![entry(b"file", b"", &attributes(0o100_644, 8))]
            };
            Some(names(id, &entries))
        }
        _ => None,
    }
}

fn open() -> usize {
    let closed = CLOSED.load(Ordering::SeqCst);
    OPENED.load(Ordering::SeqCst) - closed
}

#[test]
fn no_directory_stays_open_on_the_server() {
    let liar = Liar::start(Behaviour {
        files: Some(tree),
        ..Behaviour::default()
    });
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let dir = tempfile::tempdir().expect("a directory");
        let known = dir.path().join("known_hosts");
        let keys = fetch_host_key("127.0.0.1", liar.port(), None, Duration::from_secs(30));
        for key in keys.await.expect("it answers") {
            known_hosts::append(&known, "127.0.0.1", liar.port(), &key).expect("own directory");
        }
        let connection = connect(&Target {
            id: "liar".to_owned(),
            host: "127.0.0.1".to_owned(),
            port: liar.port(),
            user: "anybody".to_owned(),
            auth: Auth::Password(SecretString::from("anything".to_owned())),
            known_hosts: vec![known],
            jump: None,
            shell: "/bin/sh".to_owned(),
            connect_timeout: Duration::from_secs(20),
            silence: Duration::from_secs(20),
        })
        .await;
        let sftp = connection.sftp().await.expect("SFTP is there");
        // Cut with listings under way, by its limit.
        for _ in 0..5 {
            let walk = sftp.walk("/", true, DIRECTORIES + 1, 8).await;
            assert!(walk.expect("it can be listed").cut);
        }
        eventually("every directory is closed", || open() == 0).await;
        assert!(OPENED.load(Ordering::SeqCst) > 5 * 16, "they were open");
        // Given up after so many steps, wherever that is.
        for steps in 0..60 {
            let mut walk = Box::pin(sftp.walk("/", true, 1000, 8));
            for _ in 0..steps {
                if walk.as_mut().now_or_never().is_some() {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
        // An opening that is under way when its walk is given up is counted late; by
        // the time this is answered it was.
        let whole = sftp.walk("/", true, 1000, 8).await;
        let whole = whole.expect("it can be listed").entries.len();
        assert_eq!(whole, 2 * DIRECTORIES);
        eventually("every directory is closed", || open() == 0).await;
    });
}
