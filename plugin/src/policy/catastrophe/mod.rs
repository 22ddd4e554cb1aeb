//! The few commands that are refused whoever agrees.
//!
//! Invariant: a short list of things that cannot be undone and are never meant:
//! deleting the system's own directories, overwriting a disk, a fork bomb. They
//! are found in any part of a text, and behind programs that run other programs,
//! as long as their words are literal. Only an operator's rule that says so
//! expressly can lift them, and only for one simple command of literal words.

mod targets;

use self::targets::{device_operand, disk, find_delete, is_block_device, only_shows, remove};
use super::lex::Word;
use super::scan::{Simple, scan};
use super::types::{Finding, shown};

/// What is refused, for the documentation.
#[cfg(test)]
pub(super) const LIST: &[&str] = &[
    "`rm -r`, `find -delete` or `find -exec rm` of `/`, a directory of the system right below \
     it, all that is in one, or a login directory (`catastrophe.rm-root`)",
    "`dd`, `mkfs`, `wipefs`, `shred`, a redirection and their like, onto a disk \
     (`catastrophe.disk`)",
    "a fork bomb (`catastrophe.fork-bomb`)",
    "the same behind `sudo`, `env`, `timeout`, `sh -c` and other programs that run their words, \
     as long as the words are literal",
    "an empty or malformed command, and one with characters that deceive the reader \
     (`scan.empty`, `scan.malformed`, `preflight.*`)",
];

/// How deep `sh -c 'sh -c …'` is followed.
const DEPTH: u32 = 4;

/// How many functions are looked at as fork bombs; one would do.
const FUNCTIONS: usize = 256;

const WRAPPERS: &[&str] = &[
    "busybox",
    "chroot",
    "command",
    "doas",
    "env",
    "exec",
    "ionice",
    "nice",
    "nohup",
    "nsenter",
    "pkexec",
    "runuser",
    "setsid",
    "stdbuf",
    "sudo",
    "systemd-run",
    "taskset",
    "time",
    "timeout",
    "toybox",
    "unshare",
    "watch",
    "xargs",
    "builtin",
    "eval",
    "then",
    "do",
    "else",
    "!",
    "{",
];

const SHELLS: &[&str] = &[
    "sh", "bash", "dash", "ash", "ksh", "mksh", "zsh", "su", "eval", "runuser",
];

/// Looks for a catastrophe in a text and the commands made out in it.
pub(super) fn find(text: &str, commands: &[Simple<'_>]) -> Option<Finding> {
    fork_bomb(text).or_else(|| {
        commands
            .iter()
            .find_map(|command| in_command(command, DEPTH))
    })
}

/// Looks for a catastrophe in words that no shell reads.
pub(super) fn find_in_words(words: &[Word]) -> Option<Finding> {
    in_command(&Simple::of(words), DEPTH)
}

/// Whether writing to the path would overwrite a disk.
pub(super) fn find_in_write(path: &str) -> Option<Finding> {
    is_block_device(path).then(|| disk("writing to", path))
}

fn in_command(command: &Simple<'_>, depth: u32) -> Option<Finding> {
    if let Some(target) = command
        .written
        .iter()
        .find(|word| !word.opaque && is_block_device(&word.text))
    {
        return Some(disk("redirecting to", &target.text));
    }
    in_words(&command.words, depth)
}

fn in_words(words: &[&Word], depth: u32) -> Option<Finding> {
    let (first, rest) = words.split_first()?;
    if first.opaque {
        return None;
    }
    let name = first.text.rsplit('/').next().unwrap_or(&first.text);
    let found = match name {
        "rm" => remove(rest),
        "find" => find_delete(rest),
        "dd" => rest.iter().find_map(|word| {
            let target = word.text.strip_prefix("of=")?;
            is_block_device(target).then(|| disk("`dd` to", target))
        }),
        "mkfs" | "mke2fs" | "mkswap" | "wipefs" | "shred" | "blkdiscard" | "tee" | "mkdosfs" => {
            device_operand(name, rest)
        }
        // These also show what is there.
        "badblocks" | "sgdisk" | "sfdisk" if !only_shows(rest) => device_operand(name, rest),
        "cp" | "mv" | "install" => rest
            .last()
            .filter(|word| is_block_device(&word.text))
            .map(|word| disk("copying to", &word.text)),
        _ if name.starts_with("mkfs.") => device_operand(name, rest),
        _ => None,
    };
    if found.is_some() || depth == 0 {
        return found;
    }
    if SHELLS.contains(&name)
        && let Some(found) = in_script(name, rest, depth)
    {
        return Some(found);
    }
    if WRAPPERS.contains(&name) || name == "su" {
        return wrapped(rest).and_then(|inner| in_words(inner, depth - 1));
    }
    None
}

/// `sh -c TEXT` and `eval TEXT`.
fn in_script(name: &str, rest: &[&Word], depth: u32) -> Option<Finding> {
    let from = match name {
        "eval" => 0,
        _ => {
            rest.iter()
                .position(|word| word.text.starts_with('-') && word.text.contains('c'))?
                + 1
        }
    };
    let script = rest.get(from)?;
    if script.opaque {
        return None;
    }
    let scan = scan(&script.text);
    fork_bomb(&script.text).or_else(|| {
        scan.commands()
            .iter()
            .find_map(|command| in_command(command, depth - 1))
    })
}

/// The command behind a wrapper: after its options, their values, assignments and
/// durations, which do not look like a command of the list.
fn wrapped<'w, 'a>(words: &'w [&'a Word]) -> Option<&'w [&'a Word]> {
    const COMMANDS: &[&str] = &[
        "rm",
        "find",
        "dd",
        "mkfs",
        "mke2fs",
        "mkswap",
        "wipefs",
        "shred",
        "blkdiscard",
        "tee",
        "badblocks",
        "sgdisk",
        "sfdisk",
        "cp",
        "mv",
        "install",
    ];
    let mut after_option = false;
    for (index, word) in words.iter().enumerate() {
        let name = word.text.rsplit('/').next().unwrap_or(&word.text);
        let known = COMMANDS.contains(&name)
            || name.starts_with("mkfs.")
            || SHELLS.contains(&name)
            || WRAPPERS.contains(&name);
        if known {
            return Some(&words[index..]);
        }
        let belongs = word.text.starts_with(['-', '+'])
            || word.text.contains('=')
            || word.text.starts_with(|c: char| c.is_ascii_digit())
            || after_option;
        if !belongs {
            // A directory, as for `chroot`, may stand before the command.
            if index > 0 || !word.text.starts_with('/') {
                return None;
            }
        }
        after_option = word.text.starts_with('-');
    }
    None
}

/// A function that calls itself twice in a pipeline and in the background.
fn fork_bomb(text: &str) -> Option<Finding> {
    if !text.contains('&') || !text.contains('(') {
        return None;
    }
    let squeezed: String = text.chars().filter(|c| !c.is_whitespace()).collect();
    let mut from = 0;
    for _ in 0..FUNCTIONS {
        let at = squeezed[from..].find("(){")?;
        let start = squeezed[..from + at]
            .rfind([';', '&', '|', '{', '}'])
            .map_or(0, |before| before + 1);
        let name = squeezed[start..from + at].trim_start_matches("function");
        let body = &squeezed[from + at + 3..];
        // The body of a bomb is short; a long text is not searched again and again.
        let body = &body[..body.floor_char_boundary(256)];
        let body = body.split('}').next().unwrap_or(body);
        if !name.is_empty() && body.contains(&format!("{name}|{name}")) && body.contains('&') {
            return Some(Finding::reject(
                "catastrophe.fork-bomb",
                format!("{} is a fork bomb", shown(name)),
            ));
        }
        from += at + 3;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(text: &str) -> Option<String> {
        find(text, &scan(text).commands()).map(|finding| finding.rule)
    }

    #[test]
    fn finds_catastrophes() {
        for text in [
            "rm -rf /",
            "rm -rf /boot /",
            "rm -fr /*",
            "rm -r -f /",
            "rm --recursive --force /etc",
            "rm --rec /usr/",
            "rm -rf -- /var",
            "rm -rf ~",
            "rm -rf ~/*",
            "rm -rf //",
            "rm -rf /./",
            "rm -rf /etc/..",
            "rm -rf /home/*",
            "rm -Rf '/'",
            "r\\m -rf /",
            "/bin/rm -rf /",
            "rm / -rf",
            "rm -rf --no-preserve-root /",
            "cd / && rm -rf /",
            "ls; rm -rf /usr",
            "echo $(rm -rf /)",
            "sudo rm -rf /",
            "sudo -n -u root rm -rf /etc",
            "timeout 5 rm -rf /",
            "env A=b nice -n 5 rm -rf /",
            "nohup sudo rm -rf / &",
            "sh -c 'rm -rf /'",
            "sudo bash -lc 'cd /; rm -rf /*'",
            "eval 'rm -rf /'",
            "busybox rm -rf /",
            "xargs rm -rf /",
            "if true; then rm -rf /; fi",
        ] {
            assert_eq!(rule(text).as_deref(), Some("catastrophe.rm-root"), "{text}");
        }
        for text in [
            "dd if=/dev/zero of=/dev/sda",
            "mkfs.ext4 /dev/sdb1",
            "mkfs -t xfs /dev/nvme0n1",
            "wipefs -a /dev/vda",
            "shred -n1 /dev/sdc",
            "cat x > /dev/sda",
            "echo >/dev/mapper/vg-root",
            "cp x.img /dev/sdb",
            "sudo tee /dev/mmcblk0",
            "blkdiscard /dev/nvme0n1",
            "sgdisk --zap-all /dev/sda",
            "sfdisk /dev/sda",
            "badblocks -w /dev/sda",
            "find / -delete; dd of=/dev/xvda",
        ] {
            assert!(
                matches!(
                    rule(text).as_deref(),
                    Some("catastrophe.disk" | "catastrophe.rm-root")
                ),
                "{text}"
            );
        }
        for text in [
            ":(){ :|:& };:",
            "f() { f | f & }; f",
            "bomb(){bomb|bomb&};bomb",
        ] {
            assert_eq!(
                rule(text).as_deref(),
                Some("catastrophe.fork-bomb"),
                "{text}"
            );
        }
    }

    #[test]
    fn leaves_the_rest_to_a_person() {
        for text in [
            "rm -rf /srv/app",
            "rm -rf /tmp/x",
            "rm -rf /var/log/old",
            "rm /etc",
            "rm -rf .",
            "rm -rf $HOME",
            "echo rm -rf /",
            "sudo echo rm -rf /",
            "grep -r x /",
            "dd if=/dev/sda of=/srv/img",
            "dd of=/dev/null",
            "ls > /dev/null",
            "find / -name x -delete",
            "find /srv -delete",
            "f() { ls | wc & }; f",
            "rm -rf '~'",
            "mkfs.ext4 disk.img",
            "rm -rf /home/old",
            "sfdisk -d /dev/sda",
            "sgdisk -p /dev/sda",
            "badblocks -sv /dev/sda",
            "cat /dev/sda > x",
        ] {
            assert_eq!(rule(text), None, "{text}");
        }
    }
}
