//! How many logins are under way at once, and how their time is counted.
//!
//! A login costs computing on both sides. Where more are begun than this machine
//! can carry, each gets slower until all of them run out of time together, and
//! nothing comes of the work. So they take turns: a few to begin with, more as long
//! as this machine keeps up, fewer when it does not. That it does not is seen by
//! timers that fire late, which no server can cause.
//!
//! Invariant: a limit of time counts what a server had to answer in; time in which
//! this process was not let run, or waited for its turn, counts for nothing, up to
//! [`STRETCH`] times the limit. A server that is slow by itself keeps its turn for
//! [`HOLD`] at most, so it delays nobody. It deliberately says nothing of TCP
//! connections being made: those cost nothing, and a dead host holds no turn.

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

/// How often the clock is looked at.
const TICK: Duration = Duration::from_millis(50);

/// How much longer than its limit something may take by the clock on the wall.
const STRETCH: u32 = 8;

/// How long one login keeps its turn while this machine keeps up.
const HOLD: Duration = Duration::from_secs(2);

/// Logins under way at once for each processor: to begin with, and at least.
const FIRST_EACH: usize = 4;
const LEAST_EACH: usize = 1;
/// And at most in all.
const MOST: usize = 128;

/// The turns of one process. Cloning shares them.
#[derive(Clone, Debug)]
pub(super) struct Pace(Arc<Turns>);

#[derive(Debug)]
struct Turns {
    free: Arc<Semaphore>,
    limit: AtomicUsize,
    hold: Duration,
    least: usize,
}

impl Default for Pace {
    fn default() -> Self {
        Self::on(processors(), HOLD)
    }
}

impl Pace {
    fn on(processors: usize, hold: Duration) -> Self {
        let limit = (FIRST_EACH * processors).min(MOST);
        Self(Arc::new(Turns {
            free: Arc::new(Semaphore::new(limit)),
            limit: AtomicUsize::new(limit),
            hold,
            least: (LEAST_EACH * processors).max(2).min(limit),
        }))
    }

    /// Waits for a turn, in the order of arrival.
    pub(super) async fn turn(&self) -> Turn {
        Turn {
            pace: self.clone(),
            // The semaphore is never closed.
            place: Arc::clone(&self.0.free).acquire_owned().await.ok(),
        }
    }
}

/// A login's turn; the next one has it when this is dropped.
#[derive(Debug)]
pub(super) struct Turn {
    pace: Pace,
    place: Option<OwnedSemaphorePermit>,
}

impl Turn {
    /// Ends the turn with what it taught: one more at a time, or one less.
    fn end(mut self, kept_up: bool) {
        let turns = &self.pace.0;
        let next = |limit: usize| match kept_up {
            true => (limit < MOST).then_some(limit + 1),
            false => (limit > turns.least).then(|| limit - 1),
        };
        let changed = turns
            .limit
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, next);
        match (changed.is_ok(), kept_up, self.place.take()) {
            (true, true, _) => turns.free.add_permits(1),
            (true, false, Some(place)) => place.forget(),
            _ => {}
        }
    }
}

/// A limit of time, by what this process was let run.
#[derive(Clone, Debug)]
pub(super) struct OwnTime {
    left: Duration,
    on_the_wall: Duration,
}

impl OwnTime {
    pub(super) fn new(limit: Duration) -> Self {
        Self {
            left: limit,
            on_the_wall: limit.saturating_mul(STRETCH),
        }
    }

    /// Does something within what is left; none where that was too little.
    pub(super) async fn within<T>(&mut self, work: impl Future<Output = T>) -> Option<T> {
        self.in_turn(None, work).await
    }

    /// The same, for something that has a turn.
    pub(super) async fn in_turn<T>(
        &mut self,
        mut turn: Option<Turn>,
        work: impl Future<Output = T>,
    ) -> Option<T> {
        tokio::pin!(work);
        let began = Instant::now();
        let end = began + self.on_the_wall;
        let before = self.left;
        let done = loop {
            let step = self.left.min(TICK);
            if step.is_zero() || Instant::now() >= end {
                break None;
            }
            tokio::select! {
                biased;
                done = &mut work => break Some(done),
                // However long that takes, it counts for as long as it should.
                () = tokio::time::sleep(step) => self.left -= step,
            }
            // What it taught is that the server is slow, which is no matter here.
            turn = turn.filter(|turn| before - self.left < turn.pace.0.hold);
        };
        let took = began.elapsed();
        self.on_the_wall = self.on_the_wall.saturating_sub(took);
        if let Some(turn) = turn {
            turn.end(took <= (before - self.left) * 2 + 2 * TICK);
        }
        done
    }
}

/// Waits for so long, by what this process was let run.
pub(super) async fn pass(limit: Duration) {
    // Nothing comes of it but the time.
    let _: Option<()> = OwnTime::new(limit).within(std::future::pending()).await;
}

fn processors() -> usize {
    static PROCESSORS: OnceLock<usize> = OnceLock::new();
    *PROCESSORS.get_or_init(|| std::thread::available_parallelism().map_or(1, NonZeroUsize::get))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Keeps the only thread of a runtime busy, so often and so long each time.
    async fn starve(times: u32, each: Duration) {
        for _ in 0..times {
            std::thread::sleep(each);
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn a_limit_counts_only_what_this_process_was_let_run() {
        let mut limit = OwnTime::new(Duration::from_millis(500));
        let starved = limit.within(starve(6, 3 * TICK));
        assert!(starved.await.is_some(), "900 ms late, 300 ms its own");
        let silent: Option<()> = limit.within(std::future::pending()).await;
        assert!(silent.is_none());
        assert!(limit.within(async {}).await.is_none(), "nothing is left");
    }

    #[tokio::test]
    async fn even_a_starved_process_does_not_wait_for_ever() {
        let mut limit = OwnTime {
            left: Duration::from_secs(3600),
            on_the_wall: 4 * TICK,
        };
        assert!(limit.within(starve(u32::MAX, TICK)).await.is_none());
    }

    #[tokio::test]
    async fn there_are_more_turns_as_long_as_this_machine_keeps_up() {
        let pace = Pace::on(2, HOLD);
        let now = || {
            let limit = pace.0.limit.load(Ordering::Relaxed);
            assert_eq!(limit, pace.0.free.available_permits());
            limit
        };
        assert_eq!(now(), 8);
        for _ in 0..3 {
            pace.turn().await.end(true);
        }
        assert_eq!(now(), 11);
        for _ in 0..20 {
            pace.turn().await.end(false);
        }
        assert_eq!(now(), 2);
        for _ in 0..2 * MOST {
            pace.turn().await.end(true);
        }
        assert_eq!(now(), MOST);
        drop(pace.turn().await);
        assert_eq!(now(), MOST, "who gives up teaches nothing");
    }

    #[tokio::test]
    async fn a_starved_login_makes_it_one_less() {
        let pace = Pace::on(1, HOLD);
        let turn = pace.turn().await;
        let mut limit = OwnTime::new(Duration::from_secs(60));
        let starved = limit.in_turn(Some(turn), starve(3, 6 * TICK));
        assert!(starved.await.is_some());
        assert_eq!(pace.0.limit.load(Ordering::Relaxed), FIRST_EACH - 1);
    }

    #[tokio::test]
    async fn a_slow_server_keeps_nobody_from_a_turn() {
        let pace = Pace::on(1, TICK);
        let mut silent = Vec::new();
        for _ in 0..FIRST_EACH {
            let turn = pace.turn().await;
            silent.push(tokio::spawn(async move {
                let mut limit = OwnTime::new(Duration::from_secs(3600));
                limit
                    .in_turn(Some(turn), std::future::pending::<()>())
                    .await
            }));
        }
        // Comes to an end although none of them does.
        drop(pace.turn().await);
        assert_eq!(pace.0.limit.load(Ordering::Relaxed), FIRST_EACH);
        for task in silent {
            task.abort();
        }
    }
}
