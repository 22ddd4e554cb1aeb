//! Named points at which a test build can be killed, stopped or made to fail.
//!
//! Invariant: without the cargo feature `fault-points`, which is off by default,
//! a point is no code at all and its name is in no binary; a test reads the
//! ordinary binary for it. With the feature a point does nothing until the
//! environment arms it, so that the build with points behaves as the one without.
//!
//! It deliberately knows nothing of what the points stand between: [`Point`]
//! names them, the code around them says what must hold there.

#[cfg(feature = "fault-points")]
mod armed;
mod point;

#[cfg(feature = "fault-points")]
pub use armed::announce;
#[cfg(feature = "fault-points")]
pub(crate) use armed::{check, parts, reach, segment_bytes, started};
pub(crate) use point::Point;

/// Passes a point that cannot fail.
#[cfg(not(feature = "fault-points"))]
#[inline(always)]
pub(crate) const fn reach(_: Point) {}

/// Passes a point at which the system may fail instead.
#[cfg(not(feature = "fault-points"))]
#[expect(
    clippy::unnecessary_wraps,
    reason = "with the feature the point can fail, and both have one signature"
)]
#[inline(always)]
pub(crate) const fn check(_: Point) -> std::io::Result<()> {
    Ok(())
}

/// What is written before and after a point in the middle of a write: all of it,
/// and nothing.
#[cfg(not(feature = "fault-points"))]
#[inline(always)]
pub(crate) const fn parts(bytes: &[u8]) -> (&[u8], &[u8]) {
    (bytes, &[])
}

/// A request whose point lies between its sending and its answer.
#[cfg(not(feature = "fault-points"))]
#[inline(always)]
pub(crate) const fn started<F>(request: F, _: Point) -> F {
    request
}

/// The journal's segment size, in bytes.
#[cfg(not(feature = "fault-points"))]
#[inline(always)]
pub(crate) const fn segment_bytes(bytes: u64) -> u64 {
    bytes
}
