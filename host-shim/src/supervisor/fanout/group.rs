//! The servers of one call on their way to an effect: who was judged, who is being
//! connected to, who needs a person's answer, and when the one question is put.
//!
//! Invariant: as long as the text of the call needs consent on any server, nothing
//! runs on any until the question is answered, and what is not granted runs
//! nowhere. A server that is slow to get ready is not waited for, neither by the
//! question nor by the others. It decides nothing about any single server.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::time::Instant;

use super::question::{Fleet, fleets};
use crate::approvals::{Answer, Asker, Question};

/// How far a server has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// The policy has not said anything yet.
    Unjudged,
    /// Judged by the text of the call; waits for its turn.
    Queued,
    /// Is being connected to and looked at.
    Preparing {
        /// Since when.
        since: Instant,
    },
    /// As before, for so long that nobody waits for it any more.
    Late,
    /// Waits for a person's answer.
    Asking,
    /// Needs no consent of its own; waits for what becomes of the question.
    Held,
    /// Has what it needs.
    Going,
    /// Is over.
    Ended,
}

struct Standing {
    server: String,
    phase: Phase,
    /// Whether it needs a person's consent.
    asks: bool,
    /// Whether it was let through once; the question is behind it then.
    passed: bool,
    /// Its share of the work done at a time.
    slot: Option<OwnedSemaphorePermit>,
    asked: Option<(Question, oneshot::Sender<Reply>)>,
}

/// What became of a question, for one of the servers it was about.
#[derive(Debug, Clone)]
pub(super) struct Reply {
    pub(super) answer: Answer,
    /// Digest of the question, where it was about several servers.
    pub(super) question: Option<String>,
}

/// What a server without need for consent is told.
#[derive(Debug)]
pub(super) enum Gate {
    Open,
    Wait,
    /// The others may not, so neither may it.
    Closed(Answer),
}

struct State {
    members: Vec<Standing>,
    /// Counts changes that somebody may wait for.
    moves: u64,
    /// How long servers took to get ready, sorted.
    took: Vec<Duration>,
    /// Whether a question is being put.
    in_round: bool,
    /// What the first question led to, or why none could be put.
    resolved: Option<Answer>,
}

/// What is to be done next about the group as a whole.
enum Step {
    Ask(Vec<(usize, Question, oneshot::Sender<Reply>)>, Vec<String>),
    WaitUntil(Instant),
    Wait,
}

/// The servers of one call.
pub(super) struct Group {
    /// Names the call in the journal.
    pub(super) id: String,
    asker: Arc<dyn Asker>,
    /// How long a server may take at least to get ready before the others go on
    /// without it.
    ready: Duration,
    slots: Arc<Semaphore>,
    state: Mutex<State>,
    changed: Notify,
}

impl Group {
    pub(super) fn new(
        id: String,
        servers: &[String],
        at_once: usize,
        ready: Duration,
        asker: Arc<dyn Asker>,
    ) -> Self {
        let members = servers
            .iter()
            .map(|server| Standing {
                server: server.clone(),
                phase: Phase::Unjudged,
                asks: false,
                passed: false,
                slot: None,
                asked: None,
            })
            .collect();
        Self {
            id,
            asker,
            ready,
            slots: Arc::new(Semaphore::new(at_once)),
            state: Mutex::new(State {
                members,
                moves: 0,
                took: Vec::new(),
                in_round: false,
                resolved: None,
            }),
            changed: Notify::new(),
        }
    }

    pub(super) fn asker(&self) -> &Arc<dyn Asker> {
        &self.asker
    }

    /// Notes what the policy says of a server by the text of the call, or of what
    /// it turned out to be about.
    pub(super) fn judged(&self, member: usize, asks: bool) {
        let unavailable = asks.then(|| self.asker.available().err()).flatten();
        self.change(|state| {
            state.members[member].asks |= asks;
            if state.members[member].phase == Phase::Unjudged {
                state.set(member, Phase::Queued);
            }
            if let Some(why) = unavailable {
                state.resolve(Answer::Unanswered(why));
            }
        });
    }

    /// Waits for a turn to work. Returns at once where the server has one.
    pub(super) async fn take_slot(&self, member: usize) {
        if self.lock().members[member].slot.is_some() {
            return;
        }
        // The semaphore is never closed.
        let Ok(slot) = Arc::clone(&self.slots).acquire_owned().await else {
            return;
        };
        self.change(|state| {
            state.members[member].slot = Some(slot);
            if state.members[member].phase == Phase::Queued {
                let since = Instant::now();
                state.set(member, Phase::Preparing { since });
            }
        });
    }

    /// Hands in a question. None where the others were asked about already and this
    /// server was not ready then.
    pub(super) fn ask(
        &self,
        member: usize,
        question: &Question,
    ) -> Option<oneshot::Receiver<Reply>> {
        self.change(|state| {
            // What was refused is refused in the next round as well.
            let granted = matches!(state.resolved, Some(Answer::Granted(_)));
            let missed = state.in_round || granted;
            if missed && !state.members[member].passed {
                return None;
            }
            let (sender, receiver) = oneshot::channel();
            let standing = &mut state.members[member];
            standing.asks = true;
            standing.slot = None;
            standing.asked = Some((question.clone(), sender));
            state.set(member, Phase::Asking);
            Some(receiver)
        })
    }

    /// Lets a server through that needs no consent of its own, once it is known
    /// whether any other does, and with what answer.
    pub(super) async fn pass(&self, member: usize) -> Result<(), Answer> {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            match self.change(|state| state.gate(member)) {
                Gate::Open => return Ok(()),
                Gate::Closed(answer) => return Err(answer),
                Gate::Wait => changed.await,
            }
        }
    }

    /// Notes that the call was refused before any question was put.
    pub(super) fn refuse(&self, answer: Answer) {
        self.change(|state| state.resolve(answer));
    }

    /// Notes that a server has the consent it needed.
    pub(super) fn going(&self, member: usize) {
        self.change(|state| {
            state.members[member].passed = true;
            state.set(member, Phase::Going);
        });
    }

    /// Notes that nothing more happens on a server.
    pub(super) fn end(&self, member: usize) {
        self.change(|state| {
            let standing = &mut state.members[member];
            standing.slot = None;
            standing.asked = None;
            state.set(member, Phase::Ended);
        });
    }

    /// Puts the questions, whenever everybody is ready; never comes to an end.
    /// `put` carries a question and its answer.
    pub(super) async fn coordinate<F>(&self, put: impl Fn(Question, bool) -> F) -> !
    where
        F: Future<Output = Answer>,
    {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            let step = self.change(|state| state.next(Instant::now(), self.ready));
            match step {
                Step::Ask(asked, besides) => self.round(asked, &besides, &put).await,
                Step::WaitUntil(moment) => {
                    tokio::select! {
                        () = changed => {}
                        () = tokio::time::sleep_until(moment) => {}
                    }
                }
                Step::Wait => changed.await,
            }
        }
    }

    /// One round of questions. What is rejected once is rejected for all: the call
    /// is one thing to the person.
    async fn round<F>(
        &self,
        asked: Vec<(usize, Question, oneshot::Sender<Reply>)>,
        besides: &[String],
        put: &impl Fn(Question, bool) -> F,
    ) where
        F: Future<Output = Answer>,
    {
        let mut senders = Vec::new();
        let mut questions = Vec::new();
        for (member, question, sender) in asked {
            questions.push((member, question));
            senders.push((member, sender));
        }
        let mut replies = Vec::new();
        let mut refused = self.lock().refused();
        for fleet in fleets(questions, besides) {
            let several = fleet.is_several();
            let Fleet { members, question } = fleet;
            let digest = several.then(|| question.digest.clone());
            let answer = match &refused {
                Some(answer) => Answer::clone(answer),
                None => put(question, several).await,
            };
            if !matches!(answer, Answer::Granted(_)) {
                refused.get_or_insert_with(|| answer.clone());
            }
            replies.push((members, answer, digest));
        }
        let result = refused
            .clone()
            .or_else(|| replies.first().map(|(_, answer, _)| answer.clone()));
        self.change(|state| {
            state.in_round = false;
            if let Some(result) = result {
                state.resolve(result);
            }
        });
        for (member, sender) in senders {
            let Some((_, answer, question)) = replies
                .iter()
                .find(|(members, _, _)| members.contains(&member))
            else {
                continue;
            };
            // Whoever does not wait any more was given up.
            let _ = sender.send(Reply {
                answer: refused.clone().unwrap_or_else(|| answer.clone()),
                question: question.clone(),
            });
        }
    }

    /// Changes the state, and wakes whoever waits for a change of it.
    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let (result, moved) = {
            let mut state = self.lock();
            let before = state.moves;
            let result = change(&mut state);
            (result, state.moves != before)
        };
        if moved {
            self.changed.notify_waiters();
        }
        result
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn set(&mut self, member: usize, phase: Phase) {
        let before = std::mem::replace(&mut self.members[member].phase, phase);
        self.moves += 1;
        if let Phase::Preparing { since } = before
            && matches!(phase, Phase::Asking | Phase::Held | Phase::Going)
        {
            let took = since.elapsed();
            let at = self.took.partition_point(|known| *known <= took);
            self.took.insert(at, took);
        }
    }

    /// From when on a server is slow. As long as none is ready, none is: the cause
    /// may be this machine, and to begin with more servers would make it worse. For
    /// the same reason it takes several times what others take.
    fn slow_after(&self, least: Duration) -> Option<Duration> {
        let median = self.took.get(self.took.len() / 2)?;
        Some(least.max(*median * 4))
    }

    fn resolve(&mut self, answer: Answer) {
        self.resolved.get_or_insert(answer);
        self.moves += 1;
    }

    /// Why nothing may go ahead, where that is so.
    fn refused(&self) -> Option<Answer> {
        let resolved = self.resolved.clone();
        resolved.filter(|answer| !matches!(answer, Answer::Granted(_)))
    }

    fn gate(&mut self, member: usize) -> Gate {
        if self.members[member].passed {
            return Gate::Open;
        }
        let undecided = self.in_round
            || self.members.iter().any(|other| match other.phase {
                Phase::Unjudged => true,
                Phase::Queued | Phase::Preparing { .. } | Phase::Asking => other.asks,
                Phase::Late | Phase::Held | Phase::Going | Phase::Ended => false,
            });
        if let Some(refused) = self.refused() {
            return Gate::Closed(refused);
        }
        if self.resolved.is_none() && undecided {
            if self.members[member].phase != Phase::Held {
                self.members[member].slot = None;
                self.set(member, Phase::Held);
            }
            return Gate::Wait;
        }
        self.members[member].passed = true;
        self.set(member, Phase::Going);
        Gate::Open
    }

    fn next(&mut self, now: Instant, ready: Duration) -> Step {
        let slow_after = self.slow_after(ready);
        let mut soonest: Option<Instant> = None;
        let mut unready = false;
        for member in 0..self.members.len() {
            match self.members[member].phase {
                Phase::Unjudged | Phase::Queued => unready = true,
                Phase::Preparing { since } => {
                    let limit = slow_after.map(|slow_after| since + slow_after);
                    if limit.is_some_and(|limit| limit <= now) {
                        self.members[member].slot = None;
                        self.set(member, Phase::Late);
                        continue;
                    }
                    unready = true;
                    soonest = match (soonest, limit) {
                        (Some(soonest), Some(limit)) => Some(soonest.min(limit)),
                        (soonest, limit) => soonest.or(limit),
                    };
                }
                Phase::Late | Phase::Asking | Phase::Held | Phase::Going | Phase::Ended => {}
            }
        }
        if !unready {
            let asked: Vec<_> = self
                .members
                .iter_mut()
                .enumerate()
                .filter_map(|(member, standing)| {
                    let (question, sender) = standing.asked.take()?;
                    Some((member, question, sender))
                })
                .collect();
            if !asked.is_empty() {
                self.in_round = true;
                self.moves += 1;
                let held = self.members.iter();
                let held = held.filter(|standing| standing.phase == Phase::Held);
                return Step::Ask(asked, held.map(|it| it.server.clone()).collect());
            }
        }
        soonest.map_or(Step::Wait, Step::WaitUntil)
    }
}

#[cfg(test)]
mod tests;
