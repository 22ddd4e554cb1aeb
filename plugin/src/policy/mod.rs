//! The command policy: what runs at once, what a person is asked, what never runs.
//!
//! Invariant: a pure function of the request, its circumstances and the rules. It
//! has no clock, files, network or randomness, looks at a command as the exact
//! words every shell would see, and lets run unasked only what its tables know to
//! read and nothing more. It enforces nothing: the host runs it, in an instance of
//! its own, before it mints a permit.

mod catastrophe;
mod grammar;
mod lex;
mod paths;
mod preflight;
mod privilege;
mod rules;
mod scan;
#[cfg(any(test, feature = "tables"))]
mod tables;
mod types;
mod unseen;
mod verdict;
mod wildcard;

#[cfg(test)]
mod tests;

#[cfg(any(test, feature = "tables"))]
pub use self::tables::{Entry, Operands, Refused, Secret, Tables, Value, tables};
pub use self::types::{
    Decision, Request, Rule, RuleOrigin, Rulebook, Step, Subject, Sudo, Verdict,
};
pub use self::verdict::{classify, explain, rule_matches};
