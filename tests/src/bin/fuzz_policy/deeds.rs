//! Proves that the sandbox notices what commands do, before anything is fuzzed.
//!
//! Invariant: a run whose sandbox misses one of these deeds, or takes a look for a
//! deed, does not start.

use std::time::Duration;

use crate::findings;
use crate::sandbox::{SYSTEM_PATH, Sandbox};

/// Words, and what the finding must say.
const DEEDS: &[(&[&str], &str)] = &[
    (&["touch", "made"], "made is new"),
    (&["chmod", "600", "made"], "made was"),
    (&["mv", "made", "moved"], "made is gone"),
    (&["rm", "moved"], "moved is gone"),
    (&["touch", "-c", "a.txt"], "a.txt was"),
    (&["ln", "a.txt", "/opt/other"], "/opt/other is new"),
    (&["rm", "/opt/other"], "/opt/other is gone"),
    (&["sh", "-c", ": > /dev/shm-like"], "/dev/shm-like is new"),
    (&["rm", "/dev/shm-like"], "/dev/shm-like is gone"),
    (&["cat", "/etc/shadow"], "shows a secret (as it is)"),
    (&["cat", "to-shadow"], "calls openat"),
    (&["od", "-c", "/etc/shadow"], "shows a secret"),
    (&["od", "-b", "/etc/shadow"], "shows a secret (in octal)"),
    (&["hexdump", "/etc/shadow"], "shows a secret"),
    (&["base64", "/etc/shadow"], "shows a secret (in base64)"),
    (&["rev", "/etc/shadow"], "shows a secret (reversed)"),
    (&["md5sum", "/etc/shadow"], "calls openat"),
    (&["cat", "/proc/1/environ"], "shows a secret"),
    (&["sh", "-c", "id"], "calls execve"),
    (&["sh", "-c", "/work/script.sh"], "calls execve"),
    (&["rm", "-f", "ran"], "ran is gone"),
    (
        &["sh", "-c", "sleep 30 >/dev/null 2>&1 &"],
        "left behind: sleep",
    ),
    (&["setsid", "-f", "sleep", "30"], "left behind: sleep"),
    (&["sh", "-c", "kill -0 1; kill -CONT 1"], "calls kill"),
    (&["pkill", "-x", "sleep"], "another process was ended"),
    (&["hostname", "other"], "calls sethostname"),
    (&["date", "-s", "@0"], "calls clock_settime"),
    (&["dmesg", "-C"], "calls syslog"),
    (&["renice", "-n", "5", "1"], "calls setpriority"),
    (
        &["ip", "link", "set", "lo", "mtu", "1400"],
        "changed: /sys/class/net/lo/mtu",
    ),
    (&["bash", "-c", ": > /dev/udp/192.0.2.1/9"], "calls connect"),
    (&["strings", "/dev/zero"], ENDLESS),
    (&["cat", "fifo"], ENDLESS),
];

/// What is said of a command that is still there when it was waited for.
const ENDLESS: &str = "does not end";

/// What leaves no trace.
const LOOKS: &[&[&str]] = &[
    &["cat", "a.txt"],
    &["ls", "-la", "/work"],
    &["stat", "fifo"],
    &["ps", "aux"],
];

/// Does the deeds and the looks.
pub(crate) fn are_seen(sandbox: &mut Sandbox) -> Result<(), String> {
    let found = |sandbox: &mut Sandbox, words: &[&str], patience: u64| {
        let argv: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        let name = argv[0].clone();
        if !sandbox.system.contains(&name) {
            return Ok(None);
        }
        let run = sandbox
            .run(&argv, SYSTEM_PATH, "/work", Duration::from_secs(patience))
            .map_err(|error| error.to_string())?;
        let mut found = findings::findings(&argv, &run);
        if run.timed_out {
            found.push(ENDLESS.to_owned());
        }
        Ok::<_, String>(Some((found, run.output)))
    };
    for (deed, expected) in DEEDS {
        let patience = if *expected == ENDLESS { 1 } else { 60 };
        let Some((found, output)) = found(sandbox, deed, patience)? else {
            continue;
        };
        if !found.iter().any(|finding| finding.contains(expected)) {
            return Err(format!(
                "of `{}` it saw {found:?} and not {expected:?}; it said {output:?}",
                deed.join(" "),
            ));
        }
    }
    for look in LOOKS {
        let Some((found, output)) = found(sandbox, look, 60)? else {
            continue;
        };
        if !found.is_empty() || output.is_empty() {
            return Err(format!(
                "`{}` printed nothing or did {found:?}",
                look.join(" ")
            ));
        }
    }
    Ok(())
}
