//! Times and what is said of them.
//!
//! Two sides of a line take turns call by call, so that a slow moment of the
//! machine hits both.
//!
//! Invariant: rounds of warming up never count. No time is left out for being odd.

use std::time::{Duration, Instant};

/// Times of one kind of work, in ms.
#[derive(Clone, Debug, Default)]
pub(crate) struct Times(Vec<f64>);

impl Times {
    pub(crate) fn push(&mut self, milliseconds: f64) {
        self.0.push(milliseconds);
    }

    /// The value below which this part of them lies.
    pub(crate) fn quantile(&self, part: f64) -> f64 {
        quantile(&self.0, part)
    }

    pub(crate) fn median(&self) -> f64 {
        self.quantile(0.5)
    }

    /// The median with the middle half.
    pub(crate) fn shown(&self) -> String {
        let number = |part: f64| digits(self.quantile(part));
        format!("{} ms ({}..{})", number(0.5), number(0.25), number(0.75))
    }
}

/// A number with about three digits that count.
pub(crate) fn digits(number: f64) -> String {
    match number.abs() {
        large if large >= 100.0 => format!("{number:.0}"),
        middle if middle >= 10.0 => format!("{number:.1}"),
        _ => format!("{number:.2}"),
    }
}

pub(crate) fn quantile(times: &[f64], part: f64) -> f64 {
    let mut sorted = times.to_vec();
    sorted.sort_by(f64::total_cmp);
    let last = sorted.len().saturating_sub(1);
    sorted
        .get((last as f64 * part).round() as usize)
        .copied()
        .unwrap_or(f64::NAN)
}

pub(crate) fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

/// How long something takes, in ms.
pub(crate) fn timed(work: impl FnOnce()) -> f64 {
    let begun = Instant::now();
    work();
    milliseconds(begun.elapsed())
}

/// Times several things in turn, so many rounds of which the first `warm_up` do
/// not count. Each says itself how long it took, in ms.
pub(crate) fn in_turn(
    warm_up: usize,
    rounds: usize,
    sides: &mut [&mut dyn FnMut() -> f64],
) -> Vec<Times> {
    let mut times = vec![Times::default(); sides.len()];
    for round in 0..warm_up + rounds {
        for (side, times) in sides.iter_mut().zip(&mut times) {
            let taken = side();
            if round >= warm_up {
                times.push(taken);
            }
        }
    }
    times
}
