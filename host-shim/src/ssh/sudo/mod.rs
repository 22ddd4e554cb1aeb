//! Files of a server as root sees and writes them, through `sudo -n`.
//!
//! Invariant: root's shell gets a constant text and quoted parameters, content
//! comes from a private directory of the login's account and is hashed again by
//! root before it is used, and a file is replaced by renaming a complete one over
//! it or stays what it was. It deliberately never falls back to the login's own
//! rights, types no password, and follows no link that was not resolved before.
//!
//! What it cannot know: access control lists, extended attributes and hard links,
//! which a replaced file does not keep.

mod script;

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::connection::Connection;
use super::error::SshError;
use super::exec::{End, ExecRequest, Program};
use super::sftp::{
    Attrs, Cleared, Expect, FileAccess, FileKind, SftpError, WritePlan, check_temporary,
};
use crate::fault::{self, Point};

/// How long one of the scripts may take; none does more than copy a file.
const LIMIT: Duration = Duration::from_secs(120);

/// Bytes of an answer besides the content of a file.
const HEADER: usize = 16 << 10;

/// Characters of what sudo said that are passed on.
const SAID_MAX: usize = 400;

/// Why sudo did not do it. Nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SudoError {
    /// sudo is not there, or does not let the account do it without a password.
    #[error("sudo -n does not let us: {said}")]
    Denied {
        /// What it said, shortened.
        said: String,
    },
    /// The server lacks a tool the scripts rest on.
    #[error("{path} cannot be looked at as root: {said}")]
    NoTools {
        /// The path.
        path: String,
        /// What the shell said, shortened.
        said: String,
    },
    /// A step failed.
    #[error("{path} was not changed: {step} failed{}{said}", if said.is_empty() { "" } else { ": " })]
    Failed {
        /// The path.
        path: String,
        /// Which step.
        step: String,
        /// What the tool said, shortened.
        said: String,
    },
}

/// What root finds under a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Absolute name after every symbolic link was followed.
    pub resolved: String,
    /// Content and attributes; none where there is nothing.
    pub file: Option<(Vec<u8>, Attrs)>,
}

/// How putting a file in place ended.
#[derive(Debug)]
pub struct Installed {
    /// Whether the file is in place.
    pub result: Result<(), SshError>,
    /// Whether staged content, or root's temporary file, may still be on the server.
    pub left_behind: bool,
}

/// Files of a server, as root.
#[derive(Clone, Debug)]
pub struct RootFiles {
    connection: Arc<Connection>,
}

/// An answer of a script, without its mark.
struct Answer {
    stdout: Vec<u8>,
    stderr: String,
    cut: bool,
}

impl RootFiles {
    /// Root's view over a connection.
    #[must_use]
    pub fn new(connection: Arc<Connection>) -> Self {
        Self { connection }
    }

    /// Whether sudo lets us, without changing or reading anything.
    ///
    /// # Errors
    /// [`SudoError::Denied`], or a lost connection.
    pub async fn check(&self) -> Result<(), SshError> {
        self.run(script::LOOK, &["/", "0"], HEADER, false)
            .await
            .map(drop)
    }

    /// Resolves a path and reads what is there, up to `limit` bytes.
    ///
    /// # Errors
    /// [`SudoError`], [`SftpError::NotAFile`], [`SftpError::TooLarge`],
    /// [`SftpError::NoSuchFile`] for a missing directory, or a lost connection.
    pub async fn look(&self, path: &str, limit: u64) -> Result<Seen, SshError> {
        plain(path)?;
        let most = limit.to_string();
        let keep = usize::try_from(limit).unwrap_or(usize::MAX - HEADER) + HEADER;
        let answer = self.run(script::LOOK, &[path, &most], keep, false).await?;
        let path = path.to_owned();
        let (word, rest) = line(&answer.stdout);
        match word {
            "absent" => Ok(Seen {
                resolved: line(rest).0.to_owned(),
                file: None,
            }),
            "file" if !answer.cut => {
                let (resolved, rest) = line(rest);
                let (facts, rest) = line(rest);
                let (owner, rest) = line(rest);
                let (group, content) = line(rest);
                let attrs = attrs(facts, owner, group)
                    .ok_or_else(|| SshError::Protocol(format!("stat(1) printed {facts:?}")))?;
                Ok(Seen {
                    resolved: resolved.to_owned(),
                    file: Some((content.to_vec(), attrs)),
                })
            }
            "not-a-file" => Err(SftpError::NotAFile { path }.into()),
            "no-directory" => Err(SftpError::NoSuchFile { path }.into()),
            "no-tools" => Err(SudoError::NoTools {
                path,
                said: answer.stderr,
            }
            .into()),
            "unresolved" => Err(SftpError::Failure {
                path,
                message: "root cannot follow it to a name".to_owned(),
            }
            .into()),
            _ => {
                let size = word.strip_prefix("too-large ");
                let size = size.and_then(|size| size.parse().ok());
                Err(SftpError::TooLarge {
                    path,
                    size: size.unwrap_or(limit + 1),
                    limit,
                }
                .into())
            }
        }
    }

    /// Carries out a plan by way of a directory of the name `staging`. `owner` of the
    /// plan is given to the file; a new file without one is root's. Fails with
    /// [`SudoError`] and [`SftpError::Conflict`] where nothing was written, with
    /// [`SftpError::Lost`] and `changed` where it may have been.
    pub async fn install(&self, plan: &WritePlan, staging: &str, sha256: &str) -> Installed {
        let begun = async {
            plain(&plan.path)?;
            check_temporary(&plan.temporary)?;
            self.connection.sftp().await
        };
        let sftp = match begun.await {
            Ok(sftp) => sftp,
            Err(error) => {
                return Installed {
                    result: Err(error),
                    left_behind: false,
                };
            }
        };
        let staged = sftp.stage(staging, &plan.temporary, &plan.content).await;
        let begins = staged.is_ok();
        let result = match staged {
            Ok(staged) => self.put_in_place(plan, &staged.file, sha256).await,
            Err(error) => Err(error),
        };
        fault::reach(Point::InstallDone);
        // Root's script removes its own file where it comes to its end; where its
        // answer is lost nobody knows whether it did.
        let told = matches!(
            &result,
            Ok(()) | Err(SshError::Sudo(_) | SshError::Sftp(SftpError::Conflict { .. }))
        );
        let cleared = sftp.clear_staging(staging, &plan.temporary).await;
        fault::reach(Point::Unstaged);
        Installed {
            result,
            left_behind: (begins && !told) || cleared.is_err(),
        }
    }

    async fn put_in_place(
        &self,
        plan: &WritePlan,
        staged: &str,
        sha256: &str,
    ) -> Result<(), SshError> {
        let (uid, gid) = plan.owner.unwrap_or((0, 0));
        let (mode, uid, gid) = (format!("{:o}", plan.mode), uid.to_string(), gid.to_string());
        let base = match &plan.expect {
            Expect::Absent => "absent",
            Expect::Sha256(sha256) => sha256,
        };
        let access = plan.found.map_or_else(String::new, |it| it.to_string());
        let parameters = [
            staged,
            &plan.path,
            &mode,
            &uid,
            &gid,
            base,
            sha256,
            &plan.temporary,
            &access,
        ];
        fault::reach(Point::InstallBefore);
        let answer = self.run(script::INSTALL, &parameters, HEADER, true).await?;
        conclude(&plan.path, &answer)
    }

    /// Removes what an interrupted [`RootFiles::install`] may have left beside a
    /// target, by the name on record.
    ///
    /// # Errors
    /// [`SftpError::InvalidPath`] for a name that is not of a temporary file,
    /// [`SudoError`], or a lost connection.
    pub async fn clear(&self, target: &str, temporary: &str) -> Result<Cleared, SshError> {
        plain(target)?;
        check_temporary(temporary)?;
        let parameters = [target, temporary];
        fault::reach(Point::RootClearBefore);
        let answer = self.run(script::CLEAR, &parameters, HEADER, true).await?;
        fault::reach(Point::RootCleared);
        match line(&answer.stdout).0 {
            "removed" => Ok(Cleared::Removed),
            "absent" => Ok(Cleared::Absent),
            _ => Err(SudoError::Failed {
                path: target.to_owned(),
                step: "rm".to_owned(),
                said: answer.stderr,
            }
            .into()),
        }
    }

    /// Removes a file that is still what it was.
    ///
    /// # Errors
    /// [`SudoError`] and [`SftpError::Conflict`] with nothing removed;
    /// [`SftpError::Lost`] with `changed` where it may have been.
    pub async fn remove(
        &self,
        path: &str,
        sha256: &str,
        access: Option<FileAccess>,
    ) -> Result<(), SshError> {
        plain(path)?;
        let access = access.map_or_else(String::new, |it| it.to_string());
        fault::reach(Point::RootRemoveBefore);
        let answer = self
            .run(script::REMOVE, &[path, sha256, &access], HEADER, true)
            .await?;
        fault::reach(Point::RootRemoved);
        conclude(path, &answer)
    }

    async fn run(
        &self,
        script: &str,
        parameters: &[&str],
        keep: usize,
        changes: bool,
    ) -> Result<Answer, SshError> {
        let words = [
            "sudo",
            "-n",
            "-u",
            "root",
            "--",
            "/bin/sh",
            "-c",
            script,
            "openshell",
        ];
        let argv = words.iter().chain(parameters).map(ToString::to_string);
        let request = ExecRequest {
            program: Program::Argv(argv.collect()),
            cwd: None,
            timeout: LIMIT,
            head_limit: keep,
            tail_limit: 0,
            mark: None,
        };
        // Once it is under way it comes to its end: what a cancelled script did
        // would have to be found out.
        let outcome = self
            .connection
            .exec(request, CancellationToken::new())
            .await?;
        let stderr = shortened(&String::from_utf8_lossy(&outcome.stderr.head));
        let marked = outcome
            .stdout
            .head
            .strip_prefix(script::MARK.as_bytes())
            .and_then(|rest| rest.strip_prefix(b"\n"));
        match (outcome.end, marked) {
            (End::Exit(0), Some(rest)) => Ok(Answer {
                stdout: rest.to_vec(),
                stderr,
                cut: outcome.stdout.total > outcome.stdout.head.len() as u64,
            }),
            (End::Exit(_) | End::Signal(_), None) => Err(SudoError::Denied { said: stderr }.into()),
            // It began and did not say how it went.
            _ => Err(SftpError::Lost { changed: changes }.into()),
        }
    }
}

fn conclude(path: &str, answer: &Answer) -> Result<(), SshError> {
    let (said, _) = line(&answer.stdout);
    if said == "done" {
        return Ok(());
    }
    let path = path.to_owned();
    Err(match said.split_once(' ') {
        Some(("conflict", what)) => SftpError::Conflict {
            path,
            found: match what {
                "exists" => "it exists now",
                "link" => "it is a symbolic link now",
                "gone" => "it is gone",
                "directory" => "its directory is another now",
                "access" => "its mode or owner is another",
                _ => "its content is another",
            }
            .to_owned(),
        }
        .into(),
        Some(("failed", step)) => SudoError::Failed {
            path,
            step: step.to_owned(),
            said: answer.stderr.clone(),
        }
        .into(),
        _ => SftpError::Lost { changed: true }.into(),
    })
}

/// Refuses paths whose lines could not be told apart in an answer.
fn plain(path: &str) -> Result<(), SshError> {
    let last = path.rsplit('/').next().unwrap_or_default();
    let reason = if !path.starts_with('/') {
        "the path to write must be absolute"
    } else if path.contains(['\n', '\0']) {
        "a path with a line break is not worked on as root"
    } else if matches!(last, "" | "." | "..") {
        "it does not name a file"
    } else {
        return Ok(());
    };
    Err(SftpError::InvalidPath {
        path: path.to_owned(),
        reason,
    }
    .into())
}

/// The first line, and what follows it.
fn line(bytes: &[u8]) -> (&str, &[u8]) {
    let end = bytes.iter().position(|byte| *byte == b'\n');
    let (line, rest) = match end {
        Some(end) => (&bytes[..end], &bytes[end + 1..]),
        None => (bytes, &[][..]),
    };
    (std::str::from_utf8(line).unwrap_or_default(), rest)
}

/// Mode (octal), owner, group, size and time, as `stat -c '%a %u %g %s %Y'` says.
fn attrs(facts: &str, owner: &str, group: &str) -> Option<Attrs> {
    let mut words = facts.split(' ');
    let name = |text: &str| Some(text.to_owned()).filter(|text| text != "UNKNOWN");
    Some(Attrs {
        kind: FileKind::File,
        mode: u32::from_str_radix(words.next()?, 8).ok()?,
        uid: words.next()?.parse().ok()?,
        gid: words.next()?.parse().ok()?,
        size: words.next()?.parse().ok()?,
        mtime: words.next()?.parse().ok()?,
        owner: name(owner),
        group: name(group),
    })
}

fn shortened(text: &str) -> String {
    let text = text.trim();
    let text = text.strip_prefix("sudo: ").unwrap_or(text);
    if text.is_empty() {
        return "it ended without a word".to_owned();
    }
    text.chars().take(SAID_MAX).collect()
}
