//! Says what a run did that an inspection does not do.
//!
//! Invariant: an attempt counts as the deed, since the sandbox, and not the command,
//! is why it failed. Whatever is traced and not known to be harmless is a finding.
//! It deliberately cannot see what a daemon would have done for the command: there
//! are none in the sandbox.

use crate::quirks;
use crate::sandbox::Run;
use crate::tree::{CANARY, SECRETS};

/// Everything suspicious about a run of `argv`. That it did not end in time is for
/// the caller to judge.
pub(crate) fn findings(argv: &[String], run: &Run) -> Vec<String> {
    let program = argv[0].rsplit('/').next().unwrap_or(&argv[0]);
    // A shell that answers for a builtin is the program.
    let program = match (program, argv.get(1).map(String::as_str)) {
        ("sh", Some("-c")) => "sh",
        _ => program,
    };
    let changed = run
        .changed
        .iter()
        .map(|change| format!("changed: {change}"));
    let left = run
        .left
        .iter()
        .map(|process| format!("left behind: {process}"));
    let secret = shows_canary(&run.output).map(|form| format!("shows a secret ({form})"));
    let calls = run.trace.lines().filter_map(|line| call(program, line));
    let mut findings: Vec<String> = changed
        .chain(left)
        .chain(secret)
        .chain(calls)
        .filter(|finding| !quirks::is_harmless(program, finding))
        .collect();
    findings.sort();
    findings.dedup();
    findings
}

/// Looks for the canary as it is, spread out, reversed, as numbers and in base64.
fn shows_canary(output: &str) -> Option<&'static str> {
    let text: String = output
        .chars()
        .filter(|c| !c.is_ascii_whitespace() && *c != '\0')
        .map(|c| c.to_ascii_uppercase())
        .collect();
    let unit = &CANARY[..12];
    let numbers = |digits: fn(u8) -> String| -> String { unit[..6].bytes().map(digits).collect() };
    // `xxd` and `hexdump` print two bytes a word, the latter in host order.
    let swapped: String = unit.as_bytes()[..6]
        .chunks(2)
        .map(|pair| format!("{:02X}{:02X}", pair[1], pair[0]))
        .collect();
    let forms = [
        (unit.to_owned(), "as it is"),
        (unit.chars().rev().collect(), "reversed"),
        (numbers(|byte| format!("{byte:02X}")), "in hexadecimal"),
        (swapped, "in hexadecimal words"),
        (numbers(|byte| format!("{byte:03o}")), "in octal"),
        (numbers(|byte| byte.to_string()), "in decimal"),
        // Of the repeated unit, at each of the three offsets.
        ("Q0FOQVJZ".to_owned(), "in base64"),
        ("NBTkFSWU".to_ascii_uppercase(), "in base64"),
        ("DQU5BUllD".to_ascii_uppercase(), "in base64"),
        ("INAU4QKSL".to_owned(), "in base32"),
    ];
    forms
        .into_iter()
        .find_map(|(form, name)| text.contains(&form).then_some(name))
}

/// One line of `strace -f -y -o`: `PID CALL(ARGUMENTS) = RESULT`.
fn call(program: &str, line: &str) -> Option<String> {
    let (pid, rest) = line.split_once(' ')?;
    let rest = rest.trim_start();
    let (name, arguments) = rest.split_once('(')?;
    if !name
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    {
        // A signal, an exit, or the second half of a call that was seen before.
        return None;
    }
    let failed = arguments.contains(" = -1 ");
    let has = |words: &[&str]| words.iter().any(|word| arguments.contains(word));
    let internet = || has(&["AF_INET"]) && !has(&["inet_addr(\"127.", "\"::1\"", "_port=htons(0)"]);
    let found = match name {
        "execve" | "execveat" => !failed && !runs_itself(program, arguments)?,
        "open" | "openat" | "openat2" => {
            let path = quoted(arguments).next()?;
            let writes = has(&[
                "O_WRONLY",
                "O_RDWR",
                "O_CREAT",
                "O_TRUNC",
                "O_APPEND",
                "O_TMPFILE",
            ]);
            writes && !matches!(path, "/dev/null" | "/dev/tty")
                // A descriptor from O_PATH names a file and cannot read it (open(2)).
                || opens_secret(arguments) && !has(&["O_PATH"]) && !quirks::may_read(program)
        }
        "open_by_handle_at" => !failed,
        "kill" | "tkill" | "tgkill" | "rt_sigqueueinfo" => {
            let own = arguments.starts_with(&format!("{pid},")) || arguments.starts_with("0,");
            !own && !has(&[", 0)", ", SIG_0)"])
        }
        "connect" | "bind" => internet() && !quirks::may_connect(program),
        "sendto" | "sendmsg" | "sendmmsg" => {
            internet() && !quirks::may_connect(program)
                || has(&["RTM_NEW", "RTM_DEL", "RTM_SET", "SOCK_DESTROY"])
                || has(&["MSG_NEW", "MSG_DEL", "MSG_SET"]) && has(&["NFNL_SUBSYS"])
                || has(&["IPSET_CMD_"]) && !has(&["IPSET_CMD_PROTOCOL", "IPSET_CMD_LIST"])
        }
        "ioctl" => has(&[
            "SIOCS",
            "SIOCADD",
            "SIOCDEL",
            "SIOCDARP",
            "BLKDISCARD",
            "BLKRRPART",
            "BLKROSET",
            "BLKPG",
            "BLKZEROOUT",
            "FITRIM",
            "FIFREEZE",
            "SETFLAGS",
            "FSSETXATTR",
            "TIOCSTI",
            "TIOCCONS",
            "RTC_SET",
            "LOOP_SET",
            "LOOP_CLR",
            "HDIO_SET",
            "KDSK",
            "TUNSET",
            "EVIOCS",
            "CDROMEJECT",
            "DM_DEV_REMOVE",
        ]),
        "prlimit64" => {
            let mut parts = arguments.split(", ");
            // Its own limits are its own.
            !arguments.starts_with("0,") && parts.nth(2).is_some_and(|new| new != "NULL")
        }
        "setrlimit" => false,
        "adjtimex" | "clock_adjtime" => !has(&["modes=0"]),
        "syslog" => has(&["CLEAR", "CONSOLE", "OPEN_WRITE"]),
        "semctl" | "shmctl" | "msgctl" => has(&["IPC_RMID", "IPC_SET"]),
        "semget" | "shmget" | "msgget" => has(&["IPC_CREAT"]) && !has(&["IPC_PRIVATE"]),
        "mq_open" => has(&["O_CREAT", "O_WRONLY", "O_RDWR"]),
        "bpf" => !has(&["GET", "QUERY"]),
        "keyctl" => !has(&["GET"]),
        "quotactl" => !has(&["Q_GET"]),
        // Their own scheduling is theirs.
        "sched_setaffinity" | "setpriority" | "ioprio_set" | "sched_setscheduler" => {
            !arguments.starts_with("0,") && !has(&[", 0, "])
        }
        "fchmod" | "fallocate" | "ftruncate" => !failed,
        // Memory of their own, and counters of themselves.
        "memfd_create" | "process_madvise" | "userfaultfd" | "io_uring_setup" => false,
        "perf_event_open" => false,
        // Whatever else is traced changes something.
        _ => true,
    };
    found.then(|| {
        let shown: String = rest.chars().take(200).collect();
        format!("calls {shown}")
    })
}

/// Whether what is started is the program or one of its helpers.
fn runs_itself(program: &str, arguments: &str) -> Option<bool> {
    let path = quoted(arguments).next()?;
    let (_, words) = arguments.split_once('[')?;
    let words: Vec<&str> = quoted(words.split("], ").next()?).collect();
    Some(quirks::may_run(program, path, &words))
}

/// Whether what was opened is a secret; strace says what the descriptor leads to.
fn opens_secret(arguments: &str) -> bool {
    let opened = arguments.rsplit_once(" = ").map(|(_, result)| result);
    let place = opened
        .and_then(|result| result.split_once('<'))
        .and_then(|(_, place)| place.rsplit_once('>'));
    place.is_some_and(|(place, _)| SECRETS.contains(&place))
}

/// The texts between quotes. strace escapes quotes within.
fn quoted(arguments: &str) -> impl Iterator<Item = &str> {
    let mut rest = arguments;
    std::iter::from_fn(move || {
        let from = rest.find('"')? + 1;
        let tail = &rest[from..];
        let mut escaped = false;
        let length = tail.find(|c| {
            let closes = c == '"' && !escaped;
            escaped = c == '\\' && !escaped;
            closes
        })?;
        rest = &tail[length + 1..];
        Some(&tail[..length])
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deeds_are_told_from_looks() {
        for (program, line, deed) in [
            (
                "cat",
                r#"7 openat(AT_FDCWD</work>, "a.txt", O_RDONLY) = 3</work/a.txt>"#,
                false,
            ),
            (
                "cat",
                r#"7 openat(AT_FDCWD</work>, "to-shadow", O_RDONLY) = 3</etc/shadow>"#,
                true,
            ),
            (
                "sort",
                r#"7 openat(AT_FDCWD</work>, "/tmp/x", O_WRONLY|O_CREAT, 0666) = -1 EROFS (Read-only file system)"#,
                true,
            ),
            (
                "ls",
                r#"7 execve("/usr/bin/ls", ["ls", "-l"], 0x7ff /* 6 vars */) = 0"#,
                false,
            ),
            (
                "awk",
                r#"8 execve("/bin/sh", ["sh", "-c", "id"], 0x7ff /* 6 vars */) = 0"#,
                true,
            ),
            (
                "awk",
                r#"8 execve("/opt/sh", ["sh"], 0x7ff /* 6 vars */) = -1 ENOENT (No such file or directory)"#,
                false,
            ),
            ("kill", "7 kill(9, SIGTERM) = 0", true),
            ("kill", "7 kill(9, 0) = 0", false),
            (
                "date",
                "7 clock_settime(CLOCK_REALTIME, {tv_sec=0, tv_nsec=0}) = -1 EPERM (Operation not permitted)",
                true,
            ),
            (
                "cat",
                r#"7 connect(3<socket:[1]>, {sa_family=AF_INET, sin_port=htons(53), sin_addr=inet_addr("10.0.0.1")}, 16) = -1 ENETUNREACH (Network is unreachable)"#,
                true,
            ),
            ("cat", "7 +++ exited with 0 +++", false),
        ] {
            assert_eq!(call(program, line).is_some(), deed, "{line}");
        }
    }

    #[test]
    fn a_secret_is_known_in_every_form() {
        let secret = CANARY.as_bytes();
        let octal: String = secret.iter().map(|byte| format!(" {byte:03o}")).collect();
        let spread: String = CANARY.chars().map(|c| format!("   {c}")).collect();
        for shown in [CANARY, &CANARY.to_lowercase(), &octal, &spread] {
            assert!(shows_canary(shown).is_some(), "{shown}");
        }
        assert_eq!(shows_canary("0 line error TODO 0\n"), None);
    }
}
