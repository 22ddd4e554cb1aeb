//! Points that do something, in builds made to be broken.
//!
//! `OPENSHELL_FAULT=NAME[:NTH][:ACTION]` arms one point: at its NTH passing
//! (counted from 1, over the whole process) it takes ACTION, which is `kill`
//! (SIGKILL, the default), `stop` (SIGSTOP, as a suspended laptop), `eio` or
//! `enospc` (the system call fails). `OPENSHELL_FAULT=list` has every point
//! listed. `OPENSHELL_FAULT_TRACE=FILE` appends the name of each point passed.
//!
//! Invariant: a setting that cannot be understood ends the process; a run that was
//! meant to break must not pass for one that held. An ordinary build does not
//! contain this file.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::process;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rustix::io::Errno;
use rustix::process::{Signal, getpid, kill_process};
use signal_hook::consts::SIGSTOP;

use super::point::Point;

/// Arms a point, or has all of them listed.
const FAULT: &str = "OPENSHELL_FAULT";
/// Names the file the passed points are written to.
const TRACE: &str = "OPENSHELL_FAULT_TRACE";
/// Replaces the journal's segment size, in bytes: rotations come too late otherwise.
const SEGMENT: &str = "OPENSHELL_FAULT_SEGMENT_BYTES";

/// Exit code of a process whose fault setting cannot be understood.
const MISUSED: i32 = 99;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Action {
    Kill,
    Stop,
    Fail(Errno),
}

struct Armed {
    point: Point,
    nth: u64,
    action: Action,
    passed: AtomicU64,
}

/// Prints every point and whether it can fail, one a line, where the environment
/// asks for that; says whether it did.
#[must_use]
pub fn announce() -> bool {
    if std::env::var(FAULT).as_deref() != Ok("list") {
        return false;
    }
    let lines: String = Point::ALL
        .iter()
        .map(|point| {
            let fails = if point.can_fail() { " fails" } else { "" };
            format!("{}{fails}\n", point.name())
        })
        .collect();
    // A reader that went away has read enough.
    let _ = io::stdout().write_all(lines.as_bytes());
    true
}

/// Splits bytes in the middle, for a point at which half of them are written.
pub(crate) fn parts(bytes: &[u8]) -> (&[u8], &[u8]) {
    bytes.split_at(bytes.len() / 2)
}

/// A request whose point lies between its sending and its answer.
pub(crate) async fn started<F: Future>(request: F, point: Point) -> F::Output {
    // Long enough for the request to be on its way.
    const ON_ITS_WAY: Duration = Duration::from_millis(4);
    let mut request = std::pin::pin!(request);
    let early = tokio::time::timeout(ON_ITS_WAY, request.as_mut()).await;
    reach(point);
    match early {
        Ok(answer) => answer,
        Err(_) => request.await,
    }
}

/// The journal's segment size, in bytes: the default, or what the environment says.
pub(crate) fn segment_bytes(default: u64) -> u64 {
    match std::env::var(SEGMENT) {
        Ok(text) => text
            .parse()
            .unwrap_or_else(|_| misused(&format!("{SEGMENT}={text} is no number"))),
        Err(_) => default,
    }
}

/// Passes a point that cannot fail.
pub(crate) fn reach(point: Point) {
    if check(point).is_err() {
        misused(&format!("nothing can fail at {}", point.name()));
    }
}

/// Passes a point at which the system may fail instead.
///
/// # Errors
/// The injected one.
pub(crate) fn check(point: Point) -> io::Result<()> {
    trace(point);
    let Some(armed) = armed().filter(|armed| armed.point == point) else {
        return Ok(());
    };
    if armed.passed.fetch_add(1, Ordering::SeqCst) + 1 != armed.nth {
        return Ok(());
    }
    match armed.action {
        Action::Fail(errno) => Err(errno.into()),
        Action::Stop => {
            stop();
            Ok(())
        }
        Action::Kill => {
            kill();
            // The signal ends every thread before this one runs on.
            loop {
                std::thread::park();
            }
        }
    }
}

/// Sends the signal to this very thread: one sent to the process may be taken by
/// another thread while this one runs on past the point, and drops its locks.
fn stop() {
    if let Err(error) = signal_hook::low_level::raise(SIGSTOP) {
        misused(&format!("it cannot be stopped: {error}"));
    }
}

fn kill() {
    if let Err(error) = kill_process(getpid(), Signal::KILL) {
        misused(&format!("it cannot be killed: {error}"));
    }
}

fn armed() -> Option<&'static Armed> {
    static ARMED: OnceLock<Option<Armed>> = OnceLock::new();
    ARMED
        .get_or_init(|| {
            let text = std::env::var(FAULT).ok()?;
            match parse(&text) {
                Ok(armed) => Some(armed),
                Err(why) => misused(&format!("{FAULT}={text}: {why}")),
            }
        })
        .as_ref()
}

fn parse(text: &str) -> Result<Armed, &'static str> {
    let mut parts = text.split(':');
    let name = parts.next().unwrap_or_default();
    let point = *Point::ALL
        .iter()
        .find(|point| point.name() == name)
        .ok_or("there is no such point")?;
    let nth = match parts.next() {
        None => 1,
        Some(number) => number.parse().map_err(|_| "the count is no number")?,
    };
    let action = match parts.next() {
        None | Some("kill") => Action::Kill,
        Some("stop") => Action::Stop,
        Some("eio") if point.can_fail() => Action::Fail(Errno::IO),
        Some("enospc") if point.can_fail() => Action::Fail(Errno::NOSPC),
        Some(_) => return Err("there is no such action at this point"),
    };
    if parts.next().is_some() {
        return Err("it has too many parts");
    }
    Ok(Armed {
        point,
        nth,
        action,
        passed: AtomicU64::new(0),
    })
}

fn trace(point: Point) {
    static FILE: OnceLock<Option<std::fs::File>> = OnceLock::new();
    let file = FILE.get_or_init(|| {
        let path = std::env::var_os(TRACE)?;
        match OpenOptions::new().create(true).append(true).open(&path) {
            Ok(file) => Some(file),
            Err(error) => misused(&format!("{TRACE}: {error}")),
        }
    });
    if let Some(mut file) = file.as_ref() {
        // One write a line: threads and processes share the file.
        if let Err(error) = file.write_all(format!("{}\n", point.name()).as_bytes()) {
            misused(&format!("{TRACE}: {error}"));
        }
    }
}

fn misused(why: &str) -> ! {
    // Whoever set the variable reads this; a closed stderr changes nothing.
    let _ = writeln!(io::stderr(), "fault points: {why}");
    process::exit(MISUSED)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_are_unique_and_parse() {
        let names: BTreeSet<&str> = Point::ALL.iter().map(|point| point.name()).collect();
        assert_eq!(names.len(), Point::ALL.len());
        for point in Point::ALL {
            let armed = parse(&format!("{}:3:kill", point.name()));
            assert!(armed.is_ok_and(|armed| armed.nth == 3 && armed.point == *point));
            let failing = parse(&format!("{}:1:eio", point.name()));
            assert_eq!(failing.is_ok(), point.can_fail(), "{}", point.name());
        }
        for text in [
            "",
            "no.such.point",
            "bridge.reply.before:x",
            "bridge.reply.before:1:kill:1",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
