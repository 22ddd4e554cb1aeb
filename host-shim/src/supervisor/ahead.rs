//! Connections made before a call needs them: when a client asks which servers there
//! are, those it used lately and that have no connection any more are dialled beside
//! the answer.
//!
//! Invariant: a login is all a server sees of it, nothing is run, and nobody is asked
//! for anything. A server is only dialled where a call of this process reached it from
//! the same workspace, its last dial went well, its host key is known, no agent and
//! no person has to help with the login, and calls on it would be let through now. It
//! deliberately writes no record: a call that uses the connection has its own.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::call::Call;
use super::resources::Resources;
use crate::registry::{AuthKind, Scope};
use crate::rules::Mode;

/// How long ago a server may have been used.
const LATELY: Duration = Duration::from_secs(60 * 60);
/// Servers dialled for one look, at most.
const MOST: usize = 4;
/// Servers remembered, at most.
const REMEMBERED: usize = 256;

/// Variable that turns it off.
const VARIABLE: &str = "OPENSHELL_PREDIAL";

/// Whether connections are made ahead.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Predial {
    /// They are.
    #[default]
    On,
    /// Every connection waits for the call that needs it.
    Off,
}

/// The variable says neither.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{VARIABLE} must be `on` or `off`, not {value:?}")]
pub struct InvalidPredial {
    /// Its value.
    pub value: String,
}

impl Predial {
    /// Takes `OPENSHELL_PREDIAL`, or `on` where it is not set.
    ///
    /// # Errors
    /// [`InvalidPredial`] for anything but `on` and `off`.
    pub fn from_env() -> Result<Self, InvalidPredial> {
        std::env::var_os(VARIABLE)
            .map_or(Ok(Self::On), |value| Self::parse(&value.to_string_lossy()))
    }

    fn parse(value: &str) -> Result<Self, InvalidPredial> {
        match value {
            "on" => Ok(Self::On),
            "off" => Ok(Self::Off),
            other => Err(InvalidPredial {
                value: other.to_owned(),
            }),
        }
    }
}

type Place = (Option<PathBuf>, String);

/// Which servers calls reached, by workspace and id, and when.
#[derive(Debug, Default)]
pub(super) struct Ahead {
    setting: Predial,
    used: Mutex<HashMap<Place, Instant>>,
}

impl Ahead {
    pub(super) fn new(setting: Predial) -> Self {
        Self {
            setting,
            used: Mutex::default(),
        }
    }

    /// Notes that a call reached a server, or that it could not.
    pub(super) fn note(&self, workspace: Option<&Path>, server: &str, reached: bool) {
        self.note_at(workspace, server, reached, Instant::now());
    }

    fn note_at(&self, workspace: Option<&Path>, server: &str, reached: bool, now: Instant) {
        let place = (workspace.map(Path::to_owned), server.to_owned());
        let mut used = self.lock();
        if !reached {
            used.remove(&place);
            return;
        }
        used.insert(place, now);
        if used.len() > REMEMBERED {
            let oldest = used.iter().min_by_key(|(_, at)| **at);
            if let Some(place) = oldest.map(|(place, _)| place.clone()) {
                used.remove(&place);
            }
        }
    }

    /// The servers worth a connection, the one used last first.
    fn wanted(&self, workspace: Option<&Path>, now: Instant) -> Vec<String> {
        if self.setting == Predial::Off {
            return Vec::new();
        }
        let used = self.lock();
        let mut lately: Vec<(Instant, &str)> = used
            .iter()
            .filter(|((place, _), _)| place.as_deref() == workspace)
            .map(|((_, server), at)| (*at, server.as_str()))
            .filter(|(at, _)| now.saturating_duration_since(*at) < LATELY)
            .collect();
        lately.sort_by(|a, b| b.cmp(a));
        lately
            .into_iter()
            .take(MOST)
            .map(|(_, server)| server.to_owned())
            .collect()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Place, Instant>> {
        self.used.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Call {
    /// Dials, beside everything else, what this client is likely to use next.
    pub(super) async fn dial_ahead(&self) {
        let workspace = self.request().workspace.as_deref();
        for server in self.resources().ahead().wanted(workspace, Instant::now()) {
            // What is in the way is for the call that needs the server to say.
            let _ = self.dial_one_ahead(&server).await;
        }
    }

    /// None where it is not to be.
    async fn dial_one_ahead(&self, server: &str) -> Option<()> {
        let resources = self.resources();
        // As with a call: without a journal, or in a pause, no server hears of us.
        resources.journal().ok()?;
        if resources.paths().pause_file().exists() {
            return None;
        }
        let layers = self.layers().ok()?;
        let record = layers.get(&Resources::server_id(server).ok()?).ok()?;
        let route = layers.route(&record).ok()?;
        let rules = self.rules().ok()?;
        let is_open = |hop: &crate::registry::ServerView| {
            let unattended = hop.auth != AuthKind::Agent;
            // Another key than the one in use would have to be looked for.
            let unlocked = hop.scope == Scope::Workspace || resources.is_unlocked();
            unattended && unlocked && !hop.disabled
        };
        let mode = rules.access_to(server, &record.labels).0;
        if mode == Mode::Off || !route.iter().all(is_open) {
            return None;
        }
        let target = resources.target(&layers, &record).await.ok()?;
        resources.pool().dial_ahead(target);
        Some(())
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed step is the test's failure")]

    use super::*;

    #[test]
    fn what_was_used_lately_in_the_workspace_is_wanted() {
        let begin = Instant::now();
        let minutes = |minutes: u64| begin + Duration::from_secs(60 * minutes);
        let (here, there) = (Some(Path::new("/here")), Some(Path::new("/there")));
        let used = |setting| {
            let ahead = Ahead::new(setting);
            for (at, server) in ["old", "a", "b", "c", "gone", "d", "e"].iter().enumerate() {
                ahead.note_at(here, server, true, minutes(10 * at as u64));
            }
            ahead.note_at(there, "theirs", true, minutes(65));
            ahead.note_at(here, "gone", false, minutes(66));
            ahead
        };
        let on = used(Predial::On);
        assert_eq!(on.wanted(here, minutes(69)), ["e", "d", "c", "b"]);
        assert_eq!(on.wanted(here, minutes(115)), ["e"]);
        assert_eq!(on.wanted(there, minutes(69)), ["theirs"]);
        assert!(on.wanted(None, minutes(69)).is_empty());
        assert!(used(Predial::Off).wanted(here, minutes(69)).is_empty());
    }

    #[test]
    fn only_so_many_are_remembered() {
        let ahead = Ahead::default();
        let begin = Instant::now();
        for number in 0..2 * REMEMBERED as u64 {
            let at = begin + Duration::from_millis(number);
            ahead.note_at(None, &format!("s{number}"), true, at);
        }
        assert_eq!(ahead.lock().len(), REMEMBERED);
        let wanted = ahead.wanted(None, begin + Duration::from_secs(1));
        assert_eq!(wanted.first().unwrap(), &format!("s{}", 2 * REMEMBERED - 1));
    }

    #[test]
    fn the_setting_is_on_or_off() {
        assert_eq!(Predial::parse("on"), Ok(Predial::On));
        assert_eq!(Predial::parse("off"), Ok(Predial::Off));
        for value in ["", "On", "0", "no", "off "] {
            assert!(Predial::parse(value).is_err(), "{value:?}");
        }
    }
}
