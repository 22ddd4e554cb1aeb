//! Keeps the memory of this process out of crash dumps.
//!
//! It does not lock pages against swapping and does not defend against a
//! debugger run by root.
//!
//! Invariant: it reports what the kernel refused instead of going on in silence.

#[cfg(target_os = "linux")]
use rustix::process::{DumpableBehavior, set_dumpable_behavior};
use rustix::process::{Resource, Rlimit, setrlimit};

/// Forbids core dumps of this process, and on Linux also attaching to it.
///
/// Meant to be called once, before any secret is read. Children inherit the
/// limit on core files, not the second part. On Linux the process can no longer
/// be traced by its own user (`PR_SET_DUMPABLE`, prctl(2)), and most of its
/// `/proc` entries belong to root from then on.
///
/// # Errors
/// What the kernel answered; nothing is undone then.
pub fn disable_core_dumps() -> std::io::Result<()> {
    setrlimit(
        Resource::Core,
        Rlimit {
            current: Some(0),
            maximum: Some(0),
        },
    )?;
    #[cfg(target_os = "linux")]
    set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed test should stop here")]

    use super::disable_core_dumps;
    use rustix::process::{Resource, getrlimit};

    #[test]
    fn this_process_leaves_no_core() {
        disable_core_dumps().unwrap();
        let limit = getrlimit(Resource::Core);
        assert_eq!((limit.current, limit.maximum), (Some(0), Some(0)));
        #[cfg(target_os = "linux")]
        assert_eq!(
            rustix::process::dumpable_behavior().unwrap(),
            rustix::process::DumpableBehavior::NotDumpable
        );
        // Calling again is no error.
        disable_core_dumps().unwrap();
    }
}
