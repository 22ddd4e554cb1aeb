//! Questions for a person who is not at this door: kept, and answered at a
//! terminal of their own before the same call is made again.
//!
//! Invariant: it decides nothing: what is judged, asked and recorded is the same as
//! with a person at the door; only the answer was given earlier. A grant is used by
//! one call; one that stopped at a further question gives it back.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;

use super::Supervisor;
use super::keep::blocking;
use crate::approvals::{
    Answer, Answerer, Asker, Origin, PendingAsk, PendingStore, Question, Taken,
};
use crate::registry::MasterKey;

/// Finds and keeps the questions of one call.
pub struct Deferred {
    supervisor: Supervisor,
    origin: Origin,
    /// Whether the grant that was used came with the registry's passphrase.
    proven: AtomicBool,
    /// The grants that this call used.
    taken: Mutex<Vec<PendingAsk>>,
}

impl Supervisor {
    /// A way of asking for where nobody can be asked.
    pub fn deferred(&self, origin: Origin) -> Deferred {
        Deferred {
            supervisor: self.clone(),
            origin,
            proven: AtomicBool::new(false),
            taken: Mutex::default(),
        }
    }
}

impl Deferred {
    /// The answer that waits for this question, if there is one. A grant is used
    /// up by this.
    pub async fn take(&self, question: &Question) -> Option<Answer> {
        // The key is not unlocked for nothing: without one, others can be asked.
        if !PendingStore::new(self.supervisor.resources().paths()).knows(question) {
            return None;
        }
        let asked = question.clone();
        let taken = self
            .with_store(move |store, key| store.take(key, &asked))
            .await;
        match taken {
            Ok(Taken::Nothing) => None,
            Ok(Taken::Granted { presence, ask }) => {
                self.proven.store(presence, Ordering::Release);
                self.lock_taken().push(*ask);
                Some(Answer::Granted(Answerer::OutOfBand))
            }
            Ok(Taken::Rejected(feedback)) => Some(Answer::Rejected(Answerer::OutOfBand, feedback)),
            Err(why) => Some(Answer::Unanswered(why)),
        }
    }

    /// Keeps the question until a person looks at it.
    pub async fn keep(&self, question: &Question) -> Answer {
        let (asked, origin) = (question.clone(), self.origin.clone());
        let kept = self
            .with_store(move |store, key| store.keep(key, &asked, origin))
            .await;
        match kept {
            Ok(()) => Answer::Kept,
            Err(why) => Answer::Unanswered(why),
        }
    }

    fn lock_taken(&self) -> std::sync::MutexGuard<'_, Vec<PendingAsk>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn with_store<T: Send + 'static>(
        &self,
        work: impl FnOnce(&PendingStore, &MasterKey) -> Result<T, crate::approvals::PendingError>
        + Send
        + 'static,
    ) -> Result<T, String> {
        let resources = self.supervisor.resources();
        let key: Arc<MasterKey> = resources
            .master_key()
            .await
            .map_err(|failure| failure.message)?;
        let store = PendingStore::new(resources.paths());
        blocking(move || work(&store, &key))
            .await
            .map_err(|failure| failure.message)?
            .map_err(|error| format!("{error}."))
    }
}

#[async_trait]
impl Asker for Deferred {
    fn available(&self) -> Result<(), String> {
        Ok(())
    }

    async fn ask(&self, question: &Question) -> Answer {
        match self.take(question).await {
            Some(answer) => answer,
            None => self.keep(question).await,
        }
    }

    async fn give_back(&self) {
        let taken = std::mem::take(&mut *self.lock_taken());
        if taken.is_empty() {
            return;
        }
        // A grant that cannot be given back is used up: the person is asked again.
        let _ = self
            .with_store(move |store, key| {
                taken.iter().try_for_each(|ask| store.give_back(key, ask))
            })
            .await;
    }

    async fn prove_presence(&self, _key: &MasterKey) -> Answer {
        if self.proven.load(Ordering::Acquire) {
            return Answer::Granted(Answerer::OutOfBand);
        }
        Answer::Unanswered("the registry's passphrase was not typed for it.".to_owned())
    }
}
