//! What some programs do that changes nothing for anyone.
//!
//! Invariant: an exception names its programs and the narrowest part of what is seen,
//! with the reason. What is not here is a finding.

/// Programs that run others to do their own work, with those others. A shell among
/// the others runs only what begins with another of them.
const HELPERS: &[(&str, &str)] = &[
    // Shell scripts around a decompressor.
    (
        "zcat zgrep zegrep zfgrep gunzip zcmp zdiff",
        "gzip grep egrep fgrep sed cat expr zgrep",
    ),
    ("bzcat bzgrep bunzip2", "bzip2 grep egrep sed"),
    ("xzcat xzgrep unxz lzcat", "xz grep egrep fgrep sed expr"),
    (
        "zstdcat zstdgrep unzstd",
        "zstd zstdcat grep egrep fgrep sed cat",
    ),
    // Scripts that hand their words on.
    ("egrep fgrep", "grep"),
    ("which", "which.debianutils"),
    ("tar", "gzip bzip2 xz zstd sh"),
    ("dpkg", "dpkg-query dpkg-deb dpkg-split tar"),
    ("dpkg-deb", "tar rm"),
    ("apt apt-cache apt-mark apt-get", "dpkg"),
    ("lsb_release", "python3 cut tr getopt"),
    ("pip pip3 iotop", "python3"),
    ("shasum", "perl"),
    ("locale", "gzip"),
    ("npm", "node"),
    ("update-alternatives", "dpkg"),
    ("ldconfig", "ldconfig.real"),
    ("java javac jps node nodejs npm", ""),
    // A name for another program.
    ("sdiff", "diff"),
    ("nproc arch", "coreutils"),
];

/// The programs, a part of the finding, and why it is none.
const QUIRKS: &[(&str, &str, &str)] = &[
    (
        "apt apt-cache apt-mark",
        "/var/cache",
        "its cache, made anew where it is older than the lists",
    ),
    ("apt apt-cache apt-mark", "fchmod(", "the mode of its cache"),
    (
        "top",
        "/root/.config",
        "an empty directory for settings, in the home of who runs it",
    ),
    (
        "top",
        "changed: /root was",
        "the directory of that directory",
    ),
    (
        "dpkg dpkg-deb",
        "/tmp/dpkg",
        "a temporary directory that it removes",
    ),
    (
        "blkid",
        "/run",
        "its cache of what it saw, kept where the next system start clears it",
    ),
    (
        "java javac jps",
        "hsperfdata",
        "a file about the machine itself while it runs",
    ),
    ("java javac jps", "ftruncate(", "the size of that file"),
    (
        "java javac jps",
        "O_RDWR|O_CREAT|O_NOFOLLOW|O_CLOEXEC, 0600",
        "that file",
    ),
    (
        "java javac jps",
        "/proc/self/coredump_filter",
        "what a crash of its own would save",
    ),
    (
        "sort",
        "\"/tmp/sort",
        "a temporary file for what does not fit in memory, which it removes",
    ),
    (
        "tac",
        "\"/tmp/tac",
        "a temporary file for what it cannot seek in, which it removes",
    ),
    (
        "java javac jps sort tac dpkg dpkg-deb",
        "changed: /tmp was",
        "the directory of what it removed",
    ),
    (
        "dmsetup pvs vgs lvs",
        "\"/dev/mapper/control\"",
        "the device by which it asks the kernel",
    ),
    (
        "ip",
        "ifi_type=ARPHRD_NETROM, ifi_index=0",
        "a question whether the kernel knows the request",
    ),
    (
        "pmap",
        "shmctl(",
        "memory of its own, to learn how such memory is named",
    ),
    (
        "lslogins",
        "\"/etc/.pwd.lock\", O_WRONLY|O_CREAT",
        "the lock of the account database, which it holds while it looks",
    ),
    (
        "blkid",
        "does not end",
        "opens what it is named as a device; a pipe there blocks until the time limit",
    ),
    (
        "tune2fs dumpe2fs",
        "BLKDISCARDZEROES",
        "a question to the disk",
    ),
];

/// Programs that open secrets without showing more of them than the policy judged:
/// lines with a word that is not found beside secrets, names of members, facts about
/// accounts, and that a file is no package.
const READERS: &str = "\
    grep egrep fgrep rg lsattr openssl unzip zipinfo tar chage lslogins visudo crontab lsof findmnt sudo \
    tune2fs dumpe2fs dpkg-deb df blkid rpm";

/// Programs that talk to this machine or resolve names by design.
const NETWORK: &str = "\
    ping ping6 getent hostname dnsdomainname netstat ss arp route lsof last w who hostid ip finger \
    pinky chronyc ntpq rpcinfo showmount nfsstat domainname logname id groups ps crontab";

/// Programs that take as long as they are told to, which the policy bounds, or that
/// look at more than a few seconds are enough for.
const SLOW: &str = "\
    sleep vmstat iostat mpstat pidstat sar top ping ping6 slabtop iotop free";

/// Whether a list of names has a name.
pub(crate) fn lists(names: &str, name: &str) -> bool {
    names.split_ascii_whitespace().any(|listed| listed == name)
}

/// Whether a finding is none for a program.
pub(crate) fn is_harmless(program: &str, finding: &str) -> bool {
    QUIRKS
        .iter()
        .any(|(programs, part, _)| lists(programs, program) && finding.contains(part))
}

/// Whether a program may open a secret.
pub(crate) fn may_read(program: &str) -> bool {
    lists(READERS, program)
}

/// Whether a program may name another machine.
pub(crate) fn may_connect(program: &str) -> bool {
    lists(NETWORK, program)
}

/// Whether a program may take longer than the fuzzer waits.
pub(crate) fn may_take_long(program: &str) -> bool {
    lists(SLOW, program)
}

/// Whether a grep looks through a tree. Busybox's opens the pipes in it, and so does
/// GNU's with `-R`; which trees have one is not in the words, and the time limit ends
/// what waits there.
pub(crate) fn walks(argv: &[String]) -> bool {
    let program = argv[0].rsplit('/').next().unwrap_or(&argv[0]);
    let recursive = |word: &String| {
        matches!(word.as_str(), "--recursive" | "--dereference-recursive")
            || !word.starts_with("--") && word.starts_with('-') && word.contains(['r', 'R'])
    };
    matches!(program, "grep" | "egrep" | "fgrep") && argv.iter().any(recursive)
}

/// Whether a program may start the program at `path` with `words`, the name it is
/// given included.
pub(crate) fn may_run(program: &str, path: &str, words: &[&str]) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    let trusted = ["/usr/", "/bin/", "/sbin/", "/busybox/"]
        .iter()
        .any(|start| path.starts_with(start));
    let helps = |name: &str| {
        HELPERS
            .iter()
            .any(|(programs, helpers)| lists(programs, program) && lists(helpers, name))
    };
    let is_shell = matches!(name, "sh" | "bash" | "dash");
    let script = match words {
        [_, "-c", script, ..] => script.split_ascii_whitespace().next(),
        _ => None,
    };
    let runs = if is_shell && name != program {
        helps(name) && script.is_some_and(helps)
    } else {
        name == program || helps(name)
    };
    trusted && (runs || name == "env" && program != "env")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_named_helpers_run() {
        for (program, path, words, expected) in [
            ("ls", "/usr/bin/ls", &["ls"][..], true),
            ("ls", "/usr/bin/env", &["/usr/bin/env", "-i"], true),
            ("ls", "/usr/bin/id", &["id"], false),
            ("ls", "/work/ls", &["ls"], false),
            ("zcat", "/usr/bin/gzip", &["gzip", "-cd"], true),
            ("tar", "/bin/sh", &["/bin/sh", "-c", "gzip -d"], true),
            ("tar", "/bin/sh", &["/bin/sh", "-c", "id"], false),
            ("awk", "/bin/sh", &["sh", "-c", "gzip -d"], false),
        ] {
            assert_eq!(may_run(program, path, words), expected, "{program} {path}");
        }
    }
}
