//! A call on one server as a part of a call on several: where it waits for the
//! others, and how it asks.
//!
//! Invariant: everything a call on one server has to go through stays as it is;
//! this only makes it wait, and lets its question be put together with those of
//! the others. A call that is no part of anything passes through at once.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use serde_json::{Value, json};

use super::group::{Group, Reply};
use crate::approvals::{Answer, Asker, Question};
use crate::engine::contract::{Failure, FailureCode};
use crate::registry::MasterKey;
use crate::supervisor::Call;
use crate::supervisor::digest;
use crate::supervisor::failure::{failure, not_granted};

/// The place of a call among those it belongs to.
pub(in crate::supervisor) struct Member {
    group: Arc<Group>,
    at: usize,
    /// The arguments of the call on all the servers.
    whole: Value,
    asker: Arc<MemberAsker>,
}

impl Member {
    pub(super) fn new(group: &Arc<Group>, at: usize, whole: &Value) -> Self {
        Self {
            group: Arc::clone(group),
            at,
            whole: whole.clone(),
            asker: Arc::new(MemberAsker {
                group: Arc::clone(group),
                at,
                reply: Mutex::default(),
            }),
        }
    }

    /// How the part on this server asks.
    pub(in crate::supervisor) fn asker(&self) -> Arc<dyn Asker> {
        Arc::clone(&self.asker) as Arc<dyn Asker>
    }

    /// What the actions of the whole call share in the journal.
    pub(in crate::supervisor) fn fanout(&self) -> String {
        self.group.id.clone()
    }

    /// Digest of the call on all the servers and of its part on one, by which a
    /// repetition is told from a reused key.
    pub(in crate::supervisor) fn payload(&self, tool: &str, arguments: &Value) -> String {
        payload(tool, arguments, &self.whole)
    }

    /// Lets nothing of the whole call go ahead.
    pub(in crate::supervisor) fn refuse(&self, answer: &Answer) {
        self.group.refuse(answer.clone());
    }

    /// Digest of the question about several servers that was answered, if it was
    /// one.
    pub(in crate::supervisor) fn question(&self) -> Option<String> {
        self.asker.reply().and_then(|reply| reply.question)
    }
}

/// See [`Member::payload`].
pub(super) fn payload(tool: &str, arguments: &Value, whole: &Value) -> String {
    digest::payload(tool, &json!([arguments, whole]))
}

impl Call {
    /// Takes note of what the policy says, and waits for a turn to work on the
    /// server.
    pub(in crate::supervisor) async fn await_turn(&self, asks: bool) -> Result<(), Failure> {
        let Some(member) = self.member() else {
            return Ok(());
        };
        member.group.judged(member.at, asks);
        self.unless_given_up(member.group.take_slot(member.at))
            .await
    }

    /// Waits, where nobody has to agree to this server's part, for what becomes of
    /// the question about the others.
    pub(in crate::supervisor) async fn await_others(&self) -> Result<(), Failure> {
        let Some(member) = self.member() else {
            return Ok(());
        };
        let passed = self.unless_given_up(member.group.pass(member.at)).await?;
        if let Err(answer) = passed {
            let mut refused = not_granted(&answer);
            refused.message = format!(
                "Nothing was done here, because the call as a whole was not agreed to. {}",
                refused.message
            );
            return Err(refused);
        }
        self.unless_given_up(member.group.take_slot(member.at))
            .await
    }

    /// Goes on after a person agreed.
    pub(in crate::supervisor) async fn go_on(&self) -> Result<(), Failure> {
        let Some(member) = self.member() else {
            return Ok(());
        };
        member.group.going(member.at);
        self.unless_given_up(member.group.take_slot(member.at))
            .await
    }

    async fn unless_given_up<T>(&self, work: impl Future<Output = T>) -> Result<T, Failure> {
        tokio::select! {
            done = work => Ok(done),
            () = self.cancel().cancelled() => Err(failure(
                FailureCode::Cancelled,
                "The call was given up before it was this server's turn; nothing was done on it.",
                "",
            )),
        }
    }
}

/// Asks together with the others.
struct MemberAsker {
    group: Arc<Group>,
    at: usize,
    reply: Mutex<Option<Reply>>,
}

impl MemberAsker {
    fn reply(&self) -> Option<Reply> {
        self.reply
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

#[async_trait]
impl Asker for MemberAsker {
    fn available(&self) -> Result<(), String> {
        self.group.asker().available()
    }

    async fn ask(&self, question: &Question) -> Answer {
        let Some(receiver) = self.group.ask(self.at, question) else {
            return Answer::Unanswered(
                "the server was not ready when the question about the others was put. Call for \
                 this server alone."
                    .to_owned(),
            );
        };
        let Ok(reply) = receiver.await else {
            return Answer::Unanswered("the call was given up.".to_owned());
        };
        let answer = reply.answer.clone();
        *self.reply.lock().unwrap_or_else(PoisonError::into_inner) = Some(reply);
        answer
    }

    /// The answer there is was given with the passphrase already: whoever put the
    /// question saw to that.
    async fn prove_presence(&self, _key: &MasterKey) -> Answer {
        self.reply().map_or_else(
            || Answer::Unanswered("nobody was asked.".to_owned()),
            |reply| reply.answer,
        )
    }
}
