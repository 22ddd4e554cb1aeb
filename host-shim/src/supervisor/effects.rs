//! The effects that only look: reads, metadata, walks.
//!
//! Each consumes its permit, records the attempt first, and reports what the server
//! said. Invariant: no effect begins without a permit that fits it, and none is begun a
//! second time. Running commands and writing files are deliberately elsewhere.

use super::call::Call;
use super::digest::sha256;
use super::failure::failure;
use super::permit::{Permit, Plan};
use crate::engine::contract::{
    Content, Failure, FailureCode, FileInfo, FileKind, Listing, ReadSpec, StatResult,
};
use crate::snapshots::LARGEST;
use crate::ssh::{self, SftpError, SshError};

/// Directories below the root that a walk goes down to.
const WALK_DEPTH_MAX: usize = 64;

impl Call {
    /// Reads a piece of a file.
    pub(crate) async fn read(&self, permit: Permit) -> Result<Content, Failure> {
        self.check_permit(&permit)?;
        let Plan::Read(spec) = &permit.plan else {
            return Err(self.misused("The permit is not for reading."));
        };
        self.begin_read(&permit).await?;
        if spec.sudo {
            return self.read_as_root(&permit, spec).await;
        }
        let sftp = self.sftp(&permit.connection).await?;
        self.settle_before_reading(&permit.action, &permit.connection, &sftp, &spec.path)
            .await;
        let read = async {
            let length = u64::from(spec.length);
            match sftp.read_range(&spec.path, spec.offset, length).await {
                Err(SshError::Sftp(SftpError::NotAFile { .. })) => {
                    let kind = sftp.kind(&spec.path).await;
                    Err(not_a_file(&spec.path, kind.ok()))
                }
                other => other.map_err(Failure::from),
            }
        };
        let (bytes, attributes) = self.while_wanted(read).await?;
        // Files in /proc say 0 and have content all the same; where such a piece is
        // full, more may follow.
        let read_to = spec.offset + bytes.len() as u64;
        let full = bytes.len() == spec.length as usize;
        let total_size = if attributes.size < read_to && full {
            read_to + 1
        } else {
            attributes.size.max(read_to)
        };
        let whole = spec.offset == 0 && bytes.len() as u64 >= total_size;
        let sha256 = whole.then(|| sha256(&bytes));
        permit.action.note_facts(|facts| {
            facts.execution.completed = true;
            facts.sha256.clone_from(&sha256);
        });
        Ok(Content {
            bytes,
            offset: spec.offset,
            total_size,
            sha256,
            mode: attributes.mode,
        })
    }

    /// Reads metadata.
    pub(crate) async fn stat(&self, permit: Permit) -> Result<StatResult, Failure> {
        self.check_permit(&permit)?;
        let Plan::Stat(path) = &permit.plan else {
            return Err(self.misused("The permit is not for metadata."));
        };
        self.begin_read(&permit).await?;
        let looking = async {
            let sftp = permit.connection.sftp().await?;
            // Three questions in the time of one. OpenSSH resolves a dangling link to
            // a name; only the kind tells that nothing is there.
            let asked =
                futures::future::join3(sftp.lstat(path), sftp.kind(path), sftp.realpath(path));
            let (attributes, leads_to, name) = asked.await;
            let attributes = attributes?;
            let target = match attributes.kind {
                ssh::FileKind::Symlink => Some(sftp.readlink(path).await?),
                _ => None,
            };
            let resolved = match leads_to {
                Ok(_) => Some(name?),
                Err(_) => None,
            };
            Ok::<_, SshError>((attributes, target, resolved))
        };
        let (attributes, target, resolved) = self.while_wanted(looking).await?;
        permit
            .action
            .note_facts(|facts| facts.execution.completed = true);
        Ok(StatResult {
            info: FileInfo {
                path: path.clone(),
                kind: kind(attributes.kind),
                size: attributes.size,
                mode: attributes.mode,
                mtime: attributes.mtime,
                uid: attributes.uid,
                gid: attributes.gid,
                owner: attributes.owner,
                group: attributes.group,
                target,
            },
            resolved,
        })
    }

    /// Lists a directory or a tree.
    pub(crate) async fn walk(&self, permit: Permit) -> Result<Listing, Failure> {
        self.check_permit(&permit)?;
        let Plan::Walk(spec) = &permit.plan else {
            return Err(self.misused("The permit is not for listing."));
        };
        self.begin_read(&permit).await?;
        let sftp = self.sftp(&permit.connection).await?;
        let walk = self
            .while_wanted(sftp.walk(
                &spec.path,
                spec.recursive,
                spec.limit as usize,
                WALK_DEPTH_MAX,
            ))
            .await?;
        permit
            .action
            .note_facts(|facts| facts.execution.completed = true);
        Ok(Listing {
            entries: walk
                .entries
                .into_iter()
                .map(|entry| FileInfo {
                    path: entry.path,
                    kind: kind(entry.attrs.kind),
                    size: entry.attrs.size,
                    mode: entry.attrs.mode,
                    mtime: entry.attrs.mtime,
                    uid: entry.attrs.uid,
                    gid: entry.attrs.gid,
                    owner: entry.attrs.owner,
                    group: entry.attrs.group,
                    target: entry.target,
                })
                .collect(),
            cut: walk.cut,
            unreadable: walk.unreadable,
        })
    }

    /// Records that a read begins.
    async fn begin_read(&self, permit: &Permit) -> Result<(), Failure> {
        Ok(permit
            .action
            .attempt(&permit.verdict, &permit.operation, false)
            .await?)
    }

    /// Reads a piece of a file as root. It is read whole: it is a file that is about
    /// to be changed, and those are kept whole as well.
    async fn read_as_root(&self, permit: &Permit, spec: &ReadSpec) -> Result<Content, Failure> {
        let (_, present) = self
            .look_as_root(&permit.connection, &spec.path, LARGEST)
            .await?;
        let present = present.ok_or_else(|| {
            failure(
                FailureCode::FileNotFound,
                format!("{} does not exist.", spec.path),
                "Check the path.",
            )
        })?;
        let total_size = present.content.len() as u64;
        let from = usize::try_from(spec.offset.min(total_size)).unwrap_or(usize::MAX);
        let bytes: Vec<u8> = present.content[from..]
            .iter()
            .take(spec.length as usize)
            .copied()
            .collect();
        let sha256 = (bytes.len() as u64 == total_size).then(|| sha256(&bytes));
        permit.action.note_facts(|facts| {
            facts.execution.completed = true;
            facts.sha256.clone_from(&sha256);
        });
        Ok(Content {
            bytes,
            offset: spec.offset,
            total_size,
            sha256,
            mode: present.attrs.mode,
        })
    }
}

/// Why something is not read, by what it is.
fn not_a_file(path: &str, kind: Option<ssh::FileKind>) -> Failure {
    if kind == Some(ssh::FileKind::Directory) {
        return failure(
            FailureCode::NotAFile,
            format!("{path} is a directory."),
            "remote_list_dir shows what is in it.",
        );
    }
    failure(
        FailureCode::NotAFile,
        format!("{path} is not a regular file."),
        "Devices, sockets and pipes are not read.",
    )
}

fn kind(kind: ssh::FileKind) -> FileKind {
    match kind {
        ssh::FileKind::File => FileKind::File,
        ssh::FileKind::Directory => FileKind::Directory,
        ssh::FileKind::Symlink => FileKind::Symlink,
        ssh::FileKind::Other => FileKind::Other,
    }
}
