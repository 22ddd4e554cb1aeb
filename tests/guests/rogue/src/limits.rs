//! Attacks on the host's time and memory.
//!
//! Invariant: none of these ends by itself; a suite that sees one end saw the host
//! end it. Effects are not tried but to be left unfinished.

use std::hint::black_box;

use crate::attacks::Arguments;
use crate::bindings::openshell::host::effects;
use crate::bindings::openshell::host::servers::list_servers;
use crate::bindings::openshell::host::types::Failure;

/// Computes without end.
pub(crate) fn spin(_: &Arguments) -> Result<(), Failure> {
    spin_forever()
}

/// Loops without end; shared with the policy.
pub(crate) fn spin_forever() -> ! {
    let mut number = 0_u64;
    loop {
        number = black_box(number.wrapping_add(1));
    }
}

/// Changes something it may change, and never comes back.
pub(crate) fn spin_after_change(arguments: &Arguments) -> Result<(), Failure> {
    let action = arguments.open()?;
    effects::run(action.permit(&arguments.mark())?)?;
    spin_forever()
}

/// Calls the host without end, which looks like coming back each time.
pub(crate) fn chatter(_: &Arguments) -> Result<(), Failure> {
    loop {
        black_box(list_servers())?;
    }
}

/// Allocates without end.
pub(crate) fn hoard(_: &Arguments) -> Result<(), Failure> {
    hoard_forever()
}

/// Allocates without end; shared with the policy. It takes large pieces and writes
/// nothing into them, so that it reaches the limit of memory before that of time.
pub(crate) fn hoard_forever() -> ! {
    let mut hoard = Vec::new();
    loop {
        hoard.push(black_box(Vec::<u8>::with_capacity(16 << 20)));
    }
}

/// Makes the host allocate: one string, many times over in one argument.
pub(crate) fn flood(arguments: &Arguments) -> Result<(), Failure> {
    use crate::bindings::openshell::host::effects::{ArgvSpec, Operation};
    let action = arguments.open()?;
    // An empty word takes 8 bytes here and three times that in the host.
    let words = vec![String::new(); 12 << 20];
    action
        .permit(&Operation::Argv(ArgvSpec {
            argv: words,
            timeout_ms: 1_000,
        }))
        .map(drop)
}

/// Runs out of stack.
pub(crate) fn overflow(_: &Arguments) -> Result<(), Failure> {
    black_box(deeper(0));
    Ok(())
}

#[expect(unconditional_recursion, reason = "that is the attack")]
fn deeper(depth: u64) -> u64 {
    let frame = black_box([depth; 64]);
    black_box(deeper(frame[0] + 1)) + frame[1]
}

/// Panics.
#[expect(clippy::panic, reason = "that is the attack")]
pub(crate) fn panic(_: &Arguments) -> Result<(), Failure> {
    panic!("a guest can always panic")
}
