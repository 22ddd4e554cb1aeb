//! The few commands that are refused whoever agrees.
//!
//! Invariant: a short list of things that cannot be undone and are never meant:
//! deleting the system's own directories, overwriting a disk, a fork bomb. They
//! are found in any part of a text, and behind programs that run other programs,
//! as long as their words are literal. Only an operator's rule that says so
//! expressly can lift them.

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

/// Directories whose loss ends the machine.
const SYSTEM: &[&str] = &[
    "bin", "boot", "dev", "etc", "home", "lib", "lib32", "lib64", "libx32", "proc", "root", "run",
    "sbin", "sys", "usr", "var",
];

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

fn disk(what: &str, path: &str) -> Finding {
    Finding::reject(
        "catastrophe.disk",
        format!("{what} {} destroys what is on the disk", shown(path)),
    )
}

/// Whether a program for partitions or bad blocks is asked to show and nothing else.
fn only_shows(words: &[&Word]) -> bool {
    const SHOWS: &[&str] = &[
        "-l", "--list", "-d", "--dump", "-J", "--json", "-p", "--print", "-v", "-s", "-sv", "-V",
    ];
    let mut options = words
        .iter()
        .map(|word| word.text.as_str())
        .filter(|text| text.starts_with('-'))
        .peekable();
    options.peek().is_some() && options.all(|option| SHOWS.contains(&option))
}

fn device_operand(name: &str, words: &[&Word]) -> Option<Finding> {
    let target = words
        .iter()
        .find(|word| !word.opaque && is_block_device(&word.text))?;
    Some(disk(&format!("`{name}` on"), &target.text))
}

fn remove(words: &[&Word]) -> Option<Finding> {
    let mut recursive = false;
    let mut ended = false;
    let mut targets = Vec::new();
    for word in words {
        let text = word.text.as_str();
        if !ended && text == "--" {
            ended = true;
        } else if !ended && text.starts_with("--") {
            // GNU takes any abbreviation.
            recursive |= text.len() > 3 && "--recursive".starts_with(text);
        } else if !ended && text.starts_with('-') && text.len() > 1 {
            recursive |= text.contains(['r', 'R']);
        } else {
            targets.push(word);
        }
    }
    if !recursive {
        return None;
    }
    let target = targets.into_iter().find(|word| is_system(word))?;
    Some(Finding::reject(
        "catastrophe.rm-root",
        format!("`rm -r` of {} destroys the system", shown(&target.text)),
    ))
}

/// `find / -delete` without a test in between.
fn find_delete(words: &[&Word]) -> Option<Finding> {
    let starts = words
        .iter()
        .take_while(|word| !word.text.starts_with('-'))
        .count();
    let (starts, rest) = words.split_at(starts);
    let plain = [
        "-delete", "-depth", "-xdev", "-mount", "-exec", "-execdir", "rm", "-rf", "-r", "-f",
        "-fr", "{}", "+", ";", "-print",
    ];
    let deletes =
        rest.iter().any(|word| word.text == "-delete") || rest.iter().any(|word| word.text == "rm");
    let target = starts.iter().find(|word| is_system(word))?;
    (deletes && rest.iter().all(|word| plain.contains(&word.text.as_str()))).then(|| {
        Finding::reject(
            "catastrophe.rm-root",
            format!(
                "deleting everything below {} destroys the system",
                shown(&target.text)
            ),
        )
    })
}

/// Whether a word names `/`, a system directory, a login directory, or all that is
/// in one of them.
fn is_system(word: &Word) -> bool {
    if word.opaque {
        return false;
    }
    let mut text = word.text.as_str();
    if word.home {
        return matches!(text.trim_end_matches('/'), "~" | "~/*" | "~/.*");
    }
    if !text.starts_with('/') {
        return false;
    }
    if word.glob {
        text = text
            .strip_suffix("/*")
            .or_else(|| text.strip_suffix("/.*"))
            .unwrap_or(text);
        if text.contains(['*', '?', '[']) {
            return false;
        }
    }
    let mut parts: Vec<&str> = Vec::new();
    for part in text.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    match parts.as_slice() {
        [] => true,
        [top] => SYSTEM.contains(top),
        _ => false,
    }
}

fn is_block_device(path: &str) -> bool {
    let Some(name) = path.strip_prefix("/dev/") else {
        return false;
    };
    let name = name.trim_start_matches('/');
    let numbered = |prefix: &str| {
        name.strip_prefix(prefix)
            .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
    };
    let lettered = |prefix: &str| {
        name.strip_prefix(prefix)
            .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_lowercase()))
    };
    ["sd", "hd", "vd", "xvd"].into_iter().any(lettered)
        || ["nvme", "mmcblk", "md", "dm-", "loop", "nbd", "zd", "bcache"]
            .into_iter()
            .any(numbered)
        || name.starts_with("mapper/") && name != "mapper/control"
        || name.starts_with("disk/")
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
