//! Configuration files as they are read: blocks, and the files they include.
//!
//! Invariant: `Include` ends, by depth and by number of files. A file that is
//! missing or unreadable under `Include` is no error, as in ssh(1); one that is not
//! text, or holds a line that makes no sense, is. What a directive means is not
//! known here.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::line::{self, Line};
use super::tokens::{Surroundings, in_home};
use crate::ssh::known_hosts::glob;

/// Deepest `Include`, as in OpenSSH (`READCONF_MAX_DEPTH`).
const DEPTH_MAX: usize = 16;
/// Most files read for one configuration.
const FILES_MAX: usize = 1000;
/// Largest file read, in bytes.
const SIZE_MAX: u64 = 4 * 1024 * 1024;

/// Why a configuration cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("{} cannot be read: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A line makes no sense.
    #[error("{}, line {line}: {reason}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
        /// What is wrong.
        reason: String,
    },
    /// Files include each other without end, or too many.
    #[error("{}: more than {limit} files, or {DEPTH_MAX} deep, are included", path.display())]
    TooMany {
        /// The file at which it was too much.
        path: PathBuf,
        /// Most files read.
        limit: usize,
    },
}

/// A configuration with everything it includes.
#[derive(Debug, Clone)]
pub struct Config {
    pub(super) root: Source,
}

/// One file.
#[derive(Debug, Clone)]
pub(super) struct Source {
    pub(super) path: PathBuf,
    pub(super) statements: Vec<(usize, Statement)>,
}

#[derive(Debug, Clone)]
pub(super) enum Statement {
    Host(Vec<String>),
    Match(Vec<String>),
    Include(Vec<Source>),
    Set(Line),
}

impl Config {
    /// Reads a file and what it includes.
    ///
    /// # Errors
    /// [`ConfigError`] where the file cannot be read, a line makes no sense, or
    /// files include each other without end.
    pub fn read(path: &Path, surroundings: &Surroundings) -> Result<Self, ConfigError> {
        let text = read(path).map_err(|source| ConfigError::Unreadable {
            path: path.to_owned(),
            source,
        })?;
        let mut files = 0;
        Ok(Self {
            root: parse(path, &text, surroundings, 0, &mut files)?,
        })
    }

    /// The hosts that are named outright, in order and none twice: names without
    /// a wildcard or a negation.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        let mut names = Vec::new();
        collect(&self.root, &mut names);
        names
    }
}

fn collect(source: &Source, names: &mut Vec<String>) {
    for (_, statement) in &source.statements {
        match statement {
            Statement::Host(patterns) => {
                for pattern in patterns {
                    let plain = !pattern.contains(['*', '?', '!']);
                    if plain && !names.contains(pattern) {
                        names.push(pattern.clone());
                    }
                }
            }
            Statement::Include(sources) => {
                sources.iter().for_each(|source| collect(source, names));
            }
            Statement::Match(_) | Statement::Set(_) => {}
        }
    }
}

fn read(path: &Path) -> std::io::Result<String> {
    let meta = fs::metadata(path)?;
    if !meta.is_file() {
        return Err(std::io::Error::other("it is not a file"));
    }
    if meta.len() > SIZE_MAX {
        return Err(std::io::Error::other("it is too large"));
    }
    fs::read_to_string(path)
}

fn parse(
    path: &Path,
    text: &str,
    surroundings: &Surroundings,
    depth: usize,
    files: &mut usize,
) -> Result<Source, ConfigError> {
    *files += 1;
    if depth > DEPTH_MAX || *files > FILES_MAX {
        return Err(ConfigError::TooMany {
            path: path.to_owned(),
            limit: FILES_MAX,
        });
    }
    let mut statements = Vec::new();
    for (index, raw) in text.split('\n').enumerate() {
        let malformed = |reason: &str| ConfigError::Malformed {
            path: path.to_owned(),
            line: index + 1,
            reason: reason.to_owned(),
        };
        let Some(line) = line::parse(raw).map_err(malformed)? else {
            continue;
        };
        if line.words.is_empty() {
            return Err(malformed(&format!("{} lacks its argument", line.keyword)));
        }
        let statement = match line.keyword.as_str() {
            "host" => Statement::Host(line.words),
            "match" => Statement::Match(line.words),
            "include" => {
                let mut sources = Vec::new();
                for word in &line.words {
                    for path in included(word, path, surroundings).map_err(|e| malformed(&e))? {
                        match read(&path) {
                            Ok(text) => {
                                let next = depth + 1;
                                sources.push(parse(&path, &text, surroundings, next, files)?);
                            }
                            Err(error) if error.kind() == ErrorKind::InvalidData => {
                                return Err(ConfigError::Unreadable {
                                    path,
                                    source: error,
                                });
                            }
                            Err(_) => {}
                        }
                    }
                }
                Statement::Include(sources)
            }
            _ => Statement::Set(line),
        };
        statements.push((index + 1, statement));
    }
    Ok(Source {
        path: path.to_owned(),
        statements,
    })
}

/// The files a word of `Include` names, in the order of their names. Relative
/// names are those below `~/.ssh`, or below `/etc/ssh` for a system's file.
fn included(word: &str, from: &Path, surroundings: &Surroundings) -> Result<Vec<PathBuf>, String> {
    let word = surroundings.environment(word)?;
    let mut path = in_home(&word, &surroundings.home)?;
    if path.is_relative() {
        let base = if from.starts_with("/etc/ssh") {
            PathBuf::from("/etc/ssh")
        } else {
            surroundings.home.join(".ssh")
        };
        path = base.join(path);
    }
    let mut found = vec![PathBuf::new()];
    for part in path.components() {
        let part = part.as_os_str();
        let pattern = part.to_string_lossy();
        if !pattern.contains(['*', '?']) {
            found.iter_mut().for_each(|place| place.push(part));
            continue;
        }
        let mut next = Vec::new();
        for place in found {
            let entries = fs::read_dir(&place).into_iter().flatten().flatten();
            let mut names: Vec<_> = entries
                .map(|entry| entry.file_name())
                .filter(|name| {
                    let name = name.as_encoded_bytes();
                    (!name.starts_with(b".") || pattern.starts_with('.'))
                        && glob(pattern.as_bytes(), name)
                })
                .collect();
            names.sort();
            next.extend(names.into_iter().map(|name| place.join(name)));
        }
        found = next;
    }
    Ok(found)
}
