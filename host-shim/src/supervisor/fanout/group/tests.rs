//! Groups of servers with nobody behind them: what waits for what, and what a
//! question and its answer do to the rest.
//!
//! Invariant: no server decides anything here, and a time limit only where it is what is
//! tested. What the question says is
//! tested beside its own code.

use async_trait::async_trait;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::approvals::Answerer;
use crate::approvals::tests_shown::command;

struct Nobody;

#[async_trait]
impl Asker for Nobody {
    fn available(&self) -> Result<(), String> {
        Err("nobody is there.".to_owned())
    }

    async fn ask(&self, _question: &Question) -> Answer {
        Answer::Kept
    }
}

struct Somebody;

#[async_trait]
impl Asker for Somebody {
    fn available(&self) -> Result<(), String> {
        Ok(())
    }

    async fn ask(&self, _question: &Question) -> Answer {
        Answer::Kept
    }
}

fn patient(servers: usize, at_once: usize, asker: Arc<dyn Asker>) -> Arc<Group> {
    group(servers, at_once, Duration::from_secs(600), asker)
}

fn group(servers: usize, at_once: usize, ready: Duration, asker: Arc<dyn Asker>) -> Arc<Group> {
    let servers: Vec<String> = (0..servers).map(|at| format!("s{at}")).collect();
    let id = "id".to_owned();
    Arc::new(Group::new(id, &servers, at_once, ready, asker))
}

fn about(server: usize) -> Question {
    let mut question = command("reboot");
    question.place.server = format!("s{server}");
    question
}

/// Lets the coordinator of a group answer every question like this, and counts
/// the questions.
fn answering(group: &Arc<Group>, answer: Answer) -> Arc<AtomicUsize> {
    let asked = Arc::new(AtomicUsize::new(0));
    let (group, count) = (Arc::clone(group), Arc::clone(&asked));
    tokio::spawn(async move {
        group
            .coordinate(move |_, _| {
                count.fetch_add(1, Ordering::SeqCst);
                let answer = answer.clone();
                async move { answer }
            })
            .await
    });
    asked
}

fn yes() -> Answer {
    Answer::Granted(Answerer::Person)
}

fn no() -> Answer {
    Answer::Rejected(Answerer::Person, None)
}

#[tokio::test]
async fn what_nobody_has_to_agree_to_waits_only_until_that_is_known() {
    let group = patient(2, 1, Arc::new(Somebody));
    group.judged(0, false);
    group.take_slot(0).await;
    let waiting = {
        let group = Arc::clone(&group);
        tokio::spawn(async move { group.pass(0).await })
    };
    tokio::task::yield_now().await;
    assert!(!waiting.is_finished(), "the other was not judged yet");
    group.judged(1, false);
    assert_eq!(waiting.await.expect("no panic"), Ok(()));
}

#[tokio::test]
async fn one_question_for_all_and_its_answer_counts_for_all() {
    for (answer, goes) in [(yes(), true), (no(), false)] {
        let group = patient(4, 1, Arc::new(Somebody));
        let asked = answering(&group, answer.clone());
        for member in 0..4 {
            group.judged(member, member != 3);
        }
        let mut replies = Vec::new();
        for member in 0..3 {
            group.take_slot(member).await;
            replies.push(group.ask(member, &about(member)).expect("in time"));
        }
        // One at a time, and yet everybody gets ready: who waits has no turn.
        group.take_slot(3).await;
        assert_eq!(group.pass(3).await.is_ok(), goes);
        for reply in replies {
            let reply = reply.await.expect("answered");
            assert_eq!(reply.answer, answer);
            assert!(reply.question.is_some());
        }
        assert_eq!(asked.load(Ordering::SeqCst), 1);
    }
}

#[tokio::test]
async fn who_is_slow_to_get_ready_delays_nobody_and_is_not_asked_about_later() {
    let group = group(3, 3, Duration::from_millis(40), Arc::new(Somebody));
    let asked = answering(&group, yes());
    for member in 0..3 {
        group.judged(member, member < 2);
        group.take_slot(member).await;
    }
    // Server 1 does not get ready.
    let reply = group.ask(0, &about(0)).expect("in time");
    assert_eq!(reply.await.expect("answered").answer, yes());
    assert_eq!(group.pass(2).await, Ok(()));
    assert!(group.ask(1, &about(1)).is_none());
    assert_eq!(asked.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_single_slow_server_is_asked_about_all_the_same() {
    let group = group(2, 2, Duration::from_millis(40), Arc::new(Somebody));
    let asked = answering(&group, yes());
    for member in 0..2 {
        group.judged(member, member == 0);
        group.take_slot(member).await;
    }
    assert_eq!(group.pass(1).await, Ok(()), "does not wait for ever");
    let reply = group.ask(0, &about(0)).expect("nobody was asked yet");
    assert_eq!(reply.await.expect("answered").answer, yes());
    assert_eq!(asked.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn where_nobody_can_be_asked_nothing_goes_ahead() {
    let group = patient(2, 2, Arc::new(Nobody));
    group.judged(0, false);
    group.judged(1, true);
    group.end(1);
    assert!(matches!(group.pass(0).await, Err(Answer::Unanswered(_))));
}

#[tokio::test]
async fn what_was_refused_before_is_asked_of_nobody() {
    let group = patient(3, 3, Arc::new(Somebody));
    let asked = answering(&group, yes());
    for member in 0..3 {
        group.judged(member, member < 2);
        group.take_slot(member).await;
    }
    let reply = group.ask(0, &about(0)).expect("in time");
    group.refuse(no());
    group.end(1);
    assert_eq!(group.pass(2).await, Err(no()));
    group.end(2);
    assert_eq!(reply.await.expect("answered").answer, no());
    assert_eq!(asked.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn who_is_over_is_not_waited_for() {
    let group = patient(3, 3, Arc::new(Somebody));
    let asked = answering(&group, yes());
    group.judged(0, true);
    group.take_slot(0).await;
    let reply = group.ask(0, &about(0)).expect("in time");
    group.judged(1, true);
    group.end(1);
    group.end(2);
    let reply = reply.await.expect("answered");
    assert_eq!(reply.question, None, "it was about one server only");
    assert_eq!(asked.load(Ordering::SeqCst), 1);
}
