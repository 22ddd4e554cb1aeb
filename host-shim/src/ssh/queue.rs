//! Whose turn it is to have a session on a connection.
//!
//! Invariant: turns are given in the order of their tickets, and never more of
//! them are out than the server is believed to allow. Somebody the server sent
//! away waits again with the ticket he has, so a refusal costs nobody his place.
//! What a refusal taught is tried again after a while, because the cause may have
//! been a passing one; that a login carries one session is believed for good.
//! It deliberately knows nothing of the sessions themselves.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::error::SshError;

/// Sessions used of the ten that OpenSSH allows a connection by default
/// (`MaxSessions`), which leaves two to a person looking in by the same master.
const FIRST_LIMIT: usize = 8;

/// How long after a refusal one session more is tried again, where somebody waits
/// for it; twice as long after each that was refused as well, up to so many times.
const QUIET: Duration = Duration::from_secs(60);
const DOUBLINGS: u32 = 6;

/// Place in the order of arrival.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Ticket(u64);

/// A queue for sessions. Cloning shares it.
#[derive(Clone, Debug)]
pub(super) struct Queue {
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    limit: usize,
    /// What the limit was learned from.
    lesson: Option<Lesson>,
    out: usize,
    closed: bool,
    next: u64,
    waiting: BTreeMap<u64, oneshot::Sender<Turn>>,
}

#[derive(Clone, Copy, Debug)]
struct Lesson {
    /// When the limit was last moved.
    at: Instant,
    /// Refusals since one more was let in.
    refusals: u32,
}

impl Lesson {
    fn is_over(&self, now: Instant) -> bool {
        let doublings = self.refusals.saturating_sub(1).min(DOUBLINGS);
        now.duration_since(self.at) >= QUIET * 2u32.pow(doublings)
    }
}

/// The right to have one session open; given back when it is dropped.
#[derive(Debug)]
pub(super) struct Turn {
    queue: Queue,
    held: AtomicBool,
}

impl Queue {
    pub(super) fn new() -> Self {
        Self {
            state: Arc::new(Mutex::new(State {
                limit: FIRST_LIMIT,
                lesson: None,
                out: 0,
                closed: false,
                next: 0,
                waiting: BTreeMap::new(),
            })),
        }
    }

    /// Takes a place at the end of the queue.
    pub(super) fn ticket(&self) -> Ticket {
        let mut state = self.lock();
        state.next += 1;
        Ticket(state.next)
    }

    /// Waits until it is a ticket's turn. Whoever was sent away brings the turn
    /// he had: it is given back once he stands in the queue again, so that nobody
    /// who came later gets it.
    pub(super) async fn turn(
        &self,
        ticket: Ticket,
        back: Option<Arc<Turn>>,
    ) -> Result<Turn, SshError> {
        let mut waiting = {
            let mut state = self.lock();
            if state.closed {
                return Err(SshError::ConnectionLost { started: false });
            }
            let (sender, receiver) = oneshot::channel();
            state.waiting.insert(ticket.0, sender);
            Waiting {
                queue: self,
                ticket,
                receiver,
            }
        };
        drop(back);
        self.give();
        // The sender is dropped only by close().
        (&mut waiting.receiver)
            .await
            .map_err(|_| SshError::ConnectionLost { started: false })
    }

    /// A turn for work that finishes what others began, so it does not queue;
    /// none if all are out.
    pub(super) fn turn_now(&self) -> Option<Turn> {
        let mut state = self.lock();
        if state.closed || state.out >= state.limit {
            return None;
        }
        state.out += 1;
        Some(self.new_turn())
    }

    /// Believes from now on that the server allows no more than this, but one
    /// in any case.
    pub(super) fn narrow(&self, limit: usize) {
        self.lock().narrow(limit, Instant::now());
    }

    /// A session was opened.
    pub(super) fn admitted(&self) {
        self.lock().confirm();
    }

    /// How many sessions the server is believed to allow.
    pub(super) fn limit(&self) -> usize {
        self.lock().limit
    }

    /// How many sessions could be opened right now.
    pub(super) fn free(&self) -> usize {
        let state = self.lock();
        state.limit.saturating_sub(state.out)
    }

    /// How many wait.
    pub(super) fn waiting(&self) -> usize {
        self.lock().waiting.len()
    }

    /// Sends everyone who waits away, with an error.
    pub(super) fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        state.waiting.clear();
    }

    fn new_turn(&self) -> Turn {
        Turn {
            queue: self.clone(),
            held: AtomicBool::new(true),
        }
    }

    /// Gives free turns to those who wait longest.
    fn give(&self) {
        loop {
            let sender = {
                let mut state = self.lock();
                if state.out >= state.limit && !state.try_one_more(Instant::now()) {
                    return;
                }
                let Some((_, sender)) = state.waiting.pop_first() else {
                    return;
                };
                state.out += 1;
                sender
            };
            // Outside the lock: if nobody takes it any more, it comes back here.
            drop(sender.send(self.new_turn()));
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn narrow(&mut self, limit: usize, now: Instant) {
        self.limit = self.limit.min(limit.max(1));
        let refusals = self.lesson.map_or(0, |lesson| lesson.refusals);
        self.lesson = Some(Lesson {
            at: now,
            refusals: refusals.saturating_add(1),
        });
    }

    /// Raises the limit by one, where somebody waits and the last refusal is long
    /// ago. If it is refused again, that narrows it again.
    fn try_one_more(&mut self, now: Instant) -> bool {
        let Some(lesson) = &mut self.lesson else {
            return false;
        };
        let bounds = 2..FIRST_LIMIT;
        if self.waiting.is_empty() || !bounds.contains(&self.limit) || !lesson.is_over(now) {
            return false;
        }
        // One at a time: the next is tried when this one has stood for as long.
        lesson.at = now;
        self.limit += 1;
        true
    }

    /// A session was let in while as many were out as are believed to be allowed.
    fn confirm(&mut self) {
        if self.out >= self.limit
            && let Some(lesson) = &mut self.lesson
        {
            lesson.refusals = lesson.refusals.min(1);
        }
    }
}

impl Turn {
    /// Gives the turn back while its session goes on, because the session turned
    /// out to stand on a connection of its own.
    pub(super) fn release(&self) {
        if self.held.swap(false, Ordering::Relaxed) {
            self.queue.lock().out -= 1;
            self.queue.give();
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.release();
    }
}

/// Somebody who waits; he leaves the queue when he gives up.
struct Waiting<'a> {
    queue: &'a Queue,
    ticket: Ticket,
    receiver: oneshot::Receiver<Turn>,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.queue.lock().waiting.remove(&self.ticket.0);
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed step is the test's failure")]

    use futures::FutureExt;

    use super::*;

    fn out_of(queue: &Queue) -> Vec<Turn> {
        std::iter::from_fn(|| queue.turn_now()).collect()
    }

    #[test]
    fn turns_come_in_the_order_of_tickets() {
        let queue = Queue::new();
        let mut held = out_of(&queue);
        assert_eq!(held.len(), FIRST_LIMIT);
        let tickets: Vec<Ticket> = (0..4).map(|_| queue.ticket()).collect();
        // They come to wait in another order, as after a refusal.
        let mut waiting: Vec<_> = [2, 0, 3, 1]
            .map(|index| (index, Box::pin(queue.turn(tickets[index], None))))
            .into();
        for (_, turn) in &mut waiting {
            assert!(turn.now_or_never().is_none());
        }
        let mut order = Vec::new();
        let mut turns = Vec::new();
        while !waiting.is_empty() {
            held.pop();
            let at = waiting
                .iter_mut()
                .position(|(_, turn)| match turn.now_or_never() {
                    Some(turn) => {
                        turns.push(turn.unwrap());
                        true
                    }
                    None => false,
                })
                .unwrap();
            order.push(waiting.remove(at).0);
        }
        assert_eq!(order, [0, 1, 2, 3]);
    }

    #[test]
    fn a_lower_limit_counts_from_the_next_turn_on() {
        let queue = Queue::new();
        let mut held = out_of(&queue);
        queue.narrow(2);
        queue.narrow(5);
        assert_eq!((queue.limit(), queue.free()), (2, 0));
        let ticket = queue.ticket();
        let mut next = Box::pin(queue.turn(ticket, None));
        assert!((&mut next).now_or_never().is_none());
        held.truncate(2);
        assert!((&mut next).now_or_never().is_none());
        held.pop();
        drop(next.now_or_never().unwrap().unwrap());
        queue.narrow(0);
        assert_eq!(queue.limit(), 1, "one is always tried");
    }

    #[test]
    fn one_more_is_tried_when_the_last_refusal_is_long_ago() {
        let queue = Queue::new();
        let held = out_of(&queue);
        let begin = Instant::now();
        let after = |minutes: u32| begin + QUIET * minutes;
        queue.lock().narrow(3, begin);
        let mut wanted = Box::pin(queue.turn(queue.ticket(), None));
        let nobody = queue.lock().try_one_more(after(1));
        assert!(!nobody, "nobody waits");
        assert!((&mut wanted).now_or_never().is_none());

        // (minutes since the first refusal, whether one more is tried, the limit)
        let looks = [(0, false, 3), (1, true, 4), (1, false, 4)];
        for (minutes, tried, limit) in looks {
            assert_eq!(queue.lock().try_one_more(after(minutes)), tried);
            assert_eq!(queue.limit(), limit);
        }
        // Refused again: it takes twice as long until the next.
        queue.lock().narrow(3, after(1));
        for (minutes, tried) in [(2, false), (3, true)] {
            assert_eq!(
                queue.lock().try_one_more(after(minutes)),
                tried,
                "{minutes}"
            );
        }
        // Let in: the refusals before it count no more, and it goes on.
        queue.admitted();
        assert_eq!(queue.lock().lesson.map(|lesson| lesson.refusals), Some(1));
        let mut now = after(3);
        while queue.limit() < FIRST_LIMIT {
            now += QUIET;
            assert!(queue.lock().try_one_more(now));
        }
        assert!(!queue.lock().try_one_more(now + QUIET * 1000));

        // One session a login is believed for good.
        queue.lock().narrow(1, now);
        assert!(!queue.lock().try_one_more(now + QUIET * 1000));
        drop(held);
    }

    #[test]
    fn refusals_make_it_rarer_within_bounds() {
        let begin = Instant::now();
        for (refusals, quiet) in [(1, 1), (2, 2), (3, 4), (7, 64), (8, 64), (u32::MAX, 64)] {
            let lesson = Lesson {
                at: begin,
                refusals,
            };
            let over = |at: Instant| lesson.is_over(at);
            assert!(over(begin + QUIET * quiet), "{refusals}");
            assert!(!over(begin + QUIET * quiet - Duration::from_secs(1)));
        }
    }

    #[test]
    fn who_gives_up_holds_nobody_up() {
        let queue = Queue::new();
        let held = out_of(&queue);
        let mut first = Box::pin(queue.turn(queue.ticket(), None));
        let mut second = Box::pin(queue.turn(queue.ticket(), None));
        assert!((&mut first).now_or_never().is_none());
        assert!((&mut second).now_or_never().is_none());
        assert_eq!(queue.waiting(), 2);
        drop(first);
        assert_eq!(queue.waiting(), 1);
        drop(held);
        assert!((&mut second).now_or_never().unwrap().is_ok());
        // Given and not taken is not lost either.
        let held = out_of(&queue);
        let mut third = Box::pin(queue.turn(queue.ticket(), None));
        assert!((&mut third).now_or_never().is_none());
        drop(held);
        drop(third);
        assert_eq!(queue.free(), FIRST_LIMIT);
    }

    #[test]
    fn who_is_sent_away_keeps_his_place() {
        let queue = Queue::new();
        let tickets: Vec<Ticket> = (0..FIRST_LIMIT + 2).map(|_| queue.ticket()).collect();
        let mut waiting: Vec<_> = tickets
            .iter()
            .map(|ticket| Box::pin(queue.turn(*ticket, None)))
            .collect();
        let turns: Vec<_> = waiting
            .iter_mut()
            .map(|turn| turn.now_or_never().map(Result::unwrap).map(Arc::new))
            .collect();
        let later = waiting.split_off(FIRST_LIMIT);
        assert!(turns[FIRST_LIMIT..].iter().all(Option::is_none));
        // All but the first are refused, and wait again one by one.
        let mut refused: Vec<_> = Vec::new();
        let mut turns = turns.into_iter().flatten();
        let first = turns.next().unwrap();
        for (turn, ticket) in turns.zip(&tickets[1..]) {
            queue.narrow(queue.limit() - 1);
            let mut again = Box::pin(queue.turn(*ticket, Some(turn)));
            assert!((&mut again).now_or_never().is_none());
            refused.push(again);
        }
        assert_eq!(queue.limit(), 1);
        drop(first);
        assert!((&mut refused[0]).now_or_never().is_some());
        for mut turn in later {
            assert!((&mut turn).now_or_never().is_none());
        }
    }

    #[test]
    fn a_closed_queue_sends_everyone_away() {
        let queue = Queue::new();
        let held = out_of(&queue);
        let mut waiting = Box::pin(queue.turn(queue.ticket(), None));
        assert!((&mut waiting).now_or_never().is_none());
        queue.close();
        assert!(waiting.now_or_never().unwrap().is_err());
        drop(held);
        assert!(queue.turn_now().is_none());
        assert!(
            queue
                .turn(queue.ticket(), None)
                .now_or_never()
                .unwrap()
                .is_err()
        );
    }

    #[test]
    fn a_turn_is_given_back_once() {
        let queue = Queue::new();
        let turn = queue.turn_now().unwrap();
        turn.release();
        assert_eq!(queue.free(), FIRST_LIMIT);
        drop(turn);
        assert_eq!(queue.free(), FIRST_LIMIT);
    }
}
