//! Collecting what applies to one host on the way through the files.
//!
//! Invariant: the first value of a directive counts, except for those that add
//! up (`IdentityFile`, `CertificateFile`), as `ssh_config(5)` says. A block whose
//! condition cannot be judged does not apply, and is said.

use std::path::PathBuf;

use super::file::{Source, Statement};
use super::host::Unhonoured;
use super::jump::Jump;
use super::line::Line;
use super::tokens::Surroundings;
use crate::ssh::known_hosts::glob;

/// A value and where it stands.
#[derive(Debug, Clone)]
pub(super) struct Found {
    pub(super) words: Vec<String>,
    pub(super) place: Place,
}

#[derive(Debug, Clone)]
pub(super) struct Place {
    pub(super) file: PathBuf,
    pub(super) line: usize,
}

/// What was collected on the way through the files.
#[derive(Default)]
pub(super) struct Collected {
    pub(super) host: Option<Found>,
    pub(super) port: Option<Found>,
    pub(super) user: Option<Found>,
    pub(super) jump: Option<Found>,
    pub(super) agent: Option<Found>,
    pub(super) known_hosts: Option<Found>,
    pub(super) key_alias: Option<Found>,
    pub(super) identities: Vec<Found>,
    pub(super) certificates: Vec<Found>,
    /// Directives seen, of those that are not honoured.
    seen: Vec<String>,
    pub(super) unhonoured: Vec<Unhonoured>,
}

/// Goes through one file. `never` says that it is included where nothing applies.
pub(super) fn walk(
    source: &Source,
    jump: &Jump,
    surroundings: &Surroundings,
    never: bool,
    collected: &mut Collected,
) {
    let mut active = !never;
    for (line, statement) in &source.statements {
        let place = Place {
            file: source.path.clone(),
            line: *line,
        };
        match statement {
            Statement::Host(patterns) => active = !never && host_matches(patterns, &jump.alias),
            Statement::Match(words) => {
                active = !never && collected.judge(words, jump, surroundings, &place);
            }
            Statement::Include(sources) => {
                for source in sources {
                    walk(source, jump, surroundings, !active, collected);
                }
            }
            Statement::Set(line) if active => collected.set(line, place),
            Statement::Set(_) => {}
        }
    }
}

/// `Host`: a negated pattern that matches outweighs the others.
fn host_matches(patterns: &[String], name: &str) -> bool {
    let mut matched = false;
    for pattern in patterns {
        match pattern.strip_prefix('!') {
            Some(negated) if matches_pattern(negated, name) => return false,
            Some(_) => {}
            None => matched |= matches_pattern(pattern, name),
        }
    }
    matched
}

fn matches_pattern(pattern: &str, name: &str) -> bool {
    glob(
        pattern.to_ascii_lowercase().as_bytes(),
        name.to_ascii_lowercase().as_bytes(),
    )
}

/// A list of patterns apart by commas, as `Match` takes it.
fn matches_list(list: &str, name: &str) -> bool {
    let patterns: Vec<String> = list.split(',').map(str::to_owned).collect();
    host_matches(&patterns, name)
}

impl Collected {
    fn host_name(&self, jump: &Jump) -> String {
        let found = self.host.as_ref().and_then(|found| found.words.first());
        match found {
            Some(text) => text.replace("%h", &jump.alias).replace("%%", "%"),
            None => jump.alias.clone(),
        }
    }

    /// Whether a `Match` block applies. A criterion that is not evaluated makes it
    /// not apply, unless another one excludes it anyway.
    fn judge(
        &mut self,
        words: &[String],
        jump: &Jump,
        surroundings: &Surroundings,
        place: &Place,
    ) -> bool {
        let mut unjudged = None;
        let mut words_left = words.iter();
        while let Some(word) = words_left.next() {
            let (word, attached) = match word.split_once('=') {
                Some((word, value)) => (word, Some(value.to_owned())),
                None => (word.as_str(), None),
            };
            let (negated, criterion) = match word.strip_prefix('!') {
                Some(rest) => (true, rest),
                None => (false, word),
            };
            let criterion = criterion.to_ascii_lowercase();
            if criterion == "all" {
                continue;
            }
            if matches!(criterion.as_str(), "canonical" | "final") {
                // True in a second pass only, which is not made here.
                if !negated {
                    unjudged.get_or_insert(criterion);
                }
                continue;
            }
            let argument = attached.or_else(|| words_left.next().cloned());
            let Some(argument) = argument else {
                unjudged.get_or_insert(criterion);
                continue;
            };
            let remote = self
                .user
                .as_ref()
                .and_then(|found| found.words.first().cloned());
            let matched = match criterion.as_str() {
                "host" => matches_list(&argument, &self.host_name(jump)),
                "originalhost" => matches_list(&argument, &jump.alias),
                "user" => {
                    let user = jump.user.clone().or(remote);
                    matches_list(&argument, user.as_deref().unwrap_or(&surroundings.user))
                }
                "localuser" => matches_list(&argument, &surroundings.user),
                _ => {
                    unjudged.get_or_insert(criterion);
                    continue;
                }
            };
            if matched == negated {
                return false;
            }
        }
        let Some(criterion) = unjudged else {
            return true;
        };
        self.unhonoured.push(Unhonoured {
            directive: "match".to_owned(),
            value: words.join(" "),
            file: place.file.clone(),
            line: place.line,
            reason: Some(format!(
                "{criterion} is not evaluated, so the block is passed over"
            )),
            needed: false,
        });
        false
    }

    fn set(&mut self, line: &Line, place: Place) {
        let found = Found {
            words: line.words.clone(),
            place,
        };
        let slot = match line.keyword.as_str() {
            "hostname" => &mut self.host,
            "port" => &mut self.port,
            "user" => &mut self.user,
            "proxyjump" => &mut self.jump,
            "identityagent" => &mut self.agent,
            "userknownhostsfile" => &mut self.known_hosts,
            "hostkeyalias" => &mut self.key_alias,
            "identityfile" => return self.identities.push(found),
            "certificatefile" => return self.certificates.push(found),
            _ => return self.not_honoured(line, found),
        };
        slot.get_or_insert(found);
    }

    fn not_honoured(&mut self, line: &Line, found: Found) {
        // The first value counts; what stands behind it has no effect in ssh(1).
        if self.seen.contains(&line.keyword) {
            return;
        }
        self.seen.push(line.keyword.clone());
        let value = line.words.join(" ").to_ascii_lowercase();
        let as_here = match line.keyword.as_str() {
            // One way to log in, known keys only, no forwarding: always so here.
            "identitiesonly" | "batchmode" => value == "yes",
            "stricthostkeychecking" => matches!(value.as_str(), "yes" | "ask" | "true"),
            "forwardagent"
            | "forwardx11"
            | "permitlocalcommand"
            | "requesttty"
            | "tunnel"
            | "checkhostip"
            | "canonicalizehostname" => value == "no",
            "proxycommand" => value == "none",
            "addkeystoagent" | "usekeychain" | "visualhostkey" | "loglevel" | "hashknownhosts"
            | "controlmaster" | "controlpath" | "controlpersist" | "ignoreunknown" => true,
            _ => false,
        };
        if as_here {
            return;
        }
        self.unhonoured.push(Unhonoured {
            value: line.words.join(" "),
            file: found.place.file,
            line: found.place.line,
            reason: (line.keyword == "identitiesonly")
                .then(|| "openshell offers one registered key only".to_owned()),
            needed: matches!(
                line.keyword.as_str(),
                "proxycommand" | "canonicalizehostname" | "bindaddress" | "bindinterface"
            ),
            directive: line.keyword.clone(),
        });
    }
}
