//! Waiting for the answers of an SFTP server.
//!
//! Requests queue: behind each other on a slow link, and behind a slow one in a server
//! that takes one after the other. How long a request waits therefore says nothing
//! about the server; that it answers nothing at all does.
//!
//! Invariant: a request is given up only after no answer to any request of the channel
//! has come for the whole limit. It deliberately sends nothing to find out.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use russh_sftp::client::error::Error as Raw;

use crate::ssh::pace::OwnTime;

/// When a server last answered, and how long it may not.
#[derive(Debug)]
pub(super) struct Answers {
    limit: Duration,
    last: Mutex<Instant>,
}

impl Answers {
    /// For a server that may answer nothing for `limit`.
    pub(super) fn new(limit: Duration) -> Self {
        Self {
            limit,
            last: Mutex::new(Instant::now()),
        }
    }

    /// Waits for the answer to a request.
    pub(super) async fn wait<T>(
        &self,
        request: impl Future<Output = Result<T, Raw>>,
    ) -> Result<T, Raw> {
        let mut request = std::pin::pin!(request);
        loop {
            let since = Instant::now();
            match OwnTime::new(self.limit).within(request.as_mut()).await {
                Some(answer) => {
                    if matches!(answer, Ok(_) | Err(Raw::Status(_))) {
                        self.note();
                    }
                    return answer;
                }
                None if self.last() < since => return Err(Raw::Timeout),
                None => {}
            }
        }
    }

    fn note(&self) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    fn last(&self) -> Instant {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use super::*;

    const LIMIT: Duration = Duration::from_millis(40);

    #[tokio::test]
    async fn a_request_waits_as_long_as_others_are_answered() {
        let answers = Answers::new(LIMIT);
        let (sender, queued) = tokio::sync::oneshot::channel();
        let queued = answers.wait(async { queued.await.map_err(|_| Raw::Timeout) });
        let others = async {
            let start = Instant::now();
            while start.elapsed() < 5 * LIMIT {
                assert!(answers.wait(async { Ok(()) }).await.is_ok());
                tokio::task::yield_now().await;
            }
            sender.send(7)
        };
        let (answer, sent) = tokio::join!(queued, others);
        assert!(sent.is_ok(), "somebody still waits");
        assert!(matches!(answer, Ok(7)), "{answer:?}");
    }

    #[tokio::test]
    async fn a_server_that_answers_nothing_is_given_up() {
        let answers = Answers::new(LIMIT);
        let answer: Result<(), Raw> = answers.wait(pending()).await;
        assert!(matches!(answer, Err(Raw::Timeout)), "{answer:?}");
        // What fails here is no answer of the server.
        let failing = async {
            loop {
                let _ = answers.wait(async { Err::<(), _>(Raw::Timeout) }).await;
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            answer = answers.wait(pending::<Result<(), Raw>>()) => assert!(answer.is_err()),
            () = failing => {}
        }
    }
}
