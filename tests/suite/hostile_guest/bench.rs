//! A supervisor that runs the hostile guest, and what can be seen from outside.
//!
//! Invariant: the marker, the person and the connections are counted outside of the
//! guest. What a count should be is not said here.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use openshell_host::approvals::{Answer, Answerer, Asker, Question};
use openshell_host::engine::{Engine, Limits};
use openshell_host::journal::{Filter, Journal, Record};
use openshell_host::registry::{
    AuthMaterial, KeyEnv, MasterKey, NewServer, Paths, Registry, ServerId, create_key_file,
};
use openshell_host::supervisor::{Envelope, Resources, Status, Supervisor, ToolCall};
use openshell_tests::{Sshd, SshdOptions};
use serde_json::{Value, json};
use tempfile::TempDir;

static ROGUE: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/rogue.cwasm"));

/// The hostile guest.
pub(super) fn rogue(limits: Limits) -> Engine {
    #[expect(
        unsafe_code,
        reason = "the bytes were compiled by this crate's own build script and are part of this binary"
    )]
    // SAFETY: the build script wrote what `precompile_component` gave it.
    unsafe { Engine::from_precompiled(ROGUE, limits) }
        .expect("the guest was compiled for this engine")
}

/// A person who is asked.
#[derive(Clone)]
pub(super) enum Person {
    /// Agrees to everything.
    Agrees,
    /// Agrees after a while.
    AgreesAfter(Duration),
    /// Says no.
    Refuses,
    /// Cannot be asked.
    Away,
}

struct Counting {
    person: Person,
    asked: AtomicUsize,
}

#[async_trait]
impl Asker for Counting {
    fn available(&self) -> Result<(), String> {
        match self.person {
            Person::Away => Err("nobody is there.".to_owned()),
            _ => Ok(()),
        }
    }

    async fn ask(&self, _: &Question) -> Answer {
        self.asked.fetch_add(1, Ordering::SeqCst);
        match &self.person {
            Person::Agrees => Answer::Granted(Answerer::Person),
            Person::AgreesAfter(delay) => {
                tokio::time::sleep(*delay).await;
                Answer::Granted(Answerer::Person)
            }
            Person::Refuses => Answer::Rejected(Answerer::Person, None),
            Person::Away => Answer::Unanswered("nobody is there.".to_owned()),
        }
    }
}

/// A server, a helper that serves it, and a person.
pub(super) struct Bench {
    server: Sshd,
    folder: TempDir,
    supervisor: Supervisor,
    asker: Arc<Counting>,
}

impl Bench {
    /// The hostile guest under the usual limits, judged by the real policy.
    pub(super) fn new(person: Person) -> Self {
        Self::limited(person, Limits::default())
    }

    /// As [`Bench::new`] under other limits.
    pub(super) fn limited(person: Person, limits: Limits) -> Self {
        Self::build(person, |resources| {
            let judge = Engine::embedded()
                .and_then(|engine| engine.judge())
                .expect("the embedded component loads");
            Supervisor::with_judge(rogue(limits), judge, resources)
        })
    }

    /// The hostile guest, judged by its own policy.
    pub(super) fn judged_by_rogue(person: Person) -> Self {
        Self::build(person, |resources| {
            Supervisor::new(rogue(Limits::default()), resources).expect("the guest loads")
        })
    }

    fn build(person: Person, make: impl FnOnce(Resources) -> Supervisor) -> Self {
        let server = Sshd::start(&SshdOptions::default());
        let folder = tempfile::tempdir().expect("a temporary directory");
        let paths = Paths::new(folder.path().join("config"), folder.path().join("data"));
        let key_file = folder.path().join("key");
        create_key_file(&key_file).expect("the directory is new");
        let env = KeyEnv {
            key_file: Some(key_file),
            ..KeyEnv::default()
        };
        let key = MasterKey::resolve(&paths, &env).expect("the key was just made");
        let mut registry = Registry::init(&paths, &key).expect("there is no register yet");
        for id in ["target", "other"] {
            let mut record = NewServer::new(
                ServerId::new(id).expect("a valid id"),
                "127.0.0.1",
                server.user(),
                AuthMaterial::IdentityFile {
                    path: server.client_key_path(),
                    passphrase: None,
                },
            );
            record.port = server.port();
            registry
                .add(record, &key, false)
                .expect("the id is not taken");
        }
        std::fs::copy(server.known_hosts_path(), paths.known_hosts())
            .expect("the configuration directory exists");
        std::fs::write(server.home().join("readable"), "harmless\n")
            .expect("the fixture's own directory");
        Self {
            supervisor: make(Resources::new(paths, None).with_key_env(env)),
            asker: Arc::new(Counting {
                person,
                asked: AtomicUsize::new(0),
            }),
            server,
            folder,
        }
    }

    /// Where every change of the guest would show.
    pub(super) fn marker(&self) -> PathBuf {
        self.server.home().join("marker")
    }

    /// Lines in the marker; a missing one has none.
    pub(super) fn marks(&self) -> Vec<String> {
        std::fs::read_to_string(self.marker())
            .unwrap_or_default()
            .lines()
            .map(str::to_owned)
            .collect()
    }

    /// How often the person was asked.
    pub(super) fn asked(&self) -> usize {
        self.asker.asked.load(Ordering::SeqCst)
    }

    /// How many connections the server has seen.
    pub(super) fn connections(&self) -> usize {
        self.server.connections_seen()
    }

    /// Runs one call of the guest.
    pub(super) async fn call(&self, tool: &str, more: Value) -> Envelope {
        let mut arguments = json!({
            "server": "target",
            "marker": self.marker(),
            "readable": self.server.home().join("readable"),
            "other": "other",
        });
        if let (Some(arguments), Value::Object(more)) = (arguments.as_object_mut(), more) {
            arguments.extend(more);
        }
        let request = ToolCall {
            tool: tool.to_owned(),
            arguments: arguments.to_string(),
            door: "cli",
            session: Some("suite".to_owned()),
            ..ToolCall::default()
        };
        let asker: Arc<dyn Asker> = self.asker.clone();
        self.supervisor.call(request, asker).await
    }

    /// The journal: verified, then told event by event, such as `approval granted`.
    pub(super) fn story(&self) -> Vec<String> {
        self.records()
            .iter()
            .map(|record| {
                let entry = &record.entry;
                let detail = match (&entry.approval, &entry.outcome, &entry.operation) {
                    (Some(approval), _, _) => format!(" {}", approval.answer),
                    (_, Some(outcome), _) => match &outcome.code {
                        Some(code) => format!(" {} {code}", outcome.status),
                        None => format!(" {}", outcome.status),
                    },
                    (_, _, Some(operation)) => format!(" {}", operation.kind),
                    _ => String::new(),
                };
                format!("{}{detail}", entry.event.as_str())
            })
            .collect()
    }

    /// The records of a journal that was found to be whole.
    pub(super) fn records(&self) -> Vec<Record> {
        let folder = self.folder.path().join("data");
        let folder = Paths::new(&folder, &folder).audit_dir();
        let found = Journal::verify(&folder).expect("the journal is readable");
        assert_eq!(found.broken, None, "the chain is whole");
        Journal::read(&folder, Filter::default())
            .expect("the journal is readable")
            .map(|record| record.expect("a record"))
            .collect()
    }

    /// Asserts that the helper serves calls as before.
    pub(super) async fn still_serves(&self) {
        let envelope = self.call("honest", Value::Null).await;
        assert_eq!(envelope.status, Status::Ok, "{envelope:?}");
        assert_eq!(envelope.execution.exit_code, Some(0));
        assert!(envelope.audit.log_written);
        // So a count of none before was not a server that does not count.
        assert!(self.connections() > 0);
    }
}

/// Asserts how a call ended.
#[track_caller]
pub(super) fn ended_with(envelope: &Envelope, code: &str) {
    assert_eq!(envelope.status, Status::Error, "{envelope:?}");
    assert_eq!(envelope.code.as_deref(), Some(code), "{envelope:?}");
    assert_eq!(
        envelope.data, None,
        "a stopped guest says nothing: {envelope:?}"
    );
}
