//! SFTP version 3 (draft-ietf-secsh-filexfer-02) over the root directory.
//!
//! Invariant: every path goes through [`Root`] before it is used, and what is
//! opened is opened without following a link. Files are local and small, so the
//! calls block; nothing else shares the channel.
//!
//! Making links is not supported: the story needs none, and without them a
//! client cannot lay an escape for a later command.

use std::collections::HashMap;
use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt, PermissionsExt, chown, fchown};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use russh_sftp::protocol::{
    Attrs, Data, File as Entry, FileAttributes, Handle, Name, OpenFlags, Packet, Status,
    StatusCode, Version,
};
use russh_sftp::server::{Handler, StatusReply};
use rustix::fs::OFlags;
use tokio::sync::oneshot;

use super::confine::{Refusal, Root};
use super::extension::{self, Extension};
use super::listing::{Names, attributes};

/// Most bytes answered to one read.
const MAX_READ: u32 = 128 * 1024;
/// Most handles open at a time on one channel.
const MAX_HANDLES: usize = 100;
/// Most names in one answer.
const MAX_NAMES: usize = 100;
/// Permission bits a client may set.
const MODE: u32 = 0o7777;

/// What a handle stands for.
enum Open {
    File(File),
    /// The names still to be sent, the next one last.
    Directory(Vec<Entry>),
}

/// One SFTP channel.
pub(super) struct Sftp {
    root: Arc<Root>,
    open: HashMap<String, Open>,
    next: u64,
    /// Dropped with this value, which tells the other end.
    _ended: oneshot::Sender<()>,
}

impl From<Refusal> for StatusReply {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Outside => StatusCode::PermissionDenied
                .with_message("outside the directory of the demonstration"),
            Refusal::Io(error) => error_reply(error),
        }
    }
}

fn error_reply(error: io::Error) -> StatusReply {
    let code = match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => StatusCode::NoSuchFile,
        io::ErrorKind::PermissionDenied => StatusCode::PermissionDenied,
        _ => StatusCode::Failure,
    };
    code.with_message(error.to_string())
}

/// An answer that says no more than "done".
fn done(id: u32) -> Status {
    Status {
        id,
        status_code: StatusCode::Ok,
        error_message: "Success".to_owned(),
        language_tag: String::new(),
    }
}

type Reply<T> = Result<T, StatusReply>;

impl Sftp {
    /// Serves `root`; `ended` is dropped when the channel is over.
    pub(super) fn new(root: Arc<Root>, ended: oneshot::Sender<()>) -> Self {
        Self {
            root,
            open: HashMap::new(),
            next: 0,
            _ended: ended,
        }
    }

    fn keep(&mut self, id: u32, open: Open) -> Reply<Handle> {
        if self.open.len() >= MAX_HANDLES {
            return Err(StatusCode::Failure.with_message("too many open handles"));
        }
        // Never used again, so a late request cannot reach another file.
        let handle = self.next.to_string();
        self.next += 1;
        self.open.insert(handle.clone(), open);
        Ok(Handle { id, handle })
    }

    fn file(&self, handle: &str) -> Reply<&File> {
        match self.open.get(handle) {
            Some(Open::File(file)) => Ok(file),
            _ => Err(StatusCode::Failure.with_message("no such file handle")),
        }
    }
}

fn time(seconds: Option<u32>) -> Option<std::time::SystemTime> {
    seconds.map(|seconds| UNIX_EPOCH + Duration::from_secs(u64::from(seconds)))
}

fn set_times(file: &File, attrs: &FileAttributes) -> io::Result<()> {
    let mut times = fs::FileTimes::new();
    if let Some(time) = time(attrs.atime) {
        times = times.set_accessed(time);
    }
    if let Some(time) = time(attrs.mtime) {
        times = times.set_modified(time);
    }
    file.set_times(times)
}

/// Sets what a client asks for on an open file, in OpenSSH's order.
fn set_on_file(file: &File, attrs: &FileAttributes) -> io::Result<()> {
    if let Some(size) = attrs.size {
        file.set_len(size)?;
    }
    if let Some(mode) = attrs.permissions {
        file.set_permissions(Permissions::from_mode(mode & MODE))?;
    }
    if attrs.atime.is_some() || attrs.mtime.is_some() {
        set_times(file, attrs)?;
    }
    if attrs.uid.is_some() || attrs.gid.is_some() {
        fchown(file, attrs.uid, attrs.gid)?;
    }
    Ok(())
}

/// The same by name, for files that cannot be opened.
fn set_on_path(path: &Path, attrs: &FileAttributes) -> io::Result<()> {
    if let Some(size) = attrs.size {
        options().write(true).open(path)?.set_len(size)?;
    }
    if let Some(mode) = attrs.permissions {
        fs::set_permissions(path, Permissions::from_mode(mode & MODE))?;
    }
    if attrs.atime.is_some() || attrs.mtime.is_some() {
        set_times(&options().read(true).open(path)?, attrs)?;
    }
    if attrs.uid.is_some() || attrs.gid.is_some() {
        chown(path, attrs.uid, attrs.gid)?;
    }
    Ok(())
}

/// Options that follow no link and wait for no other end of a pipe.
fn options() -> OpenOptions {
    let flags = OFlags::NOFOLLOW | OFlags::NOCTTY | OFlags::NONBLOCK;
    let mut options = OpenOptions::new();
    options.custom_flags(flags.bits().cast_signed());
    options
}

impl Handler for Sftp {
    type Error = StatusReply;

    fn unimplemented(&self) -> StatusReply {
        StatusCode::OpUnsupported.into()
    }

    async fn init(&mut self, _: u32, _: HashMap<String, String>) -> Reply<Version> {
        let mut version = Version::new();
        version.extensions = extension::offered();
        Ok(version)
    }

    async fn realpath(&mut self, id: u32, path: String) -> Reply<Name> {
        // As in OpenSSH, the last name need not exist.
        let real = match self.root.existing(&path) {
            Err(Refusal::Io(_)) => self.root.entry(&path)?,
            other => other?,
        };
        Ok(Name {
            id,
            files: vec![Entry::dummy(real.to_string_lossy())],
        })
    }

    async fn lstat(&mut self, id: u32, path: String) -> Reply<Attrs> {
        let meta = fs::symlink_metadata(self.root.entry(&path)?).map_err(error_reply)?;
        Ok(Attrs {
            id,
            attrs: attributes(&meta),
        })
    }

    async fn stat(&mut self, id: u32, path: String) -> Reply<Attrs> {
        let meta = fs::metadata(self.root.existing(&path)?).map_err(error_reply)?;
        Ok(Attrs {
            id,
            attrs: attributes(&meta),
        })
    }

    async fn fstat(&mut self, id: u32, handle: String) -> Reply<Attrs> {
        let meta = self.file(&handle)?.metadata().map_err(error_reply)?;
        Ok(Attrs {
            id,
            attrs: attributes(&meta),
        })
    }

    async fn readlink(&mut self, id: u32, path: String) -> Reply<Name> {
        let target = fs::read_link(self.root.entry(&path)?).map_err(error_reply)?;
        Ok(Name {
            id,
            files: vec![Entry::dummy(target.to_string_lossy())],
        })
    }

    async fn opendir(&mut self, id: u32, path: String) -> Reply<Handle> {
        let path = self.root.existing(&path)?;
        let names = Names::load();
        let now = jiff::Timestamp::now().as_second();
        let mut entries = Vec::new();
        let mut list = |name: String, path: &Path| {
            // A file that vanished meanwhile is left out, as ls(1) would.
            if let Ok(meta) = fs::symlink_metadata(path) {
                let longname = names.line(&name, &meta, now);
                entries.push(Entry {
                    filename: name,
                    longname,
                    attrs: attributes(&meta),
                });
            }
        };
        list(".".to_owned(), &path);
        list("..".to_owned(), path.parent().unwrap_or(&path));
        for entry in fs::read_dir(&path).map_err(error_reply)? {
            let entry = entry.map_err(error_reply)?;
            list(
                entry.file_name().to_string_lossy().into_owned(),
                &entry.path(),
            );
        }
        entries.reverse();
        self.keep(id, Open::Directory(entries))
    }

    async fn readdir(&mut self, id: u32, handle: String) -> Reply<Name> {
        let Some(Open::Directory(entries)) = self.open.get_mut(&handle) else {
            return Err(StatusCode::Failure.with_message("no such directory handle"));
        };
        let from = entries.len().saturating_sub(MAX_NAMES);
        let mut files = entries.split_off(from);
        files.reverse();
        if files.is_empty() {
            Err(StatusCode::Eof.into())
        } else {
            Ok(Name { id, files })
        }
    }

    async fn open(
        &mut self,
        id: u32,
        filename: String,
        flags: OpenFlags,
        attrs: FileAttributes,
    ) -> Reply<Handle> {
        let create = flags.contains(OpenFlags::CREATE);
        let exclusive = create && flags.contains(OpenFlags::EXCLUDE);
        let path = if exclusive {
            self.root.entry(&filename)?
        } else if create {
            self.root.to_open(&filename)?
        } else {
            self.root.existing(&filename)?
        };
        let file = options()
            .read(flags.contains(OpenFlags::READ))
            .write(flags.contains(OpenFlags::WRITE) && !flags.contains(OpenFlags::APPEND))
            .append(flags.contains(OpenFlags::APPEND))
            .create(create)
            .create_new(exclusive)
            .truncate(flags.contains(OpenFlags::TRUNCATE))
            .mode(attrs.permissions.unwrap_or(0o666) & MODE)
            .open(path)
            .map_err(error_reply)?;
        self.keep(id, Open::File(file))
    }

    async fn close(&mut self, id: u32, handle: String) -> Reply<Status> {
        match self.open.remove(&handle) {
            Some(_) => Ok(done(id)),
            None => Err(StatusCode::Failure.with_message("no such handle")),
        }
    }

    async fn read(&mut self, id: u32, handle: String, offset: u64, len: u32) -> Reply<Data> {
        let file = self.file(&handle)?;
        let mut data = vec![0; len.min(MAX_READ) as usize];
        let read = file.read_at(&mut data, offset).map_err(error_reply)?;
        data.truncate(read);
        if read == 0 && len > 0 {
            return Err(StatusCode::Eof.into());
        }
        Ok(Data { id, data })
    }

    async fn write(
        &mut self,
        id: u32,
        handle: String,
        offset: u64,
        data: Vec<u8>,
    ) -> Reply<Status> {
        self.file(&handle)?
            .write_all_at(&data, offset)
            .map_err(error_reply)?;
        Ok(done(id))
    }

    async fn setstat(&mut self, id: u32, path: String, attrs: FileAttributes) -> Reply<Status> {
        set_on_path(&self.root.existing(&path)?, &attrs).map_err(error_reply)?;
        Ok(done(id))
    }

    async fn fsetstat(&mut self, id: u32, handle: String, attrs: FileAttributes) -> Reply<Status> {
        set_on_file(self.file(&handle)?, &attrs).map_err(error_reply)?;
        Ok(done(id))
    }

    async fn remove(&mut self, id: u32, path: String) -> Reply<Status> {
        fs::remove_file(self.root.movable(&path)?).map_err(error_reply)?;
        Ok(done(id))
    }

    async fn rmdir(&mut self, id: u32, path: String) -> Reply<Status> {
        fs::remove_dir(self.root.movable(&path)?).map_err(error_reply)?;
        Ok(done(id))
    }

    async fn mkdir(&mut self, id: u32, path: String, attrs: FileAttributes) -> Reply<Status> {
        DirBuilder::new()
            .mode(attrs.permissions.unwrap_or(0o777) & MODE)
            .create(self.root.movable(&path)?)
            .map_err(error_reply)?;
        Ok(done(id))
    }

    async fn rename(&mut self, id: u32, from: String, to: String) -> Reply<Status> {
        let (from, to) = (self.root.movable(&from)?, self.root.movable(&to)?);
        // Version 3 does not replace a target (section 6.5 of the draft).
        if to.symlink_metadata().is_ok() {
            return Err(StatusCode::Failure.with_message("the target exists"));
        }
        fs::rename(from, to).map_err(error_reply)?;
        Ok(done(id))
    }

    async fn extended(&mut self, id: u32, request: String, data: Vec<u8>) -> Reply<Packet> {
        match Extension::parse(&request, &data) {
            Some(Extension::Rename { from, to }) => {
                let (from, to) = (self.root.movable(&from)?, self.root.movable(&to)?);
                fs::rename(from, to).map_err(error_reply)?;
            }
            Some(Extension::Fsync { handle }) => {
                self.file(&handle)?.sync_all().map_err(error_reply)?;
            }
            None => return Err(StatusCode::OpUnsupported.into()),
        }
        Ok(Packet::Status(done(id)))
    }
}
