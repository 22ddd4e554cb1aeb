//! What a configuration says about one host.
//!
//! Invariant: the first value of a directive counts, except for those that add
//! up (`IdentityFile`, `CertificateFile`), as `ssh_config(5)` says. A block whose
//! condition cannot be judged does not apply, and is said.

use std::path::{Path, PathBuf};

use super::file::{Config, Source, Statement};
use super::line::Line;
use super::tokens::{Connection, Surroundings, fill, in_home};
use crate::ssh::known_hosts::glob;

/// Tokens of `IdentityFile`, `CertificateFile`, `IdentityAgent` and
/// `UserKnownHostsFile`; `%C`, a hash over the rest, is not filled in.
const PATH_TOKENS: &str = "dhijkLlnpru";

/// A directive that applies to a host and is not honoured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unhonoured {
    /// The directive, as it is spelled in `ssh_config(5)` but in lower case.
    pub directive: String,
    /// Its arguments.
    pub value: String,
    /// The file.
    pub file: PathBuf,
    /// Line, from 1.
    pub line: usize,
    /// Why, where it is not just unknown here.
    pub reason: Option<String>,
    /// Whether the host cannot be reached, or not as meant, without it.
    pub needed: bool,
}

/// One host on the way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Jump {
    /// Name to look up in the configuration.
    pub alias: String,
    /// Login name, where the chain gives one.
    pub user: Option<String>,
    /// Port, where the chain gives one.
    pub port: Option<u16>,
}

/// What counts for one host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostConfig {
    /// Name as it was asked for.
    pub alias: String,
    /// DNS name or address to connect to.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// Login name on the server.
    pub user: String,
    /// Private or public key files, in order; empty where none is configured.
    pub identity_files: Vec<PathBuf>,
    /// Whether agents are switched off (`IdentityAgent none`).
    pub agent_off: bool,
    /// Socket of an agent, where the configuration names one.
    pub identity_agent: Option<PathBuf>,
    /// Certificate files, in order.
    pub certificate_files: Vec<PathBuf>,
    /// Files with host keys, where the configuration names some.
    pub known_hosts: Option<Vec<PathBuf>>,
    /// Name under which the host's keys are filed.
    pub key_alias: Option<String>,
    /// Hosts to connect through, the first hop first.
    pub jumps: Vec<Jump>,
    /// What applies and is not honoured, in order.
    pub unhonoured: Vec<Unhonoured>,
}

/// A value and where it stands.
#[derive(Debug, Clone)]
struct Found {
    words: Vec<String>,
    place: Place,
}

#[derive(Debug, Clone)]
struct Place {
    file: PathBuf,
    line: usize,
}

/// What was collected on the way through the files.
#[derive(Default)]
struct Collected {
    host: Option<Found>,
    port: Option<Found>,
    user: Option<Found>,
    jump: Option<Found>,
    agent: Option<Found>,
    known_hosts: Option<Found>,
    key_alias: Option<Found>,
    identities: Vec<Found>,
    certificates: Vec<Found>,
    /// Directives seen, of those that are not honoured.
    seen: Vec<String>,
    unhonoured: Vec<Unhonoured>,
}

impl Config {
    /// Says what counts for a name. `user` and `port` are what a chain of jumps
    /// gives, which counts before everything else.
    ///
    /// # Errors
    /// A sentence, where a value makes no sense.
    pub fn resolve(&self, jump: &Jump, surroundings: &Surroundings) -> Result<HostConfig, String> {
        let mut collected = Collected::default();
        walk(&self.root, jump, surroundings, false, &mut collected);
        collected.finish(jump, surroundings)
    }
}

/// Goes through one file. `never` says that it is included where nothing applies.
fn walk(
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

    fn finish(mut self, jump: &Jump, surroundings: &Surroundings) -> Result<HostConfig, String> {
        let first = |found: &Option<Found>| -> Option<String> {
            found
                .as_ref()
                .and_then(|found| found.words.first().cloned())
        };
        let alias = jump.alias.as_str();
        let port = match (jump.port, first(&self.port)) {
            (Some(port), _) => port,
            (None, Some(text)) => match text.parse() {
                Ok(port @ 1..) => port,
                _ => return Err(format!("Port {text:?} is no port")),
            },
            (None, None) => 22,
        };
        let key_alias = first(&self.key_alias);
        let jump_text = first(&self.jump).unwrap_or_default();
        let mut connection = Connection {
            alias,
            host: alias,
            port,
            user: "",
            key_alias: key_alias.as_deref().unwrap_or(alias),
            jump: &jump_text,
        };
        // HostName knows the name as it was asked for, and nothing else.
        let host = match first(&self.host) {
            Some(text) => fill(&text, "h", &connection, surroundings)?,
            None => alias.to_owned(),
        };
        connection.host = &host;
        let user = match (jump.user.clone(), first(&self.user)) {
            (Some(user), _) => user,
            (None, Some(text)) => fill(&text, "dhijkLlnpu", &connection, surroundings)?,
            (None, None) => surroundings.user.clone(),
        };
        connection.user = &user;

        let path = |text: &str| -> Result<PathBuf, String> {
            let text = surroundings.environment(text)?;
            let text = fill(&text, PATH_TOKENS, &connection, surroundings)?;
            // ssh(1) reads relative names from its working directory; which one
            // that will be is not known, so they are those of the home.
            Ok(surroundings.home.join(in_home(&text, &surroundings.home)?))
        };
        let mut unhonoured = std::mem::take(&mut self.unhonoured);
        let mut paths = |directive: &str, list: &[Found]| -> Vec<PathBuf> {
            let mut read = Vec::new();
            for found in list {
                for word in &found.words {
                    match path(word) {
                        _ if word == "none" => {}
                        Ok(path) => read.push(path),
                        Err(reason) => unhonoured.push(Unhonoured {
                            directive: directive.to_owned(),
                            value: word.clone(),
                            file: found.place.file.clone(),
                            line: found.place.line,
                            reason: Some(reason),
                            needed: directive == "identityfile",
                        }),
                    }
                }
            }
            read
        };
        let identity_files = paths("identityfile", &self.identities);
        let certificate_files = paths("certificatefile", &self.certificates);
        let known_hosts = self
            .known_hosts
            .as_ref()
            .map(|found| paths("userknownhostsfile", std::slice::from_ref(found)));
        let agent = first(&self.agent);
        let agent_off = agent.as_deref() == Some("none");
        let identity_agent =
            match agent.as_deref() {
                None | Some("none" | "SSH_AUTH_SOCK") => None,
                Some(text) => match text.strip_prefix('$').filter(|rest| !rest.starts_with('{')) {
                    Some(name) => Some(path(surroundings.variables.get(name).ok_or_else(
                        || format!("IdentityAgent: the environment has no {name}"),
                    )?)?),
                    None => Some(path(text)?),
                },
            };
        let jumps = match jump_text.as_str() {
            "" | "none" => Vec::new(),
            text => fill(text, "hnpr", &connection, surroundings)?
                .split(',')
                .map(|hop| parse_jump(hop.trim()))
                .collect::<Result<_, _>>()?,
        };
        if !jumps.is_empty() {
            // Whichever of the two comes first counts; with both it is unclear.
            for other in &mut unhonoured {
                other.needed &= other.directive != "proxycommand";
            }
        }
        Ok(HostConfig {
            alias: alias.to_owned(),
            host,
            port,
            user,
            identity_files,
            agent_off,
            identity_agent,
            certificate_files,
            known_hosts,
            key_alias,
            jumps,
            unhonoured,
        })
    }
}

/// One hop: `[user@]host[:port]` or `ssh://[user@]host[:port]`.
fn parse_jump(text: &str) -> Result<Jump, String> {
    let refused = || format!("ProxyJump {text:?} is no [user@]host[:port]");
    let plain = text.strip_prefix("ssh://").unwrap_or(text);
    let plain = plain.strip_suffix('/').unwrap_or(plain);
    let (user, place) = match plain.rsplit_once('@') {
        Some((user, place)) => (Some(user.to_owned()), place),
        None => (None, plain),
    };
    let (alias, port) = match place.strip_prefix('[') {
        Some(rest) => {
            let (address, after) = rest.split_once(']').ok_or_else(refused)?;
            (address, after.strip_prefix(':'))
        }
        None => match place.rsplit_once(':') {
            // More than one colon is an address of IPv6 without a port.
            Some((address, _)) if address.contains(':') => (place, None),
            Some((address, port)) => (address, Some(port)),
            None => (place, None),
        },
    };
    let port = match port.map(str::parse) {
        None => None,
        Some(Ok(port @ 1..)) => Some(port),
        Some(_) => return Err(refused()),
    };
    if alias.is_empty() || user.as_deref() == Some("") {
        return Err(refused());
    }
    Ok(Jump {
        alias: alias.to_owned(),
        user,
        port,
    })
}

impl Jump {
    /// A host that is asked for by its name alone.
    #[must_use]
    pub fn to(alias: impl Into<String>) -> Self {
        Self {
            alias: alias.into(),
            user: None,
            port: None,
        }
    }
}

impl HostConfig {
    /// The certificate that goes with an identity by its name, as ssh(1) finds it.
    #[must_use]
    pub fn usual_certificate(identity: &Path) -> PathBuf {
        let mut name = identity.as_os_str().to_owned();
        name.push("-cert.pub");
        PathBuf::from(name)
    }
}

#[cfg(test)]
mod tests;
