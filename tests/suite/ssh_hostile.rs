//! Servers that misbehave, which no real sshd can be made to do.
//!
//! The server here is in-process: SSH by the library's server half, files from a
//! real directory, and one trick at a time. Invariant: an honest run of the same
//! server passes, so a trick is the difference. The whole product against liars is
//! in `hostile`, not here.

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use openshell_host::ssh::{
    Auth, Connection, Drift, Expect, SftpError, SshError, Target, WriteKind, WritePlan,
    fetch_host_key, known_hosts,
};
use openshell_tests::ssh_keygen;
use russh::server::{self, ChannelOpenHandle, Msg, Session};
use russh::{Channel, ChannelId};
use russh_sftp::protocol::{
    Attrs, Data, File, FileAttributes, Handle, Name, OpenFlags, Packet, Status, StatusCode, Version,
};
use secrecy::SecretString;
use sha2::{Digest, Sha256};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use crate::ssh_support::{connect, request, script};

/// What a server does wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Trick {
    /// Nothing; so that the others are proved to be the difference.
    None,
    /// Lists this name.
    Name(String),
    /// Answers with 1,000 bytes at most.
    ShortReads,
    /// Knows no `posix-rename@openssh.com`.
    NoPosixRename,
    /// Somebody writes into the file right before it is replaced.
    LateEdit,
    /// Somebody writes right after it was replaced.
    EarlyEdit,
    /// Ends the channel instead of answering a rename.
    DiesInRename,
    /// Answers exec by sending back what it is sent.
    Echo,
    /// Answers exec with this and closes.
    Says(&'static str),
}

struct Server {
    dir: TempDir,
    target: Target,
}

impl Server {
    async fn start(trick: Trick) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let key = dir.path().join("host_key");
        ssh_keygen(&key, "ed25519", "");
        let config = Arc::new(server::Config {
            keys: vec![russh::keys::load_secret_key(&key, None).expect("just made")],
            ..server::Config::default()
        });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
            .await
            .expect("loopback has a port");
        let port = listener.local_addr().expect("it is bound").port();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let peer = Peer {
                    trick: trick.clone(),
                    channels: HashMap::new(),
                };
                let config = Arc::clone(&config);
                tokio::spawn(async move {
                    if let Ok(session) = server::run_stream(config, stream, peer).await {
                        let _ = session.await;
                    }
                });
            }
        });
        let known = dir.path().join("known_hosts");
        for key in fetch_host_key("127.0.0.1", port, None, Duration::from_secs(30))
            .await
            .expect("it answers")
        {
            known_hosts::append(&known, "127.0.0.1", port, &key).expect("own directory");
        }
        let target = Target {
            id: "hostile".to_owned(),
            host: "127.0.0.1".to_owned(),
            port,
            user: "anybody".to_owned(),
            auth: Auth::Password(SecretString::from("anything".to_owned())),
            known_hosts: vec![known],
            jump: None,
            shell: "/bin/sh".to_owned(),
            connect_timeout: Duration::from_secs(20),
            silence: Duration::from_secs(20),
        };
        Self { dir, target }
    }

    /// A file in a directory of its own, by its real name.
    fn file(&self, content: &[u8]) -> PathBuf {
        let dir = self.dir.path().join("files");
        fs::create_dir_all(&dir).expect("own directory");
        let path = dir.canonicalize().expect("it exists").join("f");
        fs::write(&path, content).expect("own directory");
        path
    }

    async fn connect(&self) -> Arc<Connection> {
        connect(&self.target).await
    }
}

/// One connection.
struct Peer {
    trick: Trick,
    channels: HashMap<ChannelId, Channel<Msg>>,
}

impl server::Handler for Peer {
    type Error = russh::Error;

    async fn auth_password(&mut self, _: &str, _: &str) -> Result<server::Auth, russh::Error> {
        Ok(server::Auth::Accept)
    }

    async fn channel_open_session(
        &mut self,
        channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), russh::Error> {
        self.channels.insert(channel.id(), channel);
        reply.accept().await;
        Ok(())
    }

    async fn subsystem_request(
        &mut self,
        id: ChannelId,
        _: &str,
        session: &mut Session,
    ) -> Result<(), russh::Error> {
        session.channel_success(id)?;
        if let Some(channel) = self.channels.remove(&id) {
            let files = Files {
                trick: self.trick.clone(),
                ..Files::default()
            };
            russh_sftp::server::run(channel.into_stream(), files).await;
        }
        Ok(())
    }

    async fn exec_request(
        &mut self,
        id: ChannelId,
        _: &[u8],
        session: &mut Session,
    ) -> Result<(), russh::Error> {
        session.channel_success(id)?;
        if let Trick::Says(text) = self.trick {
            session.data(id, text.as_bytes().to_vec())?;
            session.close(id)?;
        }
        Ok(())
    }

    async fn data(
        &mut self,
        id: ChannelId,
        data: &[u8],
        session: &mut Session,
    ) -> Result<(), russh::Error> {
        if self.trick == Trick::Echo {
            session.data(id, data.to_vec())?;
        }
        Ok(())
    }
}

/// SFTP over real files.
struct Files {
    trick: Trick,
    open: HashMap<String, (fs::File, PathBuf)>,
    next: u32,
    listed: bool,
}

impl Default for Files {
    fn default() -> Self {
        Self {
            trick: Trick::None,
            open: HashMap::new(),
            next: 0,
            listed: false,
        }
    }
}

fn attributes(metadata: &fs::Metadata) -> FileAttributes {
    FileAttributes {
        size: Some(metadata.size()),
        uid: Some(metadata.uid()),
        gid: Some(metadata.gid()),
        permissions: Some(metadata.mode()),
        atime: Some(0),
        mtime: Some(0),
        ..FileAttributes::empty()
    }
}

fn code(error: &std::io::Error) -> StatusCode {
    match error.kind() {
        std::io::ErrorKind::NotFound => StatusCode::NoSuchFile,
        std::io::ErrorKind::PermissionDenied => StatusCode::PermissionDenied,
        _ => StatusCode::Failure,
    }
}

fn ok(id: u32) -> Status {
    Status {
        id,
        status_code: StatusCode::Ok,
        error_message: String::new(),
        language_tag: String::new(),
    }
}

impl Files {
    fn of(&self, handle: &str) -> Result<&(fs::File, PathBuf), StatusCode> {
        self.open.get(handle).ok_or(StatusCode::Failure)
    }
}

impl russh_sftp::server::Handler for Files {
    type Error = StatusCode;

    fn unimplemented(&self) -> StatusCode {
        StatusCode::OpUnsupported
    }

    async fn init(&mut self, _: u32, _: HashMap<String, String>) -> Result<Version, StatusCode> {
        let mut version = Version::new();
        if self.trick != Trick::NoPosixRename {
            let name = "posix-rename@openssh.com".to_owned();
            version.extensions.insert(name, "1".to_owned());
        }
        Ok(version)
    }

    async fn open(
        &mut self,
        id: u32,
        path: String,
        flags: OpenFlags,
        _: FileAttributes,
    ) -> Result<Handle, StatusCode> {
        let options: fs::OpenOptions = flags.into();
        let file = options.open(&path).map_err(|error| code(&error))?;
        self.next += 1;
        let handle = self.next.to_string();
        self.open.insert(handle.clone(), (file, path.into()));
        Ok(Handle { id, handle })
    }

    async fn close(&mut self, id: u32, handle: String) -> Result<Status, StatusCode> {
        self.open.remove(&handle);
        Ok(ok(id))
    }

    async fn read(
        &mut self,
        id: u32,
        handle: String,
        offset: u64,
        len: u32,
    ) -> Result<Data, StatusCode> {
        let len = match self.trick {
            Trick::ShortReads => len.min(1000),
            _ => len,
        };
        let mut data = vec![0; usize::try_from(len).unwrap_or(0)];
        let file = &self.of(&handle)?.0;
        let got = file
            .read_at(&mut data, offset)
            .map_err(|error| code(&error))?;
        data.truncate(got);
        if data.is_empty() {
            return Err(StatusCode::Eof);
        }
        Ok(Data { id, data })
    }

    async fn write(
        &mut self,
        id: u32,
        handle: String,
        offset: u64,
        data: Vec<u8>,
    ) -> Result<Status, StatusCode> {
        let file = &self.of(&handle)?.0;
        file.write_all_at(&data, offset)
            .map_err(|error| code(&error))?;
        Ok(ok(id))
    }

    async fn lstat(&mut self, id: u32, path: String) -> Result<Attrs, StatusCode> {
        let metadata = fs::symlink_metadata(path).map_err(|error| code(&error))?;
        let attrs = attributes(&metadata);
        Ok(Attrs { id, attrs })
    }

    async fn stat(&mut self, id: u32, path: String) -> Result<Attrs, StatusCode> {
        let attrs = attributes(&fs::metadata(path).map_err(|error| code(&error))?);
        Ok(Attrs { id, attrs })
    }

    async fn fstat(&mut self, id: u32, handle: String) -> Result<Attrs, StatusCode> {
        let metadata = self.of(&handle)?.0.metadata();
        let attrs = attributes(&metadata.map_err(|error| code(&error))?);
        Ok(Attrs { id, attrs })
    }

    async fn fsetstat(
        &mut self,
        id: u32,
        handle: String,
        attrs: FileAttributes,
    ) -> Result<Status, StatusCode> {
        if let Some(mode) = attrs.permissions {
            let mode = fs::Permissions::from_mode(mode);
            let file = &self.of(&handle)?.0;
            file.set_permissions(mode).map_err(|error| code(&error))?;
        }
        Ok(ok(id))
    }

    async fn opendir(&mut self, id: u32, handle: String) -> Result<Handle, StatusCode> {
        self.listed = false;
        Ok(Handle { id, handle })
    }

    async fn readdir(&mut self, id: u32, _: String) -> Result<Name, StatusCode> {
        if std::mem::replace(&mut self.listed, true) {
            return Err(StatusCode::Eof);
        }
        let mut names = vec![".".to_owned(), "..".to_owned(), "fine".to_owned()];
        if let Trick::Name(name) = &self.trick {
            names.push(name.clone());
        }
        let files = names
            .into_iter()
            .map(|name| File::new(name, FileAttributes::empty()))
            .collect();
        Ok(Name { id, files })
    }

    async fn remove(&mut self, id: u32, path: String) -> Result<Status, StatusCode> {
        fs::remove_file(path).map_err(|error| code(&error))?;
        Ok(ok(id))
    }

    async fn realpath(&mut self, id: u32, path: String) -> Result<Name, StatusCode> {
        let path = fs::canonicalize(path).map_err(|error| code(&error))?;
        let files = vec![File::dummy(path.to_string_lossy())];
        Ok(Name { id, files })
    }

    async fn extended(&mut self, id: u32, _: String, data: Vec<u8>) -> Result<Packet, StatusCode> {
        let names = strings(&data);
        let [from, to] = names.as_slice() else {
            return Err(StatusCode::BadMessage);
        };
        if self.trick == Trick::DiesInRename {
            // The session's task ends with this, and the channel with it.
            fs::rename(from, to).map_err(|error| code(&error))?;
            std::future::pending::<()>().await;
        }
        if self.trick == Trick::LateEdit {
            fs::write(to, "late edit").map_err(|error| code(&error))?;
        }
        fs::rename(from, to).map_err(|error| code(&error))?;
        if self.trick == Trick::EarlyEdit {
            fs::write(to, "early edit").map_err(|error| code(&error))?;
        }
        Ok(Packet::Status(ok(id)))
    }
}

/// Strings of a request (RFC 4251 section 5).
fn strings(mut data: &[u8]) -> Vec<String> {
    let mut strings = Vec::new();
    while let Some((length, rest)) = data.split_first_chunk::<4>() {
        let length = usize::try_from(u32::from_be_bytes(*length)).unwrap_or(0);
        let (string, rest) = rest.split_at(length.min(rest.len()));
        strings.push(String::from_utf8_lossy(string).into_owned());
        data = rest;
    }
    strings
}

fn plan(path: &Path, old: &[u8]) -> WritePlan {
    WritePlan {
        path: path.to_string_lossy().into_owned(),
        content: b"ours".to_vec(),
        mode: 0o640,
        owner: None,
        found: None,
        expect: Expect::Sha256(
            Sha256::digest(old)
                .iter()
                .map(|b| format!("{b:02x}"))
                .collect(),
        ),
        kind: WriteKind::Atomic,
        temporary: ".openshell-0123456789abcdef.tmp".to_owned(),
    }
}

#[tokio::test]
async fn impossible_names_are_not_used() {
    for name in ["../evil", "a/b", "/etc/passwd", "", "nul\0"] {
        let server = Server::start(Trick::Name(name.to_owned())).await;
        let sftp = server.connect().await.sftp().await.expect("SFTP is there");
        let refused = sftp.list("/").await;
        assert!(
            matches!(&refused, Err(SshError::Sftp(SftpError::HostileName { name: shown, .. })) if shown == name),
            "{name:?}: {refused:?}"
        );
        assert!(sftp.walk("/", true, 10, 10).await.is_err(), "{name:?}");
    }
    let server = Server::start(Trick::None).await;
    let sftp = server.connect().await.sftp().await.expect("SFTP is there");
    let names: Vec<String> = sftp
        .list("/")
        .await
        .expect("it is readable")
        .into_iter()
        .map(|entry| entry.name)
        .collect();
    assert_eq!(names, ["fine"]);
}

#[tokio::test]
async fn short_reads_leave_no_gaps() {
    let server = Server::start(Trick::ShortReads).await;
    let content: Vec<u8> = (0..200_000_u32).map(|n| (n % 253) as u8).collect();
    let path = server.file(&content);
    let sftp = server.connect().await.sftp().await.expect("SFTP is there");
    let (whole, _) = sftp
        .read_whole(&path.to_string_lossy(), 1 << 20)
        .await
        .expect("it is readable");
    assert!(
        whole == content,
        "{} bytes of {}",
        whole.len(),
        content.len()
    );
    let (part, _) = sftp
        .read_range(&path.to_string_lossy(), 12_345, 70_000)
        .await
        .expect("it is readable");
    assert!(part == content[12_345..82_345]);
}

#[tokio::test]
async fn a_change_that_slipped_in_is_kept_and_reported() {
    let table = [
        (Trick::None, None, &b"ours"[..]),
        (
            Trick::LateEdit,
            Some(Drift::Overwritten(b"late edit".to_vec())),
            b"ours",
        ),
        (
            Trick::EarlyEdit,
            Some(Drift::Replaced(b"early edit".to_vec())),
            b"early edit",
        ),
    ];
    for (trick, drift, left) in table {
        let server = Server::start(trick.clone()).await;
        let path = server.file(b"judged");
        let sftp = server.connect().await.sftp().await.expect("SFTP is there");
        let outcome = sftp
            .write_atomic(&plan(&path, b"judged"))
            .await
            .expect("the rename happens");
        assert_eq!(outcome.drift, drift, "{trick:?}");
        assert!(!outcome.synced, "the server offers no fsync");
        assert_eq!(fs::read(&path).expect("own file"), left, "{trick:?}");
    }
}

#[tokio::test]
async fn without_an_atomic_rename_nothing_is_written() {
    let server = Server::start(Trick::NoPosixRename).await;
    let path = server.file(b"judged");
    let sftp = server.connect().await.sftp().await.expect("SFTP is there");
    let refused = sftp.write_atomic(&plan(&path, b"judged")).await;
    assert!(
        matches!(refused, Err(SshError::Sftp(SftpError::NotAsPlanned { .. }))),
        "{refused:?}"
    );
    assert_eq!(fs::read(&path).expect("own file"), b"judged");
    let parent = path.parent().expect("it has one");
    assert_eq!(fs::read_dir(parent).expect("it exists").count(), 1);
}

#[tokio::test]
async fn a_rename_without_an_answer_may_have_happened() {
    let server = Server::start(Trick::DiesInRename).await;
    let path = server.file(b"judged");
    let connection = server.connect().await;
    let sftp = connection.sftp().await.expect("SFTP is there");
    let write = tokio::spawn({
        let plan = plan(&path, b"judged");
        async move { sftp.write_atomic(&plan).await }
    });
    crate::ssh_support::eventually("the rename happens", || {
        fs::read(&path).is_ok_and(|content| content == b"ours")
    })
    .await;
    connection.close().await;
    let unknown = write.await.expect("it does not panic");
    // Whether the temporary file is still there cannot be asked either.
    let Err(SshError::Sftp(SftpError::LeftBehind { ref source, .. })) = unknown else {
        panic!("{unknown:?}");
    };
    assert!(
        matches!(**source, SftpError::Lost { changed: true }),
        "{unknown:?}"
    );
}

#[tokio::test]
async fn what_is_no_posix_shell_gets_no_command() {
    for trick in [
        Trick::Echo,
        Trick::Says(""),
        Trick::Says("Welcome to RouterOS\r\n> "),
    ] {
        let server = Server::start(trick.clone()).await;
        let connection = server.connect().await;
        let refused = connection
            .exec(request(script("secret-command")), CancellationToken::new())
            .await;
        assert!(
            matches!(refused, Err(SshError::NoPosixShell { .. })),
            "{trick:?}: {refused:?}"
        );
    }
}
