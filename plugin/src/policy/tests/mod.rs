//! Tests of the policy as a whole.
//!
//! Invariant of the fixture: the subject has no server, labels or directory, so
//! that a test names what it depends on. It asserts nothing.
#![expect(clippy::unwrap_used, reason = "a failed test should stop here")]

mod circumstances;
mod corpus;
mod cost;
mod derivations;
mod docs;
mod hostile;
mod lexing;
mod privilege;
mod properties;
mod shells;

use super::types::{Request, Rulebook, Subject, Verdict};
use super::verdict::classify;

/// A command on a server about which nothing is known.
fn command(text: &str) -> Subject {
    request(Request::Command(text.to_owned()))
}

fn request(request: Request) -> Subject {
    Subject {
        request,
        server: "prod-a".to_owned(),
        tool: "remote_exec".to_owned(),
        labels: vec!["prod".to_owned()],
        cwd: None,
        home: None,
        resolved: None,
        sudo: None,
    }
}

fn verdict(text: &str) -> Verdict {
    classify(&command(text), &Rulebook::default())
}
