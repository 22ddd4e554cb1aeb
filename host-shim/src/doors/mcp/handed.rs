//! Questions that were handed to a client as the result of a call, and the grants
//! that come with them.
//!
//! Invariant: an answer counts once, for the question it was given to, for ten
//! minutes. A call made again with the answer to its second question brings the
//! grant of its first: that was kept with the second question, under the name of the
//! first, and is taken out when it is used. What an answer means is not read here.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long a question that was handed over may be answered, and a grant counts.
const COUNTS_FOR: Duration = Duration::from_secs(600);

/// A question that a person said yes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Grant {
    /// Name of the question.
    pub(super) name: String,
    /// When the answer came.
    pub(super) at: Instant,
}

/// A question that was handed over.
struct Put {
    when: Instant,
    /// What was granted on the way to it, in the calls before.
    earlier: Vec<Grant>,
}

/// The questions one client has, by name.
#[derive(Default)]
pub(super) struct HandedOver {
    put: Mutex<HashMap<String, Put>>,
}

impl HandedOver {
    /// Notes that a question is handed over, with what was granted on the way to it.
    pub(super) fn put(&self, name: String, earlier: Vec<Grant>) {
        let when = Instant::now();
        self.lock().insert(name, Put { when, earlier });
    }

    /// Whether this question was handed over and not answered since; its answer
    /// counts once.
    pub(super) fn was_put(&self, name: &str) -> bool {
        self.lock().remove(name).is_some()
    }

    /// Takes the grant of an earlier question out of what came with a later one.
    pub(super) fn take(&self, later: &str, name: &str) -> Option<Grant> {
        let mut put = self.lock();
        let earlier = &mut put.get_mut(later)?.earlier;
        let at = earlier.iter().position(|grant| grant.name == name)?;
        let grant = earlier.swap_remove(at);
        (grant.at.elapsed() < COUNTS_FOR).then_some(grant)
    }

    /// The questions that may still be answered.
    fn lock(&self) -> MutexGuard<'_, HashMap<String, Put>> {
        let mut put = self.put.lock().unwrap_or_else(PoisonError::into_inner);
        put.retain(|_, question| question.when.elapsed() < COUNTS_FOR);
        put
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grant(name: &str, age: Duration) -> Grant {
        Grant {
            name: name.to_owned(),
            at: Instant::now()
                .checked_sub(age)
                .expect("the machine runs that long"),
        }
    }

    #[test]
    fn an_answer_counts_once_and_for_its_own_question() {
        let handed = HandedOver::default();
        handed.put("first".to_owned(), Vec::new());
        assert!(!handed.was_put("second"));
        assert!(handed.was_put("first"));
        assert!(!handed.was_put("first"));
    }

    #[test]
    fn a_grant_comes_with_the_question_it_led_to_and_counts_once() {
        let handed = HandedOver::default();
        handed.put("second".to_owned(), vec![grant("first", Duration::ZERO)]);
        assert_eq!(handed.take("other", "first"), None);
        assert_eq!(handed.take("second", "other"), None);
        assert!(handed.take("second", "first").is_some());
        assert_eq!(handed.take("second", "first"), None);
        assert!(handed.was_put("second"));
        // With the later question goes what came with it.
        handed.put("second".to_owned(), vec![grant("first", Duration::ZERO)]);
        assert!(handed.was_put("second"));
        assert_eq!(handed.take("second", "first"), None);
    }

    #[test]
    fn a_further_question_makes_no_grant_last_longer() {
        let handed = HandedOver::default();
        if Instant::now().checked_sub(COUNTS_FOR).is_none() {
            eprintln!("skipped: the machine was started less than ten minutes ago");
            return;
        }
        handed.put("second".to_owned(), vec![grant("first", COUNTS_FOR)]);
        assert_eq!(handed.take("second", "first"), None);
        assert!(handed.was_put("second"));
    }
}
