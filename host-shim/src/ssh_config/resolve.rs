//! What a configuration says about one host.
//!
//! Invariant: a value that makes no sense is an error where the host could not be
//! reached as meant without it, and said otherwise. Tokens are filled in as
//! `ssh_config(5)` says, directive by directive. It does not look whether files or
//! hosts exist.

use std::path::PathBuf;

use super::collect::{Collected, Found, walk};
use super::file::Config;
use super::host::{HostConfig, Unhonoured};
use super::jump::{Jump, parse_jump};
use super::tokens::{Connection, Surroundings, fill, in_home};

/// Tokens of `IdentityFile`, `CertificateFile`, `IdentityAgent` and
/// `UserKnownHostsFile`; `%C`, a hash over the rest, is not filled in.
const PATH_TOKENS: &str = "dhijkLlnpru";

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

impl Collected {
    pub(super) fn finish(
        mut self,
        jump: &Jump,
        surroundings: &Surroundings,
    ) -> Result<HostConfig, String> {
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

#[cfg(test)]
mod tests;
