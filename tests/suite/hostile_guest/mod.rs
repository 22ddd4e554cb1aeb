//! A hostile component in the real host, against a real server.
//!
//! The guest in `tests/guests/rogue` plays the component while the verdicts come
//! from the real one, as they would if only the running instance were taken over.
//! Under test: what nobody granted does not happen, the result and the journal say
//! what happened, and the helper goes on serving. Invariant: what is believed is
//! read on the server and in the journal. It deliberately trusts no report of the
//! guest.

mod bench;
mod judge;
mod limits;
mod permits;
mod reports;
