//! When a server that cannot be reached is left alone for a while.
//!
//! Each dial of a dead host takes as long as the limit for connecting, and an
//! agent tries again and again. After some failures in a row the next calls fail
//! at once, with the reason of the last; then one dial is let through to see.
//!
//! Invariant: only failures to reach the host count, never a refused login or
//! host key, which are answers; and one success forgets them all. It deliberately
//! has no clock of its own.

use std::time::{Duration, Instant};

use super::error::SshError;

/// Failures in a row after which a server is left alone.
const TRIP: u32 = 3;

/// How long it is left alone at first; each further failure doubles that.
const FIRST_PAUSE: Duration = Duration::from_secs(2);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// What is known of a server's failures.
#[derive(Clone, Debug, Default)]
pub(super) struct Breaker {
    failures: u32,
    open: Option<(Instant, SshError)>,
}

impl Breaker {
    /// Whether a dial may be made now.
    pub(super) fn check(&self, now: Instant) -> Result<(), SshError> {
        match &self.open {
            Some((until, last)) if now < *until => Err(SshError::LeftAlone {
                failures: self.failures,
                again_in: until.duration_since(now),
                source: Box::new(last.clone()),
            }),
            _ => Ok(()),
        }
    }

    /// Takes the result of a dial into account.
    pub(super) fn settle<T>(&mut self, now: Instant, result: &Result<T, SshError>) {
        match result {
            Err(error @ (SshError::ConnectFailed { .. } | SshError::ConnectTimeout { .. })) => {
                self.failures = self.failures.saturating_add(1);
                if let Some(doublings) = self.failures.checked_sub(TRIP) {
                    let pause = FIRST_PAUSE.saturating_mul(2u32.saturating_pow(doublings));
                    self.open = Some((now + pause.min(LONGEST_PAUSE), error.clone()));
                }
            }
            // It answered, or a host on the way did not, which has its own breaker.
            _ => *self = Self::default(),
        }
    }

    /// Whether nothing is known that would be missed.
    pub(super) fn is_closed(&self) -> bool {
        self.failures == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dead() -> Result<(), SshError> {
        Err(SshError::ConnectTimeout {
            host: "db".to_owned(),
            port: 22,
            after: Duration::from_secs(15),
        })
    }

    fn pause(breaker: &Breaker, now: Instant) -> Option<Duration> {
        match breaker.check(now) {
            Err(SshError::LeftAlone { again_in, .. }) => Some(again_in),
            _ => None,
        }
    }

    #[test]
    fn pauses_double_and_end() {
        let mut breaker = Breaker::default();
        let mut now = Instant::now();
        let mut pauses = Vec::new();
        for _ in 0..10 {
            breaker.settle(now, &dead());
            let pause = pause(&breaker, now);
            pauses.push(pause.map(|pause| pause.as_secs()));
            now += pause.unwrap_or_default();
            assert!(breaker.check(now).is_ok(), "one is let through");
        }
        let expected = [
            None,
            None,
            Some(2),
            Some(4),
            Some(8),
            Some(16),
            Some(32),
            Some(60),
            Some(60),
            Some(60),
        ];
        assert_eq!(pauses, expected);
        for _ in 0..40 {
            breaker.settle(now, &dead());
        }
        assert_eq!(pause(&breaker, now), Some(LONGEST_PAUSE));
        breaker.settle(now, &Ok(()));
        assert!(breaker.is_closed() && breaker.check(now).is_ok());
    }

    #[test]
    fn an_answer_is_no_failure() {
        let now = Instant::now();
        let mut breaker = Breaker::default();
        for _ in 0..TRIP - 1 {
            breaker.settle(now, &dead());
        }
        let refused: Result<(), _> = Err(SshError::AuthFailed {
            user: "u".to_owned(),
            host: "db".to_owned(),
            method: "publickey".to_owned(),
            methods: Vec::new(),
        });
        breaker.settle(now, &refused);
        breaker.settle(now, &dead());
        assert!(breaker.check(now).is_ok());
    }
}
