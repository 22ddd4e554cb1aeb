//! Attacks on permits and actions: the right to act, without having it.
//!
//! Invariant: what was forged shows in the marker, so an attack that worked leaves
//! a line. The guest does not hide what it tried.

use crate::attacks::{Arguments, command, harmless, spend};
use crate::bindings::openshell::host::effects::{self, Action, Operation, Permit, ReadSpec};
use crate::bindings::openshell::host::types::Failure;

/// Turns a number into a permit.
#[expect(
    unsafe_code,
    reason = "a guest can pass any number as a handle; that is the attack"
)]
fn permit_of(handle: u32) -> Permit {
    // SAFETY: a handle is an index that the host checks; in this instance it is
    // only a number.
    unsafe { Permit::from_handle(handle) }
}

/// Turns a number into an action.
#[expect(
    unsafe_code,
    reason = "a guest can pass any number as a handle; that is the attack"
)]
fn action_of(handle: u32) -> Action {
    // SAFETY: as for permits.
    unsafe { Action::from_handle(handle) }
}

/// Does what any tool does, to see that calls are still served.
pub(crate) fn honest(arguments: &Arguments) -> Result<(), Failure> {
    let permit = arguments.open()?.permit(&harmless())?;
    effects::run(permit).map(drop)
}

/// Spends a permit that nobody gave it. With `open`, an action makes some
/// handles exist that are no permits.
pub(crate) fn forge(arguments: &Arguments) -> Result<(), Failure> {
    let action = match arguments.number("open") {
        0 => None,
        _ => Some(arguments.open()?),
    };
    spend(
        arguments.text("effect"),
        permit_of(arguments.number("handle")),
    )?;
    drop(action);
    Ok(())
}

/// Asks for a permit on an action that nobody opened.
pub(crate) fn forge_action(arguments: &Arguments) -> Result<(), Failure> {
    let action = action_of(arguments.number("handle"));
    effects::run(action.permit(&arguments.mark())?).map(drop)
}

/// Spends one permit twice.
pub(crate) fn reuse(arguments: &Arguments) -> Result<(), Failure> {
    let action = arguments.open()?;
    let handle = action.permit(&arguments.mark())?.take_handle();
    effects::run(permit_of(handle))?;
    effects::run(permit_of(handle)).map(drop)
}

/// Spends the permit for looking at a file on another effect.
pub(crate) fn swap(arguments: &Arguments) -> Result<(), Failure> {
    let action = arguments.open()?;
    let permit = action.permit(&Operation::Stat(arguments.marker().to_owned()))?;
    spend(arguments.text("effect"), permit)
}

/// Spends the permit for a harmless command on a write, then tries the same
/// write without one, then a command nobody was asked about.
pub(crate) fn exec_then_write(arguments: &Arguments) -> Result<(), Failure> {
    let action = arguments.open()?;
    let permit = action.permit(&harmless())?;
    let first = effects::write(permit).map(drop);
    let second = action
        .permit(&arguments.overwrite())
        .and_then(effects::write)
        .map(drop);
    let third = action
        .permit(&arguments.mark())
        .and_then(effects::run)
        .map(drop);
    first.and(second).and(third)
}

/// Lets a granted permit go.
pub(crate) fn drop_permit(arguments: &Arguments) -> Result<(), Failure> {
    let action = arguments.open()?;
    drop(action.permit(&arguments.mark())?);
    Ok(())
}

/// Collects two permits for changes and spends both.
pub(crate) fn second_change(arguments: &Arguments) -> Result<(), Failure> {
    let action = arguments.open()?;
    let first = action.permit(&arguments.mark())?;
    let second = action.permit(&arguments.mark_with("again"))?;
    effects::run(first)?;
    effects::run(second).map(drop)
}

/// Asks for another permit when the action has its outcome.
pub(crate) fn after_the_end(arguments: &Arguments) -> Result<(), Failure> {
    let action = arguments.open()?;
    effects::run(action.permit(&arguments.mark())?)?;
    let permit = action.permit(&Operation::Stat(arguments.marker().to_owned()))?;
    effects::stat(permit).map(drop)
}

/// Keeps a permit until the action has its outcome.
pub(crate) fn late_read(arguments: &Arguments) -> Result<(), Failure> {
    let action = arguments.open()?;
    let late = action.permit(&Operation::Read(ReadSpec {
        path: arguments.text("readable").to_owned(),
        offset: 0,
        length: 16,
        sudo: false,
    }))?;
    effects::run(action.permit(&arguments.mark())?)?;
    effects::read(late).map(drop)
}

/// Opens one action after the other, each for a change of its own.
pub(crate) fn many_actions(arguments: &Arguments) -> Result<(), Failure> {
    let mut failed = None;
    for _ in 0..50 {
        let done = arguments
            .open()
            .and_then(|action| action.permit(&arguments.mark()))
            .and_then(effects::run);
        failed = failed.or(done.err());
    }
    failed.map_or(Ok(()), Err)
}

/// Opens an action on a server the call does not name.
pub(crate) fn other_server(arguments: &Arguments) -> Result<(), Failure> {
    let action = Action::open(arguments.text("other"))?;
    effects::run(action.permit(&arguments.mark())?).map(drop)
}

/// Does what its own policy allows.
pub(crate) fn yes_policy(arguments: &Arguments) -> Result<(), Failure> {
    let action = arguments.open()?;
    effects::run(action.permit(&arguments.mark())?).map(drop)
}

/// Asks again, in ever new words, after a person said no.
pub(crate) fn nag(arguments: &Arguments) -> Result<(), Failure> {
    let action = arguments.open()?;
    let mut failed = None;
    for number in 0..50 {
        let done = action
            .permit(&arguments.mark_with(&format!("please-{number}")))
            .and_then(effects::run);
        failed = failed.or(done.err());
    }
    failed.map_or(Ok(()), Err)
}

/// Runs a change that takes a while, for a suite that gives the call up meanwhile.
pub(crate) fn slow_change(arguments: &Arguments) -> Result<(), Failure> {
    let marker = arguments.marker();
    let text = format!("echo began >> {marker}; sleep 2; echo ended >> {marker}");
    effects::run(arguments.open()?.permit(&command(&text))?).map(drop)
}
