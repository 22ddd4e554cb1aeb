//! One call on several servers: a list of ids, or everything with a label.
//!
//! Invariant: a call on several servers is exactly as many calls on one, each with
//! its own arguments, guest, verdict, permit, action and idempotency key; the
//! servers are chosen by the host before any guest starts, and no guest can reach
//! another server than its own. What they share is the one question to the person,
//! a limit on how many are worked on at a time, and the result.
//!
//! It deliberately never writes files on several servers.

mod cut;
mod gather;
mod group;
mod limit;
mod member;
mod question;
mod select;

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::Value;
use tokio::task::JoinSet;
use ulid::Ulid;

pub use limit::{FanoutLimit, InvalidFanoutLimit};

pub(super) use cut::{cut, size};
pub(super) use member::Member;
pub(super) use select::{Selector, selector};

use super::call::Shared;
use super::digest::Digester;
use super::envelope::Envelope;
use super::failure::failure;
use super::permit::unless_given_up;
use super::{Call, Supervisor, ToolCall, replay};
use crate::approvals::{Answer, Answerer, Question};
use crate::engine::contract::{Failure, FailureCode};
use crate::journal::KeyStage;
use gather::{Outcome, gather};
use group::Group;
use member::payload;

impl Supervisor {
    /// Runs a call on several servers.
    pub(super) async fn call_several(&self, call: Arc<Call>, selector: &Selector) -> Envelope {
        let prepared = match self.prepare(&call, selector).await {
            Ok(prepared) => prepared,
            Err(failure) => return call.finish_failed(&failure).await,
        };
        let Prepared {
            servers,
            calls,
            group,
        } = prepared;
        let mut tasks = JoinSet::new();
        let mut places = HashMap::new();
        for (at, part) in calls.into_iter().enumerate() {
            let ending = Ending {
                group: Arc::clone(&group),
                at,
            };
            let supervisor = self.clone();
            let task = tasks.spawn(async move {
                let _ending = ending;
                supervisor.call_one(part).await
            });
            places.insert(task.id(), at);
        }
        let everybody = async {
            let mut outcomes = Vec::new();
            while let Some(ended) = tasks.join_next_with_id().await {
                let (task, envelope) = match ended {
                    Ok((task, envelope)) => (task, envelope),
                    Err(error) => (error.id(), self.broken(&call, &error).await),
                };
                let server = places.get(&task).and_then(|at| servers.get(*at));
                if let Some(server) = server {
                    outcomes.push(Outcome::new(server.clone(), envelope));
                }
            }
            outcomes
        };
        let work = async {
            tokio::select! {
                outcomes = everybody => outcomes,
                never = group.coordinate(|question, several| self.put(&call, question, several)) => {
                    never
                }
            }
        };
        let outcomes = call.telling(work).await;
        gather(&call.request().tool, &group.id, outcomes)
    }

    /// Finds the servers and makes the call on each, without doing anything.
    async fn prepare(&self, call: &Arc<Call>, selector: &Selector) -> Result<Prepared, Failure> {
        let layers = call.layers()?;
        let servers = select::select(selector, &layers)?;
        let request = call.request();
        let limit = self.resources().fanout();
        let group = Arc::new(Group::new(
            Ulid::generate().to_string(),
            &servers,
            limit.servers(),
            limit.ready(),
            Arc::clone(call.asker()),
        ));
        let shared = Shared {
            layers,
            // What is wrong with the rules is what each server's call says.
            rules: call.rules().ok().cloned(),
            meter: Arc::clone(call.meter()),
            standing: Arc::clone(call.standing()),
        };
        let mut calls = Vec::with_capacity(servers.len());
        let mut keys = Vec::new();
        for (at, server) in servers.iter().enumerate() {
            let mut arguments = call.arguments().clone();
            arguments["server"] = Value::String(server.clone());
            let key = request.key.as_deref().map(|key| derived_key(key, server));
            if let Some(key) = &key {
                let payload = payload(&request.tool, &arguments, call.arguments());
                keys.push((key.clone(), payload));
            }
            let part = ToolCall {
                arguments: arguments.to_string(),
                key,
                cancel: request.cancel.child_token(),
                // The call as a whole tells how far it is.
                progress: None,
                ..request.clone()
            };
            let member = Member::new(&group, at, call.arguments());
            calls.push(Arc::new(Call::part(
                self.clone(),
                part,
                member,
                shared.clone(),
            )));
        }
        self.check_keys(call, &keys).await?;
        Ok(Prepared {
            servers,
            calls,
            group,
        })
    }

    /// Refuses the call as a whole where its key stands for another one, so that it
    /// is not done on half of the servers.
    async fn check_keys(
        &self,
        call: &Arc<Call>,
        derived: &[(String, String)],
    ) -> Result<(), Failure> {
        let Some(own) = call.request().key.as_deref().filter(|_| call.can_change()) else {
            return Ok(());
        };
        let journal = self.resources().journal()?;
        // Under the caller's own key only a call on one server is on record.
        if let Some(earlier) = journal.find_key(own).await?
            && earlier.stage != KeyStage::NotAttempted
        {
            return Err(replay::reused(call, &journal, &earlier).await);
        }
        for (key, payload) in derived {
            if let Some(earlier) = journal.find_key(key).await?
                && earlier.stage != KeyStage::NotAttempted
                && earlier.payload.as_ref() != Some(payload)
            {
                return Err(replay::reused(call, &journal, &earlier).await);
            }
        }
        Ok(())
    }

    /// Puts a question, and where the operator wants it has the person prove that
    /// it is them. One about several servers that was rejected in this session is
    /// not put again; for one about a single server its own call sees to that.
    async fn put(&self, call: &Arc<Call>, question: Question, several: bool) -> Answer {
        let session = call.request().session.as_deref().unwrap_or_default();
        let remembers = several && !session.is_empty();
        if remembers && self.resources().was_rejected(session, &question.digest) {
            let earlier = "it was exactly this, earlier in this session.".to_owned();
            return Answer::Rejected(Answerer::Person, Some(earlier));
        }
        let asking = async {
            let answer = call.asker().ask(&question).await;
            if !question.presence || !matches!(answer, Answer::Granted(_)) {
                return answer;
            }
            match self.resources().master_key().await {
                Ok(key) => call.asker().prove_presence(&key).await,
                Err(failure) => Answer::Unanswered(failure.message),
            }
        };
        let answer = unless_given_up(call.cancel(), asking).await;
        if remembers && let Answer::Rejected(Answerer::Person | Answerer::OutOfBand, _) = answer {
            self.resources()
                .remember_rejection(session, &question.digest);
        }
        answer
    }

    async fn broken(&self, call: &Arc<Call>, error: &tokio::task::JoinError) -> Envelope {
        let broken = failure(
            FailureCode::OutcomeUnknown,
            format!("The call on this server ended early: {error}."),
            "Find out what the state is before doing anything again.",
        );
        call.finish_failed(&broken).await
    }
}

struct Prepared {
    servers: Vec<String>,
    calls: Vec<Arc<Call>>,
    group: Arc<Group>,
}

/// Tells the group when a server's call is over, however it ends.
struct Ending {
    group: Arc<Group>,
    at: usize,
}

impl Drop for Ending {
    fn drop(&mut self) {
        self.group.end(self.at);
    }
}

/// The idempotency key of a call's part on one server.
fn derived_key(key: &str, server: &str) -> String {
    let digest = Digester::new("openshell key of one server 1")
        .text("key", key)
        .text("server", server)
        .finish();
    format!("fanout-{digest}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_derived_key_is_of_one_key_and_one_server() {
        let key = derived_key("k", "web-1");
        assert_eq!(key, derived_key("k", "web-1"));
        assert_ne!(key, derived_key("k", "web-2"));
        assert_ne!(key, derived_key("kw", "eb-1"));
        assert!(key.starts_with("fanout-"));
    }
}
