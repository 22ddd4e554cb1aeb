//! The names in a command that runs unasked: what its patterns stand for, and
//! where its paths lead.
//!
//! The policy judges words; only the server knows which files they name. A pattern
//! is expanded here and not by a shell, and a path that leads somewhere else
//! through a symbolic link, or to a pipe or device, is judged by where it leads.
//! Between the look and the command a link can still change: who can do that has
//! the account already.
//!
//! Invariant: what is put in the place of a word is a name that was judged. It does
//! not decide on any of them.

use std::sync::Arc;

use futures::future::{join, join_all};
use globset::GlobBuilder;
use tokio::sync::OnceCell;

use super::failure::failure;
use crate::engine::contract::{Failure, FailureCode};
use crate::ssh::{Connection, FileKind, Sftp};

/// Names one file name pattern may stand for; more would not fit a command line.
const GLOB_NAMES_MAX: usize = 1_000;
/// Words looked up in one command; one with more is not everyday inspection.
const LOOKUPS_MAX: usize = 2_000;

/// Looks names up for one command.
pub(super) struct Names<'a> {
    connection: &'a Connection,
    cwd: Option<&'a str>,
    sftp: OnceCell<Arc<Sftp>>,
}

impl<'a> Names<'a> {
    /// `cwd` is the command's directory; none means the login directory.
    pub(super) fn new(connection: &'a Connection, cwd: Option<&'a str>) -> Self {
        Self {
            connection,
            cwd,
            sftp: OnceCell::new(),
        }
    }

    async fn sftp(&self) -> Result<&Arc<Sftp>, Failure> {
        self.sftp
            .get_or_try_init(|| async { Ok(self.connection.sftp().await?) })
            .await
    }

    async fn directory(&self) -> Result<String, Failure> {
        match self.cwd {
            Some(cwd) => Ok(cwd.to_owned()),
            None => Ok(self.connection.home().await?),
        }
    }

    /// Replaces words that are file name patterns by the names they stand for, in
    /// the order a shell would give them; a pattern without a match stays (POSIX.1
    /// Shell Command Language, 2.13.3).
    pub(super) async fn expand(
        &self,
        stages: &[Vec<String>],
        globs: &[(u32, u32)],
    ) -> Result<Vec<Vec<String>>, Failure> {
        let sftp = self.sftp().await?;
        let cwd = self.directory().await?;
        let mut expanded = Vec::with_capacity(stages.len());
        for (stage_index, stage) in stages.iter().enumerate() {
            let mut words = Vec::with_capacity(stage.len());
            for (word_index, word) in stage.iter().enumerate() {
                if globs.contains(&(stage_index as u32, word_index as u32)) {
                    let word = self.at_home(word).await?;
                    words.extend(expand_glob(sftp, &cwd, &word).await?);
                } else {
                    words.push(word.clone());
                }
            }
            expanded.push(words);
        }
        Ok(expanded)
    }

    /// A word whose leading `~` is replaced by the login directory.
    async fn at_home(&self, word: &str) -> Result<String, Failure> {
        match word.strip_prefix('~') {
            Some(rest) if rest.is_empty() || rest.starts_with('/') => {
                Ok(format!("{}{rest}", self.connection.home().await?))
            }
            _ => Ok(word.to_owned()),
        }
    }

    /// The commands with every path that leads elsewhere replaced by where it
    /// leads; none for a command without such a path. All look-ups are under way
    /// at once, so they cost one round trip.
    pub(super) async fn resolve(
        &self,
        stages: &[Vec<String>],
    ) -> Result<Vec<Vec<String>>, Failure> {
        let candidates: Vec<(usize, usize, usize)> = stages
            .iter()
            .enumerate()
            .flat_map(|(stage, words)| {
                words
                    .iter()
                    .enumerate()
                    .skip(1)
                    .flat_map(move |(word, text)| {
                        paths_in(text).into_iter().map(move |at| (stage, word, at))
                    })
            })
            .collect();
        if candidates.is_empty() {
            return Ok(Vec::new());
        }
        if candidates.len() > LOOKUPS_MAX {
            return Err(failure(
                FailureCode::TooLarge,
                format!("The command has more than {LOOKUPS_MAX} words."),
                "Use remote_find, or fewer names at once.",
            ));
        }
        let sftp = self.sftp().await?;
        let named = |&(stage, word, at): &(usize, usize, usize)| &stages[stage][word][at..];
        let relative = candidates
            .iter()
            .any(|place| !named(place).starts_with('/'));
        let directory = if relative {
            self.directory().await?
        } else {
            String::new()
        };
        let lookups = candidates.iter().map(|place| {
            let full = absolute(&directory, named(place));
            async move {
                let (leads_to, kind) = join(sftp.realpath(&full), sftp.kind(&full)).await;
                // What is not there leads nowhere; the command will say so.
                let leads_to = judged_as(leads_to.ok()?, kind.ok()?);
                (leads_to != normal(&full)).then_some((*place, leads_to))
            }
        });
        let elsewhere: Vec<_> = join_all(lookups).await.into_iter().flatten().collect();
        let mut resolved = Vec::new();
        for (index, stage) in stages.iter().enumerate() {
            let mut words = stage.clone();
            for ((_, word, at), leads_to) in elsewhere.iter().filter(|found| found.0.0 == index) {
                let seen = format!("{}{leads_to}", &stage[*word][..*at]);
                if words[*word] == stage[*word] {
                    words[*word] = seen;
                } else {
                    // Another reading of the same word is judged for itself.
                    let mut other = stage.clone();
                    other[*word] = seen;
                    resolved.push(other);
                }
            }
            if words != *stage {
                resolved.push(words);
            }
        }
        Ok(resolved)
    }
}

/// Where in a word the name of a file can begin, as byte offsets: at its start, after
/// `=` in a long option, and after any letter of short ones, since `-nfNAME` may be
/// `-n -f NAME`. Numbers name none.
fn paths_in(word: &str) -> Vec<usize> {
    let begins: Vec<usize> = if word.starts_with("--") {
        word.find('=').map(|at| at + 1).into_iter().collect()
    } else if word.starts_with('-') {
        word.char_indices().map(|(at, _)| at).skip(2).collect()
    } else if word.starts_with('+') {
        Vec::new()
    } else {
        vec![0]
    };
    let names_one = |at: &usize| {
        let rest = &word[*at..];
        !rest.is_empty() && rest.parse::<f64>().is_err()
    };
    begins.into_iter().filter(names_one).collect()
}

/// The name by which a file is judged. A pipe, a device or a socket is one wherever
/// it lies: reading it may block, and takes what another reader waits for.
fn judged_as(leads_to: String, kind: FileKind) -> String {
    let made_up = ["/dev/", "/proc/", "/sys/"];
    if kind == FileKind::Other && !made_up.iter().any(|top| leads_to.starts_with(top)) {
        return format!("/dev/special{leads_to}");
    }
    leads_to
}

fn absolute(directory: &str, path: &str) -> String {
    if path.starts_with('/') {
        path.to_owned()
    } else {
        format!("{}/{path}", directory.trim_end_matches('/'))
    }
}

/// A path without `.`, `..` and doubled slashes, as the policy reads it.
fn normal(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            other => parts.push(other),
        }
    }
    format!("/{}", parts.join("/"))
}

async fn expand_glob(sftp: &Arc<Sftp>, cwd: &str, pattern: &str) -> Result<Vec<String>, Failure> {
    // Each candidate is the text the command will see, and where it lies.
    let (mut candidates, rest) = match pattern.strip_prefix('/') {
        Some(rest) => (vec![("/".to_owned(), "/".to_owned())], rest),
        None => (
            vec![(String::new(), format!("{}/", cwd.trim_end_matches('/')))],
            pattern,
        ),
    };
    let parts: Vec<&str> = rest.split('/').collect();
    for (index, part) in parts.iter().enumerate() {
        let last = index + 1 == parts.len();
        let mut next = Vec::new();
        for (shown, place) in candidates {
            if !part.contains(['*', '?', '[']) {
                let slash = if last { "" } else { "/" };
                next.push((
                    format!("{shown}{part}{slash}"),
                    format!("{place}{part}{slash}"),
                ));
                continue;
            }
            let matcher = matcher(part)?;
            // What cannot be listed matches nothing, as in a shell.
            let mut names: Vec<String> = sftp
                .list(&place)
                .await
                .unwrap_or_default()
                .into_iter()
                .map(|entry| entry.name)
                .filter(|name| !name.starts_with('.') || part.starts_with('.'))
                .filter(|name| matcher.is_match(name))
                .collect();
            names.sort();
            for name in names {
                let slash = if last { "" } else { "/" };
                next.push((
                    format!("{shown}{name}{slash}"),
                    format!("{place}{name}{slash}"),
                ));
            }
        }
        if next.len() > GLOB_NAMES_MAX {
            return Err(failure(
                FailureCode::TooLarge,
                format!("The pattern {pattern} stands for more than {GLOB_NAMES_MAX} names."),
                "Use a narrower pattern, or remote_find.",
            ));
        }
        candidates = next;
    }
    let mut names = Vec::new();
    for (shown, place) in candidates {
        if sftp.lstat(&place).await.is_ok() {
            names.push(shown);
        }
    }
    if names.is_empty() {
        names.push(pattern.to_owned());
    }
    Ok(names)
}

fn matcher(part: &str) -> Result<globset::GlobMatcher, Failure> {
    // Braces are ordinary characters in a POSIX pattern, and `**` is `*`.
    let mut posix = String::with_capacity(part.len());
    for character in part.chars() {
        match character {
            '{' => posix.push_str("[{]"),
            '}' => posix.push_str("[}]"),
            '*' if posix.ends_with('*') => {}
            other => posix.push(other),
        }
    }
    GlobBuilder::new(&posix)
        .literal_separator(true)
        .backslash_escape(false)
        .build()
        .map(|glob| glob.compile_matcher())
        .map_err(|error| {
            failure(
                FailureCode::InvalidArgument,
                format!("{part:?} is not a file name pattern: {}.", error.kind()),
                "",
            )
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_that_can_name_a_file() {
        let cases: [(&str, &[&str]); 9] = [
            ("/etc/motd", &["/etc/motd"]),
            ("notes.txt", &["notes.txt"]),
            ("--file=/etc/motd", &["/etc/motd"]),
            ("--file=notes", &["notes"]),
            ("-fa/b", &["a/b", "/b", "b"]),
            ("-n", &[]),
            ("-n20", &[]),
            ("40", &[]),
            ("+%F", &[]),
        ];
        for (word, paths) in cases {
            let found: Vec<&str> = paths_in(word).into_iter().map(|at| &word[at..]).collect();
            assert_eq!(found, paths, "{word}");
        }
    }

    #[test]
    fn patterns_are_those_of_a_shell() {
        let cases = [
            ("*.conf", "a.conf", true),
            ("**", "abc", true),
            ("a?c", "abc", true),
            ("[!a]*", "abc", false),
            ("{a,b}", "a", false),
            ("{a,b}", "{a,b}", true),
        ];
        for (pattern, name, expected) in cases {
            let matcher = matcher(pattern).expect("a pattern");
            assert_eq!(matcher.is_match(name), expected, "{pattern} on {name}");
        }
    }

    #[test]
    fn what_is_no_file_is_judged_as_a_device() {
        for (path, kind, expected) in [
            ("/run/p", FileKind::Other, "/dev/special/run/p"),
            ("/run/p", FileKind::File, "/run/p"),
            ("/dev/null", FileKind::Other, "/dev/null"),
        ] {
            assert_eq!(
                judged_as(path.to_owned(), kind),
                expected,
                "{path} {kind:?}"
            );
        }
    }

    #[test]
    fn paths_are_normalised() {
        assert_eq!(normal("/a/./b//../c"), "/a/c");
        assert_eq!(normal("/../x"), "/x");
        assert_eq!(normal("/"), "/");
    }
}
